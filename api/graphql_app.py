"""GraphQL over HTTP: planned queries are answered in one statement, the rest by strawberry.

HTTP follows the GraphQL-over-HTTP specification; errors carry a code and the request's id, never internals.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import strawberry
import structlog
from graphql import GraphQLError
from graphql import OperationType as GraphQLOperation
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from api.authentication import refusal
from api.changes import PERSONAL
from api.context import Context
from api.entity_tags import matches
from api.event_streams import EventStream, EventStreams, as_events, wants_events
from api.feeds import Feeds, text_of
from api.graphiql import is_visit, page
from api.graphql_errors import answer_of, code_of, extended
from api.graphql_requests import Media, accepted, body_of
from api.graphql_sockets import Sockets
from api.http_errors import Malformed, error_response, request_id
from api.messages import language_of
from api.planner.reads import DATABASE_FAULTS, Prepared
from api.rates import RateLimited, TooManyAtOnce
from api.services import Services
from api.subscription_requests import SubscriptionRequests
from application.access import Principal
from application.authentication import TokenRefused

# What is kept of an answer is looked at anew each time, and kept for one person only.
KEPT = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept, Accept-Language"}
NOT_KEPT = {"Cache-Control": "no-store"}

logger = structlog.get_logger()


class GraphQLApp:
    """The ASGI application behind /graphql; `graphiql` shows the page of that name to browsers."""

    def __init__(self, schema: strawberry.Schema, services: Services, *, graphiql: bool = False) -> None:
        self._schema, self._services, self._graphiql = schema, services, graphiql
        requests = SubscriptionRequests(schema, services.reads, PERSONAL)
        self._feeds = Feeds(schema, services)
        self._sockets = Sockets(schema, services, requests, self._feeds)
        self._streams = EventStreams(services, requests, self._feeds)

    def end_streams(self) -> None:
        """End the streams that would never end by themselves; sockets are closed by the server."""
        self._feeds.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        request = Request(scope, receive)
        if self._graphiql and is_visit(request):
            await page()(scope, receive, send)
            return
        media = accepted(request.headers.get("accept", "*/*"))
        try:
            response = await self._respond(request, media)
            if isinstance(response, Response) and _is_for_events(request, response):
                response = as_events(response)
        except TokenRefused as refused:
            response = refusal(scope, refused)
        except (Malformed, RateLimited, TooManyAtOnce) as refused:
            response = _refused(scope, media, refused)
        except DATABASE_FAULTS as error:
            response = _failed(scope, media, error)
        await response(scope, receive, send)

    async def _respond(self, request: Request, media: Media) -> Response | EventStream:
        principal = self._services.authentication.principal_of(request.headers)
        if not principal.permissions:
            raise Malformed(403, "NO_ROLE")
        with self._services.admission.rates.request(principal.user):
            return await self._answered(request, media, principal)

    async def _answered(self, request: Request, media: Media, principal: Principal) -> Response | EventStream:
        services, admission = self._services, self._services.admission
        body = await body_of(request)
        body["query"] = await admission.documents.source(body, principal)
        cost = admission.admit(body["query"], body.get("operationName"), principal)
        context = services.context(
            principal,
            language_of(request.headers.get("accept-language")),
            request_id(request.scope),
            _key(request),
            request.client.host if request.client else "",
        )
        document = services.reads.document(body["query"])
        if document.errors:
            shown = admission.shown(document.errors, principal)
            return _answer(shown, None, context, media, {"cost": cost})
        admission.documents.remember(body)
        if document.operations[body.get("operationName")].operation is GraphQLOperation.SUBSCRIPTION:
            if not wants_events(request.headers.get("accept", ""), is_subscription=True):
                raise Malformed(400, "SUBSCRIBE_BY_WEBSOCKET")
            return self._streams.response(request, body, context)
        if not await services.is_projected(body):
            return error_response(request.scope, 503, "BEHIND", {"Retry-After": "1"}, media.type)
        prepared, extensions = services.reads.prepared(body, context.viewer), services.extensions(cost)
        if prepared is None:
            return await self._execute(request, body, context, media, extensions)
        return await self._read(request, body, context, media, extensions, prepared)

    async def _read(
        self,
        request: Request,
        body: Mapping[str, Any],
        context: Context,
        media: Media,
        extensions: Mapping[str, Any],
        prepared: Prepared,
    ) -> Response:
        """The planned answer. One that was asked for by GET may be kept by its entity tag."""
        services, headers = self._services, dict[str, str]()
        if request.method == "GET":
            tag = await services.tags.tag(body, context.viewer, context.language, media.type, prepared)
            headers = {**KEPT, "ETag": tag} if tag else NOT_KEPT
            if tag and matches(tag, request.headers.get("if-none-match", "")):
                return Response(status_code=304, headers=headers)
        found = extended(await services.reads.one(*prepared), extensions)
        return Response(found, headers=headers, media_type=media.type)

    async def _execute(
        self,
        request: Request,
        body: Mapping[str, Any],
        context: Context,
        media: Media,
        extensions: Mapping[str, Any],
    ) -> Response:
        """What has resolvers, mutations, and whatever is refused with the path where it is."""
        try:
            result = await self._schema.execute(
                body["query"],
                variable_values=body.get("variables"),
                operation_name=body.get("operationName"),
                context_value=context,
                allowed_operation_types=OperationType.from_http(request.method),  # type: ignore[arg-type]
            )
        except InvalidOperationTypeError:
            raise Malformed(405, "METHOD_NOT_ALLOWED", allow="POST") from None
        return _answer(result.errors or (), result.data, context, media, extensions)


def _answer(
    errors: Sequence[GraphQLError],
    data: Mapping[str, Any] | None,
    context: Context,
    media: Media,
    extensions: Mapping[str, Any],
) -> Response:
    answer = answer_of(data, errors, context, extensions)
    status = 200 if "data" in answer else media.malformed_status
    return Response(text_of(answer), status, NOT_KEPT, media.type)


def _key(request: Request) -> str | None:
    """The idempotency key of the header, which may be there once."""
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise Malformed(400, "BAD_REQUEST")
    return keys[0] if keys else None


def _is_for_events(request: Request, response: Response) -> bool:
    accept = request.headers.get("accept", "")
    return response.status_code in (200, 400) and wants_events(accept, is_subscription=False)


def _refused(scope: Scope, media: Media, refused: Malformed | RateLimited | TooManyAtOnce) -> Response:
    match refused:
        case RateLimited(shown=cost, retry_after_s=wait_s):
            headers = {"Retry-After": str(wait_s)}
            return error_response(scope, 429, "RATE_LIMITED", headers, media.type, {"cost": cost})
        case TooManyAtOnce():
            return error_response(scope, 429, "TOO_MANY_AT_ONCE", {"Retry-After": "1"}, media.type)
        case Malformed(status=status, code=code):
            # To clients of persisted queries this is an ordinary answer: they send the document next.
            is_miss = code == "PERSISTED_QUERY_NOT_FOUND"
            status = media.malformed_status if is_miss else status
            return error_response(scope, status, code, refused.headers, media.type)


def _failed(scope: Scope, media: Media, error: Exception) -> Response:
    logger.error("read_failed", request_id=request_id(scope), error=repr(error))
    code = code_of(error)
    headers = {"Retry-After": "1"} if code == "UNAVAILABLE" else {}
    return error_response(scope, 500 if code == "INTERNAL" else 503, code, headers, media.type)
