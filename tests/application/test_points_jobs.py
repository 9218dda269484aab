"""Points jobs from the result to the settled budget, with everything that stops or kills them on the way."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from application import budgets, points_jobs, points_ledgers, points_pipeline
from application.access import Permission
from application.shared.gateways import GatewayUnavailable
from application.shared.handler import Handler
from application.shared.work import Work
from domain.activities import ActivityRefusal
from domain.budgets import DECIDER as BUDGET
from domain.budgets import Reserve, budget_id
from domain.points_files import FileRefusal
from domain.points_job_answers import PointsJobAcknowledged, PointsJobAcknowledgementFaulted
from domain.points_job_statuses import JobRefusal, Status
from domain.points_job_terms import RefusedLine
from domain.points_jobs import PointsJobFailed
from domain.points_ledgers import Holder, ledger_id
from domain.reconciliation import Difference, DifferenceKind
from domain.shared.money import Amount, Money
from domain.work_order_statuses import Status as OrderStatus
from domain.work_orders import DECIDER as WORK_ORDER
from domain.work_orders import WorkOrderCancellationRequested, WorkOrderCancelled
from infrastructure.log_verification import verify
from tests.application.bank import DAY, LIN, SCHEDULER, Bank, answered, at_once, codes
from tests.application.interruption import Interrupted
from tests.application.points_world import PointsWorld, rows
from tests.domain.points_file_reader import seen
from tests.given import refused


@pytest.fixture
def world(bank: Bank, tmp_path: Path) -> PointsWorld:
    return PointsWorld(bank, tmp_path / "points")


def test_the_whole_way_from_a_result_to_a_settled_budget(world: PointsWorld) -> None:
    """PTS-07, PTS-09, PTS-10: what was accepted is posted, what was rejected is not, and the sums agree."""
    activity = world.activity("1000")
    job = world.settled(rows(10, points=500), activity, rejected=[3])
    state = world.job(job)
    assert state.status is Status.SETTLED
    assert (state.answered.accepted, state.answered.rejected) == (9, 1)
    assert (state.posted.posted, state.posted.points, state.posted.refused) == (9, 4_500, 0)
    assert [world.ledger(f"C{n:08d}").balance for n in (1, 2, 3, 4)] == [500, 500, 0, 500]
    budget = world.budget(activity)
    assert (budget.amounts.free, budget.amounts.reserved, budget.amounts.consumed) == (955_00, 0, 45_00)


def test_a_run_has_one_job_and_its_work_order_knows_it(world: PointsWorld) -> None:
    """PTS-07: opening it again gives the same."""
    run = world.run(rows(2))
    job = world.open(run)
    assert world.open(run) == job
    order = world.job(job).has.cause.work_order
    assert order is not None
    assert world.bank.log.load(WORK_ORDER, order).state.points_job == job
    opened = world.job(job).has
    assert opened.cause.run == run
    assert len(opened.cause.approvals) == 3
    assert opened.terms.columns.names == ("customer_id", "card", "points")


def test_files_of_a_day_are_numbered_without_gaps_and_each_name_is_given_once(world: PointsWorld) -> None:
    """PTS-08"""
    names = [world.name(world.opened(rows(1))) for _ in range(5)]
    assert names == [f"POINTS_CC_20260301_{number:04d}.txt" for number in range(1, 6)]
    world.bank.now += timedelta(days=1)
    assert world.name(world.opened(rows(1))) == "POINTS_CC_20260302_0001.txt"


def test_jobs_opened_at_once_get_different_names(world: PointsWorld) -> None:
    """PTS-08: eight at the same moment."""
    runs = [world.run(rows(1)) for _ in range(8)]
    opened = at_once([lambda run=run: world.open(run) for run in runs])
    names = {world.name(job) for job in opened if isinstance(job, UUID)}
    assert names == {f"POINTS_CC_20260301_{number:04d}.txt" for number in range(1, 9)}


def test_the_file_is_what_an_independent_reader_expects(world: PointsWorld) -> None:
    """PTS-04, PTS-08: the same count and checksum as recorded at generation."""
    job = world.sent(rows(10, points=70))
    state, content = world.job(job), world.system.files[world.name(job)]
    found = seen(content)
    assert (found.count, found.total) == (state.filed.lines, state.filed.points) == (10, 700)
    assert hashlib.sha256(content).hexdigest() == state.filed.sha256
    assert len(content) == state.filed.bytes
    assert [row[1:4] for row in found.rows] == list(rows(10, points=70))


@pytest.mark.parametrize(
    ("found", "code", "values"),
    [
        ([], "no_lines", {}),
        ([("C1", "", 0)], "bad_lines", {"count": "1", "lines": "1 points"}),
        ([("C1", "", -5)], "bad_lines", {"count": "1", "lines": "1 points"}),
        ([("C1", "", 5), ("", "", 5)], "bad_lines", {"count": "1", "lines": "2 customer"}),
        ([("C1", "6225881234561234", 5)], "bad_lines", {"count": "1", "lines": "1 card"}),
        ([("C1", None, None)], "bad_lines", {"count": "1", "lines": "1 points"}),
    ],
)
def test_a_result_that_makes_no_points_fails_the_job_and_nothing_goes_out(
    world: PointsWorld, found: list[Any], code: str, values: dict[str, str]
) -> None:
    """PTS-10"""
    job = world.opened(found)
    assert world.step(job).status is Status.FAILED
    [failed] = [event for event in world.bank.events(job) if isinstance(event, PointsJobFailed)]
    assert (failed.code, failed.values) == (code, values)
    assert world.system.files == {}
    assert world.budget_of(job).amounts.reserved == 0


def test_a_budget_that_is_too_small_refuses_before_anything_goes_out(world: PointsWorld) -> None:
    """BUD-04: 10.01 needed, 10.00 there."""
    activity = world.activity("10")
    job = world.opened([("C1", "", 1_001)], activity)
    assert world.step(job).status is Status.FAILED
    assert isinstance(world.bank.events(job)[-1], PointsJobFailed)
    assert world.bank.events(job)[-1].code == "budget_too_small"
    assert (world.system.files, world.budget(activity).amounts.free) == ({}, 10_00)
    assert world.step(world.opened([("C1", "", 1_000)], activity)).status is Status.RESERVED


def test_a_failed_job_is_tried_again_when_the_budget_has_grown(world: PointsWorld) -> None:
    """BUD-04"""
    activity = world.activity("10")
    first = world.opened([("C1", "", 1_000)], activity)
    world.step(first)
    second = world.opened([("C2", "", 1_000)], activity)
    assert world.step(second).status is Status.FAILED
    world.bank.send(LIN, "withdrawPointsJob", {}, points_jobs.withdraw, first, "wrong group")
    assert world.budget(activity).amounts.free == 10_00
    world.bank.send(LIN, "retryPointsJob", {}, points_jobs.retry, second)
    assert world.step(second).status is Status.RESERVED


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_job_is_withdrawn_until_its_file_is_released(world: PointsWorld, steps: int) -> None:
    """WO-16"""
    job = world.opened(rows(2))
    world.step(job, steps)
    world.bank.send(LIN, "withdrawPointsJob", {}, points_jobs.withdraw, job, "wrong group")
    assert world.job(job).status is Status.WITHDRAWN
    assert world.budget_of(job).amounts.reserved == 0
    for step in points_pipeline.STEPS.values():
        step(world.desk, job)
    assert (world.job(job).status, world.system.files) == (Status.WITHDRAWN, {})


def test_a_job_that_was_released_is_not_withdrawn(world: PointsWorld) -> None:
    job = world.sent(rows(2))
    with refused(JobRefusal.ALREADY_RELEASED):
        world.bank.send(LIN, "withdrawPointsJob", {}, points_jobs.withdraw, job, "too late")


CANCELLATION = uuid4()


@pytest.mark.parametrize(
    "happened",
    [
        [WorkOrderCancellationRequested(CANCELLATION, OrderStatus.EXECUTING, "fraud", "chen")],
        [
            WorkOrderCancellationRequested(CANCELLATION, OrderStatus.EXECUTING, "fraud", "chen"),
            WorkOrderCancelled(CANCELLATION),
        ],
    ],
)
def test_no_file_goes_out_of_a_work_order_that_is_cancelled_or_about_to_be(
    world: PointsWorld, happened: list[Any]
) -> None:
    """WO-16: the result is barred."""
    job = world.opened(rows(2))
    world.step(job, 2)
    world.extend(world.job(job).has.cause.work_order, WORK_ORDER, *happened)
    with refused(JobRefusal.WORK_ORDER_HELD):
        world.step(job)
    assert (world.job(job).status, world.system.files) == (Status.FILED, {})


def test_a_cancellation_that_is_asked_for_between_look_and_release_holds_the_file(world: PointsWorld) -> None:
    """WO-16: the work order is guarded in the very append that releases; every time, not only by luck."""
    job = world.opened(rows(2))
    world.step(job, 2)
    order = world.job(job).has.cause.work_order
    asked = WorkOrderCancellationRequested(CANCELLATION, OrderStatus.EXECUTING, "fraud", "chen")
    other = world.bank.another_process()
    meanwhile = Interrupted(
        world.bank.log, order, lambda: world.extend(order, WORK_ORDER, asked, log=other.log)
    )
    desk = replace(world.desk, handler=Handler(meanwhile, clock=lambda: world.bank.now))
    with refused(JobRefusal.WORK_ORDER_HELD):
        points_pipeline.send(desk, job)
    assert (world.job(job).status, world.system.files) == (Status.FILED, {})


def test_a_cancelled_activity_sends_no_points(world: PointsWorld) -> None:
    activity = world.activity()
    job = world.opened(rows(2), activity)
    world.step(job, 2)
    world.bank.cancel(activity)
    assert world.step(job).status is Status.FAILED
    assert world.bank.events(job)[-1].code == "activity_cancelled"
    assert world.system.files == {}
    assert world.budget(activity).amounts.total == 0, "nothing is held for what will never go out"


def unapproved(world: PointsWorld) -> UUID:
    """An activity that was approved and is not launched yet."""
    plan = world.bank.plan(world.bank.add_type("Dining"), budget=Amount(Decimal(1_000), "CNY"))
    activity = world.bank.draft(plan)
    world.bank.approved(activity)
    return activity


def revised(world: PointsWorld, activity: UUID) -> None:
    plan = world.bank.plan(world.bank.add_type("Other"), budget=Amount(Decimal(900), "CNY"))
    world.bank.revise(activity, plan)


def test_no_file_goes_out_while_the_revised_plan_is_not_approved(world: PointsWorld) -> None:
    """ACT-02, PTS-06: nor is a job opened, or anything reserved by what the new plan says; with the new
    approval all go on.
    """
    activity = unapproved(world)
    job, run = world.opened(rows(2), activity), world.run(rows(2, start=5), activity)
    world.step(job, 2)
    waiting = world.opened(rows(2, start=9), activity)
    revised(world, activity)
    for each in (job, waiting):
        with refused(ActivityRefusal.NOT_APPROVED):
            world.step(each)
    with refused(ActivityRefusal.NOT_APPROVED):
        world.open(run)
    assert (world.job(job).status, world.system.files) == (Status.FILED, {})
    world.bank.approved(activity)
    assert world.step(job).status is Status.SENT
    assert world.step(waiting).status is Status.RESERVED
    assert world.step(world.open(run), 3).status is Status.SENT


def test_a_deleted_activity_sends_no_points_and_gives_its_budget_back(world: PointsWorld) -> None:
    """BUD-04: it had been approved, revised and thrown away."""
    activity = unapproved(world)
    job = world.opened(rows(2), activity)
    world.step(job, 2)
    revised(world, activity)
    world.bank.delete(activity)
    budget = world.budget(activity)
    assert (budget.amounts.is_closed, budget.amounts.free, budget.amounts.reserved) == (True, 0, 10_00)
    assert world.step(job).status is Status.FAILED
    assert (world.system.files, world.budget(activity).amounts.total) == ({}, 0)


def test_a_reservation_that_expired_before_the_release_fails_the_job(world: PointsWorld) -> None:
    """BUD-04: a crash between reserve and commit is no leak, and no overspending either."""
    activity = world.activity("10")
    job = world.opened([("C1", "", 1_000)], activity)
    world.step(job, 2)
    world.bank.now += world.desk.reserve_for
    scheduler = replace(SCHEDULER, system_permissions=frozenset({Permission.BUDGETS_EXPIRE}))
    world.bank.send(scheduler, "expireBudget", {}, budgets.expire, budget_id(activity))
    assert world.budget(activity).amounts.free == 10_00
    assert world.step(job).status is Status.FAILED
    assert world.system.files == {}
    released = world.sent([("C2", "", 1_000)], activity)
    world.bank.now += 2 * world.desk.reserve_for
    world.bank.send(scheduler, "expireBudget", {}, budgets.expire, budget_id(activity))
    assert world.budget(activity).amounts.reserved == 10_00, "what has gone out stays reserved"
    assert world.job(released).status is Status.SENT


def test_while_the_points_system_is_away_the_file_waits_and_then_goes_once(world: PointsWorld) -> None:
    """PTS-13"""
    job = world.opened(rows(2))
    world.step(job, 2)
    world.system.is_down = True
    for _ in range(3):
        with pytest.raises(GatewayUnavailable):
            world.step(job)
    assert world.job(job).status is Status.RELEASED
    world.system.is_down = False
    assert world.step(job).status is Status.SENT
    assert world.system.deliveries == 1


def test_without_an_answer_in_time_somebody_is_told(world: PointsWorld) -> None:
    """PTS-09"""
    job = world.sent(rows(2))
    world.step(job)
    assert (world.job(job).status, world.job(job).is_overdue) == (Status.SENT, False)
    world.bank.now += world.desk.answer_within
    world.step(job, 2)
    assert world.job(job).is_overdue
    world.system.answer(world.name(job))
    assert world.step(job, 4).status is Status.SETTLED


def test_an_acknowledgement_that_can_not_be_believed_posts_nothing(world: PointsWorld) -> None:
    """PTS-10"""
    job = world.sent(rows(3))
    name = world.name(job)
    world.system.answer(name)
    good = world.system.answers[name]
    world.system.answers[name] = good.replace(b"D|2|00|", b"D|2|E1|")
    assert world.step(job).status is Status.SENT
    [faulted] = [e for e in world.bank.events(job) if isinstance(e, PointsJobAcknowledgementFaulted)]
    assert [fault.code for fault in faulted.faults] == [FileRefusal.WRONG_COUNT, FileRefusal.WRONG_CHECKSUM]
    assert world.ledger("C00000001").balance == 0
    world.system.answers[name] = good
    assert world.step(job, 4).status is Status.SETTLED


def test_a_line_that_was_dropped_on_the_way_is_named_and_not_posted(world: PointsWorld) -> None:
    """PTS-10"""
    job = world.sent(rows(5))
    world.system.answer(world.name(job), left_out=[4])
    assert world.step(job, 3).status is Status.POSTED
    found = world.job(job).differing
    assert found is not None
    assert found.differences == (Difference(4, DifferenceKind.NOT_ACKNOWLEDGED),)
    assert world.ledger("C00000004").balance == 0
    world.bank.send(
        LIN, "acceptPointsJobDifferences", {}, points_jobs.accept_differences, job, "they lost it"
    )
    assert world.step(job).status is Status.SETTLED
    budget = world.budget_of(job)
    assert (budget.amounts.reserved, budget.amounts.consumed) == (0, 20_00)


def test_a_closed_ledger_takes_no_line_and_the_job_says_so(world: PointsWorld) -> None:
    """PTS-10, PTS-12"""
    world.settled(rows(3, points=100))
    closed = ledger_id(Holder("CC", "C00000002"), 2026)
    world.bank.send(LIN, "closePointsAccount", {}, points_ledgers.close, closed, "the customer has left")
    job = world.settled(rows(3, points=50))
    assert world.job(job).posted.refused_lines == (RefusedLine(2, "ledger_closed"),)
    assert world.job(job).status is Status.POSTED
    assert [world.ledger(f"C{n:08d}").balance for n in (1, 2, 3)] == [150, 100, 150]


def test_every_step_taken_twice_or_late_changes_nothing(world: PointsWorld) -> None:
    """PTS-07: each step is logged once."""
    job = world.settled(rows(3))
    events = world.bank.count_events()
    for step in points_pipeline.STEPS.values():
        step(world.desk, job)
    assert world.bank.count_events() == events
    kinds = [type(event).__name__ for event in world.bank.events(job)]
    assert len(kinds) == len(set(kinds)) == 9


def test_every_step_taken_by_four_workers_at_once_is_taken_once(world: PointsWorld) -> None:
    """PTS-07, PTS-10"""
    job = world.opened(rows(50))
    for _ in range(7):
        step = points_pipeline.STEPS[world.job(job).status]
        if world.job(job).status is Status.SENT:
            world.system.answer(world.name(job), rejected=[7])
        at_once([lambda step=step: step(world.desk, job)] * 4)
    assert world.job(job).status is Status.SETTLED
    kinds = [type(event).__name__ for event in world.bank.events(job)]
    assert len(kinds) == len(set(kinds)) == 9
    assert sum(world.ledger(f"C{n:08d}").balance for n in range(1, 51)) == 49 * 500


def test_forty_of_sixty_four_reservations_at_once_fit_and_exactly_these_win(world: PointsWorld) -> None:
    """BUD-04: a real race on one budget."""
    activity = world.activity("40")
    budget = budget_id(activity)

    def reserve(key: int) -> bool:
        def use_case(work: Work) -> UUID:
            amount = Money(1_00, "CNY")
            work.decide(BUDGET, budget, Reserve(f"k{key}", amount, work.now + DAY, uuid4(), work.now))
            return budget

        while True:
            answer = answered(lambda: world.bank.send(LIN, "openPointsJob", {}, use_case))
            if codes(answer) != ["version_conflict"]:
                return codes(answer) == []

    won = at_once([lambda key=key: reserve(key) for key in range(64)])
    state = world.budget(activity)
    assert won.count(True) == 40
    assert (state.amounts.free, state.amounts.reserved, len(state.amounts.open)) == (0, 40_00, 40)


def test_the_log_of_it_all_verifies(world: PointsWorld, module_url: str) -> None:
    """PTS-06: and a posting's causation leads to the acknowledgement, its conversation to the job."""
    job = world.settled(rows(3))
    [record] = world.bank.log.records(ledger_id(Holder("CC", "C00000001"), 2026))
    acknowledged = [r for r in world.bank.log.records(job) if isinstance(r.event, PointsJobAcknowledged)]
    assert record.context.correlation_id == job
    assert record.context.causation_id == acknowledged[0].event_id
    assert (record.event.job, record.event.line_number) == (job, 1)
    assert verify(module_url).faults == []
