"""The work of one command: what it reads is guarded, what it decides is written, all or nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from application.access import Principal
from application.shared.approvable import ApprovalPolicy
from application.shared.records import (
    Append,
    CommandKey,
    Context,
    Guard,
    Links,
    Loaded,
    Log,
    Write,
)
from domain.shared.decider import Decider
from domain.shared.references import User
from domain.shared.refusal import CommonRefusal, Refused

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")


@dataclass(slots=True)
class _Stream:
    decider: Decider[Any, Any, Any]
    loaded: Loaded[Any]
    events: list[Any] = field(default_factory=list)
    state: Any = None


@dataclass(slots=True)
class Work:
    """A use case reads states, decides commands and names links; the handler appends the lot.

    `now` is business time. Streams that were only read become guards, so no decision rests on a state
    that had already passed when it was recorded. A use case sets `org_unit` to the unit whose business it
    does; until then it is the principal's.
    """

    log: Log
    principal: Principal
    now: datetime
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    expected_version: int | None = None
    org_unit: str = ""
    _streams: dict[UUID, _Stream] = field(default_factory=dict)
    _links: list[Links] = field(default_factory=list)
    _unused: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.org_unit = self.org_unit or self.principal.org_unit

    def state(self, decider: Decider[Any, State, Any], stream_id: UUID) -> State:
        """The stream's state, with what this work has decided on it."""
        return self._stream(decider, stream_id).state  # type: ignore[no-any-return]

    def subject(self, decider: Decider[Any, State, Any], stream_id: UUID) -> State:
        """The state of what the command is about. Refuse when it isn't at the version that the caller saw."""
        stream = self._stream(decider, stream_id)
        if self.expected_version not in (None, stream.loaded.version):
            raise version_conflict(stream.loaded.version)
        return stream.state  # type: ignore[no-any-return]

    def decide(
        self, decider: Decider[Command, Any, Event], stream_id: UUID, command: Command
    ) -> Sequence[Event]:
        """Decide one command on one stream; its events are appended with all the others."""
        stream = self._stream(decider, stream_id)
        events = decider.decide(command, stream.state)
        stream.events += events
        stream.state = decider.fold(events, stream.state)
        return events

    def users(self, stream_id: UUID) -> tuple[User, ...]:
        """Who refers to the stream. When nobody does, that holds until the append, or it conflicts."""
        users = self.log.users(stream_id)
        if not users:
            self._unused.append(stream_id)
        return users

    def link(self, user: User, used: Iterable[UUID]) -> None:
        """From now on `user` refers to `used` and to nothing else."""
        self._links.append(Links(user, frozenset(used)))

    def append(self, command: CommandKey, context: Context, subject: UUID) -> Append:
        """Everything that was decided, as one extension of the log; no writes when nothing changes."""
        writes, guards = [], []
        for stream_id, stream in self._streams.items():
            kind, loaded = stream.decider.stream_type, stream.loaded
            if stream.events:
                writes.append(Write(stream_id, kind, loaded.version, loaded.hash, stream.events))
            else:
                guards.append(Guard(stream_id, kind, loaded.version))
        about = self._streams[subject]
        version = about.loaded.version + len(about.events)
        return Append(command, context, subject, version, writes, guards, self._links, self._unused)

    def _stream(self, decider: Decider[Any, Any, Any], stream_id: UUID) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            loaded = self.log.load(decider, stream_id)
            stream = self._streams[stream_id] = _Stream(decider, loaded, state=loaded.state)
        assert stream.decider.stream_type == decider.stream_type, "a stream has one type"
        return stream


def version_conflict(current: int | None = None) -> Refused:
    values = {} if current is None else {"version": current}
    return Refused.because(CommonRefusal.VERSION_CONFLICT, "expected_version", **values)
