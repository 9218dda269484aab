"""GraphQL over WebSocket: graphql-transport-ws in text frames, for as long as the token holds.

The protocol is that of the `graphql-ws` package, PROTOCOL.md. The token comes in connection_init's payload as
{authorization: "Bearer …"}, beside it actingFor, the unit in whose name the client acts.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
import strawberry
import structlog
from graphql import GraphQLError, OperationType
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.context import Context
from api.feeds import Ended, Feeds, Subscriber, TooSlow, text_of, too_many
from api.graphql_errors import answer_of, code_of, extended, refused, shown
from api.graphql_requests import well_formed
from api.http_errors import Malformed, request_id
from api.messages import language_of
from api.planner.reads import DATABASE_FAULTS
from api.rates import TooManyAtOnce
from api.services import Services
from api.subscription_requests import Refused, SubscriptionRequests
from application.access import Principal
from application.authentication import TokenCode, TokenRefused

PROTOCOL = "graphql-transport-ws"
INIT_TIMEOUT_S = 10.0
LOOK_EVERY_S = 5.0
"""How often it is looked whether the client still has its rights, and takes what it gets."""
OPERATIONS_MAX = 20
BEGINNING_S = 1.0
ID_CHARACTERS_MAX = 128
REASON_BYTES_MAX = 123

TRY_AGAIN_LATER = 1013
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, WRONG_SUBPROTOCOL = 4400, 4401, 4403, 4406
INIT_TOO_LATE, SUBSCRIBER_EXISTS, INIT_TWICE = 4408, 4409, 4429

logger = structlog.get_logger("cardinal.sockets")


class Closed(Exception):
    """The socket is to be closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


@dataclass(slots=True)
class Operation:
    """One operation under way. `sent` counts its results; `is_sending` while one waits to be taken."""

    task: asyncio.Task[None] | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    subscriber: Subscriber | None = None
    sent: int = 0
    is_sending: bool = False
    waited_at: int | None = None

    def is_stalled(self) -> bool:
        """Whether the same result still waits as at the last look."""
        before, self.waited_at = self.waited_at, self.sent if self.is_sending else None
        return self.is_sending and before == self.sent


class Sockets:
    """The sockets of one process."""

    def __init__(
        self, schema: strawberry.Schema, services: Services, requests: SubscriptionRequests, feeds: Feeds
    ) -> None:
        self.schema, self.services, self.requests, self.feeds = schema, services, requests, feeds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        if PROTOCOL not in scope["subprotocols"]:
            await websocket.accept()
            await websocket.close(WRONG_SUBPROTOCOL, "Subprotocol not acceptable")
            return
        await websocket.accept(PROTOCOL)
        await Socket(self, websocket).serve()


