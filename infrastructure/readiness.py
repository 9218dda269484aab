"""Whether this deployment can serve: looked at every second in a thread, so that asking never waits."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog

from infrastructure.database import connection_options
from infrastructure.log_recorder import HORIZON
from infrastructure.migrate import migrations

LOOK_EVERY_S = 1.0
# Sums over all ledgers are made less often.
SUM_EVERY_S = 60.0
# After so long without an answer the last one counts no more.
STALE_AFTER_S = 5.0
TIMEOUT_S = 3

APPLIED = "select number, checksum from public.migrations"
# An event that is not yet taken in is as late as the time since it was recorded.
PROJECTIONS = f"""
select p.name,
    exists (
        select from pg_locks l
        where l.locktype = 'advisory' and l.granted and l.objsubid = 1
          and l.database = (select oid from pg_database where datname = current_database())
          and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('projection:' || p.name, 0)
    ),
    coalesce(extract(epoch from clock_timestamp() - (
        select e.recorded_at from log.events e
        where (e.epoch, e.position) > (coalesce(c.epoch, 0), coalesce(c.position, 0)) and {HORIZON}
        order by e.epoch, e.position limit 1
    )), 0)::float8,
    (select count(*) from projection.parked k where k.projection = p.name)
from unnest(%s::text[]) as p (name) left join projection.checkpoints c using (name)
"""
# What is not sealed yet is as old as the oldest event after the newest seal.
UNSEALED_S = f"""
with newest as (
    select epoch, position from log.seals where not is_void
    union all select 0, 0 order by 1 desc, 2 desc limit 1)
select coalesce(extract(epoch from clock_timestamp() - (
    select e.recorded_at from log.events e
    where (e.epoch, e.position) > (select epoch, position from newest) and {HORIZON}
    order by e.epoch, e.position limit 1)), 0)::float8
"""
# The dead wait for somebody; a task that is due and not begun is as late as the time since it was due.
TASKS = """
select (select count(*) from tasks.dead_message),
    coalesce(extract(epoch from clock_timestamp() - (
        select min(available_at) from tasks.message where state = 'ready')), 0)::float8
"""
BACKUP_AGE_S = "select extract(epoch from clock_timestamp() - max(taken_at))::float8 from public.backups"
# What the archiver has not confirmed yet; its slot is there from its first start on.
ARCHIVE_BEHIND = """
select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8
from pg_replication_slots where slot_name = 'cardinal_archive'
"""
# Double entry: what customers have got and what was given against it add up to nothing.
IMBALANCE = """
select ((select coalesce(sum(earned - used - expired), 0) from read.points_accounts)
      + (select coalesce(sum(balance), 0) from read.points_contra_accounts))::float8
"""
SNAPSHOT = """
select pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint
from pg_current_snapshot() s
"""

logger = structlog.get_logger("cardinal.readiness")


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that must be well. `fault` says in a sentence what is not; times are in seconds."""

    name: str
    fault: str | None = None
    measures: Mapping[str, float] = field(default_factory=dict)


class Horizon:
    """For how long an open transaction has kept readers of the log below what was committed after it.

    Seen by this process alone, from one look to the next; it needs no rights to look at other sessions.
    """

    def __init__(self) -> None:
        self._lowest, self._since_s = -1, 0.0

    def age_s(self, lowest: int, next_: int, now_s: float) -> float:
        """`lowest` is a snapshot's xmin, `next_` its xmax: equal when nothing that has ended is held back."""
        if lowest != self._lowest or lowest == next_:
            self._lowest, self._since_s = lowest, now_s
        return now_s - self._since_s


