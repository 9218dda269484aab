"""A bank that lives at random but by a seed, and what its read tables hold beside what they must hold."""

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any, get_origin, get_type_hints
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from application.shared.records import Position, Record
from domain.catalogues import Kind
from domain.shared.refusal import Refused
from infrastructure.event_log import EventLog
from infrastructure.projection_registry import ALL, BY_NAME
from infrastructure.projection_runner import Runner
from infrastructure.projection_tables import Tables, open_session
from projections.registry import PROJECTIONS
from projections.shared.rows import RowProjection
from projections.timeline import TimelineRow
from tests.application.bank import LIN, RAO, TAN, WU, Bank
from tests.projections.folding import Version, entries, folded, versions


@dataclass
class Life:
    """Commands drawn from a seed; what is refused is simply not done."""

    log: EventLog
    seed: int
    types: list[UUID] = field(default_factory=list)
    cost_types: list[UUID] = field(default_factory=list)
    activities: list[UUID] = field(default_factory=list)
    approvals: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bank, self.random = Bank(self.log), random.Random(self.seed)
        self.types.append(self.bank.add_type(f"Root of {self.seed}", code=f"R{self.seed}"))
        self.cost_types.append(self.bank.add_cost_type(f"Cost of {self.seed}", code=f"K{self.seed}"))
        self.number = 0

    def goes_on(self, commands: int) -> "Life":
        acts: list[Callable[[], object]] = [
            *[self.add_type] * 2, self.add_cost_type, self.rename, self.move, self.switch, self.remove,
            *[self.draft] * 4, *[self.revise] * 2, *[self.submit] * 6, *[self.decide] * 12,
            *[self.run] * 8, self.withdraw, self.delete,
        ]  # fmt: skip
        for _ in range(commands):
            self.attempt(*acts)
        return self

    def attempt(self, *acts: Callable[[], object]) -> None:
        """One of the acts; a refusal is the end of it."""
        self.number += 1
        with suppress(Refused):
            self.random.choice(acts)()

    def _one(self, ids: list[UUID]) -> UUID:
        """Mostly one of the latest: the others have come to their end."""
        return self.random.choice(ids[-5:] if self.random.random() < 0.8 else ids)

    def _code(self) -> str:
        return f"S{self.seed}N{self.number}"

    def add_type(self) -> None:
        parent = self._one(self.types) if self.random.random() < 0.8 else None
        self.types.append(self.bank.add_type(f"Type {self.number}", code=self._code(), parent=parent))

    def add_cost_type(self) -> None:
        self.cost_types.append(self.bank.add_cost_type(f"Cost {self.number}", code=self._code()))

    def rename(self) -> None:
        self.bank.rename(Kind.ACTIVITY_TYPE, self._one(self.types), f"Named {self.number}")

    def move(self) -> None:
        self.bank.move(self._one(self.types[1:] or self.types), self.random.choice([None, *self.types]))

    def switch(self) -> None:
        """The first stays as it is, so that there is always something to choose."""
        turn = self.random.choice([self.bank.disable, *[self.bank.enable] * 2])
        if len(self.types) > 1:
            turn(Kind.ACTIVITY_TYPE, self._one(self.types[1:]), by=WU)

    def remove(self) -> None:
        kind, ids = self.random.choice([(Kind.ACTIVITY_TYPE, self.types), (Kind.COST_TYPE, self.cost_types)])
        if len(ids) > 2:
            self.bank.remove(kind, self._one(ids[1:]))

    def _plan(self) -> Any:
        kind = self.random.choice([self.types[0], self._one(self.types)])
        costs = [self._one(self.cost_types) for _ in range(self.random.randrange(3))]
        return self.bank.plan(kind, *costs, name=f"Plan {self.number}")

    def draft(self) -> None:
        self.activities.append(self.bank.draft(self._plan(), self._code()))

    def revise(self) -> None:
        self.bank.revise(self._one(self.activities), self._plan(), by=WU)

    def submit(self) -> None:
        self.approvals.append(self.bank.submit(self._one(self.activities)))

    def decide(self) -> None:
        decide = self.bank.approve if self.random.random() < 0.85 else self.bank.reject
        decide(self._one(self.approvals), by=self.random.choice([RAO, TAN]))

    def run(self) -> None:
        verbs = [*[self.bank.launch] * 4, self.bank.pause, self.bank.resume, self.bank.cancel]
        self.random.choice(verbs)(self._one(self.activities), by=LIN)

    def withdraw(self) -> None:
        self.bank.withdraw(self._one(self.activities))

    def delete(self) -> None:
        self.bank.delete(self._one(self.activities))


