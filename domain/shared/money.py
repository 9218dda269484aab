"""Money: integer minor units and an ISO 4217 currency. Never a float."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from domain.shared.refusal import CommonRefusal, Fault, Path

AMOUNT_MINOR_MAX = 10**15
MINOR_DIGITS = {"CNY": 2, "USD": 2, "EUR": 2, "GBP": 2, "HKD": 2, "MOP": 2, "SGD": 2, "JPY": 0, "KRW": 0}
"""Currencies that the card centre books in, with the digits after the point (ISO 4217, table A.1)."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of minor units (fen, cents) in one currency."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as a person typed it, not yet judged."""

    amount: Decimal
    currency: str


def money(given: Amount) -> Money:
    """The amount in minor units; assert that `amount_faults` found nothing."""
    return Money(int(given.amount.scaleb(MINOR_DIGITS[given.currency])), given.currency)


def amount_faults(given: Amount, *path: str | int) -> Iterator[Fault]:
    """Why the amount can't be a positive sum of money: at most one fault for each of its two fields."""
    at: Path = (*path, "amount")
    digits = MINOR_DIGITS.get(given.currency)
    if digits is None:
        known = ", ".join(MINOR_DIGITS)
        yield Fault(CommonRefusal.UNKNOWN_CURRENCY, (*path, "currency"), {"known": known})
    if not given.amount.is_finite():
        yield Fault(CommonRefusal.AMOUNT_NOT_FINITE, at)
    elif given.amount <= 0:
        yield Fault(CommonRefusal.AMOUNT_NOT_POSITIVE, at)
    elif given.amount.adjusted() > 16 or given.amount > Decimal(AMOUNT_MINOR_MAX).scaleb(-(digits or 0)):
        yield Fault(CommonRefusal.AMOUNT_TOO_LARGE, at)
    elif digits is not None and given.amount != round(given.amount, digits):
        yield Fault(CommonRefusal.AMOUNT_TOO_PRECISE, at, {"digits": str(digits)})
