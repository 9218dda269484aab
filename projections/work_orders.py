"""Work orders as lists and pages show them: one row each, with who is to act now and what comes next."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain import approvals, work_orders
from domain import work_order_executions as executions
from domain.work_order_contents import Content
from projections.shared.rows import RowProjection, altered, changed, created, given


@dataclass(frozen=True)
class WorkOrderRow:
    """`version` is the work order's own: an approval that moves `status` on leaves it.

    `awaiting` is who is to act now and `next_step` what he is to do, both None when all is done.
    `former_status` is where a pending cancellation would lead back to. `reason` is why it was last rejected
    or its cancellation was asked for, `failure_code` why its run last failed. `executions` counts its runs.
    """

    id: UUID
    version: int
    revision: int
    number: str
    kind: str
    org_unit: str
    status: str
    awaiting: str | None
    next_step: str | None
    status_since: datetime
    closed_at: datetime | None
    name: str
    activity_id: UUID
    activity_revision: int
    customer_group_id: UUID
    customer_group_revision: int
    segmentation_rules: str
    execution_at: datetime
    requester: str
    department_id: UUID
    department_revision: int
    output_fields: tuple[str, ...]
    priority: str
    data_from: date | None
    data_to: date | None
    remark: str
    approval_id: UUID | None
    submitted_at: datetime | None
    submitted_by: str | None
    approved_at: datetime | None
    definition_id: UUID | None
    definition_revision: int | None
    scheduled_at: datetime | None
    scheduled_by: str | None
    run_id: UUID | None
    executions: int
    started_at: datetime | None
    ended_at: datetime | None
    points_job_id: UUID | None
    failure_code: str | None
    cancellation_id: UUID | None
    former_status: str | None
    reason: str | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


NOT_SUBMITTED: dict[str, Any] = {
    "approval_id": None,
    "submitted_at": None,
    "submitted_by": None,
    "approved_at": None,
}
NOT_EXECUTED: dict[str, Any] = {
    "definition_id": None,
    "definition_revision": None,
    "scheduled_at": None,
    "scheduled_by": None,
    "run_id": None,
    "executions": 0,
    "started_at": None,
    "ended_at": None,
    "points_job_id": None,
    "failure_code": None,
    "cancellation_id": None,
    "former_status": None,
}
TURNS: dict[str, tuple[str | None, str | None]] = {
    "draft": ("requester", "submit"),
    "pending_research": ("research", "decide"),
    "pending_technology": ("technology", "decide"),
    "research_rejected": ("requester", "revise"),
    "technology_rejected": ("requester", "revise"),
    "approved": ("technology", "schedule"),
    "scheduled": ("system", "start"),
    "executing": ("system", "finish"),
    "completed": (None, None),
    "failed": ("technology", "retry"),
    "cancellation_pending": ("cancellation_approver", "decide_cancellation"),
    "cancelled": (None, None),
}
"""Status to who is to act now, and what he is to do."""


def key(record: Record[Any]) -> UUID | None:
    """The work order itself, or the one that the approval is about."""
    if record.stream_type == work_orders.DECIDER.stream_type:
        return record.stream_id
    subject: approvals.Subject = record.event.subject
    return subject.id if subject.kind == work_orders.DECIDER.stream_type else None


def sources(record: Record[Any]) -> tuple[UUID, ...]:
    """The approval that a content was submitted to."""
    match record.event:
        case work_orders.WorkOrderSubmitted(approval=approval):
            return (approval,)
    return ()


def project(
    row: WorkOrderRow | None, record: Record[work_orders.Event | approvals.Event]
) -> WorkOrderRow | None:
    match record.event:
        case (
            approvals.ApprovalOpened()
            | approvals.ApprovalPassed()
            | approvals.ApprovalGranted()
            | approvals.ApprovalRejected()
            | approvals.ApprovalVoided()
        ):
            return _awaiting(row, record, record.event)
        case work_orders.WorkOrderDrafted():
            return _drafted(record, record.event)
        case _:
            known = given(row)
            columns = _columns(known, record, record.event)
            return altered(known, version=record.version, **changed(record), **columns)


def _drafted(record: Record[Any], drafted: work_orders.WorkOrderDrafted) -> WorkOrderRow:
    return WorkOrderRow(
        id=record.stream_id,
        version=record.version,
        revision=1,
        number=drafted.number,
        kind=drafted.kind.value,
        org_unit=drafted.org_unit,
        reason=None,
        **_stands(record, "draft"),
        **NOT_SUBMITTED,
        **NOT_EXECUTED,
        **_content(drafted.content),
        **created(record),
        **changed(record),
    )


def _columns(
    row: WorkOrderRow,
    record: Record[Any],
    event: work_orders.WorkOrderRevised
    | work_orders.WorkOrderSubmitted
    | work_orders.WorkOrderWithdrawn
    | work_orders.WorkOrderApproved
    | work_orders.WorkOrderRejected
    | work_orders.WorkOrderCancellationRequested
    | work_orders.WorkOrderCancelled
    | work_orders.WorkOrderRestored
    | executions.Event,
) -> dict[str, Any]:
    """What the work order's own event changes."""
    match event:
        case work_orders.WorkOrderRevised(revision=revision, content=content):
            return {"revision": revision, **_stands(record, "draft"), **NOT_SUBMITTED, **_content(content)}
        case work_orders.WorkOrderSubmitted(approval=approval, by=by, level=level):
            submitted = {"submitted_at": record.recorded_at, "submitted_by": by}
            stands = _stands(record, f"pending_{level}")
            return {**stands, "approval_id": approval, "reason": None, **submitted}
        case work_orders.WorkOrderWithdrawn():
            return {**_stands(record, "draft"), **NOT_SUBMITTED}
        case work_orders.WorkOrderApproved():
            return {**_stands(record, "approved"), "approved_at": record.recorded_at}
        case work_orders.WorkOrderRejected(level=level, reason=reason):
            return {**_stands(record, f"{level}_rejected"), "reason": reason}
        case work_orders.WorkOrderCancellationRequested(cancellation=cancellation, reason=reason):
            former = {"former_status": row.status, "cancellation_id": cancellation}
            return {**_stands(record, "cancellation_pending"), **former, "reason": reason}
        case work_orders.WorkOrderCancelled():
            return {**_stands(record, "cancelled"), "former_status": None}
        case work_orders.WorkOrderRestored():
            return {**_stands(record, given(row.former_status)), "former_status": None, "reason": None}
        case _:
            return _executed(row, record, event)


