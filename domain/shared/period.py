"""Periods of time: half-open, from an instant up to but not including another."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from domain.shared.refusal import CommonRefusal, Fault


@dataclass(frozen=True, slots=True)
class Period:
    """`starts_at` belongs to the period, `ends_at` does not; both are aware instants."""

    starts_at: datetime
    ends_at: datetime

    def contains(self, other: "Period") -> bool:
        return self.starts_at <= other.starts_at and other.ends_at <= self.ends_at


def period_faults(period: Period, *path: str | int) -> Iterator[Fault]:
    if period.ends_at <= period.starts_at:
        yield Fault(CommonRefusal.END_NOT_AFTER_START, (*path, "ends_at"))
