"""Catalogues in GraphQL: activity types as a tree, cost types as a list, and their maintenance."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import strawberry

from api.commands import Payload, execute, given, key_of
from api.context import Info
from api.history import HistoryEntry
from api.pasts import closure, tree
from api.planner.views import Connection, Node, computed, many, one, payload, ref, view
from application import catalogues
from application.shared.work import Work
from domain.catalogues import Details, Kind

PROJECTIONS = ("activity_types", "cost_types", "timeline")


@strawberry.enum(description="Whether an entry may be chosen.")
class EntryStatus(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


@view(
    "read.activity_types",
    versions="read.activity_type_versions",
    past=tree("read.activity_type_versions"),
    beside=closure("read.activity_type_closure", "read.activity_type_versions"),
    prefix="at",
    scope=None,
    permission="records.read",
    order=("sort_order", "name"),
    description="A node of the tree by which activities are classified.",
)
class ActivityType(Node):
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: EntryStatus
    effective_status: EntryStatus
    path: str
    depth: int
    parent_id: strawberry.ID | None = ref("parent_id", "at")
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    parent: Annotated["ActivityType", strawberry.lazy("api.catalogues")] | None = one("parent_id")
    children: Connection[Annotated["ActivityType", strawberry.lazy("api.catalogues")]] = many("parent_id")
    subtree: Connection[Annotated["ActivityType", strawberry.lazy("api.catalogues")]] = many(
        array="ancestor_ids", description="This node and everything below it."
    )
    activity_count: int = computed(
        "(select count(*) from {rows[read.activities]} a join {rows[read.activity_type_closure]} c"
        " on c.descendant_id = a.activity_type_id where c.ancestor_id = {row}.id"
        " and a.org_unit = any({viewer.units}))",
        description="Activities of this type and of the types below it, as far as the viewer sees them.",
    )
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@view(
    "read.cost_types",
    versions="read.cost_type_versions",
    prefix="ct",
    scope=None,
    permission="records.read",
    order=("sort_order", "name"),
    description="A kind of cost. Once anything refers to it, it can't be edited any more.",
)
class CostType(Node):
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: EntryStatus
    accounting_subject: str
    unit: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


# --- Inputs and payloads --------------------------------------------------


@strawberry.input(description="A new node of the tree of activity types.")
class AddActivityTypeInput:
    code: str
    name: str
    description: str = ""
    sort_order: int = 0
    parent_id: strawberry.ID | None = None


@strawberry.input(description="What is left out stays as it is; parentId null moves to the root.")
class ReviseActivityTypeInput:
    id: strawberry.ID
    expected_version: int | None = None
    name: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    sort_order: int | None = strawberry.UNSET
    parent_id: strawberry.ID | None = strawberry.UNSET


@strawberry.input(description="A new kind of cost.")
class AddCostTypeInput:
    code: str
    name: str
    accounting_subject: str
    unit: str
    description: str = ""
    sort_order: int = 0


@strawberry.input(description="What is left out stays as it is.")
class ReviseCostTypeInput:
    id: strawberry.ID
    expected_version: int | None = None
    name: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    sort_order: int | None = strawberry.UNSET
    accounting_subject: str | None = strawberry.UNSET
    unit: str | None = strawberry.UNSET


@strawberry.input(description="One entry, optionally at the version that the caller has seen.")
class EntryInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.type
class ActivityTypePayload(Payload):
    activity_type: ActivityType | None = payload("subject")


@strawberry.type
class CostTypePayload(Payload):
    cost_type: CostType | None = payload("subject")


# --- Mutations ------------------------------------------------------------


async def _on_activity_type(info: Info, verb: str, input: Any, use_case: Any) -> ActivityTypePayload:
    return await execute(info, ActivityTypePayload, f"{verb}ActivityType", input, use_case, PROJECTIONS)


async def _on_cost_type(info: Info, verb: str, input: Any, use_case: Any) -> CostTypePayload:
    return await execute(info, CostTypePayload, f"{verb}CostType", input, use_case, PROJECTIONS)


@strawberry.type
class CatalogueMutations:
    @strawberry.mutation(description="Add an activity type under a parent, or as a root.")
    async def add_activity_type(self, info: Info, input: AddActivityTypeInput) -> ActivityTypePayload:
        details = Details(input.name.strip(), input.description, input.sort_order)
        parent = None if input.parent_id is None else key_of("at", input.parent_id)

        def use_case(work: Work) -> UUID:
            return catalogues.add(work, Kind.ACTIVITY_TYPE, input.code, details, parent)

        return await _on_activity_type(info, "add", input, use_case)

    @strawberry.mutation(description="Edit name, description or order; move it elsewhere in the tree.")
    async def revise_activity_type(self, info: Info, input: ReviseActivityTypeInput) -> ActivityTypePayload:
        moves = input.parent_id is not strawberry.UNSET
        parent = key_of("at", input.parent_id) if moves and input.parent_id is not None else None
        change = catalogues.Change(
            _stripped(input.name),
            given(input.description),
            given(input.sort_order),
            None,
            None,
            moves,
            parent,
        )
        key = key_of("at", input.id)
        return await _on_activity_type(
            info, "revise", input, lambda work: catalogues.revise(work, Kind.ACTIVITY_TYPE, key, change)
        )

    @strawberry.mutation(description="Enable it; refused while an ancestor is disabled.")
    async def enable_activity_type(self, info: Info, input: EntryInput) -> ActivityTypePayload:
        key = key_of("at", input.id)
        return await _on_activity_type(
            info, "enable", input, lambda work: catalogues.enable(work, Kind.ACTIVITY_TYPE, key)
        )

    @strawberry.mutation(description="Disable it, and in effect everything below it.")
    async def disable_activity_type(self, info: Info, input: EntryInput) -> ActivityTypePayload:
        key = key_of("at", input.id)
        return await _on_activity_type(
            info, "disable", input, lambda work: catalogues.disable(work, Kind.ACTIVITY_TYPE, key)
        )

    @strawberry.mutation(description="Remove it; refused while it has children or activities.")
    async def remove_activity_type(self, info: Info, input: EntryInput) -> ActivityTypePayload:
        key = key_of("at", input.id)
        return await _on_activity_type(
            info, "remove", input, lambda work: catalogues.remove(work, Kind.ACTIVITY_TYPE, key)
        )

    @strawberry.mutation(description="Add a cost type.")
    async def add_cost_type(self, info: Info, input: AddCostTypeInput) -> CostTypePayload:
        attributes = {"accounting_subject": input.accounting_subject, "unit": input.unit}
        details = Details(input.name.strip(), input.description, input.sort_order, attributes)
        return await _on_cost_type(
            info, "add", input, lambda work: catalogues.add(work, Kind.COST_TYPE, input.code, details, None)
        )

    @strawberry.mutation(description="Edit a cost type that nothing refers to.")
    async def revise_cost_type(self, info: Info, input: ReviseCostTypeInput) -> CostTypePayload:
        named = {"accounting_subject": given(input.accounting_subject), "unit": given(input.unit)}
        attributes = {name: value for name, value in named.items() if value is not None}
        change = catalogues.Change(
            _stripped(input.name), given(input.description), given(input.sort_order), attributes
        )
        key = key_of("ct", input.id)
        return await _on_cost_type(
            info, "revise", input, lambda work: catalogues.revise(work, Kind.COST_TYPE, key, change)
        )

    @strawberry.mutation(description="Enable a cost type.")
    async def enable_cost_type(self, info: Info, input: EntryInput) -> CostTypePayload:
        key = key_of("ct", input.id)
        return await _on_cost_type(
            info, "enable", input, lambda work: catalogues.enable(work, Kind.COST_TYPE, key)
        )

    @strawberry.mutation(description="Disable a cost type: it can't be chosen any more.")
    async def disable_cost_type(self, info: Info, input: EntryInput) -> CostTypePayload:
        key = key_of("ct", input.id)
        return await _on_cost_type(
            info, "disable", input, lambda work: catalogues.disable(work, Kind.COST_TYPE, key)
        )

    @strawberry.mutation(description="Remove a cost type that nothing refers to.")
    async def remove_cost_type(self, info: Info, input: EntryInput) -> CostTypePayload:
        key = key_of("ct", input.id)
        return await _on_cost_type(
            info, "remove", input, lambda work: catalogues.remove(work, Kind.COST_TYPE, key)
        )


def _stripped(name: Any) -> str | None:
    found = given(name)
    return None if found is None else str(found).strip()
