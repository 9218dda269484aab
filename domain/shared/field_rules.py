"""Field rules: the form that people fill in, defined as data, and what makes its values sound.

A value is text in the canonical form of its type, so that it means the same in every language and for ever.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from domain.shared.refusal import CommonRefusal, Fault
from domain.shared.text import name_faults, text_faults

FIELDS_MAX = 50
CHOICES_MAX = 100
LABEL_CHARACTERS_MAX = 80
VALUE_CHARACTERS_MAX = 500
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,6})?")


class FieldType(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field. `least` and `most` bound numbers and dates, inclusive; `choices` are those of CHOICE."""

    name: str
    label: str
    type: FieldType
    is_required: bool = False
    least: str | None = None
    most: str | None = None
    choices: tuple[str, ...] = ()


class FieldRefusal(StrEnum):
    BAD_FIELD_NAME = "bad_field_name"
    BAD_BOUND = "bad_bound"
    CHOICES_NEEDED = "choices_needed"
    UNKNOWN_FIELD = "unknown_field"
    BAD_VALUE = "bad_value"
    NOT_A_CHOICE = "not_a_choice"


def rule_faults(rules: Sequence[FieldRule], *path: str | int) -> Iterator[Fault]:
    """What is wrong with the definition of a form."""
    if len(rules) > FIELDS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, path, {"most": str(FIELDS_MAX)})
        return
    for index, rule in enumerate(rules):
        at = (*path, index)
        if not _NAME.fullmatch(rule.name):
            yield Fault(FieldRefusal.BAD_FIELD_NAME, (*at, "name"))
        elif rule.name in {other.name for other in rules[:index]}:
            yield Fault(CommonRefusal.DUPLICATE, (*at, "name"))
        yield from name_faults(rule.label, LABEL_CHARACTERS_MAX, *at, "label")
        yield from _bound_faults(rule, *at)
        if len(rule.choices) > CHOICES_MAX:
            yield Fault(CommonRefusal.TOO_MANY, (*at, "choices"), {"most": str(CHOICES_MAX)})
        elif (rule.type is FieldType.CHOICE) != bool(rule.choices):
            yield Fault(FieldRefusal.CHOICES_NEEDED, (*at, "choices"))
        elif len(set(rule.choices)) < len(rule.choices):
            yield Fault(CommonRefusal.DUPLICATE, (*at, "choices"))
        for number, choice in enumerate(rule.choices[:CHOICES_MAX]):
            yield from name_faults(choice, VALUE_CHARACTERS_MAX, *at, "choices", number)


def value_faults(rules: Sequence[FieldRule], values: Mapping[str, str], *path: str | int) -> Iterator[Fault]:
    """What is wrong with the values of a form; an empty value is none."""
    known = {rule.name: rule for rule in rules}
    for name in values.keys() - known.keys():
        yield Fault(FieldRefusal.UNKNOWN_FIELD, (*path, name), {"name": name})
    for name, rule in known.items():
        value = values.get(name, "")
        if not value:
            if rule.is_required:
                yield Fault(CommonRefusal.REQUIRED, (*path, name))
        elif rule.type is FieldType.TEXT:
            yield from text_faults(value, VALUE_CHARACTERS_MAX, *path, name)
        elif rule.type is FieldType.CHOICE:
            if value not in rule.choices:
                choices = {"choices": ", ".join(rule.choices)}
                yield Fault(FieldRefusal.NOT_A_CHOICE, (*path, name), choices)
        else:
            yield from _measured_faults(rule, value, *path, name)


def _measured_faults(rule: FieldRule, value: str, *path: str | int) -> Iterator[Fault]:
    measured = _measure(rule.type, value)
    if measured is None:
        yield Fault(FieldRefusal.BAD_VALUE, path, {"type": rule.type})
        return
    least = None if rule.least is None else _measure(rule.type, rule.least)
    most = None if rule.most is None else _measure(rule.type, rule.most)
    if (least is not None and measured < least) or (most is not None and measured > most):
        limits = {"least": rule.least or "…", "most": rule.most or "…"}
        yield Fault(CommonRefusal.OUT_OF_RANGE, path, limits)


def _bound_faults(rule: FieldRule, *path: str | int) -> Iterator[Fault]:
    bounded = rule.type in (FieldType.INTEGER, FieldType.DECIMAL, FieldType.DATE)
    for name, bound in (("least", rule.least), ("most", rule.most)):
        if bound is not None and (not bounded or _measure(rule.type, bound) is None):
            yield Fault(FieldRefusal.BAD_BOUND, (*path, name), {"type": rule.type})


def _measure(type_: FieldType, value: str) -> Decimal | None:
    """The value as a number that orders as the type does (dates as days); None when it has not the form."""
    try:
        match type_:
            case FieldType.INTEGER if _NUMBER.fullmatch(value) and "." not in value:
                return Decimal(value)
            case FieldType.DECIMAL if _NUMBER.fullmatch(value):
                return Decimal(value)
            case FieldType.DATE if len(value) == 10:
                return Decimal(date.fromisoformat(value).toordinal())
            case FieldType.BOOLEAN if value in ("true", "false"):
                return Decimal(value == "true")
    except (ValueError, InvalidOperation):
        pass
    return None
