"""What a segment engine is: it checks a query, counts, runs it into a result set, and exports that."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from domain.shared.refusal import Fault
from domain.warehouse_schema import ColumnType

DATA_FROM = "data_from"
DATA_TO = "data_to"
BUSINESS_DATE = "business_date"
STANDARD_PARAMETERS = (DATA_FROM, DATA_TO, BUSINESS_DATE)
"""Dates that every definition may use; data_from belongs to the timeframe, data_to does not."""


class SqlRefusal(StrEnum):
    """Why the gate declines a query. Values: line and column (from 1), snippet, reason (the code itself)."""

    SQL_TOO_LONG = "sql_too_long"
    SQL_SYNTAX = "sql_syntax"
    SQL_TOO_COMPLEX = "sql_too_complex"
    SQL_NOT_ONE_SELECT = "sql_not_one_select"
    SQL_CONSTRUCT_FORBIDDEN = "sql_construct_forbidden"
    SQL_FUNCTION_FORBIDDEN = "sql_function_forbidden"
    SQL_NOT_DETERMINISTIC = "sql_not_deterministic"
    SQL_TABLE_NOT_GRANTED = "sql_table_not_granted"
    SQL_COLUMN_NOT_GRANTED = "sql_column_not_granted"
    SQL_COLUMN_AMBIGUOUS = "sql_column_ambiguous"
    SQL_ALL_COLUMNS = "sql_all_columns"
    SQL_PARAMETER_UNKNOWN = "sql_parameter_unknown"
    SQL_PARAMETER_BAD = "sql_parameter_bad"
    SQL_OUTPUT_UNNAMED = "sql_output_unnamed"
    SQL_OUTPUT_DUPLICATE = "sql_output_duplicate"
    SQL_OUTPUT_UNDECLARED = "sql_output_undeclared"
    SQL_OUTPUT_MISSING = "sql_output_missing"
    SQL_OUTPUT_PERSONAL = "sql_output_personal"
    SQL_PRIMARY_INDEX_MISSING = "sql_primary_index_missing"
    SQL_SOURCE_UNKNOWN = "sql_source_unknown"
    SQL_OUTPUT_TYPE = "sql_output_type"
    SQL_DOES_NOT_BIND = "sql_does_not_bind"


class RunFailure(StrEnum):
    """Why a run failed. `offenders` counts primary-index values; `detail` is the engine's own words."""

    SQL_REFUSED = "sql_refused"
    PRIMARY_INDEX_NULL = "primary_index_null"
    PRIMARY_INDEX_DUPLICATE = "primary_index_duplicate"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    DISK_FULL = "disk_full"
    RESULT_TOO_LARGE = "result_too_large"
    WAREHOUSE_MISSING = "warehouse_missing"
    SQL_FAILED = "sql_failed"
    ENGINE_DIED = "engine_died"
    RESULT_MISSING = "result_missing"
    RESULT_DAMAGED = "result_damaged"
    BAD_MAPPING = "bad_mapping"


class RunFailed(Exception):
    """The run gave no result set. `code` and `values` say why, for people and for the event."""

    def __init__(self, code: RunFailure, values: Mapping[str, str] | None = None) -> None:
        self.code = code
        self.values = dict(values or {})
        super().__init__(f"{code}: {self.values}")


class RunCancelled(Exception):
    """Somebody asked for the run to stop, and it did: nothing of it is left."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is bound to `:name`; it never becomes part of the text."""

    name: str
    value: str | int | date


@dataclass(frozen=True, slots=True)
class OutputField:
    name: str
    is_personal: bool


@dataclass(frozen=True, slots=True)
class GrantedTable:
    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """`org_units` are the units whose rows are seen; none means no rows. `outputs` may come in any order."""

    sql: str
    source: str
    parameters: tuple[Parameter, ...]
    primary_index: tuple[str, ...]
    outputs: tuple[OutputField, ...]
    granted: tuple[GrantedTable, ...]
    org_units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result set. `type` is the engine's name of the type, such as BIGINT."""

    name: str
    type: str
    is_personal: bool


@dataclass(frozen=True, slots=True)
class ResultSet:
    """What a run found, immutable. The Parquet file's place follows from the run's id."""

    run_id: UUID
    rows: int
    columns: tuple[Column, ...]
    content_hash: str
    snapshot: str
    bytes: int
    duration_ms: int


