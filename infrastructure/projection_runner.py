"""The runner: one leader per projection folds the log into its tables, batch by batch, each exactly once.

A batch's rows, its checkpoint and what it had to park commit together. The leader holds a lock in the very
session that writes, so a leader that lost it can't write; the checkpoint is compared besides, for retries
and rebuilds change the tables too.
"""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import Position, Record
from infrastructure import database
from infrastructure.event_log import EventLog
from infrastructure.interpreter import collecting_seldom, switching_every
from infrastructure.projection_entries import EntryTables
from infrastructure.projection_parking import (
    PARKED_MAX,
    ParkedTooMany,
    is_poison,
    park,
    parked_streams,
    retry_on,
)
from infrastructure.projection_registry import ALL
from infrastructure.projection_tables import Failure, RowTables, Tables, failure, open_session
from infrastructure.stored_records import record

BATCH_RECORDS_MAX = 1_000
STRETCH_EVENTS = 10_000
"""In one transaction, which holds back all readers of the log for as long as it takes."""
LEAD_EVERY_S = 0.25
PAUSE_MIN_S = 0.002
# While events keep coming, a projection gathers some before it looks again; one that they don't concern has
# nothing to show, and would only keep those from working that have.
GATHER_S = 0.005
GATHER_UNCONCERNED_S = 0.03
PAUSE_MAX_S = 0.1
RECONNECT_S = 1.0
RETRY_EVERY_S = 60.0
RETRIED_MAX = 20
SWITCH_EVERY_S = 0.02

LEAD = "select pg_try_advisory_lock(hashtextextended('projection:' || %s, 0))"
START = "insert into projection.checkpoints (name) values (%s) on conflict do nothing"
RESUME = "select epoch, position, generation from projection.checkpoints where name = %s"
# Who listens hears of it at the commit. Entity tags tell by the changed position whether rows are the same.
ADVANCE = """
with moved as (
    update projection.checkpoints set epoch = %s, position = %s{changed}
    where name = %s and (epoch, position, generation) = (%s, %s, %s)
    returning name
)
select pg_notify('cardinal_projected', name) from moved
"""
ADVANCE_ONLY = ADVANCE.format(changed="")
ADVANCE_CHANGED = ADVANCE.format(changed=", changed_epoch = %s, changed_position = %s")
LISTEN = "listen cardinal_appended"
STRETCH_END = """
select epoch, position from log.events where (epoch, position) > (%s, %s) and (epoch, position) <= (%s, %s)
order by epoch, position offset %s limit 1
"""
KINDS = """
select distinct event_type, schema_version from log.events
where (epoch, position) > (%s, %s) and (epoch, position) <= (%s, %s) and stream_type = any(%s)
"""

logger = logging.getLogger(__name__)


class Superseded(Exception):
    """Somebody else rewrote the projection's tables or its checkpoint: start over from there."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What the projection is concerned with of a stretch of the log that ends at `end`.

    `is_full`: as much as is read at a time, so more is likely to be there.
    """

    reads: Sequence[Record[Any] | Failure]
    end: Position
    is_full: bool = False


