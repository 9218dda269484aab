"""REST over HTTP: lets in, finds the operation, charges for it, reads what was sent, tells what is wrong."""

from collections.abc import Sequence
from typing import Any

import structlog
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.authentication import refusal
from api.context import Context
from api.graphql_errors import code_of
from api.graphql_requests import require_json
from api.http_errors import Malformed, error_response, request_id
from api.messages import language_of
from api.planner.reads import DATABASE_FAULTS
from api.rates import RateLimited, TooManyAtOnce
from api.rest.operations import Asked, Operation
from api.rest.problems import Problem, malformed
from api.rest.values import Given
from api.services import Services
from application.access import Forbidden, Principal, who_may
from application.authentication import TokenRefused
from application.shared.handler import KEY_CHARACTERS_MAX

KEY = "idempotency-key"

logger = structlog.get_logger("cardinal.rest")


class Nothing(Given):
    """The parameters of an operation that has none."""


class RestApp:
    """The ASGI application behind /v1."""

    def __init__(self, services: Services, operations: Sequence[Operation]) -> None:
        self._services, self._operations = services, operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answered(request)
        except TokenRefused as refused:
            response = refusal(scope, refused)
        except Forbidden as refused:
            roles = ", ".join(who_may(refused.permission)) or "-"
            response = Problem(403, "FORBIDDEN", values={"roles": roles}).response(scope)
        except Problem as problem:
            response = problem.response(scope)
        except RateLimited as limited:
            headers = {"Retry-After": str(limited.retry_after_s)}
            response = error_response(scope, 429, "RATE_LIMITED", headers, details={"cost": limited.shown})
        except TooManyAtOnce:
            response = error_response(scope, 429, "TOO_MANY_AT_ONCE", {"Retry-After": "1"})
        except DATABASE_FAULTS as error:
            logger.error("rest_failed", request_id=request_id(scope), error=repr(error))
            code = code_of(error)
            headers = {"Retry-After": "1"} if code == "UNAVAILABLE" else {}
            response = error_response(scope, 500 if code == "INTERNAL" else 503, code, headers)
        await response(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        services = self._services
        principal = services.authentication.principal_of(request.headers)
        if not principal.permissions:
            raise Problem(403, "NO_ROLE")
        rates = services.admission.rates
        with rates.request(principal.user):
            rates.require_some(principal.user)
            operation, id_ = self._found(request)
            _authorise(principal, operation)
            query = _query(operation, request)
            rates.charge(principal.user, operation.points(query))
            await self._require_projected(getattr(query, "min_position", None))
            body = await _body(operation, request)
            asked = Asked(request, services, self._context(request, principal), id_, query, body)
            return await operation.answers(asked)

    async def _require_projected(self, position: str | None) -> None:
        """Wait, bounded, until what is read shows at least that. Raise Problem."""
        if not await self._services.is_projected({"extensions": {"minPosition": position}}):
            raise Problem(503, "BEHIND", headers={"Retry-After": "1"})

    def _found(self, request: Request) -> tuple[Operation, str]:
        path = request.scope["path"]
        here = {
            each.method: (each, id_) for each in self._operations if (id_ := each.id_in(path)) is not None
        }
        if not here:
            raise Problem(404, "NOT_FOUND")
        method = "GET" if request.method == "HEAD" else request.method
        if method not in here:
            allowed = sorted({*here, *(("HEAD",) if "GET" in here else ())})
            raise Problem(405, "METHOD_NOT_ALLOWED", headers={"Allow": ", ".join(allowed)})
        return here[method]

    def _context(self, request: Request, principal: Principal) -> Context:
        return self._services.context(
            principal,
            language_of(request.headers.get("accept-language")),
            request_id(request.scope),
            request.headers.get(KEY),
            request.client.host if request.client else "",
        )


def _authorise(principal: Principal, operation: Operation) -> None:
    """Raise Forbidden before anything is done that he could not be told of."""
    for permission in operation.needs:
        if permission not in principal.permissions:
            raise Forbidden(operation.id, permission)


def _query(operation: Operation, request: Request) -> Any:
    """The parameters, of which none may be there that the operation does not have."""
    given: dict[str, Any] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        given[name] = values if name in operation.lists or len(values) > 1 else values[0]
    try:
        return (operation.query or Nothing).model_validate(given)
    except ValidationError as error:
        raise malformed(error, "parameter") from None


async def _body(operation: Operation, request: Request) -> Any:
    if operation.body is None:
        return None
    if not (keys := request.headers.getlist(KEY)):
        raise Problem(400, "KEY_REQUIRED")
    if len(keys) > 1:
        raise Problem(400, "BAD_KEY", values={"most": str(KEY_CHARACTERS_MAX)})
    try:
        require_json(request)
        return operation.body.model_validate_json(await request.body())
    except Malformed as refused:
        raise Problem(refused.status, refused.code) from None
    except ValidationError as error:
        raise malformed(error, "pointer") from None