class FieldFormat(StrEnum):
    """How a value is written. CENTS: an amount in minor units as they are; YUAN: the same with two decimals.
    DATE: 2026-07-01; DATE_COMPACT: 20260701.
    """

    TEXT = "text"
    INTEGER = "integer"
    CENTS = "cents"
    YUAN = "yuan"
    DATE = "date"
    DATE_COMPACT = "date_compact"


class Mask(StrEnum):
    """BY_CLASS: personal columns show their last four characters only, others everything.
    CLEAR is the approved exemption. CARD: first six and last four; NAME: the first character; ALL: stars.
    """

    BY_CLASS = "by_class"
    CLEAR = "clear"
    LAST_FOUR = "last_four"
    CARD = "card"
    NAME = "name"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class MappedField:
    """One field of an exported file: a result's column or a constant, translated, formatted, masked, padded.

    `width` is in characters, 0 leaves the length as it is. Values are filled with spaces on the right, those
    that are `is_zero_padded` with zeros on the left. A value that does not fit is a fault, never cut.
    """

    target: str
    source: str | None = None
    constant: str | None = None
    format: FieldFormat = FieldFormat.TEXT
    width: int = 0
    is_zero_padded: bool = False
    mask: Mask = Mask.BY_CLASS
    translation: Mapping[str, str] = field(default_factory=dict)


class Encoding(StrEnum):
    UTF_8 = "utf-8"
    GB18030 = "gb18030"


@dataclass(frozen=True, slots=True)
class FileLayout:
    """`separator` is empty for fields of fixed width; lines end with LF."""

    encoding: Encoding = Encoding.UTF_8
    separator: str = ","
    has_header: bool = True


DEFAULT_LAYOUT = FileLayout()


@dataclass(frozen=True, slots=True)
class Exported:
    """A file as it was written: rows without the header, its size and SHA-256 in hexadecimal."""

    path: Path
    rows: int
    bytes: int
    sha256: str


class Engine(Protocol):
    """Runs analysts' queries over one warehouse. Every method but `rows` may take minutes."""

    def check(self, query: Query) -> tuple[Fault, ...]:
        """The gate: everything that is wrong, each at ("sql",) with line, column, snippet and reason."""

    def count(self, query: Query) -> int:
        """How many rows the query gives now. Raise RunFailed."""

    def run(
        self,
        run_id: UUID,
        query: Query,
        progress: Callable[[int], None],
        is_cancelled: Callable[[], bool],
    ) -> ResultSet:
        """Write the result set of this run once, for ever; a repeat answers what is there.

        `progress` gets per cents, rising. Raise RunFailed or RunCancelled; nothing is left behind then.
        """

    def head(self, query: Query, most: int) -> list[tuple[Any, ...]]:
        """The first rows that the query gives now, in primary-index order; none is kept. Raise RunFailed."""

    def discard(self, run_id: UUID) -> None:
        """Remove the run's result and all that attempts at it have left. Raise OSError when it is held."""

    def sweep(self) -> int:
        """Remove what killed processes have left; how much that was."""

    def rows(self, run_id: UUID, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The columns of a finished run, row by row in primary-index order. Raise RunFailed."""

    def merged(self, run_id: UUID, named: str, parts: Sequence[tuple[UUID, str]]) -> ResultSet:
        """Write, once, a result set of the column `named` alone: the values that finished runs have in the
        column that each is given with, each once and ascending. Raise RunFailed.
        """

    def page(
        self, run_id: UUID, columns: Sequence[str], first: int, most: int, null: str | None = None
    ) -> list[tuple[Any, ...]]:
        """So many rows of a finished run in primary-index order, from the one at `first` (from 0) on; with
        `null` those rows alone count whose column of that name is null. Raise RunFailed.
        """

    def export(
        self, run_id: UUID, mapping: Sequence[MappedField], into: Path, layout: FileLayout = DEFAULT_LAYOUT
    ) -> Exported:
        """Write the file `into` by the mapping, in its order. Raise RunFailed."""


DATABASE_TYPES: Mapping[ColumnType, str] = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.BIG_INTEGER: "BIGINT",
    ColumnType.DATE: "DATE",
    ColumnType.BOOLEAN: "BOOLEAN",
}
"""A column's type in SQL."""
