"""The log as the application sees it: load, append, follow; an `eventsourcing` application underneath."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.popo import POPOFactory
from eventsourcing.utils import Environment
from opentelemetry import trace
from psycopg_pool import ConnectionPool

from application.shared.records import (
    GENESIS,
    AlreadyAnswered,
    Answer,
    Append,
    CommandKey,
    Conflict,
    Context,
    Loaded,
    Position,
    Receipt,
    Record,
    Tail,
    Write,
)
from domain.shared.decider import Decider
from domain.shared.references import User
from infrastructure import event_codec, personal_parts
from infrastructure.bulk_append import append_bulk
from infrastructure.database import read
from infrastructure.log_recorder import LogRecorder, PositionInverted, append_request
from infrastructure.stored_records import RecordMapper, chained, record

State = TypeVar("State")
tracer = trace.get_tracer("cardinal")

CACHED_STREAMS_MAX = 10_000
APPEND_ATTEMPTS_MAX = 30
APPEND_DEADLINE_S = 20.0

TAIL = (
    b"select version, event_type, schema_version, data::text, hash, previous_hash, event_id, personal,"
    b" personal_key_id from log.events"
    b" where stream_id = %s and stream_type = %s and version > %s order by version"
)
TAILS = b"""
    select h.stream_id, h.version, h.hash, e.event_type, e.schema_version, e.data::text
    from unnest(%s::uuid[]) w (id)
    cross join lateral (select * from log.heads h where h.stream_id = w.id limit 1) h
    cross join lateral (
        select * from log.events e where e.stream_id = h.stream_id and e.version = h.version limit 1) e"""
STANDING = b"""
    select e.event_id from unnest(%s::uuid[]) w (id)
    cross join lateral (select event_id from log.events e where e.stream_id = w.id offset 0) e
    where e.event_id = any(%s::uuid[])"""
USERS = (
    b"select user_id, user_kind, user_label, user_unit from log.uses"
    b" where used_id = %s order by 2, 3 limit %s"
)
ANSWER = (
    b"select subject_id, version, epoch, position, input_hash from log.commands"
    b" where principal = %s and operation = %s and key = %s"
)
# A position that was told has an event, or one after it in its epoch, unless a restore has lost them.
ABANDONED = b"""
    select %s > 0 and %s < (select max(epoch) from log.epochs)
       and not exists (select from log.events where epoch = %s and position >= %s)"""
NEXT_NUMBER = (
    b"insert into log.series as s (name, last) values (%s, 1)"
    b" on conflict (name) do update set last = s.last + 1 returning last"
)


class EventLog(Application[UUID]):
    """Safe to share between threads. `wake` is called after each append, to hasten those who follow."""

    name = "cardinal"

    def __init__(
        self, pool: ConnectionPool[psycopg.Connection[Any]], wake: Callable[[], None] = lambda: None
    ) -> None:
        self._pool = pool
        self._wake = wake
        self._folded: OrderedDict[tuple[str, UUID], Loaded[Any]] = OrderedDict()
        self._folded_lock = threading.Lock()
        super().__init__()

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        return POPOFactory(env)

    def construct_mapper(self) -> RecordMapper:
        return RecordMapper()

    def construct_recorder(self) -> LogRecorder:
        self.log_recorder = LogRecorder(self._pool)
        return self.log_recorder

    def load(self, decider: Decider[Any, State, Any], stream_id: UUID) -> Loaded[State]:
        """Fold the stream; only what came since this process last folded it is read."""
        key = decider.stream_type, stream_id
        loaded = self._folded.get(key) or Loaded(0, GENESIS, decider.initial)
        rows = self._rows(TAIL, [stream_id, decider.stream_type, loaded.version])
        if rows and rows[0][5] != loaded.hash:  # the database has lost what was folded here
            self._forget(key)
            return self.load(decider, stream_id)
        if not rows:
            return loaded
        events = (_event(row) for row in rows)
        folded = Loaded(rows[-1][0], bytes(rows[-1][4]), decider.fold(events, loaded.state))
        self._remember(key, folded)
        return folded

    def recall(self, decider: Decider[Any, State, Any], stream_id: UUID) -> Loaded[State] | None:
        return self._folded.get((decider.stream_type, stream_id))

    def users(self, stream_id: UUID, most: int = 20) -> tuple[User, ...]:
        return tuple(User(*row) for row in self._rows(USERS, [stream_id, most]))

    def answer(self, command: CommandKey) -> Answer | None:
        rows = self._rows(ANSWER, [command.principal, command.operation, command.key])
        if not rows:
            return None
        subject, version, epoch, position, input_hash = rows[0]
        return Answer(Receipt(subject, version, Position(epoch, position)), bytes(input_hash))

    def next_number(self, series: str) -> int:
        """In a transaction of its own, before the append's: a row lock there would hold up all who create."""
        with self._pool.connection() as connection:
            row = connection.execute(NEXT_NUMBER, [series], prepare=True).fetchone()
        assert row is not None
        return int(row[0])

    @tracer.start_as_current_span("log.append")
    def append(self, append: Append) -> Receipt:
        """Extend the streams atomically. Raise Conflict, InUse or AlreadyAnswered, with nothing recorded.

        A connection lost on the way leaves open whether the commit came through; the command's key
        answers that when the same append is sent again.
        """
        now = datetime.now(UTC)
        records = [record for write in append.writes for record in chained(write, append.context, now)]
        request = append_request(append, records)
        was_lost, deadline_s = False, time.monotonic() + APPEND_DEADLINE_S
        for attempt in range(1, APPEND_ATTEMPTS_MAX + 1):
            try:
                first = self.log_recorder.append(request)
                break
            except PositionInverted:
                continue
            except Conflict:
                self._forget(*((write.stream_type, write.stream_id) for write in append.writes))
                self._forget(*((guard.stream_type, guard.stream_id) for guard in append.guards))
                raise
            except AlreadyAnswered:
                if not was_lost:
                    raise
                answer = self.answer(append.command)
                assert answer is not None
                if answer.input_hash != append.command.input_hash:
                    raise  # The key was taken by another input meanwhile: ours never came through.
                return answer.receipt
            except psycopg.errors.QueryCanceled:
                raise
            except psycopg.OperationalError:
                if attempt == APPEND_ATTEMPTS_MAX or time.monotonic() > deadline_s:
                    raise
                was_lost = True
                time.sleep(min(0.02 * 2**attempt, 1.0))
        else:
            raise PositionInverted("other appends kept coming first")
        self._wake()
        hashes = {record.originator_id: record.hash for record in records}
        for write in append.writes:
            version = write.version + len(write.events)
            folded = Loaded(version, hashes[write.stream_id], write.state)
            self._remember((write.stream_type, write.stream_id), folded)
        last = Position(first.epoch, first.offset + max(len(records) - 1, 0))
        return Receipt(append.subject, append.subject_version, last)

    def append_bulk(self, writes: Iterable[Write], context: Context) -> Position:
        last = append_bulk(self._pool, writes, context)
        self._wake()
        return last

    def tails(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, Tail]:
        rows = self._rows(TAILS, [_array(stream_ids)])
        return {row[0]: Tail(row[1], bytes(row[2]), event_codec.decode(*row[3:])) for row in rows}

    def recorded(self, stream_ids: Sequence[UUID], event_ids: Sequence[UUID]) -> frozenset[UUID]:
        return frozenset(row[0] for row in self._rows(STANDING, [_array(stream_ids), _array(event_ids)]))

    def _forget(self, *keys: tuple[str, UUID]) -> None:
        with self._folded_lock:
            for key in keys:
                self._folded.pop(key, None)

    def _remember(self, key: tuple[str, UUID], folded: Loaded[Any]) -> None:
        """Keep what was folded last, never an older state than the one that is kept."""
        with self._folded_lock:
            known = self._folded.get(key)
            if folded.state is None or (known is not None and known.version >= folded.version):
                return
            self._folded[key] = folded
            self._folded.move_to_end(key)
            if len(self._folded) > CACHED_STREAMS_MAX:
                self._folded.popitem(last=False)

    def _rows(self, sql: bytes, parameters: Sequence[object]) -> list[Any]:
        def fetched(connection: psycopg.Connection[Any]) -> list[Any]:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(sql, parameters, prepare=True).fetchall()

        return read(self._pool, fetched)

    def records(self, stream_id: UUID, up_to: int | None = None) -> Iterator[Record[Any]]:
        return self.events.get(stream_id, lte=up_to)  # type: ignore[return-value]

    def follow(self, after: Position, limit: int) -> Sequence[Record[Any]]:
        """Up to the first record that this version of the code can't read; UnknownEvent when that is next."""
        found: list[Record[Any]] = []
        for row in self.log_recorder.recorded_after(after, limit):
            try:
                found.append(record(row))
            except event_codec.UnknownEvent:
                if not found:
                    raise
                break
        return found

    def is_abandoned(self, position: Position) -> bool:
        epoch, offset = position
        return bool(self._rows(ABANDONED, [offset, epoch, epoch, offset])[0][0])


def _event(row: Sequence[Any]) -> Any:
    """Of one row of `TAIL`."""
    event = event_codec.decode(row[1], row[2], row[3])
    return event if row[7] is None else personal_parts.opened(event, row[7], row[8], row[6])


def _array(ids: Sequence[UUID]) -> str:
    """PostgreSQL's text of an array of ids: a twentieth of the driver's time."""
    return f"{{{','.join([id_.hex for id_ in ids])}}}"
