"""Business calendars: which days are worked, and what may be said of them."""

from datetime import date

import pytest

from domain.business_calendars import (
    DAYS_MAX,
    DECIDER,
    AddCalendar,
    BusinessCalendarAdded,
    BusinessCalendarRevised,
    CalendarDay,
    CalendarSchedulesMoved,
    DayKind,
    RecordMoves,
    ReviseCalendar,
    is_due_on,
    is_workday,
)
from domain.shared.refusal import CommonRefusal
from domain.timeframes import Frequency, FrequencyKind
from tests.given import Given

NATIONAL_DAY = CalendarDay(date(2026, 10, 1), DayKind.HOLIDAY, "国庆节")
MADE_UP = CalendarDay(date(2026, 10, 10), DayKind.WORKDAY, "调休上班")
DAYS = {day.on: day for day in (NATIONAL_DAY, MADE_UP)}
calendar = Given(DECIDER)
added = BusinessCalendarAdded("CN", "China", (NATIONAL_DAY, MADE_UP), "lin")


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 9, 30), True),
        (date(2026, 10, 1), False),
        (date(2026, 10, 3), False),
        (date(2026, 10, 10), True),
        (date(2026, 10, 11), False),
    ],
)
def test_a_day_is_as_the_calendar_says_or_as_its_weekday_does(day: date, works: bool) -> None:
    """SYS-05"""
    assert is_workday(DAYS, day) == works


@pytest.mark.parametrize(
    ("kind", "due"),
    [
        (FrequencyKind.DAILY, [2, 5, 6, 7, 8, 9, 10]),
        (FrequencyKind.WEEKLY, [5]),
        (FrequencyKind.MONTHLY, [2]),
        (FrequencyKind.CRON, [2, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_by_workdays_weekly_and_monthly_are_on_the_first_of_them(kind: FrequencyKind, due: list[int]) -> None:
    """SYS-05: of October 2026, whose first days are a Thursday, a holiday, and a Friday."""
    frequency = Frequency(kind)
    assert [day for day in range(1, 12) if is_due_on(frequency, DAYS, date(2026, 10, day))] == due


def test_a_calendar_is_kept_in_the_order_of_its_days() -> None:
    calendar.when(AddCalendar("CN", "China", (MADE_UP, NATIONAL_DAY), "lin", True)).then(added)


def test_everything_that_is_wrong_with_a_calendar_is_told() -> None:
    """SYS-05"""
    far = CalendarDay(date(1066, 10, 14), DayKind.HOLIDAY)
    calendar.when(AddCalendar("c n", "", (NATIONAL_DAY, far, NATIONAL_DAY), "lin", False)).then_refused(
        (CommonRefusal.BAD_CODE, "code"),
        (CommonRefusal.CODE_TAKEN, "code"),
        (CommonRefusal.REQUIRED, "name"),
        (CommonRefusal.OUT_OF_RANGE, "days", 1, "on"),
        (CommonRefusal.DUPLICATE, "days", 2, "on"),
    )
    many = tuple(CalendarDay(date.fromordinal(730_000 + n), DayKind.HOLIDAY) for n in range(DAYS_MAX + 1))
    calendar.when(AddCalendar("CN", "China", many, "lin", True)).then_refused(
        (CommonRefusal.TOO_MANY, "days")
    )


def test_only_what_changes_is_recorded() -> None:
    """SYS-05: a day that is said again, or cleared though nothing was said of it, is no news."""
    off = CalendarDay(date(2026, 10, 2), DayKind.HOLIDAY)
    known = calendar.given(added)
    known.when(ReviseCalendar(None, (off, NATIONAL_DAY), (MADE_UP.on, date(2026, 1, 1)), "wu")).then(
        BusinessCalendarRevised(2, "China", (off,), (MADE_UP.on,), "wu")
    )
    known.when(ReviseCalendar("China", (NATIONAL_DAY,), (), "wu")).then_nothing()
    calendar.when(ReviseCalendar("China", (), (), "wu")).then_refused((CommonRefusal.NOT_FOUND, "id"))
    known.when(ReviseCalendar(None, (MADE_UP,), (MADE_UP.on,), "wu")).then_refused(
        (CommonRefusal.DUPLICATE, "mark", 0, "on")
    )


def test_that_all_schedules_know_a_revision_is_said_once() -> None:
    """SYS-05"""
    revised = BusinessCalendarRevised(2, "China", (), (MADE_UP.on,), "wu")
    moved = CalendarSchedulesMoved(2)
    calendar.given(added).when(RecordMoves(1)).then_nothing()
    calendar.given(added, revised).when(RecordMoves(2)).then(moved)
    calendar.given(added, revised, moved).when(RecordMoves(2)).then_nothing()
    state = DECIDER.fold([added, revised, moved])
    assert (state.revision, state.moved, set(state.days)) == (2, 2, {NATIONAL_DAY.on})
