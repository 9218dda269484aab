"""Budgets: reserved before, consumed after, released on failure; the four amounts agree at every moment."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.budgets import (
    DECIDER,
    LIMITS,
    Budget,
    BudgetClosed,
    BudgetConsumed,
    BudgetEncumbered,
    BudgetRefunded,
    BudgetRefusal,
    BudgetReserved,
    BudgetThresholdReached,
    Close,
    Commit,
    Confirm,
    Encumber,
    Expire,
    Refund,
    Release,
    ReservationConfirmed,
    ReservationReleased,
    Reserve,
)
from domain.shared.holdings import Cause, HoldingRefusal
from domain.shared.money import Money
from domain.shared.refusal import CommonRefusal, Refused
from tests.given import Given

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACTIVITY, JOB = UUID(int=1), UUID(int=2)


def cny(minor: int) -> Money:
    return Money(minor, "CNY")


ENCUMBER = Encumber(ACTIVITY, "HO", "SPRING", cny(1_000))
ENCUMBERED = BudgetEncumbered(ACTIVITY, "HO", "SPRING", cny(1_000))
RESERVED = BudgetReserved("a", cny(600), NOW + HOUR, JOB)
CONSUMED = BudgetConsumed("a", cny(500), cny(100), JOB)
budget: Given[Any, Any] = Given(DECIDER)


def reserve(key: str, minor: int, now: datetime = NOW, currency: str = "CNY") -> Reserve:
    return Reserve(key, Money(minor, currency), now + HOUR, JOB, now)


def test_an_approval_sets_the_budget_aside_once() -> None:
    """BUD-02, BUD-06"""
    budget.given().when(ENCUMBER).then(ENCUMBERED)
    budget.given(ENCUMBERED).when(ENCUMBER).then_nothing()


def test_an_approval_anew_sets_the_new_total_aside_but_not_less_than_is_used() -> None:
    """BUD-04"""
    more = replace(ENCUMBER, total=cny(2_000))
    budget.given(ENCUMBERED, RESERVED).when(more).then(BudgetEncumbered(ACTIVITY, "HO", "SPRING", cny(2_000)))
    less = replace(ENCUMBER, total=cny(599))
    budget.given(ENCUMBERED, RESERVED).when(less).then_refused((BudgetRefusal.BUDGET_COMMITTED, "budget"))
    dollars = replace(ENCUMBER, total=Money(2_000, "USD"))
    budget.given(ENCUMBERED, RESERVED).when(dollars).then_refused((CommonRefusal.CURRENCY_MISMATCH, "budget"))


def test_what_does_not_fit_is_not_reserved() -> None:
    """BUD-04"""
    budget.given(ENCUMBERED).when(reserve("a", 600)).then(RESERVED)
    budget.given(ENCUMBERED).when(reserve("a", 1_001)).then_refused(BudgetRefusal.BUDGET_TOO_SMALL)
    budget.given(ENCUMBERED, RESERVED).when(reserve("b", 401)).then_refused(BudgetRefusal.BUDGET_TOO_SMALL)
    budget.given(ENCUMBERED).when(reserve("a", 1, currency="USD")).then_refused(
        (CommonRefusal.CURRENCY_MISMATCH, "amount")
    )
    budget.given().when(reserve("a", 1)).then_refused((CommonRefusal.NOT_FOUND, "budget"))


def test_a_reservation_sent_again_is_the_same_and_with_another_amount_a_mistake() -> None:
    budget.given(ENCUMBERED, RESERVED).when(reserve("a", 600)).then_nothing()
    budget.given(ENCUMBERED, RESERVED).when(reserve("a", 601)).then_refused(
        HoldingRefusal.RESERVATION_DIFFERS
    )
    budget.given(ENCUMBERED, RESERVED, CONSUMED).when(reserve("a", 600)).then_refused(
        HoldingRefusal.RESERVATION_GONE
    )


def test_what_is_consumed_is_not_more_than_was_reserved_and_the_rest_is_free() -> None:
    """BUD-04"""
    history = (ENCUMBERED, RESERVED)
    budget.given(*history).when(Commit("a", cny(500))).then(CONSUMED)
    budget.given(*history, CONSUMED).when(Commit("a", cny(500))).then_nothing()
    budget.given(*history, CONSUMED).when(Commit("a", cny(400))).then_refused(
        HoldingRefusal.RESERVATION_DIFFERS
    )
    budget.given(*history).when(Commit("a", cny(601))).then_refused(HoldingRefusal.MORE_THAN_RESERVED)
    budget.given(*history).when(Commit("b", cny(1))).then_refused(HoldingRefusal.RESERVATION_GONE)


def test_an_expired_reservation_is_free_again_unless_it_was_confirmed() -> None:
    """BUD-04: a crash between reserve and commit leaks nothing."""
    expired = ReservationReleased("a", cny(600), Cause.EXPIRED, JOB)
    budget.given(ENCUMBERED, RESERVED).when(Expire(NOW)).then_nothing()
    budget.given(ENCUMBERED, RESERVED).when(Expire(NOW + HOUR)).then(expired)
    budget.given(ENCUMBERED, RESERVED, expired).when(Expire(NOW + HOUR)).then_nothing()
    budget.given(ENCUMBERED, RESERVED).when(Confirm("a")).then(ReservationConfirmed("a"))
    confirmed = budget.given(ENCUMBERED, RESERVED, ReservationConfirmed("a"))
    confirmed.when(Expire(NOW + HOUR)).then_nothing()
    confirmed.when(Confirm("a")).then_nothing()
    budget.given(ENCUMBERED, RESERVED, expired).when(Confirm("a")).then_refused(
        HoldingRefusal.RESERVATION_GONE
    )


def test_a_reservation_frees_what_has_expired_before_it_is_judged() -> None:
    """BUD-04"""
    later = NOW + HOUR
    budget.given(ENCUMBERED, RESERVED).when(reserve("b", 700, later)).then(
        ReservationReleased("a", cny(600), Cause.EXPIRED, JOB),
        BudgetReserved("b", cny(700), later + HOUR, JOB),
    )


def test_a_release_frees_the_reservation_once() -> None:
    """BUD-04"""
    released = ReservationReleased("a", cny(600), Cause.RELEASED, JOB)
    budget.given(ENCUMBERED, RESERVED).when(Release("a")).then(released)
    budget.given(ENCUMBERED, RESERVED, released).when(Release("a")).then_nothing()


def test_a_refund_is_no_more_than_was_consumed_and_each_name_counts_once() -> None:
    history = (ENCUMBERED, RESERVED, CONSUMED)
    refunded = BudgetRefunded("a", "r1", cny(300), JOB)
    budget.given(*history).when(Refund("a", "r1", cny(300))).then(refunded)
    budget.given(*history, refunded).when(Refund("a", "r1", cny(300))).then_nothing()
    budget.given(*history, refunded).when(Refund("a", "r2", cny(201))).then_refused(
        HoldingRefusal.MORE_THAN_CONSUMED
    )


@pytest.mark.parametrize(("minor", "told"), [(799, []), (800, [80]), (999, [80]), (1_000, [80, 100])])
def test_each_threshold_is_told_of_when_it_is_reached(minor: int, told: list[int]) -> None:
    """BUD-04"""
    state = DECIDER.fold([ENCUMBERED])
    events = DECIDER.decide(reserve("a", minor), state)
    assert [event.percent for event in events if isinstance(event, BudgetThresholdReached)] == told
    state = DECIDER.fold(events, state)
    again = DECIDER.fold([*DECIDER.decide(Release("a"), state)], state)
    repeated = DECIDER.decide(reserve("b", minor), again)
    assert not [event for event in repeated if isinstance(event, BudgetThresholdReached)]


def test_a_total_set_below_a_threshold_tells_of_it_at_once_and_once() -> None:
    """BUD-04: and a total that was raised tells again when it is reached again."""
    lowered = BudgetEncumbered(ACTIVITY, "HO", "SPRING", cny(700))
    told = BudgetThresholdReached(80, cny(600), cny(700))
    budget.given(ENCUMBERED, RESERVED).when(replace(ENCUMBER, total=cny(700))).then(lowered, told)
    exact = BudgetEncumbered(ACTIVITY, "HO", "SPRING", cny(600))
    both = [BudgetThresholdReached(percent, cny(600), cny(600)) for percent in (80, 100)]
    budget.given(ENCUMBERED, RESERVED).when(replace(ENCUMBER, total=cny(600))).then(exact, *both)
    budget.given(ENCUMBERED, RESERVED, lowered, told).when(Confirm("a")).then(ReservationConfirmed("a"))
    raised = BudgetEncumbered(ACTIVITY, "HO", "SPRING", cny(1_000))
    budget.given(ENCUMBERED, RESERVED, lowered, told, raised).when(reserve("b", 200)).then(
        BudgetReserved("b", cny(200), NOW + HOUR, JOB), BudgetThresholdReached(80, cny(800), cny(1_000))
    )


def test_a_closed_budget_gives_back_what_is_free_and_what_becomes_free() -> None:
    """BUD-04"""
    closed = BudgetClosed(cny(400))
    budget.given(ENCUMBERED, RESERVED).when(Close()).then(closed)
    budget.given(ENCUMBERED, RESERVED, closed).when(Close()).then_nothing()
    budget.given(ENCUMBERED, closed).when(reserve("b", 1)).then_refused(BudgetRefusal.BUDGET_CLOSED)
    state = DECIDER.fold([ENCUMBERED, RESERVED, closed, CONSUMED])
    amounts = state.amounts
    assert (amounts.total, amounts.free, amounts.reserved, amounts.consumed) == (500, 0, 0, 500)


def test_a_budget_holds_a_bounded_number_of_reservations() -> None:
    state = DECIDER.fold([BudgetEncumbered(ACTIVITY, "HO", "SPRING", cny(10**9))])
    for number in range(LIMITS.open):
        state = DECIDER.fold(DECIDER.decide(reserve(f"k{number}", 1), state), state)
    with pytest.raises(Refused) as refused:
        DECIDER.decide(reserve("more", 1), state)
    assert refused.value.faults[0].code is HoldingRefusal.TOO_MANY_RESERVATIONS


def agrees(state: Budget) -> bool:
    """The amounts are what the reservations and commitments say, and none is below zero."""
    amounts = state.amounts
    used = sum(each.amount - sum(each.refunds.values()) for _, each in amounts.used.items())
    return (
        amounts.total == amounts.free + amounts.reserved + amounts.consumed
        and amounts.reserved == sum(held.amount for _, held in amounts.open.items())
        and amounts.consumed == used
        and min(amounts.free, amounts.reserved, amounts.consumed) >= 0
    )


def test_no_operation_of_ten_thousand_leaks_anything() -> None:
    """BUD-02, BUD-04: total = free + reserved + consumed after each; at the end nothing stays reserved."""
    chance = random.Random(7)
    done = operations = 0
    while operations < 12_000:
        total = chance.randrange(1_000, 100_000)
        state = DECIDER.fold(DECIDER.decide(replace(ENCUMBER, total=cny(total)), Budget()))
        now = NOW
        for _ in range(600):
            operations += 1
            now += timedelta(minutes=chance.randrange(10))
            key, amount = f"k{chance.randrange(60)}", cny(chance.randrange(1, 5_000))
            command = chance.choice(
                [
                    reserve(key, amount.amount_minor, now),
                    reserve(key, amount.amount_minor, now),
                    Confirm(key),
                    Commit(key, amount),
                    Release(key),
                    Expire(now),
                    Refund(key, f"r{chance.randrange(3)}", amount),
                ]
            )
            try:
                events = DECIDER.decide(command, state)
            except Refused:
                continue
            state, done = DECIDER.fold(events, state), done + len(events)
            assert agrees(state)
            assert state.amounts.total == total
        for key, _ in [*state.amounts.open.items()]:
            state = DECIDER.fold(DECIDER.decide(Release(key), state), state)
        amounts = state.amounts
        assert (amounts.reserved, amounts.free + amounts.consumed) == (0, total)
    assert done > 3_000
