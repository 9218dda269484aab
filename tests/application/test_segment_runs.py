"""The use cases of segment runs, and the worker's step, with an engine whose fate the test decides."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

import pytest

from application.segment_runs import execute, limited, mapped_fields, mapping_for_export
from application.shared.engines import (
    Column,
    Engine,
    MappedField,
    Mask,
    Query,
    ResultSet,
    RunCancelled,
    RunFailed,
    RunFailure,
)
from domain.segment_contents import MappedColumn, Output
from domain.segment_contents import Mask as DomainMask
from domain.segment_runs import (
    ATTEMPTS_EXHAUSTED,
    ATTEMPTS_MAX,
    RunRefusal,
    SegmentRunCleanedUp,
    SegmentRunFailed,
    SegmentRunProgressed,
    SegmentRunRequested,
    SegmentRunStarted,
    SegmentRunSucceeded,
    Status,
)
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal
from tests.application.bank import IN_SHANGHAI, LIN, Bank, at_once, codes
from tests.application.segments import CONTENT, PROCESS, VALUES, WORKER_UNITS, Desk, gate
from tests.given import refused

Step = Callable[[Callable[[int], None], Callable[[], bool]], None]


def at_ease(progress: Callable[[int], None], is_cancelled: Callable[[], bool]) -> None:
    for percent in range(101):
        progress(percent)
    assert not is_cancelled()


@dataclass
class ScriptedEngine:
    """What a run meets with: `step` is played before each result. Results are kept by the run's id."""

    step: Step = at_ease
    queries: list[Query] = field(default_factory=list)
    results: dict[UUID, ResultSet] = field(default_factory=dict)
    discarded: list[UUID] = field(default_factory=list)

    def discard(self, run_id: UUID) -> None:
        self.discarded.append(run_id)

    def run(
        self,
        run_id: UUID,
        query: Query,
        progress: Callable[[int], None],
        is_cancelled: Callable[[], bool],
    ) -> ResultSet:
        self.queries.append(query)
        if gate(query):
            raise RunFailed(RunFailure.SQL_REFUSED, {"detail": str(gate(query)[0].code)})
        if run_id not in self.results:
            self.step(progress, is_cancelled)
            columns = (Column("customer_id", "VARCHAR", False), Column("level", "VARCHAR", False))
            self.results[run_id] = ResultSet(run_id, 7, columns, "c" * 64, "S1", 900, 40)
        return self.results[run_id]


@pytest.fixture
def desk(bank: Bank) -> Desk:
    desk = Desk(bank)
    desk.grant()
    return desk


def perform(desk: Desk, run: UUID, engine: ScriptedEngine) -> None:
    execute(desk.bank.handler, cast(Engine, engine), run, WORKER_UNITS)


def raising(error: Exception) -> Step:
    def step(*_: Any) -> None:
        raise error

    return step


def test_a_run_performs_what_is_approved_with_its_values_bound(desk: Desk) -> None:
    """LOG-03, LOG-07, LOG-10, LOG-11"""
    id_ = desk.approved()
    desk.revise(id_, sql=CONTENT.sql + " and level = 'gold'")
    run, engine = desk.request(id_), ScriptedEngine()
    perform(desk, run, engine)
    state = desk.run(run)
    assert (state.status, state.rows, state.content_hash) == (Status.SUCCEEDED, 7, "c" * 64)
    assert state.definition == Reference(id_, 1)
    assert state.definition_hash == desk.definition(id_).approved_hash
    (query,) = engine.queries
    assert query.sql == CONTENT.sql
    assert [(each.name, str(each.value)) for each in query.parameters] == [("data_to", "2026-03-01")]
    assert query.org_units == ("BJ", "HO", "SH")
    events = desk.bank.events(run)
    assert [type(event) for event in (*events[:2], *events[-2:])] == [
        SegmentRunRequested, SegmentRunStarted, SegmentRunSucceeded, SegmentRunCleanedUp,
    ]  # fmt: skip
    assert len([event for event in events if isinstance(event, SegmentRunProgressed)]) == 9


def test_a_run_that_is_queued_keeps_its_revision_when_a_newer_one_is_approved(desk: Desk) -> None:
    """LOG-02: scheduled runs keep v1 until v2 is approved; what was requested on v1 performs v1."""
    id_ = desk.approved()
    run, engine = desk.request(id_), ScriptedEngine()
    desk.revise(id_, name="Second", sql=CONTENT.sql + " and level = 'gold'")
    desk.approve(desk.submit(id_))
    perform(desk, run, engine)
    later = desk.request(id_)
    perform(desk, later, engine)
    assert [query.sql.endswith("'gold'") for query in engine.queries] == [False, True]


def test_nothing_runs_unapproved_but_a_trial_of_few_rows(desk: Desk) -> None:
    """LOG-03"""
    id_ = desk.draft()
    with refused((RunRefusal.NOTHING_APPROVED, "definition")):
        desk.request(id_)
    with refused((CommonRefusal.OUT_OF_RANGE, "row_limit")):
        desk.try_out(id_, 1_001)
    run, engine = desk.try_out(id_, 10), ScriptedEngine()
    perform(desk, run, engine)
    assert desk.run(run).status is Status.SUCCEEDED
    assert engine.queries[0].sql.endswith("limit 10")
    assert gate(engine.queries[0]) == ()


