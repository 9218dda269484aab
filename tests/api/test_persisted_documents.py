"""Documents by their sha256: registered by command, remembered by a process, the only ones for some roles."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner
from websockets.sync.client import connect

from api.main import cardinal
from application.access import Role
from tests.api.house import House, running_house

COUNT = "query Count { costTypes(first: 1) { totalCount } }"
NAMES = "query Names($n: Int) { costTypes(first: $n) { nodes { name } } }"
REMOVE = "mutation Remove($i: EntryInput!) { removeCostType(input: $i) { position } }"
SECRET = "query Secret { approvals { totalCount } }"
BOUND = frozenset({Role.OPERATOR, Role.RESEARCHER})


def hashed(source: str) -> str:
    return sha256(source.encode()).hexdigest()


@pytest.fixture(scope="module")
def url(make_database: Callable[..., str], migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def house(url: str) -> Iterator[House]:
    """Operators and researchers run registered documents only; all but SECRET are registered."""
    with running_house(url, registered_only=BOUND) as running:
        yield running


def command(url: str, *arguments: str) -> Any:
    return CliRunner().invoke(cardinal, ["documents", *arguments], env={"DATABASE_URL": url})


def written(folder: Path, *sources: str, **more: Any) -> str:
    file = folder / "persisted.json"
    file.write_bytes(orjson.dumps({hashed(source): source for source in sources} | more))
    return str(file)


@pytest.fixture(scope="module", autouse=True)
def registered(url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = written(tmp_path_factory.mktemp("deploy"), COUNT, NAMES, REMOVE)
    assert command(url, "register", file).output == "3 new documents; 0 were registered before.\n"
    assert command(url, "register", file).output == "0 new documents; 3 were registered before.\n"
    named = orjson.loads(Path(file).read_bytes())
    Path(file).write_bytes(orjson.dumps({f"sha256:{digest}": source for digest, source in named.items()}))
    assert command(url, "register", file).output == "0 new documents; 3 were registered before.\n"


def get(house: House, user: str, **parameters: Any) -> httpx.Response:
    texts = {name: v if isinstance(v, str) else orjson.dumps(v).decode() for name, v in parameters.items()}
    return house.client.get("/graphql", params=texts, headers={"authorization": f"Bearer {user}"})


def post(house: House, user: str, **body: Any) -> httpx.Response:
    return house.client.post("/graphql", json=body, headers={"authorization": f"Bearer {user}"})


def apollo(digest: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": digest}}


def code(answer: httpx.Response) -> str:
    (error,) = answer.json()["errors"]
    told: str = error["extensions"]["code"]
    return told


def test_a_registered_document_is_run_by_its_digest_by_get_and_post_in_both_wire_formats(
    house: House,
) -> None:
    """api.md 9"""
    for named in (
        {"extensions": apollo(hashed(NAMES))},
        {"documentId": f"sha256:{hashed(NAMES)}"},
        {"documentId": hashed(NAMES).upper()},
    ):
        for ask in (get, post):
            answer = ask(house, "operator", variables={"n": 2}, operationName="Names", **named)
            assert answer.json()["data"] == {"costTypes": {"nodes": []}}, answer.text


def test_a_mutation_goes_by_digest_too_but_never_by_get(house: House) -> None:
    variables = {"i": {"id": "ct_x"}}
    assert "data" in post(house, "operator", documentId=hashed(REMOVE), variables=variables).json()
    refused = get(house, "operator", documentId=hashed(REMOVE), variables=variables)
    assert (refused.status_code, code(refused)) == (405, "METHOD_NOT_ALLOWED")


def test_members_of_bound_roles_run_nothing_that_is_not_registered(house: House) -> None:
    """api.md 9"""
    for user in ("operator", "researcher", "branch"):
        assert post(house, user, query=COUNT).status_code == 200, "what is registered may be sent whole"
        for query in (SECRET, COUNT + " ", "{ __schema { types { name } } }", "{ syntax", "{ nothing }"):
            refused = post(house, user, query=query)
            assert (refused.status_code, code(refused)) == (403, "DOCUMENT_NOT_REGISTERED")
    assert post(house, "auditor", query=SECRET).status_code == 200


def test_who_has_another_role_besides_may_ask_for_anything() -> None:
    from api.persisted_documents import PersistedDocuments
    from tests.api.house import principal

    documents = PersistedDocuments(None, BOUND)  # type: ignore[arg-type]
    both = principal("operator")
    assert documents.is_bound(both)
    from dataclasses import replace

    assert not documents.is_bound(replace(both, roles=both.roles | {Role.INTEGRATOR}))
    assert not PersistedDocuments(None).is_bound(replace(both, roles=frozenset()))  # type: ignore[arg-type]


def test_a_process_remembers_what_came_with_its_digest_but_not_for_bound_roles(house: House) -> None:
    """Automatic persisted queries: miss, send, hit. Both words and code are Apollo's."""
    extensions = apollo(hashed(SECRET))
    for ask, accept, status in (
        (get, "application/json", 200),
        (post, "application/graphql-response+json", 400),
    ):
        house.client.headers["accept"] = accept
        missed = ask(house, "auditor", extensions=extensions)
        assert (missed.status_code, code(missed)) == (status, "PERSISTED_QUERY_NOT_FOUND")
        assert missed.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    house.client.headers["accept"] = "*/*"
    assert post(house, "auditor", query=SECRET, extensions=extensions).status_code == 200
    assert get(house, "auditor", extensions=extensions).json()["data"] == {"approvals": {"totalCount": 0}}
    assert code(get(house, "operator", extensions=extensions)) == "PERSISTED_QUERY_NOT_FOUND"


