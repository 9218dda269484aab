"""The runner of processes: follows the log and enqueues what is owed, in the transaction of its checkpoint.

One leader per process. A task's message id comes from the stream's version, so that following the log twice
enqueues once; the watchdog drives again what has stayed owed for long, under an id of its own.
"""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import psycopg
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

from application.processes.process import UNHEARD_MAX, Process, Step
from application.shared.records import Position
from infrastructure import database
from infrastructure.event_log import EventLog
from infrastructure.postgres_broker import PostgresBroker

BATCH_MAX = 500
LEAD_EVERY_S = 0.25
PAUSE_MIN_S = 0.002
PAUSE_MAX_S = 0.1
RECONNECT_S = 1.0
WATCH_EVERY_S = 5.0
LOOK_AFTER = timedelta(minutes=5)
FAR = timedelta(days=30)
"""What is due later than that is enqueued by the watchdog, a day before: a broker keeps no task for years."""
UNREADABLE = Step("")
"""Owed by a stream that can't be read: no task, but the watchdog's next look."""
WATCHED_MAX = 200

LEAD = "select pg_try_advisory_lock(hashtextextended('process:' || %s, 0))"
START = "insert into process.checkpoints (name) values (%s) on conflict do nothing"
RESUME = "select epoch, position from process.checkpoints where name = %s"
# What nobody follows still moves the horizon, or a log of other business would be read again and again.
FOLLOWED = """
select stream_id, stream_type, version, epoch, position from log.events
where (epoch, position) > (%s, %s)
  and (epoch, position) < ((select max(epoch) from log.epochs),
      pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 20)
order by epoch, position limit %s
"""
ADVANCE = """
update process.checkpoints set epoch = %s, position = %s where name = %s and (epoch, position) = (%s, %s)
"""
OWE = """
insert into process.owed as o (process, stream_id, stream_type, version, task, due_at, look_at)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict (process, stream_id) do update
set version = excluded.version, task = excluded.task, due_at = excluded.due_at, driven = 1,
    look_at = excluded.look_at
where excluded.version > o.version
"""
SETTLED = "delete from process.owed where process = %s and stream_id = %s and version <= %s"
STALLED = """
select stream_id, stream_type, version, driven from process.owed
where process = %s and look_at <= %s order by look_at limit %s for update skip locked
"""
DRIVEN = """
update process.owed set driven = driven + 1, look_at = %s
where process = %s and stream_id = %s and version = %s
"""
LATER = "update process.owed set look_at = %s where process = %s and stream_id = %s and version = %s"
LISTEN = "listen cardinal_appended"

logger = logging.getLogger(__name__)


class Superseded(Exception):
    """Another runner moved the checkpoint: start over from there."""


@dataclass(frozen=True, slots=True)
class Owed:
    """A step that a stream is owed at one version; None settles it."""

    stream_id: UUID
    stream_type: str
    version: int
    step: Step | None


