"""How far the projections are behind, what they parked, and what holds every reader of the log back."""

from dataclasses import dataclass
from typing import Any

import psycopg

from application.shared.records import Position
from infrastructure import database
from infrastructure.log_recorder import HORIZON
from infrastructure.projection_registry import ALL

LAG_EVENTS_MAX = 10_000
ROWS_COUNTED_MAX = 100_000

CHECKPOINTS = """
select c.name, c.epoch, c.position, (select count(*) from projection.parked p where p.projection = c.name)
from projection.checkpoints c
"""
LAG_EVENTS = f"""
select count(*) from (
    select from log.events where (epoch, position) > (%s, %s) and {HORIZON} limit {LAG_EVENTS_MAX}) behind
"""
LAG_S = f"""
select extract(epoch from clock_timestamp() - recorded_at)::float from log.events
where (epoch, position) > (%s, %s) and {HORIZON} order by epoch, position limit 1
"""
ESTIMATE = "select reltuples::bigint from pg_class where oid = %s::regclass"
# Every transaction with an id, in whatever database of the server: readers stop below the oldest.
HORIZON_AGE_S = """
select coalesce(extract(epoch from clock_timestamp() - min(began_at)), 0)::float from (
    select xact_start as began_at from pg_stat_activity where backend_xid is not null
    union all
    select prepared from pg_prepared_xacts) writing
"""


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """`lag_events` counts at most 10,000; `lag_s` is the age of the oldest event not yet taken in, else 0.

    `parked` are streams. `rows` are those of its first table, an estimate above 100,000.
    """

    name: str
    position: str
    lag_events: int
    lag_s: float
    parked: int
    rows: int


def status(url: str) -> list[ProjectionStatus]:
    """All projections, also those that never ran."""
    with database.connect(url) as connection:
        found = {name: rest for name, *rest in connection.execute(CHECKPOINTS)}
        return [
            _status(connection, tables.name, tables.names[0], *found.get(tables.name, (0, 0, 0)))
            for tables in ALL
        ]


def horizon_age_s(url: str) -> float:
    """The age of the oldest open writing transaction: nobody sees an event that was recorded since.

    Sessions of other logins count only if this one may see them (`pg_read_all_stats`).
    """
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        return float(_one(connection, HORIZON_AGE_S))


def _status(
    connection: psycopg.Connection[Any], name: str, table: str, epoch: int, offset: int, parked: int
) -> ProjectionStatus:
    rows = int(_one(connection, ESTIMATE, f"read.{table}"))
    if rows <= ROWS_COUNTED_MAX:
        rows = int(_one(connection, f"select count(*) from read.{table}"))
    return ProjectionStatus(
        name=name,
        position=str(Position(epoch, offset)),
        lag_events=int(_one(connection, LAG_EVENTS, epoch, offset)),
        lag_s=max(0.0, float(_one(connection, LAG_S, epoch, offset) or 0)),
        parked=parked,
        rows=rows,
    )


def _one(connection: psycopg.Connection[Any], sql: str, *parameters: object) -> Any:
    row = connection.execute(sql.encode(), parameters).fetchone()
    return row[0] if row else None
