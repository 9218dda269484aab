"""Where customer data lies: Parquet files of one snapshot, published at once.

    <folder>/bank                        a link to the snapshot that counts now
    <folder>/.bank-<snapshot>/           customers.parquet, cards.parquet, accounts.parquet,
                                         transactions.parquet, customers.personal.parquet, rejects.csv,
                                         snapshot.json

Personal columns have a file of their own beside the table's, so that a query which reads none of them runs
in an engine that can't open it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import duckdb

from domain.warehouse_schema import BANK, TABLES, WarehouseTable
from infrastructure.durable_files import flush, flush_tree, held, remove, sha256_of
from infrastructure.warehouse_files import LoadReport, read_folder
from infrastructure.warehouse_sample import SampleSize, make_sample

Progress = Callable[[int], None]
"""Gets per cents, rising."""

Erased = Callable[[Iterable[str]], Iterable[str]]
"""Those of some customers' numbers whose customer was erased: nothing of theirs is published."""

DEFAULT_UNITS = ("HO", "SH", "SZ")
MEMORY_LIMIT = "1GB"


@dataclass(frozen=True, slots=True)
class TableFile:
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of a source's data. The id follows from the content; `org_units` are those with customers."""

    id: str
    source: str
    loaded_at: datetime
    business_date: date
    org_units: tuple[str, ...]
    files: Mapping[str, TableFile]
    """By the file's name without its ending: `customers`, `customers.personal` …"""
    folder: Path


