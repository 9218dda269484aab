"""Who may come in now: users, programs, delegations and revocations as the log has them, in memory.

A process looks when it is told that something changed, and every two seconds besides. It reads the log
itself, so what was revoked does not wait for a projection.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from application.shared.records import Log
from domain.delegations import DECIDER as DELEGATION
from domain.delegations import Delegation
from domain.revocations import DECIDER as REVOCATION
from domain.revocations import Kind, Revocation
from domain.service_accounts import DECIDER as SERVICE_ACCOUNT
from domain.service_accounts import ServiceAccount
from domain.shared.decider import Decider
from domain.users import DECIDER as USER
from domain.users import User
from infrastructure import database
from infrastructure.own_tokens import ACCESS_LIFE_S

CHANNEL = "cardinal_access"
PERIOD_S = 2.0
RECONNECT_S = 0.5
# Revocation holds within a minute: who has not been able to look for longer lets nobody in.
UNCONFIRMED_MAX_S = 45.0
DECIDERS: Mapping[str, Decider[Any, Any, Any]] = {
    decider.stream_type: decider for decider in (USER, SERVICE_ACCOUNT, DELEGATION, REVOCATION)
}
# Spelt out, so that the partial index serves it.
HEADS = (
    b"select stream_type, stream_id, version from log.heads"
    b" where stream_type in ('user', 'service_account', 'delegation', 'revocation') and version > 0"
)
ENDED = b"select id::text from access.sessions where ended_at > now() - make_interval(secs => %s)"

logger = structlog.get_logger("cardinal.access")


@dataclass(frozen=True, slots=True)
class Directory:
    """One moment's view. Subjects revoked by the instant (Unix seconds) until which their tokens are bad."""

    users: Mapping[str, User] = field(default_factory=dict)
    clients: Mapping[str, ServiceAccount] = field(default_factory=dict)
    delegations: Mapping[str, Sequence[Delegation]] = field(default_factory=dict)
    subjects: Mapping[str, float] = field(default_factory=dict)
    sessions: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()


class AccessState:
    """Keeps the directory; `refresh` brings it up to now."""

    def __init__(
        self,
        url: str,
        pool: ConnectionPool[psycopg.Connection[Any]],
        log: Log,
        period_s: float = PERIOD_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._pool, self._log, self._period_s = url, pool, log, period_s
        self._monotonic = monotonic
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._known: dict[tuple[str, UUID], tuple[int, Any]] = {}
        self._directory, self._confirmed_s = Directory(), float("-inf")
        self._thread = threading.Thread(target=self._follow, name="access-state", daemon=True)

    def start(self) -> None:
        self.refresh()
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(self._period_s + RECONNECT_S)

    @property
    def directory(self) -> Directory | None:
        """None when it could not be confirmed for so long that something may have been revoked."""
        unconfirmed_s = self._monotonic() - self._confirmed_s
        return None if unconfirmed_s > UNCONFIRMED_MAX_S else self._directory

    def refresh(self) -> None:
        """Read what moved. Raise psycopg.Error when the database is away."""
        with self._lock:
            begun_s = self._monotonic()
            with self._pool.connection() as connection:
                heads = connection.execute(HEADS).fetchall()
                ended = connection.execute(ENDED, [2.0 * ACCESS_LIFE_S]).fetchall()
            has_moved = False
            for stream_type, stream_id, version in heads:
                key = stream_type, stream_id
                if self._known.get(key, (0, None))[0] < version:
                    loaded = self._log.load(DECIDERS[stream_type], stream_id)
                    self._known[key] = loaded.version, loaded.state
                    has_moved = True
            sessions = frozenset(session for (session,) in ended)
            if has_moved or sessions != self._directory.sessions:
                self._directory = _directory([state for _, state in self._known.values()], sessions)
            self._confirmed_s = begun_s

    def tell(self) -> None:
        """Look now, and let every other process look."""
        with suppress(psycopg.Error), self._pool.connection() as connection:
            self.refresh()
            connection.execute(f"notify {CHANNEL}".encode())

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                with database.connect(self._url) as connection:
                    connection.execute(f"listen {CHANNEL}".encode())
                    while not self._stopped.is_set():
                        self.refresh()
                        for _ in connection.notifies(timeout=self._period_s, stop_after=1):
                            pass
            except Exception as error:
                logger.warning("what is revoked can't be looked up", reason=repr(error))
                self._stopped.wait(RECONNECT_S)


def _directory(states: Sequence[Any], ended: frozenset[str]) -> Directory:
    users, clients, subjects = {}, {}, {}
    delegations: dict[str, list[Delegation]] = {}
    sessions, tokens = set(ended), set[str]()
    for state in states:
        match state:
            case User():
                users[state.username] = state
            case ServiceAccount():
                clients[state.code] = state
            case Delegation():
                delegations.setdefault(state.delegate, []).append(state)
            case Revocation(kind=kind, value=value, revoked_at=revoked_at) if revoked_at is not None:
                if kind is Kind.SUBJECT:
                    subjects[value] = revoked_at.timestamp()
                else:
                    (sessions if kind is Kind.SESSION else tokens).add(value)
    return Directory(users, clients, delegations, subjects, frozenset(sessions), frozenset(tokens))
