"""Segment runs: how far each is, and the figures of its result."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain.result_retention import KEPT_FOR, Retention, SegmentRunResultDeleted
from domain.segment_runs import (
    DECIDER,
    Event,
    SegmentRunCleanedUp,
    SegmentRunFailed,
    SegmentRunHandedOver,
    SegmentRunProgressed,
    SegmentRunRequested,
    SegmentRunRetried,
    SegmentRunStarted,
    SegmentRunSucceeded,
    SegmentRunTerminated,
)
from projections.shared.rows import RowProjection, altered, changed, given, own_stream


@dataclass(frozen=True)
class SegmentRunRow:
    """`definition_hash` is what approvers saw of the revision. `parameters` hold {name, type, value},
    `columns` {name, type, isPersonal}, `failure_values` {name, value}. The figures are null without a result:
    `byte_count` is the file's, `content_hash` that of the rows, `snapshot` the warehouse's. `reason` is why
    it was terminated. `dropped` is what was cleaned up after the newest attempt. `kept_until` is null
    without a result; at `result_deleted_at` its rows were deleted.
    """

    id: UUID
    version: int
    code: str
    org_unit: str
    status: str
    definition_id: UUID
    definition_revision: int
    definition_hash: str
    work_order_id: UUID | None
    parameters: list[dict[str, Any]]
    is_trial: bool
    row_limit: int | None
    retention: str
    attempt: int
    percent: int
    row_count: int | None
    byte_count: int | None
    duration_ms: int | None
    columns: list[dict[str, Any]]
    content_hash: str | None
    snapshot: str | None
    failure: str | None
    failure_values: list[dict[str, Any]]
    reason: str | None
    dropped: tuple[str, ...]
    cleaned_up_at: datetime | None
    requested_at: datetime
    requested_by: str
    started_at: datetime | None
    ended_at: datetime | None
    kept_until: datetime | None
    result_deleted_at: datetime | None
    changed_at: datetime
    changed_by: str


NOT_FAILED: dict[str, Any] = {"failure": None, "failure_values": [], "ended_at": None}


def project(row: SegmentRunRow | None, record: Record[Event]) -> SegmentRunRow:
    match record.event:
        case SegmentRunRequested():
            return _requested(record, record.event)
        case _:
            columns = _columns(given(row), record, record.event)
            return altered(given(row), version=record.version, **changed(record), **columns)


def _requested(record: Record[Event], requested: SegmentRunRequested) -> SegmentRunRow:
    return SegmentRunRow(
        id=record.stream_id,
        version=record.version,
        code=requested.code,
        org_unit=requested.org_unit,
        status="queued",
        definition_id=requested.definition.id,
        definition_revision=requested.definition.revision,
        definition_hash=requested.content_hash,
        work_order_id=requested.work_order,
        parameters=[
            {"name": each.name, "type": each.type.value, "value": each.text} for each in requested.parameters
        ],
        is_trial=requested.is_trial,
        row_limit=requested.row_limit,
        retention=requested.retention.value,
        attempt=0,
        percent=0,
        row_count=None,
        byte_count=None,
        duration_ms=None,
        columns=[],
        content_hash=None,
        snapshot=None,
        reason=None,
        dropped=(),
        cleaned_up_at=None,
        requested_at=record.recorded_at,
        requested_by=requested.by,
        started_at=None,
        kept_until=None,
        result_deleted_at=None,
        **NOT_FAILED,
        **changed(record),
    )


def _columns(
    row: SegmentRunRow,
    record: Record[Event],
    event: SegmentRunStarted
    | SegmentRunProgressed
    | SegmentRunSucceeded
    | SegmentRunFailed
    | SegmentRunTerminated
    | SegmentRunRetried
    | SegmentRunCleanedUp
    | SegmentRunResultDeleted
    | SegmentRunHandedOver,
) -> dict[str, Any]:
    at = record.recorded_at
    match event:
        case SegmentRunStarted(attempt=attempt):
            return {"status": "running", "attempt": attempt, "percent": 0, "started_at": at}
        case SegmentRunProgressed(percent=percent):
            return {"percent": percent}
        case SegmentRunSucceeded():
            kept_until = at + KEPT_FOR[Retention(row.retention)]
            ended = {"status": "succeeded", "percent": 100, "ended_at": at, "kept_until": kept_until}
            return ended | _figures(event)
        case SegmentRunFailed(code=code, values=values):
            shown = [{"name": name, "value": values[name]} for name in sorted(values)]
            return {"status": "failed", "failure": code, "failure_values": shown, "ended_at": at}
        case SegmentRunTerminated(reason=reason):
            return {"status": "terminated", "reason": reason, "ended_at": at}
        case SegmentRunRetried():
            return {"status": "queued", "percent": 0, **NOT_FAILED}
        case SegmentRunCleanedUp(dropped=dropped):
            return {"dropped": dropped, "cleaned_up_at": at}
        case SegmentRunResultDeleted():
            return {"result_deleted_at": at}
        case SegmentRunHandedOver():
            return {}
        case _:
            assert_never(event)


def _figures(succeeded: SegmentRunSucceeded) -> dict[str, Any]:
    return {
        "row_count": succeeded.rows,
        "byte_count": succeeded.bytes,
        "duration_ms": succeeded.duration_ms,
        "columns": [
            {"name": each.name, "type": each.type, "isPersonal": each.is_personal}
            for each in succeeded.columns
        ],
        "content_hash": succeeded.content_hash,
        "snapshot": succeeded.snapshot,
    }


SEGMENT_RUNS = RowProjection(
    name="segment_runs",
    table="segment_runs",
    versions="segment_run_versions",
    row=SegmentRunRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
