"""A small warehouse of Parquet files, and what a query finds in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from application.shared.engines import DATABASE_TYPES, Query, ResultSet
from domain.warehouse_schema import TABLES
from infrastructure.sql_gate import examine

Row = tuple[Any, ...]


def customer(
    number: int,
    birth_year: int | None = 1994,
    *,
    org_unit: str = "HO",
    is_overdue: bool | None = False,
    city: str | None = "上海",
    gender: str | None = "F",
    level: str | None = "gold",
    opened_on: date | None = date(2020, 5, 1),
) -> Row:
    """A row of `customers`; whoever has no other year of birth becomes 30 in 2024."""
    id_ = f"C{number:08}"
    return id_, org_unit, birth_year, gender, city, level, opened_on, "139", "Li", is_overdue


def spent(
    number: int,
    yuan: float,
    booked_on: date,
    currency: str | None = "CNY",
    category: str | None = "dining",
    channel: str | None = "pos",
) -> Row:
    """A row of `transactions`, but for its key."""
    return f"T{number}", f"C{number:08}", round(yuan * 100), currency, booked_on, category, channel


def write_warehouse(folder: Path, customers: Sequence[Row], transactions: Sequence[Row]) -> Path:
    """`<folder>/<table>.parquet` with the columns of the warehouse."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        "customers": customers,
        "transactions": [(index, *row) for index, row in enumerate(transactions, 1)],
        "cards": (),
        "accounts": (),
    }
    with duckdb.connect() as connection:
        for table in TABLES.values():
            columns = ", ".join(f"{column.name} {DATABASE_TYPES[column.type]}" for column in table.columns)
            connection.execute(f"create table {table.name} ({columns})")
            if rows[table.name]:
                slots = ", ".join("?" * len(table.columns))
                connection.executemany(f"insert into {table.name} values ({slots})", rows[table.name])
            connection.execute(f"copy {table.name} to '{folder / table.name}.parquet' (format parquet)")
    return folder


@dataclass
class SmallEngine:
    """As much of an engine as previews and memberships use: DuckDB over the files, results in memory."""

    folder: Path
    results: dict[UUID, list[Row]] = field(default_factory=dict)
    discarded: list[UUID] = field(default_factory=list)

    def discard(self, run_id: UUID) -> None:
        self.discarded.append(run_id)

    def found(self, query: Query) -> list[Row]:
        """The rows in primary-index order, of what the gate makes of the query."""
        checked = examine(query)
        with duckdb.connect() as connection:
            for granted in query.granted:
                columns = ", ".join(granted.columns)
                file = self.folder / f"{granted.name}.parquet"
                connection.execute(f"create view {granted.name} as select {columns} from '{file}'")
            values = {parameter.name: parameter.value for parameter in query.parameters}
            cursor = connection.execute(checked.sql, {name: values[name] for name in checked.parameters})
            assert cursor.description is not None
            assert [column[0] for column in cursor.description] == [output.name for output in query.outputs]
            return sorted(cursor.fetchall())

    def check(self, query: Query) -> tuple[()]:  # noqa: ARG002
        return ()

    def count(self, query: Query) -> int:
        return len(self.found(query))

    def head(self, query: Query, most: int) -> list[Row]:
        return self.found(query)[:most]

    def run(
        self,
        run_id: UUID,
        query: Query,
        progress: Callable[[int], None],
        is_cancelled: Callable[[], bool],  # noqa: ARG002
    ) -> ResultSet:
        self.results[run_id] = self.found(query)
        progress(100)
        return ResultSet(run_id, len(self.results[run_id]), (), "", "", 0, 0)

    def rows(self, run_id: UUID, columns: Sequence[str]) -> Iterator[Row]:
        assert columns == ("customer_id",)
        return iter(self.results[run_id])

    def export(self, *_: Any) -> Any:
        raise AssertionError("no preview writes a file")
