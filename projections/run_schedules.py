"""Run schedules: what is done again and again, when next, and what came of the last time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain.run_schedules import (
    DECIDER,
    DefinitionTask,
    Event,
    GroupTask,
    RunScheduleFired,
    RunScheduleMoved,
    RunSchedulePaused,
    RunScheduleResumed,
    RunScheduleSet,
    RunScheduleWithdrawn,
    ScheduledRunEnded,
    ScheduledTimeLeftOut,
)
from projections.shared.frequencies import shown_frequency, shown_timeframe
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class RunScheduleRow:
    """Either `definition_id` is there, or `activity_id`, `customer_group_id` and `role`. `next_times` are
    those to come, none while it is paused or when it is over or withdrawn. Of the last time that was used
    up: `last_due_at`, the run or extraction that was done for it, or in `left_out` why it was left out.
    """

    id: UUID
    version: int
    org_unit: str
    status: str
    definition_id: UUID | None
    activity_id: UUID | None
    customer_group_id: UUID | None
    role: str | None
    frequency: dict[str, Any]
    timeframe: dict[str, Any] | None
    parameters: list[dict[str, str]]
    strategy: str
    until: datetime | None
    next_at: datetime | None
    next_times: tuple[datetime, ...]
    last_due_at: datetime | None
    last_run_id: UUID | None
    last_extraction_id: UUID | None
    left_out: str | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def project(row: RunScheduleRow | None, record: Record[Event]) -> RunScheduleRow:
    match record.event:
        case RunScheduleSet():
            return _set(row, record, record.event)
        case _:
            before = given(row)
            columns = _columns(before, record.event)
            return altered(before, version=record.version, **changed(record), **columns)


def _set(row: RunScheduleRow | None, record: Record[Event], event: RunScheduleSet) -> RunScheduleRow:
    columns = {**_task(event), **_plan(event), **_waiting(event.next_times), **changed(record)}
    if row is not None:
        return altered(row, version=record.version, **columns)
    return RunScheduleRow(
        id=record.stream_id,
        version=record.version,
        last_due_at=None,
        last_run_id=None,
        last_extraction_id=None,
        left_out=None,
        **created(record),
        **columns,
    )


def _task(event: RunScheduleSet) -> dict[str, Any]:
    definition: DefinitionTask | None = event.definition
    group: GroupTask | None = event.group
    task = definition or group
    timeframe = None if task is None else task.timeframe
    values = {} if definition is None else definition.parameters
    return {
        "definition_id": None if definition is None else definition.definition,
        "activity_id": None if group is None else group.activity,
        "customer_group_id": None if group is None else group.group,
        "role": None if group is None else group.role.value,
        "timeframe": None if timeframe is None else shown_timeframe(timeframe),
        "parameters": [{"name": name, "value": values[name]} for name in sorted(values)],
    }


def _plan(event: RunScheduleSet) -> dict[str, Any]:
    return {
        "org_unit": event.org_unit,
        "frequency": shown_frequency(event.frequency),
        "strategy": event.strategy.value,
        "until": event.until,
    }


def _columns(
    row: RunScheduleRow,
    event: RunSchedulePaused
    | RunScheduleResumed
    | RunScheduleFired
    | ScheduledTimeLeftOut
    | ScheduledRunEnded
    | RunScheduleMoved
    | RunScheduleWithdrawn,
) -> dict[str, Any]:
    match event:
        case RunSchedulePaused():
            return {"status": "paused", **NO_TIMES}
        case RunScheduleResumed(next_times=times) | RunScheduleMoved(next_times=times):
            return _waiting(times)
        case RunScheduleFired(due_at=due_at, run=run, next_times=times):
            done = "last_extraction_id" if row.definition_id is None else "last_run_id"
            return {"last_due_at": due_at, **NOTHING_DONE, done: run, **_waiting(times)}
        case ScheduledTimeLeftOut(due_at=due_at, code=code, next_times=times):
            return {"last_due_at": due_at, **NOTHING_DONE, "left_out": code, **_waiting(times)}
        case ScheduledRunEnded():
            return {}
        case RunScheduleWithdrawn():
            return {"status": "withdrawn", **NO_TIMES}
        case _:
            assert_never(event)


NO_TIMES: dict[str, Any] = {"next_at": None, "next_times": ()}
NOTHING_DONE: dict[str, Any] = {"last_run_id": None, "last_extraction_id": None, "left_out": None}


def _waiting(times: tuple[datetime, ...]) -> dict[str, Any]:
    if not times:
        return {"status": "over", **NO_TIMES}
    return {"status": "active", "next_at": times[0], "next_times": times}


RUN_SCHEDULES = RowProjection(
    name="run_schedules",
    table="run_schedules",
    versions="run_schedule_versions",
    row=RunScheduleRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
