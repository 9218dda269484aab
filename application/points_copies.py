"""The files of a points job as the house keeps them: read line by line, and made again when they got lost.

A points file follows from its run's result byte for byte; an acknowledgement stays the same at the gateway.
So either is as good as kept, as long as it has the checksum that was recorded.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from application.shared.file_folders import FileFolder
from application.shared.gateways import AcknowledgementInvalid, PointsGateway
from application.shared.records import Log
from domain.points_files import (
    AcknowledgementLine,
    Faulty,
    FileFault,
    FileRefusal,
    PointsLine,
    points_file,
    read_acknowledgement,
    read_points_file,
    sound,
)
from domain.points_jobs import DECIDER, PointsJob, PointsJobOpened
from domain.work_order_executions import PointsJobLinked


class CopyLost(Exception):
    """A file is gone, and what it is made of is not what it was."""


class Results(Protocol):
    """What is read of an engine."""

    def rows(self, run_id: UUID, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The columns of a finished run, row by row, always in the same order."""
        ...


class Shelf(Protocol):
    """Where the files are, and what they are made of."""

    @property
    def results(self) -> Results: ...
    @property
    def gateway(self) -> PointsGateway: ...
    @property
    def folder(self) -> FileFolder: ...


@dataclass(frozen=True, slots=True)
class PointsShelf:
    """The shelf of a process that hands files out."""

    results: Results
    gateway: PointsGateway
    folder: FileFolder


# --- Kept copies ----------------------------------------------------------


def keep_points_file(shelf: Shelf, job: PointsJob) -> str:
    """The name of the points file, which is in the folder as it was filed. Raise CopyLost."""
    assert job.filed is not None
    name = job.has.header.file_name
    if _checksum(shelf.folder, name) != job.filed.sha256:
        pieces = points_file(job.has.header, extracted(shelf, job.has))
        shelf.folder.write(name, _only(job.filed.sha256, pieces, name))
    return name


def keep_acknowledgement(shelf: Shelf, job: PointsJob, checksum: str) -> str:
    """The name of the acknowledgement that has this checksum, which is in the folder. Raise CopyLost and
    GatewayError.
    """
    name = acknowledgement_name(job)
    if _checksum(shelf.folder, name) != checksum:
        content = shelf.gateway.acknowledgement(job.has.header.file_name)
        if content is None:
            raise CopyLost(name)
        shelf.folder.write(name, _only(checksum, [content], name))
    return name


def acknowledgement_name(job: PointsJob) -> str:
    return f"ACK_{job.has.header.file_name}"


def _checksum(folder: FileFolder, name: str) -> str | None:
    digest = sha256()
    try:
        for piece in folder.read(name):
            digest.update(piece)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _only(checksum: str, pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The pieces. Raise CopyLost at their end, when they are not what has this checksum."""
    digest = sha256()
    try:
        for piece in pieces:
            digest.update(piece)
            yield piece
    except Faulty as faulty:
        raise CopyLost(name) from faulty
    if digest.hexdigest() != checksum:
        raise CopyLost(name)


# --- Their lines ----------------------------------------------------------


def extracted(shelf: Shelf, opened: PointsJobOpened) -> Iterator[PointsLine]:
    """The result as lines of the file, numbered from 1."""
    columns, business_type = opened.terms.columns, opened.terms.business_type
    for number, row in enumerate(shelf.results.rows(opened.cause.run, columns.names), start=1):
        values = dict(zip(columns.names, row, strict=True))
        points = columns.points_each if columns.points is None else values[columns.points]
        card = "" if columns.card is None else values[columns.card]
        sound_points = points if isinstance(points, int) and not isinstance(points, bool) else 0
        yield PointsLine(
            number, _text(values[columns.customer]), _text(card), max(sound_points, 0), business_type
        )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def filed(shelf: Shelf, job: PointsJob) -> Iterator[PointsLine]:
    """The lines of the points file. Raise Faulty at its end, if it is not what was written."""
    parts = sound(read_points_file(shelf.folder.read(job.has.header.file_name)))
    return (part for part in parts if isinstance(part, PointsLine))


def answers(shelf: Shelf, job: PointsJob) -> Iterator[AcknowledgementLine]:
    """The lines of the acknowledgement. Raise Faulty at its end, if it can't be believed."""
    return _answers(job, shelf.folder.read(acknowledgement_name(job)))


def _answers(job: PointsJob, pieces: Iterable[bytes]) -> Iterator[AcknowledgementLine]:
    assert job.filed is not None
    name = job.has.header.file_name
    parts = sound(read_acknowledgement(pieces, name, job.filed.sha256, job.filed.lines))
    return (part for part in parts if isinstance(part, AcknowledgementLine))


def is_answered(shelf: Shelf, job: PointsJob) -> bool:
    """Whether an acknowledgement is at the gateway that can be believed. Raise GatewayError."""
    try:
        content = shelf.gateway.acknowledgement(job.has.header.file_name)
        for _ in _answers(job, [] if content is None else [content]):
            pass
    except (AcknowledgementInvalid, Faulty):
        return False
    return True


def former_file_booked(shelf: Shelf, log: Log, job: PointsJob) -> str | None:
    """The name of an earlier file of the job's work order, given up on people's word, of which the points
    system says by now that it booked lines: who got those must not get this file's, too. None when there is
    none. Raise GatewayError.
    """
    order = job.has.cause.work_order
    for record in () if order is None else log.records(order):
        if isinstance(record.event, PointsJobLinked):
            former = log.load(DECIDER, record.event.job).state
            if former.filed is not None and _is_booked(shelf, former):
                return former.has.header.file_name
    return None


def _is_booked(shelf: Shelf, job: PointsJob) -> bool:
    """Whether an acknowledgement that can be believed accepts a line."""
    try:
        content = shelf.gateway.acknowledgement(job.has.header.file_name)
        return sum(answer.is_accepted for answer in _answers(job, [] if content is None else [content])) > 0
    except (AcknowledgementInvalid, Faulty):
        return False


def answered(shelf: Shelf, job: PointsJob) -> Iterator[tuple[PointsLine, AcknowledgementLine]]:
    """Each line that was answered, with its answer; both come in the order of numbers."""
    lines = filed(shelf, job)
    for answer in answers(shelf, job):
        line = next((line for line in lines if line.number == answer.number), None)
        if line is None:
            raise Faulty([FileFault(FileRefusal.UNKNOWN_LINE, answer.number)])
        yield line, answer
    for _ in lines:
        pass  # to its end, where a file that is not sound says so
