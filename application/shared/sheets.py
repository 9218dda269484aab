"""What a list as a spreadsheet is made of, whatever program writes it."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class CellType(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE_TIME = "date_time"


@dataclass(frozen=True, slots=True)
class Column:
    """`width` in characters."""

    title: str
    type: CellType = CellType.TEXT
    width: int = 16


Cell = str | int | Decimal | datetime | None
"""DATE_TIME cells are local times without a zone, for spreadsheets know none; None stays empty."""


class Sheet(Protocol):
    """Rows below a header; text stays text, whatever it begins with."""

    @property
    def rows(self) -> int:
        """How many were added."""
        ...

    def add(self, rows: Iterable[Sequence[Cell]]) -> None: ...


class OpenSheet(Protocol):
    """Opens a sheet: its file is whole when the block ends without error."""

    def __call__(
        self, path: Path, sheet: str, columns: Sequence[Column], /
    ) -> AbstractContextManager[Sheet]: ...