class ProcessRunner:
    """One process in one session. Not thread-safe."""

    def __init__(
        self, connection: psycopg.Connection[Any], log: EventLog, broker: PostgresBroker, process: Process
    ) -> None:
        self._connection, self._log, self._broker, self._process = connection, log, broker, process
        self.position = Position(0, 0)

    def lead(self) -> bool:
        """Take the lead, which lasts as long as the session; False while somebody else has it."""
        if self._connection.execute(LEAD, [self._process.name]).fetchone() != (True,):
            return False
        self._connection.execute(START, [self._process.name])
        self.resume()
        return True

    def resume(self) -> None:
        row = self._connection.execute(RESUME, [self._process.name]).fetchone()
        assert row is not None
        self.position = Position(*row)

    def step(self) -> bool:
        """Follow one batch, if there is anything. Raise Superseded, psycopg.Error, BrokerConnectionError."""
        rows = self._connection.execute(FOLLOWED, [*self.position, BATCH_MAX]).fetchall()
        if not rows:
            return False
        moved = {(type_, stream): version for stream, type_, version, _, _ in rows}
        owed = [
            self._seen(type_, stream, version)
            for (type_, stream), version in moved.items()
            if type_ in self._process.deciders
        ]
        end = Position(*rows[-1][3:])
        with self._connection.transaction():
            parameters = [*end, self._process.name, *self.position]
            if self._connection.execute(ADVANCE, parameters).rowcount != 1:
                raise Superseded(self._process.name)
            self._drive(owed)
        self.position = end
        return True

    def watch(self, now: datetime) -> int:
        """Enqueue anew what has been owed for too long; return how many steps that were."""
        with self._connection.transaction():
            stalled = self._connection.execute(STALLED, [self._process.name, now, WATCHED_MAX]).fetchall()
            for stream_id, stream_type, version, driven in stalled:
                owed = self._seen(stream_type, stream_id, version)
                if owed.step == UNREADABLE:
                    look_at = now + LOOK_AFTER
                    self._connection.execute(LATER, [look_at, self._process.name, stream_id, version])
                    continue
                if owed.version != version or owed.step is None:
                    self._drive([owed])
                    continue
                logger.warning("%s drives %s again: %s", self._process.name, stream_id, owed.step.task)
                look_at = max(owed.step.due_at or now, now) + _patience(owed.step) * min(2**driven, 64)
                self._connection.execute(DRIVEN, [look_at, self._process.name, stream_id, version])
                self._enqueue(owed, owed.step, driven + 1)
        return len(stalled)

    def _seen(self, stream_type: str, stream_id: UUID, version: int) -> Owed:
        """What the stream is owed; one that can't be read holds up itself, and none of the others."""
        try:
            return self._owed(stream_type, stream_id)
        except psycopg.Error:
            raise
        except Exception:
            logger.exception(
                "%s can't read %s %s, and looks again", self._process.name, stream_type, stream_id
            )
            return Owed(stream_id, stream_type, version, UNREADABLE)

    def _owed(self, stream_type: str, stream_id: UUID) -> Owed:
        """As the stream stands now, which may be further than the log has been followed."""
        loaded = self._log.load(self._process.deciders[stream_type], stream_id)
        return Owed(stream_id, stream_type, loaded.version, self._process.next_step(loaded.state))

    def _drive(self, owed: Sequence[Owed]) -> None:
        """Note what is owed now, and enqueue it."""
        now = datetime.now(UTC)
        for each in owed:
            if each.step is None:
                settled = [self._process.name, each.stream_id, each.version]
                self._connection.execute(SETTLED, settled)
                continue
            due_at = each.step.due_at or now
            row = [self._process.name, each.stream_id, each.stream_type, each.version, each.step.task]
            is_far = due_at > now + FAR
            look_at = due_at - timedelta(days=1) if is_far else max(due_at, now) + _patience(each.step)
            self._connection.execute(OWE, [*row, due_at, look_at])
            if each.step == UNREADABLE or is_far or each.step.is_begun:
                continue
            self._enqueue(each, each.step, 1)

    def _enqueue(self, owed: Owed, step: Step, driven: int) -> None:
        with self._broker.joining(self._connection):
            self._broker.enqueue(self._message(owed, step, driven), delay=_delay_ms(step.due_at))

    def _message(self, owed: Owed, step: Step, driven: int) -> Message[Any]:
        name = f"{self._process.name}:{owed.version}:{step.task}:{driven}"
        message = self._broker.get_actor(step.task).message(str(owed.stream_id))
        return message.copy(message_id=str(uuid5(owed.stream_id, name)))


def _patience(step: Step) -> timedelta:
    return UNHEARD_MAX if step.is_begun else LOOK_AFTER


def _delay_ms(due_at: datetime | None) -> int | None:
    if due_at is None:
        return None
    return max(0, int((due_at - datetime.now(UTC)).total_seconds() * 1000)) or None


class Processes:
    """Runs processes, each in a thread of its own. Any number of operating-system processes may run one."""

    def __init__(self, url: str, broker: PostgresBroker, processes: Sequence[Process]) -> None:
        self._url, self._broker, self._processes = url, broker, processes

    def run(self, stop: threading.Event) -> None:
        """Lead or wait to lead until `stop` is set; a database that is away is waited for."""
        with database.pool(self._url, 2 * len(self._processes)) as pool:
            log = EventLog(pool)
            threads = [
                threading.Thread(target=self._keep, args=(process, log, stop), name=process.name)
                for process in self._processes
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _keep(self, process: Process, log: EventLog, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                with closing(database.connect(self._url)) as connection:
                    runner = ProcessRunner(connection, log, self._broker, process)
                    while not runner.lead():
                        if stop.wait(LEAD_EVERY_S):
                            return
                    _follow(runner, connection, stop)
            except (psycopg.OperationalError, BrokerConnectionError) as error:
                logger.warning("%s waits for the database or the broker: %s", process.name, error)
                stop.wait(RECONNECT_S)
            except Exception:
                logger.exception("%s stands still and tries again", process.name)
                stop.wait(RECONNECT_S)


def _follow(runner: ProcessRunner, connection: psycopg.Connection[Any], stop: threading.Event) -> None:
    connection.execute(LISTEN)
    watch_due_s, pause_s = time.monotonic(), PAUSE_MIN_S
    while not stop.is_set():
        try:
            if time.monotonic() >= watch_due_s:
                runner.watch(datetime.now(UTC))
                watch_due_s = time.monotonic() + WATCH_EVERY_S
            worked = runner.step()
            heard = list(connection.notifies(timeout=0 if worked else pause_s, stop_after=1))
            pause_s = PAUSE_MIN_S if worked or heard else min(2 * pause_s, PAUSE_MAX_S)
        except Superseded:
            runner.resume()
