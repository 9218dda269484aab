"""Delegations in GraphQL: a unit lets somebody of another do some of its work for a time, in its name."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.views import Connection, Node, column, computed, many, payload, view
from api.users import told
from application import delegations
from application.shared.work import Work
from domain.delegations import Task

PROJECTIONS = ("delegations", "timeline")

strawberry.enum(Task, name="DelegatedTask", description="Work that one unit can let another do.")


@view(
    "read.delegations",
    versions="read.delegation_versions",
    prefix="de",
    scope="org_unit",
    permission="records.read",
    order=("ends_at",),
    description="What is done by it bears the unit's name as onBehalfOf, beside the person's.",
)
class Delegation(Node):
    version: int
    org_unit: str = column(description="The unit whose work it is.")
    delegate: str = column(description="The user who does it; he names the unit in X-Acting-For.")
    tasks: list[Task]
    starts_at: datetime
    ends_at: datetime = column(description="It ends by itself then.")
    is_ended: bool = column(description="Whether somebody ended it before its time.")
    is_in_force: bool = computed("{row}.starts_at <= {now} and {now} < {row}.ends_at")
    reason: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@strawberry.input(description="Whose work is done by whom, and until when.")
class DelegateInput:
    org_unit: str = strawberry.field(description="One's own unit; for head office any.")
    delegate: str = strawberry.field(description="The user's name, as his token says it.")
    tasks: list[Task]
    ends_at: datetime = strawberry.field(description="At most 366 days ahead.")
    reason: str


@strawberry.input(description="The delegation that ends now.")
class EndDelegationInput:
    id: strawberry.ID
    reason: str = ""
    expected_version: int | None = None


@strawberry.type
class DelegationPayload(Payload):
    delegation: Delegation | None = payload("subject")


async def _on_delegation(
    info: Info, operation: str, input: Any, use_case: Callable[[Work], UUID]
) -> DelegationPayload:
    answered = await execute(info, DelegationPayload, operation, input, use_case, PROJECTIONS)
    await told(info, answered)
    return answered


@strawberry.type
class DelegationMutations:
    @strawberry.mutation(description="Let somebody of another unit do some of this unit's work.")
    async def delegate(self, info: Info, input: DelegateInput) -> DelegationPayload:
        return await _on_delegation(
            info,
            "delegate",
            input,
            lambda work: delegations.delegate(
                work, input.org_unit, input.delegate, tuple(input.tasks), input.ends_at, input.reason
            ),
        )

    @strawberry.mutation(description="End a delegation before its time.")
    async def end_delegation(self, info: Info, input: EndDelegationInput) -> DelegationPayload:
        key = key_of("de", input.id)
        return await _on_delegation(
            info, "endDelegation", input, lambda work: delegations.end(work, key, input.reason)
        )
