"""Budgets stay open for the awards that come after an activity's end, and are closed when none can come."""

from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from application import points_pipeline
from application.processes.closed_budgets import close_due
from application.processes.ended_activities import SYSTEM_USER
from domain.budgets import DECIDER, BudgetClosed, budget_id
from domain.points_job_statuses import Status
from domain.shared.period import Period
from tests.application.bank import ALL_UNITS, DAY, IN_SHANGHAI, NOW, TAN, Bank, at_once
from tests.application.orders import orders_of
from tests.application.points_world import PointsWorld, rows

OVER, AWARDED = NOW + 30 * DAY, NOW + 60 * DAY
WINDOW = Period(NOW, AWARDED)


@pytest.fixture
def world(bank: Bank, tmp_path: Path) -> PointsWorld:
    return PointsWorld(bank, tmp_path / "points")


def ended(bank: Bank, award: Period | None = WINDOW) -> UUID:
    """An activity that was, with its budget of 1,000 CNY."""
    activity = bank.running(bank.draft(bank.plan(bank.add_type(f"T{next(bank.numbers)}"), award=award)))
    bank.now = OVER
    bank.end(activity)
    return activity


def close(bank: Bank, *activities: UUID) -> None:
    assert close_due(bank.handler, lambda *_: activities, ALL_UNITS).refused == ()


def is_closed(bank: Bank, activity: UUID) -> bool:
    return bank.log.load(DECIDER, budget_id(activity)).state.amounts.is_closed


def test_a_job_after_the_end_reserves_until_the_awards_are_over(world: PointsWorld) -> None:
    """BUD-04: the award window goes on after the period."""
    bank = world.bank
    activity = ended(bank)
    close(bank, activity)
    assert not is_closed(bank, activity)
    job = world.settled(rows(2, points=500), activity)
    assert world.job(job).status is Status.SETTLED
    bank.now = AWARDED
    close(bank, activity)
    assert bank.events(budget_id(activity))[-1].returned.amount_minor == 990_00
    late = world.opened(rows(2, start=9), activity)
    assert world.step(late).status is Status.FAILED
    assert bank.events(late)[-1].code == "budget_closed"


def test_without_an_award_window_the_budget_closes_after_the_period(bank: Bank) -> None:
    """BUD-04: and an award window that ends earlier does not close it earlier."""
    for award in (None, Period(NOW, NOW + DAY)):
        bank.now = NOW
        activity = bank.running(bank.draft(bank.plan(bank.add_type(f"T{next(bank.numbers)}"), award=award)))
        bank.now = OVER - DAY
        close(bank, activity)
        assert not is_closed(bank, activity)
        bank.now = OVER
        close(bank, activity)
        assert not is_closed(bank, activity), "nobody has ended it yet"
        bank.end(activity)
        close(bank, activity)
        close(bank, activity)
        closed = [event for event in bank.events(budget_id(activity)) if isinstance(event, BudgetClosed)]
        assert len(closed) == 1
        record = [*bank.log.records(budget_id(activity))][-1]
        assert (record.context.actor, record.context.org_unit) == (SYSTEM_USER, "HO")


def test_an_approved_activity_that_is_never_launched_gives_its_budget_back_after_its_period(
    bank: Bank,
) -> None:
    """BUD-04: also when it was revised since; a plan that is approved anew has its budget again."""
    left = bank.draft(bank.plan(bank.add_type("Dining"), award=WINDOW))
    revised = bank.draft(bank.plan(bank.add_type("Movies")))
    for activity in (left, revised):
        bank.approved(activity)
    bank.revise(revised, bank.plan(bank.add_type("Opera")))
    bank.now = OVER - DAY
    close(bank, left, revised)
    assert not is_closed(bank, left)
    bank.now = OVER
    close(bank, left, revised)
    for activity in (left, revised):
        assert bank.events(budget_id(activity))[-1].returned.amount_minor == 1_000_00
    later = bank.plan(bank.add_type("Theatre"), ends_at=OVER + 30 * DAY)
    bank.revise(left, later)
    bank.approved(left)
    close(bank, left)
    assert bank.log.load(DECIDER, budget_id(left)).state.amounts.free == 1_000_00


def test_a_plan_that_is_withdrawn_gives_back_what_its_earlier_approval_set_aside(world: PointsWorld) -> None:
    """BUD-04: but for what is reserved; with the next approval it goes on."""
    bank = world.bank
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    bank.approved(activity)
    job = world.opened(rows(2, points=500), activity)
    world.step(job, 2)
    bank.revise(activity, bank.plan(bank.add_type("Movies")))
    bank.submit(activity)
    assert not is_closed(bank, activity)
    bank.withdraw(activity)
    amounts = world.budget(activity).amounts
    assert (amounts.is_closed, amounts.free, amounts.reserved) == (True, 0, 10_00)
    bank.approved(activity)
    assert world.budget(activity).amounts.free == 990_00
    assert world.step(job).status is Status.SENT


def test_what_is_reserved_keeps_the_budget_open_and_is_consumed(world: PointsWorld) -> None:
    """BUD-04"""
    activity = ended(world.bank)
    job = world.sent(rows(2, points=500), activity)
    world.bank.now = AWARDED
    close(world.bank, activity)
    assert not is_closed(world.bank, activity)
    world.system.answer(world.name(job), rejected=[1])
    assert world.step(job, 4).status is Status.SETTLED
    close(world.bank, activity)
    assert world.budget(activity).amounts.total == 5_00


def test_a_work_order_that_executes_keeps_the_budget_open_for_its_points(bank: Bank) -> None:
    """BUD-04: between the extraction and the reservation nothing is reserved yet."""
    orders = orders_of(bank)
    order, run = orders.executing()
    bank.now = OVER + DAY
    bank.end(orders.activity)
    close(bank, orders.activity)
    assert not is_closed(bank, orders.activity)
    request = orders.request_cancellation(order)
    close(bank, orders.activity)
    assert not is_closed(bank, orders.activity), "the request may be rejected"
    bank.reject(orders.approval_of(request), by=TAN)
    orders.complete(order, run)
    close(bank, orders.activity)
    assert is_closed(bank, orders.activity)


def test_of_a_close_and_a_reservation_at_once_none_is_lost(world: PointsWorld) -> None:
    """BUD-04: either the job has its reservation and the budget is open, or it was told that it is closed."""
    for number in range(10):
        world.bank.now = NOW
        activity = ended(world.bank, None)
        job = world.opened(rows(1, start=number + 1), activity)
        at_once([partial(close, world.bank, activity), partial(points_pipeline.reserve, world.desk, job)])
        is_reserved = world.job(job).status is Status.RESERVED
        assert is_closed(world.bank, activity) != is_reserved
        assert world.budget(activity).amounts.reserved == (5_00 if is_reserved else 0)


def test_a_unit_out_of_the_schedulers_sight_is_left_alone(bank: Bank) -> None:
    """SEC-03"""
    activity = bank.running(bank.draft(bank.plan(bank.add_type("Dining")), by=IN_SHANGHAI))
    bank.now = OVER
    bank.end(activity)
    [(refused, why)] = close_due(bank.handler, lambda *_: [activity], frozenset({"HO"})).refused
    assert (refused, why.split()[0]) == (activity, "not_found")
    assert not is_closed(bank, activity)
