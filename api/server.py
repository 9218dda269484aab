"""Serving the HTTP application: uvicorn with limits, and an orderly end."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from api.http_protocol import BoundedHttp
from api.listener import BACKLOG
from api.processes import Signals
from api.socket_protocol import BoundedSocket

# Below the time that the supervisor gives a child.
GRACE_S = 6
KEEP_ALIVE_S = 15
SOCKET_MESSAGES_MAX = 32


class Server(uvicorn.Server):
    """Takes over the signals while it serves; the first one starts the time for the forced end."""

    def __init__(self, config: uvicorn.Config, signals: Signals, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._signals, self._end_streams = signals, end_streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            self._signals.arm()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        listening = [each.dup() for each in sockets or ()]
        for server in self.servers:
            server.close()
        for each in listening:
            await self._accept_the_rest(each)
        await super().shutdown(sockets)

    async def _accept_the_rest(self, listener: socket.socket) -> None:
        """Whom the kernel has let in already is served: the end of the last listener would cut him off."""
        loop = asyncio.get_running_loop()
        with listener, suppress(BlockingIOError):
            while True:
                accepted, _ = listener.accept()
                accepted.setblocking(False)
                with suppress(OSError):  # he has gone
                    await loop.connect_accepted_socket(self._protocol, accepted, ssl=self.config.ssl)

    def _protocol(self) -> asyncio.Protocol:
        """As uvicorn makes it for a connection."""
        return BoundedHttp(self.config, self.server_state, self.lifespan.state)


def limited(
    app: ASGIApp, *, connections_max: int, message_bytes_max: int, tls: ssl.SSLContext | None = None
) -> uvicorn.Config:
    """How `app` is served. `message_bytes_max` is the limit of one WebSocket message."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedHttp,
        ws=BoundedSocket,
        ws_per_message_deflate=False,  # 20 µs and more for each message of each subscriber
        ws_max_size=message_bytes_max,
        ws_max_queue=SOCKET_MESSAGES_MAX,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # whose are believed is the application's matter
        server_header=False,
        ssl_context_factory=None if tls is None else lambda *_: tls,
        limit_concurrency=connections_max,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def serve(
    config: uvicorn.Config, listener: socket.socket, signals: Signals, end_streams: Callable[[], None]
) -> None:
    """Serve until a signal comes; requests that are under way then have 6 s to end.

    What would never end by itself is ended by `end_streams`.
    """
    Server(config, signals, end_streams).run([listener])
