"""uvicorn's WebSocket protocol with what it lacks: last words to a stalled client, and an end of patience."""

from asyncio import AbstractEventLoop, Protocol, TimerHandle, Transport
from collections.abc import MutableMapping
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

GOING_AWAY = 1001
STALLED_S = 30.0
"""A client that takes nothing for so long is hung up on."""
LEAVING_S = 1.0
"""How long the end of the server waits for a client to take what was written."""


class Impatient(Protocol):
    """Hangs up on a client that takes nothing for 30 s; goes before uvicorn's class."""

    loop: AbstractEventLoop
    transport: Transport
    _stalled: TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        self._be_patient()
        super().connection_lost(exc)

    def _be_patient(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class BoundedSocket(Impatient, WebSocketsSansIOProtocol):
    """Closes 1001 when the server goes; writes a `websocket.close` and its `last` texts without waiting.

    `last` is an extension to ASGI: what else is written waits until the client has taken enough.
    """

    def shutdown(self) -> None:
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": GOING_AWAY})
            self.conn.send_close(GOING_AWAY)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.loop.call_later(LEAVING_S, self.transport.abort)
        super().shutdown()

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]
        is_open = self.handshake_complete and not (self.close_sent or self.disconnected)
        if message["type"] == "websocket.close" and is_open:
            for text in message.get("last", ()):
                self.conn.send_text(text.encode())
            self.writable.set()
        await super().send(message)  # type: ignore[arg-type]
