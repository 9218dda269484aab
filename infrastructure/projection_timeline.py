"""The timeline's tables: an entry for each event, and the rows as they stand, to tell of the next one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

import orjson
import psycopg
from pydantic import TypeAdapter

from application.shared.records import Log, Position, Record
from infrastructure.projection_tables import Failure, failure
from projections import timeline
from projections.replays import records_of
from projections.timeline import TimelineRow, Told, Touched

COLUMNS = ", ".join(column.name for column in fields(TimelineRow))
LOAD = f'select stream_id, "row"::text from {timeline.STATES} where stream_id = any(%s)'.encode()
ADD = (
    f"insert into {timeline.TABLE} ({COLUMNS})"
    f" select {COLUMNS} from json_populate_recordset(null::{timeline.TABLE}, %s::json)"
).encode()
KEEP = (
    f'insert into {timeline.STATES} (stream_id, "row")'
    f' select stream_id, "row" from json_populate_recordset(null::{timeline.STATES}, %s::json)'
    ' on conflict (stream_id) do update set "row" = excluded."row"'
).encode()
FORGET = f"delete from {timeline.STATES} where stream_id = any(%s)".encode()
REMOVE = f"delete from {timeline.TABLE} where stream_id = %s".encode()

ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    told.stream_type: TypeAdapter(told.projection.row) for told in timeline.TOLD
}


@dataclass(slots=True)
class _FoldedEntries:
    """`rows` are those that the batch changed, None where one is gone."""

    entries: list[TimelineRow] = field(default_factory=list)
    rows: dict[UUID, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


class TimelineTables:
    """Folds the very rows of the other projections, and writes down what each event changed."""

    name = timeline.TIMELINE
    stream_types = timeline.STREAM_TYPES
    names = (timeline.TABLE, timeline.STATES)

    def fold(self, connection: psycopg.Connection[Any], records: Sequence[Record[Any]]) -> _FoldedEntries:
        folded = _FoldedEntries()
        concerned = list(_concerned(records, folded.failures))
        rows = _loaded(connection, {each.key: each.told for _, touched in concerned for each in touched})
        held: set[UUID] = set()
        for record, touched in concerned:
            if held and record.stream_id in held:
                continue
            try:
                folded.entries += _told(record, touched, rows, folded.rows)
            except Exception as error:
                held.add(record.stream_id)
                folded.failures.append(failure(record.stream_id, record.position, error))
        return folded

    def write(self, connection: psycopg.Connection[Any], folded: _FoldedEntries) -> None:
        if folded.entries:
            connection.execute(ADD, [orjson.dumps(folded.entries).decode()], prepare=True)
        kept = [{"stream_id": key, "row": row} for key, row in folded.rows.items() if row is not None]
        if kept:
            connection.execute(KEEP, [orjson.dumps(kept, default=str).decode()], prepare=True)
        if len(kept) < len(folded.rows):
            connection.execute(FORGET, [[key for key, row in folded.rows.items() if row is None]])

    def refold(self, connection: psycopg.Connection[Any], log: Log, stream_id: UUID, up_to: Position) -> None:
        """The entries of every row that the stream concerns: what they tell hangs on each other."""
        first = next(iter(log.records(stream_id)), None)
        for touched in timeline.touched(first) if first else ():
            folded = _FoldedEntries(rows={touched.key: None})
            rows: dict[UUID, Any] = {}
            for record in records_of(log, touched.told.projection, touched.key, up_to):
                same = [each for each in timeline.touched(record) if each.key == touched.key]
                folded.entries += _told(record, same, rows, folded.rows)
            connection.execute(REMOVE, [touched.key])
            self.write(connection, folded)


def _concerned(
    records: Iterable[Record[Any]], failures: list[Failure]
) -> Iterator[tuple[Record[Any], Sequence[Touched]]]:
    held: set[UUID] = set()
    for record in records:
        if record.stream_id in held:
            continue
        try:
            touched = list(timeline.touched(record))
        except Exception as error:
            held.add(record.stream_id)
            failures.append(failure(record.stream_id, record.position, error))
            continue
        yield record, touched


def _told(
    record: Record[Any], touched: Sequence[Touched], rows: dict[UUID, Any], changed: dict[UUID, Any]
) -> list[TimelineRow]:
    """Fold one record into all its rows, or into none; the entry of its own row."""
    after = {each.key: each.told.projection.project(rows.get(each.key), record) for each in touched}
    told = [
        timeline.entry(each.told, record, rows.get(each.key), after[each.key])
        for each in touched
        if each.is_own
    ]
    changed.update((key, row) for key, row in after.items() if row is not rows.get(key))
    rows.update(after)
    return told


def _loaded(connection: psycopg.Connection[Any], keys: dict[UUID, Told]) -> dict[UUID, Any]:
    if not keys:
        return {}
    found = connection.execute(LOAD, [list(keys)], prepare=True).fetchall()
    return {id_: ADAPTERS[keys[id_].stream_type].validate_json(text) for id_, text in found}
