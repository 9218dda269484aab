"""What people may type: bounded, printable, and never a card number."""

import re
from collections.abc import Iterator

from domain.shared.refusal import CommonRefusal, Fault, Path

CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,31}")
_DIGIT_RUN = re.compile(r"\d(?:[ -]?\d){12,}")
_MOBILE = re.compile(r"(?<![0-9A-Fa-f])1[3-9]\d(?:[ -]?\d{4}){2}(?![0-9A-Fa-f])")
_ELEVEN_DIGITS = re.compile(r"\d(?:[ -]?\d){10}")
_MADE_BY_MACHINES = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9-]*[a-f])(?:[0-9a-f]{32}|[0-9a-f]{64}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})(?![0-9A-Za-z])"
)
"""Ids and checksums: one in some hundreds holds digits that pass for a card number by chance."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def name_faults(name: str, characters_max: int, *path: str | int) -> Iterator[Fault]:
    """A name or reason that must be there."""
    if not name.strip():
        yield Fault(CommonRefusal.REQUIRED, path)
    else:
        yield from text_faults(name, characters_max, *path)


def text_faults(text: str, characters_max: int, *path: str | int) -> Iterator[Fault]:
    """Free text that may be empty."""
    if len(text) > characters_max:
        yield Fault(CommonRefusal.TOO_LONG, path, {"most": str(characters_max)})
    if _CONTROL.search(text):
        yield Fault(CommonRefusal.BAD_CHARACTERS, path)
    if holds_card_number(text):
        yield Fault(CommonRefusal.CARD_NUMBER_IN_TEXT, path)


def code_faults(code: str, *path: str | int) -> Iterator[Fault]:
    """A code: 1 to 32 of A-Z, 0-9, `_` and `-`, beginning with a letter or digit."""
    at: Path = path
    if not code:
        yield Fault(CommonRefusal.REQUIRED, at)
    elif not CODE.fullmatch(code):
        yield Fault(CommonRefusal.BAD_CODE, at)
    elif holds_card_number(code):
        yield Fault(CommonRefusal.CARD_NUMBER_IN_TEXT, at)


def holds_card_number(text: str) -> bool:
    """Whether the text holds 13 to 19 adjoining digits that pass the Luhn check.

    Spaces and hyphens between digits do not part them; full-width digits count. In a longer run, and in
    one of 17 to 19, every 16 digits in a row are tried too, for most cards have 16. Within a UUID or
    a checksum, which holds letters too, there is none.
    Source: ISO/IEC 7812-1, annex B.
    """
    for run in _DIGIT_RUN.finditer(_MADE_BY_MACHINES.sub("id", text)):
        digits = [int(character) for character in run.group() if character.isdigit()]
        if len(digits) <= 19 and _luhn(digits):
            return True
        if any(_luhn(digits[start : start + 16]) for start in range(len(digits) - 15)):
            return True
    return False


def without_personal_numbers(text: str, instead: str) -> str:
    """The text with `instead` in place of card numbers, as above, and of Chinese mobile numbers: 1, 3 to 9,
    and nine more digits, in groups or not.
    """
    if _ELEVEN_DIGITS.search(text) is None:
        return text
    shown, begin = "", 0
    for own in _MADE_BY_MACHINES.finditer(text):
        shown += _hidden(text[begin : own.start()], instead) + own.group()
        begin = own.end()
    return shown + _hidden(text[begin:], instead)


def _hidden(text: str, instead: str) -> str:
    def shown(run: re.Match[str]) -> str:
        return instead if holds_card_number(run.group()) else run.group()

    return _MOBILE.sub(instead, _DIGIT_RUN.sub(shown, text))


def _luhn(digits: list[int]) -> bool:
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return total % 10 == 0 and any(digits)
