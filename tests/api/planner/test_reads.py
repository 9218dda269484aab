"""Answers ahead of strawberry and within it: one statement, kept plans, payloads, malformed input."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from api.planner.reads import Kept, Reads
from api.planner.values import SCALARS
from tests.api.planner.conftest import CHIEF, STAFF, Bank
from tests.api.planner.sample import Query


def known(bank: Bank, visible: bool = True) -> str:
    row = next(row for row in bank.rows["activities"] if (row["unit"] in CHIEF.units) == visible)
    return f"act_{row['id'].hex}"


def test_all_roots_are_one_statement(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    one = bank.reads.one

    async def counted(sql: str, parameters: Any) -> bytes:
        statements.append(sql)
        return await one(sql, parameters)

    monkeypatch.setattr(bank.reads, "one", counted)
    document = """{ activities { nodes { workOrders { nodes { approvals { totalCount } } } } }
        costTypes { totalCount } }"""
    assert bank.ask(document).planned
    assert len(statements) == 1


def test_the_page_of_the_planner_shows_its_sql(bank: Bank) -> None:
    page = (Path(__file__).parents[3] / "docs" / "planner.md").read_text()
    query, sql = (page.split(f"```{kind}\n")[1].split("```")[0] for kind in ("text", "sql"))
    prepared = bank.reads.prepared({"query": query, "variables": {"n": 2}}, STAFF)
    assert prepared is not None
    assert re.sub(r"\s", "", prepared.sql) == re.sub(r"\s", "", sql)


def test_viewers_who_differ_in_what_no_field_asks_for_share_a_plan(bank: Bank) -> None:
    for more in ("budget.read", "phone.read", "other", "another"):
        permissions = frozenset({"budget.read", "phone.read", more})
        assert bank.ask(
            "{ activities { totalCount } }", viewer=replace(CHIEF, permissions=permissions)
        ).planned
    assert len(bank.reads._plans.values) == 1


def test_a_plan_of_one_viewer_never_shows_what_another_may_not_see(bank: Bank) -> None:
    document = "{ activities(first: 100) { nodes { id budget { amount } phone } } }"
    for _ in range(3):
        seen = bank.ask(document, viewer=CHIEF).data["activities"]["nodes"]
        hidden = bank.ask(document, viewer=STAFF).data["activities"]["nodes"]
        assert any(node["budget"] for node in seen)
        assert any(node["phone"] for node in seen)
        assert all(node["budget"] is None and node["phone"] is None for node in hidden)
        assert {node["id"] for node in hidden} < {node["id"] for node in seen}


def test_viewers_with_the_same_permissions_share_a_plan_and_not_their_rows(bank: Bank) -> None:
    document = "{ activities { totalCount } }"
    counts = {
        unit: bank.ask(document, viewer=replace(CHIEF, units=frozenset({unit}))).data["activities"][
            "totalCount"
        ]
        for unit in ("north", "south", "nowhere")
    }
    rows = [row["unit"] for row in bank.rows["activities"]]
    assert counts == {"north": rows.count("north"), "south": rows.count("south"), "nowhere": 0}
    assert len(bank.reads._plans.values) == 1


def test_each_combination_of_conditions_has_its_plan(bank: Bank) -> None:
    document = """query ($a: Boolean!, $b: Boolean = true) {
        costTypes(first: 1) { totalCount @include(if: $a) nodes @skip(if: $b) { code } } }"""
    assert bank.ask(document, {"a": True}).data == {"costTypes": {"totalCount": 6}}
    assert bank.ask(document, {"a": False}).data == {"costTypes": {}}
    assert set(bank.ask(document, {"a": False, "b": False}).data["costTypes"]) == {"nodes"}
    assert len(bank.reads._plans.values) == 3


def test_what_was_used_last_is_kept_up_to_a_weight() -> None:
    kept: Kept[str] = Kept(10)
    made: list[str] = []

    def get(key: str, weight: int) -> str:
        return kept.get(key, lambda: (made.append(key) or key, weight))  # type: ignore[func-returns-value]

    assert [get("a", 4), get("b", 4), get("a", 4), get("c", 4)] == ["a", "b", "a", "c"]
    assert list(kept.values) == ["a", "c"]
    assert get("huge", 11) == "huge"
    assert (list(kept.values), kept.weight) == ([], 0)
    assert made == ["a", "b", "c", "huge"]


def test_an_object_may_have_more_members_than_a_function_has_arguments(bank: Bank) -> None:
    fields = " ".join(f"a{i}: code" for i in range(55))
    rest = "id code title unit status points version isActive rate createdAt startsOn"
    answer = bank.ask(f"{{ activities(first: 1) {{ nodes {{ {fields} {rest} }} }} }}")
    assert answer.planned
    assert len(answer.data["activities"]["nodes"][0]) == 66


def test_an_answer_stays_json_where_a_value_has_no_usual_text(bank: Bank, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update read.activities set created_at = 'infinity', starts_on = '-infinity', rate = 'NaN'"
        )
    answer = bank.ask("{ activities(first: 1) { nodes { createdAt startsOn rate } pageInfo { endCursor } } }")
    assert answer.data["activities"]["nodes"] == [
        {"createdAt": "infinity", "startsOn": "-infinity", "rate": "NaN"}
    ]


# --- Payloads -------------------------------------------------------------

TOUCH = """mutation ($id: ID!, $n: Int) { touch(id: $id) { ok position price { amount currency }
    activity { id status budget { amount } rule { isCapped } extra
    workOrders(first: $n) { nodes { label } } } } }"""


def test_a_mutations_payload_shows_the_row_that_its_resolver_names(bank: Bank) -> None:
    for row in bank.rows["activities"]:
        if row["unit"] in CHIEF.units:
            id = f"act_{row['id'].hex}"
            payload = bank.ask(TOUCH, {"id": id, "n": 3}).data["touch"]
            document = "query ($id: ID!, $n: Int) {" + TOUCH[TOUCH.index("activity {") : -4].replace(
                "activity", "activity(id: $id)"
            )
            assert payload["activity"] == bank.ask(document + "}", {"id": id, "n": 3}).data["activity"]
            assert payload["ok"] is True
            assert payload["price"] == {"amount": "1.50", "currency": "CNY"}
            assert payload["position"] == "00000001000000000000000a"


def test_a_payload_without_a_row_or_with_one_out_of_sight_is_null(bank: Bank) -> None:
    assert bank.ask(TOUCH, {"id": "none"}).data["touch"]["activity"] is None
    answer = bank.ask(TOUCH, {"id": known(bank, visible=False)})
    assert (answer.data["touch"]["ok"], answer.data["touch"]["activity"]) == (True, None)


def test_a_payload_masks_as_a_query_does(bank: Bank) -> None:
    rows = (
        row for row in bank.rows["activities"] if row["unit"] == "north" and row["budget_minor"] is not None
    )
    id = f"act_{next(rows)['id'].hex}"
    assert bank.ask(TOUCH, {"id": id}, CHIEF).data["touch"]["activity"]["budget"] is not None
    assert bank.ask(TOUCH, {"id": id}, STAFF).data["touch"]["activity"]["budget"] is None


def test_a_subscriptions_payload_is_planned_for_each_event(bank: Bank) -> None:
    ids = [known(bank), "none", known(bank, visible=False)]
    document = "subscription ($ids: [ID!]!) { touches(ids: $ids) { ok activity { id code } } }"

    async def events() -> list[Any]:
        context = {"reads": bank.reads, "viewer": CHIEF}
        stream: Any = await bank.schema.subscribe(document, {"ids": ids}, context)
        return [event.data["touches"] async for event in stream]

    first, none, hidden = bank.runner.run(events())
    assert first["activity"]["id"] == ids[0]
    assert none == {"ok": False, "activity": None}
    assert hidden == {"ok": True, "activity": None}


def test_a_mutation_is_never_answered_ahead(bank: Bank) -> None:
    body = {"query": TOUCH, "variables": {"id": known(bank)}}
    assert bank.runner.run(bank.reads.answer(body, CHIEF)) is None


# --- Malformed input ------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": None},
        {"query": 1},
        {"query": ["{ serverName }"]},
        {"query": "{ costTypes { totalCount } }", "operationName": []},
        {"query": "{ costTypes { totalCount } }", "operationName": "Missing"},
        {"query": "{ costTypes { totalCount } }", "variables": [1]},
        {"query": "query A { costTypes { totalCount } } query B { serverName }"},
        {"query": "{"},
        {"query": ""},
        {"query": "{ nothing }"},
    ],
)
def test_what_is_no_plannable_request_is_left_to_strawberry(bank: Bank, body: dict[str, Any]) -> None:
    assert bank.runner.run(bank.reads.answer(body, CHIEF)) is None


def test_of_several_operations_the_named_one_is_answered(bank: Bank) -> None:
    document = """query A { costTypes { totalCount } } query B { costTypes { nodes { code } } }
        mutation C { touch(id: 1) { ok } }"""
    assert bank.ask(document, operation="A").data == {"costTypes": {"totalCount": 6}}
    assert len(bank.ask(document, operation="B").data["costTypes"]["nodes"]) == 6
    assert bank.ask(document, operation="C").data == {"touch": {"ok": False}}


DEEP: Any = []
for _ in range(600):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ("{ costTypes(first: 2147483648) { totalCount } }", {}),
        ("{ costTypes(first: " + "9" * 5_000 + ") { totalCount } }", {}),
        ("query ($n: Int) { costTypes(first: $n) { totalCount } }", {"n": 2**31}),
        ("query ($n: Int) { costTypes(first: $n) { totalCount } }", {"n": 10**400}),
        ("query ($n: Int) { costTypes(first: $n) { totalCount } }", {"n": float("inf")}),
        ("query ($n: Int) { costTypes(first: $n) { totalCount } }", {"n": "1"}),
        ("query ($f: CostTypeFilter) { costTypes(filter: $f) { totalCount } }", {"f": {"nothing": 1}}),
        ("query ($f: CostTypeFilter) { costTypes(filter: $f) { totalCount } }", {"f": "\ud800"}),
        ('{ activities(filter: {points: {eq: "9223372036854775808"}}) { totalCount } }', {}),
        ('{ activities(filter: {points: {eq: "1e3"}}) { totalCount } }', {}),
        ('{ activities(filter: {rate: {eq: "1e999999999"}}) { totalCount } }', {}),
        ("{ activities(filter: {rate: {eq: 1.5}}) { totalCount } }", {}),
        ('{ activities(filter: {startsOn: {eq: "2026-02-30"}}) { totalCount } }', {}),
        ('{ activities(filter: {startsOn: {eq: "20260201"}}) { totalCount } }', {}),
        ('{ activities(filter: {createdAt: {eq: "2026-01-01T00:00:00"}}) { totalCount } }', {}),
        ('{ activities(filter: {createdAt: {eq: "9999-12-31T23:59:59-14:00"}}) { totalCount } }', {}),
        (
            "query ($s: ActivityStatus) { activities(filter: {status: {eq: $s}}) { totalCount } }",
            {"s": "draft"},
        ),
        ("query ($x: Nothing) { serverName }", {}),
        ('{ node(id: "\ud800") { id } }', {}),
        ("{ \0 }", {}),
        ("\ufeff{", {}),
    ],
)
def test_malformed_input_is_bad_input_and_no_fault(
    bank: Bank, document: str, variables: dict[str, Any]
) -> None:
    for ahead in (True, False):
        answer = bank.ask(document, variables, ahead=ahead)
        assert answer.data is None
        assert set(answer.codes) == {"BAD_INPUT"}


@pytest.mark.parametrize("ahead", [True, False])
def test_variables_without_end_are_beyond_the_limits(bank: Bank, ahead: bool) -> None:
    answer = bank.ask("query ($n: Int) { costTypes(first: $n) { totalCount } }", {"n": DEEP}, ahead=ahead)
    assert answer.data is None
    assert set(answer.codes) == {"LIMIT_EXCEEDED"}


# --- The database ---------------------------------------------------------


def test_an_error_of_the_database_is_no_refusal(bank: Bank, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("drop table read.cost_types")
    with pytest.raises(psycopg.errors.UndefinedTable):
        bank.ask("{ costTypes { totalCount } }")


def test_read_connections_cannot_write(bank: Bank) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        bank.runner.run(bank.reads.one("delete from read.cost_types returning code", []))


def test_many_at_once_do_not_mix_their_answers(bank: Bank) -> None:
    document = "query ($id: ID!) { costTypes(first: 1, filter: {id: {eq: $id}}) { nodes { id } } }"
    ids = [f"ct_{row['id'].hex}" for row in bank.rows["cost_types"]] * 20

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(bank._ask(document, {"id": id}, CHIEF, None, True) for id in ids))

    answers = bank.runner.run(all_at_once())
    assert [answer.data["costTypes"]["nodes"][0]["id"] for answer in answers] == ids


def test_a_schema_without_the_shared_documents_is_refused(bank: Bank) -> None:
    schema = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=SCALARS))
    with pytest.raises(TypeError, match="SharedDocuments"):
        Reads(schema, bank.pool)
