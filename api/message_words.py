"""What people call the statuses and levels that sentences mention; the API's enums name them for programs."""

from collections.abc import Mapping
from typing import Literal

STATUS_WORDS: Mapping[str, tuple[str, str]] = {
    "unknown": ("不存在", "not there"),
    "draft": ("草稿", "a draft"),
    "in_approval": ("审批中", "in approval"),
    "approved": ("已批准", "approved"),
    "rejected": ("已驳回", "rejected"),
    "refused": ("未能执行", "not carried out"),
    "running": ("进行中", "running"),
    "paused": ("已暂停", "paused"),
    "ended": ("已结束", "ended"),
    "cancelled": ("已取消", "cancelled"),
    "deleted": ("已删除", "deleted"),
    "enabled": ("已启用", "enabled"),
    "disabled": ("已停用", "disabled"),
    "locked": ("已锁定", "locked"),
    "removed": ("已移除", "removed"),
    "active": ("有效", "active"),
    "retired": ("已停用", "retired"),
    "open": ("正常", "open"),
    "carried": ("已结转", "carried into the next year"),
    "closed": ("已关闭", "closed"),
    "pending": ("待审批", "pending"),
    "granted": ("已批准", "granted"),
    "voided": ("已失效", "void"),
    "revoked": ("已收回", "revoked"),
    "withdrawn": ("已撤回", "withdrawn"),
    "scheduled": ("已排程", "scheduled"),
    "executing": ("执行中", "under execution"),
    "completed": ("已完成", "completed"),
    "failed": ("失败", "failed"),
    "cancellation_pending": ("取消待审批", "waiting for the verdict on its cancellation"),
    "queued": ("排队中", "queued"),
    "succeeded": ("已成功", "succeeded"),
    "terminated": ("已终止", "terminated"),
    "opened": ("已建立", "opened"),
    "reserved": ("已预留预算", "reserved"),
    "filed": ("已生成文件", "filed"),
    "released": ("已放行", "released"),
    "recalling": ("正在撤回文件", "being recalled"),
    "sent": ("已发送", "sent"),
    "acknowledged": ("已回执", "acknowledged"),
    "posted": ("已入账", "posted"),
    "reconciled": ("已对账", "reconciled"),
    "settled": ("已结算", "settled"),
    "over": ("已结束", "over"),
}
LEVEL_WORDS: Mapping[str, tuple[str, str]] = {
    "research": ("研发部", "Research"),
    "technology": ("科技部", "Technology"),
}
KIND_WORDS: Mapping[str, tuple[str, str]] = {
    "activity": ("活动", "activity"),
    "activity_type": ("活动类型", "activity type"),
    "activity_form": ("活动形式", "activity form"),
    "cost_type": ("成本类型", "cost type"),
    "reward_type": ("奖励类型", "reward type"),
    "department": ("部门", "department"),
    "customer_group": ("客群", "customer group"),
    "work_order": ("工单", "work order"),
    "segment_definition": ("细分定义", "segment definition"),
    "segment_run": ("细分执行", "segment run"),
    "points_job": ("积分任务", "points job"),
    "user": ("用户", "user"),
    "service_account": ("服务账户", "service account"),
    "delegation": ("委托", "delegation"),
    "revocation": ("吊销", "revocation"),
    "run_schedule": ("执行计划", "schedule"),
    "business_calendar": ("工作日历", "business calendar"),
}
WORDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "status": STATUS_WORDS,
    "level": LEVEL_WORDS,
    "awaited": LEVEL_WORDS,
}
"""By the name of a fault's value: what it says to (zh, en)."""

VALUE_CHARACTERS_MAX = 200
"""A value may be what the caller sent: a sentence repeats no more of it than this."""


def in_words(values: Mapping[str, str], language: Literal["zh", "en"]) -> dict[str, str]:
    """A fault's values as a sentence says them."""
    return {name: _shown(name, str(value), language) for name, value in values.items()}


def _shown(name: str, value: str, language: Literal["zh", "en"]) -> str:
    if name == "users":
        shown = ", ".join(_user(user, language) for user in value.split(", "))
    else:
        shown = _word(WORDS.get(name, {}), value, language)
    return shown if len(shown) <= VALUE_CHARACTERS_MAX else f"{shown[:VALUE_CHARACTERS_MAX]}…"


def _user(user: str, language: Literal["zh", "en"]) -> str:
    """Who uses a thing: its kind, then what it is called."""
    kind, blank, label = user.partition(" ")
    return f"{_word(KIND_WORDS, kind, language)}{blank}{label}"


def _word(words: Mapping[str, tuple[str, str]], value: str, language: Literal["zh", "en"]) -> str:
    chinese, english = words.get(value, (value, value))
    return chinese if language == "zh" else english
