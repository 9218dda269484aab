"""Bulk append: many streams at COPY speed, chained and with heads, a bounded chunk to a transaction.

For streams that nobody guards, such as ledgers: a bulk takes its position before its locks, so an append that
guarded one of its streams meanwhile may come to stand above it. A writing transaction that stays open holds
readers back, so no chunk has more than `CHUNK_EVENTS_MAX` events. A bulk that was cut off is sent again under
the same command id; chunks that are there are skipped.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import count
from struct import Struct
from typing import Any, NamedTuple

import psycopg
from psycopg_pool import ConnectionPool

from application.shared.identifiers import named_uuid
from application.shared.records import BEGINNING, Conflict, Context, Position, Write
from infrastructure import event_codec
from infrastructure.envelope import canonical, canonical_field, instant
from infrastructure.interpreter import collecting_seldom, switching_every
from infrastructure.log_recorder import PositionInverted
from infrastructure.personal_parts import PERSONAL, sealed
from infrastructure.stored_records import COLUMNS

CHUNK_EVENTS_MAX = 10_000
ATTEMPTS_MAX = 5
SWITCH_EVERY_S = 0.000_5

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
COPIED = f"copy log.events ({', '.join(COLUMNS)}) from stdin (format binary)".encode()


@dataclass(slots=True)
class Chunk:
    """Some writes, and their events as rows of a binary COPY, parted where the position goes.

    `ends` and `hashes` tell of each write how many events the chunk has up to it, and its last one's hash.
    """

    constant: "Constant"
    writes: list[Write] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    before: list[bytes] = field(default_factory=list)
    after: list[bytes] = field(default_factory=list)


def append_bulk(
    pool: ConnectionPool[psycopg.Connection[Any]], writes: Iterable[Write], context: Context
) -> Position:
    """The position of the last event. Raise Conflict at the first chunk that moved; earlier ones stay.

    Each stream stands in one write; the writes come in the order of stream ids where bulks may meet.
    """
    last, chunks = BEGINNING, _chunks(writes, context)
    with (
        collecting_seldom(),
        switching_every(SWITCH_EVERY_S),
        pool.connection() as connection,
        ThreadPoolExecutor(1) as making,
    ):
        coming = making.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = making.submit(next, chunks, None)  # the next one is made while this one is stored
            last = max(last, _append_chunk(connection, chunk, context))
    return last


def _chunks(writes: Iterable[Write], context: Context) -> Iterator[Chunk]:
    chunk = Chunk(Constant.of(context, datetime.now(UTC)))
    for write in writes:
        assert len(write.events) <= CHUNK_EVENTS_MAX, "one stream's events fit into a chunk"
        if len(chunk.before) + len(write.events) > CHUNK_EVENTS_MAX:
            yield chunk
            chunk = Chunk(Constant.of(context, datetime.now(UTC)))
        _take(chunk, write)
    if chunk.before:
        yield chunk


# A field of a row in a binary COPY is its length in four bytes and its bytes, and -1 where it is null: as in
# the canonical form that is hashed. They differ in ids, numbers and times, which are text there.


class Constant(NamedTuple):
    """What a chunk's events have in common, `recorded_at` to `reason`: in a row, and canonical."""

    row: bytes
    canonical: bytes

    @classmethod
    def of(cls, context: Context, recorded_at: datetime) -> "Constant":
        who = (context.actor, context.on_behalf_of, context.org_unit)
        ids = (context.command_id, context.correlation_id, context.causation_id)
        times = (recorded_at, context.effective_at)
        named = (None if each is None else str(each) for each in ids)
        return cls(
            canonical(
                (
                    *(_timestamp(each) for each in times),
                    *who,
                    *(None if each is None else each.bytes for each in ids),
                    context.reason,
                )
            ),
            canonical((*(instant(each) for each in times), *who, *named, context.reason)),
        )


