"""Replays as files for auditors: one thing's whole history, event by event, as JSONL or as an Excel file.

GET /exports/replays/<id> with the bearer token; `format` is jsonl or xlsx; `types` (comma-separated),
`actor`, `since` and `until` choose events. Every file that leaves is recorded first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import orjson
from anyio import to_thread
from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from api.exports import MEDIA_TYPE, NotExported, answered
from api.replays import is_in_sight, kind_and_key, shows_to
from api.services import Services
from application import downloads
from application.access import Forbidden, Principal, to_read
from application.shared.handler import Request as Command
from application.shared.sheets import Cell, Column, OpenSheet
from projections.replays import Chosen, HistoryTooLong, line, replay

REPLAYS_PATH = "/exports/replays"
OPERATION = "exportReplay"
SUBJECT = "replays"
FORMATS = {"jsonl": "application/jsonl", "xlsx": MEDIA_TYPE}
TYPES_MAX = 50
TEXT_MAX = 200
AT_ONCE_MAX = 2
COLUMNS = tuple(
    Column(name, width=width)
    for name, width in {
        "position": 26, "version": 8, "recordedAt": 28, "eventType": 28, "subjectId": 38, "actor": 16,
        "onBehalfOf": 12, "reason": 30, "changes": 60, "state": 60, "effectiveAt": 28, "eventId": 38,
        "commandId": 38,
    }.items()
)  # fmt: skip


@dataclass(slots=True)
class ReplayFiles:
    """The ASGI application behind /exports/replays."""

    services: Services
    schema: GraphQLSchema
    open_sheet: OpenSheet
    _running: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with TemporaryDirectory(prefix="cardinal-replay-") as folder:

            async def exported(principal: Principal) -> Response:
                return await self._exported(request, principal, Path(folder))

            response = await answered(self.services, request, OPERATION, exported)
            await response(scope, receive, send)

    async def _exported(self, request: Request, principal: Principal, folder: Path) -> Response:
        format_ = request.query_params.get("format", "jsonl")
        chosen = chosen_of(request.query_params)
        if format_ not in FORMATS or chosen is None:
            raise NotExported(400, "BAD_REQUEST")
        id_ = request.url.path.removeprefix(REPLAYS_PATH).strip("/")
        kind, key = kind_and_key(id_)
        if to_read(kind) not in principal.permissions:
            raise Forbidden(OPERATION, to_read(kind))
        if key is None:
            raise NotExported(404, "NOT_FOUND")
        if self._running >= AT_ONCE_MAX:
            raise NotExported(503, "EXPORTS_BUSY")
        self._running += 1
        try:
            lines = await to_thread.run_sync(self._lines, principal, kind, key, chosen)
            path = folder / f"{id_}.{format_}"
            await to_thread.run_sync(write, path, lines, self.open_sheet)
            filter_ = f"{id_}?{request.url.query}" if request.url.query else id_
            address = request.client.host if request.client else ""
            await to_thread.run_sync(self._record, principal, filter_[:TEXT_MAX], len(lines), address)
        finally:
            self._running -= 1
        headers = {"Cache-Control": "no-store"}
        return FileResponse(path, headers=headers, media_type=FORMATS[format_], filename=path.name)

    def _lines(self, principal: Principal, kind: str, key: UUID, chosen: Chosen) -> list[dict[str, Any]]:
        try:
            found = replay(self.services.log, kind, key)
        except HistoryTooLong:
            raise NotExported(422, "EXPORT_TOO_LARGE") from None
        if not found.steps or not is_in_sight(found, kind, principal):
            raise NotExported(404, "NOT_FOUND")
        shown = shows_to(principal, self.schema, kind)
        return [line(found, step, shown) for step in found.steps if chosen.includes(step.record)]

    def _record(self, principal: Principal, filter_: str, rows: int, address: str) -> None:
        command = Command(principal, OPERATION, {"filter": filter_, "rows": rows, "address": address})
        self.services.handler(command, lambda work: downloads.record(work, SUBJECT, filter_, rows, address))


def chosen_of(given: Mapping[str, str]) -> Chosen | None:
    """The steps that texts choose; None for texts that choose nothing."""
    types = [each for each in given.get("types", "").split(",") if each]
    try:
        since, until = (_moment(given.get(name)) for name in ("since", "until"))
    except ValueError:
        return None
    if len(types) > TYPES_MAX or any(len(each) > TEXT_MAX for each in given.values()):
        return None
    return Chosen(frozenset(types), given.get("actor") or None, since, until)


def _moment(text: str | None) -> datetime | None:
    """Raise ValueError for what is no time, or one without a zone."""
    moment = datetime.fromisoformat(text) if text else None
    if moment is not None and moment.tzinfo is None:
        raise ValueError("a time has a zone")
    return moment


def write(path: Path, lines: Iterable[Mapping[str, Any]], open_sheet: OpenSheet) -> None:
    """By the name's suffix: a JSON object a line, or a sheet."""
    if path.suffix != ".xlsx":
        path.write_bytes(b"".join(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in lines))
        return
    with open_sheet(path, "replay", COLUMNS) as sheet:
        sheet.add(_cells(each) for each in lines)


def _cells(line: Mapping[str, Any]) -> Sequence[Cell]:
    values = [line[column.title] for column in COLUMNS]
    return [
        value if isinstance(value, str | None) else orjson.dumps(value, default=str).decode()
        for value in values
    ]
