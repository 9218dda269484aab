"""Rules of customer groups: what a sound one is, and where each fault lies."""

from dataclasses import replace
from datetime import date

import pytest

from domain.group_rules import (
    AGGREGATES,
    AGGREGATES_MAX,
    COMPARISONS,
    DAYS_MAX,
    DEPTH_MAX,
    NODES_MAX,
    SET_MEMBERS_MAX,
    TYPES,
    VALUES_MAX,
    Comparison,
    Condition,
    Dimension,
    Rule,
    RuleRefusal,
    Transactions,
    Window,
    rule_faults,
    value_of,
)
from domain.shared.field_rules import FieldRefusal
from domain.shared.refusal import CommonRefusal

C, D = Comparison, Dimension
ADULT = Rule(condition=Condition(D.AGE, C.AT_LEAST, ("18",)))
SPENT = Condition(
    D.TRANSACTION_SUM, C.AT_LEAST, ("5000",), Transactions(Window(days=30), ("dining",), ("pos",), "CNY")
)
SOUND = Rule(
    all_of=(
        Rule(condition=Condition(D.AGE, C.BETWEEN, ("25", "40"))),
        Rule(condition=SPENT),
        Rule(negated=Rule(condition=Condition(D.IS_OVERDUE, C.EQUAL, ("true",)))),
    )
)


def found(rule: Rule) -> list[tuple[object, ...]]:
    return [(fault.code, *fault.path) for fault in rule_faults(rule, "rule")]


def fault_of(condition: Condition) -> list[tuple[object, ...]]:
    """The faults of a rule of one condition, from the condition on."""
    return [(code, *path[2:]) for code, *path in found(Rule(condition=condition))]


def test_a_rule_joins_conditions_by_and_or_and_not() -> None:
    """SEG-04"""
    assert found(SOUND) == []
    assert found(Rule(any_of=(SOUND, ADULT, Rule(negated=SOUND)))) == []


def test_every_fault_is_told_at_its_node() -> None:
    """SEG-04"""
    rule = Rule(
        any_of=(
            ADULT,
            Rule(negated=Rule(all_of=(ADULT, Rule(condition=Condition(D.AGE, C.EQUAL, ("young",)))))),
            Rule(),
            Rule(all_of=(), condition=ADULT.condition),
        )
    )
    bad = ("rule", "any_of", 1, "negated", "all_of", 1, "condition", "values", 0)
    assert found(rule) == [
        (FieldRefusal.BAD_VALUE, *bad),
        (RuleRefusal.RULE_UNCLEAR, "rule", "any_of", 2),
        (RuleRefusal.RULE_UNCLEAR, "rule", "any_of", 3),
        (CommonRefusal.REQUIRED, "rule", "any_of", 3, "all_of"),
    ]


def nested(depth: int) -> Rule:
    rule = ADULT
    for _ in range(depth - 1):
        rule = Rule(negated=rule)
    return rule


def test_a_rule_has_a_greatest_depth() -> None:
    """SEG-04"""
    assert found(nested(DEPTH_MAX)) == []
    below = ["negated"] * DEPTH_MAX
    assert found(nested(DEPTH_MAX + 1)) == [(RuleRefusal.RULE_TOO_DEEP, "rule", *below)]
    assert found(nested(20_000)) == [(RuleRefusal.RULE_TOO_DEEP, "rule", *below)]


def test_a_rule_has_a_greatest_size() -> None:
    """SEG-04: so many nodes, values and aggregates, wherever they stand."""
    assert found(Rule(all_of=(ADULT,) * (NODES_MAX - 1))) == []
    assert found(Rule(all_of=(ADULT,) * NODES_MAX)) == [
        (RuleRefusal.RULE_TOO_LARGE, "rule", "all_of", NODES_MAX - 1)
    ]
    cities = Rule(condition=Condition(D.CITY, C.IN, tuple(f"c{n}" for n in range(SET_MEMBERS_MAX))))
    full = VALUES_MAX // SET_MEMBERS_MAX
    assert found(Rule(any_of=(cities,) * full)) == []
    assert found(Rule(any_of=(*(cities,) * full, ADULT))) == [
        (RuleRefusal.RULE_TOO_LARGE, "rule", "any_of", full)
    ]
    spent = Rule(condition=SPENT)
    assert found(Rule(any_of=(spent,) * AGGREGATES_MAX)) == []
    assert found(Rule(any_of=(spent,) * (AGGREGATES_MAX + 1))) == [
        (RuleRefusal.RULE_TOO_LARGE, "rule", "any_of", AGGREGATES_MAX)
    ]


@pytest.mark.parametrize("dimension", D)
@pytest.mark.parametrize("comparison", C)
def test_a_dimension_takes_the_comparisons_of_its_type(dimension: Dimension, comparison: Comparison) -> None:
    """SEG-04"""
    some = {"text": "x", "integer": "7", "decimal": "7.50", "date": "2026-03-01", "boolean": "true"}
    count = {C.IS_KNOWN: 0, C.BETWEEN: 2}.get(comparison, 1)
    transactions = Transactions(currency="CNY") if dimension in AGGREGATES else None
    type_ = TYPES[dimension]
    answer = fault_of(Condition(dimension, comparison, (some[type_],) * count, transactions))
    fits = comparison in COMPARISONS[type_]
    assert answer == ([] if fits else [(RuleRefusal.COMPARISON_UNFIT, "comparison")])


@pytest.mark.parametrize(
    ("comparison", "count"), [(C.EQUAL, 0), (C.EQUAL, 2), (C.BETWEEN, 1), (C.IS_KNOWN, 1), (C.IN, 0)]
)
def test_a_comparison_takes_so_many_values(comparison: Comparison, count: int) -> None:
    assert fault_of(Condition(D.AGE, comparison, ("7",) * count)) == [(RuleRefusal.VALUE_COUNT, "values")]


