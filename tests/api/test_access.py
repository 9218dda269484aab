"""Users, logins, programs, delegations and rights to see, through HTTP as their clients do it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from api.planner.views import View
from api.schema import schema
from api.wiring import AccessSettings
from application.access import ACCOUNT_KINDS, DATA_KINDS
from infrastructure.signing_keys import SigningKeys
from tests.api.house import UNITS, House, running_house
from tests.api.subscriber import subscriber
from tests.api.test_points_ledgers import adjustment

PASSWORD = "meadow-lantern-quartz"
KEYS_FOLDER = "signing-keys"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("home")) / KEYS_FOLDER


@pytest.fixture(scope="module")
def house(make_database: Callable[..., str], migrated_template: str, folder: Path) -> Iterator[House]:
    settings = AccessSettings(UNITS, folder, "cardinal")
    with running_house(make_database(migrated_template), access=settings) as running:
        yield running


def profile(unit: str = "HO", *roles: str, **more: Any) -> dict[str, Any]:
    return {"name": "Lin", "orgUnit": unit, "roles": [*(roles or ("OPERATOR",))], **more}


def created(house: House, unit: str = "HO", *roles: str, **more: Any) -> tuple[str, str, str]:
    """Name, id and first password of a new user."""
    name = f"u{uuid4().hex[:10]}"
    made = house.do(
        "admin",
        "createUser",
        "user { id } initialPassword",
        username=name,
        profile=profile(unit, *roles, **more),
    )
    assert made["userErrors"] == [], made
    return name, made["user"]["id"], made["initialPassword"]


def settled(house: House, unit: str = "HO", *roles: str, **more: Any) -> tuple[str, str]:
    """Name and id of a new user who has changed his first password into PASSWORD."""
    name, id_, first = created(house, unit, *roles, **more)
    answer = house.client.post(
        "/password", json={"username": name, "password": first, "newPassword": PASSWORD}
    )
    assert answer.status_code == 204, answer.text
    return name, id_


def login(house: House, name: str, password: str = PASSWORD) -> httpx.Response:
    return house.client.post("/login", json={"username": name, "password": password})


def entered(house: House, name: str) -> dict[str, Any]:
    answer = login(house, name)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def code(answer: httpx.Response) -> str:
    return str(answer.json()["errors"][0]["extensions"]["code"])


def asked(house: House, token: str, document: str = "{ viewer { user } }", **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {token}", **headers}
    return house.client.post("/graphql", json={"query": document}, headers=sent)


def seen(house: House, token: str, document: str, **headers: str) -> Any:
    answer = asked(house, token, document, **headers).json()
    assert "errors" not in answer, answer
    return answer["data"]


# --- Users -------------------------------------------------------------------


def test_a_new_user_must_change_the_first_password_before_he_is_let_in(house: House) -> None:
    """SYS-02, SEC-06"""
    name, _, first = created(house)
    refused = login(house, name, first)
    assert (refused.status_code, code(refused)) == (403, "PASSWORD_CHANGE_REQUIRED")
    answer = house.client.post(
        "/password", json={"username": name, "password": first, "newPassword": PASSWORD}
    )
    assert answer.status_code == 204
    assert code(login(house, name, first)) == "LOGIN_REFUSED"
    viewer = seen(house, entered(house, name)["accessToken"], "{ viewer { user orgUnit roles } }")["viewer"]
    assert viewer == {"user": name, "orgUnit": "HO", "roles": ["operator"]}


def test_a_disabled_users_token_is_refused_at_the_next_call(house: House) -> None:
    """SYS-02: by our own token and by one of another issuer; enabled, he is let in again."""
    name, id_ = settled(house)
    tokens = entered(house, name)
    assert asked(house, tokens["accessToken"]).status_code == 200
    house.done("admin", "disableUser", "user { status }", id=id_, reason="has left")
    refused = asked(house, tokens["accessToken"])
    assert (refused.status_code, code(refused)) == (401, "ACCOUNT_CLOSED")
    assert code(login(house, name)) == "ACCOUNT_CLOSED"
    assert (
        code(house.client.post("/refresh", json={"refreshToken": tokens["refreshToken"]})) == "SESSION_OVER"
    )
    house.done("admin", "enableUser", "user { status }", id=id_)
    assert asked(house, entered(house, name)["accessToken"]).status_code == 200


def test_who_is_disabled_here_is_refused_with_the_issuers_token_too(house: House) -> None:
    """SYS-02"""
    assert (
        house.client.post(
            "/graphql", json={"query": "{ viewer { user } }"}, headers={"authorization": "Bearer operator-77"}
        ).status_code
        == 200
    )
    made = house.done("admin", "createUser", "user { id }", username="operator-77", profile=profile())
    house.done("admin", "disableUser", "user { id }", id=made["id"], reason="has left")
    refused = asked(house, "operator-77")
    assert (refused.status_code, code(refused)) == (401, "ACCOUNT_CLOSED")


def test_a_locked_user_is_let_in_when_he_is_unlocked(house: House) -> None:
    """SYS-02"""
    name, id_ = settled(house)
    token = entered(house, name)["accessToken"]
    house.done("admin", "lockUser", "user { status }", id=id_, reason="lost his badge")
    assert code(asked(house, token)) == "ACCOUNT_CLOSED"
    assert house.done("admin", "unlockUser", "user { status }", id=id_) == {"status": "ACTIVE"}
    assert asked(house, token).status_code == 200


def test_a_reset_password_is_told_once_and_ends_all_sessions(house: House) -> None:
    """SYS-02"""
    name, id_ = settled(house)
    token = entered(house, name)["accessToken"]
    key = uuid4().hex
    first = house.do("admin", "resetPassword", "user { id } initialPassword", key=key, id=id_)
    assert first["initialPassword"]
    again = house.do("admin", "resetPassword", "user { id } initialPassword", key=key, id=id_)
    assert again["initialPassword"] is None
    assert code(asked(house, token)) == "TOKEN_REVOKED"
    assert code(login(house, name)) == "LOGIN_REFUSED"
    assert code(login(house, name, first["initialPassword"])) == "PASSWORD_CHANGE_REQUIRED"


def test_rights_that_are_given_or_taken_hold_at_the_next_call(house: House) -> None:
    """SYS-03"""
    name, id_ = settled(house)
    token = entered(house, name)["accessToken"]
    document = "{ viewer { roles permissions } }"
    assert "activities.plan" in seen(house, token, document)["viewer"]["permissions"]
    house.done("admin", "reviseUser", "user { id }", id=id_, profile=profile("HO", "AUDITOR"))
    viewer = seen(house, token, document)["viewer"]
    assert viewer["roles"] == ["auditor"]
    assert "activities.plan" not in viewer["permissions"]


def test_only_head_office_keeps_accounts(house: House) -> None:
    """SYS-07: a branch's administrator creates nobody; who has no such role sees none of the accounts."""
    branch, _ = settled(house, "SH", "ADMINISTRATOR")
    token = entered(house, branch)["accessToken"]
    mutation = (
        'mutation { createUser(input: {username: "nobody", profile: {name: "N", orgUnit: "SH",'
        " roles: [OPERATOR]}}) { userErrors { code } } }"
    )
    assert code(asked(house, token, mutation)) == "FORBIDDEN"
    assert code(asked(house, token, "{ users { totalCount } }")) == "FORBIDDEN"
    assert house.data("auditor", "{ users { totalCount } }")["users"]["totalCount"] > 0


