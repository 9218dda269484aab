"""RFC 8725: each attack on a bank's token, and on our own, ends in the same refusal."""

import json
import time
from pathlib import Path

import httpx
import jwt
import pytest

from api.application import create_app
from api.authentication import Authentication
from application.authentication import TokenCode, TokenRefused
from infrastructure.own_tokens import OwnTokens
from infrastructure.signing_keys import SigningKeys
from infrastructure.token_keys import TrustedKeys, published_keys
from infrastructure.token_settings import ALGORITHMS
from infrastructure.tokens import TokenRules, Verifier
from tests.api.http_server import serving
from tests.api.test_authentication import Protected
from tests.infrastructure import forgeries
from tests.infrastructure.key_server import KeyServer

UNITS = frozenset({"HO", "SH"})
RULES = TokenRules(forgeries.ISSUER, forgeries.AUDIENCE, UNITS, token_type="at+jwt")
LENIENT = TokenRules(forgeries.ISSUER, forgeries.AUDIENCE, UNITS)
KEYS = published_keys(json.dumps({"keys": [{**forgeries.PUBLIC, "kid": forgeries.KID}]}).encode(), ALGORITHMS)
ATTACKS = [name for name, _ in forgeries.forgeries()]
# Without a set type, what says to be a JWT or nothing is looked at by its claims alone.
PASSED_WITHOUT_TYPE = {"typ 'JWT'", "typ ''", "no typ"}


@pytest.fixture(scope="module")
def tokens() -> dict[str, str]:
    """Made when they are used: they are good for ten minutes, but for what is wrong with them."""
    return dict(zip(ATTACKS, (token for _, token in forgeries.forgeries()), strict=True))


def verifier(rules: TokenRules = RULES) -> Verifier:
    return Verifier(TrustedKeys(KEYS), rules)


def refused(judge: Verifier, token: str) -> TokenCode:
    with pytest.raises(TokenRefused) as refusal:
        judge.verify(token)
    return refusal.value.code


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_by_one_code(attack: str, tokens: dict[str, str]) -> None:
    """SEC-03, SEC-07"""
    assert verifier().verify(forgeries.good()).user == "wang.li"
    assert refused(verifier(), tokens[attack]) is TokenCode.TOKEN_UNTRUSTED
    if attack in PASSED_WITHOUT_TYPE:
        assert verifier(LENIENT).verify(tokens[attack]).user == "wang.li"
    else:
        assert refused(verifier(LENIENT), tokens[attack]) is TokenCode.TOKEN_UNTRUSTED


def test_no_attack_makes_us_fetch_a_key() -> None:
    """SEC-03: neither jku nor x5u is an address that we ask."""
    with KeyServer({"keys": []}) as server:
        for _, token in forgeries.forgeries(server.url):
            refused(verifier(), token)
        assert server.asked == 0


def test_all_attacks_are_answered_alike(tokens: dict[str, str]) -> None:
    """SEC-03: nobody learns from the answer which of our checks he passed."""
    app = create_app(
        parts=list,
        metrics=bytes,
        observe=lambda *_: None,
        body_bytes_max=1_024,
        graphql_app=Protected(Authentication(verifier().verify)),
    )
    answers = set()
    with serving(app) as url, httpx.Client(base_url=url) as client:
        for token in tokens.values():
            sent = {"Authorization": f"Bearer {token}", "X-Request-Id": "same"}
            answer = client.get("/graphql", headers=sent)
            told = tuple((name, value) for name, value in answer.headers.items() if name != "date")
            answers.add((answer.status_code, answer.text, told))
    ((status, text, _),) = answers
    assert status == 401
    assert json.loads(text)["errors"][0]["extensions"]["code"] == "TOKEN_UNTRUSTED"


def test_our_own_key_signs_nothing_but_access_tokens(tmp_path: Path) -> None:
    """SEC-07: what is signed by it and has another type, a name twice or an id token's claims is refused."""
    keys = SigningKeys(tmp_path / "keys")
    tokens, newest, now = OwnTokens(keys, "cardinal"), keys.newest(), int(time.time())
    times = {"iat": now, "nbf": now, "exp": now + 60}
    good = {"iss": "cardinal", "aud": "cardinal", "sub": "li", "jti": "1", **times}
    headers = {"kid": newest.kid, "typ": "at+jwt"}

    def of(body: dict[str, object], **changed: object) -> str:
        return jwt.encode(body, newest.private, "EdDSA", headers={**headers, **changed})

    assert tokens.verify(of(good)).credential.subject == "li"
    body = forgeries.with_first(json.dumps(good), '"sub": "admin"')
    text = f"{forgeries.encoded({'alg': 'EdDSA', **headers})}.{forgeries.encoded(body)}"
    twice = f"{text}.{forgeries.encoded(newest.private.sign(text.encode()))}"
    for token in (of(good, typ="JWT"), of(good, crit=["exp"]), of({**good, "at_hash": "x"}), twice):
        with pytest.raises(TokenRefused, match="TOKEN_UNTRUSTED"):
            tokens.verify(token)
