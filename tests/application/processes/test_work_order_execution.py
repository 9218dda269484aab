"""Work-order execution: started once at its time, its run told to the order once, points only where owed."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from application import segment_runs, work_orders
from application.points_jobs import accept_differences, withdraw
from application.processes.points_delivery import advance
from application.processes.points_delivery import next_step as job_step
from application.processes.process import Step
from application.processes.work_order_execution import (
    EXECUTE_RUN,
    HAND_RUN_OVER,
    START_WORK_ORDER,
    ExecutionDesk,
    next_step,
)
from domain import points_jobs
from domain import segment_runs as runs
from domain.points_job_terms import TermsRefusal
from domain.points_jobs import PointsJob
from domain.reconciliation import Reconciliation
from domain.segment_definitions import DefinitionKind
from domain.segment_runs import SegmentRun
from domain.shared.references import Reference
from domain.work_order_contents import Content
from domain.work_order_executions import ExecutionFailed, ExecutionStarted, WorkOrderRetried
from domain.work_order_statuses import Status, WorkOrderRefusal
from domain.work_orders import DECIDER as WORK_ORDER
from domain.work_orders import (
    WorkOrder,
    WorkOrderCancellationRequested,
    WorkOrderCancelled,
    WorkOrderRestored,
)
from tests.application.bank import ALL_UNITS, LIN, Bank, at_once
from tests.application.orders import SOON, Orders, orders_of
from tests.application.points_world import PointsWorld, rows
from tests.application.segments import CONTENT, Desk
from tests.given import refused


@pytest.fixture
def world(bank: Bank, tmp_path: Path) -> PointsWorld:
    return PointsWorld(bank, tmp_path)


def desk(world: PointsWorld) -> ExecutionDesk:
    return ExecutionDesk(world.bank.handler, ALL_UNITS)


def order_of(world: PointsWorld, run: object) -> WorkOrder:
    id_ = world.bank.log.load(runs.DECIDER, run).state.work_order  # type: ignore[arg-type]
    assert id_ is not None
    return world.bank.log.load(WORK_ORDER, id_).state


# --- What is owed ---------------------------------------------------------


@pytest.mark.parametrize("status", Status)
def test_an_order_is_owed_its_start_at_its_time_and_only_while_it_is_scheduled(status: Status) -> None:
    """LOG-08, WO-09"""
    some = Reference(uuid4(), 1)
    order = WorkOrder(status=status, content=Content("Diners", some, some, "all", SOON, "chen", some))
    expected = Step(START_WORK_ORDER, SOON) if status is Status.SCHEDULED else None
    assert next_step(order) == expected


@pytest.mark.parametrize("status", runs.Status)
def test_a_run_is_executed_while_it_waits_and_told_when_it_is_over(status: runs.Status) -> None:
    """LOG-17: what a worker has begun is not begun beside it; a general run is nobody's to be told of."""
    executed = {
        runs.Status.QUEUED: Step(EXECUTE_RUN),
        runs.Status.RUNNING: Step(EXECUTE_RUN, is_begun=True),
    }
    told = dict.fromkeys(runs.OVER, Step(HAND_RUN_OVER))
    of_an_order = SegmentRun(status=status, work_order=uuid4())
    assert next_step(of_an_order) == (executed | told).get(status)
    assert next_step(replace(of_an_order, is_handed_over=True)) == executed.get(status)
    assert next_step(SegmentRun(status=status)) == executed.get(status)


@pytest.mark.parametrize("status", points_jobs.Status)
def test_a_job_is_owed_its_next_step_until_it_is_over_or_differs(status: points_jobs.Status) -> None:
    """PTS-07"""
    over = (
        points_jobs.Status.UNKNOWN,
        points_jobs.Status.SETTLED,
        points_jobs.Status.FAILED,
        points_jobs.Status.WITHDRAWN,
    )
    assert (job_step(PointsJob(status)) is None) == (status in over)
    differing = PointsJob(status, differing=Reconciliation.__new__(Reconciliation))
    assert (job_step(differing) is None) == (status in (*over, points_jobs.Status.POSTED))


# --- The start ------------------------------------------------------------


def scheduled(bank: Bank) -> tuple[Desk, Orders, UUID, UUID]:
    """A work order that is due in two hours, with its definition in revision 1."""
    segments, orders = Desk(bank), orders_of(bank)
    segments.grant()
    order = orders.approved()
    definition = segments.approved(UNTIL_TODAY, kind=DefinitionKind.ACTIVITY, work_order=order)
    orders.schedule(order, definition)
    bank.now = SOON
    return segments, orders, order, definition


