"""TLS by real handshakes, proxies that are believed or not, and pages of other origins."""

import json
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from api.application import create_app
from api.certificates import Certificate
from api.terminal import CommandFailed
from api.transport import HSTS_S, TransportRules
from infrastructure.settings import Settings, SettingsFault
from tests.api.http_server import exchanged, serving
from tests.certificates import Authority, Files

OURS, HOSTILE = "https://cards.bank.example", "https://attacker.example"


async def told(scope: Scope, receive: Receive, send: Send) -> None:
    """Who asks and how, as the application sees it."""
    if scope["type"] == "websocket":
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        await websocket.send_text(json.dumps([scope["client"][0], scope["scheme"]]))
        await websocket.close()
    else:
        await JSONResponse([scope["client"][0], scope["scheme"]])(scope, receive, send)


@contextmanager
def served(rules: TransportRules, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    app = create_app(
        parts=list,
        metrics=bytes,
        observe=lambda *_: None,
        body_bytes_max=1_024,
        transport=rules,
        graphql_app=told,
    )
    with serving(app, tls=tls) as url:
        yield url


# --- TLS --------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def files(authority: Authority) -> Files:
    return authority.give("127.0.0.1", "localhost")


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.file)


def handshake(url: str, context: ssl.SSLContext) -> tuple[str | None, str, int]:
    """Protocol, cipher and serial number of the certificate."""
    address = httpx.URL(url)
    with (
        socket.create_connection((address.host, address.port or 443), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=address.host) as encrypted,
    ):
        cipher, certificate = encrypted.cipher(), encrypted.getpeercert()
        assert cipher is not None
        assert certificate is not None
        return encrypted.version(), cipher[0], int(str(certificate["serialNumber"]), 16)


