"""Customer groups through the API: rules and lists, their faults in place, a preview, their history."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from infrastructure.database import pool
from infrastructure.event_log import EventLog
from tests.api.campaigns import code
from tests.api.house import House, running_house
from tests.application.bank import Bank
from tests.application.small_warehouse import SmallEngine, customer, spent, write_warehouse
from tests.application.test_customer_groups import activity
from tests.application.test_group_sql import CUSTOMERS, TRANSACTIONS

GROUP = """customerGroup { id version revision code orgUnit status purpose name membership rule memberCount
    contentHash activities(first: 5) { nodes { code } } }"""
PREVIEW = """query ($input: PreviewCustomerGroupInput!) {
    previewCustomerGroup(input: $input) { count sample userErrors { code path message } } }"""


def condition(dimension: str, comparison: str, *values: str, **transactions: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"dimension": dimension, "comparison": comparison, "values": list(values)}
    if transactions:
        made["transactions"] = transactions
    return {"condition": made}


SPENT = condition("TRANSACTION_SUM", "AT_LEAST", "5000", window={"days": 30}, currency="CNY")
EXAMPLE = {
    "allOf": [
        condition("AGE", "BETWEEN", "25", "40"),
        SPENT,
        {"not": condition("IS_OVERDUE", "EQUAL", "true")},
    ]
}
MARCH_31 = "2024-03-31"


@pytest.fixture(scope="module")
def url(make_database: Callable[..., str], migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def house(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    customers = [*CUSTOMERS, *(customer(number, org_unit="SH") for number in range(100, 130))]
    transactions = [*TRANSACTIONS, *(spent(number, 6000, date(2024, 3, 2)) for number in range(100, 130))]
    folder = write_warehouse(tmp_path_factory.mktemp("bank"), customers, transactions)
    with running_house(url, engine=SmallEngine(folder)) as running:
        yield running


@pytest.fixture
def bank(url: str) -> Iterator[Bank]:
    """The use cases on the same log."""
    with pool(url, 4) as connections:
        yield Bank(EventLog(connections))


def group(house: House, user: str = "operator", **given: Any) -> Any:
    made = {"code": code("CG"), "purpose": "TARGET", "name": "Premium", "rule": EXAMPLE, **given}
    return house.done(user, "defineCustomerGroup", GROUP, **made)


def preview(house: House, user: str = "operator", **given: Any) -> Any:
    asked = {"businessDate": MARCH_31, **given}
    return house.data(user, PREVIEW, input=asked)["previewCustomerGroup"]


def read(house: House, id_: str, user: str = "operator", arguments: str = "") -> Any:
    document = f"query ($id: ID!) {{ {GROUP.replace('{', f'(id: $id{arguments}) {{', 1)} }}"
    return house.data(user, document, id=id_)["customerGroup"]


@pytest.mark.parametrize("purpose", ["TARGET", "REWARDED"])
def test_a_group_is_defined_and_shown_as_it_was_given(house: House, purpose: str) -> None:
    """SEG-01, SEG-12: the rule makes the round trip without loss."""
    made = group(house, purpose=purpose)
    assert made["id"].startswith("cg_")
    assert (made["purpose"], made["status"], made["membership"]) == (purpose, "ACTIVE", "RULE")
    assert (made["rule"], made["memberCount"], made["revision"]) == (EXAMPLE, None, 1)
    found = house.data(
        "auditor", "query ($f: CustomerGroupFilter) { customerGroups(filter: $f) { nodes { id } } }",
        f={"code": {"eq": made["code"]}, "purpose": {"eq": purpose}},
    )  # fmt: skip
    assert found["customerGroups"]["nodes"] == [{"id": made["id"]}]


def test_an_edit_makes_a_new_revision_and_the_old_one_can_be_looked_at(house: House) -> None:
    """SEG-02"""
    made = group(house)
    revised = house.done(
        "operator", "reviseCustomerGroup", GROUP, id=made["id"], name="Invited", members=["C2", "C1"]
    )
    assert (revised["revision"], revised["membership"], revised["memberCount"]) == (2, "LIST", 2)
    assert (revised["rule"], revised["purpose"]) == (None, "TARGET")
    assert read(house, made["id"], arguments=", asOf: {version: 1}")["rule"] == EXAMPLE
    document = """query ($id: ID!) { customerGroup(id: $id) { history { nodes {
        eventType revision changes { field before after } } } } }"""
    first, second = house.data("auditor", document, id=made["id"])["customerGroup"]["history"]["nodes"]
    assert (first["eventType"], second["eventType"]) == ("customer_group.defined", "customer_group.revised")
    assert {"field": "rule", "before": EXAMPLE, "after": None} in second["changes"]


def test_every_fault_lies_at_its_place_in_the_input(house: House) -> None:
    """SEG-04"""
    rule = {
        "anyOf": [
            {"not": {"allOf": [condition("AGE", "EQUAL", "old"), {}]}},
            condition("TRANSACTION_SUM", "IN", "1", window={"days": 0}),
            {"allOf": [], "not": SPENT},
        ]
    }
    assert house.refused("operator", "defineCustomerGroup", code="a", name="", rule=rule) == [
        ("BAD_CODE", "input.code"),
        ("BAD_VALUE", "input.rule.anyOf.0.not.allOf.0.condition.values.0"),
        ("OUT_OF_RANGE", "input.rule.anyOf.1.condition.transactions.window.days"),
        ("REQUIRED", "input.name"),
        ("REQUIRED", "input.purpose"),
        ("REQUIRED", "input.rule.anyOf.1.condition.transactions.currency"),
        ("REQUIRED", "input.rule.anyOf.2.allOf"),
        ("RULE_UNCLEAR", "input.rule.anyOf.0.not.allOf.1"),
        ("RULE_UNCLEAR", "input.rule.anyOf.2"),
    ]
    assert house.refused(
        "operator",
        "defineCustomerGroup",
        code=code(),
        purpose="TARGET",
        name="x",
        members=["C1", "C 1", "C1"],
    ) == [("BAD_CUSTOMER_ID", "input.members.1"), ("DUPLICATE", "input.members.2")]


def test_faults_are_told_in_both_languages(house: House) -> None:
    document = """mutation ($input: DefineCustomerGroupInput!) {
        defineCustomerGroup(input: $input) { userErrors { message } } }"""
    given = {"code": code(), "purpose": "TARGET", "name": "x"}
    for language, sentence in (
        ("zh", "客群由规则或名单定义，二者选一。"),
        ("en", "A group has a rule or a list of members: one of the two."),
    ):
        answer = house.answer("operator", document, {"accept-language": language}, input=given)
        assert answer["data"]["defineCustomerGroup"]["userErrors"] == [{"message": sentence}]


@pytest.mark.parametrize("depth", [9, 40])
def test_a_rule_that_is_too_deep_is_refused(house: House, depth: int) -> None:
    """SEG-04"""
    rule: dict[str, Any] = SPENT
    for _ in range(depth - 1):
        rule = {"not": rule}
    given = {"code": code(), "purpose": "TARGET", "name": "x", "rule": rule}
    assert house.refused("operator", "defineCustomerGroup", **given) == [
        ("RULE_TOO_DEEP", ".".join(["input.rule", *["not"] * 8]))
    ]


def test_a_rule_without_end_does_not_get_in(house: House) -> None:
    document = (
        "mutation ($input: DefineCustomerGroupInput!) { defineCustomerGroup(input: $input) { position } }"
    )
    rule: dict[str, Any] = SPENT
    for _ in range(400):
        rule = {"not": rule}
    answer = house.answer("operator", document, input={"code": code(), "rule": rule})
    assert answer["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


def test_a_list_of_twenty_thousand_customers_is_taken(house: House) -> None:
    """SEG-11"""
    members = [f"C{number:08}" for number in range(20_000)]
    made = group(house, rule=None, members=members)
    assert (made["memberCount"], made["membership"]) == (20_000, "LIST")
    assert preview(house, id=made["id"])["count"] == len(CUSTOMERS) + 30
    assert house.refused(
        "operator", "defineCustomerGroup", code=code(), purpose="TARGET", name="x", members=[*members, "C"]
    ) == [("TOO_MANY", "input.members")]


# --- Preview --------------------------------------------------------------


def test_a_preview_counts_and_shows_some_masked(house: House) -> None:
    """SEG-05, SEG-04: before anything is recorded, and the same for the group that is."""
    shown = preview(house, rule=EXAMPLE)
    assert shown["count"] == 35
    assert shown["sample"][:5] == ["C*****001", "C*****002", "C*****003", "C*****010", "C*****014"]
    assert len(shown["sample"]) == 20
    assert preview(house, "researcher", id=group(house)["id"]) == shown


def test_a_preview_before_all_days_is_refused(house: House) -> None:
    """SEG-05: no window reaches back beyond the calendar's first day."""
    found = preview(house, rule=SPENT, businessDate="0001-01-01")
    assert [(fault["code"], fault["path"]) for fault in found["userErrors"]] == [
        ("OUT_OF_RANGE", ["input", "businessDate"])
    ]