UNTIL_TODAY = replace(
    CONTENT, sql="select customer_id, level from customers where opened_on < :business_date"
)


def started(bank: Bank, orders: Orders, order: UUID) -> SegmentRun:
    ExecutionDesk(bank.handler, ALL_UNITS).start(order)
    run = orders.state(order).run
    assert run is not None
    return orders.run(run)


def test_an_order_runs_the_revision_that_it_was_scheduled_with(bank: Bank) -> None:
    """LOG-02, WO-04: also when a newer one has been approved since, with what its approvers saw."""
    segments, orders, order, definition = scheduled(bank)
    seen = segments.definition(definition).approved_hash
    segments.revise(definition, description="newer")
    segments.approve(segments.submit(definition))
    assert segments.definition(definition).approved_revision == 2
    run = started(bank, orders, order)
    assert (run.definition, run.definition_hash) == (Reference(definition, 1), seen)


def test_an_order_that_is_scheduled_anew_runs_the_newer_revision(bank: Bank) -> None:
    """LOG-02: a person decides so; one that has failed may be scheduled with a mended revision, too."""
    segments, orders, order, definition = scheduled(bank)
    for revision in (2, 3):
        segments.revise(definition, description=f"revision {revision}")
        segments.approve(segments.submit(definition))
        orders.schedule(order, definition)
        run = started(bank, orders, order)
        assert run.definition == Reference(definition, revision)
        assert run.definition_hash == segments.definition(definition).approved_hash
        id_ = orders.state(order).run
        assert id_ is not None
        segments.terminate(id_)
        desk_of(bank).hand_over(id_)
        assert orders.state(order).status is Status.FAILED


def test_an_order_runs_nothing_that_its_approvers_did_not_see(bank: Bank) -> None:
    """LOG-02: the hash that was noted is compared with the log's."""
    segments, _, order, definition = scheduled(bank)
    with refused((runs.RunRefusal.NOTHING_APPROVED, "definition")):
        bank.send(
            LIN,
            "requestSegmentRun",
            {},
            lambda work: segment_runs.request_pinned(
                work, uuid4(), Reference(definition, 1), "0" * 64, {}, order
            ),
        )
    segments.revise(definition, description="newer")
    with refused((runs.RunRefusal.NOTHING_APPROVED, "definition")):
        bank.send(
            LIN,
            "requestSegmentRun",
            {},
            lambda work: segment_runs.request_pinned(work, uuid4(), Reference(definition, 2), "", {}, order),
        )


@pytest.mark.parametrize(("zone", "day"), [("Asia/Shanghai", "2026-03-02"), ("UTC", "2026-03-01")])
def test_the_business_date_of_a_run_is_that_of_the_banks_zone(bank: Bank, zone: str, day: str) -> None:
    """LOG-04: at half past four in the afternoon, UTC, Shanghai is half an hour into the next day."""
    bank.zone = ZoneInfo(zone)
    _, orders, order, _ = scheduled(bank)
    bank.now = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    values = {each.name: each.text for each in started(bank, orders, order).parameters}
    assert values["business_date"] == day


def desk_of(bank: Bank) -> ExecutionDesk:
    return ExecutionDesk(bank.handler, ALL_UNITS)


# --- The hand-over --------------------------------------------------------


def test_a_run_that_found_customers_opens_their_points_job_once(world: PointsWorld) -> None:
    """PTS-06, PTS-07: two workers at once; the order is executing until the job is settled."""
    run = world.run(rows(3))
    at_once([partial(desk(world).hand_over, run) for _ in range(4)])
    order = order_of(world, run)
    assert order.status is Status.EXECUTING
    assert order.points_job is not None
    opened = world.job(order.points_job).has
    assert (opened.cause.run, opened.cause.work_order) == (
        run,
        world.bank.log.load(runs.DECIDER, run).state.work_order,
    )
    assert world.bank.log.load(runs.DECIDER, run).state.is_handed_over


def test_the_order_is_completed_with_the_settlement(world: PointsWorld) -> None:
    """WO-09, PTS-07"""
    run = world.run(rows(3))
    desk(world).hand_over(run)
    job = order_of(world, run).points_job
    assert job is not None
    world.step(job, 3)
    world.system.answer(world.name(job))
    world.step(job, 3)
    assert order_of(world, run).status is Status.EXECUTING
    world.step(job)
    assert order_of(world, run).status is Status.COMPLETED


