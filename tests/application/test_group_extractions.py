"""Customer groups of running activities are extracted at their times, once each, and who moved is known."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from application import group_extractions
from application.activities import Chosen, GroupLinkEntry
from application.shared.engines import RunFailed, RunFailure
from domain.activities import Status as ActivityStatus
from domain.activity_plans import GroupRole
from domain.group_extractions import GroupExtractionFailed, GroupMembershipRecorded, Status
from domain.group_memberships import Movement
from domain.group_rules import Rule
from domain.run_schedules import Status as ScheduleStatus
from domain.shared.refusal import CommonRefusal
from domain.timeframes import Days, Frequency, FrequencyKind, TimeframeRefusal
from tests.application.bank import DAY, IN_SHANGHAI, LIN, Bank, at_once
from tests.application.scheduled_world import (
    DAILY,
    LAST_30_DAYS,
    SPENT_100,
    ScheduledWorld,
    holiday,
    workday,
)
from tests.application.small_warehouse import SmallEngine, customer, spent, write_warehouse
from tests.given import refused

ANN, BEN, CAT = "C00000001", "C00000002", "C00000003"
# Shanghai is eight hours ahead: 02:30 on the 29th there.
FIRST = datetime(2024, 3, 28, 18, 30, tzinfo=UTC)


@pytest.fixture
def world(bank: Bank, tmp_path: Path) -> ScheduledWorld:
    """Ann spends all the time, Ben last on 2024-02-29, Cat only on 2024-03-29."""
    bank.now = datetime(2024, 3, 28, 4, tzinfo=UTC)
    folder = write_warehouse(
        tmp_path / "bank",
        [customer(1), customer(2), customer(3)],
        [
            spent(1, 500, date(2024, 3, 10)),
            spent(2, 500, date(2024, 2, 29)),
            spent(3, 500, date(2024, 3, 29)),
        ],
    )
    return ScheduledWorld(bank, SmallEngine(folder))


def launched(world: ScheduledWorld, frequency: Frequency = DAILY, group: UUID | None = None) -> UUID:
    """From now for 40 days."""
    now = world.bank.now
    return world.launched(frequency, group, starts_at=now, ends_at=now + 40 * DAY)


def who(world: ScheduledWorld, extraction: UUID) -> dict[str, Movement]:
    return dict(group_extractions.movements(world.bank.handler, world.engine, LIN, extraction))


def counted(world: ScheduledWorld, extraction: UUID) -> tuple[int, int, int, int]:
    """Members, and of them who joined; who stayed, who left."""
    [recorded] = [e for e in world.bank.events(extraction) if isinstance(e, GroupMembershipRecorded)]
    return recorded.members, recorded.joined, recorded.stayed, recorded.left


def test_a_daily_group_is_extracted_once_a_day_at_its_time(world: ScheduledWorld) -> None:
    """SEG-07: with the clock moved three days there are three extractions at the set times."""
    schedule = world.schedule_of(launched(world))
    world.until(schedule, FIRST - timedelta(seconds=1))
    assert world.extractions(schedule) == []
    for day in range(3):
        world.until(schedule, FIRST + day * DAY)
        world.until(schedule, FIRST + day * DAY + timedelta(hours=23))
    assert [event.due_at for event in world.fired(schedule)] == [FIRST + day * DAY for day in range(3)]


def test_times_that_were_missed_are_made_up_for_each_on_its_own_date(world: ScheduledWorld) -> None:
    """SEG-07: the clock moved three days at once: three extractions all the same, in order."""
    schedule = world.schedule_of(launched(world))
    world.until(schedule, FIRST + 2 * DAY + timedelta(hours=1))
    made = [world.extraction(each).has for each in world.extractions(schedule)]
    assert [each.business_date for each in made] == [
        date(2024, 3, 29),
        date(2024, 3, 30),
        date(2024, 3, 31),
    ]
    assert [each.due_at for each in made] == [FIRST + day * DAY for day in range(3)]


def test_what_was_missed_more_than_a_week_ago_is_left_out(world: ScheduledWorld) -> None:
    """SEG-07: a scheduler that was away for long does not begin with last month."""
    schedule = world.schedule_of(launched(world))
    world.until(schedule, FIRST + 20 * DAY)
    assert [event.due_at for event in world.fired(schedule)] == [FIRST + day * DAY for day in range(14, 21)]


def test_an_extraction_takes_data_of_the_days_of_its_timeframe(world: ScheduledWorld) -> None:
    """SEG-08: rolling 30 d on 2024-03-31 are 03-01..03-30; a transaction on 02-29 is not counted."""
    schedule = world.schedule_of(launched(world))
    world.until(schedule, FIRST + 2 * DAY)
    first, _, third = world.extractions(schedule)
    assert world.extraction(third).has.days == Days(date(2024, 3, 1), date(2024, 3, 31))
    assert who(world, first) == {ANN: Movement.JOINED, BEN: Movement.JOINED}
    assert who(world, third)[BEN] is Movement.LEFT


def test_joins_and_leaves_are_kept_for_each_run(world: ScheduledWorld, tmp_path: Path) -> None:
    """SEG-09: Cat meets the rule on the second day only: not there, joined, left."""
    schedule = world.schedule_of(launched(world))
    still = [spent(1, 500, date(2024, 3, 10))]
    cat = [*still, spent(3, 500, date(2024, 3, 29))]
    for day, transactions in enumerate((still, cat, still)):
        customers = [customer(1), customer(3)]
        world.engine.folder = write_warehouse(tmp_path / f"day{day}", customers, transactions)
        world.until(schedule, FIRST + day * DAY)
    one, two, three = world.extractions(schedule)
    assert who(world, one) == {ANN: Movement.JOINED}
    assert who(world, two) == {ANN: Movement.STAYED, CAT: Movement.JOINED}
    assert who(world, three) == {ANN: Movement.STAYED, CAT: Movement.LEFT}
    assert [counted(world, each) for each in (one, two, three)] == [
        (1, 1, 0, 0),
        (2, 1, 1, 0),
        (1, 0, 1, 1),
    ]
    assert [world.extraction(each).has.previous for each in (one, two, three)] == [None, one, two]


def test_a_groups_new_revision_takes_effect_with_the_next_cycle(world: ScheduledWorld) -> None:
    """SEG-02: an extraction that was asked for before goes on with the old one."""
    group = world.group()
    schedule = world.schedule_of(launched(world, group=group))
    world.bank.now = FIRST
    world.desk.fire(schedule)
    [first] = world.extractions(schedule)
    world.revise_group(group, Rule(negated=SPENT_100))
    world.desk.extract(first)
    world.until(schedule, FIRST + DAY)
    _, second = world.extractions(schedule)
    assert [world.extraction(each).has.group.revision for each in (first, second)] == [1, 2]
    assert set(who(world, first)) == {ANN, BEN}
    assert who(world, second) == {ANN: Movement.LEFT, BEN: Movement.LEFT}


def test_nothing_is_extracted_before_the_launch_or_after_the_end(world: ScheduledWorld) -> None:
    """SEG-07"""
    activity = world.planned(starts_at=world.bank.now, ends_at=FIRST + 2 * DAY)
    schedule = world.schedule_of(activity)
    assert world.owed(schedule) is None
    world.bank.launch(activity)
    world.until(schedule, FIRST + 5 * DAY)
    # The period ends when the third time would come, and is half-open.
    assert [event.due_at for event in world.fired(schedule)] == [FIRST, FIRST + DAY]
    assert world.schedule(schedule).status is ScheduleStatus.OVER
    world.bank.end(activity)
    assert world.schedule(schedule).status is ScheduleStatus.WITHDRAWN


def test_a_paused_activity_extracts_nothing_and_makes_up_for_nothing(world: ScheduledWorld) -> None:
    """SEG-07"""
    activity = launched(world)
    schedule = world.schedule_of(activity)
    world.bank.pause(activity)
    world.until(schedule, FIRST + DAY + timedelta(hours=1))
    assert world.extractions(schedule) == []
    world.bank.resume(activity)
    world.until(schedule, FIRST + 2 * DAY)
    assert [event.due_at for event in world.fired(schedule)] == [FIRST + 2 * DAY]


def test_a_cancelled_activity_extracts_nothing_more(world: ScheduledWorld) -> None:
    """SEG-07: a worker that comes with an old task finds nothing due."""
    activity = launched(world)
    schedule = world.schedule_of(activity)
    world.until(schedule, FIRST)
    world.bank.cancel(activity)
    world.bank.now = FIRST + DAY
    world.desk.fire(schedule)
    assert world.owed(schedule) is None
    assert len(world.extractions(schedule)) == 1
    assert world.bank.activity(activity).status is ActivityStatus.CANCELLED


def test_once_is_at_the_launch_or_at_the_next_such_time_of_day(world: ScheduledWorld) -> None:
    """SEG-07"""
    at_launch = world.schedule_of(launched(world, Frequency(FrequencyKind.ONCE)))
    at_time = world.schedule_of(launched(world, Frequency(FrequencyKind.ONCE, at="02:30")))
    begun = world.bank.now
    for schedule, due_at in ((at_launch, begun), (at_time, FIRST)):
        world.until(schedule, FIRST + 3 * DAY)
        assert [event.due_at for event in world.fired(schedule)] == [due_at]
        assert world.schedule(schedule).status is ScheduleStatus.OVER


def test_at_once_waits_for_the_off_peak_hours(world: ScheduledWorld) -> None:
    """SEG-07"""
    now = world.bank.now.astimezone(world.bank.handler.zone)
    begin, end = now + timedelta(hours=3), now + timedelta(hours=6)
    hours = f"{begin:%H:%M}-{end:%H:%M}"
    later = world.schedule_of(launched(world, Frequency(FrequencyKind.ONCE, off_peak=hours)))
    assert world.schedule(later).next_times == (begin.replace(second=0, microsecond=0),)
    hours = f"{now - timedelta(hours=1):%H:%M}-{end:%H:%M}"
    at_once = world.schedule_of(launched(world, Frequency(FrequencyKind.ONCE, off_peak=hours)))
    assert world.schedule(at_once).next_times == (world.bank.now,)


def test_workers_that_come_together_extract_once_a_time(world: ScheduledWorld) -> None:
    """SEG-07: exactly once for each due time, however many fire."""
    schedule = world.schedule_of(launched(world))
    for day in range(3):
        world.bank.now = FIRST + day * DAY
        desks = [world.desk for _ in range(4)]
        at_once([partial(desk.fire, schedule) for desk in desks])
        live = world.schedule(schedule).live
        assert live is not None
        at_once([partial(desk.extract, live) for desk in desks[:2]])  # one was thought dead
    assert [event.due_at for event in world.fired(schedule)] == [FIRST + day * DAY for day in range(3)]
    for extraction in world.extractions(schedule):
        recorded = [e for e in world.bank.events(extraction) if isinstance(e, GroupMembershipRecorded)]
        assert len(recorded) == 1


def test_an_extraction_that_fails_holds_up_none_of_the_next(
    world: ScheduledWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEG-07, SEG-09: the one after it is compared with the last that had a result."""
    schedule = world.schedule_of(launched(world))
    world.until(schedule, FIRST)

    def broken(*_: object) -> None:
        raise RunFailed(RunFailure.WAREHOUSE_MISSING, {"name": "bank"})

    with monkeypatch.context() as patched:
        patched.setattr(world.engine, "run", broken)
        world.until(schedule, FIRST + DAY)
    world.until(schedule, FIRST + 2 * DAY)
    first, second, third = world.extractions(schedule)
    [*_, failed] = world.bank.events(second)
    assert failed == GroupExtractionFailed(1, "warehouse_missing", {"name": "bank"})
    assert world.extraction(third).has.previous == first