def _executed(row: WorkOrderRow, record: Record[Any], event: executions.Event) -> dict[str, Any]:
    match event:
        case executions.WorkOrderScheduled(definition=definition, by=by):
            chosen = {"definition_id": definition.id, "definition_revision": definition.revision}
            at = {"scheduled_at": record.recorded_at, "scheduled_by": by}
            return {**_stands(record, "scheduled"), **chosen, **at}
        case executions.ExecutionStarted(run=run, attempt=attempt):
            run_of = {"run_id": run, "executions": attempt, "points_job_id": None, "failure_code": None}
            return {
                **_stands(record, "executing"),
                **run_of,
                "started_at": record.recorded_at,
                "ended_at": None,
            }
        case executions.PointsJobLinked(job=job):
            return {"points_job_id": job}
        case executions.WorkOrderCompleted():
            return {**_ended(row, record, "completed"), "ended_at": record.recorded_at}
        case executions.ExecutionFailed(code=code):
            ended = {"ended_at": record.recorded_at, "failure_code": code}
            return {**_ended(row, record, "failed"), **ended}
        case executions.WorkOrderRetried():
            return _stands(record, "scheduled")
        case _:
            assert_never(event)


def _stands(record: Record[Any], status: str) -> dict[str, Any]:
    awaiting, next_step = TURNS[status]
    return {
        "status": status,
        "awaiting": awaiting,
        "next_step": next_step,
        "status_since": record.recorded_at,
        "closed_at": None if awaiting else record.recorded_at,
    }


def _ended(row: WorkOrderRow, record: Record[Any], status: str) -> dict[str, Any]:
    """Under a pending cancellation a run's end only changes where a rejection leads back to."""
    if row.status == "cancellation_pending":
        return {"former_status": status}
    return _stands(record, status)


def _awaiting(row: WorkOrderRow | None, record: Record[Any], event: approvals.Event) -> WorkOrderRow | None:
    """The level whose word is awaited; verdicts come as the work order's own events."""
    if row is None or row.approval_id != record.stream_id:
        return row
    match event:
        case approvals.ApprovalOpened(levels=levels):
            level: str = levels[0]
        case approvals.ApprovalPassed(next_level=approvals.Level() as next_level):
            level = next_level
        case _:
            return row
    if row.status == "cancellation_pending":
        return altered(row, former_status=f"pending_{level}", **changed(record))
    return altered(row, **_stands(record, f"pending_{level}"), **changed(record))


def _content(content: Content) -> dict[str, Any]:
    timeframe = content.data_timeframe
    return {
        "name": content.name,
        "activity_id": content.activity.id,
        "activity_revision": content.activity.revision,
        "customer_group_id": content.customer_group.id,
        "customer_group_revision": content.customer_group.revision,
        "segmentation_rules": content.segmentation_rules,
        "execution_at": content.execution_at,
        "requester": content.requester,
        "department_id": content.department.id,
        "department_revision": content.department.revision,
        "output_fields": content.output_fields,
        "priority": content.priority.value,
        "data_from": timeframe.data_from if timeframe else None,
        "data_to": timeframe.data_to if timeframe else None,
        "remark": content.remark,
    }


WORK_ORDERS = RowProjection(
    name="work_orders",
    table="work_orders",
    row=WorkOrderRow,
    stream_types=frozenset({work_orders.DECIDER.stream_type, approvals.DECIDER.stream_type}),
    key=key,
    project=project,
    versions="work_order_versions",
    sources=sources,
)