def test_a_second_run_while_one_is_live_is_refused(desk: Desk) -> None:
    """LOG-07: blocking policy discard later; a trial is no second run, nor is one after the end."""
    id_ = desk.approved()
    first = desk.request(id_)
    with refused((RunRefusal.RUN_ALREADY_LIVE, "definition")):
        desk.request(id_)
    desk.try_out(id_)
    perform(desk, first, ScriptedEngine())
    desk.terminate(desk.request(id_))
    desk.request(id_)


def test_of_two_requests_at_once_one_is_queued(desk: Desk) -> None:
    """LOG-07"""
    for _ in range(5):
        id_ = desk.approved()
        answers = at_once([lambda id_=id_: desk.request(id_) for _ in range(4)])
        assert sorted(codes(answer) != [] for answer in answers) == [False, True, True, True]


def test_a_run_for_a_work_order_says_so(desk: Desk) -> None:
    """LOG-09"""
    order = UUID(int=7)
    run = desk.request(desk.approved(), VALUES, order, by=PROCESS)
    assert desk.run(run).work_order == order


def test_performing_a_run_again_changes_nothing(desk: Desk) -> None:
    """LOG-17: a task that is delivered twice."""
    run, engine = desk.request(desk.approved()), ScriptedEngine()
    perform(desk, run, engine)
    before = desk.bank.count_events()
    perform(desk, run, engine)
    assert (desk.bank.count_events(), len(engine.queries)) == (before, 1)


def test_what_the_engine_refuses_has_failed_at_once_and_may_be_retried(desk: Desk) -> None:
    """LOG-06, LOG-17: a run producing duplicates → FAILED with the count of offenders."""
    id_ = desk.approved()
    run = desk.request(id_)
    duplicate = RunFailed(RunFailure.PRIMARY_INDEX_DUPLICATE, {"offenders": "3"})
    perform(desk, run, ScriptedEngine(raising(duplicate)))
    failed, cleaned = desk.bank.events(run)[-2:]
    assert failed == SegmentRunFailed(1, "primary_index_duplicate", {"offenders": "3"})
    assert isinstance(cleaned, SegmentRunCleanedUp)
    desk.retry(run)
    with refused((RunRefusal.RUN_ALREADY_LIVE, "definition")):
        desk.request(id_)
    perform(desk, run, ScriptedEngine())
    assert desk.run(run).status is Status.SUCCEEDED


def test_a_failed_run_is_not_retried_beside_a_later_one(desk: Desk) -> None:
    """LOG-07"""
    id_ = desk.approved()
    run = desk.request(id_)
    perform(desk, run, ScriptedEngine(raising(RunFailed(RunFailure.TIME_LIMIT))))
    desk.request(id_)
    with refused((RunRefusal.RUN_ALREADY_LIVE, "definition")):
        desk.retry(run)


def test_a_run_whose_workers_die_has_failed_after_three_attempts(desk: Desk) -> None:
    """LOG-17: never stuck RUNNING."""
    run, engine = desk.request(desk.approved()), ScriptedEngine(raising(ConnectionError("gone")))
    for attempt in range(1, ATTEMPTS_MAX + 1):
        with pytest.raises(ConnectionError):
            perform(desk, run, engine)
        assert (desk.run(run).status, desk.run(run).attempt) == (Status.RUNNING, attempt)
    perform(desk, run, engine)
    assert (desk.run(run).status, desk.run(run).failure) == (Status.FAILED, ATTEMPTS_EXHAUSTED)
    assert len(engine.queries) == ATTEMPTS_MAX
    assert engine.discarded == [run], "what its attempts left is removed"


def test_a_result_that_was_written_but_not_reported_is_reported_by_the_next_attempt(desk: Desk) -> None:
    """LOG-17"""
    run, engine = desk.request(desk.approved()), ScriptedEngine()
    dying = ScriptedEngine(results=engine.results)

    def die_after(*given: Any) -> ResultSet:
        ScriptedEngine.run(dying, *given)
        raise SystemError("killed")

    dying.run = die_after  # type: ignore[method-assign]
    with pytest.raises(SystemError):
        perform(desk, run, dying)
    engine.step = raising(AssertionError("the result is there already"))
    perform(desk, run, engine)
    assert (desk.run(run).status, desk.run(run).attempt) == (Status.SUCCEEDED, 2)


def waiting(begun: threading.Event, seen: list[float]) -> Step:
    """Works until it is told to stop, for ten seconds at most."""

    def step(_: Callable[[int], None], is_cancelled: Callable[[], bool]) -> None:
        begun.set()
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            if is_cancelled():
                seen.append(time.monotonic())
                raise RunCancelled
            time.sleep(0.05)

    return step


