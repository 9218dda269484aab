"""Periods: half-open, and never empty."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.shared.period import Period, period_faults
from domain.shared.refusal import CommonRefusal, Fault

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize("length", [timedelta(0), -TICK, -HOUR])
def test_a_period_ends_after_its_start(length: timedelta) -> None:
    """ACT-04: end before start is refused; a period without any instant too."""
    assert list(period_faults(Period(NOON, NOON + length), "award")) == [
        Fault(CommonRefusal.END_NOT_AFTER_START, ("award", "ends_at"))
    ]


def test_the_shortest_period_is_one_tick() -> None:
    assert not list(period_faults(Period(NOON, NOON + TICK)))


def test_instants_are_compared_across_time_zones() -> None:
    in_shanghai = timezone(8 * HOUR)
    assert not list(period_faults(Period(NOON, datetime(2026, 3, 1, 21, tzinfo=in_shanghai))))
    assert list(period_faults(Period(NOON, datetime(2026, 3, 1, 20, tzinfo=in_shanghai))))


def test_a_period_contains_itself_and_what_lies_within() -> None:
    day = Period(NOON, NOON + 24 * HOUR)
    assert day.contains(day)
    assert day.contains(Period(NOON + HOUR, NOON + 2 * HOUR))
    assert not day.contains(Period(NOON - TICK, NOON + HOUR))
    assert not day.contains(Period(NOON + HOUR, NOON + 24 * HOUR + TICK))
