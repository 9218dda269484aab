"""Reconciliation: extracted = filed = acknowledged + rejected, and every line that is not so is named."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from domain.points_files import ACCEPTED, AcknowledgementLine, PointsLine
from domain.reconciliation import DIFFERENCES_NAMED_MAX, Difference, DifferenceKind, reconcile

LINES = [PointsLine(number, f"C{number}", "", 100 * number, "X") for number in range(1, 6)]
ANSWERS = [AcknowledgementLine(number, "E1" if number == 4 else ACCEPTED) for number in range(1, 6)]
K = DifferenceKind


def test_what_agrees_in_every_line_and_sum_is_even() -> None:
    """PTS-10"""
    found = reconcile(LINES, LINES, ANSWERS, 4, 1_100)
    assert found.is_even
    assert (found.extracted, found.filed, found.accepted, found.rejected, found.posted) == (5, 5, 4, 1, 4)
    assert (found.extracted_points, found.filed_points) == (1_500, 1_500)
    assert (found.accepted_points, found.rejected_points, found.posted_points) == (1_100, 400, 1_100)


@pytest.mark.parametrize(
    ("ours", "sent", "answered", "posted", "expected"),
    [
        (LINES, LINES, [*ANSWERS[:2], *ANSWERS[3:]], (3, 800), [(3, K.NOT_ACKNOWLEDGED)]),
        (LINES, [*LINES[:2], *LINES[3:]], ANSWERS, (3, 800), [(3, K.NOT_FILED), (3, K.UNKNOWN_ACKNOWLEDGED)]),
        ([*LINES[:2], *LINES[3:]], LINES, ANSWERS, (4, 1_100), [(3, K.NOT_EXTRACTED)]),
        (LINES, [replace(LINES[0], points=101), *LINES[1:]], ANSWERS, (4, 1_101), [(1, K.DIFFERS)]),
        (LINES, [replace(LINES[0], customer="D1"), *LINES[1:]], ANSWERS, (4, 1_100), [(1, K.DIFFERS)]),
        (LINES, LINES, [ANSWERS[0], *ANSWERS], (4, 1_100), [(1, K.DOUBLED)]),
        (LINES, [*LINES, LINES[4]], ANSWERS, (4, 1_100), [(5, K.DOUBLED)]),
        (
            LINES,
            LINES,
            [*ANSWERS, AcknowledgementLine(6, ACCEPTED)],
            (4, 1_100),
            [(6, K.UNKNOWN_ACKNOWLEDGED)],
        ),
        (LINES, LINES, ANSWERS, (3, 1_000), [(0, K.NOT_POSTED)]),
        (LINES, LINES, ANSWERS, (4, 1_099), [(0, K.NOT_POSTED)]),
        ([], [], [], (0, 0), []),
    ],
)
def test_each_line_that_is_missing_doubled_unknown_or_differs_is_named(
    ours: list[PointsLine],
    sent: list[PointsLine],
    answered: list[AcknowledgementLine],
    posted: tuple[int, int],
    expected: list[tuple[int, DifferenceKind]],
) -> None:
    """PTS-10: drop one line in transit, and the reconciliation names it."""
    found = reconcile(ours, sent, answered, *posted)
    assert found.differences == tuple(Difference(*each) for each in expected)
    assert found.differing == len(expected)
    assert found.is_even == (not expected)


def test_many_differences_are_counted_and_the_first_of_them_named() -> None:
    lines = [PointsLine(number, "C1", "", 1, "X") for number in range(1, 1_001)]
    found = reconcile(lines, [], [], 0, 0)
    assert (found.differing, len(found.differences)) == (1_000, DIFFERENCES_NAMED_MAX)


def test_memory_does_not_grow_with_the_lines() -> None:
    """PTS-10: at any size."""

    def lines(count: int) -> Iterator[PointsLine]:
        return (PointsLine(number, "C1", "", 1, "X") for number in range(1, count + 1))

    def peak(count: int) -> int:
        answers = (AcknowledgementLine(number, ACCEPTED) for number in range(1, count + 1))
        tracemalloc.start()
        assert reconcile(lines(count), lines(count), answers, count, count).is_even
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small = peak(500)
    assert peak(10_000) < 2 * small + 20_000
