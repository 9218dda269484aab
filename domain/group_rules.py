"""Rules of customer groups: conditions on what the warehouse knows of a customer, joined by AND, OR and NOT.

A condition on something that is not known of a customer does not hold, whatever the comparison; so its NOT
does. Only IS_KNOWN tells the two apart. Nobody's transactions count as none and add up to zero, and their
last one is not known.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from domain.shared.field_rules import FieldRefusal, FieldType
from domain.shared.money import MINOR_DIGITS
from domain.shared.refusal import CommonRefusal, Fault, Path
from domain.shared.text import name_faults

DEPTH_MAX = 8
NODES_MAX = 200
SET_MEMBERS_MAX = 1_000
VALUES_MAX = 5_000
AGGREGATES_MAX = 20
VALUE_CHARACTERS_MAX = 40
DAYS_MAX = 3_660
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,8})")
_AMOUNT = re.compile(r"-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,2})?")
_DATE = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}")


class Dimension(StrEnum):
    """What may be asked of a customer. AGE: the business date's year less the year of birth.

    The last three are aggregates over transactions: how many, the sum of their amounts in one currency, the
    booking date of the last one.
    """

    AGE = "age"
    GENDER = "gender"
    CITY = "city"
    LEVEL = "level"
    ORG_UNIT = "org_unit"
    IS_OVERDUE = "is_overdue"
    OPENED_ON = "opened_on"
    TRANSACTION_COUNT = "transaction_count"
    TRANSACTION_SUM = "transaction_sum"
    LAST_TRANSACTION_ON = "last_transaction_on"


TYPES: Mapping[Dimension, FieldType] = {
    Dimension.AGE: FieldType.INTEGER,
    Dimension.GENDER: FieldType.TEXT,
    Dimension.CITY: FieldType.TEXT,
    Dimension.LEVEL: FieldType.TEXT,
    Dimension.ORG_UNIT: FieldType.TEXT,
    Dimension.IS_OVERDUE: FieldType.BOOLEAN,
    Dimension.OPENED_ON: FieldType.DATE,
    Dimension.TRANSACTION_COUNT: FieldType.INTEGER,
    Dimension.TRANSACTION_SUM: FieldType.DECIMAL,
    Dimension.LAST_TRANSACTION_ON: FieldType.DATE,
}
AGGREGATES = frozenset(
    {Dimension.TRANSACTION_COUNT, Dimension.TRANSACTION_SUM, Dimension.LAST_TRANSACTION_ON}
)


class Comparison(StrEnum):
    """BETWEEN takes two values and both belong to the range. IS_KNOWN takes none."""

    EQUAL = "equal"
    NOT_EQUAL = "not_equal"
    LESS_THAN = "less_than"
    AT_MOST = "at_most"
    GREATER_THAN = "greater_than"
    AT_LEAST = "at_least"
    BETWEEN = "between"
    IN = "in"
    NOT_IN = "not_in"
    IS_KNOWN = "is_known"


SETS = frozenset({Comparison.IN, Comparison.NOT_IN})
_ORDERED = frozenset(Comparison)
COMPARISONS: Mapping[FieldType, frozenset[Comparison]] = {
    FieldType.INTEGER: _ORDERED,
    FieldType.DECIMAL: _ORDERED,
    FieldType.DATE: _ORDERED,
    FieldType.TEXT: frozenset({Comparison.EQUAL, Comparison.NOT_EQUAL, Comparison.IS_KNOWN}) | SETS,
    FieldType.BOOLEAN: frozenset({Comparison.EQUAL, Comparison.IS_KNOWN}),
}


@dataclass(frozen=True, slots=True)
class Window:
    """When transactions were booked: on the last `days` days before the business date, or from `starts_on` up
    to but not including `ends_on`; with none of these, in the data timeframe of the extraction.
    """

    days: int | None = None
    starts_on: date | None = None
    ends_on: date | None = None

    @property
    def is_of_extraction(self) -> bool:
        return self.days is None and self.starts_on is None and self.ends_on is None


@dataclass(frozen=True, slots=True)
class Transactions:
    """Which transactions an aggregate is made of; an empty filter lets all through."""

    window: Window = Window()
    category_in: tuple[str, ...] = ()
    channel_in: tuple[str, ...] = ()
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. Values are text: 25, 5000.00 (of the currency), 2026-03-01, true, 上海.

    `transactions` belong to aggregates and to nothing else.
    """

    dimension: Dimension
    comparison: Comparison
    values: tuple[str, ...] = ()
    transactions: Transactions | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One node: `all_of` and `any_of` join rules, `negated` turns one round, `condition` compares.

    A sound node has exactly one of the four; `rule_faults` judges it.
    """

    all_of: tuple["Rule", ...] | None = None
    any_of: tuple["Rule", ...] | None = None
    negated: "Rule | None" = None
    condition: Condition | None = None


class RuleRefusal(StrEnum):
    RULE_UNCLEAR = "rule_unclear"
    RULE_TOO_DEEP = "rule_too_deep"
    RULE_TOO_LARGE = "rule_too_large"
    COMPARISON_UNFIT = "comparison_unfit"
    VALUE_COUNT = "value_count"
    RANGE_REVERSED = "range_reversed"
    TRANSACTIONS_UNFIT = "transactions_unfit"
    WINDOW_UNCLEAR = "window_unclear"


# --- Rules ----------------------------------------------------------------


def rule_faults(rule: Rule, *path: str | int) -> Iterator[Fault]:
    """What is wrong with a rule, each fault at its node: (*path, "all_of", 1, "negated", "condition", …).

    A rule beyond the limits of depth or size is not looked into any further.
    """
    beyond = next(_size_faults(rule, path), None)
    if beyond is not None:
        yield beyond
        return
    for at, node in nodes(rule, path):
        parts = [
            part for part in (node.all_of, node.any_of, node.negated, node.condition) if part is not None
        ]
        if len(parts) != 1:
            yield Fault(RuleRefusal.RULE_UNCLEAR, at)
        for name, members in (("all_of", node.all_of), ("any_of", node.any_of)):
            if members == ():
                yield Fault(CommonRefusal.REQUIRED, (*at, name))
        if node.condition is not None:
            yield from _condition_faults(node.condition, (*at, "condition"))


def nodes(rule: Rule, path: Path = ()) -> Iterator[tuple[Path, Rule]]:
    """Every node with its path, each before what is below it."""
    waiting: list[tuple[Path, Rule]] = [(path, rule)]
    while waiting:
        at, node = waiting.pop()
        yield at, node
        below = [((*at, "all_of", index), one) for index, one in enumerate(node.all_of or ())]
        below += [((*at, "any_of", index), one) for index, one in enumerate(node.any_of or ())]
        below += [((*at, "negated"), node.negated)] if node.negated is not None else []
        waiting += reversed(below)


def conditions(rule: Rule) -> Iterator[Condition]:
    """Every condition of the rule, from left to right."""
    return (node.condition for _, node in nodes(rule) if node.condition is not None)


def value_of(condition: Condition, text: str) -> str | int | date | bool | None:
    """What a value stands for, amounts in minor units of the currency; None when it has not the form."""
    match TYPES[condition.dimension]:
        case FieldType.TEXT:
            return text
        case FieldType.INTEGER:
            return int(text) if _INTEGER.fullmatch(text) else None
        case FieldType.BOOLEAN:
            return {"true": True, "false": False}.get(text)
        case FieldType.DATE:
            return _date(text)
        case _:
            currency = condition.transactions.currency if condition.transactions else None
            return _minor(text, MINOR_DIGITS.get(currency or "", 2))


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _minor(text: str, digits: int) -> int | None:
    if not _AMOUNT.fullmatch(text):
        return None
    minor = Decimal(text).scaleb(digits)
    return int(minor) if minor == int(minor) else None


def _size_faults(rule: Rule, path: Path) -> Iterator[Fault]:
    """At most one fault is asked for, so a rule without end is not walked to its end."""
    values = aggregates = 0
    for count, (at, node) in enumerate(nodes(rule, path), 1):
        # Two steps of a path lead below AND and OR, one below NOT: names are what counts.
        if 1 + sum(step in ("all_of", "any_of", "negated") for step in at[len(path) :]) > DEPTH_MAX:
            yield Fault(RuleRefusal.RULE_TOO_DEEP, at, {"most": str(DEPTH_MAX)})
        if node.condition is not None:
            values += len(node.condition.values)
            if node.condition.transactions is not None:
                aggregates += 1
                chosen = node.condition.transactions
                values += len(chosen.category_in) + len(chosen.channel_in)
        for what, found, most in (
            ("nodes", count, NODES_MAX),
            ("values", values, VALUES_MAX),
            ("aggregates", aggregates, AGGREGATES_MAX),
        ):
            if found > most:
                yield Fault(RuleRefusal.RULE_TOO_LARGE, at, {"what": what, "most": str(most)})


def _condition_faults(condition: Condition, at: Path) -> Iterator[Fault]:
    type_ = TYPES[condition.dimension]
    if condition.comparison not in COMPARISONS[type_]:
        unfit = {"comparison": condition.comparison.name, "type": type_}
        yield Fault(RuleRefusal.COMPARISON_UNFIT, (*at, "comparison"), unfit)
    yield from _count_faults(condition, (*at, "values"))
    yield from _value_faults(condition, (*at, "values"))
    if condition.dimension not in AGGREGATES:
        if condition.transactions is not None:
            yield Fault(RuleRefusal.TRANSACTIONS_UNFIT, (*at, "transactions"))
    elif condition.transactions is None:
        yield Fault(CommonRefusal.REQUIRED, (*at, "transactions"))
    else:
        needs_currency = condition.dimension is Dimension.TRANSACTION_SUM
        yield from _transactions_faults(condition.transactions, needs_currency, (*at, "transactions"))


def _count_faults(condition: Condition, at: Path) -> Iterator[Fault]:
    match condition.comparison:
        case Comparison.IS_KNOWN:
            least = most = 0
        case Comparison.BETWEEN:
            least = most = 2
        case Comparison.IN | Comparison.NOT_IN:
            least, most = 1, SET_MEMBERS_MAX
        case _:
            least = most = 1
    if not least <= len(condition.values) <= most:
        yield Fault(RuleRefusal.VALUE_COUNT, at, {"least": str(least), "most": str(most)})


def _value_faults(condition: Condition, at: Path) -> Iterator[Fault]:
    type_, found = TYPES[condition.dimension], []
    for index, text in enumerate(condition.values[:SET_MEMBERS_MAX]):
        if type_ is FieldType.TEXT:
            yield from _word_faults(text, *at, index)
        elif (value := value_of(condition, text)) is None:
            yield Fault(FieldRefusal.BAD_VALUE, (*at, index), {"type": type_})
        else:
            found.append(value)
    if condition.comparison in SETS and len(set(condition.values)) < len(condition.values):
        yield Fault(CommonRefusal.DUPLICATE, at)
    if condition.comparison is Comparison.BETWEEN and len(found) == 2 and found[0] > found[1]:  # type: ignore[operator]
        yield Fault(RuleRefusal.RANGE_REVERSED, at)


def _transactions_faults(chosen: Transactions, needs_currency: bool, at: Path) -> Iterator[Fault]:
    yield from _window_faults(chosen.window, (*at, "window"))
    yield from _filter_faults(chosen.category_in, (*at, "category_in"))
    yield from _filter_faults(chosen.channel_in, (*at, "channel_in"))
    if chosen.currency is None:
        if needs_currency:
            yield Fault(CommonRefusal.REQUIRED, (*at, "currency"))
    elif chosen.currency not in MINOR_DIGITS:
        known = {"known": ", ".join(MINOR_DIGITS)}
        yield Fault(CommonRefusal.UNKNOWN_CURRENCY, (*at, "currency"), known)


def _window_faults(window: Window, at: Path) -> Iterator[Fault]:
    is_range = window.starts_on is not None and window.ends_on is not None
    has_bound = window.starts_on is not None or window.ends_on is not None
    if (window.days is not None and has_bound) or (has_bound and not is_range):
        yield Fault(RuleRefusal.WINDOW_UNCLEAR, at)
    elif window.days is not None and not 1 <= window.days <= DAYS_MAX:
        yield Fault(CommonRefusal.OUT_OF_RANGE, (*at, "days"), {"least": "1", "most": str(DAYS_MAX)})
    elif window.starts_on is not None and window.ends_on is not None and window.ends_on <= window.starts_on:
        yield Fault(CommonRefusal.END_NOT_AFTER_START, (*at, "ends_on"))


def _filter_faults(members: Sequence[str], at: Path) -> Iterator[Fault]:
    if len(members) > SET_MEMBERS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, at, {"most": str(SET_MEMBERS_MAX)})
    for index, member in enumerate(members[:SET_MEMBERS_MAX]):
        yield from _word_faults(member, *at, index)
    if len(set(members)) < len(members):
        yield Fault(CommonRefusal.DUPLICATE, at)


def _word_faults(text: str, *at: str | int) -> Iterator[Fault]:
    """A word is one line."""
    found = tuple(name_faults(text, VALUE_CHARACTERS_MAX, *at))
    if not found and not text.isprintable():
        found = (Fault(CommonRefusal.BAD_CHARACTERS, at),)
    yield from found
