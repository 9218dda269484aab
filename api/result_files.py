"""Results as files: what a segment run has found, by the mapping of its definition.

GET /exports/segment-runs/<id> with the bearer token; `encoding` is utf-8 or gb18030, `separator` one
character or empty for fields of fixed width, `header` true or false. Every file that leaves is recorded.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import structlog
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from api.commands import key_of
from api.exports import NotExported, answered
from api.services import Services
from application import downloads
from application.access import Principal
from application.segment_runs import mapping_for_export, require_result
from application.shared.engines import Encoding, Exported, FileLayout, RunFailed
from application.shared.handler import Request as Command
from application.shared.work import Work
from domain.segment_runs import RunRefusal
from domain.shared.refusal import Refused

RESULTS_PATH = "/exports/segment-runs"
MEDIA_TYPE = "text/csv"
OPERATION = "exportSegmentRun"
SUBJECT = "segment_runs"
SEPARATORS = (",", ";", "|", "\t", "")
AT_ONCE_MAX = 2

logger = structlog.get_logger("cardinal.exports")


@dataclass(slots=True)
class ResultFiles:
    """The ASGI application behind /exports/segment-runs."""

    services: Services
    _running: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with TemporaryDirectory(prefix="cardinal-result-") as folder:

            async def exported(principal: Principal) -> Response:
                return await self._exported(request, principal, Path(folder))

            response = await answered(self.services, request, OPERATION, exported)
            await response(scope, receive, send)

    async def _exported(self, request: Request, principal: Principal, folder: Path) -> Response:
        shown = request.url.path.removeprefix(RESULTS_PATH).strip("/")
        layout = _layout(request)
        if self._running >= AT_ONCE_MAX:
            raise NotExported(503, "EXPORTS_BUSY")
        self._running += 1
        try:
            address = request.client.host if request.client else ""
            path = folder / f"{shown}.csv"
            key = key_of("sr", shown)
            await to_thread.run_sync(self._write, principal, key, path, layout, address)
        finally:
            self._running -= 1
        return FileResponse(
            path,
            headers={"Cache-Control": "no-store"},
            media_type=f"{MEDIA_TYPE}; charset={layout.encoding.value}",
            filename=path.name,
        )

    def _write(
        self, principal: Principal, run_id: UUID, path: Path, layout: FileLayout, address: str
    ) -> None:
        """The file, and the record of who takes it: without the record nothing leaves."""
        handler, engine = self.services.handler, self.services.engine
        try:
            mapping = mapping_for_export(handler, principal, run_id)
            if engine is None:
                raise NotExported(503, "UNAVAILABLE")
            exported: Exported = engine.export(run_id, mapping, path, layout)
            given = {"id": str(run_id), "rows": exported.rows, "sha256": exported.sha256, "address": address}
            command = Command(principal, OPERATION, given)
            handler(command, lambda work: _record(work, run_id, exported, address))
        except Refused as refused:
            has_no_result = refused.faults[0].code is RunRefusal.NO_RESULT
            raise NotExported(*((409, "NO_RESULT") if has_no_result else (404, "NOT_FOUND"))) from None
        except RunFailed as failed:
            logger.warning("a result was not exported", run=str(run_id), code=failed.code, **failed.values)
            raise NotExported(422, "RESULT_UNUSABLE") from None


def _record(work: Work, run_id: UUID, exported: Exported, address: str) -> UUID:
    """What may leave is looked at again, so that nothing does that was barred while the file was made."""
    require_result(work, run_id)
    return downloads.record(work, SUBJECT, f'{{"id":"{run_id}"}}', exported.rows, address)


def _layout(request: Request) -> FileLayout:
    asked = request.query_params
    separator = asked.get("separator", ",")
    if separator not in SEPARATORS or asked.get("header", "true") not in ("true", "false"):
        raise NotExported(400, "BAD_REQUEST")
    try:
        encoding = Encoding(asked.get("encoding", Encoding.UTF_8.value))
    except ValueError:
        raise NotExported(400, "BAD_REQUEST") from None
    return FileLayout(encoding, separator, asked.get("header", "true") == "true")
