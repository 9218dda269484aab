"""GraphQL over WebSocket: graphql-transport-ws in text frames, for as long as the token holds."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import orjson
import strawberry
from starlette.requests import Request
from starlette.websockets import WebSocket
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import NonJsonMessageReceived
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from api.context import Context
from api.http_errors import request_id
from api.messages import language_of
from api.services import Services
from application.access import Principal
from application.authentication import TokenRefused

SUBSCRIPTIONS_MAX = 20
RIGHTS_CHECK_S = 5.0


class TextSocket(ASGIWebSocketAdapter):
    """Text frames, for clients of the protocol do not take binary ones; only objects are messages."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        async for received in super().iter_json(ignore_parsing_errors=ignore_parsing_errors):
            if not isinstance(received, dict):
                raise NonJsonMessageReceived
            yield received

    async def send_json(self, message: Mapping[str, object]) -> None:
        await self.ws.send_text(orjson.dumps(message, default=str).decode())


class ExpiringSocket(BaseGraphQLTransportWSHandler[Context, None]):
    """Closes the socket when the token by which it was opened runs out."""

    _expiry: asyncio.Task[None] | None = None

    async def handle_connection_init(self, message: Any) -> None:
        await super().handle_connection_init(message)
        if self.connection_acknowledged and self._expiry is None:
            self._expiry = asyncio.create_task(self._close_when_over())

    async def shutdown(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        await super().shutdown()

    async def _close_when_over(self) -> None:
        principal = self.context.principal
        expires_at_s = math.inf if principal.expires_at_s is None else principal.expires_at_s
        while (left_s := expires_at_s - time.time()) > 0:
            await asyncio.sleep(min(left_s, RIGHTS_CHECK_S))
            if not self.context.still_holds(principal):
                await self.websocket.close(code=4403, reason="The rights have changed")
                return
        await self.websocket.close(code=4403, reason="The token has expired")


class Sockets(GraphQL[Context, None]):
    """graphql-transport-ws. The token comes in connection_init's payload as {authorization: "Bearer …"}."""

    websocket_adapter_class = TextSocket
    graphql_transport_ws_handler_class = ExpiringSocket

    def __init__(self, schema: strawberry.Schema, services: Services) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            max_subscriptions_per_connection=SUBSCRIPTIONS_MAX,
        )
        self._services = services

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    async def get_context(self, request: Request | WebSocket, response: Any) -> Context:  # noqa: ARG002
        nobody = Principal("", frozenset(), "", frozenset())
        language = language_of(request.headers.get("accept-language"))
        address = request.client.host if request.client else ""
        return self._services.context(nobody, language, request_id(request.scope), None, address)

    async def on_ws_connect(self, context: Context) -> Any:
        params = context.connection_params or {}
        given = params.get("authorization") or params.get("Authorization")
        try:
            principal = self._services.authentication.principal_of_credentials(
                given if isinstance(given, str) else None, params.get("actingFor")
            )
        except TokenRefused as refused:
            raise ConnectionRejectionError({"code": refused.code}) from None
        if not principal.permissions:
            raise ConnectionRejectionError({"code": "NO_ROLE"})
        known = self._services.context(principal, context.language, context.request_id, None)
        context.principal, context.viewer = known.principal, known.viewer
        return strawberry.UNSET
