"""Cancellations: asked for with a reason, decided by another, and either all of it or none takes effect."""

import hashlib
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from api import result_files
from application import points_pipeline
from application.access import Forbidden
from application.processes.points_delivery import next_step
from application.segment_runs import mapping_for_export
from application.shared.engines import Exported
from application.shared.gateways import DuplicateFile
from application.shared.handler import Handler, Request
from domain.approvals import ApprovalRefusal, Level
from domain.approvals import Status as ApprovalStatus
from domain.cancellations import CancellationRefusal
from domain.cancellations import Status as RequestStatus
from domain.points_job_statuses import Status as JobStatus
from domain.segment_runs import RunRefusal
from domain.segment_runs import Status as RunStatus
from domain.shared.refusal import CommonRefusal, Refused
from domain.work_order_statuses import CANCELLABLE, Status, WorkOrderRefusal
from domain.work_orders import may_release
from infrastructure import exchange_folder as exchange
from infrastructure.points_counterpart import Counterpart
from infrastructure.points_gateway import DirectoryGateway
from tests.application.bank import IN_SHANGHAI, LIN, MAO, RAO, TAN, WU, Bank, at_once, codes
from tests.application.interruption import Interrupted
from tests.application.orders import Orders, orders_of
from tests.application.points_world import PointsWorld, rows
from tests.given import refused


@pytest.fixture
def orders(bank: Bank) -> Orders:
    return orders_of(bank)


def brought_to(orders: Orders, status: Status) -> UUID:
    """A work order in that status."""
    match status:
        case Status.DRAFT:
            return orders.draft()
        case Status.IN_APPROVAL:
            order = orders.draft()
            orders.submit(order)
            return order
        case Status.REJECTED:
            order = orders.draft()
            orders.bank.reject(orders.submit(order), by=RAO)
            return order
        case Status.APPROVED:
            return orders.approved()
        case Status.SCHEDULED:
            return orders.scheduled()
        case Status.EXECUTING:
            return orders.executing()[0]
        case Status.FAILED:
            order, run = orders.executing()
            orders.fail(order, run)
            return order
    raise AssertionError(status)


@pytest.mark.parametrize("status", CANCELLABLE)
@pytest.mark.parametrize("is_rejected", [True, False], ids=["rejected", "withdrawn"])
def test_a_rejected_or_withdrawn_request_leads_back_to_the_very_state(
    orders: Orders, status: Status, is_rejected: bool
) -> None:
    """WO-13: from every status from which it may be asked for."""
    order = brought_to(orders, status)
    before = orders.state(order)
    assert before.status is status
    request = orders.request_cancellation(order)
    assert orders.state(order).status is Status.CANCELLATION_PENDING
    if is_rejected:
        orders.bank.reject(orders.approval_of(request), by=TAN, reason="it is needed")
    else:
        orders.withdraw_cancellation(request)
    assert orders.state(order) == before
    wanted = RequestStatus.REJECTED if is_rejected else RequestStatus.WITHDRAWN
    assert orders.cancellation(request).status is wanted


@pytest.mark.parametrize("status", CANCELLABLE)
def test_an_approved_request_cancels_for_good(orders: Orders, status: Status) -> None:
    """WO-13"""
    order = brought_to(orders, status)
    request = orders.request_cancellation(order)
    orders.bank.approve(orders.approval_of(request), by=TAN)
    state = orders.state(order)
    assert state.status is Status.CANCELLED
    assert orders.cancellation(request).status is RequestStatus.APPROVED
    if state.approval is not None:
        assert orders.bank.approval(state.approval).status is not ApprovalStatus.PENDING
    with refused(WorkOrderRefusal.WORK_ORDER_NOT_CANCELLABLE):
        orders.request_cancellation(order)


def test_technology_alone_decides_by_default_and_never_the_requester(orders: Orders) -> None:
    """WO-13: approver and requester are two people."""
    request = orders.request_cancellation(orders.draft(), by=MAO)
    approval = orders.approval_of(request)
    assert orders.bank.approval(approval).levels == (Level.TECHNOLOGY,)
    with refused(ApprovalRefusal.SEPARATION_OF_DUTIES):
        orders.bank.approve(approval, by=MAO)
    with refused(ApprovalRefusal.SEPARATION_OF_DUTIES):
        orders.bank.reject(approval, by=MAO)
    with refused(ApprovalRefusal.NOT_YOUR_LEVEL):
        orders.bank.approve(approval, by=RAO)
    orders.bank.approve(approval, by=TAN)


