"""Claims: one text has one owner at a time."""

from typing import get_args
from uuid import UUID

import pytest

from domain.shared.claims import (
    DECIDER,
    Claim,
    Command,
    Holding,
    Release,
    TextClaimed,
    TextReleased,
    claim_id,
)
from tests.given import Given, all_pairs, grid, outcome

claim = Given(DECIDER)

LIN, WU = UUID(int=1), UUID(int=2)

HISTORIES = {
    "free": [],
    "held": [TextClaimed(LIN)],
    "held_by_other": [TextClaimed(WU)],
    "released": [TextClaimed(WU), TextReleased(WU)],
}
COMMANDS = {Claim: Claim(LIN), Release: Release(LIN)}
ANSWERS = grid("""
            free            held            held_by_other   released
Claim       TextClaimed     nothing         defect          TextClaimed
Release     nothing         TextReleased    nothing         nothing
""")


@pytest.mark.parametrize(("command", "status"), ANSWERS, ids=str)
def test_every_claim_has_its_answer(command: str, status: str) -> None:
    """PAR-02: two takers of one code or name never both get it; a repeat changes nothing."""
    [given] = [example for type_, example in COMMANDS.items() if type_.__name__ == command]
    assert outcome(DECIDER, HISTORIES[status], given) == ANSWERS[command, status]


def test_the_grid_of_claims_is_whole() -> None:
    assert set(COMMANDS) == set(get_args(Command))
    assert set(ANSWERS) == all_pairs(HISTORIES, COMMANDS)


def test_a_released_text_can_be_taken_by_another() -> None:
    """PAR-04: the code of what was deleted is free again."""
    claim.given(TextClaimed(LIN), TextReleased(LIN)).when(Claim(WU)).then(TextClaimed(WU))


def test_nobody_releases_what_another_holds() -> None:
    claim.given(TextClaimed(WU)).when(Release(LIN)).then_nothing()


def test_a_text_is_free_for_its_owner_and_for_nobody_else() -> None:
    held = DECIDER.fold([TextClaimed(LIN)])
    assert (held.is_free_for(LIN), held.is_free_for(WU)) == (True, False)
    assert Holding().is_free_for(WU)


def test_the_id_of_a_claim_is_the_same_for_ever() -> None:
    """Stored streams are found by this id: a change would free every code that is taken."""
    assert claim_id("cost_type.code", "SMS") == UUID("25f1560a-1b7c-5576-8b53-e5b90166899b")


def test_a_claim_is_told_apart_by_scope_and_text() -> None:
    ids = {
        claim_id(scope, text)
        for scope in ("cost_type.code", "activity_type.code", "cost_type.name.root")
        for text in ("SMS", "sms", "SMS ", "")
    }
    assert len(ids) == 12