def test_a_preview_of_a_branch_stays_within_it(house: House) -> None:
    """SEG-05"""
    made = group(house, "branch")
    assert made["orgUnit"] == "SH"
    assert preview(house, "branch", id=made["id"])["count"] == 30
    assert preview(house, "branch", rule=EXAMPLE)["count"] == 30
    assert preview(house, "operator", id=made["id"])["count"] == 30
    of_head_office = group(house)
    for more in ({}, {"revision": 1}):
        faults = preview(house, "branch", id=of_head_office["id"], **more)["userErrors"]
        assert [(fault["code"], fault["path"]) for fault in faults] == [("NOT_FOUND", ["input", "id"])]


def test_a_preview_of_an_earlier_revision(house: House) -> None:
    """SEG-02, SEG-05"""
    made = group(house)
    nobody = condition("AGE", "LESS_THAN", "0")
    house.done("operator", "reviseCustomerGroup", GROUP, id=made["id"], name="None", rule=nobody)
    assert [preview(house, id=made["id"], revision=n)["count"] for n in (1, 2)] == [35, 0]
    (fault,) = preview(house, id=made["id"], revision=3)["userErrors"]
    assert (fault["code"], fault["path"]) == ("NOT_FOUND", ["input", "revision"])


def test_a_preview_judges_rule_and_timeframe(house: House) -> None:
    """SEG-05, SEG-08"""
    in_timeframe = condition("TRANSACTION_COUNT", "EQUAL", "1", currency="CNY")

    def faults(**given: Any) -> list[tuple[str, str]]:
        return [(fault["code"], ".".join(fault["path"])) for fault in preview(house, **given)["userErrors"]]

    leap_day = {"dataFrom": "2024-02-29", "dataTo": "2024-03-01"}
    assert preview(house, rule=in_timeframe, **leap_day)["count"] == 1
    assert faults(rule=in_timeframe) == [("REQUIRED", "input.dataFrom")]
    assert faults(rule=in_timeframe, dataFrom="2024-03-01") == [("REQUIRED", "input.dataTo")]
    assert faults() == [("MEMBERSHIP_UNCLEAR", "input")]
    assert faults(id=group(house)["id"], rule=SPENT) == [("MEMBERSHIP_UNCLEAR", "input")]


