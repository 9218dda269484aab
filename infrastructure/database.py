"""PostgreSQL: connections of the running role, with limits that hold on the server too."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool

T = TypeVar("T")

APPLICATION_ROLE = "cardinal_app"
STATEMENT_TIMEOUT_S = 30
LOCK_TIMEOUT_S = 10
IDLE_TRANSACTION_TIMEOUT_S = 60
READ_DEADLINE_S = 15.0
SILENCE_IDLE_S, SILENCE_PROBE_S, SILENCE_PROBES = 10, 5, 3
SILENCE_MAX_S = SILENCE_IDLE_S + SILENCE_PROBE_S * SILENCE_PROBES
"""A peer that the network has swallowed, with nobody to say so, is given up after so long. Else who waits for
an answer waits for hours, and a session on the server keeps its locks, leads among them, for as long.
"""
CONNECTED: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": SILENCE_IDLE_S,
    "keepalives_interval": SILENCE_PROBE_S,
    "keepalives_count": SILENCE_PROBES,
    "tcp_user_timeout": SILENCE_MAX_S * 1000,
}
"""How every connection of a running process is made; the server has the same in `connection_options`."""


def connection_options(statement_timeout_s: int = STATEMENT_TIMEOUT_S) -> str:
    """Server settings of a session: the running role, UTC, and an end to whatever takes too long."""
    settings = {
        "role": APPLICATION_ROLE,
        "timezone": "UTC",
        "statement_timeout": f"{statement_timeout_s}s",
        "lock_timeout": f"{LOCK_TIMEOUT_S}s",
        "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_TIMEOUT_S}s",
        "tcp_keepalives_idle": SILENCE_IDLE_S,
        "tcp_keepalives_interval": SILENCE_PROBE_S,
        "tcp_keepalives_count": SILENCE_PROBES,
        "tcp_user_timeout": f"{SILENCE_MAX_S}s",
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def connect(url: str, *, statement_timeout_s: int = STATEMENT_TIMEOUT_S) -> psycopg.Connection[Any]:
    """One connection of the running role, each statement its own transaction."""
    options = connection_options(statement_timeout_s)
    return psycopg.connect(url, autocommit=True, options=options, **CONNECTED)


def pool(
    url: str, size_max: int, configure: Callable[[psycopg.Connection[Any]], None] | None = None
) -> ConnectionPool[psycopg.Connection[Any]]:
    return ConnectionPool(
        url,
        min_size=1,
        max_size=size_max,
        kwargs={"autocommit": True, "options": connection_options(), **CONNECTED},
        configure=configure,
        open=True,
        timeout=30,
        name="cardinal",
    )


def read(pool: ConnectionPool[psycopg.Connection[Any]], work: Callable[[psycopg.Connection[Any]], T]) -> T:
    """What `work` reads. It may be called again on another connection when one is lost: it must only read."""
    deadline_s, pause_s = time.monotonic() + READ_DEADLINE_S, 0.005
    while True:
        connection = None
        try:
            with pool.connection() as connection:
                return work(connection)
        except psycopg.OperationalError:
            if connection is None or not connection.broken or time.monotonic() > deadline_s:
                raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.5)
