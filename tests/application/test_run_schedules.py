"""Definitions that run by a schedule: at the set times, what is approved, one at a time."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from domain.catalogues import CatalogueRefusal
from domain.run_parameters import ParameterRefusal
from domain.run_schedules import BlockingStrategy, ScheduledTimeLeftOut
from domain.run_schedules import Status as ScheduleStatus
from domain.segment_contents import DeclaredParameter, ParameterType
from domain.segment_definitions import DefinitionKind
from domain.segment_runs import RunRefusal, SegmentRun
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal
from domain.timeframes import Frequency, FrequencyKind, Timeframe, TimeframeKind, TimeframeRefusal
from tests.application.bank import DAY, IN_SHANGHAI, Bank, at_once
from tests.application.orders import orders_of
from tests.application.scheduled_world import DAILY, ScheduledWorld, holiday, workday
from tests.application.segments import CONTENT, Desk
from tests.application.small_warehouse import SmallEngine
from tests.given import refused

HOUR = timedelta(hours=1)
# 2026-03-02 02:30 in Shanghai; the bank's clock begins at 09:30 of the day before.
FIRST = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)


@pytest.fixture
def world(bank: Bank, tmp_path: Path) -> ScheduledWorld:
    return ScheduledWorld(bank, SmallEngine(tmp_path))


@pytest.fixture
def desk(bank: Bank) -> Desk:
    desk = Desk(bank)
    desk.grant()
    return desk


def fire(world: ScheduledWorld, schedule: UUID, now: datetime) -> None:
    """The clock is moved, and a worker comes."""
    world.bank.now = now
    world.desk.fire(schedule)


def runs(world: ScheduledWorld, schedule: UUID) -> list[SegmentRun]:
    desk = Desk(world.bank)
    return [desk.run(event.run) for event in world.fired(schedule)]


def over(world: ScheduledWorld, schedule: UUID) -> None:
    """Its last run is over."""
    Desk(world.bank).terminate(world.fired(schedule)[-1].run)


@pytest.mark.parametrize("kind", DefinitionKind)
def test_a_run_starts_at_the_set_time_and_after_a_change_at_the_new_time(
    world: ScheduledWorld, desk: Desk, kind: DefinitionKind
) -> None:
    """LOG-08, LOG-09: a general definition and those of work orders alike."""
    order = None if kind is DefinitionKind.GENERAL else orders_of(world.bank).approved()
    definition = desk.approved(kind=kind, work_order=order)
    schedule = world.set_schedule(definition)
    fire(world, schedule, FIRST - timedelta(seconds=1))
    assert runs(world, schedule) == []
    fire(world, schedule, FIRST)
    over(world, schedule)
    assert world.set_schedule(definition, Frequency(FrequencyKind.DAILY, at="03:15")) == schedule
    later = FIRST + timedelta(minutes=45)
    assert world.schedule(schedule).next_at == later
    fire(world, schedule, FIRST + timedelta(minutes=44))
    fire(world, schedule, later)
    assert [event.due_at for event in world.fired(schedule)] == [FIRST, later]
    assert {run.definition for run in runs(world, schedule)} == {Reference(definition, 1)}


def test_a_run_has_the_days_of_its_due_time(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-08, SEG-08: also when a worker comes after midnight."""
    schedule = world.set_schedule(desk.approved(), Frequency(FrequencyKind.DAILY, at="23:50"))
    fire(world, schedule, datetime(2026, 3, 1, 16, 5, tzinfo=UTC))
    [run] = runs(world, schedule)
    values = {each.name: each.text for each in run.parameters}
    assert values == {"business_date": "2026-03-01", "data_from": "2026-01-30", "data_to": "2026-03-01"}


