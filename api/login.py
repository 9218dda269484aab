"""The way in over HTTP: POST /login, /refresh, /logout, /password and /token; GET /.well-known/jwks.json.

Bodies are small JSON objects, that of /token is a form as OAuth 2.0 has it. No answer is ever cached.
"""

import base64
import binascii
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_plus

import orjson
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.authentication import Authentication, refusal
from api.http_errors import error_response
from application.accounts import Login, LoginCode, LoginRefused, Origin, Tokens
from application.authentication import TokenRefused

LOGIN_PATHS = ("/login", "/refresh", "/logout", "/password", "/token")
KEYS_PATH = "/.well-known/jwks.json"
FORM = "application/x-www-form-urlencoded"
BODY_BYTES_MAX = 8 * 1024
FIELD_CHARACTERS_MAX = 2_000
# One address may be a whole branch behind a proxy; single users are held back by their own lock-out.
PER_MINUTE = 240
ADDRESSES_MAX = 10_000
SCOPES_MAX = 100

_STATUS = {
    LoginCode.LOCKED_OUT: 429,
    LoginCode.TOO_MANY_REQUESTS: 429,
    LoginCode.ACCOUNT_CLOSED: 403,
    LoginCode.PASSWORD_CHANGE_REQUIRED: 403,
    LoginCode.PASSWORD_REFUSED: 422,
    LoginCode.SCOPE_REFUSED: 400,
}
_OAUTH_ERRORS = {
    LoginCode.CLIENT_REFUSED: "invalid_client",
    LoginCode.SCOPE_REFUSED: "invalid_scope",
}


class _Malformed(Exception):
    """The body is not what the path takes."""


