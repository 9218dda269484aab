"""The work of one command: what it reads is guarded, what it decides is written, all or nothing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from application.access import Principal, visible
from application.shared.approvable import ApprovalPolicy
from application.shared.business_time import DEFAULT_ZONE, business_date
from application.shared.records import (
    BANK_WIDE,
    GENESIS,
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
UNSEEN = "***"
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

    `now` is business time, `today` the day that it is in the bank's `zone`. Streams that were only read
    become guards, so no decision rests on a state that had already passed when it was recorded; so a state
    may be one that this process remembers, unless the work `is_fresh`. `recalled` tells that one was.
    `org_unit` is the unit whose business is done: the subject's, or for something new the principal's, unless
    the use case says otherwise.
    """

    log: Log
    principal: Principal
    now: datetime
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    expected_version: int | None = None
    is_fresh: bool = True
    recalled: bool = False
    is_version_judged: bool = False
    org_unit: str = ""
    zone: ZoneInfo = DEFAULT_ZONE
    _streams: dict[tuple[str, UUID], _Stream] = field(default_factory=dict)
    _links: list[Links] = field(default_factory=list)
    _unused: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.org_unit = self.org_unit or self.principal.org_unit

    @property
    def today(self) -> date:
        """The business date."""
        return business_date(self.now, self.zone)

    def state(self, decider: Decider[Any, State, Any], stream_id: UUID) -> State:
        """The stream's state, with what this work has decided on it."""
        return self._stream(decider, stream_id).state  # type: ignore[no-any-return]

    def subject(
        self,
        decider: Decider[Any, State, Any],
        stream_id: UUID,
        unit_of: Callable[[State], str] = lambda _: BANK_WIDE,
        *,
        looks_only: bool = False,
    ) -> State:
        """The state of what the command is about; from here on the work is its unit's business.

        Refuse what does not exist, what belongs to a unit that the principal does not see (which to him is
        the same), what he sees but may not change (unless he `looks_only`), and then what is not at the
        version that the caller saw.
        """
        stream = self._stream(decider, stream_id)
        unit = unit_of(stream.state) if stream.loaded.version else None
        seen = visible(decider.stream_type, self.principal)
        if unit is None or (unit != BANK_WIDE and unit not in seen):
            raise Refused.because(CommonRefusal.NOT_FOUND, "id")
        if unit != BANK_WIDE and not looks_only and not self.principal.changes(unit):
            raise Refused.because(CommonRefusal.OTHER_UNITS, "id", unit=unit)
        self.org_unit = unit
        self.require_version(decider, stream_id)
        return stream.state  # type: ignore[no-any-return]

    def require_version(self, decider: Decider[Any, Any, Any], stream_id: UUID) -> None:
        """Refuse when the stream is not at the version that the caller saw; 0 is one that does not exist."""
        self.is_version_judged = True
        version = self._stream(decider, stream_id).loaded.version
        if self.expected_version not in (None, version):
            raise version_conflict(version)

    def decide(
        self, decider: Decider[Command, Any, Event], stream_id: UUID, command: Command
    ) -> Sequence[Event]:
        """Decide one command on one stream; its events are appended with all the others."""
        stream = self._stream(decider, stream_id)
        events = decider.decide(command, stream.state)
        stream.events += events
        stream.state = decider.fold(events, stream.state)
        return events

    def begin(
        self, decider: Decider[Command, Any, Event], stream_id: UUID, command: Command
    ) -> Sequence[Event]:
        """Decide the first command on a stream whose id was made just now, so there is nothing to read."""
        loaded = Loaded(0, GENESIS, decider.initial)
        self._streams[decider.stream_type, stream_id] = _Stream(decider, loaded, state=loaded.state)
        return self.decide(decider, stream_id, command)

    def users(self, stream_id: UUID, most: int = 20) -> tuple[User, ...]:
        """Who refers to the stream, without the name of what the principal may not see.

        When nobody does, that holds until the append, or it conflicts.
        """
        users = self.log.users(stream_id, most)
        if not users:
            self._unused.append(stream_id)
        return tuple(user if self._sees(user) else replace(user, label=UNSEEN) for user in users)

    def _sees(self, user: User) -> bool:
        return user.org_unit == BANK_WIDE or self.principal.sees(user.org_unit)

    def next_number(self, series: str) -> int:
        """A number of the series that nobody else gets, without waiting for those who take others."""
        return self.log.next_number(series)

    def link(self, user: User, used: Iterable[UUID]) -> None:
        """From now on `user` refers to `used` and to nothing else."""
        self._links.append(Links(user, frozenset(used)))

    def append(self, command: CommandKey, context: Context, subject: UUID) -> Append:
        """Everything that was decided, as one extension of the log; no writes when nothing changes."""
        writes, guards = [], []
        for (kind, stream_id), stream in self._streams.items():
            loaded = stream.loaded
            if stream.events:
                write = Write(stream_id, kind, loaded.version, loaded.hash, stream.events, stream.state)
                writes.append(write)
            else:
                guards.append(Guard(stream_id, kind, loaded.version))
        about = next(stream for (_, id_), stream in self._streams.items() if id_ == subject)
        version = about.loaded.version + len(about.events)
        return Append(command, context, subject, version, writes, guards, self._links, self._unused)

    def _stream(self, decider: Decider[Any, Any, Any], stream_id: UUID) -> _Stream:
        key = decider.stream_type, stream_id
        stream = self._streams.get(key)
        if stream is None:
            remembered = None if self.is_fresh else self.log.recall(decider, stream_id)
            self.recalled |= remembered is not None
            loaded = self.log.load(decider, stream_id) if remembered is None else remembered
            stream = self._streams[key] = _Stream(decider, loaded, state=loaded.state)
        return stream


def version_conflict(current: int | None = None) -> Refused:
    values = {} if current is None else {"version": current}
    return Refused.because(CommonRefusal.VERSION_CONFLICT, "expected_version", **values)
