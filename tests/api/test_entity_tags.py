"""304 is never wrong: whatever may change an answer changes its tag, and what can't does not."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from graphql import GraphQLObjectType

from api.entity_tags import POSITIONS, EntityTags, matches
from api.planner.declared import origin, read_fields
from api.planner.reads import Prepared
from api.planner.requests import Viewer
from api.schema import schema
from infrastructure.projection_registry import PROJECTION_OF
from tests.api.house import House, running_house

NAMES = "query Names($n: Int) { costTypes(first: $n) { nodes { name } } }"
BUDGETS = "{ activities { nodes { name budget { amount } } } }"


@pytest.fixture(scope="module")
def house(make_database: Callable[..., str], migrated_template: str) -> Iterator[House]:
    with running_house(make_database(migrated_template)) as running:
        yield running


def get(house: House, user: str, query: str, tag: str = "", **options: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {user}", **options.pop("headers", {})}
    if tag:
        headers["if-none-match"] = tag
    texts = {name: orjson.dumps(value).decode() for name, value in options.items()}
    return house.client.get("/graphql", params={"query": query, **texts}, headers=headers)


def add(house: House, code: str) -> Any:
    return house.done("operator", "addCostType", "costType { id version }", code=code, name=f"Name {code}",
                      accountingSubject="1", unit="CNY")  # fmt: skip


def test_an_unchanged_answer_is_not_sent_again(house: House) -> None:
    """api.md 9"""
    first = get(house, "auditor", NAMES, variables={"n": 50})
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    assert first.headers["cache-control"] == "private, no-cache"
    assert {part.strip() for part in first.headers["vary"].split(",")} >= {
        "Authorization", "Accept", "Accept-Language"
    }  # fmt: skip
    for given in (tag, tag.removeprefix("W/"), f'"other", {tag}', f'W/"a",{tag}'):
        again = get(house, "auditor", NAMES, given, variables={"n": 50})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["x-request-id"]
    same = get(house, "auditor", NAMES, variables={"n": 50}).json()
    assert same["data"] == first.json()["data"]


@pytest.mark.parametrize("given", ["*", '""', "W/", "nonsense", '"', ", ,", "W/" * 1_000])
def test_what_is_no_tag_of_the_answer_gets_the_answer(house: House, given: str) -> None:
    assert get(house, "auditor", NAMES, given, variables={"n": 50}).status_code == 200


@pytest.mark.parametrize(
    "other",
    [
        {"user": "operator"},
        {"user": "branch"},
        {"user": "integrator"},
        {"variables": {"n": 49}},
        {"query": NAMES + " "},
        {"headers": {"accept-language": "zh"}},
        {"headers": {"accept": "application/graphql-response+json"}},
    ],
)
def test_the_tag_of_another_question_or_viewer_is_another(house: House, other: dict[str, Any]) -> None:
    """The tag covers whose rows and fields, variables, document, operation, language and media type."""
    asked = {"user": "auditor", "query": NAMES, "variables": {"n": 50}}
    tag = get(house, **asked).headers["etag"]
    answer = get(house, tag=tag, **{**asked, **other})
    assert answer.status_code == 200
    assert answer.headers["etag"] != tag


def test_two_operations_of_one_document_have_tags_of_their_own(house: House) -> None:
    parameters = {"query": "query A { costTypes { totalCount } } query B { departments { totalCount } }"}
    tags = {
        house.client.get(
            "/graphql",
            params={**parameters, "operationName": name},
            headers={"authorization": "Bearer auditor"},
        ).headers["etag"]
        for name in "AB"
    }
    assert len(tags) == 2


def test_the_same_variables_in_another_order_have_the_same_tag(house: House) -> None:
    query = (
        "query ($a: Int, $b: Int) { x: costTypes(first: $a) { totalCount }"
        " y: costTypes(first: $b) { totalCount } }"
    )
    tags = {
        get(house, "auditor", query, variables=variables).headers["etag"]
        for variables in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    }
    assert len(tags) == 1


def test_after_a_change_the_tag_is_another_at_once_and_shows_the_change(house: House) -> None:
    """Hostile: each change is followed without delay by a request with the tag of before, many times."""
    for number in range(30):
        before = get(house, "auditor", NAMES, variables={"n": 100})
        add(house, f"E-{number}")
        after = get(house, "auditor", NAMES, before.headers["etag"], variables={"n": 100})
        assert after.status_code == 200
        assert f"Name E-{number}" in after.text


def test_a_filter_by_subtree_is_tagged_by_the_tree(house: House) -> None:
    """The tables beside the rows, which are settled after each batch, count too."""
    root = house.done("operator", "addDepartment", "department { id }", code="TAG", name="Tag")["id"]
    selected = "nodes { activityCount children { totalCount } }"
    query = f'{{ departments(filter: {{id: {{eq: "{root}"}}}}) {{ {selected} }} }}'
    tag = get(house, "auditor", query).headers["etag"]
    assert get(house, "auditor", query, tag).status_code == 304
    house.done("operator", "addDepartment", "department { id }", code="TAG-1", name="One", parentId=root)
    answer = get(house, "auditor", query, tag)
    assert answer.json()["data"]["departments"]["nodes"][0]["children"]["totalCount"] == 1


def test_what_happens_elsewhere_leaves_the_tag_as_it_is(house: House) -> None:
    """Positions are those at which a projection changed, not those that it has passed."""
    tag = get(house, "auditor", "{ departments { nodes { name } } }").headers["etag"]
    add(house, "ELSE-1")
    assert get(house, "auditor", "{ departments { nodes { name } } }", tag).status_code == 304
    both = "{ departments { nodes { name } } costTypes { nodes { name } } }"
    tag = get(house, "auditor", both).headers["etag"]
    add(house, "ELSE-2")
    assert get(house, "auditor", both, tag).status_code == 200


def test_masked_fields_are_tagged_apart(house: House) -> None:
    seen = {user: get(house, user, BUDGETS).headers["etag"] for user in ("auditor", "integrator")}
    assert seen["auditor"] != seen["integrator"]
    assert get(house, "integrator", BUDGETS, seen["auditor"]).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "{ workOrders { nodes { elapsedS } } }",
        "{ events(first: 1) { hasMore } }",
        "{ __typename costTypes { totalCount } events(first: 1) { position } }",
        "{ __schema { queryType { name } } }",
        "{ nothing }",
    ],
)
def test_what_hangs_on_the_clock_or_on_more_than_rows_has_no_tag_and_is_not_kept(
    house: House, query: str
) -> None:
    answer = get(house, "auditor", query)
    assert "etag" not in answer.headers, answer.text
    assert ("errors" in answer.json()) is (query == "{ nothing }")
    assert answer.headers["cache-control"] == "no-store"


def test_posted_answers_have_no_tag(house: House) -> None:
    answer = house.client.post(
        "/graphql",
        json={"query": "{ costTypes { totalCount } }"},
        headers={"authorization": "Bearer auditor"},
    )
    assert "etag" not in answer.headers


def test_the_tables_of_every_read_type_have_a_projection() -> None:
    """Else their answers would silently lose their tags."""
    views = [
        origin(type_).__view__
        for type_ in schema._schema.type_map.values()
        if isinstance(type_, GraphQLObjectType) and read_fields(type_) and hasattr(origin(type_), "__view__")
    ]
    assert len(views) > 15
    tables = {name for view in views for name in (view.table, view.versions) if name}
    kept = {name for name in tables if name.startswith("read.")}  # the others no projection keeps
    assert {name.removeprefix("read.") for name in kept} <= PROJECTION_OF.keys()


def test_any_other_schema_or_the_clock_in_a_statement_leaves_it_without_a_tag() -> None:
    tags = EntityTags(None, {"a": "first", "b": "second"}, "1")  # type: ignore[arg-type]
    assert tags.projections("select x from read.a t1 join read.b t2 on true") == {"first", "second"}
    assert tags.projections("select 1") == frozenset()
    for sql in (
        "select x from log.events",
        "select x from read.unknown",
        "select x from\n read.a join  tasks.message m on true",
        "select now() from read.a",
        "select CURRENT_DATE from read.a",
        "select clock_timestamp() from read.a",
    ):
        assert tags.projections(sql) is None, sql


def test_tags_are_compared_weakly() -> None:
    assert matches('W/"x"', '"x"')
    assert matches('W/"x"', ' W/"y" , W/"x"')
    assert not matches('W/"x"', "x")
    assert not matches('W/"x"', "*")
    assert not matches('W/"x"', "")


@pytest.mark.parametrize(
    "other",
    [
        {"user": "wang"},
        {"units": frozenset({"SH"})},
        {"data_units": frozenset({"SH"})},
        {"levels": frozenset()},
        {"permissions": frozenset()},
        {"page_limit": 500},
    ],
)
def test_the_same_question_of_a_viewer_with_another_scope_or_right_has_another_tag(
    other: dict[str, Any],
) -> None:
    """Also of one user, whose rights were changed in between."""
    viewer = Viewer("li", frozenset({"HO", "SH"}), frozenset({"research"}), frozenset({"budget.read"}), 100)

    async def positions(sql: str, parameters: Sequence[object]) -> bytes:
        assert (sql, parameters) == (POSITIONS, [["first"]])
        return b"first 0 7 1"

    async def tagged(viewer: Viewer, release: str) -> str | None:
        tags = EntityTags(positions, {"a": "first"}, release)
        body = {"query": "{ a }", "operationName": None, "variables": {}}
        return await tags.tag(body, viewer, "en", "application/json", Prepared("select 1 from read.a", []))

    first = asyncio.run(tagged(viewer, "1"))
    assert first == asyncio.run(tagged(viewer, "1"))
    assert first != asyncio.run(tagged(replace(viewer, **other), "1"))
    assert first != asyncio.run(tagged(viewer, "2"))
