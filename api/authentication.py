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

SCHEME = "bearer"
REALM = 'Bearer realm="cardinal"'

logger = structlog.get_logger("cardinal.tokens")


class Authentication:
    """Reads bearer tokens; `verify` judges them."""

    def __init__(self, verify: Verify) -> None:
        self._verify = verify

    def principal_of(self, headers: Headers) -> Principal:
        """The principal of a request or of a WebSocket's opening. Raise TokenRefused."""
        given = headers.getlist("authorization")
        if len(given) > 1:
            raise TokenRefused(TokenCode.TOKEN_MALFORMED, "there are several Authorization headers")
        return self.principal_of_credentials(given[0] if given else None)

    def principal_of_credentials(self, credentials: str | None) -> Principal:
        """The same from the header's text, "Bearer …", wherever it was sent. Raise TokenRefused."""
        scheme, _, token = (credentials or "").strip().partition(" ")
        principal = self._verify(token.strip() if scheme.lower() == SCHEME else None)
        structlog.contextvars.bind_contextvars(user=principal.user)
        return principal


def refusal(scope: Scope, refused: TokenRefused) -> Response:
    """401 with a challenge and the code. Source of the challenge: RFC 6750, section 3."""
    logger.info("a token was refused", why=str(refused))
    missing = refused.code is TokenCode.TOKEN_MISSING
    challenge = REALM if missing else f'{REALM}, error="invalid_token"'
    return error_response(scope, 401, refused.code, {"WWW-Authenticate": challenge})