class Runner:
    """One projection in one session, which its caller opens with the search_path of the tables to keep.

    `checkpoint` is its name in projection.checkpoints; `rest_s` how long to rest after the last step, while
    events gather. Not thread-safe.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], log: EventLog, tables: Tables, checkpoint: str
    ) -> None:
        self._connection, self._log, self._tables, self._checkpoint = connection, log, tables, checkpoint
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix=f"{checkpoint}-ahead")
        self._next: tuple[Position, Future[Batch | None]] | None = None
        self._parked: set[UUID] = set()
        self._generation = 0
        self.position = Position(0, 0)
        self.rest_s = 0.0

    def lead(self) -> bool:
        """Take the lead, which lasts as long as the session; False while somebody else has it."""
        row = self._connection.execute(LEAD, [self._checkpoint]).fetchone()
        if row != (True,):
            return False
        self._connection.execute(START, [self._checkpoint])
        self.resume()
        return True

    def resume(self) -> None:
        """Take up the work where the tables stand."""
        with self._connection.transaction():
            # Parked streams and generation must be of one moment: the lock keeps retries out in between.
            row = self._connection.execute(f"{RESUME} for share", [self._checkpoint]).fetchone()
            self._parked = set(parked_streams(self._connection, self._checkpoint))
        assert row is not None
        self.position, self._generation = Position(*row[:2]), row[2]

    def step(self, up_to: Position | None = None) -> bool:
        """Take in one batch, if there is anything. Raise Superseded, ParkedTooMany, psycopg.Error."""
        batch = self._read()
        if batch is not None and up_to is not None and batch.end > up_to:
            batch = Batch([read for read in batch.reads if read.position <= up_to], up_to)
        if batch is None or batch.end <= self.position:
            return False
        if batch.is_full:
            self.rest_s = 0.0
        else:
            self.rest_s = GATHER_S if batch.reads else GATHER_UNCONCERNED_S
        self._take_in(batch)
        return True

    def leap(self, up_to: Position) -> bool:
        """Take in a whole stretch by the projection's statement, some ten times as fast as by its function.

        False where it has none, where less than a stretch is left, and where something in it is for the
        function alone: what the statement does not understand, and streams that are parked.
        """
        tables = self._tables
        if not isinstance(tables, RowTables | EntryTables) or tables.stretch is None or self._parked:
            return False
        execute = partial(self._connection.execute, prepare=False)  # planned by where it begins
        row = execute(STRETCH_END, [*self.position, *up_to, STRETCH_EVENTS - 1]).fetchone()
        if row is None:
            return False
        end, known = Position(*row), tables.stretch.event_types
        kinds = execute(KINDS, [*self.position, *end, list(tables.stream_types)])
        if any(version > known.get(event_type, 0) for event_type, version in kinds):
            return False
        begin = {"epoch": self.position.epoch, "position": self.position.offset}
        try:
            with self._connection.transaction():
                self._advance(end, changed=True)
                tables.write_stretch(
                    self._connection, {**begin, "end_epoch": end.epoch, "end_position": end.offset}
                )
        except psycopg.DataError:  # the function will park the stream
            return False
        self.position = end
        return True

    def close(self) -> None:
        self._ahead.shutdown(cancel_futures=True)

    def _read(self) -> Batch | None:
        """The next batch; a full one has the one after it read while it is worked on."""
        position, self._next, ahead = self.position, None, self._next
        batch = ahead[1].result() if ahead and ahead[0] == position else self._batch(position)
        if batch is not None and len(batch.reads) > BATCH_RECORDS_MAX // 2:
            self._next = batch.end, self._ahead.submit(self._batch, batch.end)
        return batch

    def _batch(self, after: Position) -> Batch | None:
        reads: list[Record[Any] | Failure] = []
        rows = self._log.log_recorder.recorded_after(after, BATCH_RECORDS_MAX)
        for row in rows:
            stream_id, stream_type, _, *position = row[:5]
            if stream_type not in self._tables.stream_types:
                continue
            try:
                reads.append(record(row))
            except Exception as error:
                if not is_poison(error):
                    raise
                reads.append(failure(stream_id, Position(*position), error))
        if not rows:
            return None
        return Batch(reads, Position(*rows[-1][3:5]), len(rows) == BATCH_RECORDS_MAX)

    def _take_in(self, batch: Batch) -> None:
        """All of it, or, where the database refuses a row, by halves until the one record stands alone."""
        try:
            self._commit(batch)
        except Exception as error:
            if isinstance(error, Superseded | ParkedTooMany) or not is_poison(error) or not batch.reads:
                raise
            if len(batch.reads) == 1:
                alone = batch.reads[0]
                self._commit(Batch([failure(alone.stream_id, alone.position, error)], batch.end))
                return
            middle = len(batch.reads) // 2
            self._take_in(Batch(batch.reads[:middle], batch.reads[middle - 1].position))
            self._take_in(Batch(batch.reads[middle:], batch.end))

    def _commit(self, batch: Batch) -> None:
        if not batch.reads:
            self._advance(batch.end, changed=False)
            self.position = batch.end
            return
        records, failures = _sorted_out(batch.reads, self._parked)
        folded = self._tables.fold(self._connection, records)
        failures += folded.failures
        parked = self._parked.union(failed.stream_id for failed in failures)
        if len(parked) > PARKED_MAX:
            raise ParkedTooMany(f"{self._checkpoint} has {len(parked)} streams to park: {failures[0].error}")
        with self._connection.transaction():
            # The checkpoint is locked before any row: retries and rebuilds keep to the same order.
            self._advance(batch.end, changed=True)
            park(self._connection, self._checkpoint, failures)
            self._tables.write(self._connection, folded)
        for failed in failures:
            logger.error("%s parks stream %s: %s", self._checkpoint, failed.stream_id, failed.error)
        self.position, self._parked = batch.end, parked

    def _advance(self, end: Position, *, changed: bool) -> None:
        moved = [*end, *end] if changed else [*end]
        parameters = [*moved, self._checkpoint, *self.position, self._generation]
        statement = ADVANCE_CHANGED if changed else ADVANCE_ONLY
        if self._connection.execute(statement, parameters, prepare=True).rowcount != 1:
            raise Superseded(self._checkpoint)


def _sorted_out(
    reads: Sequence[Record[Any] | Failure], parked: set[UUID]
) -> tuple[list[Record[Any]], list[Failure]]:
    """The records to fold and what could not be read; of parked streams neither."""
    records: list[Record[Any]] = []
    failures: list[Failure] = []
    held = set(parked)
    for read in reads:
        if held and read.stream_id in held:
            continue
        if isinstance(read, Failure):
            held.add(read.stream_id)
            failures.append(read)
        else:
            records.append(read)
    return records, failures


class Projector:
    """Keeps projections current, each in a thread of its own. Any number of processes may run one.

    `url` is the database's; `projections` are all, unless named.
    """

    def __init__(self, url: str, projections: Sequence[Tables] = ALL) -> None:
        self._url, self._projections = url, projections

    def run(self, stop: threading.Event) -> None:
        """Lead or wait to lead until `stop` is set; a database that is away is waited for."""
        with (
            collecting_seldom(),
            switching_every(SWITCH_EVERY_S),
            database.pool(self._url, 2 * len(self._projections)) as pool,
        ):
            log = EventLog(pool)
            threads = [
                threading.Thread(target=self._keep, args=(tables, log, stop), name=tables.name)
                for tables in self._projections
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _keep(self, tables: Tables, log: EventLog, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                with open_session(self._url, "read") as connection:
                    runner = Runner(connection, log, tables, tables.name)
                    try:
                        _lead(runner, connection, log, tables, stop)
                    finally:
                        runner.close()
            except psycopg.OperationalError as error:
                logger.warning("%s waits for the database: %s", tables.name, error)
                stop.wait(RECONNECT_S)
            except Exception:
                logger.exception("%s stands still and tries again", tables.name)
                stop.wait(RECONNECT_S)


def _lead(
    runner: Runner,
    connection: psycopg.Connection[Any],
    log: EventLog,
    tables: Tables,
    stop: threading.Event,
) -> None:
    while not runner.lead():
        if stop.wait(LEAD_EVERY_S):
            return
    connection.execute(LISTEN)
    retry_due_s, pause_s = time.monotonic(), PAUSE_MIN_S
    while not stop.is_set():
        try:
            if time.monotonic() >= retry_due_s:
                _retry(runner, connection, log, tables)
                retry_due_s = time.monotonic() + RETRY_EVERY_S
            worked = runner.step()
            if worked:
                stop.wait(runner.rest_s)
            heard = list(connection.notifies(timeout=0 if worked else pause_s, stop_after=1))
            # What was announced may lie above the horizon for a moment: look again soon, then seldom.
            pause_s = PAUSE_MIN_S if worked or heard else min(2 * pause_s, PAUSE_MAX_S)
        except Superseded:
            runner.resume()


def _retry(runner: Runner, connection: psycopg.Connection[Any], log: EventLog, tables: Tables) -> None:
    """A later version of the code, or what another stream brought, may have mended what was parked."""
    streams = parked_streams(connection, tables.name)[:RETRIED_MAX]
    for stream_id in streams:
        retry_on(connection, log, tables, stream_id)
    if streams:
        runner.resume()
