"""Money: exact minor units in a known currency, or a fault."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shared.money import AMOUNT_MINOR_MAX, MINOR_DIGITS, Amount, Money, amount_faults, money
from domain.shared.refusal import CommonRefusal
from tests.given import PROPERTY

currencies = st.sampled_from(sorted(MINOR_DIGITS))


@pytest.mark.parametrize(
    ("typed", "currency", "amount_minor"),
    [
        ("0.01", "CNY", 1),
        ("1", "CNY", 100),
        ("250.5", "CNY", 25_050),
        ("1E+3", "CNY", 100_000),
        ("1.000", "CNY", 100),
        ("1", "JPY", 1),
        ("10000000000000", "CNY", AMOUNT_MINOR_MAX),
        ("1000000000000000", "JPY", AMOUNT_MINOR_MAX),
    ],
)
def test_an_amount_is_kept_in_minor_units(typed: str, currency: str, amount_minor: int) -> None:
    """PAR-18: figures equal the hand sum to the cent."""
    given_amount = Amount(Decimal(typed), currency)
    assert not list(amount_faults(given_amount))
    assert money(given_amount) == Money(amount_minor, currency)


@pytest.mark.parametrize(
    ("typed", "currency", "code", "field"),
    [
        ("0", "CNY", CommonRefusal.AMOUNT_NOT_POSITIVE, "amount"),
        ("-0.00", "CNY", CommonRefusal.AMOUNT_NOT_POSITIVE, "amount"),
        ("-1", "CNY", CommonRefusal.AMOUNT_NOT_POSITIVE, "amount"),
        ("0.001", "CNY", CommonRefusal.AMOUNT_TOO_PRECISE, "amount"),
        ("1.005", "CNY", CommonRefusal.AMOUNT_TOO_PRECISE, "amount"),
        ("0.5", "JPY", CommonRefusal.AMOUNT_TOO_PRECISE, "amount"),
        ("1E-999999", "CNY", CommonRefusal.AMOUNT_TOO_PRECISE, "amount"),
        ("1." + "0" * 40 + "1", "CNY", CommonRefusal.AMOUNT_TOO_PRECISE, "amount"),
        ("10000000000000.01", "CNY", CommonRefusal.AMOUNT_TOO_LARGE, "amount"),
        ("1000000000000001", "JPY", CommonRefusal.AMOUNT_TOO_LARGE, "amount"),
        ("1E+999999", "CNY", CommonRefusal.AMOUNT_TOO_LARGE, "amount"),
        ("NaN", "CNY", CommonRefusal.AMOUNT_NOT_FINITE, "amount"),
        ("sNaN", "CNY", CommonRefusal.AMOUNT_NOT_FINITE, "amount"),
        ("-Infinity", "CNY", CommonRefusal.AMOUNT_NOT_FINITE, "amount"),
        ("1", "XXX", CommonRefusal.UNKNOWN_CURRENCY, "currency"),
        ("1", "cny", CommonRefusal.UNKNOWN_CURRENCY, "currency"),
        ("1.005", "", CommonRefusal.UNKNOWN_CURRENCY, "currency"),
    ],
)
def test_what_is_no_sum_of_money_has_one_fault(
    typed: str, currency: str, code: CommonRefusal, field: str
) -> None:
    [fault] = amount_faults(Amount(Decimal(typed), currency), "budget")
    assert (fault.code, fault.path) == (code, ("budget", field))


def test_both_fields_can_be_wrong_at_once() -> None:
    faults = amount_faults(Amount(Decimal(-1), "XXX"), "cost_lines", 2)
    assert [(fault.code, fault.path) for fault in faults] == [
        (CommonRefusal.UNKNOWN_CURRENCY, ("cost_lines", 2, "currency")),
        (CommonRefusal.AMOUNT_NOT_POSITIVE, ("cost_lines", 2, "amount")),
    ]


@PROPERTY
@given(st.decimals(allow_nan=True, allow_infinity=True), currencies)
def test_an_accepted_amount_is_positive_bounded_and_exactly_what_was_typed(
    typed: Decimal, currency: str
) -> None:
    """PAR-18: nothing is ever rounded, and no amount is negative."""
    given_amount = Amount(typed, currency)
    if not list(amount_faults(given_amount)):
        kept = money(given_amount)
        assert 0 < kept.amount_minor <= AMOUNT_MINOR_MAX
        assert Decimal(kept.amount_minor).scaleb(-MINOR_DIGITS[currency]) == typed


@PROPERTY
@given(st.integers(1, AMOUNT_MINOR_MAX), currencies)
def test_every_whole_number_of_minor_units_can_be_typed(amount_minor: int, currency: str) -> None:
    typed = Amount(Decimal(amount_minor).scaleb(-MINOR_DIGITS[currency]), currency)
    assert not list(amount_faults(typed))
    assert money(typed) == Money(amount_minor, currency)
