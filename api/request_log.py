"""One log line, one measurement and one id for each request; faults that nobody caught end here."""

import re
import time
from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http_errors import error_response, header
from application.shared.identifiers import uuid7
from domain.shared.text import without_personal_numbers

Observe = Callable[[str, str, int, float], None]
"""Told the method, the path, the status (0 for a WebSocket) and the seconds of each request."""

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

logger = structlog.get_logger("cardinal.http")


def _is_sound(given: str) -> bool:
    """It stands in each line of the log, so it is nobody's number."""
    return _GIVEN_ID.fullmatch(given) is not None and without_personal_numbers(given, "") == given


class RequestLog:
    """Puts `request_id` into the scope's state, the log's context and the answer's `X-Request-Id`."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app, self._observe = app, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id") or ""
        request_id = given if _is_sound(given) else str(uuid7())
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status, began = 0, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            logger.exception("a request failed", path=scope["path"])
            if scope["type"] == "http" and status == 0:
                await error_response(scope, 500, "INTERNAL")(scope, receive, send_with_id)
            else:
                raise
        finally:
            self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, took_s: float) -> None:
        """The query is left out: documents and variables may hold what logs must not."""
        path, method = scope["path"], scope.get("method", "WEBSOCKET")
        self._observe(method, path, status, took_s)
        tell = logger.debug if path in QUIET else logger.info
        tell("request", method=method, path=path, status=status, took_ms=round(took_s * 1000, 2))
