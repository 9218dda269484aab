"""The row of an activity's figures: how the newest count stands, and what the last that succeeded found."""

from typing import Any
from uuid import UUID

from domain import activity_figures as f
from projections.activity_figures import ACTIVITY_FIGURES, count
from tests.infrastructure.figures_examples import ACTIVITY, BASIS, COUNTED, FIGURES, GROUP, ORDER, RUN
from tests.projections.folding import History, row_of

REQUESTED = f.ActivityCountRequested(ACTIVITY, "SH", "SPRING-26", 1, COUNTED, "lin")
STARTED = f.ActivityCountStarted(1, 1, BASIS)
SUCCEEDED = f.ActivityCountSucceeded(ACTIVITY, 1, BASIS, FIGURES)
AGAIN = f.ActivityCountRequested(ACTIVITY, "SH", "SPRING-26", 2, None, "wu")


def row(*events: Any) -> Any:
    return row_of(ACTIVITY_FIGURES, History().happens("activity_figures", "figures", *events), "figures")


def test_the_status_is_that_of_the_newest_count() -> None:
    """ACT-13"""
    failed = f.ActivityCountFailed(2, "time_limit", {})
    steps = [
        (REQUESTED, "queued"), (STARTED, "counting"), (SUCCEEDED, "counted"), (AGAIN, "queued"),
        (f.ActivityCountStarted(2, 1, BASIS), "counting"), (failed, "failed"),
    ]  # fmt: skip
    for index, (_, status) in enumerate(steps):
        found = row(*[event for event, _ in steps[: index + 1]])
        assert found.status == status
    assert (found.counted_number, found.target, found.failure) == (1, 1_000, "time_limit")
    asked_meanwhile = row(REQUESTED, STARTED, AGAIN, SUCCEEDED)
    assert (asked_meanwhile.status, asked_meanwhile.counted_number) == ("queued", 1)


def test_the_figures_come_with_what_they_rest_on() -> None:
    """ACT-13"""
    assert row(REQUESTED).target is None
    found = row(REQUESTED, STARTED, SUCCEEDED)
    assert (found.activity_id, found.org_unit, found.code) == (ACTIVITY, "SH", "SPRING-26")
    assert (found.target, found.applicable, found.qualified) == (1_000, 900, 120)
    assert found.excluded == [
        {"exclusion": "no_active_card", "count": 40},
        {"exclusion": "overdue", "count": 60},
    ]
    assert (found.snapshot, found.plan_revision) == ("bank-20260301", 2)
    assert found.counted_runs == [{"run_id": str(RUN), "work_order_id": str(ORDER)}]
    [counted] = found.counted_groups
    assert (UUID(counted["customer_group_id"]), counted["data_to"]) == (GROUP, "2026-03-01")


def test_each_count_that_succeeded_is_an_entry_for_ever() -> None:
    """ACT-13"""
    history = History().happens("activity_figures", "figures", REQUESTED, STARTED, SUCCEEDED, AGAIN)
    [found] = [made for record in history.records if (made := count(record)) is not None]
    assert (found.number, found.target, found.activity_id) == (1, 1_000, ACTIVITY)
    assert found.target_hash == FIGURES.target_hash
