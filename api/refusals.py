"""Refusals as data: every fault of a command with its code, its place in the input and a sentence."""

from collections.abc import Mapping
from enum import StrEnum

import strawberry
from graphql import GraphQLError
from strawberry.utils.str_converters import to_camel_case

from api.context import Context
from api.messages import Language, message
from application.access import Permission, who_may
from application.shared.engines import SqlRefusal
from domain.activities import ActivityRefusal
from domain.activity_figures import FiguresRefusal
from domain.activity_plans import PlanRefusal
from domain.approvals import ApprovalRefusal
from domain.budgets import BudgetRefusal
from domain.cancellations import CancellationRefusal
from domain.catalogues import CatalogueRefusal
from domain.customer_groups import GroupRefusal
from domain.delegations import DelegationRefusal
from domain.erasures import ErasureRefusal
from domain.group_rules import RuleRefusal
from domain.points_job_statuses import JobRefusal
from domain.points_job_terms import TermsRefusal
from domain.points_ledgers import LedgerRefusal
from domain.result_retention import RetentionRefusal
from domain.reward_details import RewardRefusal
from domain.run_parameters import ParameterRefusal
from domain.run_schedules import ScheduleRefusal
from domain.segment_contents import SegmentRefusal
from domain.segment_definitions import DefinitionRefusal
from domain.segment_runs import RunRefusal
from domain.service_accounts import ServiceAccountRefusal
from domain.shared.field_rules import FieldRefusal
from domain.shared.holdings import HoldingRefusal
from domain.shared.refusal import CommonRefusal, Fault
from domain.source_grants import GrantRefusal
from domain.stocks import StockRefusal
from domain.timeframes import TimeframeRefusal
from domain.users import UserRefusal
from domain.webhook_contents import WebhookRefusal
from domain.work_order_contents import ContentRefusal
from domain.work_order_statuses import WorkOrderRefusal

REFUSALS: tuple[type[StrEnum], ...] = (
    CommonRefusal,
    CatalogueRefusal,
    FieldRefusal,
    PlanRefusal,
    ActivityRefusal,
    ApprovalRefusal,
    ContentRefusal,
    WorkOrderRefusal,
    CancellationRefusal,
    FiguresRefusal,
    GroupRefusal,
    RuleRefusal,
    BudgetRefusal,
    HoldingRefusal,
    StockRefusal,
    TermsRefusal,
    JobRefusal,
    LedgerRefusal,
    SegmentRefusal,
    DefinitionRefusal,
    GrantRefusal,
    RunRefusal,
    RetentionRefusal,
    ParameterRefusal,
    SqlRefusal,
    RewardRefusal,
    TimeframeRefusal,
    UserRefusal,
    ServiceAccountRefusal,
    DelegationRefusal,
    ScheduleRefusal,
    WebhookRefusal,
    ErasureRefusal,
)
_MEMBERS = {member.name: member.value for refusal in REFUSALS for member in refusal}
assert len(_MEMBERS) == sum(len(refusal) for refusal in REFUSALS), "a code means one thing everywhere"

RefusalCode = StrEnum("RefusalCode", _MEMBERS)  # type: ignore[misc]
RefusalCode.__doc__ = "Why a command was declined."
strawberry.enum(RefusalCode, description="Why a command was declined. Codes are stable, messages are not.")

INPUT_NAMES: Mapping[str, str] = {
    "activity": "activityId",
    "activity_type": "activityTypeId",
    "calendar": "calendarId",
    "cost_type": "costTypeId",
    "customer_group": "customerGroupId",
    "definition": "definitionId",
    "form": "formId",
    "parent": "parentId",
    "run": "runId",
    "source_definition": "sourceId",
    "negated": "not",
    "work_order": "workOrderId",
    "department": "departmentId",
    "co_departments": "coDepartmentIds",
    "reward_type": "rewardTypeId",
    "group": "customerGroupId",
}
"""Where the input's name for a thing differs from the domain's."""


@strawberry.type(description="One thing that is wrong with a command; nothing was recorded.")
class UserError:
    code: RefusalCode = strawberry.field(description="A stable code to switch on.")
    path: list[str] = strawberry.field(description="Where in the arguments the fault lies, outermost first.")
    message: str = strawberry.field(description="A sentence in the language of Accept-Language.")


def user_error(fault: Fault, language: Language) -> UserError:
    names = [
        part if isinstance(part, int) else INPUT_NAMES.get(part) or to_camel_case(part) for part in fault.path
    ]
    return UserError(
        code=RefusalCode[fault.code.name],
        path=["input", *map(str, names)],
        message=message(fault.code, fault.values, language),
    )


def require(permission: Permission, context: Context) -> None:
    """Raise the error of `forbidden` unless the asker has the permission."""
    if permission not in context.principal.permissions:
        raise forbidden(permission, context.language)


def forbidden(permission: Permission | None, language: Language) -> GraphQLError:
    """The error of who may not do this; it names the roles that may."""
    text = message("forbidden", {"roles": ", ".join(who_may(permission)) or "-"}, language)
    return GraphQLError(text, extensions={"code": "FORBIDDEN", "permission": str(permission)})
