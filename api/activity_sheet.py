"""The sheet of activities: which fields of the list become which cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from api.messages import Language
from application.shared.sheets import Cell, CellType

Node = Mapping[str, Any]

NODE = """code name orgUnit status goal activityType { path } department { path } responsible
startsAt endsAt registration { startsAt endsAt } award { startsAt endsAt } channels
budget { amount currency } costTotal { amount } costLines { costType { name } amount { amount currency } }
form { name } formValues { name value } rewards { rewardType { name unit } value capPerCustomer capTotal }
groups { customerGroupId role } exclusions
description createdAt createdBy submittedAt approvedAt changedAt reason"""


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """`path` leads to the value in a node, `text` says it in words where it is no plain value."""

    chinese: str
    english: str
    path: str
    type: CellType = CellType.TEXT
    width: int = 16
    text: Callable[[Any], str] | None = None

    def titled(self, language: Language, zone: tzinfo) -> str:
        """The header; that of times names the zone."""
        title = self.chinese if language == "zh" else self.english
        return f"{title} ({zone})" if self.type is CellType.DATE_TIME else title


def cells(node: Node, zone: tzinfo) -> Sequence[Cell]:
    """One row: texts, numbers as numbers, instants as local times of the zone; None for what is not there."""
    return [_cell(column, _found(node, column.path), zone) for column in COLUMNS]


def _cell(column: SheetColumn, value: Any, zone: tzinfo) -> Cell:
    if value is None or value in ("", []):
        return None
    if column.text is not None:
        return column.text(value)
    match column.type:
        case CellType.DATE_TIME:
            return datetime.fromisoformat(value).astimezone(zone).replace(tzinfo=None)
        case CellType.DECIMAL:
            return Decimal(value)
        case CellType.INTEGER:
            return int(value)
        case CellType.TEXT:
            return str(value)


def _found(node: Node, path: str) -> Any:
    found: Any = node
    for name in path.split("."):
        found = None if found is None else found[name]
    return found


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values)


def _costs(lines: Sequence[Node]) -> str:
    return "; ".join(
        f"{_found(line, 'costType.name') or '?'} {line['amount']['amount']} {line['amount']['currency']}"
        for line in lines
    )


def _filled(values: Sequence[Node]) -> str:
    return "; ".join(f"{each['name']} {each['value']}" for each in values)


def _given(rewards: Sequence[Node]) -> str:
    return "; ".join(
        f"{_found(each, 'rewardType.name') or '?'} {each['value']} {_found(each, 'rewardType.unit') or ''}"
        f" ≤ {each['capPerCustomer'] or '∞'} / {each['capTotal'] or '∞'}"
        for each in rewards
    )


def _groups(links: Sequence[Node]) -> str:
    return "; ".join(f"{link['role']} {link['customerGroupId']}" for link in links)


AT = CellType.DATE_TIME
AMOUNT = CellType.DECIMAL
COLUMNS: tuple[SheetColumn, ...] = (
    SheetColumn("编号", "Code", "code", width=20),
    SheetColumn("名称", "Name", "name", width=36),
    SheetColumn("机构", "Organisation unit", "orgUnit"),
    SheetColumn("状态", "Status", "status", width=20),
    SheetColumn("目标", "Goal", "goal"),
    SheetColumn("活动类型", "Activity type", "activityType.path", width=30),
    SheetColumn("归属部门", "Department", "department.path", width=30),
    SheetColumn("负责人", "Responsible", "responsible"),
    SheetColumn("开始时间", "Starts at", "startsAt", AT, 18),
    SheetColumn("结束时间", "Ends at", "endsAt", AT, 18),
    SheetColumn("报名开始", "Registration starts at", "registration.startsAt", AT, 18),
    SheetColumn("报名结束", "Registration ends at", "registration.endsAt", AT, 18),
    SheetColumn("奖励开始", "Awards start at", "award.startsAt", AT, 18),
    SheetColumn("奖励结束", "Awards end at", "award.endsAt", AT, 18),
    SheetColumn("渠道", "Channels", "channels", width=24, text=_listed),
    SheetColumn("预算", "Budget", "budget.amount", AMOUNT),
    SheetColumn("成本合计", "Costs", "costTotal.amount", AMOUNT),
    SheetColumn("币种", "Currency", "budget.currency", width=8),
    SheetColumn("成本明细", "Cost lines", "costLines", width=40, text=_costs),
    SheetColumn("活动形式", "Form", "form.name"),
    SheetColumn("形式明细", "Form values", "formValues", width=30, text=_filled),
    SheetColumn("奖励明细", "Rewards", "rewards", width=40, text=_given),
    SheetColumn("客群", "Customer groups", "groups", width=40, text=_groups),
    SheetColumn("排除条件", "Exclusions", "exclusions", width=24, text=_listed),
    SheetColumn("说明", "Description", "description", width=40),
    SheetColumn("创建时间", "Created at", "createdAt", AT, 18),
    SheetColumn("创建人", "Created by", "createdBy"),
    SheetColumn("提交时间", "Submitted at", "submittedAt", AT, 18),
    SheetColumn("批准时间", "Approved at", "approvedAt", AT, 18),
    SheetColumn("更新时间", "Changed at", "changedAt", AT, 18),
    SheetColumn("原因", "Reason", "reason", width=30),
)
