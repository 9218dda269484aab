"""The HTTP application: limits and a log around GraphQL and the questions of machines."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_compress import CompressMiddleware, add_compress_type, remove_compress_type

from api.bounded_body import BoundedBody
from api.exports import ACTIVITIES_PATH
from api.health import Parts, health_routes
from api.http_errors import error_response
from api.login import KEYS_PATH, LOGIN_PATHS
from api.partner_messages import PARTNERS_PATH
from api.points_files import JOBS_PATH
from api.replay_files import REPLAYS_PATH
from api.request_log import Observe, RequestLog
from api.rest.contract import OPERATIONS
from api.result_files import RESULTS_PATH
from api.transport import TransportRules
from api.work_order_forms import FORMS_PATH

GRAPHQL_PATH = "/graphql"
KNOWN_PATHS = frozenset(
    {GRAPHQL_PATH, ACTIVITIES_PATH, "/healthz", "/readyz", "/metrics", *LOGIN_PATHS, KEYS_PATH}
    | {operation.path for operation in OPERATIONS if "{" not in operation.path}
)
COMPRESSED_BYTES_MIN = 1_024
add_compress_type("application/graphql-response+json")
# A stream's events are short and each would be flushed: that costs more than it saves.
remove_compress_type("text/event-stream")
_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


def create_app(
    *,
    parts: Parts,
    metrics: Callable[[], bytes],
    observe: Observe,
    body_bytes_max: int,
    transport: TransportRules | None = None,
    graphql_app: ASGIApp | None = None,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
) -> Starlette:
    """`graphql_app` answers HTTP and WebSockets at /graphql, exports, and REST; None leaves these paths out.

    A request's state has its `request_id`. Every error is JSON in the form of GraphQL's.
    """
    routes: list[BaseRoute] = []  # in this order each request is compared with them
    if graphql_app is not None:
        endpoint = _Endpoint(graphql_app)
        routes += [Route(GRAPHQL_PATH, endpoint), WebSocketRoute(GRAPHQL_PATH, endpoint)]
        routes += [Route(ACTIVITIES_PATH, endpoint), Route(f"{RESULTS_PATH}/{{id}}", endpoint)]
        routes += [Route(f"{REPLAYS_PATH}/{{id}}", endpoint)]
        routes += [Route(f"{FORMS_PATH}/{{id}}", endpoint), Route(f"{JOBS_PATH}/{{id}}/{{file}}", endpoint)]
        routes += [Route(f"{PARTNERS_PATH}/{{name}}", endpoint)]
        routes += [Route(path, endpoint) for path in dict.fromkeys(each.path for each in OPERATIONS)]
        routes += [Route(path, endpoint) for path in (*LOGIN_PATHS, KEYS_PATH)]
    routes += health_routes(parts, metrics)
    rules = transport or TransportRules()
    app = Starlette(
        routes=routes,
        middleware=[
            *rules.outermost(),
            Middleware(RequestLog, observe=observe),
            *rules.inner(),
            # A length tells of a secret beside what an attacker had put into the same answer (BREACH). Here
            # he can't ask in another's name, for no browser adds a token by itself; answers with tokens
            # are shorter than what is compressed.
            Middleware(CompressMiddleware, minimum_size=COMPRESSED_BYTES_MIN),
            Middleware(BoundedBody, bytes_max=body_bytes_max),
        ],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would lose the body of what was posted
    return app


class _Endpoint:
    """Starlette takes functions for endpoints of its own kind, so the application is wrapped."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "BAD_REQUEST" if error.status_code < 500 else "INTERNAL")
    return error_response(request.scope, error.status_code, code, error.headers or {})
