"""Read tables in PostgreSQL: the rows that a batch touches in one statement, what became of them in another.

The statements name tables without their schema: the connection's search_path says whether they keep the
live tables (`read`) or a new version beside them (`rebuild`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple, Protocol, get_args, get_origin, get_type_hints
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb, set_json_loads
from pydantic import ValidationError

from application.shared.records import Log, Position, Record
from infrastructure import database
from projections.replays import records_of
from projections.shared.rows import RowProjection
from projections.shared.stretches import StretchStatement

OPEN = Position(2**31 - 1, 2**63 - 1)
"""Ends the version of a row that still stands."""

ERROR_CHARACTERS_MAX = 2_000

LOAD = "select {columns} from {table} where id = any(%s)"
DROP = "delete from {table} where id = any(%s)"
PUT = """
insert into {table} as t ({columns})
select {columns} from json_populate_recordset(null::{table}, %(rows)s::json)
on conflict (id) do update set {updates}
"""
CLOSE_VERSIONS = """
update {versions} v
set epoch_to = c.epoch, position_to = c.position
from unnest(%(ids)s::uuid[], %(epochs)s::integer[], %(positions)s::bigint[]) as c (id, epoch, position),
     lateral (
         select l.epoch_from, l.position_from, l.epoch_to
         from {versions} l where l.id = c.id order by l.epoch_from desc, l.position_from desc limit 1
     ) last
where last.epoch_to = 2147483647
  and (v.id, v.epoch_from, v.position_from) = (c.id, last.epoch_from, last.position_from)
"""
VERSION = ("epoch_from", "position_from", "epoch_to", "position_to", "recorded_at")
PUT_NEWEST = """
insert into {table} as t ({columns})
select {columns} from unnest(%(ids)s::uuid[]) as c (id_), lateral (
    select * from {versions} v where v.id = c.id_ order by v.epoch_from desc, v.position_from desc limit 1
) newest
where epoch_to = 2147483647
on conflict (id) do update set {updates}
"""


class Failure(NamedTuple):
    """A record that a projection could not take in."""

    stream_id: UUID
    position: Position
    error: str


def failure(stream_id: UUID, position: Position, error: Exception) -> Failure:
    """The error's text is seen by operators, so it leaves out the values that it speaks of where it can."""
    match error:
        case psycopg.Error(diag=diag) if diag.message_primary:
            text = diag.message_primary
        case ValidationError():
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            text = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
        case _:
            text = str(error)
    return Failure(stream_id, position, f"{type(error).__name__}: {text}"[:ERROR_CHARACTERS_MAX])


class Folded(Protocol):
    """What a batch comes to, not yet written."""

    @property
    def failures(self) -> Sequence[Failure]: ...


class Tables(Protocol):
    """The tables of one projection, and how a batch of records changes them."""

    @property
    def name(self) -> str: ...

    @property
    def stream_types(self) -> frozenset[str]: ...

    @property
    def names(self) -> tuple[str, ...]:
        """All its tables, the one that people read first; each has the id of its rows as first column."""
        ...

    def fold(self, connection: psycopg.Connection[Any], records: Sequence[Record[Any]]) -> Folded:
        """Read the rows that the records touch and fold the records in, for `write`.

        Where a record fails, the later ones of its stream are left out.
        """
        ...

    def write(self, connection: psycopg.Connection[Any], folded: Any) -> None:
        """Within the caller's transaction."""
        ...

    def refold(self, connection: psycopg.Connection[Any], log: Log, stream_id: UUID, up_to: Position) -> None:
        """Make anew, from the log up to a position, what the stream concerns. Raise what a record raises."""
        ...