def life(log: EventLog, commands: int, seed: int = 1) -> Life:
    """A life that has gone on for so many commands; with nothing to choose from, none are given."""
    begun = Life(log, seed)
    begun.draft()
    begun.submit()
    return begun.goes_on(commands)


def all_records(log: EventLog) -> list[Record[Any]]:
    """Everything that happened, in its order; claims too."""
    found: list[Record[Any]] = []
    while more := log.follow(found[-1].position if found else Position(0, 0), 10_000):
        found += more
    return found


def catch_up(url: str, log: EventLog, *projections: Tables, batches_max: int = 1_000_000) -> None:
    """Take in what there is, at most so many batches; all projections unless some are named."""
    for tables in projections or ALL:
        with open_session(url, "read") as connection:
            runner = Runner(connection, log, tables, tables.name)
            assert runner.lead()
            for _ in range(batches_max):
                if not runner.step():
                    break
            runner.close()


def stored_rows(url: str, row: type, table: str, order: str, more: str = "") -> list[tuple[Any, ...]]:
    """A table's rows as objects of the row type, each with the further columns behind."""
    names, hints = [column.name for column in fields(row)], get_type_hints(row)
    with psycopg.connect(url, row_factory=tuple_row, options="-c timezone=UTC") as connection:
        sql = f"select {', '.join(names)}{more} from {table} order by {order}"
        found = connection.execute(sql.encode()).fetchall()
    made = []
    for values in found:
        members = [
            tuple(value) if get_origin(hints[name]) is tuple else value
            for name, value in zip(names, values, strict=False)
        ]
        made.append((row(*members), *values[len(names) :]))
    return made


def rows_of(url: str, projection: RowProjection[Any]) -> dict[UUID, Any]:
    return {row.id: row for (row,) in stored_rows(url, projection.row, f"read.{projection.table}", "id")}


def versions_of(url: str, projection: RowProjection[Any]) -> list[Version]:
    more = ", epoch_from, position_from, epoch_to, position_to, recorded_at"
    order = "id, epoch_from, position_from"
    return [
        Version(row, Position(*span[:2]), Position(*span[2:4]), span[4])
        for row, *span in stored_rows(url, projection.row, f"read.{projection.versions}", order, more)
    ]


def timeline_of(url: str) -> list[TimelineRow]:
    return [row for (row,) in stored_rows(url, TimelineRow, "read.timeline", "epoch, position")]


def assert_as_folded(url: str, records: Iterable[Record[Any]], *, but: Iterable[UUID] = ()) -> None:
    """Every read table holds what a fold from the first record gives: nothing skipped, nothing doubled."""
    known, left_out = list(records), set(but)
    for projection in PROJECTIONS:
        expected = {id_: row for id_, row in folded(projection, known).items() if id_ not in left_out}
        found = {id_: row for id_, row in rows_of(url, projection).items() if id_ not in left_out}
        assert found == expected, projection.name
        if projection.versions:
            wanted = [version for version in versions(projection, known) if version.row.id not in left_out]
            kept = [v for v in versions_of(url, projection) if v.row.id not in left_out]
            assert kept == wanted, projection.versions
    told = [entry for entry in entries(known) if not left_out & set(entry.related_ids)]
    assert [entry for entry in timeline_of(url) if not left_out & set(entry.related_ids)] == told


ACTIVITY_TABLES = BY_NAME["activities"]
TIMELINE_TABLES = BY_NAME["timeline"]
