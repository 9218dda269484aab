"""Customer groups in GraphQL: rules and lists, their life, and a look at who is in them beforehand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from anyio import to_thread
from graphql import GraphQLError
from strawberry.scalars import JSON

from api.commands import Payload, execute, key_of
from api.context import Context, Info
from api.history import HistoryEntry
from api.messages import message
from api.planner.views import Connection, Node, column, many, payload, view
from api.refusals import UserError, require, user_error
from application import customer_groups
from application.access import Permission
from application.group_sql import Extraction
from application.shared.engines import Query, RunFailed
from application.shared.work import Work
from domain.customer_groups import Definition, GroupRefusal, Purpose
from domain.group_rules import Comparison, Condition, Dimension, Rule, Transactions, Window
from domain.shared.refusal import Refused

if TYPE_CHECKING:
    from api.activities import Activity

PROJECTIONS = ("customer_groups", "activities", "timeline")
PREVIEWS_AT_ONCE_MAX = 2

strawberry.enum(Purpose, name="GroupPurpose", description="Whom to reach, or whom to award.")
strawberry.enum(Dimension, name="GroupDimension", description="What a rule may ask of a customer.")
strawberry.enum(Comparison, name="GroupComparison", description="BETWEEN includes both of its values.")


@strawberry.enum(description="Whether a group can be chosen.")
class CustomerGroupStatus(StrEnum):
    ACTIVE = "active"
    RETIRED = "retired"


@strawberry.enum(description="How it is told who belongs to a group.")
class GroupMembership(StrEnum):
    RULE = "rule"
    LIST = "list"


@view(
    "read.customer_groups",
    versions="read.customer_group_versions",
    prefix="cg",
    scope="org_unit",
    permission="records.read",
    order=("created_at",),
    description="Customers whom activities reach or award, by a rule or by a list.",
)
class CustomerGroup(Node):
    version: int
    revision: int
    code: str
    org_unit: str
    status: CustomerGroupStatus
    purpose: Purpose
    name: str
    description: str
    membership: GroupMembership
    rule: JSON | None = column(description="In the form of GroupRuleInput; null for a list.")
    member_count: int | None = column(description="How long the list is; null for a rule.")
    content_hash: str = column(description="SHA-256 over purpose, name, description and members.")
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    activities: Connection[Annotated["Activity", strawberry.lazy("api.activities")]] = many(
        array="customer_group_ids", description="The activities in sight whose plans link the group."
    )
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


# --- Inputs and payloads --------------------------------------------------


@strawberry.input(
    description="Booked on the last `days` days before the business date, or from startsOn up to but not"
    " including endsOn; with neither, in the data timeframe of the extraction."
)
class GroupWindowInput:
    days: int | None = None
    starts_on: date | None = None
    ends_on: date | None = None


@strawberry.input(description="Of which transactions an aggregate is made; an empty filter lets all through.")
class GroupTransactionsInput:
    window: GroupWindowInput | None = None
    category_in: list[str] = strawberry.field(default_factory=list)
    channel_in: list[str] = strawberry.field(default_factory=list)
    currency: str | None = strawberry.field(default=None, description="A must for TRANSACTION_SUM.")


@strawberry.input(
    description="Values as text: 25, 5000.00, 2026-03-01, true, 上海. No comparison holds of the unknown."
)
class GroupConditionInput:
    dimension: Dimension
    comparison: Comparison
    values: list[str] = strawberry.field(default_factory=list)
    transactions: GroupTransactionsInput | None = None


_Rule = Annotated["GroupRuleInput", strawberry.lazy("api.customer_groups")]


@strawberry.input(description="One node of a rule: exactly one of the four.")
class GroupRuleInput:
    all_of: list[_Rule] | None = None
    any_of: list[_Rule] | None = None
    negated: _Rule | None = strawberry.field(name="not", default=None)
    condition: GroupConditionInput | None = None


@strawberry.input(description="A rule, or the customer ids of a list: one of the two.")
class GroupMembersInput:
    rule: GroupRuleInput | None = None
    members: list[str] | None = None


@strawberry.input(description="A new group: by a rule, or by a list of its members.")
class DefineCustomerGroupInput(GroupMembersInput):
    code: str = ""
    purpose: Purpose | None = None
    name: str = ""
    description: str = ""


@strawberry.input(description="The whole definition. The purpose changes only while nobody uses the group.")
class ReviseCustomerGroupInput(GroupMembersInput):
    id: strawberry.ID = strawberry.ID("")
    expected_version: int | None = None
    purpose: Purpose | None = None
    name: str = ""
    description: str = ""


@strawberry.input(description="One group, optionally at the version that the caller has seen.")
class CustomerGroupInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.input(
    description="A group in one of its revisions, or a rule or list that is not recorded. dataFrom to dataTo"
    " (exclusive) is the timeframe of the extraction, for rules that follow it."
)
class PreviewCustomerGroupInput(GroupMembersInput):
    business_date: date = strawberry.field(description="The day that the data is looked at as of.")
    id: strawberry.ID | None = None
    revision: int | None = None
    data_from: date | None = None
    data_to: date | None = None


@strawberry.type
class CustomerGroupPayload(Payload):
    customer_group: CustomerGroup | None = payload("subject")


@strawberry.type(description="Who would be in the group if it were extracted now.")
class CustomerGroupPreview:
    count: int | None = None
    sample: list[str] = strawberry.field(
        default_factory=list, description="At most 20 customer ids, masked in the middle."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list)


# --- Mutations ------------------------------------------------------------


async def _on_group(
    info: Info, verb: str, input: Any, use_case: Callable[[Work], UUID]
) -> CustomerGroupPayload:
    return await execute(info, CustomerGroupPayload, f"{verb}CustomerGroup", input, use_case, PROJECTIONS)


@strawberry.type
class CustomerGroupMutations:
    @strawberry.mutation(description="Define a group of one's own organisation unit.")
    async def define_customer_group(
        self, info: Info, input: DefineCustomerGroupInput
    ) -> CustomerGroupPayload:
        definition = _definition(input)
        return await _on_group(
            info,
            "define",
            input,
            lambda work: customer_groups.define(work, input.code, input.purpose, definition),
        )

    @strawberry.mutation(description="Give the whole definition anew: activities keep their revision.")
    async def revise_customer_group(
        self, info: Info, input: ReviseCustomerGroupInput
    ) -> CustomerGroupPayload:
        key, definition = key_of("cg", input.id), _definition(input)
        return await _on_group(
            info, "revise", input, lambda work: customer_groups.revise(work, key, input.purpose, definition)
        )

    @strawberry.mutation(description="Retire it: no activity can choose it any more.")
    async def retire_customer_group(self, info: Info, input: CustomerGroupInput) -> CustomerGroupPayload:
        key = key_of("cg", input.id)
        return await _on_group(info, "retire", input, lambda work: customer_groups.retire(work, key))

    @strawberry.mutation(description="Delete it; its history stays. Refused while an activity needs it.")
    async def delete_customer_group(self, info: Info, input: CustomerGroupInput) -> CustomerGroupPayload:
        key = key_of("cg", input.id)
        return await _on_group(info, "delete", input, lambda work: customer_groups.delete(work, key))


def _definition(input: DefineCustomerGroupInput | ReviseCustomerGroupInput) -> Definition:
    return Definition(input.name.strip(), input.description, _rule(input.rule), _members(input.members))


def _members(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _rule(given: GroupRuleInput | None) -> Rule | None:
    if given is None:
        return None
    return Rule(
        all_of=_rules(given.all_of),
        any_of=_rules(given.any_of),
        negated=_rule(given.negated),
        condition=_condition(given.condition),
    )


def _rules(given: list[GroupRuleInput] | None) -> tuple[Rule, ...] | None:
    return None if given is None else tuple(rule for one in given if (rule := _rule(one)) is not None)


def _condition(given: GroupConditionInput | None) -> Condition | None:
    if given is None:
        return None
    chosen = given.transactions
    transactions = None
    if chosen is not None:
        window = chosen.window or GroupWindowInput()
        transactions = Transactions(
            Window(window.days, window.starts_on, window.ends_on),
            tuple(chosen.category_in),
            tuple(chosen.channel_in),
            chosen.currency,
        )
    return Condition(given.dimension, given.comparison, tuple(given.values), transactions)


# --- Preview --------------------------------------------------------------


@strawberry.type
class CustomerGroupQueries:
    @strawberry.field(description="How many customers a group has on the data of today, and some of them.")
    async def preview_customer_group(
        self, info: Info, input: PreviewCustomerGroupInput
    ) -> CustomerGroupPreview:
        context = info.context
        require(Permission.GROUPS_PREVIEW, context)
        if context.engine is None:
            raise _failed(context, "UNAVAILABLE", "unavailable")
        try:
            query = await to_thread.run_sync(_query, context, input)
            with _turn(context):
                found = await to_thread.run_sync(customer_groups.preview, context.engine, query)
        except Refused as refused:
            faults = [user_error(fault, context.language) for fault in refused.faults]
            return CustomerGroupPreview(user_errors=faults)
        except RunFailed as failed:
            raise _failed(context, "PREVIEW_FAILED", "preview_failed", reason=failed.code.value) from None
        return CustomerGroupPreview(count=found.count, sample=list(found.sample))


_under_way: set[object] = set()


@contextmanager
def _turn(context: Context) -> Iterator[None]:
    """One of the few previews that this process makes at a time. Raise GraphQLError beyond that."""
    if len(_under_way) >= PREVIEWS_AT_ONCE_MAX:
        raise _failed(context, "PREVIEWS_BUSY", "previews_busy", most=str(PREVIEWS_AT_ONCE_MAX))
    turn = object()
    _under_way.add(turn)
    try:
        yield
    finally:
        _under_way.remove(turn)


def _query(context: Context, input: PreviewCustomerGroupInput) -> Query:
    handler = context.handler
    work = handler.look(context.principal)
    extraction = Extraction(input.business_date, input.data_from, input.data_to)
    if input.id is None:
        return customer_groups.draft_query(work, _rule(input.rule), _members(input.members), extraction)
    if input.rule is not None or input.members is not None:
        raise Refused.because(GroupRefusal.MEMBERSHIP_UNCLEAR)
    return customer_groups.recorded_query(work, key_of("cg", input.id), input.revision, extraction)


def _failed(context: Context, code: str, sentence: str, **values: str) -> GraphQLError:
    return GraphQLError(message(sentence, values, context.language), extensions={"code": code})
