"""GraphQL over HTTP: whatever is sent, the answer is a 4xx with a code or a proper result."""

import httpx
import pytest

from tests.api.house import House

AUTH = {"authorization": "Bearer auditor"}
QUERY = "{ costTypes(first: 1) { totalCount } }"


def post(house: House, content, **headers) -> httpx.Response:
    sent = {"content-type": "application/json", **AUTH, **headers}
    return house.client.post("/graphql", content=content, headers=sent)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"1", b"null", b"[null]", b"[]", b"{}", b'"x"', b"{", b"\xff\xfe", b'{"query": 1}',
        b'{"query": ""}',
        b'{"query": "{ a }", "variables": []}', b'{"query": "{ a }", "variables": "x"}',
        b'{"query": "{ a }", "operationName": 7}', b'[{"query": "{ __typename }"}]', b"[" * 100_000,
        b'{"query": "\\ud800"}', b'{"query": "{"}', b'{"query": "{ nothing }"}',
        b'{"query": "query A { a } query A { a }"}', b'{"query": "fragment F on Query { ...F } { ...F }"}',
        b'{"query": "{ costTypes(first: \\"x\\") { totalCount } }"}',
    ],
)  # fmt: skip
def test_a_malformed_request_is_a_4xx_with_a_code_and_the_requests_id(house: House, body: bytes) -> None:
    response = post(house, body)
    assert 400 <= response.status_code < 500, response.text
    for error in response.json()["errors"]:
        assert error["extensions"]["code"]
        assert error["extensions"]["requestId"]
        assert error["message"]
    assert "data" not in response.json()


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/json; charset=utf-16", "multipart/form-data"]
)
def test_another_content_type_is_not_taken(house: House, content_type: str) -> None:
    response = post(house, b'{"query": "{ __typename }"}', **{"content-type": content_type})
    assert response.status_code == 415


@pytest.mark.parametrize("token", [None, "", "Basic x", "Bearer", "Bearer nobody", "bearer"])
def test_without_a_good_token_nothing_is_answered(house: House, token: str | None) -> None:
    headers = {"content-type": "application/json"} | ({"authorization": token} if token is not None else {})
    response = house.client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.json()["errors"][0]["extensions"]["code"].startswith("TOKEN_")


def test_the_media_type_of_the_answer_is_negotiated(house: House) -> None:
    body = b'{"query": "{ __typename }"}'
    for accept, media in (
        ("application/graphql-response+json", "application/graphql-response+json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/json;q=0.5, application/graphql-response+json", "application/graphql-response+json"),
    ):
        response = post(house, body, accept=accept)
        assert response.status_code == 200
        assert response.headers["content-type"] == f"{media}; charset=utf-8"
    assert post(house, b'{"query": "{"}', accept="application/graphql-response+json").status_code == 400
    assert post(house, b'{"query": "{"}', accept="application/json").status_code == 200


def test_a_query_may_come_by_get_and_a_mutation_may_not(house: House) -> None:
    found = house.client.get("/graphql", params={"query": QUERY}, headers=AUTH)
    assert found.status_code == 200
    assert "totalCount" in found.text
    mutation = 'mutation { removeCostType(input: {id: "x"}) { position } }'
    refused = house.client.get("/graphql", params={"query": mutation}, headers=AUTH)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert (
        house.client.get("/graphql", params={"query": QUERY, "variables": "{"}, headers=AUTH).status_code
        == 400
    )
    refused = house.client.put("/graphql", content=b"{}", headers=AUTH)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    "document",
    [
        "{ " + " ".join(f"a{n}: __typename" for n in range(1_000)) + " }",
        "{ ...F0 } " + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
        + " fragment F60 on Query { __typename }",
        "{ activityTypes { nodes { " + "children { nodes { " * 20 + "id" + " } }" * 20 + " } } }",
        "{ activities(first: 101) { nodes { id } } }",
        "{ activities(first: -1) { nodes { id } } }",
        '{ activities(after: "nonsense") { nodes { id } } }',
        '{ activities(asOf: {version: 1}) { nodes { id } } }',
        '{ activities(asOf: {version: 1, position: "000000010000000000000000"}) { nodes { id } } }',
        "{ " + "@skip(if: false) " * 100 + " }",
        '{ nodes(ids: [' + '"x",' * 101 + ']) { id } }',
        "{ events(first: 9999) { hasMore } }",
    ],
)  # fmt: skip
def test_what_exceeds_a_limit_or_makes_no_sense_is_told_with_a_code(house: House, document: str) -> None:
    response = house.client.post("/graphql", json={"query": document}, headers=AUTH)
    assert response.status_code < 500
    for error in response.json()["errors"]:
        assert error["extensions"]["code"] != "INTERNAL", error


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
        "'; drop table x; --",
        "%_\\",
        "𝔘" * 500,
    ],
)
def test_hostile_text_in_variables_is_data(house: House, text: str) -> None:
    query = "query ($f: CostTypeFilter) { costTypes(filter: $f) { totalCount } }"
    variables = {"f": {"name": {"contains": text}}}
    response = house.client.post("/graphql", json={"query": query, "variables": variables}, headers=AUTH)
    assert response.status_code < 500
    answer = response.json()
    assert (
        answer.get("data") == {"costTypes": {"totalCount": 0}}
        or answer["errors"][0]["extensions"]["code"] == "BAD_INPUT"
    )


