"""The budget's row and its movements say what the budget itself says, whatever happens to it."""

import random
from dataclasses import replace
from datetime import timedelta

from domain.budgets import (
    DECIDER,
    Budget,
    Close,
    Commit,
    Confirm,
    Encumber,
    Expire,
    Refund,
    Release,
    Reserve,
)
from domain.shared.money import Money
from domain.shared.refusal import Refused
from projections.budgets import BUDGETS, movement
from tests.projections.folding import MORNING, History, id_of, row_of

ENCUMBER = Encumber(id_of("spring"), "HO", "SPRING-26", Money(10_000, "CNY"))


def test_the_row_agrees_with_the_budget_after_every_event() -> None:
    """BUD-02, BUD-06: replay yields the same balance."""
    chance = random.Random(3)
    history, state, now = History(), Budget(), MORNING
    for number in range(400):
        now += timedelta(minutes=chance.randrange(10))
        key, amount = f"k{chance.randrange(30)}", Money(chance.randrange(1, 900), "CNY")
        command = chance.choice(
            [
                replace(ENCUMBER, total=Money(chance.randrange(5_000, 20_000), "CNY")),
                *[Reserve(key, amount, now + timedelta(hours=1), id_of("job"), now)] * 4,
                *[Commit(key, amount), Confirm(key), Release(key), Expire(now)] * 2,
                Refund(key, "r", amount),
                *([Close()] if number > 350 else []),
            ]
        )
        try:
            events = DECIDER.decide(command if state.is_known else ENCUMBER, state)
        except Refused:
            continue
        state = DECIDER.fold(events, state)
        history.happens("budget", "budget", *events)
        row = row_of(BUDGETS, history, "budget")
        amounts = state.amounts
        assert (row.total_minor, row.free_minor) == (amounts.total, amounts.free)
        assert (row.reserved_minor, row.consumed_minor) == (amounts.reserved, amounts.consumed)
        assert row.reservations == len(amounts.open)
        assert (row.status == "closed") == amounts.is_closed
        assert row.threshold_percent == max(state.told, default=0)
    kinds = {row.kind for record in history.records if (row := movement(record)) is not None}
    assert kinds == {"encumbered", "reserved", "consumed", "released", "expired", "refunded", "returned"}
