"""Histories without a database, and what tables must hold: the plain fold over all records from the first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from application.shared.records import Context, Position, Record
from infrastructure.event_types import BY_CLASS
from projections.shared.rows import RowProjection
from projections.timeline import TimelineRow, entry, touched

NAMES = UUID("00000000-0000-5000-8000-000000000000")
MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
OPEN = Position(2**31 - 1, 2**63 - 1)


def id_of(name: str) -> UUID:
    """The same name is the same thing in every test."""
    return uuid5(NAMES, name)


@dataclass
class History:
    """Records in the order of the log, each a minute after the one before."""

    records: list[Record[Any]] = field(default_factory=list)
    versions: Counter[UUID] = field(default_factory=Counter)

    def happens(self, stream_type: str, stream: str, *events: Any, by: str = "lin") -> "History":
        for event in events:
            self.versions[id_of(stream)] += 1
            number = len(self.records) + 1
            at = MORNING + number * timedelta(minutes=1)
            self.records.append(
                Record(
                    stream_id=id_of(stream),
                    stream_type=stream_type,
                    version=self.versions[id_of(stream)],
                    position=Position(1, number),
                    event_type=BY_CLASS[type(event)].name,
                    schema_version=1,
                    event_id=id_of(f"event {number}"),
                    recorded_at=at,
                    context=Context(by, None, "HO", id_of("command"), id_of("talk"), None, at, None),
                    event=event,
                )
            )
        return self


class Version(NamedTuple):
    """A row and how long it stood so."""

    row: Any
    since: Position
    until: Position
    recorded_at: datetime


def folded(projection: RowProjection[Any], records: Iterable[Record[Any]]) -> dict[UUID, Any]:
    """The rows that are there in the end."""
    rows: dict[UUID, Any] = {}
    for record in records:
        if record.stream_type in projection.stream_types:
            key = projection.key(record)
            if key is not None:
                rows[key] = projection.project(rows.get(key), record)
    return {key: row for key, row in rows.items() if row is not None}


def versions(projection: RowProjection[Any], records: Iterable[Record[Any]]) -> list[Version]:
    """Every row that ever was, in the order of ids and positions."""
    found: dict[UUID, list[Version]] = {}
    for record in records:
        if record.stream_type not in projection.stream_types:
            continue
        key = projection.key(record)
        if key is None:
            continue
        known = found.setdefault(key, [])
        before = known[-1].row if known else None
        after = projection.project(before, record)
        if after is not before:
            if known and known[-1].until == OPEN:
                known[-1] = known[-1]._replace(until=record.position)
            known.append(Version(after, record.position, OPEN, record.recorded_at))
    kept = [version for known in found.values() for version in known if version.row is not None]
    return sorted(kept, key=lambda version: (version.row.id.bytes, version.since))


def entries(records: Iterable[Record[Any]]) -> list[TimelineRow]:
    """The whole timeline."""
    rows: dict[UUID, Any] = {}
    found = []
    for record in records:
        for each in touched(record):
            before, after = rows.get(each.key), each.told.projection.project(rows.get(each.key), record)
            rows[each.key] = after
            if each.is_own:
                found.append(entry(each.told, record, before, after))
    return found


def row_of(projection: RowProjection[Any], history: History, stream: str) -> Any:
    """The row of a stream by its name, None when it is gone or never was."""
    return folded(projection, history.records).get(id_of(stream))


def columns(rows: Sequence[Any], name: str) -> list[Any]:
    return [getattr(row, name) for row in rows]