def test_times_are_those_of_the_banks_zone(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-08"""
    definition = desk.approved()
    world.bank.zone = ZoneInfo("America/New_York")
    schedule = world.set_schedule(definition)
    # The clocks of New York go forward on 2026-03-08, over 02:30.
    assert [at.isoformat() for at in world.schedule(schedule).next_times[:1]] == ["2026-03-01T07:30:00+00:00"]
    world.bank.now = datetime(2026, 3, 7, 8, tzinfo=UTC)
    world.desk.fire(schedule)
    assert [at.isoformat() for at in world.schedule(schedule).next_times[:2]] == [
        "2026-03-08T07:00:00+00:00",
        "2026-03-09T06:30:00+00:00",
    ]


def test_scheduled_runs_keep_the_approved_revision_until_the_next_is_approved(
    world: ScheduledWorld, desk: Desk
) -> None:
    """LOG-02"""
    definition = desk.approved()
    schedule = world.set_schedule(definition)
    fire(world, schedule, FIRST)
    over(world, schedule)
    desk.revise(definition, description="newer")
    fire(world, schedule, FIRST + DAY)
    over(world, schedule)
    desk.approve(desk.submit(definition))
    fire(world, schedule, FIRST + 2 * DAY)
    performed = [run.definition for run in runs(world, schedule)]
    assert [each and each.revision for each in performed] == [1, 1, 2]


def test_what_was_never_approved_is_not_scheduled(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-02, LOG-03"""
    with refused((RunRefusal.NOTHING_APPROVED, "definition")):
        world.set_schedule(desk.draft())


def test_a_time_at_which_the_former_run_still_runs_is_left_out(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-08: the usual blocking strategy; the time is told with its reason."""
    schedule = world.set_schedule(desk.approved())
    fire(world, schedule, FIRST)
    fire(world, schedule, FIRST + DAY)
    assert len(runs(world, schedule)) == 1
    [left_out] = [e for e in world.bank.events(schedule) if isinstance(e, ScheduledTimeLeftOut)]
    assert (left_out.due_at, left_out.code) == (FIRST + DAY, RunRefusal.RUN_ALREADY_LIVE)
    over(world, schedule)
    fire(world, schedule, FIRST + 2 * DAY)
    assert [event.due_at for event in world.fired(schedule)] == [FIRST, FIRST + 2 * DAY]


def test_a_serial_schedule_waits_for_the_former_run(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-08: the task is refused, and tried again until it may."""
    schedule = world.set_schedule(desk.approved(), strategy=BlockingStrategy.SERIAL)
    fire(world, schedule, FIRST)
    with refused((RunRefusal.RUN_ALREADY_LIVE, "definition")):
        fire(world, schedule, FIRST + DAY)
    over(world, schedule)
    fire(world, schedule, FIRST + DAY + HOUR)
    assert [event.due_at for event in world.fired(schedule)] == [FIRST, FIRST + DAY]


def test_of_times_that_were_missed_the_latest_is_done(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-08"""
    schedule = world.set_schedule(desk.approved())
    fire(world, schedule, FIRST + 3 * DAY + HOUR)
    assert [event.due_at for event in world.fired(schedule)] == [FIRST + 3 * DAY]
    assert world.schedule(schedule).next_at == FIRST + 4 * DAY


def test_workers_that_come_together_start_one_run(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-08"""
    schedule = world.set_schedule(desk.approved())
    for day in range(3):
        world.bank.now = FIRST + day * DAY
        at_once([partial(world.desk.fire, schedule) for _ in range(4)])
        over(world, schedule)
    assert [event.due_at for event in world.fired(schedule)] == [FIRST + day * DAY for day in range(3)]
    assert len([e for e in world.bank.events(schedule) if isinstance(e, ScheduledTimeLeftOut)]) == 0


def test_a_revision_that_needs_more_values_leaves_the_time_out(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-08: nobody is asked at night; the reason is told."""
    definition = desk.approved()
    schedule = world.set_schedule(definition)
    level = DeclaredParameter("level", ParameterType.TEXT)
    desk.revise(definition, sql=f"{CONTENT.sql} and level = :level", parameters=(level,))
    desk.approve(desk.submit(definition))
    fire(world, schedule, FIRST)
    [left_out] = [e for e in world.bank.events(schedule) if isinstance(e, ScheduledTimeLeftOut)]
    assert (left_out.due_at, left_out.code) == (FIRST, CommonRefusal.REQUIRED)
    world.set_schedule(definition, values={"level": "gold"})
    fire(world, schedule, FIRST + DAY)
    assert len(runs(world, schedule)) == 1


def test_a_schedule_is_judged_when_it_is_set(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-08"""
    definition = desk.approved()
    with refused((CommonRefusal.REQUIRED, "parameters", "data_to")):
        world.set_schedule(definition, timeframe=None)
    with refused((ParameterRefusal.UNKNOWN_PARAMETER, "parameters")):
        world.set_schedule(definition, values={"colour": "red"})
    with refused((CommonRefusal.NOT_FOUND, "frequency", "calendar")):
        world.set_schedule(definition, Frequency(FrequencyKind.DAILY, calendar=definition))
    with refused((CommonRefusal.OUT_OF_RANGE, "timeframe", "days")):
        world.set_schedule(definition, timeframe=Timeframe(TimeframeKind.ROLLING, days=0))
    with refused((TimeframeRefusal.NO_SUCH_DAY, "frequency", "cron")):
        world.set_schedule(definition, Frequency(FrequencyKind.CRON, "0 2 30 2 *"))
    with refused((CommonRefusal.NOT_FOUND, "id")):
        world.withdraw_schedule(definition, by=IN_SHANGHAI)
    with refused((CommonRefusal.NOT_FOUND, "definition")):
        world.withdraw_schedule(definition)


def test_a_definition_with_a_schedule_is_not_deleted_until_that_is_withdrawn(
    world: ScheduledWorld, desk: Desk
) -> None:
    """LOG-15"""
    definition = desk.approved()
    schedule = world.set_schedule(definition)
    with refused(CatalogueRefusal.IN_USE):
        desk.delete(definition)
    world.withdraw_schedule(definition)
    assert world.owed(schedule) is None
    fire(world, schedule, FIRST)
    assert runs(world, schedule) == []
    desk.delete(definition)


def test_a_schedule_that_was_withdrawn_may_be_set_again(world: ScheduledWorld, desk: Desk) -> None:
    """LOG-08"""
    definition = desk.approved()
    schedule = world.set_schedule(definition)
    world.withdraw_schedule(definition)
    world.set_schedule(definition)
    assert world.schedule(schedule).status is ScheduleStatus.ACTIVE
    fire(world, schedule, FIRST)
    assert len(runs(world, schedule)) == 1


def test_a_cancelled_work_order_withdraws_the_schedules_of_its_definitions(
    world: ScheduledWorld, desk: Desk
) -> None:
    """LOG-08, WO-16"""
    orders = orders_of(world.bank)
    order = orders.approved()
    definition = desk.approved(kind=DefinitionKind.ACTIVITY, work_order=order)
    schedule = world.set_schedule(definition)
    orders.approve(orders.approval_of(orders.request_cancellation(order)))
    assert world.schedule(schedule).status is ScheduleStatus.WITHDRAWN
    assert world.bank.log.users(definition) == ()


def test_a_schedule_by_workdays_moves_with_its_calendar(world: ScheduledWorld, desk: Desk) -> None:
    """SYS-05: skips a holiday, runs on a make-up Saturday; a change of the calendar moves the next time."""
    calendar = world.calendar(holiday(2026, 3, 2), workday(2026, 3, 7))
    frequency = Frequency(FrequencyKind.DAILY, at="02:30", calendar=calendar)
    schedule = world.set_schedule(desk.approved(), frequency)
    assert _days(world, schedule) == [3, 4, 5, 6, 7]
    world.mark(calendar, workday(2026, 3, 2), holiday(2026, 3, 3))
    assert _days(world, schedule) == [2, 4, 5, 6, 7]
    fire(world, schedule, FIRST)
    assert len(runs(world, schedule)) == 1


@pytest.mark.parametrize(
    ("frequency", "days"),
    [
        (FrequencyKind.WEEKLY, [date(2026, 3, 4), date(2026, 3, 9), date(2026, 3, 16)]),
        (FrequencyKind.MONTHLY, [date(2026, 3, 4), date(2026, 4, 1), date(2026, 5, 1)]),
    ],
)
def test_by_workdays_weekly_and_monthly_are_on_the_first_workday(
    world: ScheduledWorld, desk: Desk, frequency: FrequencyKind, days: list[date]
) -> None:
    """SYS-05: a holiday does not swallow a whole week or month."""
    calendar = world.calendar(holiday(2026, 3, 2), holiday(2026, 3, 3))
    schedule = world.set_schedule(desk.approved(), Frequency(frequency, calendar=calendar))
    zone = world.bank.handler.zone
    assert [at.astimezone(zone).date() for at in world.schedule(schedule).next_times[:3]] == days


def test_a_missed_time_survives_a_change_of_the_calendar(world: ScheduledWorld, desk: Desk) -> None:
    """SYS-05: what was due and not yet done is still done."""
    calendar = world.calendar()
    frequency = replace(DAILY, calendar=calendar)
    schedule = world.set_schedule(desk.approved(), frequency)
    world.bank.now = FIRST + HOUR
    world.mark(calendar, holiday(2026, 3, 20))
    assert world.schedule(schedule).next_at == FIRST


def _days(world: ScheduledWorld, schedule: UUID) -> list[int]:
    zone = world.bank.handler.zone
    return [at.astimezone(zone).day for at in world.schedule(schedule).next_times]
