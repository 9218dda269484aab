"""Run schedules: each due time is used up once, in every status."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.activity_plans import GroupRole
from domain.run_schedules import (
    DECIDER,
    BlockingStrategy,
    DefinitionTask,
    Event,
    Fire,
    GroupTask,
    LeaveOut,
    MoveSchedule,
    PauseSchedule,
    RecordRunEnd,
    ResumeSchedule,
    RunScheduleFired,
    RunScheduleMoved,
    RunSchedulePaused,
    RunScheduleResumed,
    RunScheduleSet,
    RunScheduleWithdrawn,
    ScheduledRunEnded,
    ScheduledTimeLeftOut,
    ScheduleRefusal,
    SetSchedule,
    Status,
    WithdrawSchedule,
)
from domain.shared.refusal import CommonRefusal
from domain.timeframes import Frequency, FrequencyKind, Timeframe, TimeframeKind, TimeframeRefusal
from tests.given import Given

DAY = timedelta(days=1)
DUE = datetime(2026, 3, 2, 18, 30, tzinfo=UTC)
TIMES = (DUE, DUE + DAY)
LATER = (DUE + DAY, DUE + 2 * DAY)
RUN, OTHER = UUID(int=1), UUID(int=2)
FRAME = Timeframe(TimeframeKind.ROLLING, days=30)
GROUP = GroupTask(UUID(int=3), UUID(int=4), GroupRole.REWARDED, FRAME)
DEFINITION = DefinitionTask(UUID(int=5), FRAME, {"level": "gold"})
DAILY = Frequency(FrequencyKind.DAILY, at="02:30")

schedule = Given(DECIDER)
set_ = RunScheduleSet("HO", None, GROUP, DAILY, BlockingStrategy.SERIAL, None, TIMES, "lin")
fired = RunScheduleFired(DUE, RUN, LATER)
HISTORIES: dict[Status, tuple[Event, ...]] = {
    Status.UNKNOWN: (),
    Status.ACTIVE: (set_,),
    Status.PAUSED: (set_, RunSchedulePaused("lin")),
    Status.OVER: (set_, RunScheduleFired(DUE, RUN, ()), ScheduledRunEnded(RUN, True)),
    Status.WITHDRAWN: (set_, RunScheduleWithdrawn("lin")),
}


@pytest.mark.parametrize("status", Status)
def test_a_history_leads_to_each_status(status: Status) -> None:
    assert DECIDER.fold(HISTORIES[status]).status is status


@pytest.mark.parametrize("status", Status)
def test_what_is_due_is_done_while_the_schedule_is_active_and_then_alone(status: Status) -> None:
    """SEG-07, LOG-08"""
    given = schedule.given(*HISTORIES[status])
    is_active = status is Status.ACTIVE
    given.when(Fire(DUE, RUN, LATER)).then(*[fired] * is_active)
    left_out = ScheduledTimeLeftOut(DUE, "run_already_live", LATER)
    given.when(LeaveOut(DUE, "run_already_live", LATER)).then(*[left_out] * is_active)
    given.when(PauseSchedule("lin")).then(*[RunSchedulePaused("lin")] * is_active)
    is_paused = status is Status.PAUSED
    given.when(ResumeSchedule(LATER, "lin")).then(*[RunScheduleResumed(LATER, "lin")] * is_paused)
    is_moved = status in (Status.ACTIVE, Status.OVER)
    given.when(MoveSchedule(LATER)).then(*[RunScheduleMoved(LATER)] * is_moved)
    is_there = status not in (Status.UNKNOWN, Status.WITHDRAWN)
    given.when(WithdrawSchedule("wu")).then(*[RunScheduleWithdrawn("wu")] * is_there)
    assert (DECIDER.fold(HISTORIES[status]).next_at == DUE) == is_active


def test_a_time_is_used_up_once_and_not_before_it_comes() -> None:
    """SEG-07, LOG-08"""
    ended = ScheduledRunEnded(RUN, True)
    schedule.given(set_, fired, ended).when(Fire(DUE, OTHER, LATER)).then_nothing()
    schedule.given(set_).when(Fire(DUE - DAY, RUN, TIMES)).then_nothing()
    schedule.given(set_, fired, ended).when(LeaveOut(DUE, "too_late", LATER)).then_nothing()


def test_a_group_is_extracted_again_only_when_the_former_extraction_is_over() -> None:
    """SEG-07, SEG-09"""
    live = schedule.given(set_, fired)
    live.when(Fire(DUE + DAY, OTHER, ())).then_nothing()
    live.when(RecordRunEnd(OTHER, True)).then_nothing()
    live.when(RecordRunEnd(RUN, True)).then(ScheduledRunEnded(RUN, True))
    assert DECIDER.fold([set_, fired]).next_at is None
    over = DECIDER.fold([set_, fired, ScheduledRunEnded(RUN, True)])
    assert (over.next_at, over.latest) == (DUE + DAY, RUN)
    assert DECIDER.fold([set_, fired, ScheduledRunEnded(RUN, False)]).latest is None


def test_a_definition_has_its_next_time_whatever_its_run_does() -> None:
    """LOG-08: whether that one blocks it is asked when the time has come."""
    of_definition = replace(set_, definition=DEFINITION, group=None)
    assert DECIDER.fold([of_definition, fired]).next_at == DUE + DAY


def test_once_is_not_done_again_because_a_calendar_changes() -> None:
    """SYS-05"""
    once = replace(set_, frequency=Frequency(FrequencyKind.ONCE, calendar=RUN))
    done = RunScheduleFired(DUE, RUN, ())
    schedule.given(once, done, ScheduledRunEnded(RUN, True)).when(MoveSchedule(LATER)).then_nothing()


def test_a_schedule_is_replaced_as_a_whole_and_a_repeat_says_nothing() -> None:
    """LOG-08"""
    command = SetSchedule("HO", GROUP, DAILY, BlockingStrategy.SERIAL, TIMES, None, "lin")
    schedule.when(command).then(set_)
    schedule.given(set_).when(command).then_nothing()
    schedule.given(*HISTORIES[Status.WITHDRAWN]).when(command).then(set_)
    other = replace(command, task=DEFINITION, strategy=BlockingStrategy.DISCARD_LATER, times=LATER)
    schedule.given(set_).when(other).then(
        replace(
            set_,
            definition=DEFINITION,
            group=None,
            strategy=BlockingStrategy.DISCARD_LATER,
            next_times=LATER,
        )
    )


def test_everything_that_is_wrong_with_a_schedule_is_told() -> None:
    """LOG-08"""
    bad = Frequency(FrequencyKind.CRON, "daily", "02:30")
    command = SetSchedule("HO", GROUP, bad, BlockingStrategy.SERIAL, TIMES, None, "lin", False)
    schedule.when(command).then_refused(
        (TimeframeRefusal.BAD_CRON, "frequency", "cron"),
        (TimeframeRefusal.NOT_OF_THIS_KIND, "frequency", "at"),
        (CommonRefusal.NOT_FOUND, "frequency", "calendar"),
    )
    never = SetSchedule("HO", GROUP, DAILY, BlockingStrategy.SERIAL, (), None, "lin")
    schedule.when(never).then_refused((ScheduleRefusal.NO_TIME_COMES, "frequency"))