class Socket:
    """One client, from the opening to the close."""

    def __init__(self, sockets: Sockets, websocket: WebSocket) -> None:
        self._sockets, self._websocket = sockets, websocket
        self._language = language_of(websocket.headers.get("accept-language"))
        self._context: Context | None = None
        self._is_initialised = self._is_closed = False
        self._held = ExitStack()
        self._operations: dict[str, Operation] = {}
        self._watcher = asyncio.create_task(self._expect_initialisation())

    async def serve(self) -> None:
        try:
            while True:
                await self._take(await self._received())
        except Closed as closed:
            await self._close(closed.code, closed.reason)
        except WebSocketDisconnect:
            pass
        except RuntimeError:  # Starlette's, for what is written after the close
            if not self._is_closed:
                raise
        finally:
            self._is_closed = True
            self._watcher.cancel()
            self._stop_operations()
            self._held.close()

    # --- What comes in ------------------------------------------------------

    async def _received(self) -> Mapping[str, Any]:
        received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        try:
            taken = orjson.loads(received.get("text") or "")
        except orjson.JSONDecodeError:
            raise Closed(BAD_REQUEST, "Messages are JSON in text frames") from None
        if not isinstance(taken, dict):
            raise Closed(BAD_REQUEST, "Messages are objects")
        return taken

    async def _take(self, taken: Mapping[str, Any]) -> None:
        payload = taken.get("payload")
        match taken.get("type"):
            case "connection_init" if isinstance(payload, dict | None):
                await self._initialise(payload or {})
            case "ping" if isinstance(payload, dict | None):
                await self._say({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
            case "pong" if isinstance(payload, dict | None):
                pass
            case "subscribe":
                if self._context is None:
                    raise Closed(UNAUTHORIZED, "Unauthorized")
                await self._begin(_id_of(taken), _body_of(payload), self._context)
            case "complete":
                operation = self._operations.pop(_id_of(taken), None)
                if operation is not None and operation.task is not None:
                    operation.task.cancel()
            case _:
                raise Closed(BAD_REQUEST, "Invalid message")

    async def _initialise(self, payload: Mapping[str, Any]) -> None:
        if self._is_initialised:
            raise Closed(INIT_TWICE, "Too many initialisation requests")
        self._is_initialised = True
        self._watcher.cancel()
        principal = self._principal(payload)
        try:
            self._held.enter_context(self._sockets.services.admission.rates.socket(principal.user))
        except TooManyAtOnce:
            raise Closed(TRY_AGAIN_LATER, _reason("TOO_MANY_AT_ONCE")) from None
        id_ = request_id(self._websocket.scope)
        address = self._websocket.client.host if self._websocket.client else ""
        self._context = self._sockets.services.context(principal, self._language, id_, None, address)
        self._watcher = asyncio.create_task(self._watch(principal))
        await self._say({"type": "connection_ack"})

    def _principal(self, payload: Mapping[str, Any]) -> Principal:
        given = payload.get("authorization") or payload.get("Authorization")
        credentials = given if isinstance(given, str) else None
        authentication = self._sockets.services.authentication
        try:
            principal = authentication.principal_of_credentials(credentials, payload.get("actingFor"))
        except TokenRefused as refused:
            raise Closed(FORBIDDEN, _reason(refused.code)) from None
        if not principal.permissions:
            raise Closed(FORBIDDEN, _reason("NO_ROLE"))
        return principal

    # --- Operations ---------------------------------------------------------

    async def _begin(self, id_: str, body: dict[str, Any], context: Context) -> None:
        if id_ in self._operations:
            raise Closed(SUBSCRIBER_EXISTS, f"Subscriber for {id_} already exists")
        if len(self._operations) >= OPERATIONS_MAX:
            await self._fail(id_, [too_many(OPERATIONS_MAX, self._language)], context)
            return
        operation = self._operations[id_] = Operation()
        operation.task = asyncio.create_task(self._run(id_, body, context, operation))
        # What the client does next it does after it has subscribed, and hears of.
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGINNING_S):
                await operation.begun.wait()

    async def _run(self, id_: str, body: dict[str, Any], context: Context, operation: Operation) -> None:
        try:
            errors = await self._errors_of(self._answer(id_, body, context, operation), context)
            if errors is None:
                await self._say({"id": id_, "type": "complete"})
            else:
                await self._fail(id_, errors, context)
        except TooSlow:
            await self._part()
        except (Ended, WebSocketDisconnect):
            pass  # the server closes all sockets itself
        except RuntimeError:  # as in `serve`
            if not self._is_closed:
                raise
        finally:
            operation.begun.set()
            if self._operations.get(id_) is operation:
                del self._operations[id_]

    async def _errors_of(self, answering: Awaitable[None], context: Context) -> Sequence[GraphQLError] | None:
        """Why the operation failed; None when it came to its end."""
        try:
            await answering
        except Refused as refusal:
            return refusal.errors
        except GraphQLError as error:
            return [error]
        except Malformed as malformed:
            return [refused(malformed.code, self._language)]
        except DATABASE_FAULTS as error:
            logger.error("an operation failed", request_id=context.request_id, error=repr(error))
            return [refused(code_of(error), self._language)]
        return None

    async def _answer(self, id_: str, body: dict[str, Any], context: Context, operation: Operation) -> None:
        services, schema = self._sockets.services, self._sockets.schema
        cost = await services.admission.require(body, context)
        document = services.reads.document(body["query"])
        if document.errors:
            raise Refused(document.errors)
        services.admission.documents.remember(body)
        if document.operations[body.get("operationName")].operation is OperationType.SUBSCRIPTION:
            await self._follow(id_, body, context, operation)
            return
        operation.begun.set()
        if not await services.is_projected(body):
            raise Refused([refused("BEHIND", self._language)])
        extensions = services.extensions(cost)
        found = await services.reads.answer(body, context.viewer)
        if found is not None:
            await self._next(id_, extended(found, extensions).decode(), operation)
            return
        result = await schema.execute(
            body["query"],
            variable_values=body.get("variables"),
            operation_name=body.get("operationName"),
            context_value=context,
        )
        answer = answer_of(result.data, result.errors, context, extensions)
        if "data" not in answer:
            raise Refused(result.errors or ())
        await self._next(id_, text_of(answer), operation)

    async def _follow(self, id_: str, body: dict[str, Any], context: Context, operation: Operation) -> None:
        asked = self._sockets.requests.asked(body, context)
        operation.subscriber = Subscriber(self._sockets.feeds, asked, operation.begun)
        async with aclosing(operation.subscriber.frames()) as frames:
            async for frame in frames:
                await self._next(id_, frame.payload, operation)

    # --- What goes out ------------------------------------------------------

    async def _next(self, id_: str, payload: str, operation: Operation) -> None:
        operation.is_sending = True
        await self._websocket.send_text(f'{{"id":{_quoted(id_)},"type":"next","payload":{payload}}}')
        operation.is_sending = False
        operation.sent += 1

    async def _fail(self, id_: str, errors: Sequence[GraphQLError], context: Context) -> None:
        told = context.admission.shown(errors, context.principal)
        await self._say({"id": id_, "type": "error", "payload": [shown(error, context) for error in told]})

    async def _say(self, said: Mapping[str, Any]) -> None:
        await self._websocket.send_text(text_of(said))

    async def _part(self) -> None:
        """Part from a client that is too slow: each subscription ends with the position to go on after."""
        assert self._context is not None
        said: list[str] = []
        positions: list[str] = []
        for id_, operation in self._operations.items():
            at = operation.subscriber and operation.subscriber.at
            if at is not None:
                positions.append(str(at))
                error = refused("SLOW_SUBSCRIBER", self._language, position=positions[-1])
                payload = [shown(error, self._context)]
                said.append(text_of({"id": id_, "type": "error", "payload": payload}))
        await self._close(
            TRY_AGAIN_LATER, _reason("SLOW_SUBSCRIBER", position=min(positions, default="")), said
        )

    async def _close(self, code: int, reason: str, last: Sequence[str] = ()) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._stop_operations()
        short = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
        close = {"type": "websocket.close", "code": code, "reason": short, "last": last}
        await self._websocket.send(close)

    def _stop_operations(self) -> None:
        for operation in self._operations.values():
            if operation.task is not None and operation.task is not asyncio.current_task():
                operation.task.cancel()

    # --- While it is open -----------------------------------------------------

    async def _expect_initialisation(self) -> None:
        await asyncio.sleep(INIT_TIMEOUT_S)
        await self._close(INIT_TOO_LATE, "Connection initialisation timeout")

    async def _watch(self, principal: Principal) -> None:
        """See to it that the client stays who it is, and takes what it gets."""
        authentication, expires_at_s = (
            self._sockets.services.authentication,
            principal.expires_at_s or math.inf,
        )
        try:
            while True:
                await asyncio.sleep(max(0.0, min(LOOK_EVERY_S, expires_at_s - time.time())))
                if time.time() >= expires_at_s:
                    raise Closed(FORBIDDEN, _reason(TokenCode.TOKEN_EXPIRED))
                if not authentication.still_holds(principal):
                    raise Closed(FORBIDDEN, _reason("RIGHTS_CHANGED"))
                stalled = [operation for operation in self._operations.values() if operation.is_stalled()]
                if stalled:
                    await self._part()
        except Closed as closed:
            await self._close(closed.code, closed.reason)
        except Exception as error:  # nobody would watch any more
            logger.error("a socket can't be watched", user=principal.user, exc_info=error)
            await self._close(TRY_AGAIN_LATER, _reason("INTERNAL"))


def _id_of(taken: Mapping[str, Any]) -> str:
    id_ = taken.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= ID_CHARACTERS_MAX:
        raise Closed(BAD_REQUEST, "A message of an operation has an id")
    return id_


def _body_of(payload: object) -> dict[str, Any]:
    """The payload of a subscribe message, which is as the body of a request."""
    try:
        return well_formed(payload)
    except Malformed:
        raise Closed(BAD_REQUEST, "The payload of subscribe has a query") from None


def _reason(code: str, **more: str) -> str:
    """A close's reason that programs can read."""
    return text_of({"code": code, **more})


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
