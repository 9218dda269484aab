"""Workbooks: lists as .xlsx files with typed cells, written row by row in constant memory.

Text is always written as text: what begins with =, +, - or @ is no formula, and no address becomes a link.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from application.shared.sheets import Cell, CellType, Column

TEXT_CHARACTERS_MAX = 32_767
"""Of one cell. Source: Excel specifications and limits."""

ROWS_MAX = 1_048_575
"""Of one sheet, without its header. Source: the same."""


NUMBER_FORMATS = {
    CellType.TEXT: "@",
    CellType.INTEGER: "0",
    CellType.DECIMAL: "#,##0.00####",
    CellType.DATE_TIME: "yyyy-mm-dd hh:mm",
}


class Workbook:
    """One sheet with a header. A context manager: the file is whole when the block ends without error."""

    def __init__(self, path: Path, sheet: str, columns: Sequence[Column]) -> None:
        """Files that are needed on the way lie beside `path`."""
        options = {
            "constant_memory": True,
            "tmpdir": str(path.parent),
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        }
        import xlsxwriter  # type: ignore[import-untyped]  # when one is written, and not in every process

        self._book = xlsxwriter.Workbook(str(path), options)
        self._sheet = self._book.add_worksheet(sheet)
        self._columns = columns
        self._formats = {
            type_: self._book.add_format({"num_format": format_}) for type_, format_ in NUMBER_FORMATS.items()
        }
        self._rows = 0
        bold = self._book.add_format({"bold": True})
        for place, column in enumerate(columns):
            self._sheet.set_column(place, place, column.width)
            self._sheet.write_string(0, place, column.title, bold)
        self._sheet.freeze_panes(1, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._book.close()

    @property
    def rows(self) -> int:
        return self._rows

    def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write rows below those that are there; a cell that is None stays empty."""
        for row in rows:
            assert self._rows < ROWS_MAX, "a sheet has no more rows"
            self._rows += 1
            for place, (column, cell) in enumerate(zip(self._columns, row, strict=True)):
                if cell is not None:
                    self._write(place, column.type, cell)

    def _write(self, place: int, type_: CellType, cell: str | int | Decimal | datetime) -> None:
        format_ = self._formats[type_]
        match cell:
            case datetime():
                self._sheet.write_datetime(self._rows, place, cell, format_)
            case Decimal() | int():
                self._sheet.write_number(self._rows, place, float(cell), format_)
            case str():
                self._sheet.write_string(self._rows, place, cell[:TEXT_CHARACTERS_MAX], format_)
