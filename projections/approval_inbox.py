"""The approval inbox: what awaits whose word, and what every level has said."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain.approvals import (
    DECIDER,
    ApprovalGranted,
    ApprovalOpened,
    ApprovalPassed,
    ApprovalRejected,
    ApprovalVoided,
    Event,
    Level,
)
from projections.shared.rows import RowProjection, altered, given, instant_text, own_stream


@dataclass(frozen=True)
class ApprovalRow:
    """`awaiting` is the level whose word is asked, None when all is said.

    `decisions` hold {level, verdict, by, at, comment, revision} in their order, the verdict "approved" or
    "rejected". `makers` wrote what is to be approved. `reason` is that of a rejection, or the code of why
    the approval is void.
    """

    id: UUID
    version: int
    subject_kind: str
    subject_id: UUID
    subject_label: str
    subject_revision: int
    content_hash: str
    org_unit: str
    status: str
    awaiting: str | None
    requested_by: str
    makers: tuple[str, ...]
    requested_at: datetime
    decide_by: datetime
    decided_by: tuple[str, ...]
    decisions: list[dict[str, Any]]
    reason: str | None
    closed_at: datetime | None
    changed_at: datetime


def project(row: ApprovalRow | None, record: Record[Event]) -> ApprovalRow:
    event = record.event
    match event:
        case ApprovalOpened():
            return _opened(record, event)
        case ApprovalPassed(level=level, comment=comment, by=by, next_level=next_level):
            decided = _decided(given(row), record, level, "approved", by, comment)
            # The last level's yes is followed by the grant in the same commit.
            status = f"pending_{next_level}" if next_level else "approved"
            awaited = {"status": status, "awaiting": next_level and next_level.value}
            return _changed(row, record, **decided, **awaited)
        case ApprovalGranted():
            return _closed(row, record, status="approved")
        case ApprovalRejected(level=level, reason=reason, by=by):
            decided = _decided(given(row), record, level, "rejected", by, reason)
            return _closed(row, record, status=f"{level}_rejected", reason=reason, **decided)
        case ApprovalVoided(reason=reason):
            return _closed(row, record, status="voided", reason=reason)
        case _:
            assert_never(event)


def _opened(record: Record[Event], opened: ApprovalOpened) -> ApprovalRow:
    subject, level = opened.subject, opened.levels[0]
    return ApprovalRow(
        id=record.stream_id,
        version=record.version,
        subject_kind=subject.kind,
        subject_id=subject.id,
        subject_label=subject.label,
        subject_revision=subject.revision,
        content_hash=subject.content_hash,
        org_unit=subject.org_unit,
        status=f"pending_{level}",
        awaiting=level.value,
        requested_by=opened.by,
        makers=opened.makers,
        requested_at=record.recorded_at,
        decide_by=opened.decide_by,
        decided_by=(),
        decisions=[],
        reason=None,
        closed_at=None,
        changed_at=record.recorded_at,
    )


def _decided(
    row: ApprovalRow, record: Record[Event], level: Level, verdict: str, by: str, comment: str
) -> dict[str, Any]:
    decision = {
        "level": level.value,
        "verdict": verdict,
        "by": by,
        "at": instant_text(record.recorded_at),
        "comment": comment,
        "revision": row.subject_revision,
    }
    return {"decided_by": (*row.decided_by, by), "decisions": [*row.decisions, decision]}


def _closed(row: ApprovalRow | None, record: Record[Event], **columns: Any) -> ApprovalRow:
    return _changed(row, record, awaiting=None, closed_at=record.recorded_at, **columns)


def _changed(row: ApprovalRow | None, record: Record[Event], **columns: Any) -> ApprovalRow:
    return altered(given(row), version=record.version, changed_at=record.recorded_at, **columns)


APPROVALS = RowProjection(
    name="approvals",
    table="approvals",
    row=ApprovalRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
    versions="approval_versions",
)
