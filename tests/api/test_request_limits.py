"""What one principal may ask for in a running house: points, requests at once, the schema, headers, time."""

import threading
import time
from collections.abc import Callable, Iterator

import httpx
import orjson
import psycopg
import pytest
from websockets.sync.client import connect

from api.rates import RateRules
from application.access import PERMISSIONS, Permission, Principal, Role, units_of
from tests.api.house import UNITS, House, running_house, verify

QUERY = "{ costTypes(first: 1) { totalCount } }"


def reader(token: str | None) -> Principal:
    """`stranger` may read but not see the schema; the others are the sample users."""
    if token != "stranger":
        return verify(token)
    own = PERMISSIONS[Role.AUDITOR] - {Permission.SCHEMA_READ}
    return Principal(token, frozenset(), "HO", units_of("HO", UNITS), system_permissions=own)


@pytest.fixture(scope="module")
def url(make_database: Callable[..., str], migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def small(url: str) -> Iterator[House]:
    """A house whose users have 1,000 points, of which one comes back a second, and two requests at once."""
    from tests.api import house as houses

    before, houses.verify = houses.verify, reader
    try:
        with running_house(url, rates=RateRules(1_000, 1, at_once_max=2, sockets_max=2)) as running:
            yield running
    finally:
        houses.verify = before


def ask(house: House, user: str, query: str = QUERY, **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {user}", **headers}
    return house.client.post("/graphql", json={"query": query}, headers=sent)


def codes(answer: httpx.Response) -> set[str]:
    errors = answer.json()["errors"]
    assert {error["extensions"]["requestId"] for error in errors} == {answer.headers["x-request-id"]}
    return {error["extensions"]["code"] for error in errors}


def test_each_answer_tells_its_cost_and_an_empty_bucket_is_429_with_a_time(small: House) -> None:
    """api.md 9; planned, with resolvers and refused alike"""
    for query, points in (
        (QUERY, 1),
        ("{ __typename }", 1),
        ("{ events(first: 1) { hasMore } }", 1),
        ("{ nothing }", 10),
        ('mutation { removeCostType(input: {id: "x"}) { position } }', 11),
    ):
        assert ask(small, "auditor", query).json()["extensions"]["cost"]["requested"] == points
    dear = "{ costTypes(first: 100) { nodes { " + "id name code " * 60 + "} } }"
    answers = [ask(small, "auditor", dear) for _ in range(6)]
    last = answers[-1]
    assert (last.status_code, codes(last)) == (429, {"RATE_LIMITED"})
    cost = last.json()["extensions"]["cost"]
    wait_s = int(last.headers["retry-after"])
    assert 0 <= cost["requested"] - cost["available"] - wait_s <= 1, "one point comes back each second"
    assert "data" not in last.json()
    assert ask(small, "operator").status_code == 200, "another's bucket is his own"


def test_the_last_point_bars_what_costs_more_and_pays_what_costs_one(small: House) -> None:
    page = "{ costTypes(first: 100) { nodes { id name } } }"
    while (answer := ask(small, "admin", page)).status_code == 200:
        assert answer.json()["extensions"]["cost"]["requested"] == 4
    assert answer.status_code == 429
    paid = 0
    while ask(small, "admin").status_code == 200:
        paid += 1
    assert paid <= 8
    assert ask(small, "admin", "{ syntax").status_code == 429, "nothing is parsed on credit"


def test_a_websocket_pays_from_the_same_bucket(small: House) -> None:
    with connect(f"ws://{small.url}/graphql", subprotocols=["graphql-transport-ws"]) as socket:
        socket.send('{"type": "connection_init", "payload": {"authorization": "Bearer integrator"}}')
        assert orjson.loads(socket.recv())["type"] == "connection_ack"
        messages = []
        dear = "{ events(first: 100) { edges: events { " + "id type " * 100 + "} } }"
        for number in range(10):
            payload = {"type": "subscribe", "id": str(number), "payload": {"query": dear}}
            socket.send(orjson.dumps(payload).decode())
            messages.append(orjson.loads(socket.recv()))
            if messages[-1]["type"] == "error":
                break
            assert orjson.loads(socket.recv())["type"] == "complete"
    (error,) = messages[-1]["payload"]
    assert error["extensions"]["code"] == "RATE_LIMITED", messages
    assert error["extensions"]["retryAfter"] >= 1
    assert ask(small, "integrator", dear).status_code == 429


def test_a_third_request_at_once_is_refused_and_the_two_are_answered(small: House, url: str) -> None:
    waiting: list[httpx.Response] = []

    def wait() -> None:
        while (answer := ask(small, "branch", "{ departments { totalCount } }")).status_code == 429:
            time.sleep(0.01)  # the probe below was there first
        waiting.append(answer)

    with psycopg.connect(url) as holder:
        holder.execute("lock table read.departments in access exclusive mode")
        threads = [threading.Thread(target=wait) for _ in range(2)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while (refused := ask(small, "branch")).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (refused.status_code, codes(refused)) == (429, {"TOO_MANY_AT_ONCE"})
        assert refused.headers["retry-after"] == "1"
        holder.rollback()
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in waiting] == [200, 200]
    assert ask(small, "branch").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { queryType { name } } }",
        '{ __type(name: "Activity") { fields { name } } }',
        '{ x: __type(name: "Activity") { name } }',
        "{ ...F } fragment F on Query { ... on Query { __schema { types { name } } } }",
        "query a { __typename } query b { __schema { types { name } } }",
    ],
)
def test_who_may_not_read_the_schema_learns_nothing_of_it(small: House, query: str) -> None:
    body = {"query": query, "operationName": "b" if "query b" in query else None}
    sent = {"authorization": "Bearer stranger"}
    answer = small.client.post("/graphql", json=body, headers=sent)
    assert (answer.status_code, codes(answer)) == (403, {"INTROSPECTION_FORBIDDEN"})
    allowed = small.client.post("/graphql", json=body, headers={"authorization": "Bearer researcher"})
    assert allowed.status_code == 200
    assert ask(small, "stranger").status_code == 200


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ activitie { totalCount } }", {}),
        ("{ costTypes(frist: 1) { totalCount } }", {}),
        ("{ costTypes(orderBy: [NAME_AS]) { totalCount } }", {}),
        ("{ costTypes(filter: {nam: {eq: \"x\"}}) { totalCount } }", {}),
        ("query ($f: CostTypeFilte) { costTypes(filter: $f) { totalCount } }", {}),
        ("query ($f: CostTypeFilter) { costTypes(filter: $f) { totalCount } }", {"f": {"nam": {"eq": "x"}}}),
        ("query ($o: [CostTypeOrder!]) { costTypes(orderBy: $o) { totalCount } }", {"o": ["NAME_AS"]}),
        ("{ node(id: \"x\") { ... on Activit { id } } }", {}),
    ],
)  # fmt: skip
def test_suggestions_are_for_those_who_may_read_the_schema(
    small: House, query: str, variables: dict[str, object]
) -> None:
    body = {"query": query, "variables": variables}
    for user, suggests in (("researcher", True), ("stranger", False), ("researcher", True)):
        answer = small.client.post("/graphql", json=body, headers={"authorization": f"Bearer {user}"})
        assert codes(answer) == {"BAD_INPUT"}
        assert ("Did you mean" in answer.text) is suggests, answer.text


def test_too_many_headers_are_431(small: House) -> None:
    many = {f"x-{number}": "1" for number in range(101)}
    long = {f"x-{number}": "y" * 1_000 for number in range(33)}
    for headers in (many, long):
        refused = ask(small, "technologist", QUERY, **headers)
        assert (refused.status_code, codes(refused)) == (431, {"TOO_MANY_HEADERS"})
    assert ask(small, "technologist", QUERY, **dict(list(many.items())[:80])).status_code == 200


def test_a_statement_that_takes_too_long_is_stopped_and_told_so(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that somebody holds stands for the work; 15 s is the limit, here shortened."""
    from api.planner import reads

    assert reads.STATEMENT_TIMEOUT_S == 15
    monkeypatch.setattr(reads, "STATEMENT_TIMEOUT_S", 0.3)
    with running_house(url) as house, psycopg.connect(url) as holder:
        holder.execute("lock table read.cost_types in access exclusive mode")
        for query in (QUERY, "{ costTypes { totalCount } events(first: 1) { hasMore } }"):
            answer = ask(house, "auditor", query)
            assert codes(answer) == {"TOO_SLOW"}, answer.text
        assert ask(house, "auditor").status_code == 503
        holder.rollback()
        assert ask(house, "auditor").status_code == 200
