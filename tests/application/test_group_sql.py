"""Groups as SQL, run by DuckDB over Parquet: hand-computed members, and a plain evaluation in Python."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.group_sql import Extraction, compiled
from domain.customer_groups import MEMBERS_MAX
from domain.group_rules import (
    AGGREGATES,
    AGGREGATES_MAX,
    COMPARISONS,
    NODES_MAX,
    SET_MEMBERS_MAX,
    TYPES,
    VALUES_MAX,
    Comparison,
    Condition,
    Dimension,
    Rule,
    Transactions,
    Window,
    rule_faults,
    value_of,
)
from domain.shared.field_rules import FieldType
from domain.shared.refusal import CommonRefusal
from tests.application.small_warehouse import SmallEngine, customer, spent, write_warehouse
from tests.given import PROPERTY, refused

C, D = Comparison, Dimension
ALL = frozenset({"HO", "SH", "SZ"})
TODAY = Extraction(date(2024, 3, 31))
MARCH, LEAP_DAY = date(2024, 3, 1), date(2024, 2, 29)


def asked(dimension: Dimension, comparison: Comparison, *values: str, **transactions: Any) -> Rule:
    chosen = Transactions(**transactions) if dimension in AGGREGATES else None
    return Rule(condition=Condition(dimension, comparison, values, chosen))


OF_AGE = asked(D.AGE, C.BETWEEN, "25", "40")
SPENT_5000 = asked(D.TRANSACTION_SUM, C.AT_LEAST, "5000", window=Window(days=30), currency="CNY")
NOT_OVERDUE = Rule(negated=asked(D.IS_OVERDUE, C.EQUAL, "true"))
EXAMPLE = Rule(all_of=(OF_AGE, SPENT_5000, NOT_OVERDUE))

CUSTOMERS = [
    customer(1),  # 30 years, 5,000.00 on the first day of the window: in
    customer(2, 1999),  # 25 years, twice, the second time on the last day of the window: in
    customer(3, 1984),  # 40 years: in
    customer(4, 1983),  # 41 years
    customer(5, 2000),  # 24 years
    customer(6),  # 4,999.99
    customer(7),  # on the day before the window
    customer(8),  # on the business date itself
    customer(9, is_overdue=True),
    customer(10, is_overdue=None, city=None),  # not known to be overdue: in
    customer(11, None),  # of unknown age
    customer(12),  # in another currency
    customer(13),  # nothing
    customer(14, org_unit="SZ"),  # in, for who sees Shenzhen
    customer(15),  # 9,000 less a refund of 4,000.01
]
TRANSACTIONS = [
    spent(1, 5000, MARCH),
    spent(2, 3000, date(2024, 3, 10), category="travel"),
    spent(2, 2000, date(2024, 3, 30), channel="app"),
    spent(3, 5000.01, date(2024, 3, 15)),
    spent(6, 4999.99, date(2024, 3, 15)),
    spent(7, 9000, LEAP_DAY),
    spent(8, 9000, date(2024, 3, 31)),
    *(spent(number, 9000, date(2024, 3, 15)) for number in (4, 5, 9, 10, 11, 14, 15)),
    spent(15, -4000.01, date(2024, 3, 16)),
    spent(12, 9000, date(2024, 3, 15), currency="USD"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> SmallEngine:
    return SmallEngine(write_warehouse(tmp_path_factory.mktemp("bank"), CUSTOMERS, TRANSACTIONS))


@pytest.fixture
def members(engine: SmallEngine) -> Callable[..., list[int]]:
    """The numbers of the customers that a sound rule finds."""

    def found(rule: Rule, units: frozenset[str] = ALL, extraction: Extraction = TODAY) -> list[int]:
        assert list(rule_faults(rule)) == []
        return [int(id_[1:]) for (id_,) in engine.found(compiled(rule, None, units, extraction))]

    return found


Members = Callable[..., list[int]]


def test_the_example_gives_exactly_the_customers_computed_by_hand(members: Members) -> None:
    """SEG-04: age 25-40 and spend of the last 30 days at least 5,000 and not overdue."""
    assert members(EXAMPLE) == [1, 2, 3, 10, 14]


def test_a_group_reaches_customers_of_its_units_only(members: Members) -> None:
    """SEG-04"""
    assert members(EXAMPLE, frozenset({"HO", "SH"})) == [1, 2, 3, 10]
    assert members(EXAMPLE, frozenset({"SZ"})) == [14]
    assert members(EXAMPLE, frozenset()) == []
    assert compiled(EXAMPLE, None, ["SZ", "HO"], TODAY).org_units == ("HO", "SZ")


def test_a_window_of_days_ends_with_the_day_before_the_business_date(members: Members) -> None:
    """SEG-08: 30 days at 2024-03-31 are 2024-03-01 to 03-30; a transaction of 02-29 is not counted."""
    some = asked(D.TRANSACTION_COUNT, C.AT_LEAST, "1", window=Window(days=30))
    assert 1 in members(some)
    assert {7, 8, 13} & set(members(some)) == set()
    assert 7 in members(asked(D.TRANSACTION_COUNT, C.AT_LEAST, "1", window=Window(days=31)))
    assert 8 in members(some, extraction=Extraction(date(2024, 4, 1)))


def test_a_fixed_range_is_half_open(members: Members) -> None:
    """SEG-04"""
    leap_day = Window(None, LEAP_DAY, MARCH)
    assert members(asked(D.TRANSACTION_COUNT, C.EQUAL, "1", window=leap_day)) == [7]


def test_a_rule_may_follow_the_timeframe_of_the_extraction(members: Members) -> None:
    """SEG-08"""
    in_timeframe = asked(D.TRANSACTION_COUNT, C.EQUAL, "1")
    assert members(in_timeframe, extraction=Extraction(TODAY.business_date, LEAP_DAY, MARCH)) == [7]
    with refused((CommonRefusal.REQUIRED, "data_from")):
        members(in_timeframe)


def test_aggregates_take_some_categories_channels_and_one_currency(members: Members) -> None:
    """SEG-04"""

    def once(**transactions: Any) -> list[int]:
        return members(asked(D.TRANSACTION_COUNT, C.AT_LEAST, "1", window=Window(days=365), **transactions))

    assert once(category_in=("travel", "fuel")) == [2]
    assert once(channel_in=("app",)) == [2]
    assert once(currency="USD") == [12]
    assert once(category_in=("travel",), channel_in=("app",)) == []


def test_who_has_no_transactions_counts_none_and_has_no_last_one(members: Members) -> None:
    """SEG-04"""
    year = Window(days=365)
    assert members(asked(D.TRANSACTION_COUNT, C.EQUAL, "0", window=year)) == [8, 13]
    assert members(asked(D.TRANSACTION_SUM, C.AT_MOST, "0", window=year, currency="CNY")) == [8, 12, 13]
    last = asked(D.LAST_TRANSACTION_ON, C.LESS_THAN, "2024-03-10", window=year)
    assert members(last) == [1, 7]
    assert members(Rule(negated=asked(D.LAST_TRANSACTION_ON, C.IS_KNOWN, window=year))) == [8, 13]
    assert {8, 13} <= set(members(Rule(negated=last)))


def test_what_is_not_known_makes_a_condition_false_and_its_not_true(members: Members) -> None:
    """SEG-04"""
    for comparison in (C.EQUAL, C.NOT_EQUAL, C.IN, C.NOT_IN):
        of_beijing = asked(D.CITY, comparison, "北京")
        assert 10 not in members(of_beijing)
        assert 10 in members(Rule(negated=of_beijing))
    assert members(Rule(negated=asked(D.CITY, C.IS_KNOWN))) == [10]
    assert members(asked(D.IS_OVERDUE, C.EQUAL, "true")) == [9]
    assert 10 not in members(asked(D.IS_OVERDUE, C.EQUAL, "false"))


def test_no_value_becomes_part_of_the_text(engine: SmallEngine) -> None:
    evil = "x') or ('1'='1"
    rule = asked(D.CITY, C.IN, evil, ":p1")
    query = compiled(rule, None, ["HO", evil], TODAY)
    assert "x'" not in query.sql
    assert "'" not in query.sql
    assert {parameter.value for parameter in query.parameters} >= {evil, ":p1"}
    assert engine.found(query) == []


def test_a_query_is_granted_the_columns_that_it_reads_and_no_more() -> None:
    assert {(granted.name, granted.columns) for granted in compiled(EXAMPLE, None, ALL, TODAY).granted} == {
        ("customers", ("birth_year", "customer_id", "is_overdue", "org_unit")),
        ("transactions", ("amount_minor", "booked_on", "currency", "customer_id")),
    }
    (only,) = compiled(OF_AGE, None, ALL, TODAY).granted
    assert only.columns == ("birth_year", "customer_id", "org_unit")


def test_the_same_transactions_are_added_up_once() -> None:
    below = asked(D.TRANSACTION_SUM, C.LESS_THAN, "9000", window=Window(days=30), currency="CNY")
    twice = Rule(all_of=(SPENT_5000, below))
    assert len(re.findall(r"sum\(", compiled(twice, None, ALL, TODAY).sql)) == 1


def test_a_list_finds_the_customers_that_there_are(engine: SmallEngine) -> None:
    """SEG-11"""
    ids = ("C00000003", "C00000001", "C99999999", "C00000014")
    assert engine.found(compiled(None, ids, frozenset({"HO"}), TODAY)) == [("C00000001",), ("C00000003",)]
    longest = tuple(f"C{number:08}" for number in range(2, MEMBERS_MAX + 2))
    assert engine.count(compiled(None, longest, ALL, TODAY)) == len(CUSTOMERS) - 1


def test_a_list_is_found_by_halving_whatever_its_length(tmp_path: Path) -> None:
    """SEG-11: at each border between two of its parts, and for ids of every length."""
    ids = [f"C{number:0{1 + number % 19}}" for number in range(3_000)]
    engine = SmallEngine(write_warehouse(tmp_path, [(id_, *customer(1)[1:]) for id_ in ids], []))
    for step in (1, 2, 3, 700):
        some = tuple(ids[::step])
        assert engine.found(compiled(None, some, ALL, TODAY)) == sorted((id_,) for id_ in some)


def test_the_largest_groups_pass_the_gate(engine: SmallEngine) -> None:
    """SEG-04, SEG-11"""
    words = tuple(f"{'餐' * 30}{number:010}" for number in range(SET_MEMBERS_MAX))
    of_cities = asked(D.CITY, C.NOT_IN, *words)
    large = Rule(all_of=(of_cities,) * (VALUES_MAX // SET_MEMBERS_MAX - 1))
    spends = [
        asked(D.TRANSACTION_SUM, C.BETWEEN, "0", "1", window=Window(days=days), currency="CNY")
        for days in range(1, AGGREGATES_MAX + 1)
    ]
    ages = [asked(D.AGE, C.AT_LEAST, "0")] * (NODES_MAX - AGGREGATES_MAX - len(large.all_of or ()) - 3)
    rule = Rule(any_of=(large, Rule(all_of=(*spends, *ages))))
    assert list(rule_faults(rule)) == []
    assert engine.count(compiled(rule, None, ALL, TODAY)) == len(CUSTOMERS) - 1
    longest = tuple(f"{number:_>20}" for number in range(MEMBERS_MAX))
    assert engine.count(compiled(None, longest, ALL, TODAY)) == 0


# --- Against a plain evaluation -------------------------------------------

DAYS = [date(2024, 3, day) for day in range(20, 32)]
CITIES = ["上海", "深圳", "Xi'an"]


def random_warehouse(seed: int) -> tuple[list[Any], list[Any]]:
    draw = random.Random(seed)
    customers = [
        customer(
            number,
            draw.choice([None, 1990, 1994, 2000]),
            org_unit=draw.choice(["HO", "SH"]),
            is_overdue=draw.choice([None, True, False]),
            city=draw.choice([None, *CITIES]),
            gender=draw.choice([None, "F", "M"]),
            level=draw.choice([None, "gold", "plain"]),
            opened_on=draw.choice([None, *DAYS]),
        )
        for number in range(80)
    ]
    transactions = [
        spent(
            draw.randrange(60),
            draw.choice([-5, 0.01, 5, 10]),
            draw.choice(DAYS),
            draw.choice([None, "CNY", "JPY"]),
            draw.choice([None, "dining", "fuel"]),
            draw.choice([None, "pos", "app"]),
        )
        for _ in range(150)
    ]
    return customers, transactions


RANDOM_CUSTOMERS, RANDOM_TRANSACTIONS = random_warehouse(20240331)
VALUES = {
    D.AGE: ["24", "30", "34"],
    D.CITY: CITIES,
    D.GENDER: ["F", "M"],
    D.LEVEL: ["gold", "plain"],
    D.ORG_UNIT: ["HO", "SH"],
    D.IS_OVERDUE: ["true", "false"],
    D.OPENED_ON: [str(day) for day in DAYS[::3]],
    D.TRANSACTION_COUNT: ["0", "1", "2"],
    D.TRANSACTION_SUM: ["-5", "0", "5", "10"],
    D.LAST_TRANSACTION_ON: [str(day) for day in DAYS[::3]],
}
WINDOWS = [Window(days=3), Window(days=9), Window(None, DAYS[2], DAYS[6]), Window()]
SETS_OF = {name: st.lists(st.sampled_from(of), unique=True, max_size=2).map(tuple) for name, of in
           {"category_in": ["dining", "fuel"], "channel_in": ["pos", "app"]}.items()}  # fmt: skip


@st.composite
def conditions(draw: st.DrawFn) -> Rule:
    dimension = draw(st.sampled_from(D))
    comparison = draw(st.sampled_from(sorted(COMPARISONS[TYPES[dimension]])))
    least, most = {C.IS_KNOWN: (0, 0), C.BETWEEN: (2, 2), C.IN: (1, 2), C.NOT_IN: (1, 2)}.get(
        comparison, (1, 1)
    )
    texts = st.sampled_from(VALUES[dimension])
    values = draw(st.lists(texts, min_size=least, max_size=most, unique=True))
    transactions = None
    if dimension in AGGREGATES:
        currencies = ["CNY", "JPY"] if dimension is D.TRANSACTION_SUM else [None, "CNY"]
        transactions = Transactions(
            draw(st.sampled_from(WINDOWS)),
            draw(SETS_OF["category_in"]),
            draw(SETS_OF["channel_in"]),
            draw(st.sampled_from(currencies)),
        )
    condition = Condition(dimension, comparison, tuple(values), transactions)
    if comparison is C.BETWEEN:
        ordered = sorted(values, key=lambda text: value_of(condition, text))  # type: ignore[arg-type,return-value]
        condition = replace(condition, values=tuple(ordered))
    return Rule(condition=condition)


RULES = st.recursive(
    conditions(),
    lambda rules: st.one_of(
        st.lists(rules, min_size=1, max_size=3).map(lambda some: Rule(all_of=tuple(some))),
        st.lists(rules, min_size=1, max_size=3).map(lambda some: Rule(any_of=tuple(some))),
        rules.map(lambda one: Rule(negated=one)),
    ),
    max_leaves=6,
)
AT = Extraction(date(2024, 3, 30), date(2024, 3, 22), date(2024, 3, 25))


@pytest.fixture(scope="module")
def random_engine(tmp_path_factory: pytest.TempPathFactory) -> SmallEngine:
    folder = tmp_path_factory.mktemp("random")
    return SmallEngine(write_warehouse(folder, RANDOM_CUSTOMERS, RANDOM_TRANSACTIONS))


def test_sql_and_plain_python_find_the_same_customers(random_engine: SmallEngine) -> None:
    """SEG-04: whatever the rule, over customers of whom much is not known."""
    sizes: set[int] = set()

    @PROPERTY
    @given(rule=RULES)
    def holds(rule: Rule) -> None:
        if list(rule_faults(rule)):  # deeper than a rule may be
            return
        expected = [(row[0],) for row in RANDOM_CUSTOMERS if plainly(rule, row)]
        assert random_engine.found(compiled(rule, None, ALL, AT)) == expected
        sizes.add(len(expected))

    holds()
    assert len(sizes) > 20


def plainly(rule: Rule, row: Sequence[Any]) -> bool:
    if rule.condition is not None:
        return plain_condition(rule.condition, row)
    if rule.negated is not None:
        return not plainly(rule.negated, row)
    if rule.all_of is not None:
        return all(plainly(one, row) for one in rule.all_of)
    return any(plainly(one, row) for one in rule.any_of or ())


def plain_condition(condition: Condition, row: Sequence[Any]) -> bool:
    subject = plain_subject(condition, row)
    values: list[Any] = [value_of(condition, text) for text in condition.values]
    if subject is None:
        return False
    match condition.comparison:
        case C.IS_KNOWN:
            return True
        case C.EQUAL:
            return bool(subject == values[0])
        case C.NOT_EQUAL:
            return bool(subject != values[0])
        case C.LESS_THAN:
            return bool(subject < values[0])
        case C.AT_MOST:
            return bool(subject <= values[0])
        case C.GREATER_THAN:
            return bool(subject > values[0])
        case C.AT_LEAST:
            return bool(subject >= values[0])
        case C.BETWEEN:
            return bool(values[0] <= subject <= values[1])
        case C.IN:
            return subject in values
        case C.NOT_IN:
            return subject not in values


def plain_subject(condition: Condition, row: Sequence[Any]) -> Any:
    id_, org_unit, birth_year, gender, city, level, opened_on, _, _, is_overdue = row
    plain = {
        D.AGE: None if birth_year is None else AT.business_date.year - birth_year,
        D.GENDER: gender,
        D.CITY: city,
        D.LEVEL: level,
        D.ORG_UNIT: org_unit,
        D.IS_OVERDUE: is_overdue,
        D.OPENED_ON: opened_on,
    }
    if condition.dimension in plain:
        return plain[condition.dimension]
    assert condition.transactions is not None
    those = [one for one in RANDOM_TRANSACTIONS if one[1] == id_ and is_chosen(condition.transactions, one)]
    match condition.dimension:
        case D.TRANSACTION_COUNT:
            return len(those)
        case D.TRANSACTION_SUM:
            return sum(one[2] for one in those)
        case _:
            return max((one[4] for one in those), default=None)


def is_chosen(transactions: Transactions, row: Sequence[Any]) -> bool:
    _, _, _, currency, booked_on, category, channel = row
    window = transactions.window
    if window.days is not None:
        starts_on, ends_on = AT.business_date - timedelta(window.days), AT.business_date
    else:
        starts_on, ends_on = window.starts_on or AT.data_from, window.ends_on or AT.data_to  # type: ignore[assignment]
    return (
        starts_on <= booked_on < ends_on
        and (not transactions.category_in or category in transactions.category_in)
        and (not transactions.channel_in or channel in transactions.channel_in)
        and (transactions.currency is None or currency == transactions.currency)
    )


def test_every_type_of_dimension_was_drawn() -> None:
    """Else the test above would say less than it seems to."""
    assert set(VALUES) == set(D)
    assert {TYPES[dimension] for dimension in VALUES} == set(FieldType) - {FieldType.CHOICE}
