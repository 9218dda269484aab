"""Activity counting by workers that die, warehouses that are away, and plans that change meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from application import activity_figures, customer_groups
from application.activities import Chosen, GroupLinkEntry
from application.processes.activity_counting import COUNT_ACTIVITY, CountingDesk, next_step
from application.processes.process import Step
from application.processes.work_order_execution import ExecutionDesk
from application.shared.engines import Query, ResultSet, RunFailed, RunFailure
from domain.activity_figures import (
    DECIDER,
    ActivityCountFailed,
    ActivityCountStarted,
    ActivityFigures,
    CountedRun,
    Exclusion,
    Figure,
    Figures,
    FiguresRefusal,
    figures_id,
    result_id,
)
from domain.activity_plans import GroupRole
from domain.customer_groups import Definition, Purpose
from domain.segment_runs import DECIDER as RUN
from domain.timeframes import Frequency, FrequencyKind, Timeframe, TimeframeKind
from tests.application.bank import ALL_UNITS, DAY, LIN, RAO, Bank, at_once
from tests.application.points_world import PointsWorld, rows
from tests.given import refused

WEEK = Timeframe(TimeframeKind.ROLLING, days=7)


@dataclass
class CountingEngine:
    """Finds what it is told to, and remembers what it was asked. `dies`: so often it is killed first."""

    target: Sequence[tuple[str, str | None]] = ()
    dies: int = 0
    fails: RunFailed | None = None
    asked: list[tuple[UUID, Query]] = field(default_factory=list)
    merges: list[tuple[UUID, Sequence[tuple[UUID, str]]]] = field(default_factory=list)
    discarded: list[UUID] = field(default_factory=list)

    def discard(self, run_id: UUID) -> None:
        self.discarded.append(run_id)

    def run(self, run_id: UUID, query: Query, *_: Any) -> ResultSet:
        self.asked.append((run_id, query))
        if self.dies:
            self.dies -= 1
            raise KeyboardInterrupt
        if self.fails is not None:
            raise self.fails
        return ResultSet(run_id, len(self.target), (), "hash", "snapshot-1", 1, 1)

    def rows(self, run_id: UUID, columns: Sequence[str]) -> Any:
        assert columns == ("excluded_for",)
        assert run_id == self.asked[-1][0]
        return iter([(reason,) for _, reason in self.target])

    def merged(self, run_id: UUID, named: str, parts: Sequence[tuple[UUID, str]]) -> ResultSet:
        assert named == "customer_id"
        self.merges.append((run_id, parts))
        return ResultSet(run_id, 7, (), "merged", "", 1, 1)


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine([("C1", None), ("C2", "overdue"), ("C3", None)])


def desk(bank: Bank, engine: CountingEngine) -> CountingDesk:
    return CountingDesk(bank.handler, engine, ALL_UNITS)  # type: ignore[arg-type]


def group(bank: Bank, *members: str) -> UUID:
    given = (f"G{next(bank.numbers)}", Purpose.TARGET, Definition("Invited", members=members or ("C1",)))
    return bank.send(LIN, "defineCustomerGroup", {}, customer_groups.define, *given).subject


def launched(bank: Bank, *groups: UUID, **changes: Any) -> UUID:
    links = tuple(
        GroupLinkEntry(Chosen(each), GroupRole.TARGET, Frequency(FrequencyKind.ONCE), WEEK) for each in groups
    )
    plan = bank.plan(bank.add_type(f"Dining {next(bank.numbers)}"), groups=links, **changes)
    return bank.running(bank.draft(plan))


def request(bank: Bank, activity: UUID) -> UUID:
    return bank.send(RAO, "countActivity", {}, activity_figures.request, activity).subject


def state(bank: Bank, activity: UUID) -> ActivityFigures:
    return bank.log.load(DECIDER, figures_id(activity)).state


def test_a_count_is_owed_until_a_worker_begins_it() -> None:
    """ACT-13"""
    assert next_step(ActivityFigures(requested=1)) == Step(COUNT_ACTIVITY)
    assert next_step(ActivityFigures(requested=1, started=1)) == Step(COUNT_ACTIVITY, is_begun=True)
    assert next_step(ActivityFigures(requested=1, started=1, finished=1)) is None
    assert next_step(ActivityFigures(requested=2, started=1)) == Step(COUNT_ACTIVITY)


def test_the_launch_asks_for_a_count_of_the_target_groups(bank: Bank, engine: CountingEngine) -> None:
    """ACT-13: on the business date, each with the data of its timeframe, in the revision of the plan."""
    chosen = group(bank)
    activity = launched(bank, chosen, exclusions=(Exclusion.OVERDUE,))
    bank.send(LIN, "reviseCustomerGroup", {}, customer_groups.revise, chosen, None,
              Definition("More", members=("C1", "C9")))  # fmt: skip
    desk(bank, engine).count(figures_id(activity))
    after = state(bank, activity)
    assert after.counts == {
        1: Figures(3, 2, None, {Exclusion.OVERDUE: 1}, "snapshot-1", "hash"),
    }
    assert after.basis is not None
    [counted] = after.basis.groups
    assert (counted.group.id, counted.group.revision) == (chosen, 1)
    assert (counted.data_from, counted.data_to) == (date(2026, 2, 22), date(2026, 3, 1))
    [(run_id, query)] = engine.asked
    assert run_id == result_id(figures_id(activity), 1, Figure.TARGET)
    assert ",C1," in [parameter.value for parameter in query.parameters]


def test_an_activity_without_target_groups_is_not_counted_at_its_launch(bank: Bank) -> None:
    """ACT-13"""
    activity = launched(bank)
    assert state(bank, activity) == ActivityFigures()
    with refused(FiguresRefusal.NOTHING_TO_COUNT):
        request(bank, activity)


def test_a_count_that_a_dead_worker_left_goes_on_with_the_facts_it_began_with(
    bank: Bank, engine: CountingEngine
) -> None:
    """ACT-13: also when the day has changed meanwhile: its results bear the same ids."""
    activity = launched(bank, group(bank))
    engine.dies = 1
    with pytest.raises(KeyboardInterrupt):
        desk(bank, engine).count(figures_id(activity))
    bank.now += DAY
    desk(bank, engine).count(figures_id(activity))
    started = [
        event for event in bank.events(figures_id(activity)) if isinstance(event, ActivityCountStarted)
    ]
    assert [event.attempt for event in started] == [1, 2]
    assert started[0].basis == started[1].basis
    assert engine.asked[0] == engine.asked[1]
    assert state(bank, activity).counted == 1


def test_a_count_that_keeps_killing_its_worker_fails(bank: Bank, engine: CountingEngine) -> None:
    activity = launched(bank, group(bank))
    engine.dies = 3
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            desk(bank, engine).count(figures_id(activity))
    desk(bank, engine).count(figures_id(activity))
    assert bank.events(figures_id(activity))[-1] == ActivityCountFailed(
        1, "attempts_exhausted", {"attempts": "3"}
    )
    assert {run_id for run_id, _ in engine.asked} < {*engine.discarded}, "nothing of it stays"
    before = len(engine.discarded)
    bank.send(LIN, "countActivity", {}, activity_figures.request, activity)
    desk(bank, engine).count(figures_id(activity))
    desk(bank, engine).count(figures_id(activity))
    assert len(engine.discarded) == before, "what was counted stays"


def test_what_the_engine_can_t_do_fails_the_count_and_it_may_be_asked_for_again(
    bank: Bank, engine: CountingEngine
) -> None:
    """ACT-13"""
    activity = launched(bank, group(bank))
    engine.fails = RunFailed(RunFailure.WAREHOUSE_MISSING, {"name": "bank"})
    desk(bank, engine).count(figures_id(activity))
    assert bank.events(figures_id(activity))[-1] == ActivityCountFailed(
        1, "warehouse_missing", {"name": "bank"}
    )
    engine.fails = None
    request(bank, activity)
    desk(bank, engine).count(figures_id(activity))
    assert state(bank, activity).counted == 2


def test_a_task_that_comes_again_counts_nothing(bank: Bank, engine: CountingEngine) -> None:
    """ACT-13"""
    activity = launched(bank, group(bank))
    desk(bank, engine).count(figures_id(activity))
    before = bank.version(figures_id(activity))
    desk(bank, engine).count(figures_id(activity))
    assert (bank.version(figures_id(activity)), len(engine.asked)) == (before, 1)


def test_many_who_ask_at_once_ask_for_one_count(bank: Bank) -> None:
    """ACT-13"""
    activity = launched(bank, group(bank))
    at_once([partial(request, bank, activity) for _ in range(8)])
    assert (state(bank, activity).requested, bank.version(figures_id(activity))) == (1, 1)


def test_whom_a_run_has_found_is_counted_when_it_is_handed_over(
    bank: Bank, engine: CountingEngine, tmp_path: Path
) -> None:
    """ACT-13: each work order's last run, by the column that its definition maps to CUSTOMER."""
    world = PointsWorld(bank, tmp_path)
    activity = world.activity()
    found = [world.run(rows(3), activity), world.run(rows(5), activity)]
    for run in found:
        ExecutionDesk(bank.handler, ALL_UNITS).hand_over(run)
    ran = {run: bank.log.load(RUN, run).state.work_order for run in found}
    assert state(bank, activity).runs == {
        order: CountedRun(order, run, "customer_id") for run, order in ran.items() if order
    }
    desk(bank, engine).count(figures_id(activity))
    assert state(bank, activity).counts == {2: Figures(None, None, 7, {}, "", "", "merged")}
    [(merged, parts)] = engine.merges
    assert merged == result_id(figures_id(activity), 2, Figure.QUALIFIED)
    assert {run for run, _ in parts} == set(found)
    assert {column for _, column in parts} == {"customer_id"}
