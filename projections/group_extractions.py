"""Group extractions: which customers an activity's group had at each of its times, in figures."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain.group_extractions import (
    DECIDER,
    Event,
    GroupExtractionFailed,
    GroupExtractionRequested,
    GroupExtractionStarted,
    GroupMembershipRecorded,
)
from projections.shared.rows import RowProjection, altered, changed, given, own_stream


@dataclass(frozen=True)
class GroupExtractionRow:
    """`data_to` is exclusive. `previous_id` is the extraction that the movements are told against. The
    figures are null without a result; `content_hash` is that of the members, `snapshot` the warehouse's.
    """

    id: UUID
    version: int
    org_unit: str
    status: str
    schedule_id: UUID
    activity_id: UUID
    customer_group_id: UUID
    customer_group_revision: int
    role: str
    due_at: datetime
    business_date: date
    data_from: date
    data_to: date
    previous_id: UUID | None
    attempt: int
    member_count: int | None
    joined_count: int | None
    stayed_count: int | None
    left_count: int | None
    content_hash: str | None
    snapshot: str | None
    failure: str | None
    requested_at: datetime
    ended_at: datetime | None
    changed_at: datetime
    changed_by: str


def project(row: GroupExtractionRow | None, record: Record[Event]) -> GroupExtractionRow:
    match record.event:
        case GroupExtractionRequested():
            return _requested(record, record.event)
        case _:
            columns = _columns(record, record.event)
            return altered(given(row), version=record.version, **changed(record), **columns)


def _requested(record: Record[Event], event: GroupExtractionRequested) -> GroupExtractionRow:
    return GroupExtractionRow(
        id=record.stream_id,
        version=record.version,
        org_unit=event.org_unit,
        status="queued",
        schedule_id=event.schedule,
        activity_id=event.activity,
        customer_group_id=event.group.id,
        customer_group_revision=event.group.revision,
        role=event.role.value,
        due_at=event.due_at,
        business_date=event.business_date,
        data_from=event.days.data_from,
        data_to=event.days.data_to,
        previous_id=event.previous,
        attempt=0,
        member_count=None,
        joined_count=None,
        stayed_count=None,
        left_count=None,
        content_hash=None,
        snapshot=None,
        failure=None,
        requested_at=record.recorded_at,
        ended_at=None,
        **changed(record),
    )


def _columns(
    record: Record[Event], event: GroupExtractionStarted | GroupMembershipRecorded | GroupExtractionFailed
) -> dict[str, Any]:
    match event:
        case GroupExtractionStarted(attempt=attempt):
            return {"status": "running", "attempt": attempt}
        case GroupMembershipRecorded():
            return {
                "status": "succeeded",
                "ended_at": record.recorded_at,
                "member_count": event.members,
                "joined_count": event.joined,
                "stayed_count": event.stayed,
                "left_count": event.left,
                "content_hash": event.content_hash,
                "snapshot": event.snapshot,
            }
        case GroupExtractionFailed(code=code):
            return {"status": "failed", "ended_at": record.recorded_at, "failure": code}
        case _:
            assert_never(event)


GROUP_EXTRACTIONS = RowProjection(
    name="group_extractions",
    table="group_extractions",
    versions="group_extraction_versions",
    row=GroupExtractionRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
