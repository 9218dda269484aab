"""Acknowledgements by HTTP, signed by the partner's RSA key: taken once, and refused for anything else."""

import base64
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms

from api.application import create_app
from api.partner_messages import COVERED, PARTNERS_PATH, PartnerMessages
from api.wiring import Partners
from infrastructure import exchange_folder as exchange
from infrastructure.database import pool
from infrastructure.partner_keys import PartnerKeys, PartnerNonces
from infrastructure.points_gateway import DirectoryGateway
from tests.api.http_server import serving

NAME, KEY_ID = "POINTS_CC_20260301_0007", "points-system"
ACKNOWLEDGEMENT = b"A|POINTS|1|...\n"
PRIVATE, STRANGER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
WEAK = rsa.generate_private_key(65537, 1536)


@dataclass
class Bank:
    """Two processes of the API before one database and one folder; a file was handed over and taken."""

    urls: tuple[str, str]
    keys: Path
    inbox: Path
    gateway: DirectoryGateway

    def url(self, name: str = NAME, process: int = 0) -> str:
        return f"{self.urls[process]}{PARTNERS_PATH}/{name}"

    def post(self, request: httpx.Request) -> tuple[int, str | None]:
        """Status, and the code of a refusal."""
        with httpx.Client(timeout=20) as client:
            answer = client.send(request)
        return answer.status_code, answer.json()["errors"][0]["extensions"][
            "code"
        ] if answer.content else None


def trust(folder: Path, key_id: str, key: rsa.RSAPrivateKey) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{key_id}.pem").write_bytes(pem)


def hand_over(gateway: DirectoryGateway, folder: Path, name: str, *, is_taken: bool = True) -> None:
    content = f"H|{name}\n".encode()
    (folder / "file").write_bytes(content)
    gateway.deliver(folder / "file", name, hashlib.sha256(content).hexdigest())
    if is_taken:
        ready = folder / "exchange" / "outbox" / f"{name}.ready"
        ready.rename(ready.with_suffix(".taken"))


@pytest.fixture
def bank(cardinal_url: str, tmp_path: Path) -> Iterator[Bank]:
    exchange.make(tmp_path / "exchange")
    gateway, keys = DirectoryGateway(tmp_path / "exchange"), tmp_path / "keys"
    keys.mkdir()
    trust(keys, KEY_ID, PRIVATE)
    hand_over(gateway, tmp_path, NAME)
    hand_over(gateway, tmp_path, "WAITING", is_taken=False)
    with (
        pool(cardinal_url, 8) as one,
        pool(cardinal_url, 8) as other,
        serving(app_of(Partners(PartnerKeys(keys), PartnerNonces(one), gateway))) as first,
        serving(app_of(Partners(PartnerKeys(keys), PartnerNonces(other), gateway))) as second,
    ):
        yield Bank((first, second), keys, tmp_path / "exchange" / "inbox", gateway)


def app_of(desk: Partners | None) -> Any:
    return create_app(
        parts=list,
        metrics=bytes,
        observe=lambda *_: None,
        body_bytes_max=65_536,
        graphql_app=PartnerMessages(desk),
    )


def signed(
    url: str,
    body: bytes = ACKNOWLEDGEMENT,
    *,
    key: rsa.RSAPrivateKey = PRIVATE,
    key_id: str = KEY_ID,
    covered: tuple[str, ...] = COVERED,
    age: timedelta = timedelta(0),
    algorithm: Any = algorithms.RSA_PSS_SHA512,
    nonce: str | None = "",
    **more: Any,
) -> httpx.Request:
    """A nonce of "" stands for a fresh one."""
    request = httpx.Request("POST", url, content=body)
    resolver = MappingKeyResolver(public_keys={}, private_keys={key_id: key})
    HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=resolver).sign(
        request,
        key_id=key_id,
        created=datetime.now(UTC) - age,
        nonce=uuid4().hex if nonce == "" else nonce,
        covered_component_ids=covered,
        body=body if "content-digest" in covered else None,
        **more,
    )
    return request


# --- What is taken ----------------------------------------------------------


def test_a_good_acknowledgement_is_taken_and_the_pipeline_finds_it(bank: Bank) -> None:
    """SEC-07"""
    assert bank.post(signed(bank.url())) == (202, None)
    assert bank.gateway.acknowledgement(NAME) == ACKNOWLEDGEMENT
    assert bank.post(signed(bank.url())) == (202, None), "signed anew, the same bytes are as good as done"
    assert bank.post(signed(bank.url(), b"A|other\n")) == (409, "ANSWERED_OTHERWISE")
    assert bank.gateway.acknowledgement(NAME) == ACKNOWLEDGEMENT


