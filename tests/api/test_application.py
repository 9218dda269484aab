"""The HTTP application: limits of head and body, errors in one form, the questions of machines."""

import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from api.application import create_app
from api.listener import listen, url_of
from api.processes import Signals
from api.server import Server, limited
from tests.api.http_server import connected, exchanged, received, serving

BODY_MAX = 100_000


@dataclass
class SeenPart:
    name: str
    fault: str | None = None
    measures: Mapping[str, float] = field(default_factory=dict)


class Echo:
    """Tells how many bytes came; fails when it is asked to."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": scope["state"]["request_id"]})
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        if request.query_params.get("fail"):
            raise ValueError("the password is hunter2")
        if size := int(request.query_params.get("size", "0")):
            media = request.query_params.get("media", "application/graphql-response+json")
            await Response(b"ab" * (size // 2), media_type=media)(scope, receive, send)
            return
        await PlainTextResponse(str(len(await request.body())))(scope, receive, send)


@dataclass
class House:
    client: httpx.Client
    url: str
    parts: list[SeenPart]
    observed: list[tuple[str, str, int]]


@pytest.fixture
def house() -> Iterator[House]:
    parts, observed = [SeenPart("database")], list[tuple[str, str, int]]()
    app = create_app(
        parts=lambda: parts,
        metrics=lambda: b"cardinal_up 1\n",
        observe=lambda method, path, status, _: observed.append((method, path, status)),
        body_bytes_max=BODY_MAX,
        graphql_app=Echo(),
    )
    with serving(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield House(client, url, parts, observed)


def code(answer: httpx.Response) -> str:
    (error,) = answer.json()["errors"]
    assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
    told: str = error["extensions"]["code"]
    return told


def test_alive_ready_and_metrics_are_answered_without_a_token(house: House) -> None:
    assert house.client.get("/healthz").json() == {"status": "alive"}
    assert house.client.get("/readyz").json() == {
        "status": "ready",
        "parts": [{"name": "database", "ready": True}],
    }
    metrics = house.client.get("/metrics")
    assert metrics.text == "cardinal_up 1\n"
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_readyz_is_503_and_names_the_part_that_is_not_ready(house: House) -> None:
    house.parts.append(SeenPart("projection:activities", "it is 90 s behind the log", {"lag_s": 90.5}))
    answer = house.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "parts": [
            {"name": "database", "ready": True},
            {
                "name": "projection:activities",
                "ready": False,
                "fault": "it is 90 s behind the log",
                "lag_s": 90.5,
            },
        ],
    }
    assert house.client.get("/healthz").status_code == 200


def test_unknown_addresses_and_methods_are_json_with_a_code(house: House) -> None:
    for path in ("/", "/graphql/", "/nothing", "/%2e%2e/etc/passwd"):
        answer = house.client.get(path)
        assert (answer.status_code, code(answer)) == (404, "NOT_FOUND"), path
    answer = house.client.delete("/healthz")
    assert (answer.status_code, code(answer)) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"]


def test_a_fault_of_ours_is_500_with_a_request_id_and_no_detail(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = house.client.get("/graphql?fail=1")
    assert (answer.status_code, code(answer)) == (500, "INTERNAL")
    assert "hunter2" not in answer.text
    assert ("GET", "/graphql", 500) in house.observed


def test_a_body_up_to_the_limit_comes_whole_also_in_chunks(house: House) -> None:
    assert house.client.post("/graphql", content=b"x" * BODY_MAX).text == str(BODY_MAX)
    assert house.client.post("/graphql", content=iter([b"x" * 1_000] * 100)).text == "100000"


@pytest.mark.parametrize("size", [BODY_MAX + 1, 5_000_000])
def test_a_body_over_the_limit_is_413_and_no_reset(house: House, size: int) -> None:
    for content in (b"x" * size, iter([b"x" * 65_536] * (size // 65_536 + 1))):
        answer = house.client.post("/graphql", content=content)
        assert (answer.status_code, code(answer)) == (413, "BODY_TOO_LARGE")


def test_a_client_that_sends_all_before_it_reads_gets_its_413(house: House) -> None:
    size = 10_000_000
    head = b"POST /graphql HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size
    answer = exchanged(house.url, head + b"x" * size)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"BODY_TOO_LARGE" in answer


def test_a_body_that_does_not_come_is_408(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.bounded_body.BODY_TIMEOUT_S", 0.2)
    head = b"POST /graphql HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"
    answer = exchanged(house.url, head)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"BODY_TOO_SLOW" in answer


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"x" * 500_000,
        b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Long: " + b"x" * 500_000,
        b"GET /healthz HTTP/1.1\r\nHost: h\r\n" + b"X-Short: y\r\n" * 50_000,
        b"\r\n" * 300_000,
    ],
    ids=["address", "one header", "many headers", "blank lines"],
)
def test_a_head_over_the_limit_is_431_and_no_reset(house: House, sent: bytes) -> None:
    assert exchanged(house.url, sent).startswith(b"HTTP/1.1 431 ")


def test_a_head_that_does_not_come_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.http_protocol.HEAD_TIMEOUT_S", 0.2)
    for begun in (b"", b"\r\n", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost:"):
        assert exchanged(house.url, begun) == b""


def test_blank_lines_after_a_request_do_not_keep_a_connection(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.http_protocol.HEAD_TIMEOUT_S", 0.2)
    with connected(house.url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"alive" in connection.recv(65_536)
        connection.sendall(b"\r\n")
        assert connection.recv(65_536) == b""


def test_bytes_that_are_no_http_are_400(house: House) -> None:
    assert exchanged(house.url, b"\x16\x03\x01\x02\x00\x01nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("asked", "encoding"),
    [
        ("zstd, br, gzip", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("gzip;q=0, br;q=0", None),
        ("deflate, x", None),
        ("", None),
    ],
)
def test_long_answers_are_compressed_as_the_client_asks(
    house: House, asked: str, encoding: str | None
) -> None:
    answer = house.client.get("/graphql?size=100000", headers={"accept-encoding": asked})
    assert answer.headers.get("content-encoding") == encoding
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert answer.content == b"ab" * 50_000
    assert (int(answer.headers["content-length"]) < 1_000) is (encoding is not None)


@pytest.mark.parametrize(
    "query",
    ["size=1000", "size=100000&media=text/event-stream", "size=100000&media=application/zip"],
    ids=["short", "stream", "compressed already"],
)
def test_what_gains_nothing_by_compression_is_left_as_it_is(house: House, query: str) -> None:
    answer = house.client.get(f"/graphql?{query}", headers={"accept-encoding": "zstd, br, gzip"})
    assert "content-encoding" not in answer.headers


def test_answers_do_not_tell_what_serves_them(house: House) -> None:
    assert "server" not in house.client.get("/healthz").headers


def test_one_connection_serves_many_requests_beyond_the_limit_of_a_head(house: House) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Padding: " + b"x" * 4_000 + b"\r\n\r\n"
    last = one.replace(b"Host: h", b"Connection: close\r\nHost: h")
    assert exchanged(house.url, one * 29 + last).count(b"HTTP/1.1 200 OK") == 30


def test_websockets_reach_the_same_path_and_have_a_request_id(house: House) -> None:
    from websockets.sync.client import connect

    with connect(
        house.url.replace("http", "ws") + "/graphql", additional_headers={"X-Request-Id": "ws-1"}
    ) as socket:
        assert socket.recv() == "ws-1"


# --- The end --------------------------------------------------------------------


def test_the_end_of_the_server_cuts_nobody_off_who_has_asked() -> None:
    """NFR-06: whom the kernel has let in and the server not seen, whose request is on its way, and who had
    one answered before: each gets this answer.
    """
    asks = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\nlast"
    listener = listen("127.0.0.1", 0)
    url = url_of(listener)
    clients: dict[str, socket.socket] = {}

    def at_the_end() -> None:
        """In the loop's own thread: what comes now the server has not seen when it ends."""
        clients.update({f"let in {number}": connected(url) for number in range(3)})
        for client in clients.values():
            client.sendall(asks)

    server = Server(limited(Echo(), connections_max=10, message_bytes_max=1_000), Signals(), at_the_end)
    server.config.lifespan = "off"
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    for name in ("new", "answered before"):
        clients[name] = connected(url)
    clients["answered before"].sendall(asks)
    assert clients["answered before"].recv(65_536).startswith(b"HTTP/1.1 200")
    server.should_exit = True
    thread.join(20)
    answers = {name: received(client) for name, client in clients.items()}
    assert len(answers) == 5
    for name, answer in answers.items():
        assert answer.startswith(b"HTTP/1.1 200"), name
