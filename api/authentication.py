"""Who is asking: the bearer token of a request, and what a request without a good one is told."""

from collections.abc import Callable

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from api.http_errors import error_response
from application.access import Principal
from application.authentication import TokenCode, TokenRefused

Verify = Callable[[str | None], Principal]
"""The principal of a token; raises TokenRefused, also for None."""

Acting = Callable[[Principal, str], Principal]
"""The principal as he acts for an organisation unit; raises TokenRefused where none lets him."""

Still = Callable[[Principal], bool]
"""Whether what was found of a principal holds yet."""

SCHEME = "bearer"
ACTING_FOR = "x-acting-for"
RETRY_AFTER_S = "5"
REALM = 'Bearer realm="cardinal"'

logger = structlog.get_logger("cardinal.tokens")


class Authentication:
    """Reads bearer tokens; `verify` judges them."""

    def __init__(self, verify: Verify, acting: Acting | None = None, still: Still | None = None) -> None:
        self._verify, self._acting, self._still = verify, acting, still

    def principal_of(self, headers: Headers) -> Principal:
        """The principal of a request or of a WebSocket's opening. Raise TokenRefused."""
        given = headers.getlist("authorization")
        if len(given) > 1:
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "there are several Authorization headers")
        return self.principal_of_credentials(given[0] if given else None, headers.get(ACTING_FOR))

    def principal_of_credentials(self, credentials: str | None, acting_for: object = None) -> Principal:
        """The same from the header's text, "Bearer …", wherever it was sent. Raise TokenRefused.

        With `acting_for`, the unit in whose name he acts.
        """
        scheme, _, token = (credentials or "").strip().partition(" ")
        principal = self._verify(token.strip() if scheme.lower() == SCHEME else None)
        if acting_for is not None:
            if self._acting is None or not isinstance(acting_for, str):
                raise TokenRefused(TokenCode.NOT_DELEGATED, "nobody acts for others here")
            principal = self._acting(principal, acting_for)
        structlog.contextvars.bind_contextvars(user=principal.user)
        return principal

    def still_holds(self, principal: Principal) -> bool:
        """Whether a connection that was opened by him may stay open."""
        return self._still is None or self._still(principal)


_STATUS = {
    TokenCode.NOT_DELEGATED: 403,
    TokenCode.TOO_MANY_REQUESTS: 429,
    TokenCode.UNAVAILABLE: 503,
}


def refusal(scope: Scope, refused: TokenRefused) -> Response:
    """401 with a challenge and the code. Source of the challenge: RFC 6750, section 3."""
    logger.info("a token was refused", why=str(refused))
    if (status := _STATUS.get(refused.code)) is not None:
        headers = {} if status == 403 else {"Retry-After": RETRY_AFTER_S}
        return error_response(scope, status, refused.code, headers)
    missing = refused.code is TokenCode.TOKEN_MISSING
    challenge = REALM if missing else f'{REALM}, error="invalid_token"'
    return error_response(scope, 401, refused.code, {"WWW-Authenticate": challenge})
