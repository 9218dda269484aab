"""What a read table is: a row type, and the pure function that keeps one row current."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from application.shared.records import Record
from projections.shared.stretches import StretchStatement

Row = TypeVar("Row")


def _no_other_streams(_: Record[Any]) -> Iterable[UUID]:
    return ()


@dataclass(frozen=True, slots=True)
class RowProjection(Generic[Row]):
    """One read table, folded from the log.

    `name` is that of the checkpoint and never changes. `table` and `versions` are tables without their
    schema; `versions` keeps every row that ever was, for questions about the past. `row` is a frozen
    dataclass, without slots for the sake of `altered`, whose fields are the columns, `id` and `version`
    among them.

    `key` tells the row that a record concerns, None when it concerns none; `project` returns the row after
    it, the same object when nothing changes, None when the row is gone. A key is the id of the stream that
    the row is about; other streams may concern it too, and `sources` names those that a record mentions.

    `settle` are statements over the whole table, run in order after each batch that changed a row; the
    tables that they keep besides are `settled`. `stretch` keeps `table` alone.
    """

    name: str
    table: str
    row: type[Row]
    stream_types: frozenset[str]
    key: Callable[[Record[Any]], UUID | None]
    project: Callable[[Row | None, Record[Any]], Row | None]
    versions: str | None = None
    sources: Callable[[Record[Any]], Iterable[UUID]] = _no_other_streams
    settle: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    stretch: StretchStatement | None = None


def own_stream(record: Record[Any]) -> UUID | None:
    """The key of rows that are about one stream and nothing else."""
    return record.stream_id


def changed(record: Record[Any]) -> dict[str, Any]:
    """The columns that every row has of the last record that changed it, but for the version."""
    return {"changed_at": record.recorded_at, "changed_by": record.context.actor}


def created(record: Record[Any]) -> dict[str, Any]:
    """The columns that a row gets once."""
    return {"created_at": record.recorded_at, "created_by": record.context.actor}


def altered(row: Row, **columns: Any) -> Row:
    """The row with other values in some columns; `dataclasses.replace` takes several times as long."""
    copy: Row = object.__new__(type(row))
    values = vars(copy)
    values.update(vars(row))
    values.update(columns)
    return copy


def given(row: Row | None) -> Row:
    """The row that an event takes for granted."""
    assert row is not None, "the event speaks of a row that is not there"
    return row


def instant_text(moment: datetime) -> str:
    """An instant inside JSON, as the API writes instants: 2026-03-01T08:00:00.000000Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
