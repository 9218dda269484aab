"""Figures of activities: counts are numbered, each rests on facts that stay, what comes late is no news."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from domain.activity_figures import (
    ATTEMPTS_EXHAUSTED,
    ATTEMPTS_MAX,
    COUNTS_KEPT_MAX,
    DECIDER,
    RUNS_MAX,
    ActivityCountFailed,
    ActivityCountRequested,
    ActivityCountStarted,
    ActivityCountSucceeded,
    ActivityFigures,
    Basis,
    CountedGroup,
    CountedRun,
    Figure,
    Figures,
    FiguresRefusal,
    RecordCount,
    RecordCountFailure,
    RequestCount,
    StartCount,
    result_id,
)
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal
from tests.given import Given

ACTIVITY, ORDER = UUID(int=1), UUID(int=2)
DAY = date(2026, 3, 1)
BASIS = Basis(1, "HO", DAY, (CountedGroup(Reference(UUID(int=3), 1), DAY, DAY),), (), ())
LATER = replace(BASIS, revision=2, business_date=date(2026, 3, 2))
REQUEST = RequestCount(ACTIVITY, "HO", "SPRING", has_groups=True, by="lin")
FIGURES = Figures(1_000, 900, 120)
figures: Given[Any, Any] = Given(DECIDER)


def run(number: int, order: UUID = ORDER) -> CountedRun:
    return CountedRun(order, UUID(int=number), "customer_id")


def requested(number: int, run: CountedRun | None = None) -> ActivityCountRequested:
    return ActivityCountRequested(ACTIVITY, "HO", "SPRING", number, run, "lin")


def started(number: int, attempt: int = 1, basis: Basis = BASIS) -> ActivityCountStarted:
    return ActivityCountStarted(number, attempt, basis)


def succeeded(number: int, basis: Basis = BASIS, found: Figures = FIGURES) -> ActivityCountSucceeded:
    return ActivityCountSucceeded(ACTIVITY, number, basis, found)


def test_a_count_that_waits_serves_all_who_ask() -> None:
    """ACT-13"""
    figures.given().when(REQUEST).then(requested(1))
    figures.given(requested(1)).when(REQUEST).then_nothing()
    figures.given(requested(1), started(1)).when(REQUEST).then(requested(2))


def test_without_groups_and_runs_there_is_nothing_to_count() -> None:
    """ACT-13"""
    nobody = replace(REQUEST, has_groups=False)
    figures.given().when(nobody).then_refused(FiguresRefusal.NOTHING_TO_COUNT)
    figures.given().when(replace(nobody, run=run(7))).then(requested(1, run(7)))
    figures.given(requested(1, run(7)), started(1)).when(nobody).then(requested(2))


def test_a_run_is_noted_once_and_takes_the_place_of_its_order_s_former_one() -> None:
    """ACT-13: a work order that was tried again has found whom its last run has."""
    first, again = replace(REQUEST, run=run(7)), replace(REQUEST, run=run(8))
    figures.given(requested(1, run(7))).when(first).then_nothing()
    figures.given(requested(1, run(7))).when(again).then(requested(2, run(8)))
    basis = replace(BASIS, runs=(run(8),))
    figures.given(requested(1, run(7)), requested(2, run(8))).when(StartCount(BASIS)).then(
        started(2, basis=basis)
    )


def test_the_number_of_runs_is_bounded() -> None:
    history = [requested(number, run(number, UUID(int=number))) for number in range(1, RUNS_MAX + 1)]
    full = DECIDER.fold(history)
    assert DECIDER.decide(replace(REQUEST, run=run(1, UUID(int=RUNS_MAX + 1))), full) == []
    assert DECIDER.decide(replace(REQUEST, run=run(9_999, UUID(int=1))), full) != []


def test_a_count_begins_with_how_things_stand_and_goes_on_as_it_was_begun() -> None:
    """ACT-13: so that results that a dead worker left are those of the same count."""
    figures.given(requested(1)).when(StartCount(BASIS)).then(started(1))
    figures.given(requested(1), started(1)).when(StartCount(LATER)).then(started(1, 2))
    figures.given(requested(1), started(1), requested(2)).when(StartCount(LATER)).then(
        started(2, basis=LATER)
    )
    figures.given(requested(1), started(1), succeeded(1)).when(StartCount(LATER)).then_nothing()
    figures.given().when(StartCount(BASIS)).then_refused((CommonRefusal.NOT_FOUND, "id"))


def test_a_count_that_keeps_dying_has_failed() -> None:
    history = [requested(1), *(started(1, attempt) for attempt in range(1, ATTEMPTS_MAX + 1))]
    figures.given(*history).when(StartCount(BASIS)).then(
        ActivityCountFailed(1, ATTEMPTS_EXHAUSTED, {"attempts": "3"})
    )


def test_what_a_count_reports_counts_once_and_not_after_a_later_one_has_begun() -> None:
    """ACT-13"""
    under_way = figures.given(requested(1), started(1))
    under_way.when(RecordCount(1, FIGURES)).then(succeeded(1))
    under_way.when(RecordCountFailure(1, "time_limit", {"seconds": "x" * 900})).then(
        ActivityCountFailed(1, "time_limit", {"seconds": "x" * 500})
    )
    done = figures.given(requested(1), started(1), succeeded(1))
    done.when(RecordCount(1, FIGURES)).then_nothing()
    done.when(RecordCountFailure(1, "time_limit")).then_nothing()
    later = figures.given(requested(1), started(1), requested(2), started(2))
    later.when(RecordCount(1, FIGURES)).then_nothing()
    later.when(RecordCount(2, FIGURES)).then(succeeded(2))


def test_a_failed_count_leaves_the_figures_and_may_be_asked_for_again() -> None:
    """ACT-13"""
    history = [requested(1), started(1), succeeded(1), requested(2), started(2)]
    state = DECIDER.fold([*history, ActivityCountFailed(2, "time_limit", {})])
    assert (state.counted, state.counts[1], state.is_live) == (1, FIGURES, False)
    assert DECIDER.decide(REQUEST, state) == [requested(3)]


def test_the_newest_counts_are_kept() -> None:
    state = ActivityFigures()
    for number in range(1, COUNTS_KEPT_MAX + 11):
        state = DECIDER.fold([requested(number), started(number), succeeded(number)], state)
    assert [*state.counts] == [*range(11, COUNTS_KEPT_MAX + 11)]


@pytest.mark.parametrize(("figure", "same"), [(Figure.APPLICABLE, True), (Figure.QUALIFIED, False)])
def test_target_and_applicable_are_one_result(figure: Figure, same: bool) -> None:
    """ACT-13: so the two always belong together."""
    target = result_id(ACTIVITY, 1, Figure.TARGET)
    assert (result_id(ACTIVITY, 1, figure) == target) is same
    assert result_id(ACTIVITY, 2, Figure.TARGET) != target
