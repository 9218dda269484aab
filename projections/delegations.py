"""Delegations: which unit's work somebody of another does, and until when."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from application.shared.records import Record
from domain.delegations import DECIDER, DelegationEnded, Event, WorkDelegated
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class DelegationRow:
    """In force from `starts_at` until `ends_at`; `is_ended` tells that somebody ended it before its time."""

    id: UUID
    version: int
    org_unit: str
    delegate: str
    tasks: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    is_ended: bool
    reason: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def project(row: DelegationRow | None, record: Record[Event]) -> DelegationRow:
    match record.event:
        case WorkDelegated() as event:
            return DelegationRow(
                id=record.stream_id,
                version=record.version,
                org_unit=event.org_unit,
                delegate=event.delegate,
                tasks=tuple(task.value for task in event.tasks),
                starts_at=event.starts_at,
                ends_at=event.ends_at,
                is_ended=False,
                reason=event.reason,
                **created(record),
                **changed(record),
            )
        case DelegationEnded(ended_at=ended_at):
            now = {"version": record.version, **changed(record)}
            return altered(given(row), ends_at=ended_at, is_ended=True, **now)
        case _:
            assert_never(record.event)


DELEGATIONS = RowProjection(
    name="delegations",
    table="delegations",
    versions="delegation_versions",
    row=DelegationRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
