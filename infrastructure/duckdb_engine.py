"""The embedded engine: DuckDB over the warehouse's Parquet files, one fresh database for each query."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

import duckdb

from application.shared.engines import (
    BUSINESS_DATE,
    DATA_FROM,
    DATA_TO,
    DEFAULT_LAYOUT,
    Column,
    Exported,
    FileLayout,
    MappedField,
    OutputField,
    Query,
    ResultSet,
    RunCancelled,
    RunFailed,
    RunFailure,
    SqlRefusal,
)
from domain.shared.refusal import Fault, Refused
from domain.warehouse_schema import BANK
from infrastructure.duckdb_session import EngineLimits, failure_of, name, prepare, reporting, session
from infrastructure.query_processes import QueryProcesses, Tell
from infrastructure.result_export import export_file
from infrastructure.result_merging import merge, shown
from infrastructure.result_sets import ResultSets, content_hash
from infrastructure.sql_gate import CheckedQuery, examine
from infrastructure.warehouse import Snapshot, Warehouse, quoted

ROWS_AT_ONCE = 10_000
CHECKS_AT_ONCE = 2
CHECK_BYTES = 128 * 2**20
DETAIL_CHARACTERS_MAX = 200
OUTPUT_TYPES = (
    "VARCHAR",
    "BIGINT",
    "INTEGER",
    "SMALLINT",
    "DOUBLE",
    "DECIMAL",
    "DATE",
    "TIMESTAMP",
    "BOOLEAN",
)
WIDE_INTEGERS = ("HUGEINT", "UBIGINT", "UINTEGER", "UHUGEINT")
"""Sums are wider than Parquet's integers: they are stored as BIGINT, and a run fails that does not fit."""


Made = TypeVar("Made")


