"""Schedules: cron expressions that enqueue tasks. Any number of schedulers may run; each time fires once."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import psycopg
from dramatiq import Broker
from dramatiq.errors import BrokerConnectionError
from psycopg.types.json import Jsonb

from application.shared.cron_times import latest_fire, next_fire, walk
from infrastructure import database
from infrastructure.postgres_broker import PostgresBroker

MAX_NAME_CHARS = 200
MAX_PAYLOAD_BYTES = 64 * 1024
MAX_BATCH = 20
PURGE_EVERY_S = 60.0
RECONNECT_S = 1.0
RUN_NAMESPACE = UUID("3f0c52c4-5a3e-5d0b-9a5e-0c1de2a0a7b4")

# A changed time is computed anew; a changed payload or actor leaves the next time as it is.
ENSURE = """
insert into tasks.schedule as s (name, cron, time_zone, actor, payload, enabled, next_at)
values (%(name)s, %(cron)s, %(time_zone)s, %(actor)s, %(payload)s, %(enabled)s, %(next_at)s)
on conflict (name) do update set
    cron = excluded.cron, time_zone = excluded.time_zone, actor = excluded.actor, payload = excluded.payload,
    enabled = excluded.enabled, fault = null,
    next_at = case
        when (s.cron, s.time_zone, s.enabled) = (excluded.cron, excluded.time_zone, excluded.enabled)
        then s.next_at else excluded.next_at end
where (s.cron, s.time_zone, s.actor, s.payload, s.enabled)
    <> (excluded.cron, excluded.time_zone, excluded.actor, excluded.payload, excluded.enabled)
"""

# Schedules of actors that only another version knows are left to that version.
CLAIM_DUE = """
select name, cron, time_zone, actor, payload, next_at from tasks.schedule
where enabled and fault is null and next_at <= %s and actor = any(%s)
order by next_at limit %s
for update skip locked
"""

RECORD_RUN = """
insert into tasks.schedule_run (schedule, fire_at, due_at, fired_at, message_id) values (%s, %s, %s, %s, %s)
on conflict (schedule, fire_at) do nothing
"""

PURGE_RUNS = """
with old as materialized (
    select schedule, fire_at from tasks.schedule_run where fired_at < %s
    order by fired_at limit 1000
    for update skip locked
)
delete from tasks.schedule_run r using old o where r.schedule = o.schedule and r.fire_at = o.fire_at
"""

WITHDRAW = "delete from tasks.schedule where name = %s"
PARK = "update tasks.schedule set fault = %s where name = %s"
ADVANCE = "update tasks.schedule set next_at = %s where name = %s"

logger = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task to enqueue again and again.

    ``cron`` has five fields (minute to day of week) and is read in ``time_zone`` (IANA). ``payload`` holds
    the actor's keyword arguments, at most 64 KiB of JSON. Raises ValueError for anything else.
    """

    name: str
    cron: str
    time_zone: str
    actor: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= MAX_NAME_CHARS:
            raise ValueError(f"a schedule's name has 1 to {MAX_NAME_CHARS} characters")
        walk(self.cron, self.time_zone, datetime(2000, 1, 1, tzinfo=UTC), reverse=False)
        try:
            text = json.dumps(dict(self.payload), allow_nan=False)
        except TypeError as error:
            raise ValueError(f"payload of schedule {self.name!r} is not JSON: {error}") from error
        if len(text) > MAX_PAYLOAD_BYTES or "\\u0000" in text:
            raise ValueError(
                f"payload of schedule {self.name!r} is over {MAX_PAYLOAD_BYTES} bytes or has NUL"
            )


class Due(NamedTuple):
    name: str
    cron: str
    time_zone: str
    actor: str
    payload: dict[str, Any]
    next_at: datetime


