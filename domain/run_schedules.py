"""Run schedules: a segment definition run, or an activity's customer group extracted, again and again.

Each due time is used up by one event, whether it was done or left out: so however many ask, it is done once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.activity_plans import GroupRole
from domain.shared.decider import Decider
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.timeframes import Frequency, FrequencyKind, Timeframe, frequency_faults, timeframe_faults

# --- Values ---------------------------------------------------------------

TIMES_SHOWN = 5
"""How many of the next times a schedule knows."""
CATCH_UP = timedelta(days=7)
"""How far back a time may lie that was missed and is made up for."""
TOO_LATE = "too_late"


class BlockingStrategy(StrEnum):
    """What is done with a time at which the former run still runs: left out, or done after that one."""

    DISCARD_LATER = "discard_later"
    SERIAL = "serial"


@dataclass(frozen=True, slots=True)
class DefinitionTask:
    """Run what is approved of the definition: with these values, and data of the timeframe's days."""

    definition: UUID
    timeframe: Timeframe | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupTask:
    """Extract the customer group in its newest revision for the activity."""

    activity: UUID
    group: UUID
    role: GroupRole
    timeframe: Timeframe


class ScheduleRefusal(StrEnum):
    NO_TIME_COMES = "no_time_comes"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetSchedule:
    """`times` are the next ones by the frequency, and so in every command; `until`: from then on none.
    `faults` are what is wrong with the task, `is_calendar_known` whether there is the frequency's calendar.
    """

    org_unit: str
    task: DefinitionTask | GroupTask
    frequency: Frequency
    strategy: BlockingStrategy
    times: tuple[datetime, ...]
    until: datetime | None
    by: str
    is_calendar_known: bool = True
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class PauseSchedule:
    by: str


