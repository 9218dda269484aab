"""The HTTP application behind the real server, in a thread of the test."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from api.listener import listen, url_of
from api.server import limited


@contextmanager
def serving(
    app: ASGIApp, message_bytes_max: int = 65_536, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Its address, as long as the block runs."""
    listener = listen("127.0.0.1", 0)
    url = url_of(listener, "http" if tls is None else "https")
    server = uvicorn.Server(limited(app, connections_max=100, message_bytes_max=message_bytes_max, tls=tls))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(20)


def connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def exchanged(url: str, sent: bytes) -> bytes:
    """What the server answers to raw bytes until it hangs up, or falls silent for 20 s."""
    with connected(url) as connection:
        connection.sendall(sent)
        return received(connection)


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side hangs up, or falls silent for 20 s."""
    answer = b""
    try:
        while part := connection.recv(65_536):
            answer += part
    except TimeoutError:
        pass
    return answer
