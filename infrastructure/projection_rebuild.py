"""Rebuild: a new version of one projection's tables, folded beside the live ones, compared and swapped in.

Commands, reads and the live runner go on. The two are compared in one snapshot in which both have reached the
same position; the swap locks the live tables for a moment only. A rebuild that is killed leaves tables that
nobody reads, and the next one begins by dropping them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import Position
from infrastructure import database
from infrastructure.event_log import EventLog
from infrastructure.interpreter import collecting_seldom
from infrastructure.projection_parking import LOCK, SUPERSEDE
from infrastructure.projection_registry import BY_NAME
from infrastructure.projection_runner import RESUME, START, Runner
from infrastructure.projection_tables import Tables, open_session

STATEMENT_TIMEOUT_S = 3_600
DIFFERING_SHOWN_MAX = 10
ROUNDS_MAX = 100
SWAP_ATTEMPTS_MAX = 300
SWAP_NOWAIT_ATTEMPTS = 280
SWAP_PAUSE_S = 0.02
SWAP_LOCK_TIMEOUT = "2s"
BATCH_TIMEOUT = "60s"
"""How long the leader's batch under way may take: who waits for it holds nobody up."""

LOCK_WITHIN = "select set_config('lock_timeout', %s, true)"
FORGET = "delete from projection.checkpoints where name = %s"
FORGET_PARKED = "delete from projection.parked where projection = %s"
ADOPT_PARKED = "update projection.parked set projection = %s where projection = %s"
OPTIONS = "select array_to_string(reloptions, ', ') from pg_class where oid = %s::regclass"
KEY = """
select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped
order by attnum limit 1
"""
COUNT = "select count(*) from {schema}.{table}"
DIFFERING = """
with differing as (
    select distinct {key} as id
    from ((table read.{table} except table rebuild.{table}) union all
          (table rebuild.{table} except table read.{table})) d
)
select count(*), (array_agg(id order by id))[1:{shown}] from differing
"""


class RebuildRefused(Exception):
    """The rebuild did not happen, or not to the end; the live tables are as they were."""


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """`phase` is "fold", "compare" or "swap"; `position` has come from the beginning towards `target`."""

    phase: str
    position: Position
    target: Position


@dataclass(frozen=True, slots=True)
class TableDifference:
    """How a table differed from its rebuilt version: by how many ids, the first ten of which are named."""

    table: str
    rows_live: int
    rows_rebuilt: int
    differing: int
    first_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """`position` is where the new tables stood at the swap, `parked` the streams that wait aside.

    `tables` is how they compared shortly before; one that was equal has no differing ids.
    """

    name: str
    position: Position
    parked: int
    duration_s: float
    tables: tuple[TableDifference, ...]

    @property
    def is_equal(self) -> bool:
        return not any(table.differing for table in self.tables)


def rebuild(
    url: str, name: str, progress: Callable[[RebuildProgress], None] = lambda _: None
) -> RebuildReport:
    """Fold the projection anew and put it in place of the live tables, equal or not: the log is right.

    Raise KeyError for an unknown projection, RebuildRefused when one is under way or readers never paused.
    """
    began_s = time.monotonic()
    tables = BY_NAME[name]
    beside = f"{name}:rebuild"
    with (
        collecting_seldom(),
        database.pool(url, 2) as pool,
        open_session(url, "rebuild", STATEMENT_TIMEOUT_S) as session,
        open_session(url, "read", STATEMENT_TIMEOUT_S) as control,
    ):
        runner = Runner(session, EventLog(pool), tables, beside)
        try:
            if not runner.lead():
                raise RebuildRefused(f"{name} is being rebuilt elsewhere")
            _begin(session, tables, beside)
            runner.resume()
            work = _Rebuild(control, runner, tables, beside, progress)
            work.catch_up()
            compared = work.compare(url)
            position, parked = work.swap()
        finally:
            runner.close()
    return RebuildReport(name, position, parked, time.monotonic() - began_s, compared)


def _begin(session: psycopg.Connection[Any], tables: Tables, beside: str) -> None:
    """Empty tables with the live ones' indexes and settings; what an earlier try left is dropped."""
    with session.transaction():
        session.execute(FORGET, [beside])
        session.execute(FORGET_PARKED, [beside])
        session.execute(START, [beside])
        for table in tables.names:
            session.execute(f"drop table if exists rebuild.{table}".encode())
            session.execute(f"create table rebuild.{table} (like read.{table} including all)".encode())
            options = session.execute(OPTIONS, [f"read.{table}"]).fetchone()
            if options and options[0]:
                session.execute(f"alter table rebuild.{table} set ({options[0]})".encode())


