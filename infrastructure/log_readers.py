"""Who reads the log for a verification: the connection at hand, or several processes, all in one snapshot."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection as pipes
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import psycopg

from infrastructure.database import connect

Item = TypeVar("Item")
Found = TypeVar("Found")
Connection = psycopg.Connection[Any]
Read = Callable[[Connection, Item], Found]

SNAPSHOT = b"set transaction isolation level repeatable read, read only"
EXPORT = b"select pg_export_snapshot()"
# Names mean what PostgreSQL means by them, whatever is in other schemas; and one reader waits for another.
SETTINGS = (
    b"set local search_path = pg_catalog",
    b"set local work_mem = '256MB'",
    b"set local idle_in_transaction_session_timeout = 0",
)


class Readers(Protocol):
    count: int

    def map(self, read: Read[Item, Found], items: Iterable[Item]) -> Iterator[Found]:
        """What is found for each item, in the order of the items."""


class OwnReader:
    """Reads by the caller's transaction, one item after the other as the results are asked for."""

    count = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def map(self, read: Read[Item, Found], items: Iterable[Item]) -> Iterator[Found]:
        return (read(self._connection, item) for item in items)


class ReadingProcesses:
    """Read what the connection's transaction sees, a snapshot. Functions and items have to pickle."""

    def __init__(self, url: str, connection: Connection, count: int) -> None:
        row = connection.execute(EXPORT).fetchone()
        assert row is not None
        self.count = count
        self._executor = ProcessPoolExecutor(count, get_context("spawn"), _begin, (url, row[0]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._executor.shutdown(cancel_futures=True)

    def map(self, read: Read[Item, Found], items: Iterable[Item]) -> Iterator[Found]:
        coming = [self._executor.submit(_read, read, item) for item in items]
        return (each.result() for each in coming)


_connection: Connection | None = None


def _begin(url: str, snapshot: str) -> None:
    """In a process of its own: one transaction for its whole life, which ends with the one that began it."""
    global _connection
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _connection = connect(url, statement_timeout_s=0)
    _connection.autocommit = False
    _connection.execute(SNAPSHOT)
    _connection.execute(f"set transaction snapshot '{snapshot}'".encode())
    for setting in SETTINGS:
        _connection.execute(setting)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    pipes.wait([parent.sentinel])
    os._exit(1)


def _read(read: Read[Any, Found], item: Any) -> Found:
    assert _connection is not None
    return read(_connection, item)
