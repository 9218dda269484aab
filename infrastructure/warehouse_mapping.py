"""How the user's columns become the warehouse's: `mapping.toml`, documented in docs/own-data.md."""

import codecs
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from domain.shared.money import MINOR_DIGITS
from domain.warehouse_schema import TABLES

AMOUNT = "amount"
"""The name under which a decimal amount may stand in the place of amount_minor."""
MAPPING_FILE = "mapping.toml"
MAPPING_BYTES_MAX = 100_000
WHITESPACE = "whitespace"
_TOP = {"encoding", "delimiter", "header", "date_format", "currency", "transactions", "customers"}
_REQUIRED = {"transactions": ("customer_id", "booked_on", "amount_minor"), "customers": ("customer_id",)}
_FILE_NAME = re.compile(r"[^/\\\0]{1,200}")
_DATE_MARKS = re.compile(r"%[YmdyHMSbB]")


class LoadRefusal(StrEnum):
    """Why a folder is not loaded at all."""

    LOAD_FOLDER_MISSING = "load_folder_missing"
    LOAD_FILE_MISSING = "load_file_missing"
    LOAD_TOO_MANY_FILES = "load_too_many_files"
    LOAD_FILE_TOO_LARGE = "load_file_too_large"
    LOAD_TOO_MANY_ROWS = "load_too_many_rows"
    LOAD_BAD_MAPPING = "load_bad_mapping"
    LOAD_COLUMNS_MISSING = "load_columns_missing"
    LOAD_BAD_ENCODING = "load_bad_encoding"
    LOAD_NO_GOOD_ROWS = "load_no_good_rows"


class LoadRefused(Exception):
    """The folder is no good as a whole; the warehouse is as it was."""

    def __init__(self, code: LoadRefusal, **values: object) -> None:
        self.code = code
        self.values = {name: str(value) for name, value in values.items()}
        super().__init__(f"{code}: {self.values}")


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """A column by name or by number from 1, or a constant. `is_decimal`: the amount is 12.34 and not 1234."""

    column: str | int | None = None
    constant: str | None = None
    is_decimal: bool = False


@dataclass(frozen=True, slots=True)
class FileMapping:
    file: str
    columns: Mapping[str, ColumnSource] | None = None
    """By the warehouse's name; None: the header's names are the warehouse's."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """How the files are written. `delimiter` is one character, or `whitespace`: parted by blanks."""

    encoding: str = "utf-8"
    delimiter: str = ","
    has_header: bool = True
    date_format: str = "%Y-%m-%d"
    currency: str = "CNY"
    transactions: FileMapping = field(default_factory=lambda: FileMapping("transactions.csv"))
    customers: FileMapping = field(default_factory=lambda: FileMapping("customers.csv"))


def read_mapping(path: Path | None) -> Mapped:
    """The mapping in the file, or the defaults when there is none. Raise LoadRefused."""
    if path is None:
        return Mapped()
    try:
        content = path.read_bytes()[: MAPPING_BYTES_MAX + 1]
        if len(content) > MAPPING_BYTES_MAX:
            raise _bad(f"more than {MAPPING_BYTES_MAX} bytes")
        given = tomllib.loads(content.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _bad(str(error)) from error
    if strange := sorted(given.keys() - _TOP):
        raise _bad(f"unknown: {', '.join(strange)}")
    mapped = Mapped(
        _text(given, "encoding", "utf-8"),
        _text(given, "delimiter", ","),
        _flag(given, "header", True),
        _text(given, "date_format", "%Y-%m-%d"),
        _text(given, "currency", "CNY"),
        _file(given, "transactions"),
        _file(given, "customers"),
    )
    _require_sound(mapped)
    return mapped


def _bad(detail: str) -> LoadRefused:
    return LoadRefused(LoadRefusal.LOAD_BAD_MAPPING, detail=detail)


def _text(given: Mapping[str, Any], name: str, default: str) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise _bad(f"{name} must be text")
    return value


def _flag(given: Mapping[str, Any], name: str, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise _bad(f"{name} must be true or false")
    return value


def _file(given: Mapping[str, Any], table: str) -> FileMapping:
    part = given.get(table, {})
    if not isinstance(part, dict) or part.keys() - {"file", "columns"}:
        raise _bad(f"[{table}] has file and columns")
    name = _text(part, "file", f"{table}.csv")
    if not _FILE_NAME.fullmatch(name) or name in (".", ".."):
        raise _bad(f"{name} is no name of a file in the folder")
    columns = part.get("columns")
    if columns is None:
        return FileMapping(name)
    if not isinstance(columns, dict):
        raise _bad(f"[{table}.columns] names columns")
    return FileMapping(name, dict(_column(table, target, value) for target, value in columns.items()))


def _column(table: str, target: str, value: object) -> tuple[str, ColumnSource]:
    is_decimal = table == "transactions" and target == AMOUNT
    name = "amount_minor" if is_decimal else target
    if TABLES[table].column(name) is None:
        raise _bad(f"{table} has no column {target}")
    if isinstance(value, dict) and value.keys() == {"constant"} and isinstance(value["constant"], str):
        return name, ColumnSource(constant=value["constant"], is_decimal=is_decimal)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return name, ColumnSource(column=value, is_decimal=is_decimal)
    raise _bad(f"{table}.{target} must be a column's name, its number from 1, or {{ constant = … }}")


def _require_sound(mapped: Mapped) -> None:
    try:
        codecs.lookup(mapped.encoding)
    except LookupError as error:
        raise _bad(f"unknown encoding {mapped.encoding}") from error
    if codecs.lookup(mapped.encoding).name not in ("utf-8", "utf-8-sig", "gb18030", "gbk", "gb2312", "ascii"):
        raise _bad(f"the encoding {mapped.encoding} is not one of utf-8, gb18030, gbk, ascii")
    if mapped.delimiter != WHITESPACE and (len(mapped.delimiter) != 1 or mapped.delimiter in '"\n\r\0'):
        raise _bad("delimiter must be one character, or whitespace")
    if mapped.currency not in MINOR_DIGITS:
        raise _bad(f"currency must be one of {', '.join(MINOR_DIGITS)}")
    if len(mapped.date_format) > 40 or not _DATE_MARKS.search(mapped.date_format):
        raise _bad("date_format must be such as %Y-%m-%d")
    if not mapped.has_header and (mapped.transactions.columns is None):
        raise _bad("without a header, [transactions.columns] must name the columns by number")


def places(
    mapping: FileMapping, header: Sequence[str] | None, table: str
) -> dict[str, tuple[int | None, ColumnSource]]:
    """The index of each column of the table that the file has; None for constants. Raise LoadRefused."""
    columns = mapping.columns
    if columns is None:
        assert header is not None, "a file without a header is mapped"
        names = [column.name for column in TABLES[table].columns]
        columns = {name: ColumnSource(column=name) for name in names if name in header}
        if table == "transactions" and AMOUNT in header and "amount_minor" not in header:
            columns["amount_minor"] = ColumnSource(column=AMOUNT, is_decimal=True)
    found: dict[str, tuple[int | None, ColumnSource]] = {}
    missing = [name for name in _REQUIRED[table] if name not in columns]
    for name, source in columns.items():
        if source.column is None:
            found[name] = (None, source)
        elif isinstance(source.column, int):
            found[name] = (source.column - 1, source)
        elif header is not None and source.column in header:
            found[name] = (list(header).index(source.column), source)
        else:
            missing.append(str(source.column))
    if missing:
        raise LoadRefused(LoadRefusal.LOAD_COLUMNS_MISSING, file=mapping.file, columns=", ".join(missing))
    return found