def test_a_request_and_its_rejection_need_reasons(orders: Orders) -> None:
    """WO-08, WO-15"""
    order = orders.draft()
    with refused((CommonRefusal.REQUIRED, "reason")):
        orders.request_cancellation(order, " ")
    assert orders.state(order).status is Status.DRAFT
    request = orders.request_cancellation(order)
    with refused((CommonRefusal.REQUIRED, "reason")):
        orders.bank.reject(orders.approval_of(request), by=TAN, reason=" ")
    assert orders.cancellation(request).status is RequestStatus.PENDING


def test_one_request_is_open_at_a_time_however_many_come_at_once(orders: Orders) -> None:
    """WO-08"""
    for _ in range(5):
        order = orders.draft()
        answers = at_once([partial(orders.request_cancellation, order, f"reason {n}") for n in range(4)])
        assert sorted(codes(answer) for answer in answers) == [[], *[["cancellation_open"]] * 3]
        request = next(answer for answer in answers if isinstance(answer, UUID))
        assert orders.state(order).cancellation == request
        orders.withdraw_cancellation(request)
        orders.request_cancellation(order)


def test_only_the_requester_takes_it_back(orders: Orders) -> None:
    """WO-14"""
    request = orders.request_cancellation(orders.draft())
    with refused(CancellationRefusal.NOT_YOUR_REQUEST):
        orders.withdraw_cancellation(request, by=WU)
    orders.withdraw_cancellation(request)
    orders.withdraw_cancellation(request)
    assert orders.bank.approval(orders.approval_of(request)).status is ApprovalStatus.VOIDED
    with refused(ApprovalRefusal.NOT_PENDING):
        orders.bank.approve(orders.approval_of(request), by=TAN)


def test_of_a_verdict_and_a_withdrawal_at_once_one_counts(orders: Orders) -> None:
    """WO-14: the request and the work order never disagree."""
    for _ in range(5):
        order = orders.draft()
        request = orders.request_cancellation(order)
        at_once(
            [
                partial(orders.bank.approve, orders.approval_of(request), by=TAN),
                partial(orders.withdraw_cancellation, request),
            ]
        )
        ends = {RequestStatus.APPROVED: Status.CANCELLED, RequestStatus.WITHDRAWN: Status.DRAFT}
        assert orders.state(order).status is ends[orders.cancellation(request).status]


def test_a_cancelled_execution_is_stopped_and_releases_nothing(orders: Orders) -> None:
    """WO-16: the run is terminated with the same commit; late news of it changes nothing."""
    order, run = orders.executing()
    assert may_release(orders.state(order))
    request = orders.request_cancellation(order)
    assert not may_release(orders.state(order))
    assert orders.run(run).status is RunStatus.QUEUED
    orders.bank.approve(orders.approval_of(request), by=TAN)
    assert orders.run(run).status is RunStatus.TERMINATED
    orders.complete(order, run)
    assert orders.state(order).status is Status.CANCELLED
    assert not may_release(orders.state(order))


def test_no_result_file_leaves_of_what_is_to_be_cancelled(orders: Orders) -> None:
    """WO-16: not while the request is open, and never once it is granted; after a rejection it may."""
    handler = orders.bank.handler
    order, run = orders.executing()
    orders.succeed(run)
    assert mapping_for_export(handler, TAN, run)
    for verdict in (orders.bank.reject, orders.bank.approve):
        request = orders.request_cancellation(order)
        with refused(RunRefusal.NO_RESULT):
            mapping_for_export(handler, TAN, run)
        verdict(orders.approval_of(request), by=TAN)
        if verdict == orders.bank.reject:
            assert mapping_for_export(handler, TAN, run)
    with refused(RunRefusal.NO_RESULT):
        mapping_for_export(handler, TAN, run)