def test_who_has_no_right_gets_no_preview(house: House) -> None:
    """SEG-05"""
    for user in ("auditor", "admin"):
        answer = house.answer(user, PREVIEW, input={"businessDate": MARCH_31, "rule": EXAMPLE})
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_a_house_without_an_engine_says_so(make_database: Callable[..., str], migrated_template: str) -> None:
    with running_house(make_database(migrated_template)) as without:
        answer = without.answer("operator", PREVIEW, input={"businessDate": MARCH_31, "rule": EXAMPLE})
        assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


# --- Life -----------------------------------------------------------------


def test_a_linked_group_shows_its_activities_and_stays(house: House, bank: Bank) -> None:
    """SEG-03, SEG-06: the refusal names the activity; unlinked, the group goes and its history stays."""
    made = group(house)
    linked = code()
    planned = activity(bank, UUID(made["id"].removeprefix("cg_")), code=linked)
    document = """mutation ($input: CustomerGroupInput!) {
        deleteCustomerGroup(input: $input) { userErrors { code message } } }"""
    (fault,) = house.data("operator", document, input={"id": made["id"]})["deleteCustomerGroup"]["userErrors"]
    assert fault == {"code": "IN_USE", "message": f"It is in use by activity {linked}."}
    assert house.refused("operator", "retireCustomerGroup", id=made["id"]) == [("IN_USE", "input")]
    faults = house.refused(
        "operator", "reviseCustomerGroup", id=made["id"], name="x", rule=EXAMPLE, purpose="REWARDED"
    )
    assert faults == [("PURPOSE_FIXED", "input.purpose")]
    revised = house.done("operator", "reviseCustomerGroup", GROUP, id=made["id"], name="x", rule=EXAMPLE)
    assert revised["activities"]["nodes"] == [{"code": linked}]
    bank.delete(planned)
    retired = house.done("operator", "retireCustomerGroup", GROUP, id=made["id"])
    assert (retired["status"], retired["activities"]["nodes"]) == ("RETIRED", [])
    assert house.do("operator", "deleteCustomerGroup", "customerGroup { id }", id=made["id"]) | {
        "position": None
    } == {"customerGroup": None, "userErrors": [], "position": None}
    told = house.data(
        "auditor", "query ($f: HistoryEntryFilter) { timeline(filter: $f) { nodes { eventType } } }",
        f={"subjectId": {"eq": made["id"]}},
    )  # fmt: skip
    assert [entry["eventType"] for entry in told["timeline"]["nodes"]] == [
        "customer_group.defined",
        "customer_group.revised",
        "customer_group.retired",
        "customer_group.deleted",
    ]


def test_a_group_is_changed_at_the_version_that_was_seen(house: House) -> None:
    """SEG-02"""
    made = group(house)
    stale = {"id": made["id"], "expectedVersion": made["version"] + 1, "name": "x", "rule": EXAMPLE}
    assert house.refused("operator", "reviseCustomerGroup", **stale) == [
        ("VERSION_CONFLICT", "input.expectedVersion")
    ]


def test_integrators_see_rules_and_the_length_of_lists(house: House) -> None:
    """SEG-02"""
    made = group(house)
    house.done("operator", "reviseCustomerGroup", GROUP, id=made["id"], name="x", members=["C00000001"])
    document = "query ($s: EventSelection) { events(select: $s) { events { type data } } }"
    first, second = house.data("integrator", document, s={"subject": made["id"]})["events"]["events"]
    assert (first["type"], second["type"]) == ("customer_group.defined", "customer_group.revised")
    assert (first["data"]["rule"], first["data"]["code"]) == (EXAMPLE, made["code"])
    assert (second["data"]["memberCount"], second["data"]["membership"]) == (1, "LIST")
    assert "C00000001" not in str(second)
