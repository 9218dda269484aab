"""Whether the log still says what it said: hashes recomputed, chains followed, heads and seals compared.

Contents are read in the order of positions, a stretch at a time, and chains in that of streams. Several
processes read a large log, all in one snapshot.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import BEGINNING, Position
from infrastructure.chain_verification import Streams, follow
from infrastructure.content_verification import HIGHEST, LOWEST, Seen, Stretch, recompute
from infrastructure.database import connect
from infrastructure.log_faults import Fault, Faults
from infrastructure.log_readers import SETTINGS, SNAPSHOT, OwnReader, Readers, ReadingProcesses
from infrastructure.seal_folder import PublishedSeals
from infrastructure.seal_verification import SealReport, hold_against, line_of_seals
from infrastructure.seals import Seal

STRETCH_EVENTS = 65_536
LARGE_BYTES = 64 * 2**20
"""From this size on a log is read by as many processes as there are cores."""

SIZE = b"select pg_relation_size('log.events')"
SAMPLED_OF_100 = 1
SAMPLED = b"""
    select epoch, position from log.events tablesample system (%s)
    where (epoch, position) > (%s, %s) order by epoch, position"""
PARTING = b"""
    select percentile_disc(%s::float8[]) within group (order by stream_id)
    from log.heads tablesample system (%s)"""


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
    `progress` gets the count of events seen so far. Raise SealsUnreachable.
    """
    with connect(url, statement_timeout_s=0) as connection, connection.transaction():
        connection.execute(SNAPSHOT)
        row = connection.execute(SIZE).fetchone()
        count = len(os.sched_getaffinity(0))
        if row is None or row[0] < LARGE_BYTES or count == 1:
            return verify_on(connection, progress, publication, trusted)
        with ReadingProcesses(url, connection, count) as readers:
            return _verify(connection, readers, progress, publication, trusted)


def verify_on(
    connection: psycopg.Connection[Any],
    progress: Callable[[int], None] = lambda _: None,
    publication: PublishedSeals | None = None,
    trusted: bytes | None = None,
) -> Report:
    """The same in the caller's transaction, whose settings change."""
    return _verify(connection, OwnReader(connection), progress, publication, trusted)


def _verify(
    connection: psycopg.Connection[Any],
    readers: Readers,
    progress: Callable[[int], None],
    publication: PublishedSeals | None,
    trusted: bytes | None,
) -> Report:
    for setting in SETTINGS:
        connection.execute(setting)
    seals, line = SealReport(), list[Seal]()
    if publication is not None:
        line = line_of_seals(connection, publication, trusted, seals)
    report, faults, seen = Report(), Faults(), list[Seen]()
    chains = readers.map(follow, _ranges(connection, readers.count))
    for contents in readers.map(recompute, _stretches(connection, line, readers.count > 1)):
        report.events += contents.events
        seen += contents.seen
        faults.found += contents.faults
        progress(report.events)
    chained = 0
    for followed in chains:
        chained += followed.events
        report.streams += followed.streams
        faults.found += followed.faults
    if chained != report.events:
        faults.add(BEGINNING, None, None, f"{chained - report.events} events have no place in the log")
    if publication is not None:
        hold_against(connection, line, seen, publication, seals)
        report.sealed, report.notes = seals.sealed, seals.notes
    for position, problem in seals.faults:
        faults.add(position, None, None, problem)
    report.faults = faults.first()
    return report


def _ranges(connection: psycopg.Connection[Any], count: int) -> list[Streams]:
    """The streams in about equal parts; a log of few is one part."""
    shares = [number / count for number in range(1, count)]
    row = connection.execute(PARTING, [shares, SAMPLED_OF_100]).fetchone() if shares else None
    parting: list[UUID] = sorted(set(row[0])) if row is not None and row[0] else []
    return list(pairwise([None, *parting, None]))


def _stretches(connection: psycopg.Connection[Any], line: Sequence[Seal], is_cut: bool) -> Iterator[Stretch]:
    """All positions there can be: as they are sealed, and what is not, in one part unless it is to be cut."""
    after, within, events = LOWEST, list[Seal](), 0
    for seal in line:
        within.append(seal)
        events += seal.events
        if events >= STRETCH_EVENTS:
            yield Stretch(after, seal.position, tuple(within))
            after, within, events = seal.position, [], 0
    if within:
        yield Stretch(after, within[-1].position, tuple(within))
        after = within[-1].position
    sampled = connection.execute(SAMPLED, [SAMPLED_OF_100, *after]).fetchall() if is_cut else []
    for at in sampled[:: STRETCH_EVENTS * SAMPLED_OF_100 // 100]:
        yield Stretch(after, Position(*at))
        after = Position(*at)
    yield Stretch(after, HIGHEST)
