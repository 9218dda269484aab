"""Periods of time: half-open, from an instant up to but not including another."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from domain.shared.refusal import CommonRefusal, Fault

YEAR_LEAST = 1990
YEAR_MOST = 2200


@dataclass(frozen=True, slots=True)
class Period:
    """`starts_at` belongs to the period, `ends_at` does not; both are aware instants."""

    starts_at: datetime
    ends_at: datetime

    def contains(self, other: "Period") -> bool:
        return self.starts_at <= other.starts_at and other.ends_at <= self.ends_at


def instant_faults(moment: datetime, *path: str | int) -> Iterator[Fault]:
    """An instant far from any campaign is a slip, and some machines can't write it."""
    if not YEAR_LEAST < moment.year < YEAR_MOST:
        yield Fault(CommonRefusal.OUT_OF_RANGE, path, {"least": str(YEAR_LEAST), "most": str(YEAR_MOST)})


def period_faults(period: Period, *path: str | int) -> Iterator[Fault]:
    yield from instant_faults(period.starts_at, *path, "starts_at")
    yield from instant_faults(period.ends_at, *path, "ends_at")
    if period.ends_at <= period.starts_at:
        yield Fault(CommonRefusal.END_NOT_AFTER_START, (*path, "ends_at"))