def open_session(url: str, schema: str, statement_timeout_s: int = 60) -> psycopg.Connection[Any]:
    """A connection that keeps the tables of one schema. Its commits are whole, but needn't be on disk yet:

    what a crash takes back is taken back with its checkpoint, and is folded again.
    """
    connection = database.connect(url, statement_timeout_s=statement_timeout_s)
    connection.execute(
        "select set_config('search_path', %s, false), set_config('synchronous_commit', 'off', false)",
        [schema],
    )
    set_json_loads(orjson.loads, connection)
    return connection


def copy_in(
    connection: psycopg.Connection[Any], table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Add rows by COPY in the tables' own types: a third of the time of a statement that reads JSON."""
    names = ", ".join(columns)
    with connection.cursor() as cursor:
        cursor.execute(f"select {names} from {table} limit 0".encode(), prepare=True)
        types = [column.type_code for column in cursor.description or ()]
        with cursor.copy(f"copy {table} ({names}) from stdin (format binary)".encode()) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)


class _Step(NamedTuple):
    """A row after one record; None when it is gone."""

    position: Position
    recorded_at: datetime
    row: Any


@dataclass(slots=True)
class _FoldedRows:
    """`standing` are the rows that were there before, whose last version ends with the first step."""

    steps: dict[UUID, list[_Step]] = field(default_factory=dict)
    standing: frozenset[UUID] = frozenset()
    failures: list[Failure] = field(default_factory=list)