def test_what_happened_to_accounts_is_told_to_who_reads_accounts_alone(house: House) -> None:
    """SYS-02, SYS-03: in the timeline, by the entry's id, and as a difference of versions."""
    _, id_ = settled(house)
    told = """query ($id: String!) { timeline(filter: {subjectId: {eq: $id}}) { nodes { id } } }"""
    entries = house.data("auditor", told, id=id_)["timeline"]["nodes"]
    assert entries
    assert house.data("operator", told, id=id_) == {"timeline": {"nodes": []}}
    one = "query ($id: ID!) { node(id: $id) { id } historyEntry(id: $id) { id } }"
    assert house.data("operator", one, id=entries[0]["id"]) == {"node": None, "historyEntry": None}
    difference = "query ($id: ID!) { diff(id: $id, since: 0, until: 1) { field } }"
    assert house.data("auditor", difference, id=id_)["diff"]
    refused = house.answer("operator", difference, id=id_)["errors"][0]["extensions"]
    assert (refused["code"], refused["permission"]) == ("FORBIDDEN", "accounts.read")


def test_what_is_wrong_with_a_user_is_told_all_at_once(house: House) -> None:
    given = {"name": " ", "orgUnit": "XX", "roles": [], "dataUnits": ["HO", "YY"]}
    refused = house.refused("admin", "createUser", username="Lin", profile=given)
    assert refused == [
        ("BAD_USERNAME", "input.username"),
        ("REQUIRED", "input.name"),
        ("REQUIRED", "input.roles"),
        ("UNIT_NOT_YOURS", "input.dataUnits.1"),
        ("UNIT_NOT_YOURS", "input.orgUnit"),
    ]
    name, _ = settled(house)
    assert house.refused("admin", "createUser", username=name, profile=profile()) == [
        ("USERNAME_TAKEN", "input.username")
    ]


