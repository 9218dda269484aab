"""Parking: a stream with an event that a projection can't take in waits aside, seen, until it can.

The other streams go on. What is held back is kept nowhere: a retry folds the rows anew from the log.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from application.shared.key_keepers import KeysUnavailable
from application.shared.records import Log, Position
from infrastructure import database
from infrastructure.event_log import EventLog
from infrastructure.projection_registry import BY_NAME
from infrastructure.projection_tables import Failure, Tables, failure, open_session

PARKED_MAX = 10_000
"""Streams that one projection may park: with more, the fault is hardly the streams'."""
SHOWN_MAX = 1_000

PARK = """
insert into projection.parked (projection, stream_id, epoch, position, error)
values (%s, %s, %s, %s, %s) on conflict do nothing
"""
SHOW = """
select projection, stream_id, epoch, position, error, first_seen, attempts from projection.parked
order by projection, attempts, first_seen, stream_id limit %s
"""
STREAMS = "select stream_id from projection.parked where projection = %s order by attempts, first_seen"
LOCK = "select epoch, position from projection.checkpoints where name = %s for update"
UNPARK = "delete from projection.parked where projection = %s and stream_id = %s"
SUPERSEDE = "update projection.checkpoints set generation = generation + 1 where name = %s"
FAILED_AGAIN = """
update projection.parked set attempts = attempts + 1, error = %s where projection = %s and stream_id = %s
"""


class ParkedTooMany(Exception):
    """A projection would have to park more streams than `PARKED_MAX`: it stands still instead."""


@dataclass(frozen=True, slots=True)
class ParkedStream:
    """The event at `position` is the first that the projection could not take in."""

    projection: str
    stream_id: UUID
    position: Position
    error: str
    first_seen: datetime
    attempts: int


def is_poison(error: Exception) -> bool:
    """Whether the records are at fault, and not the database, the machine or the installation."""
    if isinstance(error, psycopg.Error):
        of_data = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)
        return isinstance(error, of_data)
    return not isinstance(error, OSError | MemoryError | KeysUnavailable)


def parked(url: str) -> Sequence[ParkedStream]:
    """What is parked (at most 1,000 are told), the least often tried first."""
    with database.connect(url) as connection:
        rows = connection.execute(SHOW, [SHOWN_MAX]).fetchall()
    return [
        ParkedStream(projection, stream_id, Position(epoch, offset), *rest)
        for projection, stream_id, epoch, offset, *rest in rows
    ]


def retry(url: str, projection: str, stream_id: UUID) -> bool:
    """Try a parked stream again; whether it is parked no more. Raise KeyError for an unknown projection."""
    tables = BY_NAME[projection]
    with database.pool(url, 1) as pool, open_session(url, "read") as connection:
        return retry_on(connection, EventLog(pool), tables, stream_id)


def retry_on(connection: psycopg.Connection[Any], log: Log, tables: Tables, stream_id: UUID) -> bool:
    """Fold what the stream concerns anew, up to where the projection stands; its leader starts over."""
    try:
        with connection.transaction():
            checkpoint = connection.execute(LOCK, [tables.name]).fetchone()
            if checkpoint and connection.execute(UNPARK, [tables.name, stream_id]).rowcount:
                tables.refold(connection, log, stream_id, Position(*checkpoint))
                connection.execute(SUPERSEDE, [tables.name])
    except Exception as error:
        if not is_poison(error):
            raise
        told = failure(stream_id, Position(0, 0), error).error
        connection.execute(FAILED_AGAIN, [told, tables.name, stream_id])
        return False
    return True


def fold_anew(url: str, stream_type: str, stream_id: UUID) -> None:
    """Make anew whatever any projection keeps of the stream: the log says less of it than it did."""
    with database.pool(url, 1) as pool:
        log = EventLog(pool)
        for tables in BY_NAME.values():
            if stream_type not in tables.stream_types:
                continue
            with open_session(url, "read") as connection, connection.transaction():
                checkpoint = connection.execute(LOCK, [tables.name]).fetchone()
                if checkpoint:
                    tables.refold(connection, log, stream_id, Position(*checkpoint))
                    connection.execute(SUPERSEDE, [tables.name])


def parked_streams(connection: psycopg.Connection[Any], name: str) -> list[UUID]:
    """The least often tried first."""
    return [stream_id for (stream_id,) in connection.execute(STREAMS, [name])]


def park(connection: psycopg.Connection[Any], name: str, failures: Iterable[Failure]) -> None:
    """Within the caller's transaction; of one stream's failures the first counts."""
    for stream_id, position, error in sorted(failures, key=lambda failed: failed.position):
        connection.execute(PARK, [name, stream_id, *position, error])
