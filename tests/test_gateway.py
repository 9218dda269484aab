"""The gateway of docker-compose.yml: nginx by the file's own configuration, before a real server of ours."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from api.transport import HSTS_S, TransportRules
from tests.api.cardinal_process import COMMAND, ROOT, bare_environment, eventually, running_up
from tests.api.test_transport import served, trusting
from tests.certificates import Authority
from tests.test_compose import COMPOSE, interpolated

pytestmark = pytest.mark.drill


def nginx() -> str:
    """Debian's, without its service. Raises CalledProcessError where it can't be had."""
    if shutil.which("nginx") is None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        install = ["install", "-q", "-y", "--no-install-recommends", "nginx-light"]
        for arguments in (["update", "-q"], install):
            subprocess.run(["apt-get", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    return shutil.which("nginx") or "/usr/sbin/nginx"


def free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in taken]
    for each in taken:
        each.close()
    return ports


@contextmanager
def gateway(folder: Path, authority: Authority, *apis: str) -> Iterator[tuple[str, str]]:
    """Its addresses with and without TLS. Only addresses and folders differ from the file; several APIs are
    taken in turn, as the addresses of a service are that Compose has scaled.
    """
    files, (encrypted, plain) = authority.give("127.0.0.1"), free_ports(2)
    text = interpolated(COMPOSE["configs"]["gateway"]["content"], {})
    for name, own in {
        "/tmp/": f"{folder}/",
        "http://api:8000": "http://apis",
        "server {\n    listen 8080": f"{in_turn(apis)}\n  server {{\n    listen 8080",
        "listen 8080": f"listen 127.0.0.1:{plain}",
        "listen 8443": f"listen 127.0.0.1:{encrypted}",
        "/run/secrets/tls_certificate": str(files.certificate),
        "/run/secrets/tls_key": str(files.key),
    }.items():
        assert name in text
        text = text.replace(name, own)
    (folder / "nginx.conf").write_text(f"daemon off;\nuser root;\n{text}" if os.geteuid() == 0 else text)
    command = [nginx(), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        deadline_s = time.monotonic() + 20
        while not answers(plain):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline_s, (folder / "log").read_text()
            time.sleep(0.02)
        yield f"https://127.0.0.1:{encrypted}", f"http://127.0.0.1:{plain}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def in_turn(apis: Sequence[str]) -> str:
    """As with the addresses of a name that is looked up: no failure is remembered from request to request."""
    servers = "".join(f"server {api.removeprefix('http://')} max_fails=0; " for api in apis)
    return f"upstream apis {{ {servers}}}"


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_the_gateway_relays_https_and_tells_the_api_who_asks(tmp_path: Path) -> None:
    """SEC-01, SEC-09: plain HTTP is sent on to HTTPS; what a client claims of his address goes no further."""
    authority = Authority(tmp_path / "authority")
    rules = TransportRules(https_required=True, trusted_proxies=("127.0.0.1",))
    spoofed = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "http"}
    with served(rules) as api, gateway(tmp_path, authority, api) as (encrypted, plain):
        assert httpx.get(f"{api}/graphql").status_code == 403, "the API itself is not to be asked"
        answer = httpx.get(f"{plain}/graphql?a=b")
        assert (answer.status_code, answer.headers["location"]) == (308, "https://127.0.0.1/graphql?a=b")
        with httpx.Client(base_url=encrypted, verify=trusting(authority), headers=spoofed) as client:
            answer = client.post("/graphql", json={})
            assert answer.json() == ["127.0.0.1", "https"]
            assert answer.headers["strict-transport-security"] == f"max-age={HSTS_S}"
            assert client.get("/healthz").status_code == 200
            assert [client.get(path).status_code for path in ("/metrics", "/readyz")] == [404, 404]
        socket_url = encrypted.replace("https", "wss") + "/graphql"
        with connect(socket_url, ssl=trusting(authority), origin=encrypted) as websocket:  # type: ignore[arg-type]
            assert json.loads(websocket.recv()) == ["127.0.0.1", "wss"]


@pytest.mark.timeout(200)
def test_two_apis_behind_it_share_the_load_without_sticky_sessions(tmp_path: Path) -> None:
    """NFR-03, NFR-07: a session goes on at either, each sees what the other wrote, and one may die."""
    authority, home = Authority(tmp_path / "authority"), tmp_path / "home"
    with ExitStack() as opened:
        first = opened.enter_context(running_up(home)).url()
        second, process = opened.enter_context(another_api(home))
        encrypted, _ = opened.enter_context(gateway(tmp_path, authority, first, second))
        client = httpx.Client(base_url=encrypted, verify=trusting(authority), timeout=30)
        opened.enter_context(client)
        given = {"username": "operator", "password": "operator-tries-cardinal"}
        tokens = client.post("/login", json=given).raise_for_status().json()
        tokens = client.post("/refresh", json={"refreshToken": tokens["refreshToken"]}).json()
        client.headers["Authorization"] = f"Bearer {tokens['accessToken']}"
        for number in range(10):
            assert read_back(client, f"SCALED{number}") == [f"SCALED{number}"]
        assert min(asked(first), asked(second)) >= 5
        process.kill()
        process.wait(30)
        for number in range(4):
            assert read_back(client, f"ALONE{number}") == [f"ALONE{number}"]


@contextmanager
def another_api(home: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    [port] = free_ports(1)
    environment = bare_environment(home, {"CARDINAL_PORT": str(port), "CARDINAL_LOG_LEVEL": "error"})
    process = subprocess.Popen([*COMMAND, "api"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
    try:
        eventually(lambda: answers(port), "another API")
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait(30)


def read_back(client: httpx.Client, code: str) -> list[str]:
    """Add a cost type, then find it by the next request, which another process gets."""
    added = asked_for(
        client,
        "mutation ($input: AddCostTypeInput!) { addCostType(input: $input) {"
        " position userErrors { message } } }",
        {"input": {"code": code, "name": code, "accountingSubject": "6601", "unit": "CNY"}},
    )["addCostType"]
    assert added["userErrors"] == []
    found = asked_for(
        client,
        "query ($code: String!) { costTypes(filter: { code: { eq: $code } }) { nodes { code } } }",
        {"code": code},
        {"minPosition": added["position"]},
    )
    return [node["code"] for node in found["costTypes"]["nodes"]]


def asked_for(
    client: httpx.Client, document: str, variables: object, extensions: object = None
) -> dict[str, Any]:
    body = {"query": document, "variables": variables, "extensions": extensions or {}}
    answer = client.post("/graphql", json=body).raise_for_status().json()
    assert "errors" not in answer, answer
    return dict(answer["data"])


def asked(api: str) -> float:
    """How many GraphQL requests the process has answered."""
    lines = httpx.get(f"{api}/metrics").text.splitlines()
    counted = [
        line for line in lines if line.startswith("cardinal_http_requests_total") and '"/graphql"' in line
    ]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counted)
