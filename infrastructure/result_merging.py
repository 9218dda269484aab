"""Several results made into one: the values that they have in a column, each once, as a result of its own."""

import time
from collections.abc import Sequence
from uuid import UUID

import duckdb

from application.shared.engines import Column, ResultSet, RunFailed, RunFailure
from infrastructure.duckdb_session import EngineLimits, failure_of, name
from infrastructure.result_sets import ResultSets, content_hash
from infrastructure.warehouse import quoted

TEXT = "VARCHAR"
SNAPSHOTS_CHARACTERS_MAX = 1_000


def merge(
    results: ResultSets, limits: EngineLimits, run_id: UUID, named: str, parts: Sequence[tuple[UUID, str]]
) -> ResultSet:
    """Write it once; a repeat answers what is there. `parts`: runs with their columns. Raise RunFailed."""
    with results.turn(run_id, lambda: None):
        if (found := results.find(run_id)) is not None:
            return found
        assert parts, "there is something to merge"
        begun = time.monotonic()
        sql = " union ".join(_values(results, part, column, named) for part, column in parts)
        snapshots = sorted({results.require(part).snapshot for part, _ in parts})
        columns = (Column(named, TEXT, is_personal=False),)
        with results.building(str(run_id)) as building:
            file = building / "result.parquet"
            config: dict[str, str | bool | int | float | list[str]] = {
                "memory_limit": f"{limits.memory_bytes}B",
                "threads": limits.threads,
                "temp_directory": str(building / "temp"),
            }
            try:
                with duckdb.connect(":memory:", config=config) as connection:
                    connection.execute(
                        f"copy ({sql} order by 1) to '{quoted(file)}'"
                        " (format parquet, compression zstd, use_tmp_file false)"
                    )
                    counted = connection.execute(f"select count(*) from read_parquet('{quoted(file)}')")
                    [rows] = counted.fetchone() or (0,)
                    hash_ = content_hash(connection, file, columns)
            except duckdb.Error as error:
                raise failure_of(error) from error
            took_ms = int((time.monotonic() - begun) * 1_000)
            snapshot = ", ".join(snapshots)[:SNAPSHOTS_CHARACTERS_MAX]
            result = ResultSet(run_id, rows, columns, hash_, snapshot, file.stat().st_size, took_ms)
            results.publish(building, result)
        return result


def shown(results: ResultSets, run_id: UUID, columns: Sequence[str]) -> str:
    """The names of columns that the finished run has, as SQL. Raise RunFailed."""
    found = results.require(run_id)
    if strange := sorted(set(columns) - {column.name for column in found.columns}):
        raise RunFailed(RunFailure.BAD_MAPPING, {"name": ", ".join(strange)})
    return ", ".join(name(column) for column in columns)


def _values(results: ResultSets, run_id: UUID, column: str, named: str) -> str:
    value = shown(results, run_id, [column])
    file = quoted(results.place(run_id))
    values = f"select distinct cast({value} as varchar) as {name(named)}"
    return f"{values} from read_parquet('{file}') where {value} is not null"