def test_a_document_that_is_not_valid_is_not_remembered(house: House) -> None:
    bad = "{ nothing }"
    assert post(house, "auditor", query=bad, extensions=apollo(hashed(bad))).status_code == 400
    assert code(post(house, "auditor", extensions=apollo(hashed(bad)))) == "PERSISTED_QUERY_NOT_FOUND"


def test_a_digest_of_another_document_is_refused_and_nothing_is_remembered_under_it(house: House) -> None:
    other = hashed("query Other { __typename }")
    for named in ({"extensions": apollo(other)}, {"documentId": other}):
        refused = post(house, "auditor", query=COUNT, **named)
        assert (refused.status_code, code(refused)) == (400, "DOCUMENT_HASH_MISMATCH")
    assert code(get(house, "auditor", documentId=other)) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    "named",
    [
        {"documentId": "md5:abc"}, {"documentId": "a" * 63}, {"documentId": "../etc"}, {"documentId": 7},
        {"extensions": {"persistedQuery": 1}}, {"extensions": {"persistedQuery": {"version": 2}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": None}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "é" * 64}}},
    ],
)  # fmt: skip
def test_what_is_no_sha256_is_a_malformed_request(house: House, named: dict[str, Any]) -> None:
    for body in (named, {"query": COUNT, **named}):
        refused = post(house, "auditor", **body)
        assert (refused.status_code, code(refused)) == (400, "BAD_REQUEST")


def test_a_websocket_is_held_to_the_same_documents(house: House) -> None:
    with connect(f"ws://{house.url}/graphql", subprotocols=["graphql-transport-ws"]) as socket:
        socket.send('{"type": "connection_init", "payload": {"authorization": "Bearer operator"}}')
        assert orjson.loads(socket.recv())["type"] == "connection_ack"

        def told(query: str) -> Any:
            message = {"type": "subscribe", "id": hashed(query)[:8], "payload": {"query": query}}
            socket.send(orjson.dumps(message).decode())
            return orjson.loads(socket.recv())

        (error,) = told("subscription { events { id } }")["payload"]
        assert error["extensions"]["code"] == "DOCUMENT_NOT_REGISTERED"
        assert told(COUNT)["payload"]["data"] == {"costTypes": {"totalCount": 0}}


def test_a_withdrawn_document_is_gone_within_a_minute(
    house: House, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = "query Short { departments { totalCount } }"
    command(url, "register", written(tmp_path, short))
    monkeypatch.setattr("api.persisted_documents.KEPT_S", 0.0)
    assert get(house, "operator", documentId=hashed(short)).status_code == 200
    assert hashed(short) in command(url, "list").output
    assert command(url, "withdraw", hashed(short)).output == "1 withdrawn.\n"
    assert code(get(house, "operator", documentId=hashed(short))) == "PERSISTED_QUERY_NOT_FOUND"
    assert hashed(short) not in command(url, "list").output


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({hashed(COUNT): NAMES}, "this is not the document's sha256"),
        ({hashed("{ nothing }"): "{ nothing }"}, "Cannot query field 'nothing'"),
        ({hashed("{"): "{"}, "Syntax Error"),
        ({hashed("{ a: " + "x" * 60_000): "{ a: " + "x" * 60_000}, "more than 50000 characters"),
        ({hashed(SECRET): 7}, "is no map of documents"),
    ],
)
def test_a_file_with_one_bad_document_registers_none(
    url: str, tmp_path: Path, more: dict[str, Any], fault: str
) -> None:
    good = "query Good { activities { totalCount } }"
    refused = command(url, "register", written(tmp_path, good, **more))
    assert fault in str(refused.exception)
    assert hashed(good) not in command(url, "list").output