def test_a_running_step_stops_soon_after_the_run_is_terminated(desk: Desk) -> None:
    """LOG-17: cancel stops it."""
    run, begun, seen = desk.request(desk.approved()), threading.Event(), list[float]()
    worker = threading.Thread(target=perform, args=(desk, run, ScriptedEngine(waiting(begun, seen))))
    worker.start()
    assert begun.wait(10)
    desk.terminate(run)
    worker.join(8)
    assert not worker.is_alive()
    assert seen
    assert desk.run(run).status is Status.TERMINATED
    assert isinstance(desk.bank.events(run)[-1], SegmentRunCleanedUp)


def test_an_attempt_that_was_overtaken_stops_and_reports_nothing(desk: Desk) -> None:
    """LOG-17: one that was thought dead."""
    run, begun, seen = desk.request(desk.approved()), threading.Event(), list[float]()
    slow = threading.Thread(target=perform, args=(desk, run, ScriptedEngine(waiting(begun, seen))))
    slow.start()
    assert begun.wait(10)
    perform(desk, run, ScriptedEngine())
    slow.join(8)
    assert not slow.is_alive()
    assert seen
    state = desk.run(run)
    assert (state.status, state.attempt) == (Status.SUCCEEDED, 2)


def test_a_result_that_comes_after_the_termination_does_not_count(desk: Desk) -> None:
    run = desk.request(desk.approved())
    perform(desk, run, ScriptedEngine(lambda *_: desk.terminate(run)))
    assert desk.run(run).status is Status.TERMINATED


def test_what_was_revoked_can_not_be_read_by_an_approved_definition(desk: Desk) -> None:
    """LOG-05"""
    id_, grant = desk.approved(), desk.grant()
    desk.revoke(grant)
    run = desk.request(id_)
    perform(desk, run, ScriptedEngine())
    assert desk.run(run).failure == RunFailure.SQL_REFUSED


def test_a_branchs_run_sees_its_own_customers_alone(desk: Desk) -> None:
    desk.grant(unit="SH")
    id_ = desk.draft(by=IN_SHANGHAI)
    approval = desk.submit(id_, by=IN_SHANGHAI)
    desk.approve(approval)
    run, engine = desk.request(id_, by=IN_SHANGHAI), ScriptedEngine()
    perform(desk, run, engine)
    assert engine.queries[0].org_units == ("SH",)


def test_the_results_of_earlier_runs_stay(desk: Desk) -> None:
    """LOG-10"""
    id_, engine = desk.approved(), ScriptedEngine()
    runs = [desk.request(id_)]
    perform(desk, runs[0], engine)
    runs.append(desk.request(id_))
    perform(desk, runs[1], engine)
    assert [desk.run(run).rows for run in runs] == [7, 7]
    assert set(engine.results) == set(runs)


def test_a_run_without_a_result_has_nothing_to_export(desk: Desk) -> None:
    """LOG-12"""
    run = desk.request(desk.approved())
    with refused(RunRefusal.NO_RESULT):
        mapping_for_export(desk.bank.handler, LIN, run)
    perform(desk, run, ScriptedEngine())
    with refused((CommonRefusal.NOT_FOUND, "id")):
        mapping_for_export(desk.bank.handler, IN_SHANGHAI, run)
    mapped = mapping_for_export(desk.bank.handler, LIN, run)
    assert [(each.target, each.source, each.width) for each in mapped] == [
        ("CUSTNO", "customer_id", 10), ("LEVEL", "level", 0),
    ]  # fmt: skip


def test_without_a_mapping_every_output_is_exported_under_its_own_name() -> None:
    """LOG-12"""
    fields = mapped_fields(replace(CONTENT, mapping=()), is_approved=True)
    assert [(each.target, each.source, each.mask) for each in fields] == [
        ("customer_id", "customer_id", Mask.BY_CLASS), ("level", "level", Mask.BY_CLASS),
    ]  # fmt: skip


def test_an_exemption_holds_once_it_is_approved() -> None:
    """LOG-19: in the file of a trial, personal columns are hidden, or `'***' || name` would show it."""
    clear = MappedColumn("MOBILE", "mobile", mask=DomainMask.CLEAR, exemption="letters")
    content = replace(CONTENT, outputs=(*CONTENT.outputs, Output("mobile", True)), mapping=(clear,))
    assert mapped_fields(content, is_approved=True)[0].mask is Mask.CLEAR
    for shown in DomainMask:
        masked = replace(clear, mask=shown, translation={"1": "a", "2": "aa"}, width=4)
        tried = mapped_fields(replace(content, mapping=(masked,)), is_approved=False)
        assert tried == (MappedField("MOBILE", constant="*", width=4),)
    own = mapped_fields(replace(content, mapping=()), is_approved=False)
    assert [each.constant for each in own] == [None, None, "*"]


def test_a_limited_query_is_in_primary_index_order() -> None:
    """LOG-03: the same trial gives the same rows."""
    query = Query(CONTENT.sql, "bank", (), ("customer_id",), (), (), ())
    assert limited(query, 5).sql.endswith('as trial order by "customer_id" limit 5')
