"""The target of an activity as one query: over the files, with what the gate makes of it."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from application.figures_sql import group_prefix, target_query
from application.group_sql import Extraction, compiled
from application.shared.engines import Query
from domain.activity_figures import Exclusion
from domain.group_rules import Comparison, Condition, Dimension, Rule, Transactions, Window
from tests.application.small_warehouse import SmallEngine, customer, spent, write_warehouse

TODAY = date(2024, 3, 31)
UNITS = ("HO", "SH")
OVERDUE, OTHER_UNIT, NO_ACTIVE_CARD = Exclusion.OVERDUE, Exclusion.OTHER_UNIT, Exclusion.NO_ACTIVE_CARD


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> SmallEngine:
    """1 is sound, 2 overdue, 3 of Shanghai, 4 has only a frozen card, 5 none, 6 is all of it, 7 not known to
    be overdue, 8 has an active card besides a closed one.
    """
    folder: Path = tmp_path_factory.mktemp("warehouse")
    customers = [
        customer(1),
        customer(2, is_overdue=True),
        customer(3, org_unit="SH"),
        customer(4),
        customer(5),
        customer(6, org_unit="SH", is_overdue=True),
        customer(7, is_overdue=None),
        customer(8),
    ]
    write_warehouse(folder, customers, [spent(1, 10, date(2024, 3, 30)), spent(3, 10, date(2024, 3, 30))])
    cards = [
        (1, "ACTIVE"),
        (2, "ACTIVE"),
        (3, "ACTIVE"),
        (4, "FROZEN"),
        (7, "ACTIVE"),
        (8, "CLOSED"),
        (8, "ACTIVE"),
    ]
    rows = ", ".join(
        f"('T{index}', 'C{number:08}', '', date '2020-01-01', '{status}', '')"
        for index, (number, status) in enumerate(cards)
    )
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select * from (values {rows})"
            " v (card_token, customer_id, product, opened_on, status, card_masked))"
            f" to '{folder / 'cards.parquet'}' (format parquet)"
        )
    return SmallEngine(folder)


def everybody(index: int = 0, *units: str) -> Query:
    rule = Rule(condition=Condition(Dimension.OPENED_ON, Comparison.IS_KNOWN))
    return compiled(rule, None, units or UNITS, Extraction(TODAY), group_prefix(index))


def spenders(index: int) -> Query:
    chosen = Transactions(Window(days=30))
    rule = Rule(condition=Condition(Dimension.TRANSACTION_COUNT, Comparison.AT_LEAST, ("1",), chosen))
    return compiled(rule, None, UNITS, Extraction(TODAY), group_prefix(index))


def found(engine: SmallEngine, query: Query) -> dict[int, str | None]:
    return {int(id_[1:]): reason for id_, reason in engine.found(query)}


def test_each_exclusion_leaves_out_whom_it_says(engine: SmallEngine) -> None:
    """ACT-13"""
    nobody = dict.fromkeys(range(1, 9))
    assert found(engine, target_query([everybody()], (), "HO")) == nobody
    overdue = {**nobody, 2: "overdue", 6: "overdue"}
    assert found(engine, target_query([everybody()], (OVERDUE,), "HO")) == overdue
    elsewhere = {**nobody, 3: "other_unit", 6: "other_unit"}
    assert found(engine, target_query([everybody()], (OTHER_UNIT,), "HO")) == elsewhere
    without = {**nobody, **dict.fromkeys((4, 5, 6), "no_active_card")}
    assert found(engine, target_query([everybody()], (NO_ACTIVE_CARD,), "HO")) == without


def test_a_customer_is_left_out_by_the_first_exclusion_that_he_meets(engine: SmallEngine) -> None:
    """ACT-13: so that the target is the applicable and those left out, each once."""
    everything = found(engine, target_query([everybody()], tuple(Exclusion), "HO"))
    assert everything == {
        1: None, 2: "overdue", 3: "other_unit", 4: "no_active_card", 5: "no_active_card",
        6: "overdue", 7: None, 8: None,
    }  # fmt: skip
    turned = found(engine, target_query([everybody()], (NO_ACTIVE_CARD, OVERDUE), "HO"))
    assert turned[6] == "no_active_card"


def test_a_customer_of_several_groups_is_there_once_and_parameters_do_not_meet(engine: SmallEngine) -> None:
    """ACT-13"""
    listed = compiled(None, ("C00000002", "C00000003"), UNITS, Extraction(TODAY), group_prefix(2))
    union = target_query([spenders(0), spenders(1), listed], (), "HO")
    assert sorted(found(engine, union)) == [1, 2, 3]
    assert len({parameter.name for parameter in union.parameters}) == len(union.parameters)


def test_a_group_reaches_the_customers_of_its_own_units_only(engine: SmallEngine) -> None:
    """ACT-13, SEC-03: also beside a group that reaches more."""
    assert sorted(found(engine, target_query([everybody(0, "SH")], (), "SH"))) == [3, 6]
    both = target_query([everybody(0, "SH"), spenders(1)], (), "HO")
    assert sorted(found(engine, both)) == [1, 3, 6]
    assert both.org_units == UNITS
