"""Points files and their acknowledgements as they went out and came back, byte for byte.

GET /exports/points-jobs/<id>/file or …/acknowledgement with the bearer token; the checksum that was recorded
comes in X-Checksum-SHA256. Cards stand in them with their
first six and last four digits at most. Every file that leaves is recorded first.
"""

from dataclasses import dataclass
from hashlib import sha256
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
from application import downloads, points_jobs
from application.access import Principal
from application.points_copies import CopyLost, Shelf, keep_acknowledgement, keep_points_file
from application.points_jobs import FileKind, KeptFile
from application.shared.engines import RunFailed
from application.shared.gateways import GatewayError
from application.shared.handler import Request as Command
from application.shared.work import Work
from domain.points_job_statuses import JobRefusal
from domain.shared.refusal import Refused

JOBS_PATH = "/exports/points-jobs"
MEDIA_TYPE = "text/plain; charset=utf-8"
OPERATION = "exportPointsFile"
SUBJECT = "points_jobs"
AT_ONCE_MAX = 2

logger = structlog.get_logger("cardinal.exports")


@dataclass(slots=True)
class PointsFiles:
    """The ASGI application behind /exports/points-jobs. Without a shelf nothing can be downloaded."""

    services: Services
    shelf: Shelf | None
    _running: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with TemporaryDirectory(prefix="cardinal-points-") as folder:

            async def exported(principal: Principal) -> Response:
                return await self._exported(request, principal, Path(folder))

            response = await answered(self.services, request, OPERATION, exported)
            await response(scope, receive, send)

    async def _exported(self, request: Request, principal: Principal, folder: Path) -> Response:
        shown, _, kind = request.url.path.removeprefix(JOBS_PATH).strip("/").partition("/")
        if kind not in list(FileKind):
            raise NotExported(404, "NOT_FOUND")
        if self.shelf is None:
            raise NotExported(503, "UNAVAILABLE")
        if self._running >= AT_ONCE_MAX:
            raise NotExported(503, "EXPORTS_BUSY")
        self._running += 1
        try:
            address = request.client.host if request.client else ""
            asked = _Asked(principal, key_of("pj", shown), FileKind(kind), address)
            path, checksum = await to_thread.run_sync(self._copied, self.shelf, asked, folder)
        finally:
            self._running -= 1
        headers = {"Cache-Control": "no-store", "X-Checksum-SHA256": checksum}
        return FileResponse(path, headers=headers, media_type=MEDIA_TYPE, filename=path.name)

    def _copied(self, shelf: Shelf, asked: "_Asked", folder: Path) -> tuple[Path, str]:
        """A copy that is what was recorded, and the record of who takes it: without one nothing leaves."""
        handler = self.services.handler
        try:
            kept = points_jobs.kept_file(handler.look(asked.principal), asked.job, asked.kind)
            path = _copy(shelf, kept, folder)
            given = {"id": str(asked.job), "file": asked.kind, "sha256": kept.checksum}
            command = Command(asked.principal, OPERATION, {**given, "address": asked.address})
            handler(command, lambda work: _record(work, asked, kept))
        except Refused as refused:
            is_none = refused.faults[0].code is JobRefusal.NO_POINTS_FILE
            raise NotExported(*((409, "NO_FILE") if is_none else (404, "NOT_FOUND"))) from None
        except GatewayError as error:
            logger.warning("a points file was not exported", job=str(asked.job), why=str(error))
            raise NotExported(503, "UNAVAILABLE") from None
        except (CopyLost, RunFailed) as error:
            logger.error("a points file is lost", job=str(asked.job), why=str(error))
            raise NotExported(422, "FILE_LOST") from None
        return path, kept.checksum


@dataclass(frozen=True, slots=True)
class _Asked:
    principal: Principal
    job: UUID
    kind: FileKind
    address: str


def _copy(shelf: Shelf, kept: KeptFile, folder: Path) -> Path:
    if kept.kind is FileKind.FILE:
        name = keep_points_file(shelf, kept.job)
    else:
        name = keep_acknowledgement(shelf, kept.job, kept.checksum)
    path, digest = folder / name, sha256()
    with path.open("wb") as copy:
        for piece in shelf.folder.read(name):
            digest.update(piece)
            copy.write(piece)
    if digest.hexdigest() != kept.checksum:
        raise CopyLost(name)
    return path


def _record(work: Work, asked: _Asked, kept: KeptFile) -> UUID:
    """What may leave is looked at again, so that nothing does that was barred while it was copied."""
    points_jobs.kept_file(work, asked.job, asked.kind)
    chosen = f'{{"id":"{asked.job}","file":"{asked.kind}","sha256":"{kept.checksum}"}}'
    return downloads.record(work, SUBJECT, chosen, kept.lines, asked.address)
