"""Erasures in GraphQL: asked for, listed, taken back; decided as any approval is; done by a worker."""

from datetime import datetime
from enum import StrEnum

import strawberry

from api.approvals import Approval
from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.values import Int64
from api.planner.views import Connection, Node, column, many, one, payload, ref, view
from application import erasures
from domain.erasures import PersonKind

PROJECTIONS = ("erasures", "approvals", "timeline")

strawberry.enum(
    PersonKind, name="PersonKind", description="CUSTOMER: by his number. USER: by his account's name."
)


@strawberry.enum(
    description="How far an erasure is. APPROVED: a worker is at it, or waits until points on their way have"
    " arrived. COMPLETED: nobody can undo it."
)
class ErasureStatus(StrEnum):
    IN_APPROVAL = "in_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    COMPLETED = "completed"


@view(
    "read.erasures",
    versions="read.erasure_versions",
    prefix="er",
    kind="erasure",
    scope="org_unit",
    permission="persons.read",
    order=("requested_at",),
    description="A person who is to be forgotten, or was: who asked why, who allowed it.",
)
class Erasure(Node):
    version: int
    revision: int
    org_unit: str
    kind: PersonKind
    person: str | None = column(
        description="The customer's number or the account's name; null once he is erased."
    )
    status: ErasureStatus
    reason: str
    requested_by: str
    requested_at: datetime
    decision_reason: str | None = column(description="Why it was rejected.")
    decided_by: str | None
    decided_at: datetime | None
    completed_at: datetime | None
    rows_erased: Int64 | None = column(description="Rows of warehouse and results that went with him.")
    files_changed: Int64 | None
    changed_at: datetime
    changed_by: str
    approval_id: strawberry.ID = ref("approval_id", "apr")
    approval: Approval | None = one("approval_id")
    history: Connection[HistoryEntry] = many("stream_id", description="Its own events, oldest first.")


@strawberry.input(description="Who is to be forgotten, and why. Write no name into the reason: it stays.")
class RequestErasureInput:
    kind: PersonKind
    person: str = strawberry.field(
        description="The customer's number, or the account's name of a user who is disabled."
    )
    reason: str


@strawberry.input(description="The request that is taken back.")
class WithdrawErasureInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.type
class ErasurePayload(Payload):
    erasure: Erasure | None = payload("subject")


@strawberry.type
class ErasureMutations:
    @strawberry.mutation(
        description="Ask that a person be erased for good: another one must allow it."
        " docs/personal-data.md tells what goes and what stays."
    )
    async def request_erasure(self, info: Info, input: RequestErasureInput) -> ErasurePayload:
        keeper = info.context.persons
        assert keeper is not None, "an API has the keys of persons"
        return await execute(
            info,
            ErasurePayload,
            "requestErasure",
            input,
            lambda work: erasures.request(
                work, keeper, PersonKind(input.kind), input.person.strip(), input.reason
            ),
            PROJECTIONS,
        )

    @strawberry.mutation(description="Take one's request back, before anybody has decided.")
    async def withdraw_erasure(self, info: Info, input: WithdrawErasureInput) -> ErasurePayload:
        key = key_of("er", input.id)
        return await execute(
            info,
            ErasurePayload,
            "withdrawErasure",
            input,
            lambda work: erasures.withdraw(work, key),
            PROJECTIONS,
        )
