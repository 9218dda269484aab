"""Stocks: what an activity may give is reserved, consumed or free; never is more given than there is."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain import budgets
from domain.points_job_statuses import Status as JobStatus
from domain.points_jobs import DECIDER as DECIDER_OF_JOBS
from domain.points_jobs import reservation_key
from domain.reward_details import Reward
from domain.shared.holdings import Cause, HoldingRefusal
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Refused
from domain.stocks import (
    DECIDER,
    HELD_FOR,
    HELD_FOR_MAX,
    LIMITS,
    CloseStock,
    ConfirmReservation,
    ConsumeStock,
    ExpireReservations,
    OpenStock,
    ReleaseStock,
    ReserveStock,
    ReturnStock,
    Stock,
    StockClosed,
    StockConfirmed,
    StockConsumed,
    StockOpened,
    StockRefusal,
    StockReleased,
    StockReserved,
    StockReturned,
    stock_ids,
)
from tests.domain.test_points_jobs import STATUSES
from tests.given import Given

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACTIVITY, JOB = UUID(int=1), UUID(int=2)
GIFT = Reference(UUID(int=3), 4)

OPEN = OpenStock(ACTIVITY, "HO", "SPRING", 0, GIFT, "piece", Decimal(100))
OPENED = StockOpened(ACTIVITY, "HO", "SPRING", 0, GIFT, "piece", Decimal(100))
RESERVED = StockReserved("a", Decimal(60), NOW + HOUR, "lin", None)
OF_JOB = StockReserved("j", Decimal(60), NOW + HOUR, "system:points", JOB)
CONSUMED = StockConsumed("a", Decimal(50), Decimal(10), None)
stock: Given[Any, Any] = Given(DECIDER)


def reserve(key: str, quantity: str | int, now: datetime = NOW, by: str = "lin") -> ReserveStock:
    return ReserveStock(key, Decimal(quantity), now + HOUR, by, now)


def test_an_approval_opens_the_stock_once_and_an_approval_anew_with_the_new_cap() -> None:
    """ACT-10"""
    stock.given().when(OPEN).then(OPENED)
    stock.given(OPENED).when(OPEN).then_nothing()
    less = replace(OPEN, total=Decimal("60.0"))
    stock.given(OPENED, RESERVED).when(less).then(replace(OPENED, total=Decimal(60)))
    committed = (StockRefusal.STOCK_COMMITTED, "rewards", 0, "cap_total")
    stock.given(OPENED, RESERVED).when(replace(OPEN, total=Decimal("59.9"))).then_refused(committed)


def test_what_is_not_there_is_out_of_stock() -> None:
    """ACT-10"""
    stock.given(OPENED).when(reserve("a", 60)).then(RESERVED)
    stock.given(OPENED, RESERVED).when(reserve("b", 40)).then(
        replace(RESERVED, key="b", quantity=Decimal(40))
    )
    [fault] = (
        stock.given(OPENED, RESERVED)
        .when(reserve("b", "40.5"))
        .then_refused((StockRefusal.OUT_OF_STOCK, "quantity"))
    )
    assert fault.values == {"needed": "40.5", "free": "40"}
    stock.given().when(reserve("a", 1)).then_refused((CommonRefusal.NOT_FOUND, "id"))


def test_an_award_is_reserved_once_and_by_nobody_else() -> None:
    """ACT-10: a name that two use would else be one award for both."""
    stock.given(OPENED, RESERVED).when(reserve("a", "60.0")).then_nothing()
    differs = HoldingRefusal.RESERVATION_DIFFERS
    stock.given(OPENED, RESERVED).when(reserve("a", 61)).then_refused(differs)
    stock.given(OPENED, RESERVED).when(reserve("a", 60, by="wu")).then_refused(differs)
    stock.given(OPENED, RESERVED, CONSUMED).when(reserve("a", 60)).then_refused(
        HoldingRefusal.RESERVATION_GONE
    )


def test_an_award_that_was_given_is_consumed_and_the_rest_is_free() -> None:
    """ACT-10"""
    given = stock.given(OPENED, RESERVED)
    given.when(ConsumeStock("a")).then(StockConsumed("a", Decimal(60), Decimal(0), None))
    given.when(ConsumeStock("a", Decimal(50))).then(CONSUMED)
    given.when(ConsumeStock("a", Decimal(61))).then_refused(HoldingRefusal.MORE_THAN_RESERVED)
    given.when(ConsumeStock("b")).then_refused(HoldingRefusal.RESERVATION_GONE)
    done = stock.given(OPENED, RESERVED, CONSUMED)
    done.when(ConsumeStock("a")).then_nothing()
    done.when(ConsumeStock("a", Decimal(50))).then_nothing()
    done.when(ConsumeStock("a", Decimal(49))).then_refused(HoldingRefusal.RESERVATION_DIFFERS)


def test_an_award_that_is_not_given_is_free_again_once() -> None:
    """ACT-10: cancel ten, ten are available."""
    released = StockReleased("a", Decimal(60), Cause.RELEASED, None)
    stock.given(OPENED, RESERVED).when(ReleaseStock("a")).then(released)
    gone = HoldingRefusal.RESERVATION_GONE
    stock.given(OPENED, RESERVED, released).when(ReleaseStock("a")).then_refused(gone)
    stock.given(OPENED, RESERVED).when(ReleaseStock("slip of the pen")).then_refused(gone)
    of_job = StockReleased("j", Decimal(60), Cause.RELEASED, JOB)
    stock.given(OPENED, OF_JOB, of_job).when(ReleaseStock("j", JOB)).then_nothing()
    stock.given(OPENED, RESERVED, CONSUMED).when(ReleaseStock("a")).then_refused(
        HoldingRefusal.RESERVATION_GONE
    )


def test_what_came_back_of_an_award_is_free_and_no_more_than_was_given() -> None:
    """ACT-10"""
    given = stock.given(OPENED, RESERVED, CONSUMED)
    returned = StockReturned("a", "r1", Decimal(30), None)
    given.when(ReturnStock("a", "r1", Decimal(30))).then(returned)
    again = stock.given(OPENED, RESERVED, CONSUMED, returned)
    again.when(ReturnStock("a", "r1", Decimal(30))).then_nothing()
    again.when(ReturnStock("a", "r1", Decimal(29))).then_refused(HoldingRefusal.RESERVATION_DIFFERS)
    again.when(ReturnStock("a", "r2", Decimal(21))).then_refused(HoldingRefusal.MORE_THAN_CONSUMED)
    stock.given(OPENED, RESERVED).when(ReturnStock("a", "r", Decimal(1))).then_refused(
        HoldingRefusal.RESERVATION_GONE
    )


@pytest.mark.parametrize("command", [ConsumeStock("j"), ReleaseStock("j"), ReturnStock("j", "r", Decimal(1))])
def test_what_a_job_has_reserved_is_not_to_be_had_from_outside(command: Any) -> None:
    """ACT-10: else the job could not be settled."""
    stock.given(OPENED, OF_JOB).when(command).then_refused(HoldingRefusal.RESERVATION_GONE)
    done = StockConsumed("j", Decimal(60), Decimal(0), JOB)
    stock.given(OPENED, OF_JOB, done).when(command).then_refused(HoldingRefusal.RESERVATION_GONE)


def test_no_award_from_outside_takes_the_name_of_a_job_s_reservation() -> None:
    """ACT-10: the job could neither reserve nor, when its own has expired, be withdrawn."""
    key = reservation_key(replace(DECIDER_OF_JOBS.fold(STATUSES[JobStatus.OPENED]), attempt=12))
    stock.given(OPENED).when(reserve(key, 1)).then_refused((StockRefusal.KEY_OF_JOBS, "key"))
    stock.given(OPENED).when(reserve("order:12", 1)).then(
        StockReserved("order:12", Decimal(1), NOW + HOUR, "lin", None)
    )


def test_as_many_reversals_find_room_in_the_stock_as_in_the_budget() -> None:
    """ACT-10, BUD-04: else the points of a job could not all be taken back that have a cap."""
    assert LIMITS.refunds == budgets.LIMITS.refunds
    returned = [StockReturned("a", f"r{n}", Decimal("0.001"), None) for n in range(LIMITS.refunds)]
    full = stock.given(OPENED, RESERVED, CONSUMED, *returned)
    full.when(ReturnStock("a", "one more", Decimal(1))).then_refused(HoldingRefusal.TOO_MANY_REFUNDS)
    room = stock.given(OPENED, RESERVED, CONSUMED, *returned[1:])
    room.when(ReturnStock("a", "one more", Decimal(1))).then(StockReturned("a", "one more", Decimal(1), None))


def test_an_expired_reservation_is_free_again_unless_it_was_confirmed() -> None:
    """ACT-10"""
    expired = StockReleased("j", Decimal(60), Cause.EXPIRED, JOB)
    stock.given(OPENED, OF_JOB).when(ExpireReservations(NOW)).then_nothing()
    stock.given(OPENED, OF_JOB).when(ExpireReservations(NOW + HOUR)).then(expired)
    later = reserve("b", 70, NOW + HOUR)
    stock.given(OPENED, OF_JOB).when(later).then(
        expired, StockReserved("b", Decimal(70), NOW + 2 * HOUR, "lin", None)
    )
    confirmed = StockConfirmed("j", Decimal(60), JOB)
    stock.given(OPENED, OF_JOB).when(ConfirmReservation("j")).then(confirmed)
    kept = stock.given(OPENED, OF_JOB, confirmed)
    kept.when(ConfirmReservation("j")).then_nothing()
    kept.when(ExpireReservations(NOW + HOUR)).then_nothing()
    kept.when(later).then_refused((StockRefusal.OUT_OF_STOCK, "quantity"))


@pytest.mark.parametrize(
    ("held_for", "is_sound"),
    [(timedelta(), False), (timedelta(seconds=1), True), (HELD_FOR_MAX, True),
     (HELD_FOR_MAX + timedelta(seconds=1), False)],
)  # fmt: skip
def test_a_reservation_ends_and_not_too_late(held_for: timedelta, is_sound: bool) -> None:
    command = replace(reserve("a", 1), expires_at=NOW + held_for)
    if is_sound:
        stock.given(OPENED).when(command).then(StockReserved("a", Decimal(1), NOW + held_for, "lin", None))
    else:
        stock.given(OPENED).when(command).then_refused((StockRefusal.BAD_EXPIRY, "expires_at"))


def test_a_reservation_that_says_no_end_is_held_for_a_day() -> None:
    command = replace(reserve("a", 1), expires_at=None)
    stock.given(OPENED).when(command).then(StockReserved("a", Decimal(1), NOW + HELD_FOR, "lin", None))


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity", "0.0000001", "1000000000000"])
def test_a_quantity_is_a_positive_number_of_six_digits_after_the_point(quantity: str) -> None:
    stock.given(OPENED).when(reserve("a", quantity)).then_refused((StockRefusal.BAD_QUANTITY, "quantity"))


def test_an_award_has_a_name_that_is_no_card_number() -> None:
    stock.given(OPENED).when(reserve(" ", 1)).then_refused((CommonRefusal.REQUIRED, "key"))
    stock.given(OPENED).when(reserve("x" * 101, 1)).then_refused((CommonRefusal.TOO_LONG, "key"))
    card = reserve("6225881234561234", 1)
    faults = stock.given(OPENED).when(reserve("4111111111111111", 1))
    faults.then_refused((CommonRefusal.CARD_NUMBER_IN_TEXT, "key"))
    stock.given(OPENED).when(replace(card, key="4111111111111111", reference=JOB)).then(
        StockReserved("4111111111111111", Decimal(1), NOW + HOUR, "lin", JOB)
    )


def test_a_closed_stock_gives_nothing_more_and_what_becomes_free_is_gone() -> None:
    """ACT-10"""
    closed = StockClosed(Decimal(40))
    stock.given(OPENED, RESERVED).when(CloseStock()).then(closed)
    stock.given(OPENED, RESERVED, closed).when(CloseStock()).then_nothing()
    stock.given(OPENED, closed).when(reserve("b", 1)).then_refused(StockRefusal.STOCK_CLOSED)
    amounts = DECIDER.fold([OPENED, RESERVED, closed, CONSUMED]).amounts
    assert (amounts.total, amounts.free, amounts.reserved) == (50_000_000, 0, 0)


def test_a_stock_holds_a_bounded_number_of_reservations() -> None:
    opened = replace(OPENED, total=Decimal(10**6))
    reserved = (replace(RESERVED, key=f"k{number}", quantity=Decimal(1)) for number in range(LIMITS.open))
    full = DECIDER.fold([opened, *reserved])
    with pytest.raises(Refused) as refused:
        DECIDER.decide(reserve("more", 1), full)
    assert refused.value.faults[0].code is HoldingRefusal.TOO_MANY_RESERVATIONS


def test_a_line_keeps_its_stock_when_lines_of_other_types_come_and_go() -> None:
    """ACT-10"""
    gift, coupon = Reward(GIFT, "1"), Reward(Reference(UUID(int=9), 1), "5")
    first, second = stock_ids(ACTIVITY, [gift, gift])
    assert stock_ids(ACTIVITY, [coupon, gift, coupon, replace(gift, value="2")])[1::2] == (first, second)
    assert len({*stock_ids(ACTIVITY, [gift, gift, coupon]), *stock_ids(JOB, [gift])}) == 4


def agrees(state: Stock, total: int) -> bool:
    """The quantities are what reservations and awards say; none is below zero, and nothing is lost."""
    amounts = state.amounts
    return (
        amounts.free + amounts.reserved + amounts.consumed == total
        and amounts.reserved == sum(held.amount for _, held in amounts.open.items())
        and amounts.consumed
        == sum(each.amount - sum(each.refunds.values()) for _, each in amounts.used.items())
        and min(amounts.free, amounts.reserved, amounts.consumed) >= 0
        and (len(amounts.open), len(amounts.used))
        == (len([*amounts.open.items()]), len([*amounts.used.items()]))
    )


def test_no_operation_of_ten_thousand_loses_or_makes_anything() -> None:
    """ACT-10: total = free + reserved + consumed after each, none below zero."""
    chance = random.Random(11)
    operations = done = out_of_stock = 0
    while operations < 10_000:
        total = chance.randrange(1, 200)
        state = DECIDER.fold(DECIDER.decide(replace(OPEN, total=Decimal(total)), Stock()))
        now = NOW
        for _ in range(500):
            operations += 1
            now += timedelta(minutes=chance.randrange(10))
            key, quantity = f"k{chance.randrange(60)}", Decimal(chance.randrange(1, 40)) / 4
            command = chance.choice(
                [
                    *[replace(reserve(key, 1, now), quantity=quantity)] * 3,
                    ConfirmReservation(key),
                    ConsumeStock(key, chance.choice([None, quantity])),
                    ReleaseStock(key),
                    ExpireReservations(now),
                    ReturnStock(key, f"r{chance.randrange(3)}", quantity),
                ]
            )
            try:
                events = DECIDER.decide(command, state)
            except Refused as refused:
                out_of_stock += refused.faults[0].code is StockRefusal.OUT_OF_STOCK
                continue
            state, done = DECIDER.fold(events, state), done + len(events)
            assert agrees(state, total * 10**6)
    assert done > 3_000
    assert out_of_stock > 500
