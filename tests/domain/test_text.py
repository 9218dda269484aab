"""What people may type: bounded, printable, never a card number."""

from collections.abc import Iterable
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shared.refusal import CommonRefusal, Fault
from domain.shared.text import (
    code_faults,
    holds_card_number,
    name_faults,
    text_faults,
    without_personal_numbers,
)
from tests.given import PROPERTY

TOO_LONG = CommonRefusal.TOO_LONG
BAD_CHARACTERS = CommonRefusal.BAD_CHARACTERS


def luhn_digit(digits: str) -> str:
    """The check digit, worked out from the right and by another road than the code under test."""
    total = 0
    for place, character in enumerate(reversed(digits)):
        doubled = int(character) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def codes(faults: Iterable[Fault]) -> list[StrEnum]:
    return [fault.code for fault in faults]


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "card4111111111111111.",
        "卡号378282246310005。",
        "4222222222222",
        "４１１１１１１１１１１１１１１１",
        "00004111111111111111",
        "41111111111111110000000",
        "1234 4111 1111 1111 1111 5678 9012",
        "sr_4111111111111111" + "0" * 16,
        "abc 4111111111111111 4111 1111 1111 1111",
        "41111111-1111-7111-8111-111111111112",
    ],
)
def test_a_card_number_is_found_in_any_dress(text: str) -> None:
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4111111111111112",
        "411111111111",
        "4111 1111 1111 / 1111",
        "0000000000000000",
        "2026-03-01 2026-04",
        "tel. 021-6789 0123",
        '{"id":"abcdef41-1111-7111-8111-110fffffffff"}',
        "sr_01a24111111111111111222222222222",
        "0af14111111111111111" + "2" * 44,
    ],
)
def test_other_numbers_are_no_card_numbers(text: str) -> None:
    assert not holds_card_number(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay 4111 1111 1111 1111 now", "pay * now"),
        ("手机13812345678。", "手机*。"),
        ("138-1234-5678/139 1234 5678", "*/*"),
        ("12812345678 and 138123456789", "12812345678 and 138123456789"),
        (
            "id abcdef41-1111-7111-8111-110fffffffff, 4222222222222",
            "id abcdef41-1111-7111-8111-110fffffffff, *",
        ),
        ("4111111111111112", "4111111111111112"),
        ("", ""),
    ],
)
def test_personal_numbers_are_left_out_of_what_is_shown(text: str, shown: str) -> None:
    """SEC-02"""
    assert without_personal_numbers(text, "*") == shown


@PROPERTY
@given(st.text("0123456789", min_size=12, max_size=18), st.sampled_from(["", "-", " "]))
def test_every_number_that_passes_the_check_is_found(body: str, separator: str) -> None:
    number = body + luhn_digit(body)
    if set(number) != {"0"}:
        assert holds_card_number(f"pay {separator.join(number)} now")


@PROPERTY
@given(st.text("0123456789", min_size=12, max_size=15), st.integers(1, 9))
def test_a_number_with_a_wrong_check_digit_is_not_taken_for_a_card(body: str, shift: int) -> None:
    """The check finds every single wrong digit, so serial numbers are refused one time in ten, not always."""
    wrong = str((int(luhn_digit(body)) + shift) % 10)
    assert not holds_card_number(body + wrong)


@pytest.mark.parametrize(
    "text",
    [
        "a\x00b",
        "a\x0bb",
        "a\rb",
        "a\x1b[31mb",
        "a\x7fb",
        "a\x85b",
        "a\u202eb",
        "a\u202ab",
        "a\u2066b",
        "a\u2069b",
        "a\ud800b",
    ],
)
def test_control_and_direction_characters_are_refused(text: str) -> None:
    """A name must not turn itself round on an approver's screen, nor break a file or a terminal."""
    assert list(text_faults(text, 10, "name")) == [Fault(BAD_CHARACTERS, ("name",))]


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "春节 满减", "café", "𠮷野家", "👩‍👩‍👧", "a\u00a0b"])
def test_what_people_write_is_accepted(text: str) -> None:
    assert not list(text_faults(text, 10))


def test_text_may_be_as_long_as_its_limit_and_no_longer() -> None:
    assert not list(text_faults("字" * 10, 10))
    assert list(text_faults("字" * 11, 10, "x", 3)) == [Fault(TOO_LONG, ("x", 3), {"most": "10"})]


def test_all_that_is_wrong_with_a_text_is_said_at_once() -> None:
    assert codes(text_faults("\x004111111111111111", 10)) == [
        TOO_LONG,
        BAD_CHARACTERS,
        CommonRefusal.CARD_NUMBER_IN_TEXT,
    ]


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u3000"])
def test_a_name_must_be_there(name: str) -> None:
    """ACT-01: each missing mandatory field yields one fault."""
    assert list(name_faults(name, 10, "name")) == [Fault(CommonRefusal.REQUIRED, ("name",))]


def test_text_may_be_empty() -> None:
    assert not list(text_faults("", 10))


@pytest.mark.parametrize("code", ["A", "0", "SPRING_26-B", "X" * 32])
def test_a_code_is_capital_letters_digits_hyphen_and_underscore(code: str) -> None:
    assert not list(code_faults(code, "code"))


@pytest.mark.parametrize("code", ["a", "-A", "_A", "A B", "A\n", "Ä", "Ａ", "１", "X" * 33, "\ud800"])
def test_anything_else_is_no_code(code: str) -> None:
    assert list(code_faults(code, "code")) == [Fault(CommonRefusal.BAD_CODE, ("code",))]


def test_a_code_is_no_card_number_and_not_empty() -> None:
    assert codes(code_faults("4111111111111111")) == [CommonRefusal.CARD_NUMBER_IN_TEXT]
    assert codes(code_faults("4111-1111-1111-1111")) == [CommonRefusal.CARD_NUMBER_IN_TEXT]
    assert codes(code_faults("")) == [CommonRefusal.REQUIRED]
