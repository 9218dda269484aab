"""The user's own files from CSV: good rows are loaded, bad ones told by line and reason."""

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from domain.warehouse_schema import TABLES, ColumnType
from infrastructure.warehouse_mapping import (
    MAPPING_FILE,
    WHITESPACE,
    ColumnSource,
    FileMapping,
    LoadRefusal,
    LoadRefused,
    Mapped,
    places,
    read_mapping,
)
from infrastructure.warehouse_settling import Rejects, settle, stage_table
from infrastructure.warehouse_values import (
    BadRow,
    amount_of,
    boolean_of,
    date_of,
    identifier_of,
    integer_of,
    text_of,
)

FILES_MAX = 100
FILE_BYTES_MAX = 4 * 2**30
ROWS_MAX = 50_000_000
LINE_BYTES_MAX = 1_000_000
_PROGRESS_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of the files. `reasons` counts rejected rows; the file `rejects` lists them by line."""

    snapshot: str
    transactions: int
    customers: int
    rejected: int
    reasons: Mapping[str, int]
    rejects: Path


@dataclass(slots=True)
class Loaded:
    """The tables are in the connection; this is the rest of what is known."""

    business_date: date
    transactions: int
    customers: int
    rejects: Rejects

    @property
    def rejects_csv(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("file", "line", "reason"))
        writer.writerows(self.rejects.listed)
        return out.getvalue()

    def report(self, snapshot: str, rejects: Path) -> LoadReport:
        counts = self.rejects.counts
        return LoadReport(
            snapshot, self.transactions, self.customers, counts.total(), dict(sorted(counts.items())), rejects
        )


def read_folder(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    mapping: Path | None,
    units: Sequence[str],
    scratch: Path,
    progress: Callable[[int], None],
) -> Loaded:
    """Make the warehouse's tables in the connection. Raise LoadRefused."""
    if not folder.is_dir():
        raise LoadRefused(LoadRefusal.LOAD_FOLDER_MISSING, folder=folder)
    if len(os.listdir(folder)) > FILES_MAX:
        raise LoadRefused(LoadRefusal.LOAD_TOO_MANY_FILES, most=FILES_MAX)
    beside = folder / MAPPING_FILE
    mapped = read_mapping(mapping or (beside if beside.exists() else None))
    rejects = Rejects()
    has_customers = _size(folder / mapped.customers.file) is not None
    if _size(folder / mapped.transactions.file) is None:
        raise LoadRefused(LoadRefusal.LOAD_FILE_MISSING, file=mapped.transactions.file)
    files = [("transactions", mapped.transactions)]
    if has_customers:
        files.insert(0, ("customers", mapped.customers))
    for number, (table, file) in enumerate(files):
        part = 80 / len(files)
        reader = _TableReader(table, file, mapped, units, rejects)
        reader.stage(folder, scratch, partial(_advance, progress, number * part, part))
        stage_table(connection, table, scratch)
    for path in scratch.glob("*.staged"):
        path.unlink()
    settle(connection, has_customers, mapped, rejects)
    progress(90)
    (transactions, last) = _one(connection, "select count(*), max(booked_on) from transactions")
    (customers,) = _one(connection, "select count(*) from customers")
    if not transactions:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(rejects.counts.items()))
        raise LoadRefused(
            LoadRefusal.LOAD_NO_GOOD_ROWS, file=mapped.transactions.file, reasons=reasons or "it is empty"
        )
    return Loaded(last + timedelta(days=1), transactions, customers, rejects)


