"""GraphQL over HTTP: planned queries are answered in one statement, the rest by strawberry.

HTTP follows the GraphQL-over-HTTP specification; errors carry a code and the request's id, never internals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import strawberry
import structlog
from graphql import GraphQLError
from graphql import OperationType as GraphQLOperation
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from api.authentication import refusal
from api.context import Context
from api.graphiql import is_visit, page
from api.graphql_sockets import Sockets
from api.http_errors import error_response, request_id
from api.messages import language_of, message
from api.planner.positions import decode
from api.planner.reads import DATABASE_FAULTS, is_away
from api.services import Services
from application.authentication import TokenRefused
from application.shared.records import Position as LogPosition

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
MIN_POSITION_WAIT_S = 5.0

logger = structlog.get_logger()


class Malformed(Exception):
    """The request is no GraphQL request: an HTTP status and a code of `http_errors`."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code


class GraphQLApp:
    """The ASGI application behind /graphql; `graphiql` shows the page of that name to browsers."""

    def __init__(self, schema: strawberry.Schema, services: Services, *, graphiql: bool = False) -> None:
        self._schema, self._services, self._graphiql = schema, services, graphiql
        self._sockets = Sockets(schema, services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        request = Request(scope, receive)
        if self._graphiql and is_visit(request):
            await page()(scope, receive, send)
            return
        try:
            response = await self._respond(request)
        except Malformed as malformed:
            response = error_response(scope, malformed.status, malformed.code)
        except TokenRefused as refused:
            response = refusal(scope, refused)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        principal = self._services.authentication.principal_of(request.headers)
        if not principal.permissions:
            raise Malformed(403, "NO_ROLE")
        if request.method not in ("GET", "POST"):
            raise Malformed(405, "METHOD_NOT_ALLOWED")
        body = await _posted(request) if request.method == "POST" else _queried(request)
        context = self._services.context(
            principal,
            language_of(request.headers.get("accept-language")),
            request_id(request.scope),
            request.headers.get("idempotency-key"),
        )
        if not await self._is_projected(body):
            return error_response(request.scope, 503, "BEHIND", {"Retry-After": "1"})
        try:
            found = await self._services.reads.answer(body, context.viewer)
        except DATABASE_FAULTS as error:
            return self._failed(request, error)
        media = _accepted(request.headers.get("accept", "*/*"))
        if found is not None:
            return Response(found, media_type=media.type)
        return await self._execute(request, body, context, media)

    async def _execute(
        self, request: Request, body: Mapping[str, Any], context: Context, media: "_Media"
    ) -> Response:
        self._require_one_operation(body)
        try:
            result = await self._schema.execute(
                body.get("query"),
                variable_values=body.get("variables"),
                operation_name=body.get("operationName"),
                context_value=context,
                allowed_operation_types=OperationType.from_http(request.method),  # type: ignore[arg-type]
            )
        except InvalidOperationTypeError:
            raise Malformed(405, "METHOD_NOT_ALLOWED") from None
        except (CannotGetOperationTypeError, MissingQueryError):
            raise Malformed(400, "BAD_REQUEST") from None
        errors = [shown(error, context) for error in result.errors or ()]
        answer: dict[str, Any] = {"data": result.data}
        status = 200
        if errors:
            answer["errors"] = errors
            if result.data is None and all(error.path is None for error in result.errors or ()):
                del answer["data"]
                status = media.malformed_status
        return Response(orjson.dumps(answer, default=str), status, media_type=media.type)

    def _require_one_operation(self, body: Mapping[str, Any]) -> None:
        """A sound document must leave no doubt which of its operations is meant."""
        document = self._services.reads.document(body["query"])
        if document.errors:
            return
        operation = document.operations.get(body.get("operationName"))
        if operation is None:
            raise Malformed(400, "OPERATION_UNCLEAR")
        if operation.operation is GraphQLOperation.SUBSCRIPTION:
            raise Malformed(400, "SUBSCRIBE_BY_WEBSOCKET")

    async def _is_projected(self, body: Mapping[str, Any]) -> bool:
        """Wait, bounded, for `extensions.minPosition`: the reader has written, or heard of, that position."""
        wanted = (body.get("extensions") or {}).get("minPosition")
        if wanted is None:
            return True
        try:
            position = LogPosition(*decode(wanted))
        except (ValueError, TypeError):
            raise Malformed(400, "BAD_REQUEST") from None
        services = self._services
        return await services.progress.reached(position, services.projections, MIN_POSITION_WAIT_S)

    def _failed(self, request: Request, error: Exception) -> Response:
        logger.error("read_failed", request_id=request_id(request.scope), error=repr(error))
        if is_away(error):
            return error_response(request.scope, 503, "UNAVAILABLE", {"Retry-After": "1"})
        return error_response(request.scope, 500, "INTERNAL")


@dataclass(frozen=True, slots=True)
class _Media:
    """The media type of the answer, and the status of one to a malformed document."""

    type: str
    malformed_status: int


def _accepted(accept: str) -> _Media:
    """A client that names application/json itself is of the old kind: it takes every answer with 200."""
    best: tuple[float, int] = (0.0, 0)
    found = _Media(JSON, 400)
    for index, part in enumerate(accept.split(",")[:20]):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        try:
            quality = next((float(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        except ValueError:
            quality = 0.0
        if name in (JSON, GRAPHQL_JSON, "*/*", "application/*") and (quality, -index) > best:
            best = (quality, -index)
            found = _Media(GRAPHQL_JSON if name == GRAPHQL_JSON else JSON, 200 if name == JSON else 400)
    return _Media(f"{found.type}; charset=utf-8", found.malformed_status)


async def _posted(request: Request) -> Mapping[str, Any]:
    content_type, *parameters = request.headers.get("content-type", "").lower().split(";")
    if content_type.strip() != JSON:
        raise Malformed(415, "UNSUPPORTED_MEDIA_TYPE")
    if any("charset" in p and p.split("=")[-1].strip(' "') not in ("utf-8", "utf8") for p in parameters):
        raise Malformed(415, "UNSUPPORTED_MEDIA_TYPE")
    try:
        return _well_formed(orjson.loads(await request.body()))
    except orjson.JSONDecodeError:
        raise Malformed(400, "BAD_REQUEST") from None


def _queried(request: Request) -> Mapping[str, Any]:
    parameters = request.query_params
    body: dict[str, Any] = {
        "query": parameters.get("query"),
        "operationName": parameters.get("operationName"),
    }
    for name in ("variables", "extensions"):
        try:
            body[name] = orjson.loads(parameters[name]) if parameters.get(name) else None
        except orjson.JSONDecodeError:
            raise Malformed(400, "BAD_REQUEST") from None
    return _well_formed(body)


def _well_formed(body: object) -> Mapping[str, Any]:
    """A map with a document, and a name and maps where there are any. Batches are not taken."""
    if not isinstance(body, dict) or not isinstance(body.get("query"), str) or not body["query"].strip():
        raise Malformed(400, "BAD_REQUEST")
    if not isinstance(body.get("operationName"), str | None):
        raise Malformed(400, "BAD_REQUEST")
    if not all(isinstance(body.get(name), dict | None) for name in ("variables", "extensions")):
        raise Malformed(400, "BAD_REQUEST")
    return body


def shown(error: GraphQLError, context: Context) -> dict[str, Any]:
    """The error as clients see it: only what was raised for them keeps its words."""
    cause = error.original_error
    code = (error.extensions or {}).get("code")
    if code is None and cause is not None and not isinstance(cause, GraphQLError):
        code = "UNAVAILABLE" if is_away(cause) else "INTERNAL"
        logger.error("resolver_failed", request_id=context.request_id, error=repr(cause), exc_info=cause)
        text = message(code, {}, context.language)
    else:
        text = error.message
    formatted: dict[str, Any] = {**error.formatted, "message": text}
    own = {name: value for name, value in (error.extensions or {}).items() if code != "INTERNAL"}
    formatted["extensions"] = {**own, "code": code or "BAD_INPUT", "requestId": context.request_id}
    return formatted
