"""Erasures as their list shows them: whom, why, who asked and who decided; never whom once it is done."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from application.shared.records import Record
from domain.erasures import (
    DECIDER,
    ErasureApproved,
    ErasureCompleted,
    ErasureRejected,
    ErasureRequested,
    ErasureWithdrawn,
    Event,
)
from projections.shared.rows import RowProjection, altered, changed, given, own_stream


@dataclass(frozen=True)
class ErasureRow:
    """`person` is None once he is erased, which his key may be a moment before the event."""

    id: UUID
    version: int
    revision: int
    org_unit: str
    kind: str
    person: str | None
    status: str
    reason: str
    approval_id: UUID
    requested_by: str
    requested_at: datetime
    decision_reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    completed_at: datetime | None
    rows_erased: int | None
    files_changed: int | None
    changed_at: datetime
    changed_by: str


def project(row: ErasureRow | None, record: Record[Event]) -> ErasureRow:
    now = {"version": record.version, **changed(record)}
    match record.event:
        case ErasureRequested() as event:
            return ErasureRow(
                id=record.stream_id,
                revision=event.revision,
                org_unit=record.context.org_unit,
                kind=event.kind.value,
                person=event.person or None,
                status="in_approval",
                reason=event.reason,
                approval_id=event.approval,
                requested_by=event.by,
                requested_at=record.recorded_at,
                decision_reason=None,
                decided_by=None,
                decided_at=None,
                completed_at=None,
                rows_erased=None,
                files_changed=None,
                **now,
            )
        case ErasureApproved(by=by):
            return altered(given(row), status="approved", decided_by=by, decided_at=record.recorded_at, **now)
        case ErasureRejected(reason=reason, by=by):
            decided = {"decided_by": by, "decided_at": record.recorded_at, "decision_reason": reason}
            return altered(given(row), status="rejected", **decided, **now)
        case ErasureWithdrawn():
            return altered(given(row), status="withdrawn", **now)
        case ErasureCompleted(rows=rows, files=files):
            done = {"completed_at": record.recorded_at, "rows_erased": rows, "files_changed": files}
            return altered(given(row), status="completed", person=None, **done, **now)
        case _:
            assert_never(record.event)


ERASURES = RowProjection(
    name="erasures",
    table="erasures",
    versions="erasure_versions",
    row=ErasureRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
