"""Requests for cancellation as their list shows them: who asked why, who decided why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain import approvals, cancellations
from projections.shared.rows import RowProjection, altered, changed, given


@dataclass(frozen=True)
class CancellationRow:
    """`awaiting` is the level whose word is asked, None when all is said. `former_status` is the work order's
    when it was asked for. `decision_reason` is why it was rejected, or the last approver's comment.
    `points_file` is the one that is recalled for it; `refusal` the code of why it came too late.
    """

    id: UUID
    version: int
    work_order_id: UUID
    work_order_number: str
    org_unit: str
    status: str
    awaiting: str | None
    former_status: str
    reason: str
    requested_by: str
    requested_at: datetime
    decision_reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    closed_at: datetime | None
    approval_id: UUID
    changed_at: datetime
    changed_by: str
    points_file: str | None = None
    refusal: str | None = None


def key(record: Record[Any]) -> UUID | None:
    """The request itself, or the one that the approval is about."""
    if record.stream_type == cancellations.DECIDER.stream_type:
        return record.stream_id
    subject: approvals.Subject = record.event.subject
    return subject.id if subject.kind == cancellations.DECIDER.stream_type else None


def sources(record: Record[Any]) -> tuple[UUID, ...]:
    match record.event:
        case cancellations.CancellationRequested(approval=approval):
            return (approval,)
    return ()


def project(
    row: CancellationRow | None, record: Record[cancellations.Event | approvals.Event]
) -> CancellationRow | None:
    event = record.event
    match event:
        case cancellations.CancellationRequested():
            return _requested(record, event)
        case cancellations.CancellationApproved(by=by):
            return _closed(row, record, "approved", decided_by=by, decided_at=record.recorded_at)
        case cancellations.CancellationRecallBegun(file_name=file_name, by=by):
            decided = {"decided_by": by, "decided_at": record.recorded_at, "points_file": file_name}
            recalling = {"status": "recalling", "awaiting": None, "version": record.version}
            return altered(given(row), **recalling, **decided, **changed(record))
        case cancellations.CancellationRefused(code=code):
            return _closed(row, record, "refused", refusal=code)
        case cancellations.CancellationRejected(reason=reason, by=by):
            decided = {"decided_by": by, "decided_at": record.recorded_at, "decision_reason": reason}
            return _closed(row, record, "rejected", **decided)
        case cancellations.CancellationWithdrawn():
            return _closed(row, record, "withdrawn")
        case approvals.ApprovalPassed(next_level=next_level, comment=comment):
            awaiting = next_level and next_level.value
            return altered(given(row), awaiting=awaiting, decision_reason=comment or None, **changed(record))
        case (
            approvals.ApprovalOpened()
            | approvals.ApprovalGranted()
            | approvals.ApprovalRejected()
            | approvals.ApprovalVoided()
        ):
            return row
        case _:
            assert_never(event)


def _requested(record: Record[Any], requested: cancellations.CancellationRequested) -> CancellationRow:
    return CancellationRow(
        id=record.stream_id,
        version=record.version,
        work_order_id=requested.work_order.id,
        work_order_number=requested.work_order.number,
        org_unit=requested.org_unit,
        status="pending",
        awaiting=requested.level,
        former_status=requested.work_order.status,
        reason=requested.reason,
        requested_by=requested.by,
        requested_at=record.recorded_at,
        decision_reason=None,
        decided_by=None,
        decided_at=None,
        closed_at=None,
        approval_id=requested.approval,
        **changed(record),
    )


def _closed(row: CancellationRow | None, record: Record[Any], status: str, **columns: Any) -> CancellationRow:
    ended = {"status": status, "awaiting": None, "closed_at": record.recorded_at}
    return altered(given(row), version=record.version, **ended, **columns, **changed(record))


CANCELLATIONS = RowProjection(
    name="cancellations",
    table="cancellations",
    versions="cancellation_versions",
    row=CancellationRow,
    stream_types=frozenset({cancellations.DECIDER.stream_type, approvals.DECIDER.stream_type}),
    key=key,
    project=project,
    sources=sources,
)