class RowTables:
    """The table of a row projection, and that of the rows' versions if it has one."""

    def __init__(self, projection: RowProjection[Any]) -> None:
        self._projection = projection
        self._row = projection.row
        self._columns = tuple(column.name for column in fields(projection.row))
        hints = get_type_hints(projection.row)
        self._values: Callable[[Any], tuple[Any, ...]] = attrgetter(*self._columns)
        origins = [_origin(hints[name]) for name in self._columns]
        self._tuples = [i for i, origin in enumerate(origins) if origin is tuple]
        self._json = [i for i, origin in enumerate(origins) if origin in (list, dict)]
        names = {
            "table": projection.table,
            "versions": projection.versions,
            "columns": ", ".join(self._columns),
            "updates": ", ".join(f"{name} = excluded.{name}" for name in self._columns if name != "id"),
        }
        self._load = LOAD.format_map(names).encode()
        self._drop = DROP.format_map(names).encode()
        self._put = PUT.format_map(names).encode()
        self._close_versions = CLOSE_VERSIONS.format_map(names).encode()
        self._put_newest = PUT_NEWEST.format_map(names).encode()

    @property
    def name(self) -> str:
        return self._projection.name

    @property
    def stream_types(self) -> frozenset[str]:
        return self._projection.stream_types

    @property
    def names(self) -> tuple[str, ...]:
        kept = (self._projection.table, self._projection.versions, *self._projection.settled)
        return tuple(name for name in kept if name)

    def fold(self, connection: psycopg.Connection[Any], records: Sequence[Record[Any]]) -> _FoldedRows:
        folded = _FoldedRows()
        keyed = list(self._keyed(records, folded.failures))
        rows = self._loaded(connection, {key for key, _ in keyed})
        folded.standing = frozenset(rows)
        held: set[UUID] = set()
        for key, record in keyed:
            if held and record.stream_id in held:
                continue
            before = rows.get(key)
            try:
                after = self._projection.project(before, record)
            except Exception as error:
                held.add(record.stream_id)
                folded.failures.append(failure(record.stream_id, record.position, error))
                continue
            if after is not before:
                rows[key] = after
                step = _Step(record.position, record.recorded_at, after)
                folded.steps.setdefault(key, []).append(step)
        return folded

    def write(self, connection: psycopg.Connection[Any], folded: _FoldedRows) -> None:
        if folded.steps:
            self._keep(connection, folded)
            gone = [key for key, steps in folded.steps.items() if steps[-1].row is None]
            self._finish(connection, gone)

    @property
    def stretch(self) -> StretchStatement | None:
        return self._projection.stretch

    def write_stretch(self, connection: psycopg.Connection[Any], values: Mapping[str, int]) -> None:
        """By the statement of `stretch`; `values` say where it begins and ends."""
        assert self._projection.stretch is not None
        connection.execute(self._projection.stretch.sql.encode(), values, prepare=False)

    def refold(self, connection: psycopg.Connection[Any], log: Log, stream_id: UUID, up_to: Position) -> None:
        key = next((self._projection.key(record) for record in log.records(stream_id)), None)
        if key is None:
            return
        row: Any = None
        steps = []
        for record in records_of(log, self._projection, key, up_to):
            after = self._projection.project(row, record)
            if after is not row:
                steps.append(_Step(record.position, record.recorded_at, after))
            row = after
        if self._projection.versions:
            connection.execute(DROP.format(table=self._projection.versions).encode(), [[key]])
        if steps:
            self._keep(connection, _FoldedRows({key: steps}))
        self._finish(connection, [] if row else [key])

    def _keyed(
        self, records: Iterable[Record[Any]], failures: list[Failure]
    ) -> Iterable[tuple[UUID, Record[Any]]]:
        held: set[UUID] = set()
        for record in records:
            if held and record.stream_id in held:
                continue
            try:
                key = self._projection.key(record)
            except Exception as error:
                held.add(record.stream_id)
                failures.append(failure(record.stream_id, record.position, error))
                continue
            if key is not None:
                yield key, record

    def _loaded(self, connection: psycopg.Connection[Any], keys: set[UUID]) -> dict[UUID, Any]:
        if not keys:
            return {}
        with connection.cursor(binary=True) as cursor:
            cursor.execute(self._load, [list(keys)], prepare=True)
            rows = [self._made(row) for row in cursor]
        return {row.id: row for row in rows}

    def _made(self, values: Sequence[Any]) -> Any:
        members = list(values)
        for place in self._tuples:
            if members[place] is not None:
                members[place] = tuple(members[place])
        return self._row(*members)

    def _keep(self, connection: psycopg.Connection[Any], folded: _FoldedRows) -> None:
        changed = folded.steps
        if not self._projection.versions:
            last = [steps[-1].row for steps in changed.values()]
            rows = orjson.dumps([row for row in last if row is not None], default=str).decode()
            connection.execute(self._put, {"rows": rows}, prepare=True)
            return
        ends = {key: steps[0].position for key, steps in changed.items() if key in folded.standing}
        if ends:
            closed = {
                "ids": list(ends),
                "epochs": [position.epoch for position in ends.values()],
                "positions": [position.offset for position in ends.values()],
            }
            connection.execute(self._close_versions, closed, prepare=True)
        versions = (version for steps in changed.values() for version in self._versions(steps))
        copy_in(connection, self._projection.versions, (*self._columns, *VERSION), versions)
        connection.execute(self._put_newest, {"ids": list(changed)}, prepare=True)

    def _versions(self, steps: Sequence[_Step]) -> Iterable[Sequence[Any]]:
        ends = [*(step.position for step in steps[1:]), OPEN]
        for step, end in zip(steps, ends, strict=True):
            if step.row is not None:
                values = [*self._values(step.row), *step.position, *end, step.recorded_at]
                for place in self._tuples:
                    if values[place] is not None:
                        values[place] = list(values[place])
                for place in self._json:
                    if values[place] is not None:
                        values[place] = Jsonb(values[place], orjson.dumps)
                yield values

    def _finish(self, connection: psycopg.Connection[Any], gone: Sequence[UUID]) -> None:
        if gone:
            connection.execute(self._drop, [gone])
        for statement in self._projection.settle:
            connection.execute(statement.encode())


def _origin(hint: Any) -> Any:
    """tuple for tuple[str, ...], also where the value may be None."""
    members = [member for member in get_args(hint) if member is not NoneType]
    optional = NoneType in get_args(hint) and len(members) == 1
    return get_origin(members[0] if optional else hint)
