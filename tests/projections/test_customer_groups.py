"""Customer groups' rows: what people see of a rule, and of a list its length alone."""

from dataclasses import replace
from datetime import date
from typing import Any

from domain.customer_groups import (
    CustomerGroupDefined,
    CustomerGroupDeleted,
    CustomerGroupRetired,
    CustomerGroupRevised,
    Definition,
    Purpose,
)
from domain.group_rules import Comparison, Condition, Dimension, Rule, Transactions, Window
from projections.customer_groups import CUSTOMER_GROUPS, shown_rule
from tests.projections.folding import History, entries, row_of

ADULT = Rule(condition=Condition(Dimension.AGE, Comparison.AT_LEAST, ("18",)))
SPENT = Rule(
    condition=Condition(
        Dimension.TRANSACTION_SUM,
        Comparison.BETWEEN,
        ("1", "5000.00"),
        Transactions(Window(None, date(2026, 1, 1), date(2026, 2, 1)), ("dining",), ("pos",), "CNY"),
    )
)
COUNTED = Rule(
    condition=Condition(Dimension.TRANSACTION_COUNT, Comparison.EQUAL, ("0",), Transactions(Window(days=90)))
)
TREE = Rule(all_of=(ADULT, Rule(any_of=(SPENT, Rule(negated=COUNTED)))))
DEFINED = CustomerGroupDefined(
    "PREMIUM", "SH", Purpose.TARGET, Definition("Premium", "who spends", TREE), "hash", "lin"
)
LISTED = CustomerGroupRevised(2, Purpose.REWARDED, Definition("Invited", members=("C1", "C2")), "other", "wu")


def row(*events: Any) -> Any:
    return row_of(CUSTOMER_GROUPS, History().happens("customer_group", "group", *events), "group")


def test_a_rule_is_shown_in_the_form_of_the_input() -> None:
    """SEG-12: what is shown is what can be given again."""
    assert shown_rule(TREE) == {
        "allOf": [
            {"condition": {"dimension": "AGE", "comparison": "AT_LEAST", "values": ["18"]}},
            {
                "anyOf": [
                    {
                        "condition": {
                            "dimension": "TRANSACTION_SUM",
                            "comparison": "BETWEEN",
                            "values": ["1", "5000.00"],
                            "transactions": {
                                "window": {"startsOn": "2026-01-01", "endsOn": "2026-02-01"},
                                "categoryIn": ["dining"],
                                "channelIn": ["pos"],
                                "currency": "CNY",
                            },
                        }
                    },
                    {
                        "not": {
                            "condition": {
                                "dimension": "TRANSACTION_COUNT",
                                "comparison": "EQUAL",
                                "values": ["0"],
                                "transactions": {"window": {"days": 90}},
                            }
                        }
                    },
                ]
            },
        ]
    }


def test_a_group_by_rule_and_the_list_that_it_became() -> None:
    """SEG-01, SEG-02"""
    first = row(DEFINED)
    assert (first.status, first.purpose, first.membership, first.member_count) == (
        "active",
        "target",
        "rule",
        None,
    )
    assert (first.code, first.org_unit, first.name, first.revision) == ("PREMIUM", "SH", "Premium", 1)
    second = row(DEFINED, LISTED)
    assert (second.purpose, second.membership, second.rule, second.member_count) == (
        "rewarded",
        "list",
        None,
        2,
    )
    assert (second.code, second.name, second.revision, second.version) == ("PREMIUM", "Invited", 2, 2)


def test_a_retired_group_is_shown_and_a_deleted_one_is_gone() -> None:
    """SEG-03"""
    retired = row(DEFINED, CustomerGroupRetired("lin"))
    assert retired == replace(
        row(DEFINED), status="retired", version=2, changed_at=retired.changed_at, changed_by="lin"
    )
    assert row(DEFINED, CustomerGroupRetired("lin"), CustomerGroupDeleted("lin")) is None


def test_the_timeline_tells_what_changed_and_no_member() -> None:
    """SEG-02, SEG-03"""
    history = History().happens("customer_group", "group", DEFINED, LISTED, CustomerGroupDeleted("lin"))
    first, second, last = entries(history.records)
    assert {change["field"]: change["after"] for change in first.changes}["rule"] == shown_rule(TREE)
    assert {"field": "purpose", "before": "TARGET", "after": "REWARDED"} in second.changes
    assert {"field": "memberCount", "before": None, "after": 2} in second.changes
    assert (first.org_unit, last.org_unit, last.revision) == ("SH", "SH", 2)
    assert "C1" not in str([first, second, last])
