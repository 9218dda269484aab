"""Whether the log still says what it said: hashes recomputed, chains followed, heads compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import GENESIS, Position
from infrastructure.database import connect
from infrastructure.seal_folder import PublishedSeals
from infrastructure.seal_verification import check
from infrastructure.stored_records import SELECTED, StoredRecord, stored

FAULTS_MAX = 100
ROWS_AT_ONCE = 2_000
ALL = f"select {SELECTED} from log.events order by stream_id, version"
HEADS = b"""
    select coalesce(h.stream_id, e.stream_id), coalesce(h.version, 0), coalesce(e.version, 0),
           case when h.version > coalesce(e.version, 0) then h.epoch else e.epoch end,
           case when h.version > coalesce(e.version, 0) then h.position else e.position end
    from log.heads h full join (
        select distinct on (stream_id) stream_id, version, hash, epoch, position from log.events
        order by stream_id, version desc) e using (stream_id)
    where (h.version, h.hash) is distinct from (e.version, e.hash) and coalesce(h.version, -1) <> 0
    order by 4, 5 limit 100"""


@dataclass(frozen=True, slots=True)
class Fault:
    """`position` is where the stored event stands; a missing one has its own where it was sealed or a head
    knows it, else that of the next in its stream. What is said of a seal has no stream.
    """

    position: str
    stream_id: UUID | None
    version: int | None
    problem: str


@dataclass(slots=True)
class Report:
    """`faults` in the order of positions, at most `FAULTS_MAX`. `sealed` counts the events that seals speak
    of, `notes` tell what is no fault and good to know.
    """

    events: int = 0
    streams: int = 0
    sealed: int = 0
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(
    url: str,
    progress: Callable[[int], None] = lambda _: None,
    publication: PublishedSeals | None = None,
    trusted: bytes | None = None,
) -> Report:
    """Read the whole log in one snapshot, and hold it against the seals where they are published.

    `trusted` is the first seal's public key, as its auditor has it; without it the first seal is believed.
    `progress` gets the count of events seen so far.
    """
    with connect(url, statement_timeout_s=0) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        return verify_on(connection, progress, publication, trusted)


def verify_on(
    connection: psycopg.Connection[Any],
    progress: Callable[[int], None] = lambda _: None,
    publication: PublishedSeals | None = None,
    trusted: bytes | None = None,
) -> Report:
    """The same in the caller's transaction."""
    report = Report()
    _follow_chains(connection, report, progress)
    for stream_id, version, newest, epoch, position in connection.execute(HEADS):
        problem = f"the head says version {version}, the newest event is version {newest}"
        report.faults.append(Fault(str(Position(epoch, position)), stream_id, newest, problem))
    if publication is not None:
        told = check(connection, publication, trusted)
        report.sealed, report.notes = told.sealed, told.notes
        report.faults += [Fault(str(position), None, None, problem) for position, problem in told.faults]
    report.faults.sort(key=lambda fault: fault.position)
    del report.faults[FAULTS_MAX:]
    return report


def _follow_chains(
    connection: psycopg.Connection[Any], report: Report, progress: Callable[[int], None]
) -> None:
    before: StoredRecord | None = None
    with connection.cursor("chains", binary=True) as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(ALL.encode())
        for row in cursor:
            record = stored(row)
            same = before is not None and before.originator_id == record.originator_id
            report.streams += not same
            report.events += 1
            for problem in _problems(record, before if same else None):
                _note(report, record, problem)
            before = record
            if report.events % ROWS_AT_ONCE == 0:
                progress(report.events)
    progress(report.events)


def _problems(record: StoredRecord, before: StoredRecord | None) -> list[str]:
    found = []
    due = before.originator_version + 1 if before else 1
    if record.originator_version != due:
        found.append(f"version {due} is missing")
    elif record.previous_hash != (before.hash if before else GENESIS):
        found.append("it does not follow from the event before")
    if record.hash != record.recomputed_hash():
        found.append("its content is not what was hashed")
    assert record.position is not None
    if before is not None and before.position is not None and record.position <= before.position:
        found.append("it lies below the event before")
    return found


def _note(report: Report, record: StoredRecord, problem: str) -> None:
    stream_id = record.originator_id
    assert isinstance(stream_id, UUID)
    fault = Fault(str(record.position), stream_id, record.originator_version, problem)
    report.faults.append(fault)
    if len(report.faults) > 100 * FAULTS_MAX:
        report.faults.sort(key=lambda fault: fault.position)
        del report.faults[FAULTS_MAX:]