class Scheduler:
    """Fires due schedules. Run row, task and next time are one transaction, so no leader is needed.

    A time that passed while no scheduler ran fires once, for the latest one missed. The message id is
    derived from schedule and time, and the actor finds both in its message's options ``schedule`` and
    ``fire_at``. With another broker than PostgreSQL's the task is sent before the commit: never lost, but
    repeated under the same id when the commit fails.

    ``now`` gives the time, aware of its zone. Runs are remembered for ``keep_runs_d`` days. Not thread-safe.
    """

    def __init__(
        self,
        url: str,
        broker: Broker,
        *,
        now: Callable[[], datetime] = utc_now,
        poll_s: float = 0.5,
        keep_runs_d: int = 90,
    ) -> None:
        self._url, self._broker, self._now, self._poll_s = url, broker, now, poll_s
        self._keep_runs = timedelta(days=keep_runs_d)
        self._connection: psycopg.Connection[Any] | None = None

    def ensure(self, schedules: Sequence[Schedule]) -> None:
        """Store the schedules under their names; one that is there as declared is not touched.

        A new expression, zone or start counts from now; what is stopped or replaced is not caught up.
        Raises ActorNotFound before anything is stored; psycopg.OperationalError.
        """
        now = self._now()
        for schedule in schedules:
            self._broker.get_actor(schedule.actor)
        connection = self._connected()
        with connection.transaction():
            # In the order of names, so that two processes that start together don't deadlock.
            for schedule in sorted(schedules, key=lambda each: each.name):
                connection.execute(ENSURE, _row(schedule, now))

    def withdraw(self, name: str) -> bool:
        """Remove a schedule; its runs stay for their time. False when there is none of that name."""
        return self._connected().execute(WITHDRAW, [name]).rowcount == 1

    def tick(self) -> int:
        """Fire up to 20 due schedules in one transaction; return how many were due.

        Raises psycopg.OperationalError or BrokerConnectionError, having fired none.
        """
        now = self._now()
        connection = self._connected()
        with connection.transaction():
            actors = sorted(self._broker.get_declared_actors())
            rows = connection.execute(CLAIM_DUE, [now, actors, MAX_BATCH]).fetchall()
            for row in rows:
                self._fire(connection, Due(*row), now)
        return len(rows)

    def _fire(self, connection: psycopg.Connection[Any], due: Due, now: datetime) -> None:
        try:
            fire_at, next_at = _times(due, now)
        except ValueError as error:
            logger.error("Schedule %s is parked: %s", due.name, error)
            connection.execute(PARK, [str(error), due.name])
            return
        message_id = uuid5(RUN_NAMESPACE, f"{due.name}@{fire_at.astimezone(UTC).isoformat()}")
        run = [due.name, fire_at, due.next_at, now, message_id]
        if connection.execute(RECORD_RUN, run).rowcount:
            self._enqueue(connection, due, fire_at, message_id)
        connection.execute(ADVANCE, [next_at, due.name])

    def _enqueue(
        self, connection: psycopg.Connection[Any], due: Due, fire_at: datetime, message_id: UUID
    ) -> None:
        message = self._broker.get_actor(due.actor).message_with_options(
            kwargs=due.payload, schedule=due.name, fire_at=fire_at.astimezone(UTC).isoformat()
        )
        broker = self._broker
        with broker.joining(connection) if isinstance(broker, PostgresBroker) else nullcontext():
            broker.enqueue(message.copy(message_id=str(message_id)))

    def purge(self) -> int:
        """Forget one chunk of old runs; return how many rows went. ``run`` does it by itself."""
        return self._connected().execute(PURGE_RUNS, [self._now() - self._keep_runs]).rowcount

    def run(self, stop: threading.Event) -> None:
        """Fire what falls due until ``stop`` is set; a database or broker that is away is waited for."""
        purge_due_s = time.monotonic()
        while not stop.is_set():
            try:
                fired = self.tick()
                if time.monotonic() >= purge_due_s:
                    self.purge()
                    purge_due_s = time.monotonic() + PURGE_EVERY_S
                wait_s = 0.0 if fired == MAX_BATCH else self._poll_s
            except (psycopg.OperationalError, BrokerConnectionError) as error:
                logger.warning("Nothing fires until database and broker are back: %s", error)
                self.close()
                wait_s = RECONNECT_S
            stop.wait(wait_s)
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = database.connect(self._url)
        return self._connection


def _times(due: Due, now: datetime) -> tuple[datetime, datetime | None]:
    """The time to fire for, and the next one. Times between them that were missed are left out."""
    following = next_fire(due.cron, due.time_zone, due.next_at)
    if following is None or following > now:
        return due.next_at, following
    latest = latest_fire(due.cron, due.time_zone, now) or due.next_at
    return max(due.next_at, latest), next_fire(due.cron, due.time_zone, now)


def _row(schedule: Schedule, now: datetime) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "actor": schedule.actor,
        "payload": Jsonb(dict(schedule.payload)),
        "enabled": schedule.enabled,
        "next_at": next_fire(schedule.cron, schedule.time_zone, now),
    }