class DuckDBEngine:
    """Implements `Engine`. `results` is `<home>/results`. Queries are performed in processes of their own."""

    def __init__(self, warehouse: Warehouse, results: Path, limits: EngineLimits | None = None) -> None:
        self._warehouse = warehouse
        self._results = ResultSets(results)
        self._limits = limits or EngineLimits()
        self._queries = QueryProcesses(self._limits.at_once)
        self._checks = QueryProcesses(CHECKS_AT_ONCE)

    def check(self, query: Query) -> tuple[Fault, ...]:
        """The gate's faults; when there are none, those of binding against empty tables.

        What takes too long or too much to be checked is too complex: it could not be run either.
        """
        limits = replace(self._limits, memory_bytes=CHECK_BYTES, threads=1, time_s=self._limits.check_s)
        try:
            self._perform(_check, query, limits, limits=limits, queries=self._checks)
        except Refused as refused:
            return refused.faults
        except RunFailed as failed:
            is_slow = failed.code is RunFailure.TIME_LIMIT
            most = f"{limits.time_s:g} s" if is_slow else f"{limits.memory_bytes // 2**20} MB"
            return (_fault(SqlRefusal.SQL_TOO_COMPLEX, most),)
        return ()

    def count(self, query: Query) -> int:
        snapshot = self._snapshot(query)
        with self._results.building(f"count-{uuid4()}") as building:
            looked = replace(self._limits, time_s=self._limits.look_s)
            return self._perform(_count, query, snapshot, looked, building / "temp", limits=looked)

    def run(
        self,
        run_id: UUID,
        query: Query,
        progress: Callable[[int], None],
        is_cancelled: Callable[[], bool],
    ) -> ResultSet:
        def wait() -> None:
            if is_cancelled():
                raise RunCancelled

        with self._results.turn(run_id, wait) as lock:
            if (found := self._results.find(run_id)) is not None:
                return found
            begun = time.monotonic()
            snapshot = self._snapshot(query)
            with self._results.building(str(run_id)) as building:
                # The process holds the lock, too: who comes after a killed worker waits until it is gone.
                written = self._perform(
                    _write, query, snapshot, self._limits, building,
                    progress=progress, is_cancelled=is_cancelled, lock=lock,
                )  # fmt: skip
                took_ms = int((time.monotonic() - begun) * 1_000)
                file_bytes = (building / "result.parquet").stat().st_size
                result = ResultSet(
                    run_id, written.rows, written.columns, written.hash, snapshot.id, file_bytes, took_ms
                )
                if is_cancelled():
                    raise RunCancelled
                self._results.publish(building, result)
            progress(100)
            return result

    def head(self, query: Query, most: int) -> list[tuple[Any, ...]]:
        snapshot = self._snapshot(query)
        with self._results.building(f"head-{uuid4()}") as building:
            looked = replace(self._limits, time_s=self._limits.look_s)
            return self._perform(_head, query, snapshot, looked, building / "temp", most, limits=looked)

    def discard(self, run_id: UUID) -> None:
        self._results.discard(run_id)

    def sweep(self) -> int:
        return self._results.sweep()

    def rows(self, run_id: UUID, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        sql = f"select {shown(self._results, run_id, columns)} from {self._file(run_id)}"
        return _fetched(sql) if columns else iter(())

    def merged(self, run_id: UUID, named: str, parts: Sequence[tuple[UUID, str]]) -> ResultSet:
        return merge(self._results, self._limits, run_id, named, parts)

    def page(
        self, run_id: UUID, columns: Sequence[str], first: int, most: int, null: str | None = None
    ) -> list[tuple[Any, ...]]:
        sql = f"select {shown(self._results, run_id, columns)} from {self._file(run_id)}"
        if null is not None:
            sql += f" where {shown(self._results, run_id, [null])} is null"
        return list(_fetched(f"{sql} limit {int(most)} offset {int(first)}"))

    def _file(self, run_id: UUID) -> str:
        return f"read_parquet('{quoted(self._results.place(run_id))}')"

    def export(
        self, run_id: UUID, mapping: Sequence[MappedField], into: Path, layout: FileLayout = DEFAULT_LAYOUT
    ) -> Exported:
        found = self._results.require(run_id)
        return export_file(self._results.place(run_id), found.columns, mapping, into, layout)

    def _snapshot(self, query: Query) -> Snapshot:
        found = self._warehouse.snapshot(query.source)
        if found is None:
            raise RunFailed(RunFailure.WAREHOUSE_MISSING, {"name": query.source})
        return found

    def _perform(
        self,
        call: Callable[..., Made],
        *arguments: object,
        limits: EngineLimits | None = None,
        queries: QueryProcesses | None = None,
        **watched: Any,
    ) -> Made:
        limits = limits or self._limits
        return (queries or self._queries).perform(
            call, *arguments, memory_bytes=limits.process_bytes, time_s=limits.time_s, **watched
        )


# --- In the query's own process ---------------------------------------------


class Written(NamedTuple):
    """A result's file as it was written: its rows, their content hash, and the columns."""

    rows: int
    hash: str
    columns: tuple[Column, ...]


def warm_up() -> None:
    """Use everything once, in a process that is to fork: half of what a first query takes is then done.

    No thread may be left, for a fork does not have it: one is enough for the engine here.
    """
    query = Query("select 1 as x", BANK, (), ("x",), (OutputField("x", False),), (), ())
    _check(query, EngineLimits(threads=1), lambda _: None)
    prepare()
    assert len(os.listdir("/proc/self/task")) == 1, "nothing goes on in a host"


def _check(query: Query, limits: EngineLimits, _: Tell) -> None:
    """Raise Refused with all faults of the gate, or else of binding."""
    checked = examine(query)
    with session(None, checked.uses, (), limits, Path("unused")) as connection:
        _columns(connection, checked, query, _values(checked, query, _SAMPLE))


def _count(query: Query, snapshot: Snapshot, limits: EngineLimits, temporary: Path, _: Tell) -> int:
    checked = _checked(query)
    with session(snapshot, checked.uses, query.org_units, limits, temporary) as connection:
        sql = f"select count(*) from ({checked.sql}) as counted"
        try:
            return int(_one(connection.execute(sql, _values(checked, query)))[0])
        except duckdb.Error as error:
            raise failure_of(error) from error


def _head(
    query: Query, snapshot: Snapshot, limits: EngineLimits, temporary: Path, most: int, _: Tell
) -> list[tuple[Any, ...]]:
    checked = _checked(query)
    with session(snapshot, checked.uses, query.org_units, limits, temporary) as connection:
        order = ", ".join(name(each) for each in query.primary_index)
        sql = f"select * from ({checked.sql}) as query order by {order} limit {int(most)}"
        try:
            return connection.execute(sql, _values(checked, query)).fetchall()
        except duckdb.Error as error:
            raise failure_of(error) from error


def _write(query: Query, snapshot: Snapshot, limits: EngineLimits, building: Path, tell: Tell) -> Written:
    """Write `result.parquet` in the folder, in primary-index order; the index holds. Raise RunFailed."""
    checked, file = _checked(query), building / "result.parquet"
    values = _values(checked, query)
    limits = limits if checked.is_exact else replace(limits, threads=1)
    with session(
        snapshot, checked.uses, query.org_units, limits, building / "temp", (file,)
    ) as connection, reporting(connection, tell):  # fmt: skip
        try:
            columns = _columns(connection, checked, query, values)
            index = [_declared(each, columns) for each in query.primary_index]
            connection.execute(_copy(checked.sql, columns, index, file), values)
            rows = _require_index(connection, file, index, limits.rows)
            return Written(rows, content_hash(connection, file, columns), columns)
        except Refused as refused:
            raise _refused(refused) from refused
        except duckdb.Error as error:
            raise failure_of(error) from error


def _checked(query: Query) -> CheckedQuery:
    try:
        return examine(query)
    except Refused as refused:
        raise _refused(refused) from refused


_SAMPLE: Mapping[str, date] = dict.fromkeys((DATA_FROM, DATA_TO, BUSINESS_DATE), date(2026, 1, 1))
"""Stands for the standard dates when a query is checked before they are known."""


def _values(
    checked: CheckedQuery, query: Query, otherwise: Mapping[str, date] | None = None
) -> dict[str, Any]:
    """What is bound: the used parameters only. Raise RunFailed when one has no value."""
    given: dict[str, Any] = {**(otherwise or {}), **{each.name: each.value for each in query.parameters}}
    for used in checked.parameters:
        if used not in given:
            raise RunFailed(
                RunFailure.SQL_REFUSED, {"reason": SqlRefusal.SQL_PARAMETER_UNKNOWN, "name": used}
            )
    return {used: given[used] for used in checked.parameters}


def _columns(
    connection: duckdb.DuckDBPyConnection, checked: CheckedQuery, query: Query, values: Mapping[str, Any]
) -> tuple[Column, ...]:
    """The outputs with their types. Raise Refused when the engine can't make sense of the query."""
    try:
        described = connection.execute(f"describe {checked.sql}", values).fetchall()
    except duckdb.Error as error:
        words = str(error).partition("\n")[0][:DETAIL_CHARACTERS_MAX]  # of the text only: no row was read
        raise Refused(_fault(SqlRefusal.SQL_DOES_NOT_BIND, words)) from error
    personal = {output.name for output in query.outputs if output.is_personal}
    columns = []
    faults = []
    for output, (_, type_, *_) in zip(checked.columns, described, strict=True):
        stored = "BIGINT" if type_ in WIDE_INTEGERS else "INTEGER" if type_ == '"NULL"' else type_
        if not stored.startswith(OUTPUT_TYPES) or stored.endswith("]"):
            faults.append(_fault(SqlRefusal.SQL_OUTPUT_TYPE, output))
        columns.append(Column(output, stored, output in personal))
    if faults:
        raise Refused(*faults)
    return tuple(columns)


def _refused(refused: Refused) -> RunFailed:
    first = refused.faults[0]
    return RunFailed(RunFailure.SQL_REFUSED, {"reason": first.code.value, **first.values})


def _fault(code: SqlRefusal, named: str) -> Fault:
    place = {"line": "1", "column": "1", "snippet": "", "reason": code.value, "name": named}
    return Fault(code, ("sql",), place)


def _declared(wanted: str, columns: Sequence[Column]) -> str:
    return next(column.name for column in columns if column.name.lower() == wanted.lower())


def _copy(sql: str, columns: Sequence[Column], index: Sequence[str], file: Path) -> str:
    shown = ", ".join(
        f"cast({name(column.name)} as {column.type}) as {name(column.name)}" for column in columns
    )
    order = ", ".join(name(each) for each in index)
    return (
        f"copy (select {shown} from ({sql}) as query order by {order})"
        f" to '{quoted(file)}' (format parquet, compression zstd, use_tmp_file false)"
    )


def _require_index(
    connection: duckdb.DuckDBPyConnection, file: Path, index: Sequence[str], rows_max: int
) -> int:
    """The number of rows, each with a primary index of its own and none without. Raise RunFailed."""
    names = ", ".join(name(each) for each in index)
    is_null = " or ".join(f"{name(each)} is null" for each in index)
    groups = (
        f"select count(*) as n, {is_null} as is_null from read_parquet('{quoted(file)}') group by {names}"
    )
    found = connection.execute(
        f"select coalesce(sum(n), 0)::bigint, coalesce(sum(n) filter (where is_null), 0)::bigint,"
        f" coalesce(sum(n) filter (where n > 1), 0)::bigint from ({groups})"
    )
    rows, nulls, doubled = _one(found)
    if rows > rows_max:
        raise RunFailed(RunFailure.RESULT_TOO_LARGE, {"most": str(rows_max)})
    if nulls:
        raise RunFailed(RunFailure.PRIMARY_INDEX_NULL, {"offenders": str(nulls)})
    if doubled:
        raise RunFailed(RunFailure.PRIMARY_INDEX_DUPLICATE, {"offenders": str(doubled)})
    return int(rows)


def _one(cursor: duckdb.DuckDBPyConnection) -> tuple[Any, ...]:
    found = cursor.fetchone()
    assert found is not None
    return found


def _fetched(sql: str) -> Iterator[tuple[Any, ...]]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        try:
            cursor = connection.execute(sql)
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                yield from rows
        except duckdb.Error as error:
            raise failure_of(error) from error