# --- Login -------------------------------------------------------------------


def test_unknown_users_are_refused_and_locked_out_like_known_ones(house: House) -> None:
    """SEC-06: no answer tells whether there is such a user."""
    known, _ = settled(house)
    for name in (known, f"nobody{uuid4().hex[:6]}"):
        answers = [login(house, name, "wrong-wrong-wrong") for _ in range(6)]
        assert [(a.status_code, code(a)) for a in answers] == [(401, "LOGIN_REFUSED")] * 6
        locked = login(house, name)
        assert (locked.status_code, code(locked)) == (429, "LOCKED_OUT")
        assert 25 <= int(locked.headers["retry-after"]) <= 31


def test_an_administrator_ends_a_lock_out(house: House) -> None:
    """SYS-02"""
    name, id_ = settled(house)
    for _ in range(6):
        login(house, name, "wrong-wrong-wrong")
    assert code(login(house, name)) == "LOCKED_OUT"
    house.done("admin", "unlockUser", "user { id }", id=id_)
    entered(house, name)


def refreshed(house: House, tokens: dict[str, Any], client: httpx.Client | None = None) -> httpx.Response:
    return (client or house.client).post("/refresh", json={"refreshToken": tokens["refreshToken"]})


def test_who_lost_the_answer_of_a_refresh_gets_it_again(house: House) -> None:
    """SEC-06: the session goes on with the one successor."""
    name, _ = settled(house)
    first = entered(house, name)
    answers = [refreshed(house, first).json() for _ in range(2)]
    assert answers[0]["refreshToken"] == answers[1]["refreshToken"] != first["refreshToken"]
    assert {asked(house, each["accessToken"]).status_code for each in answers} == {200}
    third = refreshed(house, answers[-1]).json()
    assert asked(house, third["accessToken"]).status_code == 200


@pytest.mark.parametrize("how", ["after its successor was used", "from another address"])
def test_a_refresh_token_that_is_replayed_ends_its_whole_session(house: House, how: str) -> None:
    """SEC-06: whoever of the two is the thief, both are out."""
    name, _ = settled(house)
    first = entered(house, name)
    second = refreshed(house, first).json()
    assert asked(house, second["accessToken"]).status_code == 200
    near = httpx.HTTPTransport(local_address="127.0.0.2" if "another" in how else "127.0.0.1")
    if "successor" in how:
        second = refreshed(house, second).json()
    with httpx.Client(base_url=house.client.base_url, transport=near) as client:
        replayed = refreshed(house, first, client)
    assert (replayed.status_code, code(replayed)) == (401, "SESSION_OVER")
    assert code(refreshed(house, second)) == "SESSION_OVER"
    assert code(asked(house, second["accessToken"])) == "TOKEN_REVOKED"


