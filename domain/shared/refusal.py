"""The one way the domain says no: every fault of a command at once, each with a code and a place.

A refusal is an expected answer, so it carries codes from closed lists that clients can switch on.
A broken invariant is not a refusal: it is an assertion.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Path = tuple[str | int, ...]
"""Where in the command the fault lies, outermost first: ("plan", "cost_lines", 0, "amount")."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `values` fill the placeholders of the message that people read."""

    code: StrEnum
    path: Path = ()
    values: Mapping[str, str] = field(default_factory=dict)

    def within(self, *outer: str | int) -> "Fault":
        return Fault(self.code, (*outer, *self.path), self.values)


class Refused(Exception):
    """A command was understood and declined; nothing was recorded."""

    def __init__(self, *faults: Fault) -> None:
        assert faults, "a refusal names at least one fault"
        super().__init__("; ".join(f"{fault.code} at {'.'.join(map(str, fault.path))}" for fault in faults))
        self.faults = faults

    @classmethod
    def because(cls, code: StrEnum, *path: str | int, **values: object) -> "Refused":
        return cls(Fault(code, path, {name: str(value) for name, value in values.items()}))


def refuse_any(faults: Iterable[Fault]) -> None:
    """Raise `Refused` with all the faults, if there are any."""
    found = tuple(faults)
    if found:
        raise Refused(*found)


class CommonRefusal(StrEnum):
    """Answers that every capability gives in the same words."""

    NOT_FOUND = "not_found"
    OTHER_UNITS = "other_units"
    REQUIRED = "required"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    DUPLICATE = "duplicate"
    BAD_CHARACTERS = "bad_characters"
    BAD_CODE = "bad_code"
    CODE_TAKEN = "code_taken"
    NAME_TAKEN = "name_taken"
    OUT_OF_RANGE = "out_of_range"
    END_NOT_AFTER_START = "end_not_after_start"
    AMOUNT_NOT_FINITE = "amount_not_finite"
    AMOUNT_NOT_POSITIVE = "amount_not_positive"
    AMOUNT_TOO_LARGE = "amount_too_large"
    AMOUNT_TOO_PRECISE = "amount_too_precise"
    UNKNOWN_CURRENCY = "unknown_currency"
    CURRENCY_MISMATCH = "currency_mismatch"
    CARD_NUMBER_IN_TEXT = "card_number_in_text"
    VERSION_CONFLICT = "version_conflict"
    KEY_REUSED = "key_reused"
    BAD_KEY = "bad_key"