def test_a_cancellation_asked_for_while_a_result_file_is_made_keeps_it_in(orders: Orders) -> None:
    """WO-16: between the look and the record the request comes: nothing is recorded, so nothing leaves."""
    bank = orders.bank
    order, run = orders.executing()
    orders.succeed(run)
    other = replace(orders, bank=bank.another_process())
    meanwhile = Interrupted(bank.log, order, lambda: other.request_cancellation(order))
    handler = Handler(meanwhile, clock=lambda: bank.now)
    command = Request(LIN, "exportSegmentRun", {"id": str(run)})
    exported = Exported(Path("result.csv"), 3, 100, "0" * 64)
    with refused(RunRefusal.NO_RESULT):
        handler(command, lambda work: result_files._record(work, run, exported, "127.0.0.1"))
    assert orders.state(order).status is Status.CANCELLATION_PENDING


def test_of_a_completion_and_a_cancellation_at_once_nothing_goes_out_if_it_is_cancelled(
    orders: Orders,
) -> None:
    """WO-16"""
    for _ in range(5):
        order, run = orders.executing()
        request = orders.request_cancellation(order)
        at_once(
            [
                partial(orders.bank.approve, orders.approval_of(request), by=TAN),
                partial(orders.complete, order, run),
            ]
        )
        assert orders.state(order).status is Status.CANCELLED
        assert not may_release(orders.state(order))


@pytest.mark.parametrize(
    ("steps", "status"), [(0, JobStatus.OPENED), (1, JobStatus.RESERVED), (2, JobStatus.FILED)]
)
def test_a_points_job_that_is_not_sent_is_withdrawn_and_its_budget_free_again(
    bank: Bank, tmp_path: Path, steps: int, status: JobStatus
) -> None:
    """WO-13, WO-16: with the commit that cancels."""
    world = PointsWorld(bank, tmp_path)
    activity = world.activity()
    free = world.budget(activity).amounts.free
    job = world.opened(rows(3), activity)
    assert world.step(job, steps).status is status
    cancelled(bank, world.job(job).has.cause.work_order)
    assert world.job(job).status is JobStatus.WITHDRAWN
    assert world.budget(activity).amounts.free == free


@pytest.mark.parametrize("is_sent", [False, True], ids=["released", "sent"])
def test_a_points_file_that_is_not_taken_is_withdrawn_and_the_work_order_cancelled(
    bank: Bank, tmp_path: Path, is_sent: bool
) -> None:
    """WO-16: also one that was released and not handed over; afterwards it never is."""
    world = PointsWorld(bank, tmp_path)
    activity = world.activity()
    job = out_and_waiting(world, activity, is_sent)
    orders, request = granted(world, job)
    assert orders.cancellation(request).status is RequestStatus.RECALLING
    assert orders.state(order_of(world, job)).status is Status.CANCELLATION_PENDING
    assert world.step(job).status is JobStatus.WITHDRAWN
    assert orders.cancellation(request).status is RequestStatus.APPROVED
    assert orders.state(order_of(world, job)).status is Status.CANCELLED
    budget = world.budget(activity)
    assert (budget.amounts.free, budget.amounts.reserved) == (1_000_00, 0)
    name, file = world.name(job), world.folder / world.name(job)
    assert world.system.files == {}
    with pytest.raises(DuplicateFile):
        world.desk.gateway.deliver(file, name, hashlib.sha256(file.read_bytes()).hexdigest())