def test_a_logout_ends_the_session_and_its_tokens(house: House) -> None:
    name, _ = settled(house)
    tokens = entered(house, name)
    other = entered(house, name)
    headers = {"authorization": f"Bearer {tokens['accessToken']}"}
    assert house.client.post("/logout", headers=headers).status_code == 204
    assert code(asked(house, tokens["accessToken"])) == "TOKEN_REVOKED"
    assert (
        code(house.client.post("/refresh", json={"refreshToken": tokens["refreshToken"]})) == "SESSION_OVER"
    )
    assert asked(house, other["accessToken"]).status_code == 200


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        ("short-one", "TOO_SHORT"),
        ("x" * 129, "TOO_LONG"),
        ("passwordpassword", "TOO_WEAK"),
        ("qwertyuiop123", "TOO_WEAK"),
        ("aaaaaaaaaaaaaaaa", "TOO_WEAK"),
        (PASSWORD, "USED_BEFORE"),
    ],
)
def test_a_weak_or_used_password_is_not_taken(house: House, new: str, fault: str) -> None:
    """SEC-06"""
    name, _ = settled(house)
    answer = house.client.post("/password", json={"username": name, "password": PASSWORD, "newPassword": new})
    assert (answer.status_code, code(answer)) == (422, "PASSWORD_REFUSED")
    assert answer.json()["errors"][0]["extensions"]["faults"] == [fault]


def test_a_password_with_the_users_name_is_not_taken(house: House) -> None:
    """SEC-06"""
    name, _ = settled(house)
    new = f"meadow-{name}-quartz"
    answer = house.client.post("/password", json={"username": name, "password": PASSWORD, "newPassword": new})
    assert answer.json()["errors"][0]["extensions"]["faults"] == ["SAME_AS_NAME"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"nul", b'{"username": "a"}', b'{"username": 1, "password": "x"}',
             b'{"username": "a", "password": "b", "more": 1}', b'{"username": "a\\u0000", "password": "b"}',
             b'{"username": "\\ud800", "password": "b"}', b"\xff"]
)  # fmt: skip
def test_a_malformed_login_is_refused_with_a_code(house: House, body: bytes) -> None:
    answer = house.client.post("/login", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, code(answer)) in ((400, "BAD_REQUEST"), (401, "LOGIN_REFUSED"))
    assert house.client.get("/login").status_code == 405


def test_logins_are_written_down_with_their_address(house: House) -> None:
    """SEC-04, SYS-04"""
    name, _ = settled(house)
    login(house, name, "wrong-wrong-wrong")
    entered(house, name)
    found = house.data(
        "auditor",
        "query ($name: String!) { accessEntries(filter: {subject: {eq: $name}}) { nodes { kind address } }"
        " sessions(filter: {username: {eq: $name}}) { nodes { isOpen address } } }",
        name=name,
    )
    kinds = [each["kind"] for each in found["accessEntries"]["nodes"]]
    assert kinds == ["LOGIN", "LOGIN_FAILED", "PASSWORD_CHANGED"]
    assert {each["address"] for each in found["accessEntries"]["nodes"]} == {"127.0.0.1"}
    assert found["sessions"]["nodes"] == [{"isOpen": True, "address": "127.0.0.1"}]


# --- Keys --------------------------------------------------------------------


def test_a_rotated_key_signs_while_the_one_before_still_verifies(house: House, folder: Path) -> None:
    name, _ = settled(house)
    before = entered(house, name)["accessToken"]
    kid = SigningKeys(folder).rotate()
    published = house.client.get("/.well-known/jwks.json").json()["keys"]
    assert all("d" not in key for key in published)
    time.sleep(2.1)
    after = entered(house, name)["accessToken"]
    assert jwt.get_unverified_header(after)["kid"] == kid != jwt.get_unverified_header(before)["kid"]
    assert {asked(house, token).status_code for token in (before, after)} == {200}
    kids = {key["kid"] for key in house.client.get("/.well-known/jwks.json").json()["keys"]}
    assert {jwt.get_unverified_header(token)["kid"] for token in (before, after)} <= kids


