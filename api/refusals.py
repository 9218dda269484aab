"""Refusals as data: every fault of a command with its code, its place in the input and a sentence."""

from collections.abc import Mapping
from enum import StrEnum

import strawberry
from strawberry.utils.str_converters import to_camel_case

from api.messages import Language, message
from application.shared.engines import SqlRefusal
from domain.activities import ActivityRefusal
from domain.activity_plans import PlanRefusal
from domain.approvals import ApprovalRefusal
from domain.catalogues import CatalogueRefusal
from domain.shared.field_rules import FieldRefusal
from domain.shared.refusal import CommonRefusal, Fault

REFUSALS: tuple[type[StrEnum], ...] = (
    CommonRefusal,
    CatalogueRefusal,
    FieldRefusal,
    PlanRefusal,
    ActivityRefusal,
    ApprovalRefusal,
    SqlRefusal,
)
_MEMBERS = {member.name: member.value for refusal in REFUSALS for member in refusal}
assert len(_MEMBERS) == sum(len(refusal) for refusal in REFUSALS), "a code means one thing everywhere"

RefusalCode = StrEnum("RefusalCode", _MEMBERS)  # type: ignore[misc]
RefusalCode.__doc__ = "Why a command was declined."
strawberry.enum(RefusalCode, description="Why a command was declined. Codes are stable, messages are not.")

INPUT_NAMES: Mapping[str, str] = {
    "activity_type": "activityTypeId",
    "cost_type": "costTypeId",
    "form": "formId",
    "parent": "parentId",
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