class _Rebuild:
    """The rebuilt tables are `runner`'s; `control` is a session of its own that locks the live ones."""

    def __init__(
        self,
        control: psycopg.Connection[Any],
        runner: Runner,
        tables: Tables,
        beside: str,
        progress: Callable[[RebuildProgress], None],
    ) -> None:
        self._control, self._runner, self._tables = control, runner, tables
        self._beside, self._progress = beside, progress

    def catch_up(self) -> None:
        """Come near to where the live tables stand; never beyond, for the swap makes that position live."""
        self._control.execute(START, [self._tables.name])
        for _ in range(ROUNDS_MAX):
            row = self._control.execute(RESUME, [self._tables.name]).fetchone()
            assert row is not None
            if self._fold_to("fold", Position(*row[:2])) <= 1:
                return

    def compare(self, url: str) -> tuple[TableDifference, ...]:
        """Live and rebuilt tables in one snapshot; the live runner waits only until that is taken."""
        with open_session(url, "read", STATEMENT_TIMEOUT_S) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.read_only = True
            with reader.transaction():
                with self._live_at_rest("compare"):
                    reader.execute("select 1")
                return tuple(_difference(reader, table) for table in self._tables.names)

    def swap(self) -> tuple[Position, int]:
        """Put the rebuilt tables in place of the live ones: where they stand, and how many streams wait."""
        for attempt in range(SWAP_ATTEMPTS_MAX):
            try:
                with self._live_at_rest("swap") as position:
                    return position, self._exchange(waits=attempt >= SWAP_NOWAIT_ATTEMPTS)
            except psycopg.errors.LockNotAvailable:
                time.sleep(SWAP_PAUSE_S)
        raise RebuildRefused(f"{self._tables.name} is read without a pause: try again when it is quieter")

    @contextmanager
    def _live_at_rest(self, phase: str) -> Iterator[Position]:
        """Within the block the live tables don't move, and the rebuilt ones stand where they stand."""
        with self._control.transaction():
            self._control.execute(LOCK_WITHIN, [BATCH_TIMEOUT])
            try:
                row = self._control.execute(LOCK, [self._tables.name]).fetchone()
            except psycopg.errors.LockNotAvailable:
                raise RebuildRefused(f"the leader of {self._tables.name} does not pause") from None
            assert row is not None
            live = Position(*row)
            self._fold_to(phase, live)
            yield live

    def _fold_to(self, phase: str, target: Position) -> int:
        """How many batches it took."""
        batches = 0
        while self._runner.position < target:
            if not (self._runner.leap(target) or self._runner.step(target)):
                raise RebuildRefused(f"the log ends before {target}, where the live tables stand")
            batches += 1
            self._progress(RebuildProgress(phase, self._runner.position, target))
        return batches

    def _exchange(self, waits: bool) -> int:
        """All locks or none at first: who waits for one while he holds another would stop every reader."""
        live, execute = self._tables.name, self._control.execute
        execute(LOCK_WITHIN, [SWAP_LOCK_TIMEOUT])
        locked = ", ".join(f"read.{table}" for table in self._tables.names)
        execute(f"lock table {locked} in access exclusive mode {'' if waits else 'nowait'}".encode())
        for table in self._tables.names:
            execute(f"drop table read.{table}".encode())
            execute(f"alter table rebuild.{table} set schema read".encode())
        execute(SUPERSEDE, [live])
        execute(FORGET, [self._beside])
        execute(FORGET_PARKED, [live])
        return execute(ADOPT_PARKED, [live, self._beside]).rowcount


def _difference(reader: psycopg.Connection[Any], table: str) -> TableDifference:
    def one(sql: str, *parameters: str) -> tuple[Any, ...]:
        row = reader.execute(sql.encode(), parameters).fetchone()
        assert row is not None
        return tuple(row)

    (key,) = one(KEY, f"read.{table}")
    (live,) = one(COUNT.format(schema="read", table=table))
    (rebuilt,) = one(COUNT.format(schema="rebuild", table=table))
    count, ids = one(DIFFERING.format(key=key, table=table, shown=DIFFERING_SHOWN_MAX))
    return TableDifference(table, live, rebuilt, count, tuple(ids or ()))