def test_a_websocket_and_a_stream_end_when_their_holder_is_disabled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYS-02, SEC-03: within seconds, with 4403."""
    monkeypatch.setattr("api.graphql_sockets.LOOK_EVERY_S", 0.2)
    monkeypatch.setattr("api.event_streams.LOOK_EVERY_S", 0.2)
    name, id_ = settled(house)
    token = entered(house, name)["accessToken"]
    followed = "subscription { events { id } }"

    async def scenario() -> None:
        async with subscriber(house, token) as client:
            await client.subscribe(followed)
            await asyncio.to_thread(
                house.done, "admin", "disableUser", "user { id }", id=id_, reason="has left"
            )
            assert await client.closed() == (4403, '{"code":"RIGHTS_CHANGED"}')

    headers = {"authorization": f"Bearer {token}", "accept": "text/event-stream"}
    with house.client.stream("POST", "/graphql", json={"query": followed}, headers=headers) as stream:
        asyncio.run(scenario())
        text = "".join(stream.iter_text())
    assert '"code":"RIGHTS_CHANGED"' in text
    assert text.endswith("event: complete\ndata:\n\n")


# --- Programs ----------------------------------------------------------------


def program(house: House, **terms: Any) -> tuple[str, str, str]:
    """Code, id and secret of a new service account that may follow events."""
    code_ = f"APP-{uuid4().hex[:8].upper()}"
    given = {"name": "Mobile", "orgUnit": "SH", "scopes": ["events.read", "schema.read"], **terms}
    made = house.do("admin", "createServiceAccount", "serviceAccount { id } secret", code=code_, terms=given)
    assert made["userErrors"] == [], made
    return code_, made["serviceAccount"]["id"], made["secret"]


def granted(house: House, code_: str, secret: str, **form: str) -> httpx.Response:
    return house.client.post(
        "/token", data={"grant_type": "client_credentials", **form}, auth=(code_, secret)
    )


def test_a_program_gets_a_token_with_its_scopes_or_fewer(house: House) -> None:
    """INT-08"""
    code_, _, secret = program(house)
    document = "{ viewer { user orgUnit permissions activityUnits } }"
    answer = granted(house, code_, secret).json()
    assert (answer["token_type"], answer["scope"]) == ("Bearer", "events.read schema.read")
    assert seen(house, answer["access_token"], document)["viewer"] == {
        "user": f"client:{code_}",
        "orgUnit": "SH",
        "permissions": ["events.read", "schema.read"],
        "activityUnits": ["SH"],
    }
    fewer = granted(house, code_, secret, scope="events.read").json()
    assert seen(house, fewer["access_token"], document)["viewer"]["permissions"] == ["events.read"]
    more = granted(house, code_, secret, scope="events.read activities.plan")
    assert (more.status_code, more.json()) == (400, {"error": "invalid_scope"})
    wrong = granted(house, code_, "wrong")
    assert (wrong.status_code, wrong.json()) == (401, {"error": "invalid_client"})
    draft = (
        'mutation { addCostType(input: {code: "X", name: "x", accountingSubject: "1", unit: "CNY"})'
        " { position } }"
    )
    assert code(asked(house, answer["access_token"], draft)) == "FORBIDDEN"


def test_two_secrets_are_good_while_one_is_changed(house: House) -> None:
    """INT-08"""
    code_, id_, first = program(house)
    second = house.do("admin", "rotateSecret", "secret", key="", id=id_)["secret"]
    assert {granted(house, code_, each).status_code for each in (first, second)} == {200}
    third = house.do("admin", "rotateSecret", "secret", id=id_)["secret"]
    assert [granted(house, code_, each).status_code for each in (first, second, third)] == [401, 200, 200]
    house.done("admin", "endOldSecret", "serviceAccount { secrets }", id=id_)
    assert [granted(house, code_, each).status_code for each in (second, third)] == [401, 200]


def test_a_disabled_or_narrowed_program_is_so_at_the_next_call(house: House) -> None:
    """INT-08"""
    code_, id_, secret = program(house)
    token = granted(house, code_, secret).json()["access_token"]
    terms = {"name": "Mobile", "orgUnit": "SH", "scopes": ["events.read"]}
    house.done("admin", "reviseServiceAccount", "serviceAccount { id }", id=id_, terms=terms)
    assert seen(house, token, "{ viewer { permissions } }")["viewer"]["permissions"] == ["events.read"]
    house.done("admin", "disableServiceAccount", "serviceAccount { id }", id=id_, reason="retired")
    assert code(asked(house, token)) == "ACCOUNT_CLOSED"
    assert granted(house, code_, secret).status_code == 401


def test_a_program_that_asks_too_often_is_held_back(house: House) -> None:
    """INT-08: a sixth of a minute's requests at once."""
    code_, _, secret = program(house, requestsPerMinute=12)
    token = granted(house, code_, secret).json()["access_token"]
    answers = [asked(house, token) for _ in range(4)]
    assert [answer.status_code for answer in answers][:2] == [200, 200]
    held = [answer for answer in answers if answer.status_code == 429]
    assert held
    assert code(held[0]) == "TOO_MANY_REQUESTS"
    assert "retry-after" in held[0].headers


