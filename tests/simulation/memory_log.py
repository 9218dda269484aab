"""The log's contract in memory: the same checks, the same chained records, and no disk that could be slow."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from application.shared.records import (
    GENESIS,
    AlreadyAnswered,
    Answer,
    Append,
    CommandKey,
    Conflict,
    Context,
    InUse,
    Loaded,
    Position,
    Receipt,
    Record,
    Tail,
    Write,
)
from domain.shared.decider import Decider
from domain.shared.references import User
from infrastructure.stored_records import StoredRecord, chained

State = TypeVar("State")
BULK_WRITES = 2
"""Streams that one transaction of a bulk extends: few, so that a crash finds a bulk half-done."""


@dataclass
class MemoryLog:
    """`before_commit` and `after_commit` are called around each transaction, and may raise."""

    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]
    before_commit: Callable[[], None] = lambda: None
    after_commit: Callable[[], None] = lambda: None
    events: list[tuple[StoredRecord, Any]] = field(default_factory=list)
    streams: dict[UUID, list[tuple[StoredRecord, Any]]] = field(default_factory=dict)
    folded: dict[tuple[str, UUID], Loaded[Any]] = field(default_factory=dict)
    commands: dict[tuple[str, str, str], Answer] = field(default_factory=dict)
    used: dict[UUID, tuple[User, frozenset[UUID]]] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    transactions: int = 0

    def fork(self, **changes: Any) -> "MemoryLog":
        """A log of its own that begins with what this one holds."""
        return replace(
            self,
            events=self.events.copy(),
            streams={id_: records.copy() for id_, records in self.streams.items()},
            folded=self.folded.copy(),
            commands=self.commands.copy(),
            used=self.used.copy(),
            numbers=self.numbers.copy(),
            **changes,
        )

    def digest(self) -> bytes:
        """Of everything that was recorded, in its order."""
        from hashlib import sha256

        return sha256(b"".join(record.hash for record, _ in self.events)).digest()

    # --- the contract ---------------------------------------------------------

    def load(self, decider: Decider[Any, State, Any], stream_id: UUID) -> Loaded[State]:
        known = self.folded.get((decider.stream_type, stream_id)) or Loaded(0, GENESIS, decider.initial)
        records = self.streams.get(stream_id, [])
        if not records or records[0][0].stream_type != decider.stream_type or known.version == len(records):
            return known
        state = decider.fold((event for _, event in records[known.version :]), known.state)
        found = self.folded[decider.stream_type, stream_id] = Loaded(len(records), records[-1][0].hash, state)
        return found

    def recall(self, decider: Decider[Any, State, Any], stream_id: UUID) -> Loaded[State] | None:
        return self.folded.get((decider.stream_type, stream_id))

    def users(self, stream_id: UUID, most: int = 20) -> tuple[User, ...]:
        return tuple(user for user, used in self.used.values() if stream_id in used)[:most]

    def answer(self, command: CommandKey) -> Answer | None:
        return self.commands.get((command.principal, command.operation, command.key))

    def next_number(self, series: str) -> int:
        self.numbers[series] += 1
        return self.numbers[series]

    def append(self, append: Append) -> Receipt:
        self.before_commit()
        for write in append.writes:
            self._require(write.stream_id, write.version)
        for guard in append.guards:
            self._require(guard.stream_id, guard.version)
        if any(self.users(id_, 1) for id_ in append.unused):
            raise InUse("somebody refers to it")
        key = append.command.principal, append.command.operation, append.command.key
        if key in self.commands:
            raise AlreadyAnswered
        last = self._extend(append.writes, append.context)
        if last is None:
            last = self._position_of(append.subject)
        for links in append.links:
            self.used[links.user.id] = links.user, links.used
        receipt = Receipt(append.subject, append.subject_version, last)
        self.commands[key] = Answer(receipt, append.command.input_hash)
        self.after_commit()
        return receipt

    def append_bulk(self, writes: Iterable[Write], context: Context) -> Position:
        rest, last = list(writes), Position(1, 0)
        while rest:
            chunk, rest = rest[:BULK_WRITES], rest[BULK_WRITES:]
            self.before_commit()
            for write in chunk:
                self._require(write.stream_id, write.version)
            last = self._extend(chunk, context) or last
            self.after_commit()
        return last

    def tails(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, Tail]:
        found = {}
        for id_ in stream_ids:
            if records := self.streams.get(id_):
                record, event = records[-1]
                found[id_] = Tail(len(records), record.hash, event)
        return found

    def recorded(self, stream_ids: Sequence[UUID], event_ids: Sequence[UUID]) -> frozenset[UUID]:
        wanted = set(event_ids)
        there = (record.event_id for id_ in stream_ids for record, _ in self.streams.get(id_, []))
        return frozenset(id_ for id_ in there if id_ in wanted)

    def records(self, stream_id: UUID, up_to: int | None = None) -> Iterator[Record[Any]]:
        for record, event in self.streams.get(stream_id, [])[:up_to]:
            yield _told(record, event)

    def follow(self, after: Position, limit: int) -> Sequence[Record[Any]]:
        return [_told(record, event) for record, event in self.events[after.offset : after.offset + limit]]

    def is_abandoned(self, position: Position) -> bool:
        return position.offset > len(self.events)

    # --- inside ---------------------------------------------------------------

    def _require(self, stream_id: UUID, version: int) -> None:
        if len(self.streams.get(stream_id, ())) != version:
            raise Conflict(f"stream {stream_id} has moved on")

    def _extend(self, writes: Sequence[Write], context: Context) -> Position | None:
        last, now = None, self.clock()
        self.transactions += 1
        for write in writes:
            ids = iter(write.event_ids) if write.event_ids else iter(self.new_id, None)
            records = chained(write._replace(event_ids=()), context, now, ids)
            for record, event in zip(records, write.events, strict=True):
                last = Position(1, len(self.events) + 1)
                object.__setattr__(record, "position", last)
                self.events.append((record, event))
                self.streams.setdefault(write.stream_id, []).append((record, event))
        return last

    def _position_of(self, stream_id: UUID) -> Position:
        with suppress(KeyError, IndexError):
            found = self.streams[stream_id][-1][0].position
            assert found is not None
            return found
        return Position(1, 0)


def _told(record: StoredRecord, event: Any) -> Record[Any]:
    assert record.position is not None
    assert isinstance(record.originator_id, UUID)
    return Record(
        record.originator_id,
        record.stream_type,
        record.originator_version,
        record.position,
        record.topic,
        record.schema_version,
        record.event_id,
        record.recorded_at,
        record.context,
        event,
    )