def test_variables_of_too_many_parts_are_refused_before_they_are_judged(house: House) -> None:
    query = "query ($f: CostTypeFilter) { costTypes(filter: $f) { totalCount } }"
    body = {"query": query, "variables": {"f": {"and": [{}] * 20_000}}}
    response = house.client.post("/graphql", json=body, headers=AUTH)
    assert response.status_code == 400
    assert {error["extensions"]["code"] for error in response.json()["errors"]} == {"LIMIT_EXCEEDED"}


def test_text_with_a_nul_is_refused_by_a_mutation(house: House) -> None:
    faults = house.refused(
        "operator", "addCostType", code="N\x00", name="a\x00", accountingSubject="1", unit="CNY"
    )
    assert ("BAD_CHARACTERS", "input.name") in faults


def test_a_reader_can_ask_for_a_position_and_a_far_one_is_not_there_yet(house: House) -> None:
    """api.md 6"""
    position = house.do(
        "operator", "addCostType", code="POS-1", name="Pos", accountingSubject="1", unit="CNY"
    )["position"]
    body = {"query": QUERY, "extensions": {"minPosition": position}}
    for query in (QUERY, f"{QUERY[:-1]} viewer {{ user }} }}"):  # planned, and with a resolver
        answer = house.client.post("/graphql", json={**body, "query": query}, headers=AUTH)
        assert answer.status_code == 200
        told = answer.json()["extensions"]["projection"]
        assert told.keys() == {"position", "lagMs"}
        assert told["position"] >= position
        assert 0 <= told["lagMs"] < 5_000
    bad = {"query": QUERY, "extensions": {"minPosition": "x"}}
    assert house.client.post("/graphql", json=bad, headers=AUTH).status_code == 400


@pytest.mark.parametrize(
    ("document", "user", "said"),
    [
        ('{ costTypes(after: "x") { totalCount } }', "auditor", "游标不属于该名单。（the cursor does not"),
        ("{ costTypes(first: 1000) { totalCount } }", "auditor", "每页条数超出范围。（give first or last"),
        ("{ users { totalCount } }", "operator", "您没有此操作的权限；有权的角色：auditor (HO)"),
        (
            "{ budgets(filter: {thresholdPercent: {eq: 1}}) { totalCount } }",
            "integrator",
            "有权的角色：operator,",
        ),
        ("{ nothing }", "auditor", "请求格式不正确。（Cannot query field"),
    ],
)
def test_what_is_wrong_with_a_document_is_told_to_chinese_readers_too(
    house: House, document: str, user: str, said: str
) -> None:
    """api.md 3"""
    answer = house.answer(user, document, {"accept-language": "zh-CN"})
    assert said in answer["errors"][0]["message"]
    english = house.answer(user, document)["errors"][0]["message"]
    assert english.isascii()


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("query a { __typename } mutation b { __typename }", "OPERATION_UNCLEAR"),
        ("mutation a { __typename } mutation b { __typename }", "OPERATION_UNCLEAR"),
        ("subscription { events { id } }", "SUBSCRIBE_BY_WEBSOCKET"),
        ('{ activities(filter: {startsAt: {gt: "2027-02-20T00:00:00"}}) { totalCount } }', "BAD_INPUT"),
        ('{ activities(filter: {startsAt: {gt: "2027-02-30T00:00:00Z"}}) { totalCount } }', "BAD_INPUT"),
        ('{ events(after: "x") { hasMore } }', "BAD_INPUT"),
        ('{ timeline(filter: {sequence: {gt: "99999999999999999999"}}) { totalCount } }', "BAD_INPUT"),
    ],
)
def test_a_slip_in_a_document_is_the_clients_and_told_so(house: House, document: str, code: str) -> None:
    response = house.client.post("/graphql", json={"query": document}, headers=AUTH)
    assert response.status_code == 400
    assert {error["extensions"]["code"] for error in response.json()["errors"]} == {code}


