"""Timeframes: the days that they mean, and what makes them and their schedules sound."""

from contextlib import nullcontext
from datetime import UTC, date, datetime

import pytest

from application.shared.cron_times import next_fire
from domain.shared.refusal import CommonRefusal, refuse_any
from domain.timeframes import (
    CRON_CHARACTERS_MAX,
    DAYS_MAX,
    Days,
    Frequency,
    FrequencyKind,
    Timeframe,
    TimeframeKind,
    TimeframeRefusal,
    frequency_faults,
    resolve,
    timeframe_faults,
)
from tests.given import ExpectedFault, refused

FIXED, ROLLING = TimeframeKind.FIXED, TimeframeKind.ROLLING
MARCH = Timeframe(FIXED, date(2024, 3, 1), date(2024, 4, 1))


@pytest.mark.parametrize(
    ("days", "business_date", "since"),
    [
        (30, date(2024, 3, 31), date(2024, 3, 1)),
        (30, date(2024, 3, 30), date(2024, 2, 29)),
        (30, date(2023, 3, 30), date(2023, 2, 28)),
        (1, date(2024, 1, 1), date(2023, 12, 31)),
        (366, date(2025, 1, 1), date(2024, 1, 1)),
    ],
)
def test_rolling_days_end_before_the_business_date(days: int, business_date: date, since: date) -> None:
    """SEG-08: half-open, so that the day that is not over yet is never half counted; leap days are days."""
    assert resolve(Timeframe(ROLLING, days=days), business_date) == Days(since, business_date)


def test_fixed_days_are_the_same_on_every_business_date() -> None:
    for business_date in (date(2020, 1, 1), date(2024, 3, 31), date(2030, 1, 1)):
        assert resolve(MARCH, business_date) == Days(date(2024, 3, 1), date(2024, 4, 1))


@pytest.mark.parametrize(
    ("timeframe", "faults"),
    [
        (MARCH, []),
        (Timeframe(ROLLING, days=1), []),
        (Timeframe(ROLLING, days=DAYS_MAX), []),
        (Timeframe(ROLLING), [(CommonRefusal.REQUIRED, "days")]),
        (Timeframe(ROLLING, days=0), [(CommonRefusal.OUT_OF_RANGE, "days")]),
        (Timeframe(ROLLING, days=DAYS_MAX + 1), [(CommonRefusal.OUT_OF_RANGE, "days")]),
        (
            Timeframe(ROLLING, date(2024, 3, 1), days=7),
            [(TimeframeRefusal.NOT_OF_THIS_KIND, "starts_on")],
        ),
        (
            Timeframe(FIXED, days=7),
            [
                (CommonRefusal.REQUIRED, "starts_on"),
                (CommonRefusal.REQUIRED, "ends_on"),
                (TimeframeRefusal.NOT_OF_THIS_KIND, "days"),
            ],
        ),
        (
            Timeframe(FIXED, date(2024, 3, 1), date(2024, 3, 1)),
            [(CommonRefusal.END_NOT_AFTER_START, "ends_on")],
        ),
        (Timeframe(FIXED, date(1, 1, 1), date(2024, 3, 1)), [(CommonRefusal.OUT_OF_RANGE, "starts_on")]),
        (Timeframe(FIXED, date(2024, 3, 1), date(9999, 1, 1)), [(CommonRefusal.OUT_OF_RANGE, "ends_on")]),
    ],
)
def test_each_fault_of_a_timeframe_is_told_at_its_place(
    timeframe: Timeframe, faults: list[ExpectedFault]
) -> None:
    if not faults:
        assert list(timeframe_faults(timeframe)) == []
        return
    with refused(*faults):
        refuse_any(timeframe_faults(timeframe))


@pytest.mark.parametrize(
    "cron", ["* * * * *", "0 6 * * 1", "*/15 0-23 1,15 1-12/3 0,7", "59 23 31 12 5-6", "0 0 1 1 *"]
)
def test_a_schedule_of_five_fields_is_one(cron: str) -> None:
    assert list(frequency_faults(Frequency(FrequencyKind.CRON, cron))) == []


@pytest.mark.parametrize(
    "cron",
    ["* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
     "*/0 * * * *", "*  * * * *", "5-1 * * * *", "1, * * * *", "daily", "* * * * MON", "0 0 * * 1\n",
     "*" * 200, ",".join(["1"] * CRON_CHARACTERS_MAX) + " * * * *"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(cron: str) -> None:
    with refused((TimeframeRefusal.BAD_CRON, "cron")):
        refuse_any(frequency_faults(Frequency(FrequencyKind.CRON, cron)))


@pytest.mark.parametrize(
    ("cron", "is_there"),
    [("0 2 30 2 *", False), ("0 0 31 4,6,9-9,11 *", False), ("0 0 31 2 */2", False), ("0 0 30-31 2 *", False),
     ("0 0 29 2 *", True), ("0 2 30 2 1", True), ("0 0 28,30 2 *", True), ("0 0 */30 2 *", True),
     ("0 0 31 2-3 *", True), ("0 0 31 */6 *", True), ("0 0 31 */2 *", True)],
)  # fmt: skip
def test_a_schedule_of_a_day_that_there_never_is_is_refused(cron: str, is_there: bool) -> None:
    """As the clock itself finds, which takes no such expression."""
    with nullcontext() if is_there else pytest.raises(ValueError, match="day-of-month"):
        assert next_fire(cron, "Asia/Shanghai", datetime(2026, 1, 1, tzinfo=UTC)) is not None
    found = [fault.code for fault in frequency_faults(Frequency(FrequencyKind.CRON, cron))]
    assert found == ([] if is_there else [TimeframeRefusal.NO_SUCH_DAY])


@pytest.mark.parametrize(
    "hours", ["8-20", "20:00", "20:00-20:00", "24:00-08:00", "20:00 - 08:00", "20:00-08:00 "]
)
def test_off_peak_hours_begin_and_end(hours: str) -> None:
    """SEG-07"""
    assert list(frequency_faults(Frequency(FrequencyKind.DAILY, off_peak="20:00-08:00"))) == []
    with refused((TimeframeRefusal.BAD_HOURS, "off_peak")):
        refuse_any(frequency_faults(Frequency(FrequencyKind.DAILY, off_peak=hours)))


def test_a_schedule_is_there_for_cron_and_for_nothing_else() -> None:
    with refused((CommonRefusal.REQUIRED, "cron")):
        refuse_any(frequency_faults(Frequency(FrequencyKind.CRON)))
    for kind in set(FrequencyKind) - {FrequencyKind.CRON}:
        assert list(frequency_faults(Frequency(kind))) == []
        with refused((TimeframeRefusal.NOT_OF_THIS_KIND, "cron")):
            refuse_any(frequency_faults(Frequency(kind, "0 6 * * 1")))
