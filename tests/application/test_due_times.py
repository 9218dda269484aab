"""When something is due: by the clock of a zone, on the days of a calendar, and the holidays of China."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from application.public_holidays import Country, public_holidays
from application.shared.due_times import next_times
from domain.business_calendars import DayKind
from domain.shared.refusal import CommonRefusal
from domain.timeframes import Frequency, FrequencyKind
from tests.given import refused

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
NOON = datetime(2026, 10, 1, 4, tzinfo=UTC)


def due(frequency: Frequency, zone: ZoneInfo = SHANGHAI, **given: object) -> list[str]:
    days = given.get("days")
    after, until = given.get("after", NOON), given.get("until")
    times = next_times(frequency, days, zone, after, until)  # type: ignore[arg-type]
    return [at.astimezone(zone).strftime("%m-%d %H:%M") for at in times]


@pytest.mark.parametrize(
    ("frequency", "times"),
    [
        (Frequency(FrequencyKind.DAILY, at="02:30"), ["10-02 02:30", "10-03 02:30"]),
        (Frequency(FrequencyKind.DAILY), ["10-02 02:00", "10-03 02:00"]),
        (Frequency(FrequencyKind.DAILY, at="12:01"), ["10-01 12:01", "10-02 12:01"]),
        (Frequency(FrequencyKind.WEEKLY, at="07:00"), ["10-05 07:00", "10-12 07:00"]),
        (Frequency(FrequencyKind.MONTHLY), ["11-01 02:00", "12-01 02:00"]),
        (Frequency(FrequencyKind.CRON, "15 6 * * 2"), ["10-06 06:15", "10-13 06:15"]),
    ],
)
def test_each_frequency_has_its_times(frequency: Frequency, times: list[str]) -> None:
    """SEG-07, LOG-08"""
    assert due(frequency)[:2] == times


def test_there_are_times_until_the_end_and_none_that_never_come() -> None:
    """SEG-07"""
    daily = Frequency(FrequencyKind.DAILY)
    assert due(daily, until=datetime(2026, 10, 3, 18, tzinfo=UTC)) == ["10-02 02:00", "10-03 02:00"]
    assert due(Frequency(FrequencyKind.ONCE, at="03:00")) == ["10-02 03:00"]
    assert due(Frequency(FrequencyKind.CRON, "0 2 30 2 *")) == []
    assert due(Frequency(FrequencyKind.CRON, "0 2 29 2 *")) == []


@pytest.mark.parametrize(
    ("frequency", "times"),
    [
        (Frequency(FrequencyKind.DAILY, at="09:00", off_peak="20:00-08:00"), ["10-01 20:00", "10-02 20:00"]),
        (Frequency(FrequencyKind.DAILY, at="03:00", off_peak="20:00-08:00"), ["10-02 03:00", "10-03 03:00"]),
        (Frequency(FrequencyKind.DAILY, at="08:00", off_peak="00:30-08:00"), ["10-02 00:30", "10-03 00:30"]),
        (Frequency(FrequencyKind.ONCE, at="11:00", off_peak="20:00-08:00"), ["10-01 20:00"]),
        (
            Frequency(FrequencyKind.CRON, "0 */5 * * *", off_peak="20:00-06:00"),
            ["10-01 20:00", "10-02 00:00"],
        ),
        (
            Frequency(FrequencyKind.CRON, "0 */5 * * *", off_peak="18:00-19:00"),
            ["10-01 18:00", "10-02 18:00"],
        ),
    ],
)
def test_a_time_outside_of_the_off_peak_hours_is_put_off_until_they_begin(
    frequency: Frequency, times: list[str]
) -> None:
    """SEG-07: and times that are put off until the same one are one."""
    assert due(frequency)[: len(times)] == times
    assert len(due(frequency)) in (1, 5)


def test_a_time_that_is_put_off_past_the_end_does_not_come_and_a_holiday_is_that_of_its_own_day() -> None:
    """SEG-07"""
    daily = Frequency(FrequencyKind.DAILY, at="09:00", off_peak="02:00-06:00")
    assert due(daily, until=datetime(2026, 10, 2, 18, tzinfo=UTC)) == ["10-02 02:00"]
    assert due(daily, days={})[:4] == ["10-02 02:00", "10-03 02:00", "10-06 02:00", "10-07 02:00"]


def test_a_clock_that_is_set_forward_and_back_makes_one_time_a_day() -> None:
    """LOG-08"""
    daily = Frequency(FrequencyKind.DAILY, at="01:30")
    after = datetime(2026, 10, 31, 12, tzinfo=UTC)
    times = next_times(daily, None, NEW_YORK, after, None)
    assert [at.astimezone(NEW_YORK).date().day for at in times] == [1, 2, 3, 4, 5]
    assert times[1] - times[0] == timedelta(hours=25)


def test_the_calendar_of_china_has_its_holidays_and_make_up_workdays() -> None:
    """SYS-05: the week of National Day 2026 and the Saturday that makes up for it."""
    known = {day.on: day for day in public_holidays(Country.CN, [2026])}
    assert {date(2026, 10, day) for day in (1, 2, 5, 6, 7)} <= set(known)
    made_up = known[date(2026, 10, 10)]
    assert (made_up.kind, made_up.on.weekday()) == (DayKind.WORKDAY, 5)
    assert {on.year for on in known} == {2026}
    times = due(Frequency(FrequencyKind.DAILY), days=known)
    assert times == ["10-08 02:00", "10-09 02:00", "10-10 02:00", "10-12 02:00", "10-13 02:00"]


def test_years_beyond_all_knowledge_are_refused() -> None:
    """SYS-05"""
    with refused((CommonRefusal.OUT_OF_RANGE, "years", 0)):
        public_holidays(Country.CN, [1984])
    with refused((CommonRefusal.TOO_MANY, "years")):
        public_holidays(Country.CN, range(2001, 2050))
