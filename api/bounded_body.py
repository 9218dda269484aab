"""Requests within limits: few headers, and bodies read whole, of a size and in a time, before anybody works
on them.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http_errors import error_response

HEADERS_MAX = 100
HEADERS_BYTES_MAX = 32 * 1024
BODY_TIMEOUT_S = 30.0
# What is read on and thrown away beyond the limit, so that the client reads our answer and no reset.
DRAINED_BYTES_MAX = 16 * 1024 * 1024


class BodyTooLarge(Exception):
    """The body has more bytes than the limit."""


class Disconnected(Exception):
    """The client went away before its body was whole."""


class BoundedBody:
    """Answers 431 to more than 100 headers or 32 KiB of them, 413 to a body of more than `bytes_max`, and 408
    to one that takes longer than 30 s.
    """

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        self._app, self._bytes_max = app, bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await self._whole(receive)
        except BodyTooLarge:
            await error_response(scope, 413, "BODY_TOO_LARGE", {"Connection": "close"})(scope, receive, send)
        except TimeoutError:
            await error_response(scope, 408, "BODY_TOO_SLOW", {"Connection": "close"})(scope, receive, send)
        except Disconnected:
            return
        else:
            headers = scope["headers"]
            if len(headers) > HEADERS_MAX or sum(len(n) + len(v) for n, v in headers) > HEADERS_BYTES_MAX:
                await error_response(scope, 431, "TOO_MANY_HEADERS")(scope, receive, send)
                return
            await self._app(scope, _replaying(body, receive), send)

    async def _whole(self, receive: Receive) -> bytes:
        body, size, more = bytearray(), 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(part)
            if size <= self._bytes_max:
                body += part
            elif size > self._bytes_max + DRAINED_BYTES_MAX:
                break
        if size > self._bytes_max:
            raise BodyTooLarge
        return bytes(body)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Give the body once; after that, whatever else the connection has to say."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
