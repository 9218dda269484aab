"""Read tables: columns are the rows', every version is kept, and the past can be asked for."""

import random
from dataclasses import fields
from types import NoneType
from typing import Any, get_args, get_type_hints

import psycopg
import pytest

from application.shared.records import Position
from infrastructure import projection_runner
from infrastructure.event_log import EventLog
from projections.activities import ACTIVITIES
from projections.approval_inbox import APPROVALS
from projections.registry import PROJECTIONS
from projections.shared.rows import RowProjection
from projections.timeline import TimelineRow
from tests.infrastructure.projection_histories import (
    all_records,
    assert_as_folded,
    catch_up,
    life,
    rows_of,
    stored_rows,
)
from tests.projections.folding import folded

COLUMNS = """
select column_name, is_nullable = 'YES' from information_schema.columns
where table_schema = 'read' and table_name = %s and is_generated = 'NEVER'
"""


@pytest.mark.parametrize(
    ("row", "table"),
    [
        *((projection.row, projection.table) for projection in PROJECTIONS),
        *((projection.row, projection.versions) for projection in PROJECTIONS if projection.versions),
        (TimelineRow, "timeline"),
    ],
)
def test_columns_are_the_rows_fields_and_null_only_where_the_field_may_be_none(
    cardinal_url: str, row: Any, table: str
) -> None:
    hints = get_type_hints(row)
    with psycopg.connect(cardinal_url) as connection:
        columns: dict[str, bool] = dict(connection.execute(COLUMNS, [table]).fetchall())
    for column in fields(row):
        assert columns[column.name] == (NoneType in get_args(hints[column.name])), column.name
    assert not any(columns[name] for name in columns.keys() - hints.keys())


@pytest.mark.parametrize("batch", [1, 7, 1_000])
def test_however_the_log_is_cut_into_batches_the_tables_hold_its_fold(
    cardinal_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """ES-05. A commit's events may come in two batches, and one row many times in one."""
    monkeypatch.setattr(projection_runner, "BATCH_RECORDS_MAX", batch)
    life(log, 60 if batch == 1 else 250, seed=batch)
    catch_up(cardinal_url, log)
    assert_as_folded(cardinal_url, all_records(log))


@pytest.mark.parametrize("projection", [ACTIVITIES, APPROVALS])
def test_rows_as_at_any_position_are_the_fold_up_to_it(
    cardinal_url: str, log: EventLog, projection: RowProjection[Any]
) -> None:
    """ES-03. Positions between and beyond those of events are positions too."""
    life(log, 250, seed=3)
    catch_up(cardinal_url, log)
    records, drawn = all_records(log), random.Random(3)
    some = [record.position for record in drawn.sample(records, 40)]
    beside = [Position(position.epoch, position.offset + drawn.choice([-1, 1])) for position in some[:10]]
    for at in (*some, *beside, Position(0, 0), Position(9, 0)):
        live = (
            f"read.{projection.versions} where (epoch_from, position_from) <= ({at.epoch}, {at.offset})"
            f" and (epoch_to, position_to) > ({at.epoch}, {at.offset})"
        )
        found = {row.id: row for (row,) in stored_rows(cardinal_url, projection.row, live, "id")}
        assert found == folded(projection, [record for record in records if record.position <= at])


def test_a_row_taken_in_twice_over_two_processes_goes_on_from_what_is_stored(
    cardinal_url: str, log: EventLog
) -> None:
    """Texts, lists, instants and numbers come back from the table as they went in."""
    begun = life(log, 80, seed=5)
    catch_up(cardinal_url, log)
    begun.goes_on(80)
    catch_up(cardinal_url, log)
    assert_as_folded(cardinal_url, all_records(log))
    assert len(rows_of(cardinal_url, ACTIVITIES)) > 5
