"""One query in a DuckDB of its own that sees the granted tables and nothing else, and can be stopped.

The gate judges the text; this is what holds should it be deceived: views over the columns that are read,
files opened by exact path, no other file, network or extension, a locked configuration, and limits.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import duckdb

from application.shared.engines import DATABASE_TYPES, RunFailed, RunFailure
from domain.warehouse_schema import TABLES
from infrastructure.warehouse import Snapshot, personal_file, quoted

UNCOUNTED_BYTES = 640 * 2**20
"""Addresses that a query's process has besides, most of them never touched: stacks, the engine's own data."""
REPORT_S = 0.5
REPORTED_MAX = 95
"""Per cents: the index check and the hash come after the query."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one query may use, `temporary_bytes` on disk; `at_once`: how many may be performed at a time.

    `check_s` is the time of a check, `look_s` that of a query for whose answer somebody waits.
    """

    memory_bytes: int = 2 * 2**30
    threads: int = 2
    temporary_bytes: int = 16 * 2**30
    time_s: float = 900.0
    rows: int = 20_000_000
    at_once: int = 2
    check_s: float = 10.0
    look_s: float = 60.0

    @property
    def process_bytes(self) -> int:
        """What the kernel lets the query's process have: DuckDB does not count texts that functions make.

        Measured with sorts that spill: 470 to 690 MB of addresses beyond the limit, 75 to 140 MB of memory.
        """
        return self.memory_bytes * 3 // 2 + UNCOUNTED_BYTES


_prepared: list[duckdb.DuckDBPyConnection] = []


def prepare() -> None:
    """Open a database for the next session, in a process that is to fork: opening takes some 25 ms.

    It has no threads, for a fork would not have them; the session that takes it starts its own. It is closed
    with its process.
    """
    _prepared.append(_opened())


def _opened() -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "async_threads": 0,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    return duckdb.connect(":memory:", config=config)


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
    with nullcontext(_prepared.pop()) if _prepared else _opened() as connection:
        connection.execute(f"set memory_limit = '{limits.memory_bytes}B'")
        connection.execute(f"set threads = {limits.threads}")
        connection.execute(f"set temp_directory = {text(str(temporary))}")
        files = [*writable]
        if snapshot is None:
            for table, columns in uses.items():
                connection.execute(_empty_table(table, columns))
        else:
            files += _files(snapshot, uses, org_units)
            connection.execute(f"set allowed_paths = [{', '.join(text(str(file)) for file in files)}]")
            for table, columns in uses.items():
                connection.execute(_view(snapshot, table, columns, org_units))
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


@contextmanager
def reporting(connection: duckdb.DuckDBPyConnection, tell: Callable[[int], None]) -> Iterator[None]:
    """Tell how far the query is, in per cents, as long as the block runs."""
    is_over = threading.Event()

    def report() -> None:
        while not is_over.wait(REPORT_S):
            tell(min(int(connection.query_progress()), REPORTED_MAX))

    thread = threading.Thread(target=report, name="query-progress")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


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