def test_a_program_is_not_given_what_decides_or_makes_accounts(house: House) -> None:
    """INT-08, SEC-03"""
    terms = {"name": "M", "orgUnit": "HO", "scopes": ["approvals.decide", "accounts.maintain", "no.such"]}
    assert house.refused("admin", "createServiceAccount", code="X1", terms=terms) == [
        ("UNKNOWN_SCOPE", f"input.scopes.{index}") for index in range(3)
    ]


# --- Revocation --------------------------------------------------------------


def test_tokens_are_revoked_by_holder_session_and_id(house: House) -> None:
    """SEC-03: at the next call here."""
    name, _ = settled(house)
    first, second, third = (entered(house, name)["accessToken"] for _ in range(3))
    claims = [jwt.decode(token, options={"verify_signature": False}) for token in (first, second, third)]
    for kind, value, token in (("TOKEN", claims[0]["jti"], first), ("SESSION", claims[1]["sid"], second)):
        house.done("admin", "revokeTokens", "revocation { id }", kind=kind, value=value, reason="lost phone")
        assert code(asked(house, token)) == "TOKEN_REVOKED"
        assert asked(house, third).status_code == 200
    house.done("admin", "revokeTokens", "revocation { id }", kind="SUBJECT", value=name, reason="lost phone")
    assert code(asked(house, third)) == "TOKEN_REVOKED"
    assert asked(house, entered(house, name)["accessToken"]).status_code == 200


# --- Rights to see -----------------------------------------------------------


def test_data_rights_and_activity_rights_are_apart(house: House) -> None:
    """SYS-08: data right on SH only, activity right on SH and HO."""
    name, _ = settled(house, "SH", dataUnits=["SH"], activityUnits=["SH", "HO"])
    token = entered(house, name)["accessToken"]
    viewer = seen(house, token, "{ viewer { activityUnits dataUnits } }")["viewer"]
    assert viewer == {"activityUnits": ["HO", "SH"], "dataUnits": ["SH"]}
    ids = {unit: group(house, user) for unit, user in (("HO", "operator"), ("SH", "branch"))}
    found = seen(house, token, "{ customerGroups { nodes { id orgUnit } } }")["customerGroups"]["nodes"]
    assert {each["orgUnit"] for each in found} == {"HO", "SH"}
    shown = seen(house, token, f'{{ node(id: "{ids["HO"]}") {{ id }} }}')
    assert shown == {"node": {"id": ids["HO"]}}
    narrow, _ = settled(house, "HO", activityUnits=["HO"], dataUnits=[])
    other = entered(house, narrow)["accessToken"]
    assert seen(house, other, f'{{ node(id: "{ids["SH"]}") {{ id }} }}') == {"node": None}
    retired = f'mutation {{ retireCustomerGroup(input: {{id: "{ids["HO"]}"}}) {{ userErrors {{ code }} }} }}'
    assert seen(house, token, retired)["retireCustomerGroup"]["userErrors"] == [{"code": "OTHER_UNITS"}]
    hidden = f'mutation {{ retireCustomerGroup(input: {{id: "{ids["SH"]}"}}) {{ userErrors {{ code }} }} }}'
    assert seen(house, other, hidden)["retireCustomerGroup"]["userErrors"] == [{"code": "NOT_FOUND"}]


