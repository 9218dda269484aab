"""The traces of persons in this house: the warehouse, results, read tables, passwords."""

import os
import time
from collections.abc import Iterable, Sequence
from json import dumps, loads
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import psycopg
from psycopg_pool import ConnectionPool

from application.shared.person_traces import Swept
from infrastructure.duckdb_session import name
from infrastructure.durable_files import flush, remove, sha256_of
from infrastructure.person_keys import PersonKeys
from infrastructure.projection_parking import fold_anew
from infrastructure.result_sets import ResultSets
from infrastructure.settings import Settings
from infrastructure.warehouse import Warehouse, quoted

HELD_S = 60.0
"""So long a result may be in use before its turn comes another time."""
MEMORY_LIMIT = "512MB"
UNDER_WAY = b"""
    select exists (select from points.under_way u where u.customer = %s and not exists (
        select from read.points_jobs j where j.id = u.job_id and j.status = 'withdrawn'))"""
FORGOTTEN = (
    b"delete from points.under_way where customer = any(%s)",
    b"delete from access.passwords where username = %s",
    b"delete from access.failures where username = %s",
)


class HousePersonTraces:
    """`PersonTraces` of one CARDINAL_HOME and its database."""

    def __init__(
        self,
        url: str,
        pool: ConnectionPool[psycopg.Connection[Any]],
        keys: PersonKeys,
        warehouse: Warehouse,
        results: ResultSets,
    ) -> None:
        self._url, self._pool, self._keys = url, pool, keys
        self._warehouse, self._results = warehouse, results

    @classmethod
    def of(
        cls,
        settings: Settings,
        url: str,
        pool: ConnectionPool[psycopg.Connection[Any]],
        keys: PersonKeys,
    ) -> "HousePersonTraces":
        warehouse = Warehouse(
            settings.home / "warehouse", tuple(sorted(settings.units)), keys.erased_customers
        )
        return cls(url, pool, keys, warehouse, ResultSets(settings.home / "results"))

    def is_under_way(self, customer: str) -> bool:
        with self._pool.connection() as connection:
            row = connection.execute(UNDER_WAY, [customer]).fetchone()
        return row == (True,)

    def names(self, customer: str) -> Sequence[str]:
        return self._warehouse.names_of(customer)

    def forget_user(self, username: str) -> None:
        with self._pool.connection() as connection, connection.transaction():
            for statement in FORGOTTEN[1:]:
                connection.execute(statement, [username])

    def sweep(self) -> Swept:
        rows, files = self._warehouse.forget(), 0
        files += rows > 0
        # Also runs under way, for they may read what counted before: their turn comes when they are over.
        for run_id in sorted({*_runs(self._results.folder), *_runs(self._results.folder / ".locks")}):
            gone = self._forget_in(run_id)
            rows, files = rows + gone, files + (gone > 0)
        self._forget_withdrawn()
        return Swept(rows, files)

    def fold_anew(self, stream_type: str, stream_id: UUID) -> None:
        fold_anew(self._url, stream_type, stream_id)

    def _forget_withdrawn(self) -> None:
        """What withdrawn jobs have left of them."""
        with self._pool.connection() as connection:
            rows = connection.execute(b"select distinct customer from points.under_way").fetchall()
            erased = list(self._keys.erased_customers(customer for (customer,) in rows))
            if erased:
                connection.execute(FORGOTTEN[0], [erased])

    def _forget_in(self, run_id: UUID) -> int:
        """Rows of erased customers go out of one result; how many. Raise TimeoutError while it is held."""
        until = time.monotonic() + HELD_S

        def wait() -> None:
            if time.monotonic() > until:
                raise TimeoutError(f"somebody is at the run {run_id}")

        with self._results.turn(run_id, wait):
            return forget_rows(self._results.place(run_id), self._keys)


def forget_rows(file: Path, keys: PersonKeys) -> int:
    """Rewrite a result without the rows that an erased customer's names stand in; how many there were.

    First the new rows, then what the description says of them, then they take their place: whoever was
    killed after the description finds the rows aside, and puts them there.
    """
    aside, described = file.with_name(".erasing.parquet"), file.with_name("result.json")
    if not described.exists():
        return 0
    if aside.exists() and loads(described.read_text())["file_sha256"] == sha256_of(aside):
        os.replace(aside, file)
    remove(aside)
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as connection:
        source = f"read_parquet('{quoted(file)}')"
        columns = [
            name(column)
            for column, type_, *_ in connection.execute(f"describe select * from {source}").fetchall()
            if type_ == "VARCHAR"
        ]
        erased = [
            value
            for column in columns
            for value in keys.erased_customers(_distinct(connection, source, column))
        ]
        if not erased:
            return 0
        is_his = " or ".join(f"coalesce({column} in (select unnest($1)), false)" for column in columns)
        gone, rest = connection.execute(
            f"select count(*) filter ({is_his}), count(*) filter (not ({is_his})) from {source}", [erased]
        ).fetchone() or (0, 0)
        connection.execute("create temp table erased as select unnest($1) as value", [erased])
        kept = " and ".join(
            f"coalesce({column} not in (select value from erased), true)" for column in columns
        )
        connection.execute(
            f"copy (select * from {source} where {kept})"
            f" to '{quoted(aside)}' (format parquet, compression zstd)"
        )
    flush(aside)
    told = loads(described.read_text())
    told |= {
        "file_sha256": sha256_of(aside),
        "rows": rest,
        "bytes": aside.stat().st_size,
        "erased_rows": told.get("erased_rows", 0) + gone,
    }
    _replaced(described, dumps(told, indent=2))
    aside.chmod(0o440)
    os.replace(aside, file)
    flush(file.parent)
    return int(gone)


def _replaced(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}")
    remove(beside)
    beside.write_text(text)
    beside.chmod(0o440)
    flush(beside)
    os.replace(beside, path)
    flush(path.parent)


def _distinct(connection: duckdb.DuckDBPyConnection, source: str, column: str) -> Iterable[str]:
    cursor = connection.cursor().execute(
        f"select distinct {column} from {source} where length({column}) between 1 and 64"
    )
    while rows := cursor.fetchmany(10_000):
        yield from (value for (value,) in rows)


def _runs(folder: Path) -> list[UUID]:
    found = []
    for path in sorted(folder.glob("*")):
        try:
            found.append(UUID(path.name))
        except ValueError:
            continue
    return found