class Readiness:
    """`parts` is what was seen last; `more` tells of parts that are no matter of the database."""

    def __init__(
        self,
        url: str,
        projections: Sequence[str],
        lag_max_s: float,
        horizon_age_max_s: float,
        more: Callable[[], Sequence[Part]] = tuple,
    ) -> None:
        self._url, self._projections, self._more = url, list(projections), more
        self._lag_max_s, self._horizon_age_max_s = lag_max_s, horizon_age_max_s
        self._wanted = {migration.number: migration.checksum for migration in migrations()}
        self._horizon = Horizon()
        self._seen: Sequence[Part] = [Part("database", "it has not been looked at yet")]
        self._seen_s = time.monotonic()
        self._imbalance, self._summed_s = 0.0, -SUM_EVERY_S
        self._told: Set[str] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="readiness", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()

    def parts(self) -> Sequence[Part]:
        """All parts; without waiting."""
        seen = self._seen
        if time.monotonic() - self._seen_s > STALE_AFTER_S:
            seen = [Part("database", f"it has not answered for {STALE_AFTER_S:.0f} s")]
        return [*seen, *self._more()]

    def _watch(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        while not self._stop.is_set():
            try:
                if connection is None or connection.closed:
                    connection = self._connect()
                self._saw(list(self._look(connection)))
            except psycopg.Error as error:
                self._saw([Part("database", _in_short(error))])
                if connection is not None:
                    with suppress(psycopg.Error):
                        connection.close()
                connection = None
            self._stop.wait(LOOK_EVERY_S)
        if connection is not None:
            connection.close()

    def _saw(self, parts: Sequence[Part]) -> None:
        faults = {part.name: part.fault for part in parts if part.fault is not None}
        if faults.keys() != self._told:
            if faults:
                logger.warning("not ready", **faults)
            else:
                logger.info("ready")
            self._told = faults.keys()
        self._seen, self._seen_s = parts, time.monotonic()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self._url,
            autocommit=True,
            options=connection_options(TIMEOUT_S),
            connect_timeout=TIMEOUT_S,
            application_name="cardinal-readiness",
            keepalives_idle=TIMEOUT_S,
            tcp_user_timeout=TIMEOUT_S * 1000,
        )

    def _look(self, connection: psycopg.Connection[Any]) -> Iterator[Part]:
        connection.execute("select 1")
        yield Part("database")
        try:
            fault = self._migration_fault(dict(connection.execute(APPLIED)))
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            fault = "none has been applied: run `cardinal migrate`"
        yield Part("migrations", fault)
        if fault is None:
            for name, led, lag_s, parked in connection.execute(PROJECTIONS.encode(), [self._projections]):
                yield self._projection(name, led, lag_s, parked)
            row = connection.execute(UNSEALED_S.encode()).fetchone()
            assert row is not None
            yield Part("seals", None, {"unsealed_s": round(row[0], 3)})
            yield from self._operated(connection)
        row = connection.execute(SNAPSHOT).fetchone()
        assert row is not None
        age_s = self._horizon.age_s(row[0], row[1], time.monotonic())
        late = age_s > self._horizon_age_max_s
        yield Part(
            "horizon",
            f"a transaction has been open for {age_s:.0f} s and holds readers back" if late else None,
            {"age_s": round(age_s, 3)},
        )

    def _operated(self, connection: psycopg.Connection[Any]) -> Iterator[Part]:
        """What no client notices at once, and an operator must."""
        row = connection.execute(TASKS.encode()).fetchone()
        assert row is not None
        yield Part("tasks", None, {"dead": row[0], "waiting_s": round(max(row[1], 0.0), 3)})
        if (now_s := time.monotonic()) - self._summed_s >= SUM_EVERY_S:
            self._summed_s = now_s
            row = connection.execute(IMBALANCE.encode()).fetchone()
            assert row is not None
            self._imbalance = row[0]
        yield Part("ledgers", None, {"imbalance": self._imbalance})
        taken, slot = (connection.execute(sql).fetchone() for sql in (BACKUP_AGE_S, ARCHIVE_BEHIND))
        if taken is not None and taken[0] is not None:
            measures = {"age_s": round(taken[0], 3)}
            if slot is not None and slot[0] is not None:
                measures["behind_bytes"] = slot[0]
            yield Part("backups", None, measures)

    def _migration_fault(self, applied: Mapping[int, str]) -> str | None:
        missing = sorted(self._wanted.keys() - applied.keys())
        if missing:
            return f"migration {missing[0]} has not been applied: run `cardinal migrate`"
        if any(applied[number] != checksum for number, checksum in self._wanted.items()):
            return "the database was migrated by another version of Cardinal"
        return None

    def _projection(self, name: str, led: bool, lag_s: float, parked: int) -> Part:
        fault = None
        if not led:
            fault = "nobody keeps it: is a projector running?"
        elif lag_s > self._lag_max_s:
            fault = f"it is {lag_s:.0f} s behind the log"
        return Part(f"projection:{name}", fault, {"lag_s": round(lag_s, 3), "parked": parked})


def _in_short(error: psycopg.Error) -> str:
    """What strangers may learn of a fault: no addresses, no names."""
    if isinstance(error, psycopg.OperationalError):
        return "it can't be reached or doesn't answer"
    return f"it answers with an error ({error.sqlstate or type(error).__name__})"