def test_customers_data_are_seen_by_the_data_right_alone(house: House) -> None:
    """SYS-08: data right on SH, activity right on SH and HO: of HO's customers nothing, not even by id."""
    group(house, "operator")
    ids = {}
    for unit, user in (("HO", "operator"), ("SH", "branch")):
        given = adjustment(f"C{uuid4().hex[:8].upper()}", 5)
        made = house.done(user, "adjustPoints", "pointsAccount { id entries { nodes { id } } }", **given)
        ids[unit] = made["id"], made["entries"]["nodes"][0]["id"]
    name, _ = settled(house, "SH", dataUnits=["SH"], activityUnits=["SH", "HO"])
    token = entered(house, name)["accessToken"]
    found = seen(house, token, "{ pointsAccounts { nodes { orgUnit } } pointsEntries { nodes { orgUnit } } }")
    for nodes in found.values():
        assert {each["orgUnit"] for each in nodes["nodes"]} == {"SH"}
    for unit, both in ids.items():
        for id_ in both:
            shown = seen(house, token, f'{{ node(id: "{id_}") {{ id }} }}')["node"]
            assert shown == (None if unit == "HO" else {"id": id_})
    events = "{ events(first: 500) { events { subjectKind orgUnit } } }"
    units: dict[str, set[str | None]] = {}
    for each in seen(house, token, events)["events"]["events"]:
        units.setdefault(each["subjectKind"], set()).add(each["orgUnit"])
    assert units["points_ledger"] == {"SH"}
    assert "HO" in units["customer_group"]
    assert "user" not in units, "of accounts those are told who read accounts"


def test_every_list_asks_for_the_right_that_its_kind_has() -> None:
    """SYS-08: what `visible` says of a kind is what the planner binds for its view."""
    origins = [getattr(each.definition, "origin", None) for each in schema.schema_converter.type_map.values()]
    views: list[View] = [each.__view__ for each in origins if "__view__" in getattr(each, "__dict__", {})]
    assert len(views) > 20
    for view in views:
        if view.scope is not None:
            assert view.units == ("data_units" if view.kind in DATA_KINDS else "units"), view
    kinds = {view.kind for view in views}
    assert kinds >= ACCOUNT_KINDS
    assert len(kinds & DATA_KINDS) >= 2


def group(house: House, user: str) -> str:
    code_ = f"G-{uuid4().hex[:8].upper()}"
    made = house.done(user, "defineCustomerGroup", "customerGroup { id }", code=code_, purpose="TARGET",
                      name=code_, members=["C00000001"])  # fmt: skip
    return str(made["id"])


# --- Delegation --------------------------------------------------------------


