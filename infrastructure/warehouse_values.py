"""Values of the user's files in the warehouse's own form, or the reason why the row is no good."""

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation

from domain.shared.money import AMOUNT_MINOR_MAX, MINOR_DIGITS
from domain.shared.text import holds_card_number

TEXT_CHARACTERS_MAX = 200
AMOUNT_DIGITS_MAX = 40
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class BadRow(Exception):
    """Why a row is rejected, in one word of a closed list."""


def amount_of(value: str, currency: str, is_decimal: bool) -> str:
    digits = MINOR_DIGITS.get(currency)
    if digits is None:
        raise BadRow("unknown_currency")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise BadRow("bad_amount") from None
    if not amount.is_finite() or len(value) > 40:
        raise BadRow("bad_amount")
    if amount.adjusted() > AMOUNT_DIGITS_MAX:
        raise BadRow("amount_out_of_range")  # 1e999999 times 100 is no number any more
    minor = amount.scaleb(digits) if is_decimal else amount
    if abs(minor) > AMOUNT_MINOR_MAX:
        raise BadRow("amount_out_of_range")
    if minor != minor.to_integral_value():
        raise BadRow("amount_too_precise")
    return str(int(minor))


def date_of(value: str, format_: str, is_required: bool) -> str:
    if not value and not is_required:
        return ""
    try:
        day = datetime.strptime(value, format_).date()  # noqa: DTZ007 - a date, no instant
    except ValueError:
        raise BadRow("bad_date") from None
    if not 1970 <= day.year <= 2200:
        raise BadRow("date_out_of_range")
    return day.isoformat()


def integer_of(value: str) -> str:
    if value and (not re.fullmatch(r"-?[0-9]{1,18}", value)):
        raise BadRow("bad_number")
    return value


def boolean_of(value: str) -> str:
    known = {
        "": "false",
        "0": "false",
        "false": "false",
        "n": "false",
        "1": "true",
        "true": "true",
        "y": "true",
    }
    if value.lower() not in known:
        raise BadRow("bad_boolean")
    return known[value.lower()]


def identifier_of(value: str, is_required: bool) -> str:
    if not value and not is_required:
        return ""
    if not _ID.fullmatch(value):
        raise BadRow("bad_identifier")
    if holds_card_number(value):
        raise BadRow("card_number")
    return value


def text_of(value: str) -> str:
    if len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
        raise BadRow("bad_text")
    if holds_card_number(value):
        raise BadRow("card_number")
    return value