class LoginApp:
    """The ASGI application behind these paths."""

    def __init__(self, login: Login, authentication: Authentication) -> None:
        self._login, self._authentication = login, authentication
        self._asked: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._answers: dict[str, Callable[[Request, Origin], Awaitable[Response]]] = {
            "/login": self._log_in,
            "/refresh": self._refresh,
            "/logout": self._log_out,
            "/password": self._password,
            "/token": self._token,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answered(Request(scope, receive))
        await response(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        path = request.url.path
        if path == KEYS_PATH:
            if request.method not in ("GET", "HEAD"):
                return error_response(request.scope, 405, "METHOD_NOT_ALLOWED", {"Allow": "GET, HEAD"})
            found = await to_thread.run_sync(self._login.published_keys)
            headers = {"Cache-Control": "public, max-age=60"}
            return Response(orjson.dumps(found), headers=headers, media_type="application/jwk-set+json")
        if request.method != "POST":
            return error_response(request.scope, 405, "METHOD_NOT_ALLOWED", {"Allow": "POST"})
        address = request.client.host if request.client else ""
        origin = Origin(address, request.headers.get("user-agent", "")[:200])
        try:
            if not self._may_ask(address):
                raise LoginRefused(LoginCode.TOO_MANY_REQUESTS, retry_after_s=5)
            return await self._answers[path](request, origin)
        except _Malformed:
            return error_response(request.scope, 400, "BAD_REQUEST")
        except TokenRefused as refused:
            return refusal(request.scope, refused)
        except LoginRefused as refused:
            return _refused(request, refused)

    async def _log_in(self, request: Request, origin: Origin) -> Response:
        username, password = await _fields(request, "username", "password")
        return _told(await to_thread.run_sync(self._login.login, username, password, origin))

    async def _refresh(self, request: Request, origin: Origin) -> Response:
        (token,) = await _fields(request, "refreshToken")
        return _told(await to_thread.run_sync(self._login.refresh, token, origin))

    async def _log_out(self, request: Request, origin: Origin) -> Response:
        principal = self._authentication.principal_of(request.headers)
        await to_thread.run_sync(self._login.logout, principal, origin)
        return Response(status_code=204, headers={"Cache-Control": "no-store"})

    async def _password(self, request: Request, origin: Origin) -> Response:
        username, password, new = await _fields(request, "username", "password", "newPassword")
        await to_thread.run_sync(self._login.change_password, username, password, new, origin)
        return Response(status_code=204, headers={"Cache-Control": "no-store"})

    async def _token(self, request: Request, origin: Origin) -> Response:
        form = await _form(request)
        if form.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type")
        client_id, secret = _client(request, form)
        scopes = frozenset(form["scope"].split()) if "scope" in form else None
        if scopes is not None and not 0 < len(scopes) <= SCOPES_MAX:
            return _oauth_error(400, "invalid_scope")
        tokens = await to_thread.run_sync(self._login.client_token, client_id, secret, scopes, origin)
        body = {
            "access_token": tokens.access,
            "token_type": "Bearer",
            "expires_in": tokens.expires_in_s,
            "scope": tokens.scope,
        }
        return _json(body)

    def _may_ask(self, address: str) -> bool:
        """A bucket for each address: a minute's requests at once, filled again at their rate."""
        now = time.monotonic()
        left, at = self._asked.pop(address, (float(PER_MINUTE), now))
        left = min(PER_MINUTE, left + (now - at) * PER_MINUTE / 60)
        self._asked[address] = (left - 1 if left >= 1 else left), now
        if len(self._asked) > ADDRESSES_MAX:
            self._asked.popitem(last=False)
        return left >= 1


async def _body(request: Request, media_type: str) -> bytes:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != media_type:
        raise _Malformed
    body = await request.body()
    if len(body) > BODY_BYTES_MAX:
        raise _Malformed
    return body


async def _fields(request: Request, *names: str) -> tuple[str, ...]:
    """The texts of a JSON object that has just these members, none of them empty."""
    try:
        found = orjson.loads(await _body(request, "application/json"))
    except orjson.JSONDecodeError:
        raise _Malformed from None
    if not isinstance(found, dict) or found.keys() != set(names):
        raise _Malformed
    given = tuple(found[name] for name in names)
    if not all(isinstance(text, str) and 0 < len(text) <= FIELD_CHARACTERS_MAX for text in given):
        raise _Malformed
    return given


async def _form(request: Request) -> dict[str, str]:
    """A form whose fields come once each. Source: RFC 6749, section 3.2."""
    try:
        pairs = (await _body(request, FORM)).decode("ascii").split("&")
        found = [tuple(unquote_plus(part, errors="strict") for part in pair.split("=", 1)) for pair in pairs]
    except UnicodeDecodeError:
        raise _Malformed from None
    if any(len(pair) != 2 for pair in found) or len({pair[0] for pair in found}) < len(found):
        raise _Malformed
    return {pair[0]: pair[1] for pair in found}


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Id and secret, by the Basic scheme or in the form, not both."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return form.get("client_id", ""), form.get("client_secret", "")
    if scheme.lower() != "basic" or "client_secret" in form:
        raise _Malformed
    try:
        name, _, secret = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise LoginRefused(LoginCode.CLIENT_REFUSED) from None
    return unquote_plus(name), unquote_plus(secret)


def _told(tokens: Tokens) -> Response:
    return _json(
        {
            "accessToken": tokens.access,
            "tokenType": "Bearer",
            "expiresIn": tokens.expires_in_s,
            "refreshToken": tokens.refresh,
        }
    )


def _json(body: object, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(orjson.dumps(body), status, headers, "application/json")


def _oauth_error(status: int, error: str) -> Response:
    return _json({"error": error}, status)


def _refused(request: Request, refused: LoginRefused) -> Response:
    status = _STATUS.get(refused.code, 401)
    if (error := _OAUTH_ERRORS.get(refused.code)) is not None:
        response = _oauth_error(status, error)
        if status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="cardinal"'
        return response
    headers = {} if refused.retry_after_s is None else {"Retry-After": str(refused.retry_after_s)}
    more = {"faults": [fault.name for fault in refused.faults]} if refused.faults else {}
    return error_response(request.scope, status, refused.code, headers, details=more)
