"""Workbooks: what is written is what another program reads, cell by cell and type by type."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import load_workbook

from application.shared.sheets import Cell, CellType, Column
from infrastructure.workbooks import TEXT_CHARACTERS_MAX, Workbook

COLUMNS = (
    Column("=Name"),
    Column("Count", CellType.INTEGER),
    Column("Amount", CellType.DECIMAL),
    Column("At", CellType.DATE_TIME),
)
NOON = datetime(2027, 3, 1, 12, 30, tzinfo=UTC).replace(tzinfo=None)


def read(path: Path, *rows: Sequence[Cell]) -> list[list[object]]:
    with Workbook(path, "list", COLUMNS) as workbook:
        workbook.add(rows)
    assert workbook.rows == len(rows)
    return [[(cell.value, cell.data_type) for cell in row] for row in load_workbook(path).active.iter_rows()]


def test_every_type_of_cell_is_read_back(tmp_path: Path) -> None:
    """ACT-05: dates and numbers as typed cells."""
    header, row, empty = read(
        tmp_path / "x.xlsx", ["春节 Spring", 37, Decimal("1234.50"), NOON], [None, 0, None, None]
    )
    assert header == [("=Name", "s"), ("Count", "s"), ("Amount", "s"), ("At", "s")]
    assert row == [("春节 Spring", "s"), (37, "n"), (1234.5, "n"), (NOON, "d")]
    assert empty == [(None, "n"), (0, "n"), (None, "n"), (None, "n")]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "{=1}", "12", "0012", "http://example.org", "\tx", "=", "a\nb"]
)
def test_text_stays_text(tmp_path: Path, text: str) -> None:
    """ACT-05: nothing that somebody typed is calculated, counted or opened."""
    [_, [cell, *_]] = read(tmp_path / "x.xlsx", [text, None, None, None])
    assert cell == (text, "s")


def test_text_beyond_the_length_of_a_cell_is_cut(tmp_path: Path) -> None:
    [_, [(text, _), *_]] = read(tmp_path / "x.xlsx", ["x" * (TEXT_CHARACTERS_MAX + 1), None, None, None])  # type: ignore[misc]
    assert text == "x" * TEXT_CHARACTERS_MAX


def test_what_is_needed_on_the_way_lies_beside_the_file(tmp_path: Path) -> None:
    """Whoever removes the folder removes everything."""
    with Workbook(tmp_path / "x.xlsx", "list", COLUMNS) as workbook:
        workbook.add([["x", 1, Decimal(1), NOON]] * 100)
        assert list(tmp_path.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["x.xlsx"]
