"""The bearer token of a request, and what a request without a good one is told."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from api.application import create_app
from api.authentication import Authentication, refusal
from application.access import Role
from application.authentication import TokenRefused
from infrastructure.token_keys import DevelopmentKey, TrustedKeys
from infrastructure.tokens import TokenRules, Verifier, issue
from tests.api.http_server import serving

RULES = TokenRules("the-bank", "cardinal", frozenset({"HO", "SH"}))


class Protected:
    """Tells the principal, where the request has a good token."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            principal = self._authentication.principal_of(Request(scope).headers)
        except TokenRefused as refused:
            await refusal(scope, refused)(scope, receive, send)
        else:
            told = {"user": principal.user, "units": sorted(principal.units)}
            await JSONResponse(told)(scope, receive, send)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentKey:
    return DevelopmentKey.of(Path(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def client(key: DevelopmentKey) -> Iterator[httpx.Client]:
    authentication = Authentication(Verifier(TrustedKeys({key.kid: key.public}), RULES).verify)
    app = create_app(
        parts=list,
        metrics=bytes,
        observe=lambda *_: None,
        body_bytes_max=1_024,
        graphql_app=Protected(authentication),
    )
    with serving(app) as url, httpx.Client(base_url=url) as client:
        yield client


def test_a_good_token_is_let_in_as_its_user(client: httpx.Client, key: DevelopmentKey) -> None:
    token = issue(key, RULES, "branch", [Role.OPERATOR], "SH")
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = client.get("/graphql", headers={"Authorization": f"{scheme} {token}"})
        assert (answer.status_code, answer.json()) == (200, {"user": "branch", "units": ["SH"]})


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "TOKEN_MISSING"),
        ("", "TOKEN_MISSING"),
        ("Basic b3BlcmF0b3I6cHc=", "TOKEN_MISSING"),
        ("Bearer", "TOKEN_MISSING"),
        ("Bearer rubbish", "TOKEN_UNTRUSTED"),
        ("Bearer a b c", "TOKEN_UNTRUSTED"),
        (f"Bearer {'x' * 9_000}", "TOKEN_UNTRUSTED"),
    ],
)
def test_without_a_good_token_the_answer_is_401_with_a_challenge_and_a_code(
    client: httpx.Client, authorization: str | None, code: str
) -> None:
    headers = {"X-Request-Id": "my-request.1"} | (
        {} if authorization is None else {"Authorization": authorization}
    )
    answer = client.post("/graphql", headers=headers, json={})
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="cardinal"')
    assert ('error="invalid_token"' in challenge) == (code != "TOKEN_MISSING")
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": code, "requestId": "my-request.1"}
    assert answer.headers["x-request-id"] == "my-request.1"
    again = client.post("/graphql", headers={**headers, "X-Request-Id": "4111111111111111"}, json={})
    assert "4111" not in again.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"


def test_an_expired_token_and_another_systems_are_told_apart(
    client: httpx.Client, key: DevelopmentKey
) -> None:
    expired = issue(key, RULES, "operator", [], "HO", timedelta(minutes=-5))
    elsewhere = issue(key, TokenRules("the-bank", "other", RULES.units), "operator", [], "HO")
    for token, code in ((expired, "TOKEN_EXPIRED"), (elsewhere, "TOKEN_UNTRUSTED")):
        answer = client.get("/graphql", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["errors"][0]["extensions"]["code"] == code


def test_two_authorization_headers_are_malformed(client: httpx.Client, key: DevelopmentKey) -> None:
    token = issue(key, RULES, "operator", [], "HO")
    answer = client.get("/graphql", headers=[("Authorization", f"Bearer {token}")] * 2)
    assert answer.json()["errors"][0]["extensions"]["code"] == "TOKEN_UNTRUSTED"


@pytest.mark.parametrize(
    ("accepted", "language", "sentence"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh", "请先登录"),
        ("en-GB,en;q=0.9", "en", "Sign in first"),
        ("fr", "en", "Sign in first"),
        (None, "en", "Sign in first"),
    ],
)
def test_the_sentence_is_in_the_language_that_was_asked_for(
    client: httpx.Client, accepted: str | None, language: str, sentence: str
) -> None:
    answer = client.get("/graphql", headers={} if accepted is None else {"Accept-Language": accepted})
    assert answer.headers["content-language"] == language
    assert answer.json()["errors"][0]["message"].startswith(sentence)


def test_a_request_id_that_could_forge_a_log_line_is_replaced(client: httpx.Client) -> None:
    for given in ("a b", "x" * 65, "id;drop", ""):
        answer = client.get("/graphql", headers={"X-Request-Id": given})
        told = answer.json()["errors"][0]["extensions"]["requestId"]
        assert told == answer.headers["x-request-id"]
        assert told not in ("", given)


def test_credentials_of_a_websockets_opening_message_are_judged_alike(key: DevelopmentKey) -> None:
    authentication = Authentication(Verifier(TrustedKeys({key.kid: key.public}), RULES).verify)
    token = issue(key, RULES, "operator", [], "HO")
    assert authentication.principal_of_credentials(f"Bearer {token}").user == "operator"
    for credentials in (None, "", token, f"Token {token}"):
        with pytest.raises(TokenRefused, match="TOKEN_MISSING"):
            authentication.principal_of_credentials(credentials)
