"""Reward types in GraphQL: the frames that rewards keep within. Nothing here removes one, by design."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry

from api.activity_forms import FormField, FormFieldInput, field_rules
from api.catalogues import CostType, EntryInput, EntryStatus
from api.commands import Payload, execute, given, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.views import Connection, Node, computed, many, masked, one, payload, ref, view
from application import catalogues
from application.shared.work import Work
from domain.catalogues import Details, Kind
from domain.reward_details import Route

PROJECTIONS = ("reward_types", "timeline")
REWARD_TYPE = Kind.REWARD_TYPE
RULES = ("unit", "minimum", "maximum", "cap_per_customer", "cap_per_activity", "unit_cost", "currency")

strawberry.enum(Route, name="RewardRoute", description="How what was earned reaches the customer.")


@view(
    "read.reward_types",
    versions="read.reward_type_versions",
    prefix="rt",
    scope=None,
    permission="records.read",
    order=("sort_order", "name"),
    description="What an activity may give, and the rules that every reward of the type obeys.",
)
class RewardType(Node):
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: EntryStatus
    unit: str
    minimum: Decimal
    maximum: Decimal
    cap_per_customer: Decimal | None
    cap_per_activity: Decimal | None
    route: Route
    cost_type_id: strawberry.ID = ref("cost_type_id", "ct")
    cost_type: CostType | None = one("cost_type_id")
    unit_cost: Decimal | None = masked(
        "budget.read",
        description="Null for who may not see budgets: with the points it tells what they cost.",
    )
    currency: str
    fields: list[FormField]
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    usage_count: int = computed(
        "(select count(*) from {rows[read.activities]} a where a.reward_type_ids @> array[{row}.id]"
        " and a.org_unit = any({viewer.units}))",
        description="Activities that give it, as far as the viewer sees them.",
    )
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@strawberry.input(
    description="Numbers are decimals as text, in the unit: 1.5. One unit costs unitCost of the currency. The"
    " fields are what reward details fill in besides."
)
class AddRewardTypeInput:
    code: str
    name: str
    route: Route
    unit: str = ""
    minimum: str = ""
    maximum: str = ""
    cap_per_customer: str | None = None
    cap_per_activity: str | None = None
    cost_type_id: strawberry.ID | None = None
    unit_cost: str = ""
    currency: str = "CNY"
    description: str = ""
    sort_order: int = 0
    fields: list[FormFieldInput] = strawberry.field(default_factory=list)


@strawberry.input(
    description="What is left out stays as it is, a cap that is null is none; fields are given as a whole."
    " Holds for what is configured later: activities keep what was approved."
)
class ReviseRewardTypeInput:
    id: strawberry.ID
    expected_version: int | None = None
    name: str | None = strawberry.UNSET
    route: Route | None = strawberry.UNSET
    unit: str | None = strawberry.UNSET
    minimum: str | None = strawberry.UNSET
    maximum: str | None = strawberry.UNSET
    cap_per_customer: str | None = strawberry.UNSET
    cap_per_activity: str | None = strawberry.UNSET
    cost_type_id: strawberry.ID | None = strawberry.UNSET
    unit_cost: str | None = strawberry.UNSET
    currency: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    sort_order: int | None = strawberry.UNSET
    fields: list[FormFieldInput] | None = strawberry.UNSET


@strawberry.type
class RewardTypePayload(Payload):
    reward_type: RewardType | None = payload("subject")


async def _on_reward_type(
    info: Info, verb: str, input: Any, use_case: Callable[[Work], UUID]
) -> RewardTypePayload:
    return await execute(info, RewardTypePayload, f"{verb}RewardType", input, use_case, PROJECTIONS)


@strawberry.type
class RewardTypeMutations:
    @strawberry.mutation(description="Add a reward type with its frame of rules.")
    async def add_reward_type(self, info: Info, input: AddRewardTypeInput) -> RewardTypePayload:
        rules, attributes = field_rules(input.fields), _attributes(input)
        details = Details(input.name.strip(), input.description, input.sort_order, attributes, rules)
        return await _on_reward_type(
            info, "add", input, lambda work: catalogues.add(work, REWARD_TYPE, input.code, details, None)
        )

    @strawberry.mutation(description="Edit a reward type: for later configurations only.")
    async def revise_reward_type(self, info: Info, input: ReviseRewardTypeInput) -> RewardTypePayload:
        fields, name = given(input.fields), given(input.name)
        change = catalogues.Change(
            None if name is None else name.strip(),
            given(input.description),
            given(input.sort_order),
            _attributes(input),
            fields=None if fields is None else field_rules(fields),
        )
        key = key_of("rt", input.id)
        return await _on_reward_type(
            info, "revise", input, lambda work: catalogues.revise(work, REWARD_TYPE, key, change)
        )

    @strawberry.mutation(description="Enable a reward type.")
    async def enable_reward_type(self, info: Info, input: EntryInput) -> RewardTypePayload:
        key = key_of("rt", input.id)
        return await _on_reward_type(
            info, "enable", input, lambda work: catalogues.enable(work, REWARD_TYPE, key)
        )

    @strawberry.mutation(description="Disable a reward type: new reward details can't choose it any more.")
    async def disable_reward_type(self, info: Info, input: EntryInput) -> RewardTypePayload:
        key = key_of("rt", input.id)
        return await _on_reward_type(
            info, "disable", input, lambda work: catalogues.disable(work, REWARD_TYPE, key)
        )


def _attributes(input: AddRewardTypeInput | ReviseRewardTypeInput) -> dict[str, str]:
    """The frame as texts; what the client left out is left out, null is empty."""
    attributes: dict[str, str] = {}
    for name in RULES:
        value = getattr(input, name)
        if value is not strawberry.UNSET:
            attributes[name] = (value or "").strip()
    if isinstance(input.route, Route):
        attributes["route"] = input.route.value
    if input.cost_type_id is not strawberry.UNSET:
        named = input.cost_type_id
        attributes["cost_type"] = "" if named is None else str(key_of("ct", named))
    return attributes
