"""Approvals in GraphQL: the inbox across departments, and the two verdicts."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.views import Connection, Node, choice, column, many, one, payload, ref, struct, view
from application import approvals
from application.approvals import Seen
from domain.approvals import Level

if TYPE_CHECKING:
    from api.activities import Activity
    from api.cancellations import CancellationRequest
    from api.work_orders import WorkOrder

PROJECTIONS = (
    "approvals",
    "activities",
    "work_orders",
    "cancellations",
    "erasures",
    "segment_definitions",
    "timeline",
)

ApprovalLevel = strawberry.enum(Level, name="ApprovalLevel", description="Who judges: in this order.")


@strawberry.enum(description="How far an approval is, and which stage rejected.")
class ApprovalStatus(StrEnum):
    PENDING_RESEARCH = "pending_research"
    PENDING_TECHNOLOGY = "pending_technology"
    RESEARCH_REJECTED = "research_rejected"
    TECHNOLOGY_REJECTED = "technology_rejected"
    APPROVED = "approved"
    VOIDED = "voided"


@strawberry.enum(description="The viewer's approvals: to decide, decided by him, asked for by him.")
class InboxBox(StrEnum):
    TODO = "todo"
    DONE = "done"
    MINE = "mine"


@struct
class ApprovalDecision:
    """One level's word on the revision that it saw."""

    level: ApprovalLevel  # type: ignore[valid-type]
    verdict: str
    by: str
    at: datetime
    comment: str
    revision: int


@view(
    "read.approvals",
    versions="read.approval_versions",
    prefix="apr",
    scope="org_unit",
    permission="records.read",
    order=("requested_at",),
    description="A request for approval of one revision of one subject, pinned to what was seen.",
)
class Approval(Node):
    version: int
    subject_kind: str = column(
        description="activity, work_order, cancellation, segment_definition, webhook_endpoint or"
        " erasure: the type of `subject`."
    )
    subject_label: str = column(description="What people call it: its code or number.")
    subject_revision: int
    content_hash: str
    org_unit: str
    status: ApprovalStatus
    awaiting: ApprovalLevel | None  # type: ignore[valid-type]
    requested_by: str
    makers: list[str] = column(description="Who wrote what is to be approved: none of them may approve it.")
    requested_at: datetime
    decide_by: datetime
    decided_by: list[str]
    decisions: list[ApprovalDecision]
    reason: str | None
    closed_at: datetime | None
    subject: Node | None = one("subject_id", kind="subject_kind", description="What is to be approved.")
    activity: Annotated["Activity", strawberry.lazy("api.activities")] | None = one("activity_id")
    activity_id: strawberry.ID | None = ref(
        "activity_id", "act", description="Null where something else than an activity is to be approved."
    )
    work_order: Annotated["WorkOrder", strawberry.lazy("api.work_orders")] | None = one("subject_id")
    cancellation_request: Annotated["CancellationRequest", strawberry.lazy("api.cancellations")] | None = one(
        "subject_id"
    )
    history: Connection[HistoryEntry] = many("stream_id", description="Every event, oldest first.")


INBOX = choice(
    InboxBox,
    {
        InboxBox.TODO: "{row}.awaiting = any({viewer.levels}) and {row}.requested_by <> {viewer.user}"
        " and not {viewer.user} = any({row}.makers || {row}.decided_by)",
        InboxBox.DONE: "{viewer.user} = any({row}.decided_by)",
        InboxBox.MINE: "{row}.requested_by = {viewer.user}",
    },
)


@strawberry.input(
    description="A verdict upon what was seen: revision and contentHash as the approval shows them."
)
class ApproveInput:
    id: strawberry.ID
    level: ApprovalLevel  # type: ignore[valid-type]
    revision: int
    content_hash: str
    comment: str = ""
    expected_version: int | None = None


@strawberry.input(description="A rejection, with its reason.")
class RejectInput:
    id: strawberry.ID
    level: ApprovalLevel  # type: ignore[valid-type]
    revision: int
    content_hash: str
    reason: str
    expected_version: int | None = None


@strawberry.type
class ApprovalPayload(Payload):
    approval: Approval | None = payload("subject")


@strawberry.type
class ApprovalMutations:
    @strawberry.mutation(description="One level's yes; after the last one the subject is approved.")
    async def approve(self, info: Info, input: ApproveInput) -> ApprovalPayload:
        key, seen = key_of("apr", input.id), _seen(input)
        return await execute(
            info,
            ApprovalPayload,
            "approve",
            input,
            lambda work: approvals.approve(work, key, seen, input.comment),
            PROJECTIONS,
        )

    @strawberry.mutation(description="One level's no: the subject goes back to its maker.")
    async def reject(self, info: Info, input: RejectInput) -> ApprovalPayload:
        key, seen = key_of("apr", input.id), _seen(input)
        return await execute(
            info,
            ApprovalPayload,
            "reject",
            input,
            lambda work: approvals.reject(work, key, seen, input.reason),
            PROJECTIONS,
        )


def _seen(input: Any) -> Seen:
    return Seen(input.level, input.revision, input.content_hash)