def test_an_extraction_whose_workers_die_has_failed_after_three_attempts(
    world: ScheduledWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEG-07: it does not hold up its schedule for ever."""
    schedule = world.schedule_of(launched(world))
    world.bank.now = FIRST
    world.desk.fire(schedule)
    [extraction] = world.extractions(schedule)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world.engine, "run", killed)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            world.desk.extract(extraction)
        assert world.owed(schedule) is None
    world.desk.extract(extraction)
    assert world.extraction(extraction).status is Status.FAILED
    assert world.schedule(schedule).next_at == FIRST + DAY
    assert world.engine.discarded == [extraction], "nothing of it stays"


def test_workdays_only_skips_a_holiday_and_runs_on_a_make_up_saturday(world: ScheduledWorld) -> None:
    """SEG-07, SYS-05: and a change of the calendar moves what comes next."""
    calendar = world.calendar(holiday(2024, 4, 4), holiday(2024, 4, 5), workday(2024, 4, 7))
    frequency = Frequency(FrequencyKind.DAILY, at="02:30", calendar=calendar)
    world.bank.now = datetime(2024, 4, 2, 20, tzinfo=UTC)  # Wednesday the 3rd, after 02:30
    schedule = world.schedule_of(launched(world, frequency))
    days = [at.astimezone(world.bank.handler.zone).date() for at in world.schedule(schedule).next_times]
    assert days == [date(2024, 4, day) for day in (7, 8, 9, 10, 11)]
    world.mark(calendar, holiday(2024, 4, 7), clear=[date(2024, 4, 5)])
    days = [at.astimezone(world.bank.handler.zone).date() for at in world.schedule(schedule).next_times]
    assert days == [date(2024, 4, day) for day in (5, 8, 9, 10, 11)]
    world.until(schedule, datetime(2024, 4, 8, 0, tzinfo=UTC))
    assert [world.extraction(each).has.business_date.day for each in world.extractions(schedule)] == [5, 8]


def test_a_link_names_a_calendar_that_there_is_and_a_time_that_there_is(world: ScheduledWorld) -> None:
    """SEG-07"""
    group = Chosen(world.group())
    unknown = Frequency(FrequencyKind.DAILY, at="24:00", calendar=group.id, off_peak="8-20")
    link = GroupLinkEntry(group, GroupRole.REWARDED, unknown, LAST_30_DAYS)
    plan = world.bank.plan(world.bank.add_type("T"), groups=(link,))
    with refused(
        (TimeframeRefusal.BAD_TIME_OF_DAY, "groups", 0, "frequency", "at"),
        (TimeframeRefusal.BAD_HOURS, "groups", 0, "frequency", "off_peak"),
        (CommonRefusal.NOT_FOUND, "groups", 0, "frequency", "calendar"),
    ):
        world.bank.draft(plan)


def test_members_are_told_to_those_alone_who_see_the_unit(world: ScheduledWorld) -> None:
    """SEG-05"""
    schedule = world.schedule_of(launched(world))
    world.until(schedule, FIRST)
    [extraction] = world.extractions(schedule)
    with refused((CommonRefusal.NOT_FOUND, "id")):
        group_extractions.movements(world.bank.handler, world.engine, IN_SHANGHAI, extraction)
