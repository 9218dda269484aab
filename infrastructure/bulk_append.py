"""Bulk append: many streams at COPY speed, chained and with heads, a bounded chunk to a transaction.

For streams that nobody guards, such as ledgers: a bulk takes its position before its locks, so an append that
guarded one of its streams meanwhile may come to stand above it. A writing transaction that stays open holds
readers back, so no chunk has more than `CHUNK_EVENTS_MAX` events. A bulk that was cut off is sent again under
the same command id; chunks that are there are skipped.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import psycopg
from psycopg_pool import ConnectionPool

from application.shared.records import BEGINNING, Conflict, Context, Position, Write
from infrastructure.log_recorder import PositionInverted
from infrastructure.stored_records import COLUMNS, StoredRecord, chained

CHUNK_EVENTS_MAX = 10_000
ATTEMPTS_MAX = 5

BASE = b"select max(epoch), pg_current_xact_id()::text::bigint << 20 from log.epochs"
LOCKED = b"select from log.heads where stream_id = any(%s) order by stream_id for update"
OPENED = b"""
    insert into log.heads as h (stream_id, stream_type, version, hash, epoch, position)
    select id, type, version, hash, %(epoch)s, %(position)s + last from unnest(
        %(ids)s::uuid[], %(types)s::text[], %(versions)s::integer[], %(hashes)s::bytea[], %(last)s::integer[])
        as w (id, type, version, hash, last)
    on conflict (stream_id) do update
    set version = excluded.version, hash = excluded.hash, epoch = excluded.epoch, position = excluded.position
    where h.version = 0"""
EXTENDED = b"""
    update log.heads h
    set version = w.version, hash = w.hash, epoch = %(epoch)s, position = %(position)s + w.last
    from unnest(%(ids)s::uuid[], %(expected)s::integer[], %(previous)s::bytea[], %(versions)s::integer[],
                %(hashes)s::bytea[], %(last)s::integer[]) as w (id, expected, previous, version, hash, last)
    where h.stream_id = w.id and h.version = w.expected and h.hash = w.previous"""
ABOVE = b"select exists (select from log.heads where stream_id = any(%s) and (epoch, position) >= (%s, %s))"
THERE = b"""
    select count(*), max(e.epoch), max(e.position) from unnest(%s::uuid[], %s::integer[]) as w (id, version)
    join log.events e on e.stream_id = w.id and e.version = w.version and e.command_id = %s"""
COPIED = f"copy log.events ({', '.join(COLUMNS)}) from stdin".encode()


@dataclass(frozen=True, slots=True)
class Chunk:
    writes: Sequence[Write]
    records: Sequence[StoredRecord]


def append_bulk(
    pool: ConnectionPool[psycopg.Connection[Any]], writes: Iterable[Write], context: Context
) -> Position:
    """The position of the last event. Raise Conflict at the first chunk that moved; earlier ones stay.

    Each stream stands in one write; the writes come in the order of stream ids where bulks may meet.
    """
    last = BEGINNING
    with pool.connection() as connection:
        for chunk in _chunks(writes, context):
            last = max(last, _append_chunk(connection, chunk, context))
    return last


def _chunks(writes: Iterable[Write], context: Context) -> Iterator[Chunk]:
    taken: list[Write] = []
    records: list[StoredRecord] = []
    for write in writes:
        assert len(write.events) <= CHUNK_EVENTS_MAX, "one stream's events fit into a chunk"
        if len(records) + len(write.events) > CHUNK_EVENTS_MAX:
            yield Chunk(taken, records)
            taken, records = [], []
        taken.append(write)
        records += chained(write, context, datetime.now(UTC), _event_ids(write))
    if records:
        yield Chunk(taken, records)


def _event_ids(write: Write) -> Iterator[UUID]:
    """Deterministic: the same event sent again has the same id."""
    for version in range(write.version + 1, write.version + 1 + len(write.events)):
        yield uuid5(write.stream_id, str(version))


def _append_chunk(connection: psycopg.Connection[Any], chunk: Chunk, context: Context) -> Position:
    for _ in range(ATTEMPTS_MAX):
        try:
            with connection.transaction():
                row = connection.execute(BASE).fetchone()
                assert row is not None
                base = Position(*row)
                _move_heads(connection, chunk, base)
                _copy(connection, chunk, base)
            return Position(base.epoch, base.offset + len(chunk.records) - 1)
        except PositionInverted:
            continue
        except Conflict:
            there = _where(connection, chunk, context)
            if there is None:
                raise
            return there
    raise Conflict("other appends kept coming first")


def _move_heads(connection: psycopg.Connection[Any], chunk: Chunk, base: Position) -> None:
    last = {record.originator_id: (n, record.hash) for n, record in enumerate(chunk.records)}
    new = [write for write in chunk.writes if write.version == 0]
    old = [write for write in chunk.writes if write.version > 0]
    if old:
        ids = [write.stream_id for write in old]
        connection.execute(LOCKED, [ids])
        row = connection.execute(ABOVE, [ids, *base]).fetchone()
        if row == (True,):
            raise PositionInverted
    for statement, writes in ((OPENED, new), (EXTENDED, old)):
        if not writes:
            continue
        values = {
            "ids": [write.stream_id for write in writes],
            "types": [write.stream_type for write in writes],
            "expected": [write.version for write in writes],
            "previous": [write.previous_hash for write in writes],
            "versions": [write.version + len(write.events) for write in writes],
            "hashes": [last[write.stream_id][1] for write in writes],
            "last": [last[write.stream_id][0] for write in writes],
            "epoch": base.epoch,
            "position": base.offset,
        }
        if connection.execute(statement, values).rowcount != len(writes):
            raise Conflict("a stream of the chunk has moved on")


def _copy(connection: psycopg.Connection[Any], chunk: Chunk, base: Position) -> None:
    with connection.cursor() as cursor, cursor.copy(COPIED) as copy:
        lines = [_line(record, base, ordinal) for ordinal, record in enumerate(chunk.records)]
        copy.write("".join(lines).encode())


def _line(record: StoredRecord, base: Position, ordinal: int) -> str:
    """One row in COPY's text format."""
    context = record.context
    assert record.personal is None, "personal data goes through the single append"
    return (
        f"{record.originator_id}\t{record.stream_type}\t{record.originator_version}\t{base.epoch}\t"
        f"{base.offset + ordinal}\t{record.topic}\t{record.schema_version}\t{record.event_id}\t"
        f"{record.recorded_at}\t{context.effective_at}\t{_text(context.actor)}\t"
        f"{_text(context.on_behalf_of)}\t{_text(context.org_unit)}\t{context.command_id}\t"
        f"{context.correlation_id}\t{context.causation_id or _NULL}\t{_text(context.reason)}\t"
        f"{_text(record.state.decode())}\t{_NULL}\t{_NULL}\t\\\\x{record.previous_hash.hex()}\t"
        f"\\\\x{record.hash.hex()}\n"
    )


_NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _text(text: str | None) -> str:
    return _NULL if text is None else text.translate(_ESCAPES)


def _where(connection: psycopg.Connection[Any], chunk: Chunk, context: Context) -> Position | None:
    """The last position of this very chunk, if it was recorded before under the same command."""
    last = [(write.stream_id, write.version + len(write.events)) for write in chunk.writes]
    ids, versions = zip(*last, strict=True)
    row = connection.execute(THERE, [list(ids), list(versions), context.command_id]).fetchone()
    assert row is not None
    return Position(row[1], row[2]) if row[0] == len(last) else None
