"""What the worker does: each task by its name, and when it is due."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, LiteralString, NoReturn
from uuid import UUID

import dramatiq
import psycopg
import structlog
from psycopg_pool import ConnectionPool

from application.processes.ended_activities import Ended
from domain.segment_runs import ATTEMPTS_MAX
from infrastructure.schedules import Schedule

END_DUE_ACTIVITIES = "end_due_activities"
EXECUTE_SEGMENT_RUN = "execute_segment_run"
# Half of the statement's limit on the server times the commands of one run stays well below this.
TIME_LIMIT_MS = 10 * 60 * 1000
# The next minute's run does what this one could not.
RETRIES_MAX = 3
# Above the limit of the engine, which stops a query by itself.
RUN_TIME_LIMIT_MS = 30 * 60 * 1000
# One more than the attempts of a run: the last delivery records that it has failed.
RUN_RETRIES_MAX = ATTEMPTS_MAX

DUE = """
select id from read.activities
where status in ('running', 'paused') and ends_at <= %s
order by ends_at, id limit %s
"""

DUE_WORK_ORDERS = """
select id from read.work_orders
where status = 'scheduled' and execution_at <= %s
order by execution_at, id limit %s
"""

logger = structlog.get_logger("cardinal.tasks")


def declare(
    broker: dramatiq.Broker, end_due: Callable[[], Ended], execute_run: Callable[[UUID], None]
) -> None:
    """Make the tasks known to the broker, for who performs them and for who enqueues them alike."""

    @dramatiq.actor(
        actor_name=END_DUE_ACTIVITIES, broker=broker, max_retries=RETRIES_MAX, time_limit=TIME_LIMIT_MS
    )
    def end_due_activities() -> None:
        ended = end_due()
        for activity_id, why in ended.refused:
            logger.warning("an activity that is over was not ended", activity=str(activity_id), why=why)
        if ended.told:
            logger.info("activities that are over were ended", count=ended.told)

    @dramatiq.actor(
        actor_name=EXECUTE_SEGMENT_RUN,
        broker=broker,
        max_retries=RUN_RETRIES_MAX,
        time_limit=RUN_TIME_LIMIT_MS,
    )
    def execute_segment_run(run_id: str) -> None:
        execute_run(UUID(run_id))


def declare_names(broker: dramatiq.Broker) -> None:
    """The same for a process that only enqueues."""

    def elsewhere(*_: object) -> NoReturn:
        raise AssertionError("the worker performs tasks, not this process")

    declare(broker, elsewhere, elsewhere)


def schedules(time_zone: str) -> Sequence[Schedule]:
    """What is enqueued and when; `time_zone` is the business's."""
    return (Schedule("end-due-activities", "* * * * *", time_zone, END_DUE_ACTIVITIES),)


def due_activities(
    pool: ConnectionPool[psycopg.Connection[Any]],
) -> Callable[[datetime, int], Sequence[UUID]]:
    """Reads who is due from the read table; a projection that lags only makes it later."""
    return _due(pool, DUE)


def due_work_orders(
    pool: ConnectionPool[psycopg.Connection[Any]],
) -> Callable[[datetime, int], Sequence[UUID]]:
    """Reads which scheduled work orders are due from the read table, in the same way."""
    return _due(pool, DUE_WORK_ORDERS)


def _due(
    pool: ConnectionPool[psycopg.Connection[Any]], query: LiteralString
) -> Callable[[datetime, int], Sequence[UUID]]:
    def due_ids(now: datetime, most: int) -> Sequence[UUID]:
        with pool.connection() as connection:
            return [due for (due,) in connection.execute(query, [now, most])]

    return due_ids
