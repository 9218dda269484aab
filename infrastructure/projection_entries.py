"""Tables of entries in PostgreSQL: rows that are only ever added, by COPY, and sums that go with them.

A batch's rows and its checkpoint commit together, so no row comes twice. Where a stream is folded anew, its
rows are taken out with their shares of the sums, and put in again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import Log, Position, Record
from infrastructure.projection_tables import Failure, copy_in, failure
from projections.shared.entries import EntryProjection, Share
from projections.shared.stretches import StretchStatement

TAKE_OUT = "delete from {table} where {stream} = %s returning {columns}"
ADD = """
insert into {sums} as s (id, {columns}, balance) values (%s, {places}, %s)
on conflict (id) do update set balance = s.balance + excluded.balance
"""


@dataclass(slots=True)
class _FoldedEntries:
    rows: list[Any] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


class EntryTables:
    """The table of an entry projection, and that of its sums if it has one."""

    def __init__(self, projection: EntryProjection[Any]) -> None:
        self._projection = projection
        self._columns = tuple(column.name for column in fields(projection.row))
        self._values = attrgetter(*self._columns)
        columns = ", ".join(self._columns)
        self._take_out = TAKE_OUT.format(
            table=projection.table, stream=projection.stream, columns=columns
        ).encode()

    @property
    def name(self) -> str:
        return self._projection.name

    @property
    def stream_types(self) -> frozenset[str]:
        return self._projection.stream_types

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self._projection.table, self._projection.sums) if name)

    def fold(self, _: psycopg.Connection[Any], records: Sequence[Record[Any]]) -> _FoldedEntries:
        folded, held = _FoldedEntries(), set[UUID]()
        for record in records:
            if held and record.stream_id in held:
                continue
            try:
                row = self._projection.project(record)
            except Exception as error:
                held.add(record.stream_id)
                folded.failures.append(failure(record.stream_id, record.position, error))
                continue
            if row is not None:
                folded.rows.append(row)
        return folded

    def write(self, connection: psycopg.Connection[Any], folded: _FoldedEntries) -> None:
        if folded.rows:
            rows = (self._values(row) for row in folded.rows)
            copy_in(connection, self._projection.table, self._columns, rows)
            self._add(connection, folded.rows, 1)

    @property
    def stretch(self) -> StretchStatement | None:
        return self._projection.stretch

    def write_stretch(self, connection: psycopg.Connection[Any], values: Mapping[str, int]) -> None:
        """By the statement of `stretch`; `values` say where it begins and ends."""
        statement, share = self._projection.stretch, self._projection.share
        assert statement is not None
        found = connection.execute(statement.sql.encode(), values, prepare=False)
        if share is not None:
            self._add_shares(connection, (share(*row) for row in found.fetchall()))

    def refold(self, connection: psycopg.Connection[Any], log: Log, stream_id: UUID, up_to: Position) -> None:
        taken = connection.execute(self._take_out, [stream_id]).fetchall()
        self._add(connection, [self._projection.row(*values) for values in taken], -1)
        folded = _FoldedEntries()
        for record in log.records(stream_id):
            if record.position > up_to:
                break
            if (
                record.stream_type in self.stream_types
                and (row := self._projection.project(record)) is not None
            ):
                folded.rows.append(row)
        self.write(connection, folded)

    def _add(self, connection: psycopg.Connection[Any], rows: Iterable[Any], sign: int) -> None:
        shares = (share for row in rows for share in self._projection.shares(row))
        self._add_shares(connection, shares, sign)

    def _add_shares(
        self, connection: psycopg.Connection[Any], shares: Iterable[Share], sign: int = 1
    ) -> None:
        """Add them to the sums, in the order of ids."""
        if self._projection.sums is None:
            return
        amounts: dict[UUID, int] = {}
        named: dict[UUID, Mapping[str, Any]] = {}
        for share in shares:
            named[share.id] = share.columns
            amounts[share.id] = amounts.get(share.id, 0) + sign * share.amount
        for id_ in sorted(amounts):
            columns = named[id_]
            places = ", ".join(["%s"] * len(columns))
            statement = ADD.format(sums=self._projection.sums, columns=", ".join(columns), places=places)
            connection.execute(statement.encode(), [id_, *columns.values(), amounts[id_]])
