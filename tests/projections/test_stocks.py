"""The stock's row and its movements say what the stock itself says, whatever happens to it."""

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain.shared.references import Reference
from domain.shared.refusal import Refused
from domain.stocks import (
    DECIDER,
    CloseStock,
    ConfirmReservation,
    ConsumeStock,
    ExpireReservations,
    OpenStock,
    ReleaseStock,
    ReserveStock,
    ReturnStock,
    Stock,
)
from projections.stocks import STOCKS, movement
from tests.projections.folding import MORNING, History, id_of, row_of

OPEN = OpenStock(id_of("spring"), "HO", "SPRING-26", 0, Reference(id_of("gift"), 1), "piece", Decimal(100))


def test_the_row_agrees_with_the_stock_after_every_event() -> None:
    """ACT-10: replay yields the same quantities."""
    chance = random.Random(5)
    history, state, now = History(), Stock(), MORNING
    for number in range(400):
        now += timedelta(minutes=chance.randrange(10))
        key, quantity = f"k{chance.randrange(30)}", Decimal(chance.randrange(1, 20)) / 2
        command = chance.choice(
            [
                replace(OPEN, total=Decimal(chance.randrange(50, 200))),
                *[ReserveStock(key, quantity, now + timedelta(hours=1), "lin", now)] * 4,
                *[ConsumeStock(key, quantity), ConfirmReservation(key), ReleaseStock(key)] * 2,
                *[ExpireReservations(now)] * 2,
                ReturnStock(key, "r", quantity),
                *([CloseStock()] if number > 350 else []),
            ]
        )
        try:
            events = DECIDER.decide(command if state.is_known else OPEN, state)
        except Refused:
            continue
        state = DECIDER.fold(events, state)
        history.happens("stock", "stock", *events)
        row, amounts = row_of(STOCKS, history, "stock"), state.amounts
        assert [int(each * 10**6) for each in (row.total, row.free, row.reserved, row.consumed)] == [
            amounts.total, amounts.free, amounts.reserved, amounts.consumed,
        ]  # fmt: skip
        assert row.reservations == len(amounts.open)
        assert (row.status == "closed") == amounts.is_closed
    kinds = {row.kind for record in history.records if (row := movement(record)) is not None}
    assert kinds == {
        "opened", "reserved", "confirmed", "consumed", "released", "expired", "returned", "closed",
    }  # fmt: skip
