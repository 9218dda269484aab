"""Connections: cursors, page sizes, filters, orders, choices, and what is refused."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.api.planner.conftest import CHIEF, STAFF, Bank

ALL = """query ($after: Cursor, $n: Int) { workOrders(after: $after, first: $n) {
    nodes { id } pageInfo { endCursor hasNextPage } } }"""


def both_ways(
    bank: Bank, document: str, variables: dict[str, Any] | None = None, viewer: Any = CHIEF
) -> list[str]:
    """The codes of the errors, which are the same ahead of strawberry and within."""
    answers = [bank.ask(document, variables, viewer, ahead=ahead) for ahead in (True, False)]
    assert not answers[0].planned
    assert (answers[0].data, answers[0].errors) == (answers[1].data, answers[1].errors)
    assert all(error["path"] == ["a"] for error in answers[0].errors)
    return answers[0].codes


def test_following_the_end_cursor_visits_every_visible_row_once(bank: Bank) -> None:
    seen, after = [], None
    while True:
        page = bank.ask(ALL, {"after": after, "n": 7}).data["workOrders"]
        seen += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    visible = ["wo_" + row["id"].hex for row in bank.rows["work_orders"] if row["unit"] in CHIEF.units]
    assert len(seen) == len(set(seen))
    assert set(seen) == set(visible)


@pytest.mark.parametrize("way", ["AMOUNT_ASC", "NAME_DESC", "IS_URGENT_ASC, CREATED_AT_DESC", "EXECUTE"])
def test_every_order_resumes_where_the_cursor_stands(bank: Bank, way: str) -> None:
    if way == "EXECUTE":  # null in places, so no sort key
        document = "{ a: workOrders(orderBy: [EXECUTE_ON_ASC]) { totalCount } }"
        assert bank.ask(document).codes == ["BAD_INPUT"]
        return
    whole = f"{{ workOrders(first: 60, orderBy: [{way}]) {{ edges {{ cursor node {{ id }} }} }} }}"
    edges = bank.ask(whole).data["workOrders"]["edges"]
    for i in (0, 17, len(edges) - 1):
        page = f"query ($c: Cursor) {{ workOrders(%s: $c, %s: 3, orderBy: [{way}]) {{ nodes {{ id }} }} }}"
        later = bank.ask(page % ("after", "first"), {"c": edges[i]["cursor"]}).data["workOrders"]["nodes"]
        earlier = bank.ask(page % ("before", "last"), {"c": edges[i]["cursor"]}).data["workOrders"]["nodes"]
        assert later == [edge["node"] for edge in edges[i + 1 : i + 4]]
        assert earlier == [edge["node"] for edge in edges[max(i - 3, 0) : i]]


def test_a_cursor_holds_for_its_list_and_order_only(bank: Bank) -> None:
    cursor = bank.ask("{ workOrders(first: 1) { pageInfo { endCursor } } }").data["workOrders"]["pageInfo"][
        "endCursor"
    ]
    assert both_ways(
        bank,
        "query ($c: Cursor) { a: workOrders(after: $c, orderBy: [NUMBER_DESC]) { totalCount } }",
        {"c": cursor},
    ) == ["BAD_CURSOR"]
    assert both_ways(
        bank, "query ($c: Cursor) { a: activities(after: $c) { totalCount } }", {"c": cursor}
    ) == ["BAD_CURSOR"]
    again = "query ($c: Cursor) { a: workOrders(after: $c, orderBy: [NUMBER_ASC]) { totalCount } }"
    assert bank.ask(again, {"c": cursor}).planned


def _signed(bank: Bank, *values: Any) -> str:
    cursor = bank.ask("{ workOrders(first: 1) { pageInfo { endCursor } } }").data["workOrders"]["pageInfo"][
        "endCursor"
    ]
    return base64.b64encode(json.dumps([json.loads(base64.b64decode(cursor))[0], *values]).encode()).decode()


@pytest.mark.parametrize(
    "made_up",
    [
        "",
        "x",
        "é",
        "bm9wZQ==",
        "W10=",
        "eyJhIjoxfQ==",
        base64.b64encode(b"[" * 100_000).decode(),
        "\ud800",
        "\0",
    ],
)
def test_what_is_no_cursor_is_refused(bank: Bank, made_up: str) -> None:
    document = "query ($c: Cursor) { a: workOrders(before: $c) { totalCount } }"
    assert both_ways(bank, document, {"c": made_up}) == ["BAD_CURSOR"]


@pytest.mark.parametrize(
    "values", [("WO-1",), ("WO-1", "x"), ("WO-1", None), ("WO-1", 5), (1, 2, 3), ("WO-1", {"a": 1})]
)
def test_a_forged_cursor_is_refused(bank: Bank, values: tuple[Any, ...]) -> None:
    document = "query ($c: Cursor) { a: workOrders(after: $c) { nodes { id } } }"
    assert both_ways(bank, document, {"c": _signed(bank, *values)}) == ["BAD_CURSOR"]


@pytest.mark.parametrize(
    "arguments", ["first: -1", "first: 101", "last: 101", "first: 1, last: 1", "first: 1000000"]
)
def test_a_page_size_beyond_the_viewers_is_refused(bank: Bank, arguments: str) -> None:
    document = f"{{ a: workOrders({arguments}) {{ totalCount }} }}"
    assert both_ways(bank, document, viewer=STAFF) == ["BAD_PAGE_SIZE"]


def test_an_integrator_has_larger_pages(bank: Bank) -> None:
    document = "{ workOrders(first: 500) { nodes { id } } }"
    assert len(bank.ask(document, viewer=CHIEF).data["workOrders"]["nodes"]) > 20
    assert bank.ask(document, viewer=replace(CHIEF, page_limit=499)).codes == ["BAD_PAGE_SIZE"]


def test_without_a_size_a_page_has_twenty_rows(bank: Bank) -> None:
    assert len(bank.ask("{ workOrders { nodes { id } } }").data["workOrders"]["nodes"]) == 20


def test_nested_pages_multiply_up_to_ten_thousand_rows(bank: Bank) -> None:
    document = (
        "query ($n: Int) { a: activities(first: $n) { nodes { workOrders(first: %d) { nodes { id } } } } }"
    )
    assert bank.ask(document % 20, {"n": 500}).planned
    assert both_ways(bank, document % 21, {"n": 500}) == ["LIMIT_EXCEEDED"]


FILTERS = "query ($f: WorkOrderFilter) { a: workOrders(filter: $f) { totalCount } }"


def _deep(depth: int) -> dict[str, Any]:
    return {"not": _deep(depth - 1)} if depth > 1 else {"isUrgent": {"eq": True}}


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (_deep(5), _deep(6)),
        ({"priority": {"in": [1] * 100}}, {"priority": {"in": [1] * 101}}),
        ({"similarIds": {"hasSome": ["x"] * 100}}, {"similarIds": {"hasSome": ["x"] * 101}}),
        ({"or": [{"priority": {"eq": 1}}] * 49}, {"or": [{"priority": {"eq": 1}}] * 50}),
    ],
)
def test_a_filter_has_limits(bank: Bank, within: dict[str, Any], beyond: dict[str, Any]) -> None:
    assert bank.ask(FILTERS, {"f": within}).planned
    assert both_ways(bank, FILTERS, {"f": beyond}) == ["LIMIT_EXCEEDED"]


def test_an_order_has_at_most_five_keys(bank: Bank) -> None:
    document = "query ($o: [WorkOrderOrder!]) { a: workOrders(orderBy: $o) { totalCount } }"
    assert bank.ask(document, {"o": ["NUMBER_ASC"] * 5}).planned
    assert both_ways(bank, document, {"o": ["NUMBER_ASC"] * 6}) == ["LIMIT_EXCEEDED"]


@pytest.mark.parametrize("given", [{"name": {"eq": None}}, {"name": None}, {}, {"and": None}, {"and": []}])
def test_a_null_in_a_filter_says_nothing(bank: Bank, given: dict[str, Any]) -> None:
    assert bank.ask(FILTERS, {"f": given}).data == bank.ask("{ a: workOrders { totalCount } }").data


def test_a_list_is_filtered_by_its_members(bank: Bank) -> None:
    key = next(row["similar_ids"][0] for row in bank.rows["work_orders"] if len(row["similar_ids"] or ()) > 1)
    ids = [f"act_{key.hex}", f"wo_{key.hex}", "none"]
    visible = [row for row in bank.rows["work_orders"] if row["unit"] in CHIEF.units]
    having = sum(key in (row["similar_ids"] or ()) for row in visible)
    count = lambda compare: bank.ask(FILTERS, {"f": {"similarIds": compare}}).data["a"]["totalCount"]  # noqa: E731
    assert having > 0
    assert [count({"has": id}) for id in ids] == [having, 0, 0]
    assert (count({"hasSome": ids}), count({"hasSome": ids[1:]}), count({"hasSome": []})) == (having, 0, 0)
    assert count({"isNull": True}) == sum(row["similar_ids"] is None for row in visible)


def test_no_alternative_matches_nothing(bank: Bank) -> None:
    assert bank.ask(FILTERS, {"f": {"or": []}}).data == {"a": {"totalCount": 0}}


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "lone \udfff in 中文"])
@pytest.mark.parametrize(
    "compare", [lambda t: {"eq": t}, lambda t: {"in": ["x", t]}, lambda t: {"contains": t}]
)
def test_text_that_no_database_holds_is_bad_input(bank: Bank, text: str, compare: Any) -> None:
    assert both_ways(bank, FILTERS, {"f": {"name": compare(text)}}) == ["BAD_INPUT"]


def test_what_is_masked_cannot_be_filtered_by(bank: Bank) -> None:
    document = 'query { a: activities(filter: {not: {or: [{phone: {eq: "13800001234"}}]}}) { totalCount } }'
    assert both_ways(bank, document, viewer=STAFF) == ["FORBIDDEN"]
    assert bank.ask(document, viewer=CHIEF).planned


def test_a_refusal_nulls_its_own_root_only(bank: Bank) -> None:
    known = "act_" + bank.rows["activities"][0]["id"].hex
    document = """query ($id: ID!) { serverName
        a: activity(id: $id) { children(first: -1) { totalCount } } b: costTypes { totalCount } }"""
    answer = bank.ask(document, {"id": known})
    assert answer.data == {"serverName": "cardinal", "a": None, "b": {"totalCount": 6}}
    assert [(error["path"], error["extensions"]) for error in answer.errors] == [
        (["a"], {"code": "BAD_PAGE_SIZE"})
    ]


def test_each_choice_of_a_box_has_its_own_rows(bank: Bank) -> None:
    document = "query ($b: InboxBox!) { approvalInbox(box: $b, first: 500) { nodes { level state actor } } }"
    rows = {
        box: bank.ask(document, {"b": box}, CHIEF).data["approvalInbox"]["nodes"]
        for box in ("TO_DO", "DONE", "IN_MY_UNITS")
    }
    assert {row["state"] for row in rows["TO_DO"]} == {"PENDING"}
    assert {row["level"] for row in rows["TO_DO"]} == {"research", "technology"}
    assert {row["actor"] for row in rows["DONE"]} == {"rao"}
    assert 0 < len(rows["IN_MY_UNITS"]) < len(bank.rows["approvals"])
    assert bank.ask("{ approvalInbox { totalCount } }").codes == ["BAD_INPUT"]