def _size(path: Path) -> int | None:
    """The file's size, None when there is none. Raise LoadRefused when it is too large."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    if size > FILE_BYTES_MAX:
        raise LoadRefused(LoadRefusal.LOAD_FILE_TOO_LARGE, file=path.name, most=FILE_BYTES_MAX)
    return size


def _advance(progress: Callable[[int], None], begun: float, part: float, done: float) -> None:
    progress(int(begun + part * done))


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    found = connection.execute(sql).fetchone()
    assert found is not None
    return found


class _TableReader:
    """Reads one file into staged rows: the table's columns and the line, all as text."""

    def __init__(
        self, table: str, file: FileMapping, mapped: Mapped, units: Sequence[str], rejects: Rejects
    ) -> None:
        self._table = TABLES[table]
        self._file = file
        self._mapped = mapped
        self._units = frozenset(units)
        self._rejects = rejects
        self._places: dict[str, tuple[int | None, ColumnSource]] = {}
        self._width = 0

    def stage(self, folder: Path, scratch: Path, progress: Callable[[float], None]) -> None:
        path = folder / self._file.file
        size = max(_size(path) or 0, 1)
        staged = scratch / f"{self._table.name}.staged"
        with path.open("rb") as source, staged.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
            rows = self._rows(source)
            if self._mapped.has_header:
                _, header = next(rows, (0, []))
                self._width = len(header)
                self._places = places(self._file, [name.strip() for name in header], self._table.name)
            else:
                self._places = places(self._file, None, self._table.name)
            for number, (line, row) in enumerate(rows):
                if number >= ROWS_MAX:
                    raise LoadRefused(LoadRefusal.LOAD_TOO_MANY_ROWS, file=path.name, most=ROWS_MAX)
                self._width = self._width or len(row)
                try:
                    writer.writerow((*self._values(row), line))
                except BadRow as reason:
                    self._rejects.add(path.name, line, str(reason))
                if number % _PROGRESS_ROWS == 0:
                    progress(source.tell() / size)

    def _rows(self, source: io.BufferedReader) -> Iterator[tuple[int, list[str]]]:
        """Each row with the number of the line where it ends."""
        lines = _Lines(source, self._mapped.encoding, self._file.file, self._rejects)
        if self._mapped.delimiter == WHITESPACE:
            for text in lines:
                if parts := text.split():
                    yield lines.number, parts
            return
        reader = csv.reader(lines, delimiter=self._mapped.delimiter, strict=True)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                self._rejects.add(self._file.file, lines.number, "bad_quotes")
                continue
            if row:
                yield lines.number, row

    def _values(self, row: list[str]) -> Iterator[str]:
        """The row as the table's columns in their order. Raise BadRow."""
        if len(row) != self._width:
            raise BadRow("ragged_row")
        given = {
            name: (source.constant or "") if index is None else row[index].strip() if index < len(row) else ""
            for name, (index, source) in self._places.items()
        }
        for column in self._table.columns:
            value = given.get(column.name, "")
            if column.name == "amount_minor":
                currency = given.get("currency") or self._mapped.currency
                yield amount_of(value, currency, self._places["amount_minor"][1].is_decimal)
            elif column.name == "currency":
                yield value or self._mapped.currency
            elif column.name == "org_unit":
                yield self._unit(value)
            elif column.type is ColumnType.DATE:
                yield date_of(value, self._mapped.date_format, column.name == "booked_on")
            elif column.type in (ColumnType.INTEGER, ColumnType.BIG_INTEGER):
                yield integer_of(value)
            elif column.type is ColumnType.BOOLEAN:
                yield boolean_of(value)
            elif column.name in ("customer_id", "card_token"):
                yield identifier_of(value, column.name == "customer_id")
            else:
                yield text_of(value)

    def _unit(self, value: str) -> str:
        if value and value not in self._units:
            raise BadRow("unknown_org_unit")
        return value or "HO"


class _Lines:
    """Lines as text, counted; those with NUL bytes are rejected."""

    def __init__(self, source: io.BufferedReader, encoding: str, file: str, rejects: Rejects) -> None:
        self._source = source
        self._encoding = encoding
        self._file = file
        self._rejects = rejects
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._source.readline(LINE_BYTES_MAX):
            self.number += 1
            if self.number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if len(line) == LINE_BYTES_MAX or b"\0" in line:
                self._rejects.add(self._file, self.number, "nul_byte" if b"\0" in line else "line_too_long")
                continue
            try:
                yield line.decode(self._encoding)
            except UnicodeDecodeError:
                raise LoadRefused(
                    LoadRefusal.LOAD_BAD_ENCODING, file=self._file, line=self.number, encoding=self._encoding
                ) from None
