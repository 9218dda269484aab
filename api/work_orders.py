"""Work orders in GraphQL: content, life, who is to act now, and everything that happened to them."""

from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import strawberry

from api.activities import Activity
from api.approvals import Approval
from api.cancellations import CancellationRequest
from api.commands import Payload, execute, key_of
from api.context import Info
from api.customer_groups import CustomerGroup
from api.departments import Department
from api.history import HistoryEntry
from api.planner.values import Int64
from api.planner.views import (
    Connection,
    Node,
    column,
    composed,
    computed,
    many,
    one,
    payload,
    ref,
    struct,
    view,
)
from api.segment_definitions import SegmentDefinition
from api.segment_runs import SegmentRun
from application import work_orders
from application.activities import Chosen
from application.shared.work import Work
from application.work_orders import ContentEntry
from domain import work_order_contents
from domain.work_order_contents import Kind, Priority

PROJECTIONS = ("work_orders", "approvals", "timeline")

WorkOrderKind = strawberry.enum(
    Kind, name="WorkOrderKind", description="For an activity itself, or for the evaluation of one."
)
WorkOrderPriority = strawberry.enum(
    Priority, name="WorkOrderPriority", description="How pressing it is; the order of execution is by time."
)


@strawberry.enum(description="Where a work order is in its life; a pending or rejecting stage is named.")
class WorkOrderStatus(StrEnum):
    DRAFT = "draft"
    PENDING_RESEARCH = "pending_research"
    PENDING_TECHNOLOGY = "pending_technology"
    RESEARCH_REJECTED = "research_rejected"
    TECHNOLOGY_REJECTED = "technology_rejected"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    EXECUTING = "executing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLATION_PENDING = "cancellation_pending"
    CANCELLED = "cancelled"


@strawberry.enum(description="Who is to act now.")
class WorkOrderActor(StrEnum):
    REQUESTER = "requester"
    RESEARCH = "research"
    TECHNOLOGY = "technology"
    SYSTEM = "system"
    CANCELLATION_APPROVER = "cancellation_approver"


@strawberry.enum(description="What is to be done next.")
class WorkOrderStep(StrEnum):
    SUBMIT = "submit"
    REVISE = "revise"
    DECIDE = "decide"
    SCHEDULE = "schedule"
    START = "start"
    FINISH = "finish"
    RETRY = "retry"
    DECIDE_CANCELLATION = "decide_cancellation"


@struct
class DataTimeframe:
    """The days whose data is looked at: dataFrom is the first, dataTo the day after the last."""

    data_from: date
    data_to: date


@view(
    "read.work_orders",
    versions="read.work_order_versions",
    prefix="wo",
    scope="org_unit",
    permission="records.read",
    order=("created_at",),
    description="An order of a department to pick customers, for an activity or its evaluation.",
)
class WorkOrder(Node):
    version: int
    revision: int
    number: str
    kind: WorkOrderKind  # type: ignore[valid-type]
    org_unit: str
    status: WorkOrderStatus
    awaiting: WorkOrderActor | None = column(description="Who is to act now; null when all is done.")
    next_step: WorkOrderStep | None = column(description="What he is to do.")
    status_since: datetime
    closed_at: datetime | None
    elapsed_s: Int64 = computed(
        "extract(epoch from coalesce({row}.closed_at, {now}) - {row}.created_at)::bigint",
        description="Seconds since it was drafted, until it was completed or cancelled.",
    )
    elapsed_in_status_s: Int64 = computed(
        "extract(epoch from coalesce({row}.closed_at, {now}) - {row}.status_since)::bigint",
        description="Seconds since it came into its status; 0 where it stays.",
    )
    name: str
    activity_id: strawberry.ID = ref("activity_id", "act")
    activity_revision: int
    activity: Activity | None = one("activity_id")
    customer_group_id: strawberry.ID = ref("customer_group_id", "cg")
    customer_group_revision: int
    customer_group: CustomerGroup | None = one("customer_group_id")
    segmentation_rules: str
    execution_at: datetime
    requester: str
    department_id: strawberry.ID = ref("department_id", "dp")
    department_revision: int
    department: Department | None = one("department_id")
    output_fields: list[str]
    priority: WorkOrderPriority  # type: ignore[valid-type]
    data_timeframe: DataTimeframe | None = composed(
        "data_from", {"data_from": "data_from", "data_to": "data_to"}
    )
    remark: str
    submitted_at: datetime | None
    submitted_by: str | None
    approved_at: datetime | None
    definition_id: strawberry.ID | None = ref("definition_id", "sd")
    definition_revision: int | None
    definition: SegmentDefinition | None = one("definition_id")
    definitions: Connection[SegmentDefinition] = many(
        "work_order_id", description="Every definition that was made for it."
    )
    scheduled_at: datetime | None
    scheduled_by: str | None
    run_id: strawberry.ID | None = ref("run_id", "sr", description="Its latest run.")
    run: SegmentRun | None = one("run_id")
    runs: Connection[SegmentRun] = many("work_order_id", description="Every run for it.")
    executions: int = column(description="How many runs it has had.")
    started_at: datetime | None
    ended_at: datetime | None
    points_job_id: strawberry.ID | None = ref("points_job_id", "pj")
    failure_code: str | None
    former_status: WorkOrderStatus | None = column(
        description="Where a rejection or withdrawal of the pending cancellation leads back to."
    )
    reason: str | None = column(
        description="Why it was last rejected, or why its cancellation was asked for."
    )
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    approval_id: strawberry.ID | None = ref("approval_id", "apr")
    approval: Approval | None = one("approval_id")
    approvals: Connection[Approval] = many(
        "subject_id", description="Every approval that was ever asked for."
    )
    cancellation_id: strawberry.ID | None = ref("cancellation_id", "cr")
    cancellation: CancellationRequest | None = one("cancellation_id")
    cancellations: Connection[CancellationRequest] = many(
        "work_order_id", description="Every request to cancel it."
    )
    history: Connection[HistoryEntry] = many("stream_id", description="Its own events, oldest first.")
    timeline: Connection[HistoryEntry] = many(
        array="related_ids",
        description="Its own events and those of its approvals, cancellations, definitions and runs.",
    )