def test_a_set_is_bounded_and_holds_each_value_once() -> None:
    """SEG-04"""
    many = tuple(str(number) for number in range(SET_MEMBERS_MAX + 1))
    assert fault_of(Condition(D.AGE, C.IN, many[1:])) == []
    assert fault_of(Condition(D.AGE, C.IN, many)) == [(RuleRefusal.VALUE_COUNT, "values")]
    assert fault_of(Condition(D.CITY, C.NOT_IN, ("上海", "上海"))) == [(CommonRefusal.DUPLICATE, "values")]


@pytest.mark.parametrize(
    ("dimension", "text", "value"),
    [
        (D.AGE, "25", 25),
        (D.AGE, "-1", -1),
        (D.AGE, "025", None),
        (D.AGE, "25.5", None),
        (D.AGE, "٢٥", None),
        (D.AGE, "1234567890", None),
        (D.IS_OVERDUE, "false", False),
        (D.IS_OVERDUE, "False", None),
        (D.OPENED_ON, "2026-02-28", date(2026, 2, 28)),
        (D.OPENED_ON, "2026-02-29", None),
        (D.OPENED_ON, "2026-W01-1", None),
        (D.OPENED_ON, "20260228", None),
        (D.LEVEL, "gold", "gold"),
        (D.TRANSACTION_SUM, "5000.5", 500050),
        (D.TRANSACTION_SUM, "-0.01", -1),
        (D.TRANSACTION_SUM, "5,000", None),
        (D.TRANSACTION_SUM, "1e3", None),
        (D.TRANSACTION_SUM, "0.001", None),
    ],
)
def test_a_value_has_the_form_of_its_type(dimension: Dimension, text: str, value: object) -> None:
    transactions = Transactions(currency="CNY") if dimension in AGGREGATES else None
    condition = Condition(dimension, C.EQUAL, (text,), transactions)
    assert value_of(condition, text) == value
    assert fault_of(condition) == ([] if value is not None else [(FieldRefusal.BAD_VALUE, "values", 0)])


def test_an_amount_has_no_more_digits_than_its_currency() -> None:
    in_yen = replace(SPENT, values=("100.5",), transactions=Transactions(currency="JPY"))
    assert fault_of(in_yen) == [(FieldRefusal.BAD_VALUE, "values", 0)]
    assert value_of(in_yen, "100") == 100


def test_both_ends_of_a_range_stand_in_order() -> None:
    """SEG-04"""
    assert fault_of(Condition(D.AGE, C.BETWEEN, ("25", "25"))) == []
    assert fault_of(Condition(D.AGE, C.BETWEEN, ("100", "25"))) == [(RuleRefusal.RANGE_REVERSED, "values")]


def test_a_text_is_short_clean_and_no_card_number() -> None:
    for text, code in (
        ("", CommonRefusal.REQUIRED),
        ("x" * 41, CommonRefusal.TOO_LONG),
        ("a\x00", CommonRefusal.BAD_CHARACTERS),
        ("a\tb", CommonRefusal.BAD_CHARACTERS),
        ("4111111111111111", CommonRefusal.CARD_NUMBER_IN_TEXT),
    ):
        assert fault_of(Condition(D.CITY, C.EQUAL, (text,))) == [(code, "values", 0)]


@pytest.mark.parametrize(
    ("transactions", "faults"),
    [
        (None, [(CommonRefusal.REQUIRED, "transactions")]),
        (Transactions(), [(CommonRefusal.REQUIRED, "transactions", "currency")]),
        (Transactions(currency="XXX"), [(CommonRefusal.UNKNOWN_CURRENCY, "transactions", "currency")]),
        (Transactions(Window(days=DAYS_MAX), currency="CNY"), []),
        (
            Transactions(Window(days=DAYS_MAX + 1), currency="CNY"),
            [(CommonRefusal.OUT_OF_RANGE, "transactions", "window", "days")],
        ),
        (
            Transactions(Window(days=0), currency="CNY"),
            [(CommonRefusal.OUT_OF_RANGE, "transactions", "window", "days")],
        ),
        (
            Transactions(Window(30, date(2026, 1, 1), date(2026, 2, 1)), currency="CNY"),
            [(RuleRefusal.WINDOW_UNCLEAR, "transactions", "window")],
        ),
        (
            Transactions(Window(starts_on=date(2026, 1, 1)), currency="CNY"),
            [(RuleRefusal.WINDOW_UNCLEAR, "transactions", "window")],
        ),
        (
            Transactions(Window(None, date(2026, 1, 1), date(2026, 1, 1)), currency="CNY"),
            [(CommonRefusal.END_NOT_AFTER_START, "transactions", "window", "ends_on")],
        ),
        (
            Transactions(category_in=("a", "a"), channel_in=("",), currency="CNY"),
            [
                (CommonRefusal.DUPLICATE, "transactions", "category_in"),
                (CommonRefusal.REQUIRED, "transactions", "channel_in", 0),
            ],
        ),
        (
            Transactions(category_in=tuple(map(str, range(SET_MEMBERS_MAX + 1))), currency="CNY"),
            [(CommonRefusal.TOO_MANY, "transactions", "category_in")],
        ),
    ],
)
def test_an_aggregate_says_of_which_transactions(
    transactions: Transactions | None, faults: list[tuple[object, ...]]
) -> None:
    """SEG-04"""
    assert fault_of(replace(SPENT, transactions=transactions)) == faults


def test_transactions_belong_to_aggregates_only() -> None:
    condition = Condition(D.AGE, C.EQUAL, ("30",), Transactions())
    assert fault_of(condition) == [(RuleRefusal.TRANSACTIONS_UNFIT, "transactions")]
