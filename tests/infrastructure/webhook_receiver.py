"""A real receiver of webhooks: verifies what comes as any integrator would, and misbehaves when told to."""

import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Received:
    """`event` is None where no signature was good."""

    id: str
    event: Any
    headers: dict[str, str]
    path: str


class Receiver:
    """Serves as long as the block runs. `behave` gets the request and what was received, and answers; what it
    gives back is the status.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.secret = ""
        self.received: list[Received] = []
        self.behave: Callable[[BaseHTTPRequestHandler, Received], int] = lambda _, __: 200
        self.keep: Callable[[bytes, dict[str, str]], None] = lambda _, __: None
        self.stopped = threading.Event()
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                with suppress(OSError):
                    served.take(self)

            def do_GET(self) -> None:
                served.received.append(Received("", None, dict(self.headers), self.path))
                self.send_error(405)

            def log_message(self, *_: Any) -> None:
                """Tests say enough."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.keep(body, headers)
        try:
            event = Webhook(self.secret).verify(body, headers) if self.secret else None
        except WebhookVerificationError:
            event = None
        got = Received(headers.get("webhook-id", ""), event, headers, request.path)
        self.received.append(got)
        status = self.behave(request, got)
        if status:
            request.send_response(status)
            request.send_header("content-length", "2")
            request.end_headers()
            request.wfile.write(b"ok")

    @property
    def delivered(self) -> list[Any]:
        """The events as they came, with good signatures."""
        return [each.event for each in self.received if each.event is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


# --- How receivers misbehave ------------------------------------------------


def answering(status: int) -> Callable[[BaseHTTPRequestHandler, Received], int]:
    return lambda _, __: status


def redirecting(to: str) -> Callable[[BaseHTTPRequestHandler, Received], int]:
    def redirect(request: BaseHTTPRequestHandler, _: Received) -> int:
        request.send_response(307)
        request.send_header("location", to)
        request.send_header("content-length", "0")
        request.end_headers()
        return 0

    return redirect


def hanging(receiver: Receiver) -> Callable[[BaseHTTPRequestHandler, Received], int]:
    def hang(_: BaseHTTPRequestHandler, __: Received) -> int:
        receiver.stopped.wait(30)
        return 0

    return hang


def dripping(receiver: Receiver) -> Callable[[BaseHTTPRequestHandler, Received], int]:
    """A header that never ends, a byte at a time: no single read waits for long."""

    def drip(request: BaseHTTPRequestHandler, _: Received) -> int:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nx-long: ")
        while not receiver.stopped.is_set():
            request.wfile.write(b"x")
            time.sleep(0.02)
        return 0

    return drip


def endless(receiver: Receiver, status: int) -> Callable[[BaseHTTPRequestHandler, Received], int]:
    """A body without end, as fast as it is taken."""

    def pour(request: BaseHTTPRequestHandler, _: Received) -> int:
        request.wfile.write(f"HTTP/1.1 {status} So\r\ncontent-type: text/plain\r\n\r\n".encode())
        while not receiver.stopped.is_set():
            request.wfile.write(b"\x00<\xe9\x93\xb6" * 16_384)
        return 0

    return pour