# --- Inputs and payloads --------------------------------------------------


@strawberry.input(description="Half-open: dataFrom is the first day, dataTo the day after the last.")
class DataTimeframeInput:
    data_from: date
    data_to: date


@strawberry.input(
    description="The whole content. …Revision: the revision that you saw; refused if there is a newer one."
    " Without a requester it is who sends it."
)
class WorkOrderContentInput:
    name: str = ""
    activity_id: strawberry.ID | None = None
    activity_revision: int | None = None
    customer_group_id: strawberry.ID | None = None
    customer_group_revision: int | None = None
    segmentation_rules: str = ""
    execution_at: datetime | None = None
    requester: str = ""
    department_id: strawberry.ID | None = None
    department_revision: int | None = None
    output_fields: list[str] = strawberry.field(default_factory=list)
    priority: WorkOrderPriority = Priority.NORMAL  # type: ignore[valid-type]
    data_timeframe: DataTimeframeInput | None = None
    remark: str = ""


@strawberry.input(
    description="A new work order; the activity, the group and the department are pinned as they are now."
)
class DraftWorkOrderInput(WorkOrderContentInput):
    kind: WorkOrderKind = Kind.ACTIVITY  # type: ignore[valid-type]


@strawberry.input(description="The whole content anew.")
class ReviseWorkOrderInput(WorkOrderContentInput):
    id: strawberry.ID = strawberry.ID("")
    expected_version: int | None = None


@strawberry.input(description="One work order, optionally at the version that the caller has seen.")
class WorkOrderInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.input(description="The definition was made for this work order, and is approved.")
class ScheduleWorkOrderInput:
    id: strawberry.ID
    definition_id: strawberry.ID
    expected_version: int | None = None


@strawberry.type
class WorkOrderPayload(Payload):
    work_order: WorkOrder | None = payload("subject")


# --- Mutations ------------------------------------------------------------


async def _on_work_order(
    info: Info, verb: str, input: Any, use_case: Callable[[Work], UUID]
) -> WorkOrderPayload:
    return await execute(info, WorkOrderPayload, f"{verb}WorkOrder", input, use_case, PROJECTIONS)


@strawberry.type
class WorkOrderMutations:
    @strawberry.mutation(description="Draft a work order of one's own organisation unit; it gets its number.")
    async def draft_work_order(self, info: Info, input: DraftWorkOrderInput) -> WorkOrderPayload:
        content = _content(input)
        return await _on_work_order(
            info, "draft", input, lambda work: work_orders.draft(work, input.kind, content)
        )

    @strawberry.mutation(description="Give the whole content anew; an approval under way or given is void.")
    async def revise_work_order(self, info: Info, input: ReviseWorkOrderInput) -> WorkOrderPayload:
        key, content = key_of("wo", input.id), _content(input)
        return await _on_work_order(
            info, "revise", input, lambda work: work_orders.revise(work, key, content)
        )

    @strawberry.mutation(description="Ask for the approval of the current revision.")
    async def submit_work_order(self, info: Info, input: WorkOrderInput) -> WorkOrderPayload:
        key = key_of("wo", input.id)
        return await _on_work_order(info, "submit", input, lambda work: work_orders.submit(work, key))

    @strawberry.mutation(description="Take a submission back; its approval is void.")
    async def withdraw_work_order(self, info: Info, input: WorkOrderInput) -> WorkOrderPayload:
        key = key_of("wo", input.id)
        return await _on_work_order(info, "withdraw", input, lambda work: work_orders.withdraw(work, key))

    @strawberry.mutation(description="Schedule an approved work order; from its execution time it is due.")
    async def schedule_work_order(self, info: Info, input: ScheduleWorkOrderInput) -> WorkOrderPayload:
        key, definition = key_of("wo", input.id), key_of("sd", input.definition_id)
        return await _on_work_order(
            info, "schedule", input, lambda work: work_orders.schedule(work, key, definition)
        )

    @strawberry.mutation(description="Schedule a failed work order again: it is due at once.")
    async def retry_work_order(self, info: Info, input: WorkOrderInput) -> WorkOrderPayload:
        key = key_of("wo", input.id)
        return await _on_work_order(info, "retry", input, lambda work: work_orders.retry(work, key))


def _content(input: WorkOrderContentInput) -> ContentEntry:
    timeframe = input.data_timeframe
    return ContentEntry(
        name=input.name,
        activity=_chosen("act", input.activity_id, input.activity_revision),
        customer_group=_chosen("cg", input.customer_group_id, input.customer_group_revision),
        segmentation_rules=input.segmentation_rules,
        execution_at=input.execution_at,
        requester=input.requester,
        department=_chosen("dp", input.department_id, input.department_revision),
        output_fields=tuple(input.output_fields),
        priority=input.priority,
        data_timeframe=None
        if timeframe is None
        else work_order_contents.DataTimeframe(timeframe.data_from, timeframe.data_to),
        remark=input.remark,
    )


def _chosen(prefix: str, id_: str | None, revision_seen: int | None) -> Chosen | None:
    return None if id_ is None else Chosen(key_of(prefix, id_), revision_seen)
