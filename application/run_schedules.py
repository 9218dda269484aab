"""The use cases of run schedules: set for definitions, fired when due, moved when a calendar changes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from uuid import UUID

from application import group_extractions, segment_runs
from application.group_schedules import withdraw_schedule
from application.segment_definitions import live_run
from application.shared.business_time import business_date
from application.shared.due_times import calendar_days, due_after, times_of
from application.shared.identifiers import named_uuid
from application.shared.work import Work
from domain.business_calendars import DECIDER as CALENDAR
from domain.run_parameters import parameter_faults
from domain.run_schedules import (
    CATCH_UP,
    DECIDER,
    TOO_LATE,
    BlockingStrategy,
    DefinitionTask,
    Fire,
    GroupTask,
    LeaveOut,
    MoveSchedule,
    RunSchedule,
    SetSchedule,
    schedule_faults,
)
from domain.segment_definitions import DECIDER as DEFINITION
from domain.segment_runs import RunRefusal
from domain.shared.references import User
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.timeframes import Frequency, FrequencyKind, Timeframe, resolve

MOMENT = timedelta(microseconds=1)
ORDERS_DEFINITIONS_MAX = 1_000


# --- Of definitions -------------------------------------------------------


def set_for_definition(
    work: Work,
    definition_id: UUID,
    frequency: Frequency,
    strategy: BlockingStrategy,
    timeframe: Timeframe | None,
    parameters: Mapping[str, str],
) -> UUID:
    """From now on what is approved of the definition runs by this schedule, in place of any former one; the
    id of the schedule. Refuse a definition of which nothing is approved.
    """
    definition = work.subject(DEFINITION, definition_id, lambda known: known.org_unit)
    if not definition.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "definition")
    if definition.approved is None:
        raise Refused.because(RunRefusal.NOTHING_APPROVED, "definition")
    task = DefinitionTask(definition_id, timeframe, dict(parameters))
    when = [*schedule_faults(frequency, timeframe)]
    refuse_any([*when, *_calendar_faults(work, frequency)])
    faults = parameter_faults(definition.approved, _values(task, work.now, work))
    schedule_id = definition_schedule(definition_id)
    command = SetSchedule(
        org_unit=definition.org_unit,
        task=task,
        frequency=frequency,
        strategy=strategy,
        times=times_of(work, frequency, work.now, None),
        until=None,
        by=work.principal.user,
        faults=tuple(faults),
    )
    work.decide(DECIDER, schedule_id, command)
    used = [definition_id, *([frequency.calendar] if frequency.calendar else [])]
    work.link(User(schedule_id, DECIDER.stream_type, definition.code, definition.org_unit), used)
    return schedule_id


def withdraw_for_definition(work: Work, definition_id: UUID) -> UUID:
    """No time comes any more; the definition may be deleted. Refuse a definition without a schedule."""
    definition = work.subject(DEFINITION, definition_id, lambda known: known.org_unit)
    schedule_id = definition_schedule(definition_id)
    if work.state(DECIDER, schedule_id).task is None:
        raise Refused.because(CommonRefusal.NOT_FOUND, "definition")
    withdraw_schedule(work, schedule_id, definition.code)
    return schedule_id


def withdraw_of_order(work: Work, work_order_id: UUID) -> None:
    """The schedules of all definitions that were made for a work order that is cancelled."""
    for user in work.users(work_order_id, ORDERS_DEFINITIONS_MAX):
        if user.kind == DEFINITION.stream_type:
            schedule_id = definition_schedule(user.id)
            if work.state(DECIDER, schedule_id).task is not None:
                withdraw_schedule(work, schedule_id, user.label)


# --- When it is due -------------------------------------------------------


def fire(work: Work, schedule_id: UUID) -> UUID:
    """Use up the time that is due, if one is. A definition's run is done for the latest of times that were
    missed, or left out where it can't be; a group is extracted for each, one after the other.

    Refuse, for the scheduler to try again, what has to wait for a former run.
    """
    schedule = work.subject(DECIDER, schedule_id, lambda state: state.org_unit)
    due_at = schedule.next_at
    if due_at is None or due_at > work.now:
        return schedule_id
    match schedule.task:
        case GroupTask() as task:
            if due_at < work.now - CATCH_UP and schedule.frequency.kind is not FrequencyKind.ONCE:
                times = times_of(work, schedule.frequency, work.now - CATCH_UP, schedule.until)
                work.decide(DECIDER, schedule_id, LeaveOut(due_at, TOO_LATE, times))
                return schedule_id
            run = group_extractions.request(work, schedule_id, task, due_at, schedule.latest)
            work.decide(DECIDER, schedule_id, Fire(due_at, run, _following(work, schedule, due_at)))
        case DefinitionTask() as task:
            _fire_definition(work, schedule_id, schedule, task, _latest(work, schedule, due_at))
    return schedule_id


def move(work: Work, schedule_id: UUID) -> UUID:
    """Its calendar has changed: the next times are those of the calendar as it is now."""
    schedule = work.subject(DECIDER, schedule_id, lambda state: state.org_unit)
    if schedule.frequency.calendar is not None:
        first = schedule.next_times[0] if schedule.next_times else work.now
        times = times_of(work, schedule.frequency, min(work.now, first - MOMENT), schedule.until)
        work.decide(DECIDER, schedule_id, MoveSchedule(times))
    return schedule_id


def _fire_definition(
    work: Work, schedule_id: UUID, schedule: RunSchedule, task: DefinitionTask, due_at: datetime
) -> None:
    following = _following(work, schedule, due_at)
    is_blocked = live_run(work, task.definition, is_trial=False) is not None
    if is_blocked and schedule.strategy is BlockingStrategy.SERIAL:
        raise Refused.because(RunRefusal.RUN_ALREADY_LIVE, "definition")
    try:
        run = segment_runs.request(work, task.definition, _values(task, due_at, work))
    except Refused as no:
        work.decide(DECIDER, schedule_id, LeaveOut(due_at, no.faults[0].code, following))
    else:
        work.decide(DECIDER, schedule_id, Fire(due_at, run, following))


def _values(task: DefinitionTask, due_at: datetime, work: Work) -> dict[str, str]:
    """The values of a run for this time, by its business date."""
    day = business_date(due_at, work.zone)
    values = {"business_date": day.isoformat()}
    if task.timeframe is not None:
        days = resolve(task.timeframe, day)
        values |= {"data_from": days.data_from.isoformat(), "data_to": days.data_to.isoformat()}
    return {**values, **task.parameters}


def _latest(work: Work, schedule: RunSchedule, due_at: datetime) -> datetime:
    """The last of the times that are due, `due_at` being the first."""
    coming = due_after(
        schedule.frequency, calendar_days(work, schedule.frequency), work.zone, due_at, schedule.until
    )
    return max(takewhile(lambda at: at <= work.now, coming), default=due_at)


def _following(work: Work, schedule: RunSchedule, due_at: datetime) -> tuple[datetime, ...]:
    if schedule.frequency.kind is FrequencyKind.ONCE:
        return ()
    return times_of(work, schedule.frequency, due_at, schedule.until)


# --- What it rests on -----------------------------------------------------


def definition_schedule(definition_id: UUID) -> UUID:
    """The id of a definition's schedule."""
    return named_uuid(definition_id.bytes, DECIDER.stream_type)


def _calendar_faults(work: Work, frequency: Frequency) -> list[Fault]:
    calendar = frequency.calendar
    if calendar is None or work.state(CALENDAR, calendar).is_known:
        return []
    return [Fault(CommonRefusal.NOT_FOUND, ("frequency", "calendar"))]
