"""What is sent goes to the address that was looked at, once, and within its limits."""

import ssl
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infrastructure.webhook_sender import EXCERPT_BYTES_MAX, Outcome, WebhookSender, excerpt
from tests.infrastructure.webhook_receiver import (
    Receiver,
    answering,
    dripping,
    endless,
    hanging,
    redirecting,
)

BODY = b'{"specversion":"1.0"}'
SOON_S = 0.6


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def sender() -> Iterator[WebhookSender]:
    with WebhookSender(may_be_near=True, total_s=SOON_S) as sender:
        yield sender


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (400, Outcome.REFUSED),
        (410, Outcome.GONE),
        (500, Outcome.REFUSED),
    ],
)
def test_an_answer_is_told_by_its_status(
    receiver: Receiver, sender: WebhookSender, status: int, outcome: Outcome
) -> None:
    """INT-10"""
    receiver.behave = answering(status)
    answer = sender.post(receiver.url, {"webhook-id": "ev_1"}, BODY)
    assert (answer.outcome, answer.status_code) == (outcome, status)
    assert [each.id for each in receiver.received] == ["ev_1"]


def test_no_redirect_is_followed(receiver: Receiver, sender: WebhookSender) -> None:
    """INT-10: what was approved is one address."""
    with Receiver() as other:
        receiver.behave = redirecting(other.url)
        answer = sender.post(receiver.url, {}, BODY)
        assert (answer.outcome, answer.status_code) == (Outcome.REDIRECTED, 307)
        assert other.received == []


@pytest.mark.parametrize("kind", ["hangs", "drips", "pours"])
def test_whatever_a_receiver_does_it_takes_no_longer_than_the_limit(
    receiver: Receiver, sender: WebhookSender, kind: str
) -> None:
    """INT-10: silent, a byte at a time without end, or faster than anybody can read."""
    receiver.behave = {
        "hangs": hanging(receiver),
        "drips": dripping(receiver),
        "pours": endless(receiver, 500),
    }[kind]
    started_s = time.monotonic()
    answer = sender.post(receiver.url, {}, BODY)
    assert time.monotonic() - started_s < SOON_S + 5
    assert answer.outcome is (Outcome.REFUSED if kind == "pours" else Outcome.TIMED_OUT)


def test_the_beginning_of_an_endless_answer_is_kept(receiver: Receiver, sender: WebhookSender) -> None:
    """INT-10: at most 1 kB, and nothing in it that PostgreSQL or a terminal chokes on."""
    receiver.behave = endless(receiver, 200)
    answer = sender.post(receiver.url, {}, BODY)
    assert (answer.outcome, answer.status_code) == (Outcome.DELIVERED, 200)
    assert 0 < len(answer.response.encode()) <= EXCERPT_BYTES_MAX
    assert "银" in answer.response
    assert "\0" not in answer.response
    assert len(excerpt("银" * 2_000).encode()) <= EXCERPT_BYTES_MAX


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "https://[::1]:9/", "http://localhost:9/"])
def test_nothing_is_sent_to_a_private_address(url: str) -> None:
    """INT-10"""
    with WebhookSender() as sender:
        assert sender.post(url, {}, BODY).outcome is Outcome.PRIVATE_ADDRESS


def test_one_private_address_among_others_is_too_many(receiver: Receiver) -> None:
    """INT-10: which of a name's addresses is taken is not the receiver's to choose."""

    async def resolve(_: str, __: int) -> Sequence[str]:
        return ["93.184.216.34", "127.0.0.1"]

    with WebhookSender(resolve=resolve) as sender:
        answer = sender.post(f"http://hooks.example.com:{receiver.port}/", {}, BODY)
    assert answer.outcome is Outcome.PRIVATE_ADDRESS
    assert receiver.received == []


def test_a_name_that_changes_its_address_after_the_look_changes_nothing(receiver: Receiver) -> None:
    """INT-10: the name is asked for once, and the connection goes to the address that was looked at."""
    asked: list[str] = []

    async def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    with WebhookSender(may_be_near=True, resolve=resolve, total_s=SOON_S) as sender:
        sender.post(f"http://rebinding.example.com:{receiver.port}/", {}, BODY)
    assert asked == ["rebinding.example.com"]
    assert receiver.received == []


def test_host_and_tls_name_are_those_of_the_url(tmp_path: Path) -> None:
    """INT-10: the address is the checked one, the certificate is the name's, and Host says the name."""
    asked: list[str | None] = []
    serving, trusting = certified(tmp_path, "hooks.example.com")
    serving.sni_callback = lambda _, name, __: asked.append(name)

    async def resolve(_: str, __: int) -> Sequence[str]:
        return ["127.0.0.1"]

    with (
        Receiver(serving) as receiver,
        WebhookSender(may_be_near=True, resolve=resolve, tls=trusting) as sender,
    ):
        good = sender.post(f"https://hooks.example.com:{receiver.port}/x?y=z", {}, BODY)
        bad = sender.post(f"https://other.example.com:{receiver.port}/", {}, BODY)
        assert good.outcome is Outcome.DELIVERED
        assert bad.outcome is Outcome.UNREACHABLE
        assert asked == ["hooks.example.com", "other.example.com"]
        assert [(each.headers["host"], each.path) for each in receiver.received] == [
            (f"hooks.example.com:{receiver.port}", "/x?y=z")
        ]


def test_a_receiver_that_is_not_there_or_speaks_otherwise_is_told(
    receiver: Receiver, sender: WebhookSender
) -> None:
    receiver.behave = lambda request, _: request.wfile.write(b"SSH-2.0-hello\r\n\r\n") * 0
    assert sender.post(receiver.url, {}, BODY).outcome is Outcome.BAD_ANSWER
    assert sender.post("http://127.0.0.1:1/", {}, BODY).outcome is Outcome.UNREACHABLE


def certified(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for the name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem, private)
    return serving, ssl.create_default_context(cafile=str(pem))
