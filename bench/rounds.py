"""Interleaved rounds: ours and the limit in turn, so that a machine whose speed drifts favours neither."""

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`ours` and `limit` are medians in `unit`; `ratio` is the median of the rounds' own ratios."""

    name: str
    ours: float
    limit: float
    ratio: float
    lowest: float
    highest: float
    target: float
    unit: str

    @property
    def is_met(self) -> bool:
        return self.ratio >= self.target


def interleaved(
    name: str,
    ours: Callable[[], float],
    limit: Callable[[], float],
    *,
    rounds: int,
    target: float,
    unit: str = "per s",
) -> Figure:
    """Each callable does one round's work and tells its rate. One round of each comes first, uncounted."""
    ours(), limit()
    pairs = []
    for _ in range(rounds):
        gc.collect()
        pairs.append((ours(), limit()))
    ratios = sorted(mine / theirs for mine, theirs in pairs)
    return Figure(
        name,
        statistics.median(mine for mine, _ in pairs),
        statistics.median(theirs for _, theirs in pairs),
        statistics.median(ratios),
        ratios[0],
        ratios[-1],
        target,
        unit,
    )
