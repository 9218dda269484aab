"""Reconciliation: what was extracted, what was filed, what was acknowledged, line by line and in the sums.

All three come in the order of line numbers and are walked together once, so memory stays flat.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from domain.points_files import AcknowledgementLine, PointsLine

Numbered = TypeVar("Numbered", PointsLine, AcknowledgementLine)

DIFFERENCES_NAMED_MAX = 100
DOUBLES_HELD_MAX = 1_000


class DifferenceKind(StrEnum):
    """`NOT_FILED`: extracted, but not in the file. `NOT_EXTRACTED`: in the file, but not in the result."""

    NOT_FILED = "not_filed"
    NOT_EXTRACTED = "not_extracted"
    DIFFERS = "differs"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    UNKNOWN_ACKNOWLEDGED = "unknown_acknowledged"
    DOUBLED = "doubled"
    NOT_POSTED = "not_posted"


@dataclass(frozen=True, slots=True)
class Difference:
    """One line that is not as it should be; line 0 where only the sums differ."""

    line: int
    kind: DifferenceKind


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`differing` counts all differences, `differences` names the first of them. Points are signed sums."""

    extracted: int
    filed: int
    accepted: int
    rejected: int
    posted: int
    extracted_points: int
    filed_points: int
    accepted_points: int
    rejected_points: int
    posted_points: int
    differing: int
    differences: tuple[Difference, ...]

    @property
    def is_even(self) -> bool:
        """Extracted = filed = acknowledged + rejected, and all that was accepted is posted."""
        return self.differing == 0


def reconcile(
    extracted: Iterable[PointsLine],
    filed: Iterable[PointsLine],
    acknowledged: Iterable[AcknowledgementLine],
    posted: int,
    posted_points: int,
) -> Reconciliation:
    """Each line once in all three and equal; `posted` lines and points are those that the ledgers took."""
    differing, named = 0, list[Difference]()
    count, points = dict.fromkeys(_SUMS, 0), dict.fromkeys(_SUMS, 0)
    ours, sent, answered = _Walk(extracted), _Walk(filed), _Walk(acknowledged)
    while number := min((walk.number for walk in (ours, sent, answered) if walk.number), default=0):
        line, file_line, answer = ours.take(number), sent.take(number), answered.take(number)
        kinds = _differences(line, file_line, answer)
        differing += len(kinds)
        named += [Difference(number, kind) for kind in kinds][: DIFFERENCES_NAMED_MAX - len(named)]
        for name, found in zip(_SUMS, _counted(line, file_line, answer), strict=True):
            count[name] += len(found)
            points[name] += sum(each.points for each in found)
    if (posted, posted_points) != (count["accepted"], points["accepted"]):
        differing += 1
        named += [Difference(0, DifferenceKind.NOT_POSTED)][: DIFFERENCES_NAMED_MAX - len(named)]
    return Reconciliation(
        **count,
        posted=posted,
        **{f"{name}_points": found for name, found in points.items()},
        posted_points=posted_points,
        differing=differing,
        differences=tuple(named),
    )


_SUMS = ("extracted", "filed", "accepted", "rejected")


class _Walk(Generic[Numbered]):
    """One of the three, line by line; `number` is that of the line that comes next, 0 at the end."""

    def __init__(self, lines: Iterable[Numbered]) -> None:
        self._lines: Iterator[Numbered] = iter(lines)
        self._next: Numbered | None = next(self._lines, None)

    @property
    def number(self) -> int:
        return 0 if self._next is None else self._next.number

    def take(self, number: int) -> list[Numbered]:
        """The lines of this number that come next: one, none, or several where one is doubled."""
        found: list[Numbered] = []
        while self._next is not None and self._next.number == number:
            if len(found) < DOUBLES_HELD_MAX:
                found.append(self._next)
            self._next = next(self._lines, None)
        return found


def _differences(
    ours: list[PointsLine], sent: list[PointsLine], answered: list[AcknowledgementLine]
) -> list[DifferenceKind]:
    found = []
    if max(len(ours), len(sent), len(answered)) > 1:
        found.append(DifferenceKind.DOUBLED)
    if ours and not sent:
        found.append(DifferenceKind.NOT_FILED)
    if sent and not ours:
        found.append(DifferenceKind.NOT_EXTRACTED)
    if ours and sent and ours[0] != sent[0]:
        found.append(DifferenceKind.DIFFERS)
    if sent and not answered:
        found.append(DifferenceKind.NOT_ACKNOWLEDGED)
    if answered and not sent:
        found.append(DifferenceKind.UNKNOWN_ACKNOWLEDGED)
    return found


def _counted(
    ours: list[PointsLine], sent: list[PointsLine], answered: list[AcknowledgementLine]
) -> tuple[list[PointsLine], ...]:
    """What counts as extracted, filed, accepted and rejected; an answer counts with its line's points."""
    accepted = sent[:1] if answered and answered[0].is_accepted else []
    rejected = sent[:1] if answered and not answered[0].is_accepted else []
    return ours, sent, accepted, rejected
