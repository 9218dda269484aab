"""Stocks from the approval to the activity's end: awards from outside, points jobs, and everybody at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from application import points_jobs, points_ledgers, stocks
from application.points_postings import entry_id
from application.processes import expired_reservations
from application.processes.closed_budgets import close_due
from application.shared.records import Append, Conflict, Receipt
from application.stocks import Award
from domain.activities import ActivityRefusal
from domain.budgets import ReservationConfirmed, budget_id
from domain.points_job_statuses import Status
from domain.points_ledgers import Holder, ledger_id
from domain.shared.money import Amount
from domain.shared.references import Reference
from domain.stocks import DECIDER, Stock, StockOpened, StockRefusal, stock_ids
from infrastructure.event_log import EventLog
from tests.application.bank import ALL_UNITS, DAY, IN_SHANGHAI, LIN, WU, Bank, at_once, codes
from tests.application.points_world import PointsWorld, rows
from tests.given import refused

OUT = [str(StockRefusal.OUT_OF_STOCK)]


@pytest.fixture
def world(bank: Bank, tmp_path: Path) -> PointsWorld:
    return PointsWorld(bank, tmp_path / "points")


def planned(bank: Bank, *caps: str | None, **changes: Any) -> UUID:
    """An approved activity with a reward line of points for each cap."""
    rewards = tuple(bank.reward("2", cap_total=cap) for cap in caps)
    plan = bank.plan(bank.add_type(f"Dining {next(bank.numbers)}"), rewards=rewards, **changes)
    activity = bank.draft(plan)
    bank.approved(activity)
    return activity


def running(bank: Bank, *caps: str | None) -> UUID:
    activity = planned(bank, *caps)
    bank.launch(activity)
    return activity


def ids(bank: Bank, activity: UUID) -> tuple[UUID, ...]:
    plan = bank.activity(activity).plan
    assert plan is not None
    return stock_ids(activity, plan.rewards)


def stock_of(bank: Bank, id_: UUID) -> Stock:
    return bank.log.load(DECIDER, id_).state


def amounts(bank: Bank, id_: UUID) -> tuple[int, int, int]:
    """Free, reserved, consumed, in units."""
    found = stock_of(bank, id_).amounts
    return found.free // 10**6, found.reserved // 10**6, found.consumed // 10**6


def reserve(bank: Bank, stock: UUID, key: str, quantity: int | str = 1, by: Any = LIN) -> Receipt:
    award = Award(key, Decimal(quantity))
    return bank.send(by, "reserveStock", {"turn": stock}, stocks.reserve, stock, award)


def release(bank: Bank, stock: UUID, key: str) -> Receipt:
    return bank.send(LIN, "releaseStock", {"turn": stock}, stocks.release, stock, key)


# --- The stock and its activity -------------------------------------------


def test_the_approval_opens_a_stock_for_each_capped_line(bank: Bank) -> None:
    """ACT-10: a line without a cap has none."""
    activity = planned(bank, "100", None, "5.5")
    first, none, third = ids(bank, activity)
    reward = Reference(bank.reward_type(), 1)
    code = bank.activity(activity).code
    assert bank.events(first) == [StockOpened(activity, "HO", code, 0, reward, "points", Decimal(100))]
    assert bank.events(third) == [StockOpened(activity, "HO", code, 2, reward, "points", Decimal("5.5"))]
    assert bank.events(none) == []


def test_the_stock_of_another_reward_counts_in_its_unit(bank: Bank) -> None:
    coupons = bank.add_reward_type("Coupon", route="coupon", unit="piece")
    rewards = (bank.reward("2", coupons, "10"),)
    activity = bank.draft(bank.plan(bank.add_type("Dining"), rewards=rewards))
    bank.approved(activity)
    opened = stock_of(bank, ids(bank, activity)[0]).opened
    assert opened is not None
    assert opened.unit == "piece"


def test_a_plan_approved_anew_sets_new_caps_and_closes_the_stocks_of_lines_that_went(bank: Bank) -> None:
    """ACT-10"""
    activity = planned(bank, "100", "50")
    first, second = ids(bank, activity)
    plan = bank.plan(bank.add_type("Other"), rewards=(bank.reward("2", cap_total="70"),))
    bank.revise(activity, plan)
    bank.approved(activity)
    assert amounts(bank, first) == (70, 0, 0)
    assert stock_of(bank, second).amounts.is_closed


@pytest.mark.parametrize("over", ["cancel", "end"])
def test_a_stock_is_closed_with_its_activity(bank: Bank, over: str) -> None:
    """ACT-10: what was reserved may still be given, what is free may not."""
    activity = running(bank, "100")
    [stock] = ids(bank, activity)
    reserve(bank, stock, "a", 10)
    if over == "cancel":
        bank.cancel(activity)
    else:
        bank.now += 31 * DAY
        bank.end(activity)
        assert not stock_of(bank, stock).amounts.is_closed
        close_due(bank.handler, lambda *_: [activity], ALL_UNITS)
    with refused(ActivityRefusal.NOT_RUNNING):
        reserve(bank, stock, "b")
    bank.send(LIN, "consumeStock", {}, stocks.consume, stock, "a", None)
    assert (amounts(bank, stock), stock_of(bank, stock).amounts.is_closed) == ((0, 0, 10), True)


def test_nothing_is_awarded_before_the_launch_or_in_a_pause(bank: Bank) -> None:
    """ACT-10"""
    activity = planned(bank, "100")
    [stock] = ids(bank, activity)
    with refused(ActivityRefusal.NOT_RUNNING):
        reserve(bank, stock, "a")
    bank.launch(activity)
    reserve(bank, stock, "a")
    bank.pause(activity)
    with refused(ActivityRefusal.NOT_RUNNING):
        reserve(bank, stock, "b")


def test_a_stock_of_a_unit_out_of_sight_is_not_found(bank: Bank) -> None:
    """SEC-03"""
    [stock] = ids(bank, running(bank, "100"))
    with refused(("not_found", "id")):
        reserve(bank, stock, "a", by=IN_SHANGHAI)
    for use_case, given in (
        (stocks.consume, ("a", None)),
        (stocks.release, ("a",)),
        (stocks.give_back, ("a", "r", Decimal(1))),
    ):
        with refused(("not_found", "id")):
            bank.send(IN_SHANGHAI, "consumeStock", {}, use_case, stock, *given)


def test_an_award_is_returned_and_reserved_again(bank: Bank) -> None:
    """ACT-10"""
    [stock] = ids(bank, running(bank, "1"))
    reserve(bank, stock, "a")
    bank.send(LIN, "consumeStock", {}, stocks.consume, stock, "a", None)
    with refused((StockRefusal.OUT_OF_STOCK, "quantity")):
        reserve(bank, stock, "b")
    bank.send(LIN, "returnStock", {}, stocks.give_back, stock, "a", "broken", Decimal(1))
    reserve(bank, stock, "b")
    assert amounts(bank, stock) == (0, 1, 0)


def test_the_scheduler_frees_what_has_expired(bank: Bank) -> None:
    """ACT-10, BUD-04: a crash between reserve and consume is no leak."""
    [stock] = ids(bank, running(bank, "10"))
    reserve(bank, stock, "a", 4)
    holders = lambda *_: [("stock", stock)]  # noqa: E731
    expired_reservations.expire_due(bank.handler, holders, ALL_UNITS)
    assert amounts(bank, stock) == (6, 4, 0)
    bank.now += timedelta(days=1)
    told = expired_reservations.expire_due(bank.handler, holders, ALL_UNITS)
    assert (told.told, told.refused) == (1, ())
    assert amounts(bank, stock) == (10, 0, 0)


# --- Points jobs ----------------------------------------------------------


def rewarding(world: PointsWorld, cap: str | None, budget: str = "1000") -> UUID:
    activity = planned(world.bank, cap, budget=Amount(Decimal(budget), "CNY"))
    world.bank.launch(activity)
    return activity


def test_a_job_reserves_its_points_and_consumes_what_was_posted(world: PointsWorld) -> None:
    """ACT-10: of ten lines one is rejected, and its points are free again."""
    activity = rewarding(world, "5000")
    [stock] = ids(world.bank, activity)
    job = world.sent(rows(10, points=500), activity)
    assert amounts(world.bank, stock) == (0, 5_000, 0)
    world.bank.now += timedelta(days=60)
    expired_reservations.expire_due(world.bank.handler, lambda *_: [("stock", stock)], ALL_UNITS)
    assert amounts(world.bank, stock) == (0, 5_000, 0), "what has gone out stays reserved"
    world.bank.now -= timedelta(days=60)
    world.system.answer(world.name(job), [3])
    world.step(job, 4)
    assert world.job(job).status is Status.SETTLED
    assert amounts(world.bank, stock) == (500, 0, 4_500)


def test_reversed_points_are_free_in_the_stock_again_before_and_after_the_settlement(
    world: PointsWorld,
) -> None:
    """ACT-10, BUD-04: a cap counts what customers keep."""
    activity = rewarding(world, "5000")
    [stock] = ids(world.bank, activity)
    job = world.sent(rows(10, points=500), activity)
    world.system.answer(world.name(job))
    world.step(job, 2)
    reverse(world, job, 1)
    assert amounts(world.bank, stock) == (0, 5_000, 0)
    world.step(job, 2)
    assert amounts(world.bank, stock) == (500, 0, 4_500)
    reverse(world, job, 2)
    assert amounts(world.bank, stock) == (1_000, 0, 4_000)


def reverse(world: PointsWorld, job: UUID, line: int) -> None:
    ledger = ledger_id(Holder("CC", f"C{line:08d}"), 2026)
    given = ledger, entry_id(job, line), "wrong customer"
    world.bank.send(LIN, "reversePointsEntry", {}, points_ledgers.reverse, *given)


def test_a_stock_that_is_too_small_fails_the_job_and_the_budget_stays_free(world: PointsWorld) -> None:
    """ACT-10"""
    activity = rewarding(world, "999")
    job = world.opened([("C1", "", 1_000)], activity)
    assert world.step(job).status is Status.FAILED
    assert world.bank.events(job)[-1].code == "out_of_stock"
    assert world.budget(activity).amounts.taken == 0
    assert len(world.bank.events(ids(world.bank, activity)[0])) == 1


def test_a_budget_that_is_too_small_leaves_the_stock_alone(world: PointsWorld) -> None:
    """ACT-10, BUD-04"""
    activity = rewarding(world, "5000", budget="1")
    job = world.opened([("C1", "", 1_000)], activity)
    assert world.step(job).status is Status.FAILED
    assert world.bank.events(job)[-1].code == "budget_too_small"
    assert len(world.bank.events(ids(world.bank, activity)[0])) == 1


def test_points_that_cost_nothing_are_still_of_the_stock(world: PointsWorld) -> None:
    """ACT-10"""
    activity = rewarding(world, "800")
    terms = replace(points_jobs.PointsTerms("CC", "CAMPAIGN_REWARD", "0", "CNY"))
    job = world.opened([("C1", "", 500)], activity, terms)
    assert world.step(job).status is Status.RESERVED
    assert amounts(world.bank, ids(world.bank, activity)[0]) == (300, 500, 0)


@pytest.mark.parametrize("end", ["withdrawn", "failed"])
def test_a_job_that_comes_to_nothing_frees_its_stock_and_may_be_tried_again(
    world: PointsWorld, end: str
) -> None:
    """ACT-10"""
    activity = rewarding(world, "1000")
    [stock] = ids(world.bank, activity)
    job = world.opened([("C1", "", 1_000)], activity)
    world.step(job)
    assert amounts(world.bank, stock) == (0, 1_000, 0)
    if end == "withdrawn":
        world.bank.send(LIN, "withdrawPointsJob", {}, points_jobs.withdraw, job, "wrong group")
    else:
        world.results.found[world.job(job).has.cause.run] = [("C1", "", 999)]
        assert world.step(job).status is Status.FAILED
    assert amounts(world.bank, stock) == (1_000, 0, 0)
    if end == "failed":
        world.bank.send(LIN, "retryPointsJob", {}, points_jobs.retry, job)
        assert world.step(job).status is Status.RESERVED
        assert amounts(world.bank, stock) == (1, 999, 0)


def test_a_job_whose_stock_reservation_expired_fails_and_frees_its_budget(world: PointsWorld) -> None:
    """ACT-10, BUD-04"""
    activity = rewarding(world, "1000")
    [stock] = ids(world.bank, activity)
    job = world.opened([("C1", "", 1_000)], activity)
    world.step(job, 2)
    world.bank.now += world.desk.reserve_for
    expired_reservations.expire_due(world.bank.handler, lambda *_: [("stock", stock)], ALL_UNITS)
    assert world.step(job).status is Status.FAILED
    assert (amounts(world.bank, stock), world.budget(activity).amounts.taken) == ((1_000, 0, 0), 0)
    movements = world.bank.events(budget_id(activity))
    assert not [event for event in movements if isinstance(event, ReservationConfirmed)], "both or neither"


def test_points_without_a_cap_need_no_stock(world: PointsWorld) -> None:
    activity = rewarding(world, None)
    assert world.step(world.opened(rows(2), activity)).status is Status.RESERVED


# --- Everybody at once ----------------------------------------------------


@dataclass
class Counting:
    """The log, and how many appends came too late."""

    log: EventLog
    conflicts: list[None] = field(default_factory=list)

    def append(self, append: Append) -> Receipt:
        try:
            return self.log.append(append)
        except Conflict:
            self.conflicts.append(None)
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)


def counting(bank: Bank) -> tuple[Bank, list[None]]:
    """A process of its own that counts its conflicts."""
    other = bank.another_process()
    counted = Counting(other.log)
    other.log = counted  # type: ignore[assignment]
    return other, counted.conflicts


def outcome(answers: Sequence[object]) -> tuple[int, int]:
    """How many got their award, and how many were told that there is none; nothing else is an answer."""
    won = [answer for answer in answers if isinstance(answer, Receipt)]
    out = [answer for answer in answers if codes(answer) == OUT]
    assert len(won) + len(out) == len(answers), [codes(a) for a in answers if not isinstance(a, Receipt)]
    return len(won), len(out)


@pytest.mark.parametrize("round_", range(4))
@pytest.mark.parametrize("processes", [1, 3])
def test_of_150_at_once_exactly_as_many_get_an_award_as_there_are(
    bank: Bank, processes: int, round_: int
) -> None:
    """ACT-10: stock 100: 100 succeed, 50 are told that it is out of stock; cancel 10, and 10 are free."""
    [stock] = ids(bank, running(bank, "100"))
    served = [counting(bank) for _ in range(processes)]
    calls = [
        partial(reserve, served[number % processes][0], stock, f"k{number}", by=(LIN, WU)[number % 2])
        for number in range(150)
    ]
    assert outcome(at_once(calls)) == (100, 50), round_
    assert amounts(bank, stock) == (0, 100, 0)
    if processes == 1:
        assert served[0][1] == [], "who waits for his turn does not decide in vain"
    held = [key for key, _ in stock_of(bank, stock).amounts.open.items()]
    at_once([partial(release, served[number % processes][0], stock, held[number]) for number in range(10)])
    assert amounts(bank, stock) == (10, 90, 0)
    more = [partial(reserve, served[number % processes][0], stock, f"m{number}") for number in range(15)]
    assert outcome(at_once(more)) == (10, 5)
    assert amounts(bank, stock) == (0, 100, 0)


def test_the_same_award_asked_for_by_many_at_once_is_one(bank: Bank) -> None:
    """ACT-10"""
    [stock] = ids(bank, running(bank, "100"))
    answers = at_once([partial(reserve, bank, stock, "a") for _ in range(20)])
    assert outcome(answers) == (20, 0)
    assert amounts(bank, stock) == (99, 1, 0)


def test_a_key_of_idempotency_answers_once(bank: Bank) -> None:
    """ACT-10"""
    [stock] = ids(bank, running(bank, "100"))
    request = {"key": "order 7", "turn": stock}
    award = Award("a", Decimal(3))
    answers = at_once(
        [lambda: bank.send(LIN, "reserveStock", request, stocks.reserve, stock, award) for _ in range(8)]
    )
    assert len(set(map(str, answers))) == 1
    with refused("key_reused"):
        bank.send(LIN, "reserveStock", request, stocks.reserve, stock, Award("b", Decimal(3)))
    assert amounts(bank, stock) == (97, 3, 0)
