"""The page of guards: each place that it names holds what it says, and each test is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs" / "guards.md").read_text().splitlines()
    if line.startswith("| ") and ".py`" in line
]
FILE = re.compile(r"[a-z_/]+\.py")


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_guard_and_its_test_are_where_the_page_says(row: list[str]) -> None:
    _, guards, tests = row
    for cell, defines in ((guards, r"\b{}\b"), (tests, r"\ndef {}\(")):
        file, named = "", 0
        for name in re.findall(r"`([^`]+)`", cell):
            if FILE.fullmatch(name):
                file = (ROOT / name).read_text()
            else:
                named += 1
                assert re.search(defines.format(re.escape(name)), file), name
        assert named, cell


def test_the_page_has_a_row_for_each_promise() -> None:
    assert len(ROWS) >= 40
    assert all(len(row) == 3 for row in ROWS)
