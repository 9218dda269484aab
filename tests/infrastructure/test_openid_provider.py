"""A bank's OpenID provider (npm's oidc-provider): found, followed when its keys change, away for a while."""

import hashlib
import re
import secrets
import shutil
import subprocess
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from functools import partial
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from api.application import create_app
from api.authentication import Authentication
from application.access import Role
from application.authentication import TokenCode, TokenRefused
from infrastructure import token_keys
from infrastructure.openid_discovery import read_discovered
from infrastructure.settings import Settings
from infrastructure.token_keys import KeysUnavailable, TrustedKeys
from infrastructure.token_settings import ALGORITHMS
from infrastructure.tokens import TokenRules, Verifier, trusted_keys
from tests.api.http_server import serving
from tests.api.test_authentication import Protected
from tests.infrastructure.key_server import KeyServer
from tests.infrastructure.test_token_keys import published
from tests.npm import packages

SCRIPT = Path(__file__).with_name("openid_provider.mjs")
CALLBACK = "https://cardinal.example/callback"


class Provider:
    """The provider's process; what it says is `said`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        folder = packages("oidc-provider@9.13.3")
        script = shutil.copy(SCRIPT, folder)
        self.process = subprocess.Popen(
            ["node", script, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        guard = threading.Timer(60, self.process.kill)
        guard.start()
        assert self.process.stdout.readline() == "listening\n"
        guard.cancel()

    def tokens_of(self, person: str) -> dict[str, str]:
        """What a page gets for somebody who logs in there: code flow with PKCE, by a public client."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "client_id": "page",
            "response_type": "code",
            "scope": "openid cardinal",
            "redirect_uri": CALLBACK,
            "state": secrets.token_urlsafe(8),
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        with httpx.Client(base_url=self.url, timeout=20) as browser:
            answer = browser.get("/auth", params=asked)
            while not answer.headers.get("location", "").startswith(CALLBACK):
                if answer.has_redirect_location:
                    answer = browser.get(answer.headers["location"])
                else:
                    action = re.search(r'action="([^"]+)" method="post"', answer.text)
                    prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
                    assert action is not None, answer.text
                    assert prompt is not None
                    typed = {"prompt": prompt[1], "login": person, "password": "any"}
                    answer = browser.post(unescape(action[1]), data=typed)
            returned = parse_qs(urlsplit(answer.headers["location"]).query)
            assert returned["state"] == [asked["state"]]
            form = {
                "grant_type": "authorization_code",
                "client_id": "page",
                "code": returned["code"][0],
                "redirect_uri": CALLBACK,
            }
            refused = browser.post("/token", data={**form, "code_verifier": "x" * 50})
            assert refused.status_code == 400, "PKCE: whoever stole the code has nothing"
            given = browser.post("/token", data={**form, "code_verifier": verifier})
            return dict(given.raise_for_status().json())

    def program_token(self) -> str:
        form = {"grant_type": "client_credentials", "scope": "cardinal"}
        given = httpx.post(f"{self.url}/token", data=form, auth=("ledger", "of-the-ledger"), timeout=20)
        return str(given.raise_for_status().json()["access_token"])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def provider() -> Iterator[Provider]:
    from api.listener import listen

    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    started = Provider(port)
    yield started
    started.end()


def settings_of(provider: str, home: Path) -> Settings:
    return Settings.read(
        {
            "CARDINAL_HOME": str(home),
            "CARDINAL_TOKEN_ISSUER": provider,
            "CARDINAL_TOKEN_TYPE": "at+jwt",
            "CARDINAL_TOKEN_NBF_REQUIRED": "false",
            "CARDINAL_TOKEN_ROLES_CLAIM": "groups",
            "CARDINAL_TOKEN_ROLES": "CC_PLANNERS:operator,CC_LEDGERS:integrator",
            "CARDINAL_TOKEN_ORG_UNIT_CLAIM": "branch",
            "CARDINAL_TOKEN_ORG_UNITS": "3100:SH,1000:HO",
        }
    )


