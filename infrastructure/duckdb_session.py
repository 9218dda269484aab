"""One query in a DuckDB of its own that sees the granted tables and nothing else, and can be stopped.

The gate judges the text; this is what holds should it be deceived: views over the columns that are read,
files opened by exact path, no other file, network or extension, a locked configuration, and limits.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from application.shared.engines import DATABASE_TYPES, RunCancelled, RunFailed, RunFailure
from domain.warehouse_schema import TABLES
from infrastructure.warehouse import Snapshot, personal_file, quoted

Made = TypeVar("Made")

GLANCE_S = 0.05
"""How often a running query is looked at."""
ASK_S = 0.5
"""How often somebody is asked whether it is cancelled."""
GRACE_S = 10.0
"""How long an interrupted query may take to stop before it is left to itself."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one query may use. `temporary_bytes` is what it may spill to disk."""

    memory_bytes: int = 2 * 2**30
    threads: int = 2
    temporary_bytes: int = 16 * 2**30
    time_s: float = 900.0
    rows: int = 20_000_000


@contextmanager
def session(
    snapshot: Snapshot | None,
    uses: Mapping[str, Sequence[str]],
    org_units: Sequence[str],
    limits: EngineLimits,
    temporary: Path,
    writable: Sequence[Path] = (),
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A fresh connection with a view for each table in `uses`; without a snapshot, empty tables instead.

    `writable` are files that may be written and read; `temporary` is a folder for spilling.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{limits.memory_bytes}B",
        "threads": limits.threads,
        "temp_directory": str(temporary),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        files = [*writable]
        if snapshot is None:
            for table, columns in uses.items():
                connection.execute(_empty_table(table, columns))
        else:
            files += _files(snapshot, uses, org_units)
            connection.execute(f"set allowed_paths = [{', '.join(text(str(file)) for file in files)}]")
            for table, columns in uses.items():
                connection.execute(_view(snapshot, table, columns, org_units))
        # Given in `config`, this limit is shown but not kept (DuckDB 2.0).
        connection.execute(f"set max_temp_directory_size = '{limits.temporary_bytes}B'")
        connection.execute("set enable_progress_bar = true")
        connection.execute("set enable_progress_bar_print = false")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield connection


def text(value: str) -> str:
    """The value as an SQL string."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """The name as an SQL identifier."""
    return '"' + value.replace('"', '""') + '"'


def _empty_table(table: str, columns: Sequence[str]) -> str:
    types = {column.name: DATABASE_TYPES[column.type] for column in TABLES[table].columns}
    columns = _at_least_key(table, columns)
    return f"create table {table} ({', '.join(f'{each} {types[each]}' for each in columns)})"


def _at_least_key(table: str, columns: Sequence[str]) -> Sequence[str]:
    return columns or (TABLES[table].key,)


def _personal(table: str, columns: Sequence[str]) -> list[str]:
    return [column.name for column in TABLES[table].columns if column.is_personal and column.name in columns]


def _sees_all(snapshot: Snapshot, org_units: Sequence[str]) -> bool:
    return set(org_units) >= set(snapshot.org_units)


def _files(snapshot: Snapshot, uses: Mapping[str, Sequence[str]], org_units: Sequence[str]) -> Iterator[Path]:
    """Exactly the files that the views read."""
    for table, columns in uses.items():
        yield snapshot.folder / f"{table}.parquet"
        if _personal(table, columns):
            yield snapshot.folder / f"{personal_file(table)}.parquet"
    if uses and not _sees_all(snapshot, org_units):
        yield snapshot.folder / "customers.parquet"


def _view(snapshot: Snapshot, table: str, columns: Sequence[str], org_units: Sequence[str]) -> str:
    """The columns that are read, of the rows in scope: a customer's unit decides for all that is his."""

    def file(stem: str) -> str:
        return f"read_parquet('{quoted(snapshot.folder / f'{stem}.parquet')}') as {name(stem)}"

    key = TABLES[table].key
    shown = ", ".join(name(each) for each in _at_least_key(table, columns))
    source = file(table)
    if _personal(table, columns):
        source += f" join {file(personal_file(table))} using ({key})"
    sql = f"create view {table} as select {shown} from {source}"
    if _sees_all(snapshot, org_units):
        return sql
    units = ", ".join(text(unit) for unit in org_units) or "null"
    if table == "customers":
        return f"{sql} where org_unit in ({units})"
    own = f"select customer_id from {file('customers')} where org_unit in ({units})"
    return f"{sql} where customer_id in ({own})"


def supervised(
    connection: duckdb.DuckDBPyConnection,
    work: Callable[[], Made],
    time_s: float,
    progress: Callable[[int], None],
    is_cancelled: Callable[[], bool],
) -> Made:
    """Do the work on the connection in a thread, while this one watches it, reports, and stops it if need be.

    Raise RunCancelled, or RunFailed with the reason. Whatever else is raised here stops the work, too.
    """
    done: list[Made] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="segment-query", daemon=True)
    thread.start()
    try:
        _watch(connection, thread, time_s, progress, is_cancelled)
    except BaseException:
        _stop(connection, thread)
        raise
    if failed:
        raise failure_of(failed[0]) from failed[0]
    return done[0]


def _watch(
    connection: duckdb.DuckDBPyConnection,
    thread: threading.Thread,
    time_s: float,
    progress: Callable[[int], None],
    is_cancelled: Callable[[], bool],
) -> None:
    begun = time.monotonic()
    asked, told = begun - ASK_S, 0
    while True:
        thread.join(GLANCE_S)
        if not thread.is_alive():
            return
        now = time.monotonic()
        if now - asked >= ASK_S:
            asked = now
            if is_cancelled():
                raise RunCancelled
            reached = min(int(connection.query_progress()), 95)
            if reached > told:
                told = reached
                progress(told)
        if now - begun > time_s:
            raise RunFailed(RunFailure.TIME_LIMIT, {"seconds": f"{time_s:g}"})


def _stop(connection: duckdb.DuckDBPyConnection, thread: threading.Thread) -> None:
    """Interrupt until it has stopped: an interrupt between two statements is lost."""
    until = time.monotonic() + GRACE_S
    while thread.is_alive() and time.monotonic() < until:
        connection.interrupt()
        thread.join(GLANCE_S)


def failure_of(error: BaseException) -> BaseException:
    """The error as a reason for people. The engine's own words may hold values of customers: never those."""
    if not isinstance(error, duckdb.Error):
        return error
    words = str(error).lower()
    if isinstance(error, duckdb.OutOfMemoryException):
        is_disk = "max_temp_directory_size" in words
        return RunFailed(RunFailure.DISK_FULL if is_disk else RunFailure.MEMORY_LIMIT)
    if isinstance(error, duckdb.IOException) and ("no space left" in words or "disk quota" in words):
        return RunFailed(RunFailure.DISK_FULL)
    return RunFailed(RunFailure.SQL_FAILED, {"detail": type(error).__name__.removesuffix("Exception")})
