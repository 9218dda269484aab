"""How requests may come: encrypted, and from pages that are ours; and what browsers are told of answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.http_errors import error_response, header
from api.request_log import QUIET

HSTS_S = 365 * 24 * 3600
PREFLIGHT_S = 600
SENT_HEADERS = (
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "X-Acting-For",
    "X-Request-Id",
)
READ_HEADERS = (
    "Content-Disposition", "ETag", "Link", "Location", "Retry-After", "X-Checksum-SHA256", "X-Request-Id",
)  # fmt: skip
_SAID = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_NO_FRAME = (b"content-security-policy", b"frame-ancestors 'none'")
_NOTHING = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_HSTS = (b"strict-transport-security", b"max-age=%d" % HSTS_S)
_PLAIN: Mapping[str, str] = {"wss": "https", "ws": "http"}


@dataclass(frozen=True, slots=True)
class TransportRules:
    """`trusted_proxies` are addresses or networks; `origins` those of pages beside the API's own."""

    https_required: bool = False
    trusted_proxies: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def outermost(self) -> list[Middleware]:
        """Puts the client's address and scheme in place of the proxy's, before anybody looks at them."""
        if not self.trusted_proxies:
            return []
        return [Middleware(ProxyHeadersMiddleware, trusted_hosts=list(self.trusted_proxies))]

    def inner(self) -> list[Middleware]:
        return [Middleware(Transport, rules=self), *self._cors()]

    def _cors(self) -> list[Middleware]:
        """No credentials: tokens come in a header that the page sets, and there are no cookies."""
        if not self.origins:
            return []
        return [
            Middleware(
                CORSMiddleware,
                allow_origins=self.origins,
                allow_methods=("GET", "POST"),
                allow_headers=SENT_HEADERS,
                expose_headers=READ_HEADERS,
                max_age=PREFLIGHT_S,
            )
        ]


class Transport:
    """Refuses plain HTTP where it must (403 HTTPS_REQUIRED) and WebSockets of strangers' pages; says what a
    browser may do with an answer.
    """

    def __init__(self, app: ASGIApp, rules: TransportRules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        is_encrypted = scope["scheme"] in ("https", "wss")
        is_refused = self._rules.https_required and not is_encrypted and scope["path"] not in QUIET
        if scope["type"] == "websocket":
            if is_refused or not self._is_ours(scope):
                await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
            else:
                await self._app(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_said(message, is_encrypted)]
            await send(message)

        if is_refused:
            await error_response(scope, 403, "HTTPS_REQUIRED")(scope, receive, send_on)
        else:
            await self._app(scope, receive, send_on)

    def _is_ours(self, scope: Scope) -> bool:
        """Whether the page that opens the WebSocket is of this host or a known origin; programs have none."""
        origin = header(scope, b"origin")
        if origin is None or origin in self._rules.origins:
            return True
        return origin == f"{_PLAIN[scope['scheme']]}://{header(scope, b'host')}"


def _said(message: Message, is_encrypted: bool) -> tuple[tuple[bytes, bytes], ...]:
    kinds = [value for name, value in message.get("headers", ()) if name.lower() == b"content-type"]
    policy = _NO_FRAME if kinds and kinds[0].startswith(b"text/html") else _NOTHING
    return (*_SAID, policy, _HSTS) if is_encrypted else (*_SAID, policy)
