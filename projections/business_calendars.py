"""Business calendars as lists and pages show them: one row each, with the days that it says something of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain.business_calendars import (
    DECIDER,
    BusinessCalendarAdded,
    BusinessCalendarRevised,
    CalendarDay,
    CalendarSchedulesMoved,
    Event,
)
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class BusinessCalendarRow:
    """`days` hold {on, kind, name} in ascending order."""

    id: UUID
    version: int
    revision: int
    code: str
    name: str
    days: list[dict[str, Any]]
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def project(row: BusinessCalendarRow | None, record: Record[Event]) -> BusinessCalendarRow | None:
    match record.event:
        case BusinessCalendarAdded(code=code, name=name, days=days):
            return BusinessCalendarRow(
                id=record.stream_id,
                version=record.version,
                revision=1,
                code=code,
                name=name,
                days=[_shown(day) for day in days],
                **created(record),
                **changed(record),
            )
        case BusinessCalendarRevised(revision=revision, name=name, marked=marked, cleared=cleared):
            before = given(row)
            gone = {on.isoformat() for on in (*cleared, *(day.on for day in marked))}
            days_now = [day for day in before.days if day["on"] not in gone]
            days_now = sorted((*days_now, *map(_shown, marked)), key=lambda day: str(day["on"]))
            columns = {"revision": revision, "name": name, "days": days_now}
            return altered(before, version=record.version, **changed(record), **columns)
        case CalendarSchedulesMoved():
            return altered(given(row), version=record.version)
        case _:
            assert_never(record.event)


def _shown(day: CalendarDay) -> dict[str, Any]:
    return {"on": day.on.isoformat(), "kind": day.kind.value, "name": day.name}


BUSINESS_CALENDARS = RowProjection(
    name="business_calendars",
    table="business_calendars",
    versions="business_calendar_versions",
    row=BusinessCalendarRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