def test_who_acts_for_another_unit_does_so_in_its_name_and_for_a_time(house: House) -> None:
    """SYS-09: the audit shows whom he acted for; it ends by itself."""
    analyst, _ = settled(house, "HO", "AUDITOR")
    token = entered(house, analyst)["accessToken"]
    refused = asked(house, token, **{"x-acting-for": "SH"})
    assert (refused.status_code, code(refused)) == (403, "NOT_DELEGATED")
    branch, _ = settled(house, "SH", "ADMINISTRATOR")
    boss = entered(house, branch)["accessToken"]
    ends = datetime.now(UTC) + timedelta(seconds=6)
    delegated = (
        f'mutation {{ delegate(input: {{orgUnit: "SH", delegate: "{analyst}", tasks: [CUSTOMER_GROUPS],'
        f' endsAt: "{ends.isoformat()}", reason: "help"}})'
        " { delegation { isInForce } userErrors { code } } }"
    )
    answer = seen(house, boss, delegated)["delegate"]
    assert answer == {"delegation": {"isInForce": True}, "userErrors": []}
    acting = {"x-acting-for": "SH"}
    viewer = seen(house, token, "{ viewer { user orgUnit onBehalfOf permissions activityUnits } }", **acting)
    assert viewer["viewer"] == {
        "user": analyst, "orgUnit": "SH", "onBehalfOf": "SH", "activityUnits": ["SH"],
        "permissions": ["groups.maintain", "groups.preview", "records.read"],
    }  # fmt: skip
    name = f"G-{uuid4().hex[:8].upper()}"
    made = (
        f'mutation {{ defineCustomerGroup(input: {{code: "{name}", purpose: TARGET,'
        f' name: "{name}", members: ["C00000001"]}}) '
        "{"
        " customerGroup { id orgUnit } userErrors { code } } }"
    )
    assert code(asked(house, token, made)) == "FORBIDDEN"
    done = seen(house, token, made, **acting)["defineCustomerGroup"]
    assert done["customerGroup"]["orgUnit"] == "SH"
    history = house.data(
        "auditor",
        "query ($id: ID!) { customerGroup(id: $id) { history { nodes { actor onBehalfOf } } } }",
        id=done["customerGroup"]["id"],
    )
    assert history["customerGroup"]["history"]["nodes"] == [{"actor": analyst, "onBehalfOf": "SH"}]
    time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + 0.1)
    assert code(asked(house, token, **acting)) == "NOT_DELEGATED"


def test_a_branch_delegates_its_own_work_only(house: House) -> None:
    """SYS-09, SYS-07"""
    branch, _ = settled(house, "SH", "ADMINISTRATOR")
    token = entered(house, branch)["accessToken"]
    document = """mutation ($unit: String!, $tasks: [DelegatedTask!]!, $to: String!) { delegate(input: {
        orgUnit: $unit, delegate: $to, tasks: $tasks, endsAt: "2199-01-01T00:00:00Z", reason: "help"})
        { userErrors { code path } } }"""

    def codes(unit: str, *tasks: str, to: str = "wu") -> set[str]:
        answer = house.client.post(
            "/graphql",
            json={"query": document, "variables": {"unit": unit, "tasks": tasks, "to": to}},
            headers={"authorization": f"Bearer {token}"},
        ).json()["data"]["delegate"]
        return {each["code"] for each in answer["userErrors"]}

    assert codes("HO", "SEGMENTS") == {"DELEGATION_UNIT_NOT_YOURS", "DELEGATION_TOO_LONG"}
    assert codes("SH", "ACCOUNTS") == {"ACCOUNTS_ARE_HEAD_OFFICES", "DELEGATION_TOO_LONG"}
    assert codes("SH", "SEGMENTS", to=branch) == {"DELEGATE_SAME_UNIT", "DELEGATION_TOO_LONG"}


def test_a_branchs_administrator_creates_its_users_when_head_office_lets_him(house: House) -> None:
    """SYS-07: only if delegated, and nobody beyond his own unit."""
    branch, _ = settled(house, "SH", "ADMINISTRATOR")
    token = entered(house, branch)["accessToken"]
    ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    house.done("admin", "delegate", "delegation { id }", orgUnit="HO", delegate=branch, tasks=["ACCOUNTS"],
               endsAt=ends, reason="their own people")  # fmt: skip

    def create(unit: str) -> list[dict[str, str]]:
        mutation = (
            f'mutation {{ createUser(input: {{username: "u{uuid4().hex[:10]}", profile: {{name: "N",'
            f' orgUnit: "{unit}", roles: [OPERATOR]}}}}) {{ userErrors {{ code }} }} }}'
        )
        return list(seen(house, token, mutation, **{"x-acting-for": "HO"})["createUser"]["userErrors"])

    assert create("SH") == []
    assert create("HO") == [{"code": "UNIT_NOT_YOURS"}]
    assert create("SZ") == [{"code": "UNIT_NOT_YOURS"}]
