"""Requests for cancellation in GraphQL: asked for, listed, taken back; decided as any approval is."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.approvals import Approval, ApprovalLevel
from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.views import Connection, Node, column, many, one, payload, ref, view
from application import cancellations

if TYPE_CHECKING:
    from api.work_orders import WorkOrder

PROJECTIONS = ("cancellations", "work_orders", "approvals", "timeline")


@strawberry.enum(
    description="How far a request for cancellation is. RECALLING: all said yes, and its points file is being"
    " taken back. REFUSED: too late, the points system has taken the file."
)
class CancellationStatus(StrEnum):
    PENDING = "pending"
    RECALLING = "recalling"
    REFUSED = "refused"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@strawberry.enum(description="Where a work order stands when its cancellation may be asked for.")
class CancellableStatus(StrEnum):
    DRAFT = "draft"
    IN_APPROVAL = "in_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    SCHEDULED = "scheduled"
    EXECUTING = "executing"
    FAILED = "failed"


@view(
    "read.cancellations",
    versions="read.cancellation_versions",
    prefix="cr",
    kind="cancellation",
    scope="org_unit",
    permission="records.read",
    order=("requested_at",),
    description="A request to cancel a work order: who asked why, who decided why. It is never edited.",
)
class CancellationRequest(Node):
    version: int
    work_order_id: strawberry.ID = ref("work_order_id", "wo")
    work_order: Annotated["WorkOrder", strawberry.lazy("api.work_orders")] | None = one("work_order_id")
    work_order_number: str
    org_unit: str
    status: CancellationStatus
    awaiting: ApprovalLevel | None  # type: ignore[valid-type]
    former_status: CancellableStatus = column(
        description="Where the work order stood when its cancellation was asked for."
    )
    reason: str
    requested_by: str
    requested_at: datetime
    decision_reason: str | None = column(description="Why it was rejected, or the approver's comment.")
    decided_by: str | None
    decided_at: datetime | None
    closed_at: datetime | None
    points_file: str | None = column(description="The file that is recalled, or was taken already.")
    refusal: str | None = column(description="Why it came too late: points_file_taken.")
    changed_at: datetime
    changed_by: str
    approval_id: strawberry.ID = ref("approval_id", "apr")
    approval: Approval | None = one("approval_id")
    history: Connection[HistoryEntry] = many("stream_id", description="Its own events, oldest first.")
    timeline: Connection[HistoryEntry] = many(
        array="related_ids", description="Its own events and those of its approval, oldest first."
    )


@strawberry.input(description="expectedVersion is the work order's.")
class RequestCancellationInput:
    work_order_id: strawberry.ID
    reason: str
    expected_version: int | None = None


@strawberry.input(description="The request that is taken back.")
class WithdrawCancellationInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.type
class CancellationPayload(Payload):
    cancellation_request: CancellationRequest | None = payload("subject")


@strawberry.type
class CancellationMutations:
    @strawberry.mutation(description="Ask that a work order be cancelled; until the verdict it rests.")
    async def request_cancellation(self, info: Info, input: RequestCancellationInput) -> CancellationPayload:
        key = key_of("wo", input.work_order_id)
        return await execute(
            info,
            CancellationPayload,
            "requestCancellation",
            input,
            lambda work: cancellations.request(work, key, input.reason),
            PROJECTIONS,
        )

    @strawberry.mutation(description="Take one's request back: the work order is where it was.")
    async def withdraw_cancellation(
        self, info: Info, input: WithdrawCancellationInput
    ) -> CancellationPayload:
        key = key_of("cr", input.id)
        return await execute(
            info,
            CancellationPayload,
            "withdrawCancellation",
            input,
            lambda work: cancellations.withdraw(work, key),
            PROJECTIONS,
        )