def test_accepted_differences_are_settled_and_the_order_is_completed(world: PointsWorld) -> None:
    """PTS-10: by the process itself; until they are accepted it waits."""
    run = world.run(rows(3))
    desk(world).hand_over(run)
    job = order_of(world, run).points_job
    assert job is not None
    world.step(job, 3)
    world.system.answer(world.name(job), left_out=[2])
    for _ in range(5):
        advance(world.desk, job)
    assert world.job(job).status is points_jobs.Status.POSTED
    world.bank.send(LIN, "acceptPointsJobDifferences", {}, accept_differences, job, "they lost it")
    assert job_step(world.job(job)) is not None
    advance(world.desk, job)
    assert order_of(world, run).status is Status.COMPLETED
    assert world.budget_of(job).amounts.reserved == 0


def test_an_order_whose_job_was_withdrawn_has_failed_and_may_be_tried_again(world: PointsWorld) -> None:
    """WO-09: it does not stay executing for ever, with nobody able to bring it on."""
    run = world.run([])
    desk(world).hand_over(run)
    job = order_of(world, run).points_job
    assert job is not None
    assert world.step(job).status is points_jobs.Status.FAILED
    assert order_of(world, run).status is Status.EXECUTING
    world.bank.send(LIN, "withdrawPointsJob", {}, withdraw, job, "nobody was found")
    assert order_of(world, run).status is Status.FAILED
    id_ = world.bank.log.load(runs.DECIDER, run).state.work_order
    world.bank.send(LIN, "retryWorkOrder", {}, work_orders.retry, id_)
    assert order_of(world, run).status is Status.SCHEDULED


def test_a_result_that_no_points_can_be_made_of_fails_the_order(world: PointsWorld) -> None:
    """WO-09: the same refusal for ever would leave it executing for ever, and nobody would be told."""
    run = world.run(rows(3), lacks="points")
    desk(world).hand_over(run)
    order = order_of(world, run)
    assert (order.status, order.points_job) == (Status.FAILED, None)
    [*_, failed] = world.bank.events(world.bank.log.load(runs.DECIDER, run).state.work_order)
    assert failed.code == "columns_missing"
    assert next_step(world.bank.log.load(runs.DECIDER, run).state) is None
    events = world.bank.count_events()
    desk(world).hand_over(run)
    assert world.bank.count_events() == events


def test_a_work_order_gets_no_second_points_job_for_another_run(world: PointsWorld) -> None:
    """PTS-10: a run that failed, was replaced by another and then succeeded after all grants nothing."""
    run = world.run(rows(3))
    id_ = world.bank.log.load(runs.DECIDER, run).state.work_order
    assert id_ is not None
    world.extend(id_, WORK_ORDER, ExecutionFailed(run, "timeout"), WorkOrderRetried("lin"))
    other = uuid4()
    world.extend(id_, WORK_ORDER, ExecutionStarted(other, 2))
    with refused((TermsRefusal.RUN_REPLACED, "run")):
        world.open(run)
    assert order_of(world, run).points_job is None


def test_while_a_cancellation_is_asked_for_nothing_is_handed_over(world: PointsWorld) -> None:
    """WO-16: nor after it was granted; a rejection lets it go on."""
    run, other = world.run(rows(3)), world.run(rows(3))
    for each, verdict in ((run, WorkOrderRestored), (other, WorkOrderCancelled)):
        id_ = world.bank.log.load(runs.DECIDER, each).state.work_order
        assert id_ is not None
        request = uuid4()
        world.extend(id_, WORK_ORDER, WorkOrderCancellationRequested(request, Status.EXECUTING, "no", "lin"))
        with refused(WorkOrderRefusal.WORK_ORDER_NOT_RELEASABLE):  # the task is tried again in a minute
            desk(world).hand_over(each)
        assert order_of(world, each).points_job is None
        assert not world.bank.log.load(runs.DECIDER, each).state.is_handed_over
        given = (request, Status.EXECUTING) if verdict is WorkOrderRestored else (request,)
        world.extend(id_, WORK_ORDER, verdict(*given))
        desk(world).hand_over(each)
        assert world.bank.log.load(runs.DECIDER, each).state.is_handed_over
    assert order_of(world, run).points_job is not None
    assert order_of(world, other).points_job is None


def test_what_no_worker_may_do_by_hand_is_the_systems(world: PointsWorld) -> None:
    run = world.run(rows(1))
    desk(world).hand_over(run)
    [*_, record] = world.bank.log.records(run)
    assert record.context.actor == "system:worker"