def test_a_key_with_several_mutations_is_refused_and_none_of_them_done(house: House) -> None:
    kind = house.done("operator", "addCostType", "costType { id version }", code="KEY-1", name="Key 1",
                      accountingSubject="1", unit="CNY")  # fmt: skip
    document = f'''mutation {{ a: disableCostType(input: {{id: "{kind["id"]}"}}) {{ position }}
        b: enableCostType(input: {{id: "{kind["id"]}"}}) {{ position }} }}'''
    headers = {"authorization": "Bearer operator", "idempotency-key": "k"}
    answer = house.client.post("/graphql", json={"query": document}, headers=headers).json()
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"KEY_FOR_ONE"}
    query = "query ($id: ID!) { costType(id: $id) { version } }"
    assert house.data("auditor", query, id=kind["id"])["costType"]["version"] == kind["version"]


def enabling(*keys: str) -> str:
    return "mutation ($i: EntryInput!) {" + " ".join(
        f'm{number}: enableCostType(input: $i) @idempotent(key: "{key}") {{ position userErrors {{ code }} }}'
        for number, key in enumerate(keys)
    ) + "}"  # fmt: skip


def test_a_directive_gives_each_mutation_of_a_document_its_key(house: House) -> None:
    """api.md 5: the same key and input get the same answer, another input is refused, a header agrees."""
    kind = house.done("operator", "addCostType", "costType { id version }", code="KEY-2", name="Key 2",
                      accountingSubject="1", unit="CNY")  # fmt: skip
    given = {"id": kind["id"], "expectedVersion": 1}
    document = """mutation ($i: EntryInput!, $k: String!) {
        a: disableCostType(input: $i) @idempotent(key: $k) { position userErrors { code } }
        b: enableCostType(input: {id: "ct_x"}) @idempotent(key: $k) { userErrors { code } }
    }"""
    answers = [house.answer("operator", document, i=given, k="k-2")["data"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["a"]["userErrors"] == []
    assert answers[0]["b"]["userErrors"] == [{"code": "NOT_FOUND"}]
    other = house.answer("operator", document, i={**given, "expectedVersion": 2}, k="k-2")["data"]
    assert other["a"]["userErrors"] == [{"code": "KEY_REUSED"}]
    alone = document.replace("b: ", "# ")
    same = house.answer("operator", alone, {"idempotency-key": "k-2"}, i=given, k="k-2")
    assert same["data"]["a"] == answers[0]["a"]
    empty = house.answer("operator", alone, i=given, k="")["data"]["a"]
    assert empty["userErrors"] == [{"code": "BAD_KEY"}]


@pytest.mark.parametrize(
    ("document", "headers", "code"),
    [
        (enabling("a"), [("idempotency-key", "b")], "KEYS_DIFFER"),
        (enabling("a", "b"), [("idempotency-key", "a")], "KEY_FOR_ONE"),
        (enabling("a", "b").replace("m1", "m0"), [], "KEYS_DIFFER"),
        (enabling("a"), [("idempotency-key", "a"), ("idempotency-key", "a")], "BAD_REQUEST"),
        (enabling("a").replace("{ position", '{ position @idempotent(key: "a")'), [], "BAD_INPUT"),
        ('query ($i: EntryInput) { costTypes @idempotent(key: "a") { totalCount } }', [], "BAD_INPUT"),
        (enabling("a").replace('"a"', "null"), [], "BAD_INPUT"),
    ],
)
def test_two_keys_or_one_in_the_wrong_place_do_nothing(
    house: House, document: str, headers: list[tuple[str, str]], code: str
) -> None:
    """api.md 5"""
    before = len(house.appended)
    sent = {"query": document, "variables": {"i": {"id": "ct_x"}}}
    given = [("authorization", "Bearer operator"), *headers]
    answer = house.client.post("/graphql", json=sent, headers=given).json()
    assert code in {error["extensions"]["code"] for error in answer["errors"]}, answer
    assert not any((answer.get("data") or {}).values())
    assert len(house.appended) == before


def test_introspection_and_every_description(house: House) -> None:
    found = house.data("integrator", "{ __schema { mutationType { fields { name description } } } }")
    assert all(field["description"] for field in found["__schema"]["mutationType"]["fields"])