def test_a_signature_made_without_any_library_is_taken(bank: Bank) -> None:
    """SEC-07: by the letter of RFC 9421, so that a partner may write it in his own language."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(ACKNOWLEDGEMENT).digest()).decode()}:"
    parameters = (
        f'("@method" "@target-uri" "content-digest");created={int(time.time())};keyid="{KEY_ID}"'
        f';alg="rsa-pss-sha512";nonce="{uuid4().hex}"'
    )
    base = "\n".join(
        (
            '"@method": POST',
            f'"@target-uri": {bank.url()}',
            f'"content-digest": {digest}',
            f'"@signature-params": {parameters}',
        )
    )
    pss = padding.PSS(padding.MGF1(SHA512()), 64)
    signature = base64.b64encode(PRIVATE.sign(base.encode(), pss, SHA512())).decode()
    headers = {
        "Content-Digest": digest,
        "Signature-Input": f"s={parameters}",
        "Signature": f"s=:{signature}:",
    }
    assert bank.post(httpx.Request("POST", bank.url(), content=ACKNOWLEDGEMENT, headers=headers)) == (
        202,
        None,
    )


def test_a_message_that_comes_again_is_refused_by_every_process(bank: Bank) -> None:
    """SEC-07: replayed nonce refused; of many at once one is taken."""
    request = signed(bank.url())
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(bank.post, [request] * 8))
    assert sorted(answers) == [(202, None)] + [(409, "MESSAGE_REPLAYED")] * 7
    nonce = uuid4().hex
    assert bank.post(signed(bank.url(), nonce=nonce)) == (202, None)
    assert bank.post(signed(bank.url(process=1), nonce=nonce)) == (409, "MESSAGE_REPLAYED")


def test_what_was_not_handed_over_or_waits_to_be_taken_is_not_acknowledged(bank: Bank) -> None:
    for name in ("WAITING", "NEVER_SENT"):
        assert bank.post(signed(bank.url(name))) == (409, "FILE_NOT_TAKEN")
    for name in ("..%2Fsent%2Fx", ".hidden", "a.ack", "x" * 101):
        assert bank.post(signed(bank.url(name)))[0] in (400, 404)
    assert bank.post(signed(bank.url(), b""))[0] == 400
    assert list(bank.inbox.iterdir()) == []


def test_a_key_counts_as_soon_as_it_is_there_and_no_longer_than_it_is(bank: Bank) -> None:
    """SEC-07: rotation by two files for a while."""
    assert bank.post(signed(bank.url(), key=STRANGER, key_id="next")) == (401, "SIGNATURE_REFUSED")
    trust(bank.keys, "next", STRANGER)
    assert bank.post(signed(bank.url(), key=STRANGER, key_id="next")) == (202, None)
    (bank.keys / f"{KEY_ID}.pem").unlink()
    assert bank.post(signed(bank.url())) == (401, "SIGNATURE_REFUSED")


def test_without_keys_there_is_nothing_at_the_path() -> None:
    with serving(app_of(None)) as url:
        assert httpx.post(f"{url}{PARTNERS_PATH}/{NAME}").status_code == 404


# --- What is refused --------------------------------------------------------


def with_changes(
    request: httpx.Request, *, body: bytes | None = None, url: str | None = None, **headers: str
) -> httpx.Request:
    content = request.content if body is None else body
    sent = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Request(request.method, url or request.url, content=content, headers={**sent, **changed})


def attacks(bank: Bank) -> Iterator[tuple[str, httpx.Request]]:
    url, good = bank.url(), signed(bank.url())
    trust(bank.keys, "weak", WEAK)
    (bank.keys / "broken.pem").write_text("no key")
    (bank.keys.parent / "outside.pem").write_bytes((bank.keys / f"{KEY_ID}.pem").read_bytes())
    yield "unsigned", httpx.Request("POST", url, content=ACKNOWLEDGEMENT)
    yield "another body", with_changes(good, body=b"A|other\n")
    other = f"sha-256=:{base64.b64encode(hashlib.sha256(b'A|other').digest()).decode()}:"
    yield "another body and digest", with_changes(good, body=b"A|other", content_digest=other)
    yield "for another file", with_changes(good, url=bank.url("WAITING"))
    yield "for another host", with_changes(good, host="bank.example")
    yield "with a query", with_changes(good, url=f"{url}?a=b")
    yield "another's key", signed(url, key=STRANGER)
    yield "weak key", signed(url, key=WEAK, key_id="weak")
    for key_id in ("nobody", "../outside", "/etc/passwd", "broken", "", "a" * 65):
        yield f"key id {key_id[:20]}", signed(url, key_id=key_id)
    yield "too old", signed(url, age=timedelta(minutes=6))
    yield "from the future", signed(url, age=timedelta(minutes=-2))
    yield "expired", signed(url, expires=datetime.now(UTC) - timedelta(minutes=1))
    yield "no nonce", signed(url, nonce=None)
    yield "short nonce", signed(url, nonce="short")
    yield "long nonce", signed(url, nonce="n" * 129)
    for left_out in COVERED:
        rest = tuple(name for name in COVERED if name != left_out)
        yield f"without {left_out}", signed(url, covered=rest)
    yield "by PKCS #1 v1.5", signed(url, algorithm=algorithms.RSA_V1_5_SHA256)
    yield "the same, not said", signed(url, algorithm=algorithms.RSA_V1_5_SHA256, include_alg=False)
    secret: Any = (bank.keys / f"{KEY_ID}.pem").read_bytes()
    yield "the public key as a secret", signed(url, key=secret, algorithm=algorithms.HMAC_SHA256)
    yield (
        "two signatures",
        with_changes(
            good,
            signature=f"{good.headers['signature']}, b=:AAAA:",
            signature_input=f'{good.headers["signature-input"]}, b=();created=1;keyid="x"',
        ),
    )
    yield "rubbish", with_changes(good, signature="x", signature_input="((((")


def test_anything_but_a_good_signature_is_refused_alike_and_does_nothing(bank: Bank) -> None:
    """SEC-07: bad signature refused; the answer tells nothing of why."""
    answers = {attack: bank.post(request) for attack, request in attacks(bank)}
    assert {attack: told for attack, told in answers.items() if told != (401, "SIGNATURE_REFUSED")} == {}
    assert list(bank.inbox.iterdir()) == []
    assert bank.post(signed(bank.url())) == (202, None)
