"""GraphQL over server-sent events, one request a subscription: graphql-sse in "distinct connections mode".

The protocol is that of the `graphql-sse` package, PROTOCOL.md. Each `next` has its position as id, so that a
client that comes back with Last-Event-ID goes on behind it.
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from functools import lru_cache
from typing import Any

import structlog
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.authentication import Authentication
from api.context import Context
from api.feeds import Ended, Feeds, Subscriber, TooSlow, text_of
from api.graphql_errors import code_of, refused, shown
from api.http_errors import error_response
from api.planner.reads import DATABASE_FAULTS
from api.rates import TooManyAtOnce
from api.services import Services
from api.subscription_requests import Asked, Refused, SubscriptionRequests
from application.authentication import TokenCode
from application.shared.records import Position

EVENT_STREAM = "text/event-stream"
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}
BEGINNING_S = 1.0
LOOK_EVERY_S = 5.0
"""How often it is looked whether the client still has its rights, and a comment sent."""
COMMENT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"

logger = structlog.get_logger("cardinal.streams")
JSON_TYPES = frozenset({"application/json", "application/graphql-response+json", "application/*", "*/*"})


@lru_cache(maxsize=256)
def wants_events(accept: str, *, is_subscription: bool) -> bool:
    """Whether to answer with a stream: for subscriptions if that is taken at all, else if it is liked best.

    Many a client lists text/event-stream beside JSON for every request.
    """
    events = json = 0.0
    for part in accept.lower().split(",")[:20]:
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        with suppress(ValueError):
            quality = next((float(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
        if name == EVENT_STREAM:
            events = max(events, quality)
        elif name in JSON_TYPES:
            json = max(json, quality)
    return events > (0.0 if is_subscription else json)


def as_events(response: Response) -> Response:
    """One answer in JSON as a stream of one event."""
    return Response(_next(bytes(response.body).decode()) + COMPLETE, headers=HEADERS)


class EventStreams:
    """Answers subscriptions by HTTP."""

    def __init__(self, services: Services, requests: SubscriptionRequests, feeds: Feeds) -> None:
        self._services, self._requests, self._feeds = services, requests, feeds

    def response(self, request: Request, body: Mapping[str, Any], context: Context) -> "EventStream":
        """The stream of a subscription whose document is sound."""
        asked: Asked | Refused
        try:
            asked = self._requests.asked(body, context, _seen(request))
        except Refused as refusal:
            asked = refusal
        return EventStream(self._feeds, self._services.authentication, context, asked)


class EventStream:
    """The response: results as they come, a comment now and then, the end when the token ends."""

    def __init__(
        self,
        feeds: Feeds,
        authentication: Authentication,
        context: Context,
        asked: Asked | Refused,
    ) -> None:
        self._feeds, self._authentication = feeds, authentication
        self._context, self._asked = context, asked
        self._begun, self._answered = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rates = self._context.admission.rates
        try:
            with rates.socket(self._context.principal.user):
                await self._serve(receive, send)
        except TooManyAtOnce:
            await error_response(scope, 429, "TOO_MANY_AT_ONCE", {"Retry-After": "1"})(scope, receive, send)

    async def _serve(self, receive: Receive, send: Send) -> None:
        results = asyncio.create_task(self._results(send))
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGINNING_S):
                await self._begun.wait()
        headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _write(send, COMMENT)
        self._answered.set()
        tasks = [results, asyncio.create_task(self._watch(send)), asyncio.create_task(_gone(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        last = [each for each in ended if isinstance(each, bytes)]
        await _write(send, b"".join(last[:1]), more=False)

    async def _results(self, send: Send) -> bytes:
        if isinstance(self._asked, Refused):
            self._begun.set()
            return self._failed(self._asked.errors)
        subscriber = Subscriber(self._feeds, self._asked, self._begun)
        try:
            async with aclosing(subscriber.frames()) as frames:
                async for frame in frames:
                    await self._answered.wait()
                    await _write(send, _next(frame.payload, frame.position))
        except Refused as refusal:
            return self._failed(refusal.errors)
        except TooSlow:
            return self._failed([self._error("SLOW_SUBSCRIBER", position=str(subscriber.at))])
        except Ended:
            pass  # without `complete`, for the client is to come back
        except DATABASE_FAULTS as error:
            logger.error("a stream broke off", request_id=self._context.request_id, error=repr(error))
            return self._failed([self._error(code_of(error))])
        finally:
            self._begun.set()
        return b""

    async def _watch(self, send: Send) -> bytes:
        """Keep the connection in use, and see to it that the client stays who it is."""
        principal = self._context.principal
        expires_at_s = principal.expires_at_s or math.inf
        while True:
            await asyncio.sleep(max(0.0, min(LOOK_EVERY_S, expires_at_s - time.time())))
            if not self._authentication.still_holds(principal):
                return self._failed([self._error("RIGHTS_CHANGED")])
            if time.time() >= expires_at_s:
                return self._failed([self._error(TokenCode.TOKEN_EXPIRED)])
            await _write(send, COMMENT)

    def _failed(self, errors: Sequence[GraphQLError]) -> bytes:
        told = self._context.admission.shown(errors, self._context.principal)
        return _next(text_of({"errors": [shown(error, self._context) for error in told]})) + COMPLETE

    def _error(self, code: str, **extensions: str) -> GraphQLError:
        return refused(code, self._context.language, **extensions)


def _seen(request: Request) -> Position | None:
    """The position that Last-Event-ID names; None without one, and for what is none."""
    try:
        return Position.parse(request.headers.get("last-event-id", ""))
    except ValueError:
        return None


async def _gone(receive: Receive) -> bytes:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    return b""


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _next(payload: str, position: Position | None = None) -> bytes:
    id_ = f"id: {position}\n" if position is not None else ""
    return f"event: next\n{id_}data: {payload}\n\n".encode()