def _timestamp(moment: datetime) -> bytes:
    """As PostgreSQL sends and takes it: microseconds since 2000."""
    return ((moment - _POSTGRES_EPOCH) // _MICROSECOND).to_bytes(8, signed=True)


class Kind(NamedTuple):
    """What stands before an event's id, the same in many: in a row, around the position, and canonical."""

    before: bytes
    after: bytes
    canonical: bytes


@lru_cache
def _kind(stream_type: str, version: int, event_type: str, schema_version: int) -> Kind:
    return Kind(
        canonical((stream_type, version.to_bytes(4))),
        canonical((event_type, schema_version.to_bytes(4))) + _OF_16,
        canonical((stream_type, str(version), event_type, str(schema_version))) + _OF_36,
    )


def _take(chunk: Chunk, write: Write) -> None:
    """Add the write's events, chained: the same as `stored_records.chained`, without an object for each."""
    common, given, stream_id = chunk.constant, write.event_ids, write.stream_id.bytes
    opening = _FIELDS + canonical_field(stream_id)
    stream = canonical_field(str(write.stream_id).encode())
    previous = write.previous_hash
    for ordinal, event in enumerate(write.events):
        version = write.version + ordinal + 1
        event_id = given[ordinal] if given else named_uuid(stream_id, str(version))
        in_row = hashed = _NOTHING_PERSONAL
        if type(event) in PERSONAL:
            event, personal, key_id = sealed(event, write.stream_id, event_id)
            assert key_id is not None
            in_row, hashed = canonical((personal, key_id.bytes)), canonical((personal, str(key_id)))
        event_type, schema_version, data = event_codec.encode(event)
        kind = _kind(write.stream_type, version, event_type, schema_version)
        ending = b"".join((canonical_field(data), hashed, _OF_32, previous))
        named = str(event_id).encode()
        hash_ = sha256(b"".join((stream, kind.canonical, named, common.canonical, ending))).digest()
        if in_row is not hashed:
            ending = b"".join((canonical_field(data), in_row, _OF_32, previous))
        previous = hash_
        chunk.before.append(opening + kind.before)
        chunk.after.append(b"".join((kind.after, event_id.bytes, common.row, ending, _OF_32, previous)))
    chunk.writes.append(write)
    chunk.ends.append(len(chunk.before))
    chunk.hashes.append(previous)


def _append_chunk(connection: psycopg.Connection[Any], chunk: Chunk, context: Context) -> Position:
    for _ in range(ATTEMPTS_MAX):
        try:
            with connection.transaction():
                row = connection.execute(BASE).fetchone()
                assert row is not None
                base = Position(*row)
                _move_heads(connection, chunk, base)
                _copy(connection, chunk, base)
            return Position(base.epoch, base.offset + len(chunk.before) - 1)
        except PositionInverted:
            continue
        except Conflict:
            there = _where(connection, chunk, context)
            if there is None:
                raise
            return there
    raise Conflict("other appends kept coming first")


def _move_heads(connection: psycopg.Connection[Any], chunk: Chunk, base: Position) -> None:
    new = [number for number, write in enumerate(chunk.writes) if write.version == 0]
    old = [number for number, write in enumerate(chunk.writes) if write.version > 0]
    if old:
        ids = _array([chunk.writes[number].stream_id.hex for number in old])
        connection.execute(LOCKED, [ids])
        row = connection.execute(ABOVE, [ids, *base]).fetchone()
        if row == (True,):
            raise PositionInverted
    for statement, numbers in ((OPENED, new), (EXTENDED, old)):
        if not numbers:
            continue
        writes = [chunk.writes[number] for number in numbers]
        values = {
            "ids": _array([write.stream_id.hex for write in writes]),
            "versions": _array([str(write.version + len(write.events)) for write in writes]),
            "hashes": _array([_hexadecimal(chunk.hashes[number]) for number in numbers]),
            "last": _array([str(chunk.ends[number] - 1) for number in numbers]),
            "epoch": base.epoch,
            "position": base.offset,
        }
        if statement is OPENED:
            values["types"] = _array([write.stream_type for write in writes])
        else:
            values["expected"] = _array([str(write.version) for write in writes])
            values["previous"] = _array([_hexadecimal(write.previous_hash) for write in writes])
        if connection.execute(statement, values).rowcount != len(writes):
            raise Conflict("a stream of the chunk has moved on")


def _array(texts: Iterable[str]) -> str:
    """PostgreSQL's text of an array whose members need no quotes: ten times as fast as the driver's."""
    return f"{{{','.join(texts)}}}"


def _hexadecimal(raw: bytes) -> str:
    return f'"\\\\x{raw.hex()}"'


def _copy(connection: psycopg.Connection[Any], chunk: Chunk, base: Position) -> None:
    with connection.cursor() as cursor, cursor.copy(COPIED) as copy:
        rows = zip(chunk.before, chunk.after, strict=True)
        positions = (_POSITION(4, base.epoch, 8, offset) for offset in count(base.offset))
        parts = (
            part for (before, after), at in zip(rows, positions, strict=False) for part in (before, at, after)
        )
        copy.write(b"".join((_SIGNATURE, *parts, _END)))


_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_FIELDS = len(COLUMNS).to_bytes(2)
_END = b"\xff\xff"
_POSITION = Struct(">iiiq").pack
_OF_16, _OF_32, _OF_36 = (length.to_bytes(4) for length in (16, 32, 36))
_NOTHING_PERSONAL = canonical((None, None))
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _where(connection: psycopg.Connection[Any], chunk: Chunk, context: Context) -> Position | None:
    """The last position of this very chunk, if it was recorded before under the same command."""
    versions = [write.version + len(write.events) for write in chunk.writes]
    ids = _array([write.stream_id.hex for write in chunk.writes])
    row = connection.execute(THERE, [ids, versions, context.command_id]).fetchone()
    assert row is not None
    return Position(row[1], row[2]) if row[0] == len(versions) else None
