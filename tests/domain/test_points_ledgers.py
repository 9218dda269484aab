"""Points ledgers: double entry, never overdrawn, each key once, the year's balance carried into the next."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from domain.points_ledgers import (
    DECIDER,
    FIRST_YEAR,
    KEYS_IN_BLOCK,
    POSTINGS_MAX,
    Account,
    CarryForward,
    CloseLedger,
    Holder,
    LedgerRefusal,
    Origin,
    PointsCarriedForward,
    PointsLedger,
    PointsLedgerClosed,
    PointsPosted,
    PointsReversed,
    Post,
    Reverse,
    Status,
    ledger_after,
    ledger_id,
    reversal_key,
    room_faults,
    signed_points,
    years_before,
)
from domain.shared.refusal import CommonRefusal
from tests.given import Given

HOLDER, ENTRY = Holder("CC", "C00000001"), UUID(int=2)
DAY = date(2026, 3, 1)
POST = Post(
    "k1", HOLDER, 2026, 500, Account.ISSUANCE, "622588********1234", "2026", DAY, "REWARD", "Spring",
    Origin.SEGMENTATION,
)  # fmt: skip
ledger: Given[Any, Any] = Given(DECIDER)


def posted(command: Post, *history: Any) -> PointsPosted:
    [event] = DECIDER.decide(command, DECIDER.fold(history))
    assert isinstance(event, PointsPosted)
    return event


EARNED = posted(POST)
USED = posted(replace(POST, posting_key="k2", points=-200, contra=Account.REDEMPTION), EARNED)


def test_each_posting_names_both_accounts_and_the_balance_after_it() -> None:
    """PTS-12"""
    assert (EARNED.debit, EARNED.credit, EARNED.points, EARNED.balance) == ("issuance", "customer", 500, 500)
    assert (USED.debit, USED.credit, USED.points, USED.balance) == ("customer", "redemption", 200, 300)
    assert [signed_points(event) for event in (EARNED, USED)] == [500, -200]
    assert (EARNED.card, EARNED.value_date) == ("622588********1234", DAY)


def test_a_posting_key_counts_once_for_ever() -> None:
    """PTS-10"""
    ledger.given(EARNED).when(POST).then_nothing()
    ledger.given(EARNED, USED).when(POST).then_nothing()


def test_the_customer_never_has_less_than_nothing() -> None:
    """PTS-12"""
    taken = replace(POST, posting_key="k3", points=-501)
    [fault] = ledger.given(EARNED).when(taken).then_refused((LedgerRefusal.OVERDRAWN, "points"))
    assert fault.values == {"balance": "500"}
    assert posted(replace(taken, points=-500), EARNED).balance == 0


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"points": 0}, (LedgerRefusal.ZERO_POINTS, "points")),
        ({"points": 10**9 + 1}, (CommonRefusal.OUT_OF_RANGE, "points")),
        ({"holder": Holder("CC", "a|b")}, (LedgerRefusal.BAD_POSTING, "customer")),
        ({"holder": Holder("CC", "4111111111111111")}, (LedgerRefusal.BAD_POSTING, "customer")),
        ({"holder": Holder("cc", "C1")}, (LedgerRefusal.BAD_POSTING, "programme")),
        ({"card": "6225881234561234"}, (LedgerRefusal.BAD_POSTING, "card")),
        ({"business_type": "reward"}, (LedgerRefusal.BAD_POSTING, "business_type")),
        ({"name": " "}, (CommonRefusal.REQUIRED, "name")),
        ({"contra": Account.CUSTOMER}, (LedgerRefusal.BAD_CONTRA, "contra")),
        ({"origin": Origin.GENERAL, "reason": " "}, (CommonRefusal.REQUIRED, "reason")),
        ({"reason": "4111111111111111"}, (CommonRefusal.CARD_NUMBER_IN_TEXT, "reason")),
        ({"year": FIRST_YEAR - 1}, (CommonRefusal.OUT_OF_RANGE, "year")),
    ],
)
def test_a_posting_that_is_not_sound_is_refused_where_it_is_wrong(change: dict[str, Any], fault: Any) -> None:
    """PTS-12"""
    ledger.given().when(replace(POST, **change)).then_refused(fault)


def reverse(**change: Any) -> Reverse:
    return replace(Reverse(ENTRY, EARNED, 2026, DAY, "wrong customer", "lin"), **change)


def test_a_reversal_posts_the_opposite_once_with_a_link() -> None:
    """PTS-12: reversal of +500 adds -500."""
    [event] = DECIDER.decide(reverse(), DECIDER.fold([EARNED]))
    assert isinstance(event, PointsReversed)
    assert (signed_points(event), event.balance, event.entry) == (-500, 0, ENTRY)
    assert (event.debit, event.credit, event.reversed_key) == (Account.CUSTOMER, Account.ISSUANCE, "k1")
    ledger.given(EARNED, event).when(reverse()).then_refused((LedgerRefusal.ALREADY_REVERSED, "id"))
    ledger.given(USED).when(reverse()).then_refused((LedgerRefusal.NO_SUCH_ENTRY, "id"))
    ledger.given(EARNED, USED).when(reverse()).then_refused((LedgerRefusal.OVERDRAWN, "points"))
    ledger.given(EARNED).when(reverse(reason="")).then_refused((CommonRefusal.REQUIRED, "reason"))


def test_an_entry_of_an_earlier_year_is_reversed_in_this_one_and_only_once() -> None:
    """PTS-12"""
    late = reverse(year=2027, opening=500, is_of_earlier_year=True)
    [event] = DECIDER.decide(late, PointsLedger())
    assert isinstance(event, PointsReversed)
    assert (event.balance, event.opening, event.year) == (0, 500, 2027)
    ledger.given().when(replace(late, is_reversed_elsewhere=True)).then_refused(
        (LedgerRefusal.ALREADY_REVERSED, "id")
    )
    assert event.posting_key == reversal_key("k1")


def test_a_year_ends_with_its_balance_carried_into_the_next() -> None:
    """PTS-12"""
    carried = PointsCarriedForward(300, 2027)
    ledger.given(EARNED, USED).when(CarryForward(2027)).then(carried)
    ledger.given(EARNED, USED, carried).when(CarryForward(2027)).then_nothing()
    ledger.given(EARNED, carried).when(replace(POST, posting_key="k9")).then_refused(
        LedgerRefusal.LEDGER_CLOSED
    )
    first = posted(replace(POST, year=2027, posting_key="k9", opening=300))
    assert (first.balance, first.opening) == (800, 300)


def test_an_empty_year_is_sealed_only_when_it_is_asked_for() -> None:
    ledger.given().when(CarryForward(2027)).then_nothing()
    sealed = PointsCarriedForward(0, 2027)
    ledger.given().when(CarryForward(2027, seals=True)).then(sealed)
    ledger.given(sealed).when(POST).then_refused(LedgerRefusal.LEDGER_CLOSED)


def test_nothing_is_posted_to_a_closed_ledger_nor_carried_out_of_it() -> None:
    """PTS-12"""
    closed = PointsLedgerClosed(500, "left", "lin")
    ledger.given(EARNED).when(CloseLedger("left", "lin")).then(closed)
    ledger.given(EARNED, closed).when(CloseLedger("left", "lin")).then_nothing()
    ledger.given(EARNED, closed).when(replace(POST, posting_key="k9")).then_refused(
        LedgerRefusal.LEDGER_CLOSED
    )
    ledger.given(EARNED, closed).when(CarryForward(2027)).then_refused(LedgerRefusal.LEDGER_CLOSED)
    ledger.given().when(CloseLedger("left", "lin")).then_refused((CommonRefusal.NOT_FOUND, "id"))


def test_a_year_holds_so_many_postings_and_every_key_is_known() -> None:
    state = PointsLedger()
    for number in range(POSTINGS_MAX):
        state = DECIDER.evolve(state, replace(EARNED, posting_key=f"k{number}", balance=number))
    assert all(state.has(f"k{number}") for number in range(POSTINGS_MAX))
    assert len(state.keys) == -(-POSTINGS_MAX // KEYS_IN_BLOCK)
    assert not state.has("k-1")
    assert DECIDER.decide(replace(POST, posting_key="k5"), state) == []
    assert [fault.code for fault in room_faults(state, 1)] == [LedgerRefusal.LEDGER_FULL]


@pytest.mark.parametrize(
    "history",
    [
        [EARNED],
        [EARNED, USED],
        [EARNED, PointsCarriedForward(500, 2027)],
        [EARNED, PointsLedgerClosed(500, "left", "lin")],
        [PointsCarriedForward(0, 2027)],
    ],
)
def test_the_last_event_alone_tells_all_that_a_bulk_asks(history: list[Any]) -> None:
    whole = DECIDER.fold(history)
    seen = ledger_after(history[-1], len(history))
    assert (seen.status, seen.balance) == (whole.status, whole.balance)
    assert seen.status is not Status.OPEN or seen.postings == whole.postings


def test_a_ledger_has_its_own_stream_for_each_customer_programme_and_year() -> None:
    ids = {ledger_id(Holder(p, c), y) for p in ("CC", "VIP") for c in ("C1", "C2") for y in (2026, 2027)}
    assert len(ids) == 8
    assert ledger_id(HOLDER, 2026) == UUID("d35ad9d7-84d8-5c05-b449-572fab4e75f8")
    assert list(years_before(2026)) == []
    assert list(years_before(2028)) == [2027, 2026]
    assert len(years_before(2099)) == 10
