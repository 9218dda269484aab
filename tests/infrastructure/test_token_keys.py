"""An issuer's published keys: which are usable, how they are read again, and what if they can't be."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from application.authentication import TokenCode, TokenRefused
from infrastructure import token_keys
from infrastructure.settings import Settings
from infrastructure.token_keys import KeysUnavailable, TrustedKeys, published_keys, read_url
from infrastructure.token_settings import ALGORITHMS
from infrastructure.tokens import TokenRules, Verifier, trusted_keys
from tests.infrastructure.key_server import KeyServer

RULES = TokenRules("the-bank", "cardinal", frozenset({"HO"}))
PRIVATE: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": Ed25519PrivateKey.generate(),
}


def published(algorithm: str, kid: str, private: Any = None) -> dict[str, Any]:
    public = (private or PRIVATE[algorithm]).public_key()
    found: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(public))
    return {**found, "kid": kid}


def token(algorithm: str, kid: str) -> str:
    now = int(time.time())
    claims = {"iss": "the-bank", "aud": "cardinal", "sub": "li", "iat": now, "nbf": now, "exp": now + 60}
    return jwt.encode(
        {**claims, "roles": [], "org_unit": "HO"}, PRIVATE[algorithm], algorithm, headers={"kid": kid}
    )


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.01)


def trusts(verifier: Verifier, text: str) -> bool:
    """Whether it is let in; no other refusal than that of an unknown or wrong key may come."""
    try:
        verifier.verify(text)
    except TokenRefused as refused:
        if refused.code is not TokenCode.TOKEN_UNTRUSTED:
            raise
        return False
    return True


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_works_from_a_file_that_is_read_again_when_it_changes(
    tmp_path: Path, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.tokens.FILE_PERIOD_S", 0.05)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [published(algorithm, "first")]}))
    settings = Settings.read(
        {
            "CARDINAL_JWKS_FILE": str(file),
            "CARDINAL_ENV": "production",
            "CARDINAL_TOKEN_ISSUER": "the-bank",
            "CARDINAL_HOME": str(tmp_path / "home"),
        }
    )
    keys = trusted_keys(settings)
    verifier = Verifier(keys, TokenRules.of(settings))
    keys.start()
    try:
        assert trusts(verifier, token(algorithm, "first"))
        file.write_text(json.dumps({"keys": [published(algorithm, "second")]}))
        eventually(lambda: trusts(verifier, token(algorithm, "second")))
        assert keys.find("first") is None
    finally:
        keys.close()
    assert not (tmp_path / "home").exists(), "production has no development key"


def test_keys_that_are_not_fit_are_passed_over() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    entries = [
        published("EdDSA", "good"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric", "alg": "HS256"},
        {**published("RS256", "for-encryption"), "use": "enc"},
        {**published("RS256", "other-algorithm"), "alg": "PS256"},
        published("RS256", "weak", weak),
        {name: value for name, value in published("ES256", "x").items() if name != "kid"},
        {**published("ES256", "broken"), "x": "AAAA"},
        {**published("ES256", "other-curve"), "crv": "P-384"},
        {"kty": ["RSA"], "kid": "strange"},
        {**published("EdDSA", "good"), "x": published("EdDSA", "x", Ed25519PrivateKey.generate())["x"]},
        "no key",
        None,
    ]
    found = published_keys(json.dumps({"keys": entries}).encode(), ALGORITHMS)
    assert {kid: key.algorithm_name for kid, key in found.items()} == {"good": "EdDSA"}
    assert found["good"].key.public_bytes_raw() == PRIVATE["EdDSA"].public_key().public_bytes_raw()


def test_an_algorithm_that_is_not_allowed_makes_a_key_unfit() -> None:
    both = json.dumps({"keys": [published("RS256", "r"), published("ES256", "e")]}).encode()
    assert set(published_keys(both, ("ES256",))) == {"e"}


def test_what_is_private_in_a_published_key_is_not_read() -> None:
    own = json.loads(jwt.get_algorithm_by_name("EdDSA").to_jwk(PRIVATE["EdDSA"]))
    found = published_keys(json.dumps({"keys": [{**own, "kid": "leaked"}]}).encode(), ALGORITHMS)
    assert not hasattr(found["leaked"].key, "sign")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [1]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_document_that_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(KeysUnavailable):
        published_keys(document, ALGORITHMS)


def test_a_faulty_file_is_told_at_the_start(tmp_path: Path) -> None:
    given = {"CARDINAL_JWKS_FILE": str(tmp_path / "none.json"), "CARDINAL_HOME": str(tmp_path)}
    with pytest.raises(KeysUnavailable, match=r"CARDINAL_JWKS_FILE .*none\.json"):
        trusted_keys(Settings.read(given))


@contextmanager
def following(
    server: KeyServer, period_s: float, asked_gap_s: float
) -> Iterator[tuple[TrustedKeys, Verifier]]:
    keys = TrustedKeys({}, partial(read_url, server.url, ALGORITHMS), period_s, asked_gap_s)
    keys.start()
    try:
        yield keys, Verifier(keys, RULES)
    finally:
        keys.close()


def test_a_new_key_is_found_when_somebody_comes_with_it() -> None:
    with (
        KeyServer({"keys": [published("ES256", "old")]}) as server,
        following(server, 3600, 0.05) as (_, verifier),
    ):
        assert trusts(verifier, token("ES256", "old"))
        server.document = {"keys": [published("EdDSA", "new")]}
        eventually(lambda: trusts(verifier, token("EdDSA", "new")))
        assert not trusts(verifier, token("RS256", "old"))


def test_strangers_can_not_make_us_ask_the_issuer_at_will() -> None:
    with (
        KeyServer({"keys": [published("ES256", "known")]}) as server,
        following(server, 3600, 3600) as (_, verifier),
    ):
        for number in range(200):
            assert not trusts(verifier, token("ES256", f"stranger-{number}"))
        assert server.asked == 1


def test_asking_for_a_key_never_waits_for_the_issuer() -> None:
    reading, go_on = threading.Event(), threading.Event()
    readings = iter([{"known": jwt.PyJWK(published("ES256", "known"), "ES256")}])

    def read() -> dict[str, jwt.PyJWK]:
        first = next(readings, None)
        if first is None:
            reading.set()
            assert go_on.wait(60)
            raise KeysUnavailable("it took too long")
        return first

    keys = TrustedKeys({}, read, period_s=3600, asked_gap_s=0)
    keys.start()
    try:
        assert keys.find("unknown") is None
        assert reading.wait(20)
        assert keys.find("known") is not None
        assert keys.find("unknown") is None
    finally:
        go_on.set()
        keys.close()


def test_an_issuer_that_is_away_keeps_nobody_out_at_once_but_does_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        KeyServer({"keys": [published("ES256", "known")]}) as server,
        following(server, 0.02, 0.02) as followed,
    ):
        keys, verifier = followed
        server.status = 500
        before = server.asked
        eventually(lambda: server.asked > before + 1)
        assert keys.fault is None
        assert trusts(verifier, token("ES256", "known"))
        monkeypatch.setattr(token_keys, "UNCONFIRMED_MAX_S", 0.01)
        eventually(lambda: keys.fault is not None)
        assert keys.find("known") is None
        monkeypatch.undo()
        server.status = 200
        eventually(lambda: trusts(verifier, token("ES256", "known")))


@pytest.mark.parametrize("case", ["redirect", "too large", "endless", "no http"])
def test_an_address_that_does_not_answer_as_it_should_is_given_up(case: str) -> None:
    document = {"keys": [published("ES256", "known")]}
    with KeyServer(document) as server, KeyServer(document) as elsewhere:
        assert read_url(server.url, ALGORITHMS)
        server.redirect = elsewhere.url if case == "redirect" else ""
        server.document = {**document, "padding": "x" * 300_000} if case == "too large" else document
        server.drip = case == "endless"
        server.raw = b"\x00\x01nonsense\r\n" if case == "no http" else b""
        with pytest.raises(KeysUnavailable, match="CARDINAL_JWKS_URL"):
            read_url(server.url, ALGORITHMS, timeout_s=1.0)
        assert elsewhere.asked == 0


def test_an_address_where_nobody_is_is_given_up() -> None:
    with pytest.raises(KeysUnavailable, match="CARDINAL_JWKS_URL"):
        read_url("http://127.0.0.1:1/keys", ALGORITHMS)
