"""Bulk append: many streams at COPY speed, chained and with heads, a bounded chunk to a transaction.

For streams that nobody guards, such as ledgers: a bulk takes its position before its locks, so an append that
guarded one of its streams meanwhile may come to stand above it. A writing transaction that stays open holds
readers back, so no chunk has more than `CHUNK_EVENTS_MAX` events. A bulk that was cut off is sent again under
the same command id; chunks that are there are skipped.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1, sha256
from itertools import chain, count
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg_pool import ConnectionPool

from application.shared.records import BEGINNING, Conflict, Context, Position, Write
from infrastructure import event_codec
from infrastructure.envelope import canonical, canonical_field, instant
from infrastructure.interpreter import collecting_seldom, switching_every
from infrastructure.log_recorder import PositionInverted
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
COPIED = f"copy log.events ({', '.join(COLUMNS)}) from stdin".encode()


@dataclass(slots=True)
class Chunk:
    """Some writes, and their events as lines of COPY, parted where the position goes.

    `streams`, `ends` and `hashes` tell of each write: its stream, how many events the chunk has up to it, and
    the hash of its last event. Ids and hashes are text.
    """

    constant: "Constant"
    writes: list[Write] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


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


class Constant(NamedTuple):
    """What a chunk's events have in common, `recorded_at` to `reason`: as COPY's text, and canonical."""

    text: str
    canonical: bytes

    @classmethod
    def of(cls, context: Context, recorded_at: datetime) -> "Constant":
        who = (context.actor, context.on_behalf_of, context.org_unit)
        causation = None if context.causation_id is None else str(context.causation_id)
        ids = (str(context.command_id), str(context.correlation_id), causation)
        times = (str(recorded_at), str(context.effective_at))
        return cls(
            "\t".join(_text(each) for each in (*times, *who, *ids, context.reason)),
            canonical((instant(recorded_at), instant(context.effective_at), *who, *ids, context.reason)),
        )


def _take(chunk: Chunk, write: Write) -> None:
    """Add the write's events, chained: the same as `stored_records.chained`, without an object for each."""
    stream_id, previous = str(write.stream_id), write.previous_hash
    stream, common = canonical_field(stream_id.encode()), chunk.constant
    previous_text, given = previous.hex(), write.event_ids
    for ordinal, event in enumerate(write.events):
        version = write.version + ordinal + 1
        event_type, schema_version, data = event_codec.encode(event)
        kind = _kind(write.stream_type, version, event_type, schema_version)
        event_id = str(given[ordinal]) if given else _event_id(write.stream_id, version)
        previous = sha256(
            b"".join(
                (
                    stream,
                    kind.canonical,
                    canonical_field(event_id.encode()),
                    common.canonical,
                    canonical_field(data),
                    _NOTHING_PERSONAL,
                    canonical_field(previous),
                )
            )
        ).digest()
        text = data.decode().replace("\\", "\\\\")  # JSON holds no other character to escape
        hash_text = previous.hex()
        chunk.before.append(f"{stream_id}{kind.before}")
        chunk.after.append(
            f"{kind.after}{event_id}\t{common.text}\t{text}\t{_NULL}\t{_NULL}\t"
            f"\\\\x{previous_text}\t\\\\x{hash_text}\n"
        )
        previous_text = hash_text
    chunk.writes.append(write)
    chunk.streams.append(stream_id)
    chunk.ends.append(len(chunk.before))
    chunk.hashes.append(previous_text)


class Kind(NamedTuple):
    """What is the same in most events of a bulk: as COPY's text around the position, and canonical."""

    before: str
    after: str
    canonical: bytes


@lru_cache
def _kind(stream_type: str, version: int, event_type: str, schema_version: int) -> Kind:
    return Kind(
        f"\t{stream_type}\t{version}\t",
        f"\t{event_type}\t{schema_version}\t",
        canonical((stream_type, str(version), event_type, str(schema_version))),
    )


def _event_id(stream_id: UUID, version: int) -> str:
    """UUID version 5 of the stream and the version: the same event sent again has the same id.

    As `uuid5` makes it, in a third of its time.
    """
    raw = bytearray(sha1(stream_id.bytes + str(version).encode(), usedforsecurity=False).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x50
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


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
        ids = _array([chunk.streams[number] for number in old])
        connection.execute(LOCKED, [ids])
        row = connection.execute(ABOVE, [ids, *base]).fetchone()
        if row == (True,):
            raise PositionInverted
    for statement, numbers in ((OPENED, new), (EXTENDED, old)):
        if not numbers:
            continue
        writes = [chunk.writes[number] for number in numbers]
        values = {
            "ids": _array([chunk.streams[number] for number in numbers]),
            "types": _array([write.stream_type for write in writes]),
            "expected": _array([str(write.version) for write in writes]),
            "previous": _array([_hexadecimal(write.previous_hash.hex()) for write in writes]),
            "versions": _array([str(write.version + len(write.events)) for write in writes]),
            "hashes": _array([_hexadecimal(chunk.hashes[number]) for number in numbers]),
            "last": _array([str(chunk.ends[number] - 1) for number in numbers]),
            "epoch": base.epoch,
            "position": base.offset,
        }
        if connection.execute(statement, values).rowcount != len(writes):
            raise Conflict("a stream of the chunk has moved on")


def _array(texts: Iterable[str]) -> str:
    """PostgreSQL's text of an array whose members need no quotes: ten times as fast as the driver's."""
    return f"{{{','.join(texts)}}}"


def _hexadecimal(digits: str) -> str:
    return f'"\\\\x{digits}"'


def _copy(connection: psycopg.Connection[Any], chunk: Chunk, base: Position) -> None:
    with connection.cursor() as cursor, cursor.copy(COPIED) as copy:
        positions = map(f"{base.epoch}\t{{}}".format, count(base.offset))
        parts = zip(chunk.before, positions, chunk.after, strict=False)
        copy.write("".join(chain.from_iterable(parts)).encode())


_NULL = "\\N"
_NOTHING_PERSONAL = canonical((None, None))
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _text(text: str | None) -> str:
    return _NULL if text is None else text.translate(_ESCAPES)


def _where(connection: psycopg.Connection[Any], chunk: Chunk, context: Context) -> Position | None:
    """The last position of this very chunk, if it was recorded before under the same command."""
    versions = [write.version + len(write.events) for write in chunk.writes]
    row = connection.execute(THERE, [_array(chunk.streams), versions, context.command_id]).fetchone()
    assert row is not None
    return Position(row[1], row[2]) if row[0] == len(versions) else None