@pytest.mark.drill
def test_a_banks_provider_lets_people_and_programs_in(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-03, SYS-03: roles and unit by the bank's own names, from the log in until the provider is away."""
    settings = settings_of(provider.url, tmp_path)
    deployed = trusted_keys(settings)
    deployed.start()
    deployed.close()
    assert deployed.fault is None
    keys = TrustedKeys({}, partial(read_discovered, provider.url, ALGORITHMS), 0.2, asked_gap_s=0.05)
    verifier = Verifier(keys, TokenRules.of(settings))
    keys.start()
    try:
        assert keys.fault is None
        given = provider.tokens_of("wang.li")
        wang = verifier.verify(given["access_token"])
        assert (wang.user, wang.roles, wang.org_unit) == ("wang.li", {Role.OPERATOR}, "SH")
        zhao = verifier.verify(provider.tokens_of("zhao.min")["access_token"])
        assert (zhao.roles, zhao.units) == (frozenset(), frozenset()), "unmapped names give nothing"
        assert verifier.verify(provider.program_token()).roles == {Role.INTEGRATOR}
        _is_refused(verifier, given["id_token"])
        _served(verifier, given["access_token"])

        before = jwt.get_unverified_header(given["access_token"])["kid"]
        httpx.post(f"{provider.url}/rotate", timeout=20)
        fresh = provider.program_token()
        assert jwt.get_unverified_header(fresh)["kid"] != before
        _until_let_in(verifier, fresh)
        httpx.post(f"{provider.url}/rotate", timeout=20)
        _until_let_in(verifier, provider.program_token())
        assert keys.find(before) is None, "a key that is published no more is trusted no more"

        last = provider.program_token()
        provider.end()
        time.sleep(0.5)
        assert keys.fault is None
        assert verifier.verify(last).user == "ledger"
        monkeypatch.setattr(token_keys, "UNCONFIRMED_MAX_S", 0.1)
        assert keys.fault is not None
        _is_refused(Verifier(keys, TokenRules.of(settings)), last)
    finally:
        keys.close()


def _is_refused(verifier: Verifier, token: str) -> None:
    with pytest.raises(TokenRefused) as refusal:
        verifier.verify(token)
    assert refusal.value.code is TokenCode.TOKEN_UNTRUSTED


def _until_let_in(verifier: Verifier, token: str) -> None:
    deadline_s = time.monotonic() + 15
    while True:
        try:
            verifier.verify(token)
            return
        except TokenRefused:
            assert time.monotonic() < deadline_s, "the new key was not found"
            time.sleep(0.05)


def _served(verifier: Verifier, token: str) -> None:
    app = create_app(
        parts=list,
        metrics=bytes,
        observe=lambda *_: None,
        body_bytes_max=1_024,
        graphql_app=Protected(Authentication(verifier.verify)),
    )
    with serving(app) as url:
        answer = httpx.get(f"{url}/graphql", headers={"Authorization": f"Bearer {token}"}, timeout=20)
        assert answer.json() == {"user": "wang.li", "units": ["SH"]}


# --- What is not believed of a provider -------------------------------------


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"issuer": "https://other.example"}, "another issuer"),
        ([], "another issuer"),
        ({"jwks_uri": "http://192.0.2.1/keys"}, "no https"),
        ({"jwks_uri": "file:///etc/passwd"}, "no https"),
        ({"jwks_uri": None}, "no https"),
        ({"padding": "x" * 300_000}, "larger"),
    ],
)
def test_a_configuration_that_is_not_the_issuers_is_not_believed(told: object, fault: str) -> None:
    """SEC-03: else whoever answers for the address gives us keys of his own."""
    with KeyServer({"keys": [published("ES256", "good")]}) as keys, KeyServer({}) as server:
        issuer = server.url.removesuffix("/keys")
        server.document = {"issuer": issuer, "jwks_uri": keys.url}
        assert set(read_discovered(issuer, ALGORITHMS)) == {"good"}
        server.document = {**server.document, **told} if isinstance(told, dict) else told
        with pytest.raises(KeysUnavailable, match=fault):
            read_discovered(issuer, ALGORITHMS, timeout_s=2)
        assert keys.asked == 1


def test_an_issuer_that_is_no_address_is_not_asked(tmp_path: Path) -> None:
    settings = Settings.read({"CARDINAL_TOKEN_ISSUER": "the-bank", "CARDINAL_HOME": str(tmp_path)})
    assert settings.key_address is None
    assert trusted_keys(settings).fault is None
    assert isinstance(trusted_keys(settings), TrustedKeys)
