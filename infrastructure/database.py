"""PostgreSQL: connections of the running role, with limits that hold on the server too."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool

T = TypeVar("T")

APPLICATION_ROLE = "cardinal_app"
STATEMENT_TIMEOUT_S = 30
LOCK_TIMEOUT_S = 10
IDLE_TRANSACTION_TIMEOUT_S = 60
READ_DEADLINE_S = 15.0


def connection_options(statement_timeout_s: int = STATEMENT_TIMEOUT_S) -> str:
    """Server settings of a session: the running role, UTC, and an end to whatever takes too long."""
    settings = {
        "role": APPLICATION_ROLE,
        "timezone": "UTC",
        "statement_timeout": f"{statement_timeout_s}s",
        "lock_timeout": f"{LOCK_TIMEOUT_S}s",
        "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_TIMEOUT_S}s",
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def connect(url: str, *, statement_timeout_s: int = STATEMENT_TIMEOUT_S) -> psycopg.Connection[Any]:
    """One connection of the running role, each statement its own transaction."""
    return psycopg.connect(
        url, autocommit=True, options=connection_options(statement_timeout_s), connect_timeout=10
    )


def pool(
    url: str, size_max: int, configure: Callable[[psycopg.Connection[Any]], None] | None = None
) -> ConnectionPool[psycopg.Connection[Any]]:
    return ConnectionPool(
        url,
        min_size=1,
        max_size=size_max,
        kwargs={"autocommit": True, "options": connection_options(), "connect_timeout": 10},
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