class Warehouse:
    """`folder` is `<home>/warehouse`; `units` are the bank's organisation units, head office first."""

    def __init__(
        self, folder: Path, units: Sequence[str] = DEFAULT_UNITS, erased: Erased = lambda _: ()
    ) -> None:
        self.folder = folder
        self.units = tuple(units)
        self._erased = erased

    def snapshot(self, source: str = BANK) -> Snapshot | None:
        """What counts now; its folder stays for a while when the next one is published."""
        link = self.folder / source
        if not link.exists():
            return None
        return _read_snapshot(link.resolve())

    def generate(
        self,
        business_date: date,
        size: SampleSize | None = None,
        seed: int = 1,
        progress: Progress = lambda _: None,
    ) -> Snapshot:
        """Publish the sample bank up to the business date (exclusive), unless there is data already.

        The same date, size, seed and units make the same rows.
        """
        with held(self.folder / ".lock"):
            if found := self.snapshot():
                return found
            self._clean()
            building = self._building()
            with _builder(building) as connection:
                make_sample(connection, self.units, business_date, size or SampleSize(), seed, progress)
                self._leave_out_erased(connection)
                snapshot = self._publish(connection, building, business_date, "")
                progress(100)
                return snapshot

    def load_csv(
        self, folder: Path, progress: Progress = lambda _: None, mapping: Path | None = None
    ) -> LoadReport:
        """Publish the user's files in the place of what is there.

        The business date is the day after the last booking. Raise LoadRefused, and change nothing, when the
        folder as a whole is no good; bad rows are told in the report and in `rejects.csv` of the snapshot.
        """
        with held(self.folder / ".lock"):
            self._clean()
            building = self._building()
            with _builder(building) as connection:
                loaded = read_folder(connection, folder, mapping, self.units, building, progress)
                self._leave_out_erased(connection)
                snapshot = self._publish(connection, building, loaded.business_date, loaded.rejects_csv)
                progress(100)
                return loaded.report(snapshot.id, snapshot.folder / "rejects.csv")

    def names_of(self, customer: str) -> tuple[str, ...]:
        """Tokens of his cards, ids of his accounts, his mobile: what else names the customer."""
        found = self.snapshot()
        if found is None:
            return ()
        file = {name: f"read_parquet('{quoted(found.folder / f'{name}.parquet')}')" for name in found.files}
        columns = (
            ("card_token", "cards"),
            ("account_id", "accounts"),
            ("mobile", personal_file("customers")),
        )
        union = " union ".join(
            f"select {column} from {file[table]} where customer_id = $1" for column, table in columns
        )
        with duckdb.connect() as connection:
            return tuple(value for (value,) in connection.execute(union, [customer]).fetchall() if value)

    def forget(self) -> int:
        """Publish what counts without erased customers, and let no former snapshot stand; how many rows went.

        Who is killed on the way leaves what there was, or all of it done but for the former ones: come again.
        """
        with held(self.folder / ".lock"):
            found = self.snapshot()
            if found is None:
                return 0
            self._clean()
            building = self._building()
            with _builder(building) as connection:
                for table in TABLES.values():
                    connection.execute(f"create table {table.name} as {_stored(found, table)}")
                if gone := self._leave_out_erased(connection):
                    self._publish(connection, building, found.business_date, "")
            self._remove_others()
            return gone

    def _remove_others(self) -> None:
        """No former snapshot, nor a list of rows that were rejected, holds more than what counts."""
        current = (self.folder / BANK).resolve()
        for old in self.folder.glob(f".{BANK}-*"):
            if old != current:
                remove(old)
        (current / "rejects.csv").write_text("")

    def _leave_out_erased(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Take every row of an erased customer out of the tables; how many."""
        cursor = connection.execute("select distinct customer_id from customers")
        erased = list(self._erased([number for (number,) in cursor.fetchall()]))
        gone = 0
        for table in TABLES.values() if erased else ():
            counted = connection.execute(
                f"delete from {table.name} where customer_id in (select unnest($1))", [erased]
            ).fetchone()
            gone += counted[0] if counted else 0
        return gone

    def _building(self) -> Path:
        building = self.folder / f".building-{uuid4().hex}"
        building.mkdir(parents=True)
        return building

    def _clean(self) -> None:
        """Remove what a killed process left half done."""
        for left in self.folder.glob(".building-*"):
            remove(left)

    def _publish(
        self, connection: duckdb.DuckDBPyConnection, building: Path, business_date: date, rejects: str
    ) -> Snapshot:
        """Write the tables of the connection as files, then let the link point to them."""
        files = {}
        for table in TABLES.values():
            files.update(_write(connection, table, building))
        (building / "rejects.csv").write_text(rejects)
        units = connection.execute("select distinct org_unit from customers order by 1").fetchall()
        content = "".join(f"{name} {file.sha256}\n" for name, file in sorted(files.items()))
        snapshot_id = f"{business_date:%Y%m%d}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        described = {
            "id": snapshot_id,
            "source": BANK,
            "loaded_at": datetime.now(UTC).isoformat(),
            "business_date": business_date.isoformat(),
            "org_units": [unit for (unit,) in units],
            "files": {name: asdict(file) for name, file in files.items()},
        }
        remove(building / "temp")
        (building / "snapshot.json").write_text(json.dumps(described, indent=2))
        flush_tree(building)
        final = self.folder / f".{BANK}-{snapshot_id}"
        if not final.exists():
            os.rename(building, final)
        remove(building)
        self._point(final)
        return _read_snapshot(final)

    def _point(self, final: Path) -> None:
        link, beside = self.folder / BANK, self.folder / f".building-link-{uuid4().hex}"
        before = link.resolve() if link.exists() else None
        beside.symlink_to(final.name)
        os.replace(beside, link)
        flush(self.folder)
        for old in self.folder.glob(f".{BANK}-*"):
            if old not in (final, before):
                remove(old)


@contextmanager
def _builder(building: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB for building, whose folder vanishes unless it has been published."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str(building / "temp"),
        "memory_limit": MEMORY_LIMIT,
    }
    try:
        with duckdb.connect(config=config) as connection:
            yield connection
    finally:
        remove(building)


def quoted(path: Path) -> str:
    """The path for use within an SQL string."""
    return str(path).replace("'", "''")


def personal_file(table: str) -> str:
    """The name of the file of the table's personal columns, without its ending."""
    return f"{table}.personal"


def _write(
    connection: duckdb.DuckDBPyConnection, table: WarehouseTable, folder: Path
) -> dict[str, TableFile]:
    ordinary = [column.name for column in table.columns if not column.is_personal]
    personal = [column.name for column in table.columns if column.is_personal]
    parts = {table.name: ordinary}
    if personal:
        parts[personal_file(table.name)] = [table.key, *personal]
    files = {}
    for name, columns in parts.items():
        path = folder / f"{name}.parquet"
        connection.execute(
            f"copy (select {', '.join(columns)} from {table.name} order by {table.key})"
            f" to '{quoted(path)}' (format parquet, compression zstd)"
        )
        (rows,) = connection.execute(f"select count(*) from {table.name}").fetchone() or (0,)
        files[name] = TableFile(rows, path.stat().st_size, sha256_of(path))
    return files


def _stored(snapshot: Snapshot, table: WarehouseTable) -> str:
    """The query that puts a table's two files together again."""

    def rows(file: str) -> str:
        return f"read_parquet('{quoted(snapshot.folder / f'{file}.parquet')}')"

    source = f"{rows(table.name)} as ordinary"
    if (apart := personal_file(table.name)) in snapshot.files:
        source += f" join {rows(apart)} as personal using ({table.key})"
    return f"select {', '.join(table.column_names)} from {source}"


def _read_snapshot(folder: Path) -> Snapshot:
    described = json.loads((folder / "snapshot.json").read_text())
    return Snapshot(
        described["id"],
        described["source"],
        datetime.fromisoformat(described["loaded_at"]),
        date.fromisoformat(described["business_date"]),
        tuple(described["org_units"]),
        {name: TableFile(**file) for name, file in described["files"].items()},
        folder,
    )
