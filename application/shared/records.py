"""What is recorded around every event, and where records are kept.

The envelope of `Record` is the storage format: complete from the first event on, never changed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from domain.shared.decider import Decider
from domain.shared.references import User

Event = TypeVar("Event")
State = TypeVar("State")

BANK_WIDE = "*"
GENESIS = bytes(32)
"""Stands for the hash before a stream's first event."""


class Position(NamedTuple):
    """Where in the log, in commit-safe order. Opaque outside: 24 hexadecimal digits that sort."""

    epoch: int
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch:08x}{self.offset:016x}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Raise ValueError when the text is not a position."""
        if len(text) != 24 or not set(text) <= set("0123456789abcdef"):
            raise ValueError("a position has 24 hexadecimal digits")
        position = cls(int(text[:8], 16), int(text[8:], 16))
        if position.epoch >= 2**31 or position.offset >= 2**63:
            raise ValueError("a position is out of range")
        return position


BEGINNING = Position(0, 0)


@dataclass(frozen=True, slots=True)
class Context:
    """Who is acting for whom, for what reason, and which request and conversation this belongs to.

    `org_unit` is the unit whose business this is, `BANK_WIDE` for what belongs to none: who sees the unit
    sees the event. `effective_at` is business time; `causation_id` is the event that led to the command,
    None for a person's.
    """

    actor: str
    on_behalf_of: str | None
    org_unit: str
    command_id: UUID
    correlation_id: UUID
    causation_id: UUID | None
    effective_at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Record(Generic[Event]):
    """One fact in one stream with the circumstances that an auditor asks about. Times are UTC."""

    stream_id: UUID
    stream_type: str
    version: int
    position: Position
    event_type: str
    schema_version: int
    event_id: UUID
    recorded_at: datetime
    context: Context
    event: Event


@dataclass(frozen=True, slots=True)
class Loaded(Generic[State]):
    """A folded stream: version 0 and the hash `GENESIS` when it has no events."""

    version: int
    hash: bytes
    state: State


class Write(NamedTuple):
    """Events that extend a stream past `version`, whose last event has the hash `previous_hash`.

    `state` is the folded one after them, where it is known: the log may remember it. `event_ids` are those of
    the events, where the writer gives them.
    """

    stream_id: UUID
    stream_type: str
    version: int
    previous_hash: bytes
    events: Sequence[Any]
    state: Any = None
    event_ids: Sequence[UUID] = ()


class Tail(NamedTuple):
    """How a stream ends: its version, its last event and that one's hash."""

    version: int
    hash: bytes
    event: Any


@dataclass(frozen=True, slots=True)
class Guard:
    """A stream that was read and must still stand at `version` when the writes commit."""

    stream_id: UUID
    stream_type: str
    version: int


@dataclass(frozen=True, slots=True)
class Links:
    """All that `user` refers to from now on; what it referred to before is let go."""

    user: User
    used: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class CommandKey:
    """The name under which a command is answered once, for ever."""

    principal: str
    operation: str
    key: str
    input_hash: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """One atomic extension of the log. `subject` is the stream that the command was about."""

    command: CommandKey
    context: Context
    subject: UUID
    subject_version: int
    writes: Sequence[Write]
    guards: Sequence[Guard] = ()
    links: Sequence[Links] = ()
    unused: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where the caller finds the result of its command: a repeated command gets the first one's receipt."""

    subject: UUID
    version: int
    position: Position


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept of a command that was answered."""

    receipt: Receipt
    input_hash: bytes


class Conflict(Exception):
    """A stream that was written or guarded has moved on since it was read."""


class InUse(Conflict):
    """A stream that had to be unused has got a user since it was read."""


class AlreadyAnswered(Exception):
    """The command's key has an answer; `Log.answer` tells it."""


class Log(Protocol):
    """The append-only record of everything that happened."""

    def load(self, decider: Decider[Any, State, Any], stream_id: UUID) -> Loaded[State]:
        """Fold the stream as it stands now; a stream of another type is as good as none."""
        ...

    def recall(self, decider: Decider[Any, State, Any], stream_id: UUID) -> Loaded[State] | None:
        """The stream as this process folded it last: cheap, and perhaps outdated."""
        ...

    def users(self, stream_id: UUID, most: int = 20) -> tuple[User, ...]:
        """Who refers to the stream now; at most that many are named."""
        ...

    def answer(self, command: CommandKey) -> Answer | None:
        """The answer that was given under this principal, operation and key."""
        ...

    def next_number(self, series: str) -> int:
        """The next of a series, from 1 on: handed out once, at once. What is not used leaves a gap."""
        ...

    def append(self, append: Append) -> Receipt:
        """Extend the streams atomically. Raise Conflict, InUse or AlreadyAnswered, with nothing recorded."""
        ...

    def append_bulk(self, writes: Iterable[Write], context: Context) -> Position:
        """Extend many streams, a chunk of events a transaction. Raise Conflict at a chunk that moved."""
        ...

    def tails(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, Tail]:
        """How each of the streams ends, in one read; those without events are left out."""
        ...

    def recorded(self, stream_ids: Sequence[UUID], event_ids: Sequence[UUID]) -> frozenset[UUID]:
        """Which of these events stand in these streams."""
        ...

    def records(self, stream_id: UUID, up_to: int | None = None) -> Iterator[Record[Any]]:
        """The stream's records in order, up to and with the version `up_to`."""
        ...

    def follow(self, after: Position, limit: int) -> Sequence[Record[Any]]:
        """The records after a position in position order; nothing is ever skipped."""
        ...

    def is_abandoned(self, position: Position) -> bool:
        """Whether a restore has lost what stood there: who has come so far must begin anew."""
        ...
