"""Exports: lists as Excel files, with the rows, filters and masks of the same lists in GraphQL.

GET /exports/activities.xlsx?filter={"status":{"eq":"RUNNING"}} with the bearer token. Every file that
leaves is recorded first.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import structlog
from anyio import to_thread
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from api.activity_sheet import COLUMNS, NODE, cells
from api.authentication import refusal
from api.context import Context
from api.http_errors import error_response, request_id
from api.messages import language_of
from api.planner.positions import Position as ShownPosition
from api.planner.positions import encode
from api.planner.reads import DATABASE_FAULTS, is_away
from api.rates import EXPORT_POINTS, RateLimited, TooManyAtOnce
from api.services import Services
from application import downloads
from application.access import Forbidden, Principal, authorise
from application.authentication import TokenRefused
from application.shared.handler import Request as Command
from application.shared.records import Position
from application.shared.sheets import Column, OpenSheet
from domain.downloads import FILTER_CHARACTERS_MAX
from domain.shared.refusal import Refused

ACTIVITIES_PATH = "/exports/activities.xlsx"
MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OPERATION = "exportActivities"
ROWS_MAX = 50_000
PAGE_ROWS = 500
AT_ONCE_MAX = 2
PROJECTED_WAIT_S = 5.0

QUERY = f"""query ($filter: ActivityFilter, $first: Int!, $after: Cursor, $asOf: AsOf) {{
    activities(filter: $filter, first: $first, after: $after, asOf: $asOf) {{
        totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ {NODE} }} }} }}"""

logger = structlog.get_logger("cardinal.exports")


class NotExported(Exception):
    """An HTTP status and a code of `http_errors`."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code


async def answered(
    services: Services,
    request: Request,
    operation: str,
    exported: Callable[[Principal], Awaitable[Response]],
) -> Response:
    """The file for who may have it and can pay it, or why there is none as `http_errors` write it."""
    try:
        principal = services.authentication.principal_of(request.headers)
        if request.method != "GET":
            return error_response(request.scope, 405, "METHOD_NOT_ALLOWED", {"Allow": "GET"})
        authorise(principal, operation)
        rates = services.admission.rates
        with rates.request(principal.user):
            rates.charge(principal.user, EXPORT_POINTS)
            return await exported(principal)
    except NotExported as refused:
        headers = {"Retry-After": "5"} if refused.status == 503 else {}
        return error_response(request.scope, refused.status, refused.code, headers)
    except RateLimited as limited:
        headers, cost = {"Retry-After": str(limited.retry_after_s)}, {"cost": limited.shown}
        return error_response(request.scope, 429, "RATE_LIMITED", headers, extensions=cost)
    except TooManyAtOnce:
        return error_response(request.scope, 429, "TOO_MANY_AT_ONCE", {"Retry-After": "1"})
    except TokenRefused as refused:
        return refusal(request.scope, refused)
    except Forbidden:
        return error_response(request.scope, 403, "FORBIDDEN")
    except DATABASE_FAULTS as error:
        logger.error("export_failed", request_id=request_id(request.scope), error=repr(error))
        status, code = (503, "UNAVAILABLE") if is_away(error) else (500, "INTERNAL")
        return error_response(request.scope, status, code)


@dataclass(slots=True)
class Exports:
    """The ASGI application behind /exports. `time_zone` is that of the times in cells."""

    services: Services
    time_zone: tzinfo
    open_sheet: OpenSheet
    _running: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with TemporaryDirectory(prefix="cardinal-export-") as folder:

            async def exported(principal: Principal) -> Response:
                return await self._exported(request, principal, Path(folder))

            response = await answered(self.services, request, OPERATION, exported)
            await response(scope, receive, send)

    async def _exported(self, request: Request, principal: Principal, folder: Path) -> Response:
        language = language_of(request.headers.get("accept-language"))
        context = self.services.context(principal, language, request_id(request.scope), None)
        text = request.query_params.get("filter", "")
        chosen = _filter(text)
        if self._running >= AT_ONCE_MAX:
            raise NotExported(503, "EXPORTS_BUSY")
        self._running += 1
        try:
            path = folder / "activities.xlsx"
            rows = await self._written(path, context, chosen)
            await self._recorded(context, text if chosen else "", rows, _address(request))
        finally:
            self._running -= 1
        headers = {"Cache-Control": "no-store"}
        return FileResponse(path, headers=headers, media_type=MEDIA_TYPE, filename="activities.xlsx")

    async def _written(self, path: Path, context: Context, chosen: Mapping[str, Any] | None) -> int:
        """The number of rows in the file, all as of one position."""
        zone = self.time_zone
        titles = [column.titled(context.language, zone) for column in COLUMNS]
        columns = [Column(title, each.type, each.width) for title, each in zip(titles, COLUMNS, strict=True)]
        with self.open_sheet(path, "activities", columns) as sheet:
            async for nodes in self._pages(context, chosen):
                rows = [cells(node, zone) for node in nodes]
                await to_thread.run_sync(sheet.add, rows)
        return sheet.rows

    async def _pages(
        self, context: Context, chosen: Mapping[str, Any] | None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        position = await context.live_log.newest()
        await self._require_projected(context, position)
        viewer = replace(context.viewer, page_limit=PAGE_ROWS)
        variables: dict[str, Any] = {
            "filter": chosen,
            "first": PAGE_ROWS,
            "asOf": {"position": encode(ShownPosition(*position))},
        }
        more = True
        while more:
            try:
                prepared = context.reads.planned({"query": QUERY, "variables": variables}, viewer)
            except GraphQLError as refused:
                if (refused.extensions or {}).get("code") == "FORBIDDEN":  # the list, or a masked field of it
                    raise NotExported(403, "FORBIDDEN") from None
                prepared = None
            if prepared is None:
                raise NotExported(400, "BAD_FILTER")
            page = orjson.loads(await context.reads.one(*prepared))["data"]["activities"]
            if page["totalCount"] > ROWS_MAX:
                raise NotExported(422, "EXPORT_TOO_LARGE")
            yield page["nodes"]
            more, variables["after"] = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]

    async def _require_projected(self, context: Context, position: Position) -> None:
        if not await context.progress.reached(position, ("activities",), PROJECTED_WAIT_S):
            raise NotExported(503, "BEHIND")

    async def _recorded(self, context: Context, filter: str, rows: int, address: str) -> None:
        command = Command(context.principal, OPERATION, {"filter": filter, "rows": rows, "address": address})

        def record() -> None:
            context.handler(command, lambda work: downloads.record(work, "activities", filter, rows, address))

        try:
            await to_thread.run_sync(record)
        except Refused:
            raise NotExported(400, "BAD_FILTER") from None


def _filter(text: str) -> Mapping[str, Any] | None:
    if not text:
        return None
    try:
        found = orjson.loads(text) if len(text) <= FILTER_CHARACTERS_MAX else None
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise NotExported(400, "BAD_FILTER")
    return found


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