def test_a_points_file_that_is_taken_refuses_the_cancellation_and_is_named(
    bank: Bank, tmp_path: Path
) -> None:
    """WO-16: what has left can't be called back by a status; its job goes its way."""
    world = PointsWorld(bank, tmp_path)
    job = world.sent(rows(3))
    orders, request = granted(world, job)
    assert world.step(job).status is JobStatus.SENT
    assert orders.cancellation(request).status is RequestStatus.REFUSED
    refusal = bank.events(request)[-1]
    assert (refusal.code, refusal.file_name) == ("points_file_taken", world.name(job))
    assert orders.state(order_of(world, job)).status is Status.EXECUTING
    world.system.answer(world.name(job))
    assert world.step(job, 4).status is JobStatus.SETTLED
    assert orders.state(order_of(world, job)).status is Status.COMPLETED


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_what_the_points_system_has_answered_is_not_cancelled(bank: Bank, tmp_path: Path, steps: int) -> None:
    """WO-16: the approver is told at once, with the file's name, and nothing is recorded."""
    world = PointsWorld(bank, tmp_path)
    job = world.sent(rows(3))
    orders = Orders(bank, *(order_of(world, job),) * 3)
    request = orders.request_cancellation(order_of(world, job))
    world.system.answer(world.name(job))
    world.step(job, steps)
    before = bank.count_events()
    with refused(CancellationRefusal.POINTS_FILE_TAKEN) as faults:
        bank.approve(orders.approval_of(request), by=TAN)
    assert faults[0].values == {"file": world.name(job)}
    assert bank.count_events() == before


def test_of_a_cancellation_and_a_hand_over_at_once_a_file_is_sent_or_the_order_cancelled_never_both(
    bank: Bank, tmp_path: Path
) -> None:
    """WO-16: at the real folder, with a points system that takes what it sees."""
    for number in range(12):
        folder = tmp_path / str(number)
        exchange.make(folder)
        world = PointsWorld(bank, tmp_path / "points", gateway=DirectoryGateway(folder))
        job = released(world)
        orders = Orders(bank, *(order_of(world, job),) * 3)
        approval = orders.approval_of(orders.request_cancellation(order_of(world, job)))
        with Counterpart(folder).at_work() as counterpart:
            at_once(
                [
                    partial(bank.approve, approval, by=TAN),
                    partial(points_pipeline.send, world.desk, job),
                    partial(at_work_for, counterpart, number * 0.015),
                ]
            )
            for _ in range(10):
                if next_step(world.job(job)) is None:
                    break
                with suppress(Refused):
                    world.step(job)
                counterpart.tick()
            is_taken = len(list(counterpart.known())) == 1
        is_cancelled = orders.state(order_of(world, job)).status is Status.CANCELLED
        assert is_cancelled != is_taken
        assert world.job(job).status is (JobStatus.SETTLED if is_taken else JobStatus.WITHDRAWN)


def at_work_for(counterpart: Counterpart, duration_s: float) -> None:
    ends_s = time.monotonic() + duration_s
    while time.monotonic() < ends_s:
        counterpart.tick()
        time.sleep(0.001)


def order_of(world: PointsWorld, job: UUID) -> UUID:
    order = world.job(job).has.cause.work_order
    assert order is not None
    return order


def released(world: PointsWorld, activity: UUID | None = None) -> UUID:
    """A job whose worker died between release and hand-over."""
    job = world.opened(rows(3), activity)
    world.step(job, 2)
    world.desk.run(job, points_pipeline._release)
    assert world.job(job).status is JobStatus.RELEASED
    return job


def out_and_waiting(world: PointsWorld, activity: UUID, is_sent: bool) -> UUID:
    job = released(world, activity)
    world.system.waiting.add(world.name(job))
    if is_sent:
        world.step(job)
    return job


def granted(world: PointsWorld, job: UUID) -> tuple[Orders, UUID]:
    """The work order's cancellation, asked for and approved."""
    orders = Orders(world.bank, *(order_of(world, job),) * 3)
    request = orders.request_cancellation(order_of(world, job))
    world.bank.approve(orders.approval_of(request), by=TAN)
    return orders, request


def cancelled(bank: Bank, order: UUID | None) -> None:
    assert order is not None
    orders = Orders(bank, order, order, order)
    orders.bank.approve(orders.approval_of(orders.request_cancellation(order)), by=TAN)
    assert orders.state(order).status is Status.CANCELLED


def test_who_may_not_plan_or_see_it_asks_for_nothing(orders: Orders) -> None:
    order = orders.draft()
    with pytest.raises(Forbidden):
        orders.request_cancellation(order, by=RAO)
    for absent, by in ((order, IN_SHANGHAI), (uuid4(), LIN)):
        with refused((CommonRefusal.NOT_FOUND, "id")):
            orders.request_cancellation(absent, by=by)
