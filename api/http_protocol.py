"""uvicorn's HTTP protocol with limits that it lacks: on the size of a request's head, and on its time."""

from asyncio import BaseTransport, TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.socket_protocol import Impatient

HEAD_BYTES_MAX = 32 * 1024
HEAD_TIMEOUT_S = 15.0
# How long we go on reading what is thrown away, so that the client gets our answer and no reset.
LINGER_S = 2.0
# How long the end of the server waits for a request that may be on its way.
LAST_CALL_S = 1.0
_TEXT = b"The head of the request is too large."
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_TEXT), _TEXT)
)


class BoundedHttp(Impatient, HttpToolsProtocol):
    """Answers 431 to a head that goes on for more than 32 KiB after the packet in which it began.

    Hangs up on one that takes longer than 15 s. The server's end cuts nobody off who is just asking.
    """

    _head_bytes = 0
    _in_head = False
    _is_begun = False
    _is_refused = False
    _is_last_call = False
    _head_timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        # Also blank lines between requests, of which the parser does not tell, begin a head.
        if not self._in_head and not self._is_answering:
            self._await_head()
        self._is_begun = False
        super().data_received(data)
        # Where in the packet a head begins is not known, so it counts from the next packet on.
        if self._in_head and not self._is_begun:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_begun, self._head_bytes = True, 0
        self._await_head()

    def on_headers_complete(self) -> None:
        self._have_head()
        super().on_headers_complete()
        if self._is_last_call and self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The server ends: who may be about to ask is answered once more, and told that it is the end."""
        self._is_last_call = True
        if self._is_answering:
            super().shutdown()
        else:
            self.loop.call_later(LAST_CALL_S, self._end)

    def _end(self) -> None:
        if not self._is_answering:
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._in_head = True
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._hang_up)

    def _have_head(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self) -> None:
        self._is_refused = True
        self._have_head()
        self.transport.write(_TOO_LARGE)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _hang_up(self) -> None:
        self._head_timer = None
        if self._is_answering:
            self._await_head()
        elif not self.transport.is_closing():
            self.transport.close()