def outdated(authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = trusting(authority)
    lenient(context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = version
    return context


def lenient(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")


def test_only_tls_1_2_and_newer_is_spoken_by_good_ciphers_and_plain_http_is_hung_up_on(
    authority: Authority, files: Files
) -> None:
    """SEC-01"""
    with closing(Certificate(files.certificate, files.key)) as ours:
        rules = TransportRules(https_required=True)
        with served(rules, ours.context) as url:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = trusting(authority)
                context.minimum_version = context.maximum_version = version
                assert handshake(url, context)[0] == version.name.replace("_", ".")
            with pytest.raises(ssl.SSLError, match=r"EOF|PROTOCOL_VERSION"):
                handshake(url, outdated(authority, ssl.TLSVersion.TLSv1))
            with pytest.raises(ssl.SSLError, match=r"EOF|PROTOCOL_VERSION"):
                handshake(url, outdated(authority, ssl.TLSVersion.TLSv1_1))
            weak = trusting(authority)
            weak.maximum_version = ssl.TLSVersion.TLSv1_2
            weak.set_ciphers("ECDHE-ECDSA-AES128-SHA:AES128-SHA:@SECLEVEL=0")
            with pytest.raises(ssl.SSLError, match=r"EOF|HANDSHAKE_FAILURE"):
                handshake(url, weak)
            assert b"HTTP/" not in exchanged(url.replace("https", "http"), b"GET /graphql HTTP/1.1\r\n\r\n")
            with httpx.Client(verify=trusting(authority)) as client:
                answer = client.get(f"{url}/graphql")
            assert answer.json() == ["127.0.0.1", "https"]
            assert answer.headers["strict-transport-security"] == f"max-age={HSTS_S}"
            with connect(url.replace("https", "wss") + "/graphql", ssl=trusting(authority)) as websocket:
                assert json.loads(websocket.recv()) == ["127.0.0.1", "wss"]
            lenient(ours.context)  # these clients would be let in, were it not for us
            assert handshake(url, outdated(authority, ssl.TLSVersion.TLSv1))[0] == "TLSv1"
            assert handshake(url, weak)[1] == "ECDHE-ECDSA-AES128-SHA"


def test_a_new_certificate_serves_the_next_handshake_and_a_broken_one_never(
    authority: Authority, files: Files
) -> None:
    """SEC-01: renewal without a restart; connections that are open go on."""
    with (
        closing(Certificate(files.certificate, files.key, look_every_s=0.02)) as ours,
        served(TransportRules(), ours.context) as url,
        httpx.Client(verify=trusting(authority)) as open_all_the_time,
    ):
        assert open_all_the_time.get(f"{url}/graphql").status_code == 200
        first = handshake(url, trusting(authority))[2]
        key = files.key.read_bytes()
        files.key.write_bytes(authority.give("other").key.read_bytes())
        time.sleep(0.3)
        assert handshake(url, trusting(authority))[2] == first
        files.key.write_bytes(key)
        authority.give("127.0.0.1", into=files)
        deadline_s = time.monotonic() + 15
        while handshake(url, trusting(authority))[2] == first:
            assert time.monotonic() < deadline_s, "the new certificate is not used"
            time.sleep(0.02)
        assert open_all_the_time.get(f"{url}/graphql").status_code == 200


def test_files_that_are_no_certificate_are_told_at_the_start(authority: Authority, tmp_path: Path) -> None:
    other = authority.give("elsewhere")
    for certificate, key in (
        (tmp_path / "none", other.key),
        (other.certificate, authority.give("third").key),
        (other.key, other.key),
    ):
        with pytest.raises(CommandFailed, match="can't be used"):
            Certificate(certificate, key)
    with pytest.raises(SettingsFault, match="both, or none"):
        Settings.read({"CARDINAL_TLS_KEY": str(other.key)}).require_whole_certificate()


# --- Proxies ----------------------------------------------------------------

SPOOFED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}


def test_plain_http_is_refused_but_for_probes_and_nobody_can_claim_that_it_was_encrypted() -> None:
    """SEC-01"""
    with served(TransportRules(https_required=True, trusted_proxies=("192.0.2.0/24",))) as url:
        for headers in ({}, SPOOFED, {"Forwarded": "proto=https"}):
            answer = httpx.get(f"{url}/graphql", headers=headers)
            assert answer.status_code == 403
            assert answer.json()["errors"][0]["extensions"]["code"] == "HTTPS_REQUIRED"
            assert "strict-transport-security" not in answer.headers
            with pytest.raises(InvalidStatus, match="403"):
                connect(url.replace("http", "ws") + "/graphql", additional_headers=headers)
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_trusted_proxy_tells_scheme_and_address_and_nobody_before_it_does() -> None:
    """SEC-01: the address is the last that no trusted proxy wrote, so what a client sends is not believed."""
    with served(TransportRules(https_required=True, trusted_proxies=("127.0.0.1",))) as url:
        answer = httpx.get(f"{url}/graphql", headers=SPOOFED)
        assert answer.json() == ["198.51.100.7", "https"]
        assert answer.headers["strict-transport-security"]
        chain = {**SPOOFED, "X-Forwarded-For": "10.9.9.9, 198.51.100.7, 127.0.0.1"}
        assert httpx.get(f"{url}/graphql", headers=chain).json()[0] == "198.51.100.7"
        assert httpx.get(f"{url}/graphql", headers={"X-Forwarded-Proto": "http"}).status_code == 403
        with connect(url.replace("http", "ws") + "/graphql", additional_headers=SPOOFED) as websocket:
            assert json.loads(websocket.recv()) == ["198.51.100.7", "wss"]
    with served(TransportRules()) as url:
        assert httpx.get(f"{url}/graphql", headers=SPOOFED).json() == ["127.0.0.1", "http"]


def test_browsers_are_told_to_guess_frame_and_refer_nothing() -> None:
    """SEC-06"""
    with served(TransportRules()) as url:
        for path in ("/graphql", "/nowhere", "/healthz"):
            headers = httpx.get(url + path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


# --- Other origins ----------------------------------------------------------

LOOKALIKES = (
    HOSTILE,
    "null",
    "http://cards.bank.example",
    "https://cards.bank.example:8443",
    "https://cards.bank.example.attacker.example",
    "https://attackercards.bank.example",
    "https://cards.bank.example/",
    "HTTPS://CARDS.BANK.EXAMPLE",
    f"{OURS}, {HOSTILE}",
    "",
)


def preflight(
    origin: str, method: str = "POST", headers: str = "authorization,content-type"
) -> dict[str, str]:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return {"Origin": origin, **asked}


def test_pages_of_listed_origins_may_use_the_api_and_no_others() -> None:
    """SEC-03: exact origins; without credentials, for there are no cookies."""
    with served(TransportRules(origins=(OURS,))) as url, httpx.Client(base_url=url) as client:
        allowed = client.options("/graphql", headers=preflight(OURS))
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == OURS
        assert "access-control-allow-credentials" not in allowed.headers
        answer = client.post("/graphql", headers={"Origin": OURS})
        assert answer.headers["access-control-allow-origin"] == OURS
        assert "Origin" in answer.headers["vary"]
        assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
        for origin in LOOKALIKES:
            asked = client.options("/graphql", headers=preflight(origin))
            posted = client.post("/graphql", headers={"Origin": origin})
            assert "access-control-allow-origin" not in {*asked.headers, *posted.headers}
        assert client.options("/graphql", headers=preflight(OURS, "DELETE")).status_code == 400
        assert client.options("/graphql", headers=preflight(OURS, headers="x-evil")).status_code == 400
    with served(TransportRules()) as url:
        for origin in (OURS, HOSTILE, url):
            answer = httpx.options(f"{url}/graphql", headers=preflight(origin))
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_websocket_is_opened_by_our_own_page_by_a_listed_one_and_by_programs() -> None:
    """SEC-03: browsers ask nobody before they open one, so the server looks at the origin."""
    with served(TransportRules(origins=(OURS,))) as url:
        address = url.replace("http", "ws") + "/graphql"
        for origin in (url, OURS, None):
            with connect(address, origin=origin) as websocket:  # type: ignore[arg-type]
                assert json.loads(websocket.recv())[1] == "ws"
        for origin in (*LOOKALIKES, url.replace("http", "https"), url.replace("127.0.0.1", "localhost")):
            with pytest.raises(InvalidStatus, match="403"):
                connect(address, additional_headers={"Origin": origin})


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "cards.bank.example",
        "https://*.bank.example/",
        "https://A.example",
        "https://a.example:443",
        "null",
    ],
)
def test_only_exact_origins_can_be_listed(origins: str) -> None:
    with pytest.raises(SettingsFault, match="CARDINAL_CORS_ORIGINS must be"):
        Settings.read({"CARDINAL_CORS_ORIGINS": origins})


@pytest.mark.parametrize("proxies", ["*", "0.0.0.0/0", "::/0", "proxy.example", "10.0.0.1/8"])
def test_only_addresses_and_networks_are_proxies(proxies: str) -> None:
    with pytest.raises(SettingsFault, match="CARDINAL_TRUSTED_PROXIES must be"):
        Settings.read({"CARDINAL_TRUSTED_PROXIES": proxies})


def test_https_is_required_in_production() -> None:
    """SEC-01"""
    assert Settings.read({"CARDINAL_ENV": "production"}).requires_https
    assert not Settings.read({}).requires_https
    given = {"CARDINAL_TRUSTED_PROXIES": "10.0.0.0/24, 192.0.2.1", "CARDINAL_CORS_ORIGINS": OURS}
    settings = Settings.read({**given, "CARDINAL_HTTPS_REQUIRED": "true"})
    assert settings.requires_https
    assert settings.trusted_proxies == ("10.0.0.0/24", "192.0.2.1")
    assert settings.cors_origins == (OURS,)