@dataclass(frozen=True, slots=True)
class ResumeSchedule:
    """What fell into the pause is not made up for."""

    times: tuple[datetime, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Fire:
    """Use up the time that is due: `run` is done for it."""

    due_at: datetime
    run: UUID
    times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Use up the time that is due, with nothing done: `code` says why in one word."""

    due_at: datetime
    code: str
    times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class RecordRunEnd:
    """An extraction is over; the next may begin."""

    run: UUID
    has_result: bool


@dataclass(frozen=True, slots=True)
class MoveSchedule:
    """Its calendar has changed."""

    times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class WithdrawSchedule:
    by: str


Command = (
    SetSchedule
    | PauseSchedule
    | ResumeSchedule
    | Fire
    | LeaveOut
    | RecordRunEnd
    | MoveSchedule
    | WithdrawSchedule
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class RunScheduleSet:
    """What is done, and when: from here on this holds. Either `definition` or `group` is there."""

    org_unit: str
    definition: DefinitionTask | None
    group: GroupTask | None
    frequency: Frequency
    strategy: BlockingStrategy
    until: datetime | None
    next_times: tuple[datetime, ...]
    by: str


@dataclass(frozen=True, slots=True)
class RunSchedulePaused:
    by: str


@dataclass(frozen=True, slots=True)
class RunScheduleResumed:
    next_times: tuple[datetime, ...]
    by: str


@dataclass(frozen=True, slots=True)
class RunScheduleFired:
    """`run` is the segment run or the extraction that is done for the time `due_at`."""

    due_at: datetime
    run: UUID
    next_times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class ScheduledTimeLeftOut:
    due_at: datetime
    code: str
    next_times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class ScheduledRunEnded:
    run: UUID
    has_result: bool


@dataclass(frozen=True, slots=True)
class RunScheduleMoved:
    next_times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class RunScheduleWithdrawn:
    by: str


Event = (
    RunScheduleSet
    | RunSchedulePaused
    | RunScheduleResumed
    | RunScheduleFired
    | ScheduledTimeLeftOut
    | ScheduledRunEnded
    | RunScheduleMoved
    | RunScheduleWithdrawn
)

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    ACTIVE = "active"
    PAUSED = "paused"
    OVER = "over"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class RunSchedule:
    """`live` is the extraction that is not over, `latest` the last one that had a result. OVER: no time
    comes any more.
    """

    status: Status = Status.UNKNOWN
    org_unit: str = ""
    task: DefinitionTask | GroupTask | None = None
    frequency: Frequency = field(default_factory=lambda: Frequency(FrequencyKind.ONCE))
    strategy: BlockingStrategy = BlockingStrategy.DISCARD_LATER
    until: datetime | None = None
    next_times: tuple[datetime, ...] = ()
    live: UUID | None = None
    latest: UUID | None = None

    @property
    def next_at(self) -> datetime | None:
        """When it is to be done next; None while it is not to be."""
        is_waiting = self.status is Status.ACTIVE and self.live is None and self.next_times
        return self.next_times[0] if is_waiting else None


def evolve(schedule: RunSchedule, event: Event) -> RunSchedule:
    match event:
        case RunScheduleSet():
            return replace(
                schedule,
                org_unit=event.org_unit,
                task=event.definition or event.group,
                frequency=event.frequency,
                strategy=event.strategy,
                until=event.until,
                status=Status.ACTIVE,
                next_times=event.next_times,
            )
        case RunSchedulePaused():
            return replace(schedule, status=Status.PAUSED)
        case RunScheduleResumed(next_times=times) | RunScheduleMoved(next_times=times):
            return _timed(schedule, times)
        case RunScheduleFired(run=run, next_times=times):
            live = run if isinstance(schedule.task, GroupTask) else None
            return _timed(replace(schedule, live=live), times)
        case ScheduledTimeLeftOut(next_times=times):
            return _timed(schedule, times)
        case ScheduledRunEnded(run=run, has_result=has_result):
            return replace(schedule, live=None, latest=run if has_result else schedule.latest)
        case RunScheduleWithdrawn():
            return replace(schedule, status=Status.WITHDRAWN, next_times=())
        case _:
            assert_never(event)


def _timed(schedule: RunSchedule, times: tuple[datetime, ...]) -> RunSchedule:
    return replace(schedule, next_times=times, status=Status.ACTIVE if times else Status.OVER)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, schedule: RunSchedule) -> Sequence[Event]:
    match command:
        case SetSchedule():
            return _set(command, schedule)
        case PauseSchedule(by=by):
            return [RunSchedulePaused(by)] if schedule.status is Status.ACTIVE else []
        case ResumeSchedule(times=times, by=by):
            return [RunScheduleResumed(times, by)] if schedule.status is Status.PAUSED else []
        case Fire(due_at=due_at, run=run, times=times):
            return [RunScheduleFired(due_at, run, times)] if _is_due(schedule, due_at) else []
        case LeaveOut(due_at=due_at, code=code, times=times):
            return [ScheduledTimeLeftOut(due_at, code, times)] if _is_due(schedule, due_at) else []
        case RecordRunEnd(run=run, has_result=has_result):
            return [ScheduledRunEnded(run, has_result)] if schedule.live == run else []
        case MoveSchedule(times=times):
            # A paused one gets its times when it is resumed.
            is_moved = schedule.status in (Status.ACTIVE, Status.OVER) and times != schedule.next_times
            is_done = schedule.frequency.kind is FrequencyKind.ONCE and schedule.status is Status.OVER
            return [RunScheduleMoved(times)] if is_moved and not is_done else []
        case WithdrawSchedule(by=by):
            is_there = schedule.status not in (Status.UNKNOWN, Status.WITHDRAWN)
            return [RunScheduleWithdrawn(by)] if is_there else []
        case _:
            assert_never(command)


def _set(command: SetSchedule, schedule: RunSchedule) -> Sequence[Event]:
    refuse_any([*command.faults, *_schedule_faults(command)])
    if not command.times:
        raise Refused.because(ScheduleRefusal.NO_TIME_COMES, "frequency")
    task = command.task
    rest = (command.org_unit, task, command.frequency, command.strategy, command.until)
    kept = (schedule.org_unit, schedule.task, schedule.frequency, schedule.strategy, schedule.until)
    if schedule.status is Status.ACTIVE and rest == kept:
        return []
    return [
        RunScheduleSet(
            org_unit=command.org_unit,
            definition=task if isinstance(task, DefinitionTask) else None,
            group=task if isinstance(task, GroupTask) else None,
            frequency=command.frequency,
            strategy=command.strategy,
            until=command.until,
            next_times=command.times,
            by=command.by,
        )
    ]


# --- Rules ----------------------------------------------------------------


def schedule_faults(frequency: Frequency, timeframe: Timeframe | None) -> Iterator[Fault]:
    """What is wrong with when something is to be done, and with data of which days."""
    yield from frequency_faults(frequency, "frequency")
    if timeframe is not None:
        yield from timeframe_faults(timeframe, "timeframe")


def _schedule_faults(command: SetSchedule) -> Iterator[Fault]:
    yield from schedule_faults(command.frequency, command.task.timeframe)
    if not command.is_calendar_known:
        yield Fault(CommonRefusal.NOT_FOUND, ("frequency", "calendar"))


def _is_due(schedule: RunSchedule, due_at: datetime) -> bool:
    """Of times that were missed the latest may be done for all: it is not before the next one."""
    next_at = schedule.next_at
    return next_at is not None and next_at <= due_at


DECIDER: Decider[Command, RunSchedule, Event] = Decider("run_schedule", RunSchedule(), decide, evolve)
