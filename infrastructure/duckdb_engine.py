"""The embedded engine: DuckDB over the warehouse's Parquet files, one fresh database for each query."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
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
    Query,
    ResultSet,
    RunCancelled,
    RunFailed,
    RunFailure,
    SqlRefusal,
)
from domain.shared.refusal import Fault, Refused
from infrastructure.duckdb_session import EngineLimits, failure_of, name, session, supervised
from infrastructure.result_export import export_file
from infrastructure.result_merging import merge, shown
from infrastructure.result_sets import ResultSets, content_hash
from infrastructure.sql_gate import CheckedQuery, examine
from infrastructure.warehouse import Snapshot, Warehouse, quoted

ROWS_AT_ONCE = 10_000
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


class DuckDBEngine:
    """Implements `Engine`. `results` is `<home>/results`."""

    def __init__(self, warehouse: Warehouse, results: Path, limits: EngineLimits | None = None) -> None:
        self._warehouse = warehouse
        self._results = ResultSets(results)
        self._limits = limits or EngineLimits()

    def check(self, query: Query) -> tuple[Fault, ...]:
        """The gate's faults; when there are none, those of binding against empty tables."""
        try:
            checked = examine(query)
        except Refused as refused:
            return refused.faults
        with session(None, checked.uses, (), self._limits, Path("unused")) as connection:
            try:
                _columns(connection, checked, query, _values(checked, query, _SAMPLE))
            except Refused as refused:
                return refused.faults
        return ()

    def count(self, query: Query) -> int:
        checked = self._checked(query)
        snapshot = self._snapshot(query)
        with (
            self._results.building(f"count-{uuid4()}") as building,
            session(snapshot, checked.uses, query.org_units, self._limits, building / "temp") as connection,
        ):
            sql = f"select count(*) from ({checked.sql}) as counted"
            values = _values(checked, query)

            def counted() -> int:
                return int(_one(connection.execute(sql, values))[0])

            return supervised(connection, counted, self._limits.time_s, lambda _: None, lambda: False)

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

        with self._results.turn(run_id, wait):
            if (found := self._results.find(run_id)) is not None:
                return found
            begun = time.monotonic()
            checked = self._checked(query)
            snapshot = self._snapshot(query)
            with self._results.building(str(run_id)) as building:
                result = self._write(
                    run_id, query, checked, snapshot, building, begun, progress, is_cancelled
                )
                if is_cancelled():
                    raise RunCancelled
                self._results.publish(building, result)
            progress(100)
            return result

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

    def _checked(self, query: Query) -> CheckedQuery:
        try:
            return examine(query)
        except Refused as refused:
            raise _refused(refused) from refused

    def _snapshot(self, query: Query) -> Snapshot:
        found = self._warehouse.snapshot(query.source)
        if found is None:
            raise RunFailed(RunFailure.WAREHOUSE_MISSING, {"name": query.source})
        return found

    def _write(
        self,
        run_id: UUID,
        query: Query,
        checked: CheckedQuery,
        snapshot: Snapshot,
        building: Path,
        begun: float,
        progress: Callable[[int], None],
        is_cancelled: Callable[[], bool],
    ) -> ResultSet:
        """Write `result.parquet` in the folder, in primary-index order; the index holds. Raise RunFailed."""
        file = building / "result.parquet"
        values = _values(checked, query)
        with session(
            snapshot, checked.uses, query.org_units, self._limits, building / "temp", (file,)
        ) as connection:

            def work() -> tuple[int, str, tuple[Column, ...]]:
                columns = _columns(connection, checked, query, values)
                index = [_declared(each, columns) for each in query.primary_index]
                connection.execute(_copy(checked.sql, columns, index, file), values)
                rows = _require_index(connection, file, index, self._limits.rows)
                return rows, content_hash(connection, file, columns), columns

            try:
                rows, hash_, columns = supervised(
                    connection, work, self._limits.time_s, progress, is_cancelled
                )
            except Refused as refused:
                raise _refused(refused) from refused
        took_ms = int((time.monotonic() - begun) * 1_000)
        return ResultSet(run_id, rows, columns, hash_, snapshot.id, file.stat().st_size, took_ms)


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
