"""What the worker does: each task by its name, and when it is due."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import partial
from typing import Any, LiteralString, NoReturn
from uuid import UUID

import dramatiq
import psycopg
import structlog
from psycopg_pool import ConnectionPool

from application.processes.activity_counting import COUNT_ACTIVITY
from application.processes.ended_activities import Ended
from application.processes.erasing import ERASE_PERSON
from application.processes.expired_reservations import Expired
from application.processes.expired_results import Deleted
from application.processes.points_delivery import DELIVER_POINTS
from application.processes.scheduled_runs import EXTRACT_GROUP, FIRE_SCHEDULE, MOVE_SCHEDULES
from application.processes.work_order_execution import EXECUTE_RUN, HAND_RUN_OVER, START_WORK_ORDER
from domain.segment_runs import ATTEMPTS_MAX
from infrastructure.schedules import Schedule

END_DUE_ACTIVITIES = "end_due_activities"
EXPIRE_RESERVATIONS = "expire_reservations"
CLOSE_BUDGETS = "close_budgets"
DELETE_RESULTS = "delete_results"
# Half of the statement's limit on the server times the commands of one run stays well below this.
TIME_LIMIT_MS = 10 * 60 * 1000
# The next minute's run does what this one could not.
RETRIES_MAX = 3
# Above the limit of the engine, which stops a query by itself.
RUN_TIME_LIMIT_MS = 30 * 60 * 1000
# One more than the attempts of a run: the last delivery records that it has failed.
RUN_RETRIES_MAX = ATTEMPTS_MAX
# A step that can't be taken now is tried until it can: about three months at the longest pause.
STEP_RETRIES_MAX = 130_000
BACKOFF_MAX_MS = 60_000

DUE = """
select id from read.activities
where status in ('running', 'paused') and ends_at <= %s
order by ends_at, id limit %s
"""

# A confirmed reservation does not expire: a stock's movements tell, a budget's job does.
EXPIRED = """
select 'stock', s.id from read.stocks s where s.reservations > 0 and exists (
    select from read.stock_movements m
    where m.stock_id = s.id and m.kind = 'reserved' and m.expires_at <= %(now)s and not exists (
        select from read.stock_movements n
        where n.stock_id = m.stock_id and n.key = m.key and n.version > m.version))
union all
select 'budget', b.id from read.budgets b where b.reservations > 0 and exists (
    select from read.budget_movements m
    where m.budget_id = b.id and m.kind = 'reserved' and m.expires_at <= %(now)s and not exists (
        select from read.budget_movements n
        where n.budget_id = m.budget_id and n.key = m.key and n.version > m.version)
      and not exists (
        select from read.points_jobs j
        where j.id = m.reference_id and j.status not in ('opened', 'reserved', 'filed', 'failed')))
limit %(most)s
"""

# Budgets that nobody needs any more, those of plans that were never launched among them; the use case looks
# again, at the log.
SETTLED = """
select a.id from read.activities a join read.budgets b on b.activity_id = a.id
where a.status not in ('running', 'paused', 'cancelled')
  and case a.status when 'ended' then greatest(a.ends_at, a.award_ends_at) else a.ends_at end <= %s
  and b.status = 'open' and b.reservations = 0
  and not exists (
    select from read.work_orders w
    where w.activity_id = a.id and (w.status = 'executing'
      or w.status = 'cancellation_pending' and w.former_status = 'executing'))
order by a.ends_at, a.id limit %s
"""

# Whose result is past its time; the use case looks again, at the log.
KEPT_NO_LONGER = """
select id from read.segment_runs
where status = 'succeeded' and result_deleted_at is null and kept_until <= %s
order by kept_until, id limit %s
"""

logger = structlog.get_logger("cardinal.tasks")


@dataclass(frozen=True, slots=True)
class Performers:
    """Who performs each task. `deliver_points` tells when to look again where an answer is awaited."""

    end_due: Callable[[], Ended]
    expire_due: Callable[[], Expired]
    close_due: Callable[[], Ended]
    delete_results: Callable[[], Deleted]
    start_order: Callable[[UUID], None]
    execute_run: Callable[[UUID], None]
    hand_over: Callable[[UUID], None]
    count_activity: Callable[[UUID], None]
    deliver_points: Callable[[UUID], timedelta | None]
    fire_schedule: Callable[[UUID], None]
    extract_group: Callable[[UUID], None]
    move_schedules: Callable[[UUID], None]
    erase_person: Callable[[UUID], timedelta | None]


def declare(broker: dramatiq.Broker, perform: Performers) -> None:
    """Make the tasks known to the broker, for who performs them and for who enqueues them alike."""

    _declare_due(broker, perform)

    @dramatiq.actor(
        actor_name=EXECUTE_RUN, broker=broker, max_retries=RUN_RETRIES_MAX, time_limit=RUN_TIME_LIMIT_MS
    )
    def execute_segment_run(run_id: str) -> None:
        perform.execute_run(UUID(run_id))

    @dramatiq.actor(
        actor_name=START_WORK_ORDER, broker=broker, max_retries=STEP_RETRIES_MAX, max_backoff=BACKOFF_MAX_MS
    )
    def start_work_order(work_order_id: str) -> None:
        perform.start_order(UUID(work_order_id))

    @dramatiq.actor(
        actor_name=HAND_RUN_OVER, broker=broker, max_retries=STEP_RETRIES_MAX, max_backoff=BACKOFF_MAX_MS
    )
    def hand_over_segment_run(run_id: str) -> None:
        perform.hand_over(UUID(run_id))

    @dramatiq.actor(
        actor_name=COUNT_ACTIVITY, broker=broker, max_retries=RUN_RETRIES_MAX, time_limit=RUN_TIME_LIMIT_MS
    )
    def count_activity(figures_id: str) -> None:
        perform.count_activity(UUID(figures_id))

    @dramatiq.actor(
        actor_name=DELIVER_POINTS,
        broker=broker,
        max_retries=STEP_RETRIES_MAX,
        max_backoff=BACKOFF_MAX_MS,
        time_limit=RUN_TIME_LIMIT_MS,
    )
    def deliver_points(job_id: str) -> None:
        look_after = perform.deliver_points(UUID(job_id))
        if look_after is not None:
            raise dramatiq.errors.Retry("no answer yet", delay=int(look_after.total_seconds() * 1000))

    _declare_scheduled_runs(broker, perform)

    @dramatiq.actor(
        actor_name=ERASE_PERSON,
        broker=broker,
        max_retries=STEP_RETRIES_MAX,
        max_backoff=BACKOFF_MAX_MS,
        time_limit=RUN_TIME_LIMIT_MS,
    )
    def erase_person(erasure_id: str) -> None:
        look_after = perform.erase_person(UUID(erasure_id))
        if look_after is not None:
            raise dramatiq.errors.Retry("points on their way", delay=int(look_after.total_seconds() * 1000))


def _declare_due(broker: dramatiq.Broker, perform: Performers) -> None:
    @dramatiq.actor(
        actor_name=END_DUE_ACTIVITIES, broker=broker, max_retries=RETRIES_MAX, time_limit=TIME_LIMIT_MS
    )
    def end_due_activities() -> None:
        ended = perform.end_due()
        for activity_id, why in ended.refused:
            logger.warning("an activity that is over was not ended", activity=str(activity_id), why=why)
        if ended.told:
            logger.info("activities that are over were ended", count=ended.told)

    @dramatiq.actor(
        actor_name=EXPIRE_RESERVATIONS, broker=broker, max_retries=RETRIES_MAX, time_limit=TIME_LIMIT_MS
    )
    def expire_reservations() -> None:
        expired = perform.expire_due()
        for holder, why in expired.refused:
            logger.warning("reservations that are over were not freed", holder=str(holder), why=why)

    @dramatiq.actor(
        actor_name=CLOSE_BUDGETS, broker=broker, max_retries=RETRIES_MAX, time_limit=TIME_LIMIT_MS
    )
    def close_budgets() -> None:
        for activity_id, why in perform.close_due().refused:
            logger.warning("a budget that is over was not closed", activity=str(activity_id), why=why)

    @dramatiq.actor(
        actor_name=DELETE_RESULTS, broker=broker, max_retries=RETRIES_MAX, time_limit=TIME_LIMIT_MS
    )
    def delete_results() -> None:
        deleted = perform.delete_results()
        for run_id, why in deleted.refused:
            logger.warning("a result that is past its time was not deleted", run=str(run_id), why=why)
        if deleted.told or deleted.swept:
            logger.info(
                "results that are past their time were deleted", count=deleted.told, swept=deleted.swept
            )


def _declare_scheduled_runs(broker: dramatiq.Broker, perform: Performers) -> None:
    @dramatiq.actor(
        actor_name=FIRE_SCHEDULE, broker=broker, max_retries=STEP_RETRIES_MAX, max_backoff=BACKOFF_MAX_MS
    )
    def fire_run_schedule(schedule_id: str) -> None:
        perform.fire_schedule(UUID(schedule_id))

    @dramatiq.actor(
        actor_name=EXTRACT_GROUP, broker=broker, max_retries=RUN_RETRIES_MAX, time_limit=RUN_TIME_LIMIT_MS
    )
    def extract_group(extraction_id: str) -> None:
        perform.extract_group(UUID(extraction_id))

    @dramatiq.actor(
        actor_name=MOVE_SCHEDULES, broker=broker, max_retries=STEP_RETRIES_MAX, max_backoff=BACKOFF_MAX_MS
    )
    def move_schedules(calendar_id: str) -> None:
        perform.move_schedules(UUID(calendar_id))


def declare_names(broker: dramatiq.Broker) -> None:
    """The same for a process that only enqueues."""

    def elsewhere(*_: object) -> NoReturn:
        raise AssertionError("the worker performs tasks, not this process")

    declare(broker, Performers(*[elsewhere] * len(fields(Performers))))


def schedules(time_zone: str) -> Sequence[Schedule]:
    """What is enqueued and when; `time_zone` is the business's."""
    return (
        Schedule("end-due-activities", "* * * * *", time_zone, END_DUE_ACTIVITIES),
        Schedule("expire-reservations", "* * * * *", time_zone, EXPIRE_RESERVATIONS),
        Schedule("close-budgets", "* * * * *", time_zone, CLOSE_BUDGETS),
        Schedule("delete-results", "17 * * * *", time_zone, DELETE_RESULTS),
    )


def due_activities(
    pool: ConnectionPool[psycopg.Connection[Any]],
) -> Callable[[datetime, int], Sequence[UUID]]:
    """Reads who is due from the read table; a projection that lags only makes it later."""
    return partial(_ids, pool, DUE)


def results_kept_no_longer(
    pool: ConnectionPool[psycopg.Connection[Any]],
) -> Callable[[datetime, int], Sequence[UUID]]:
    """Reads which runs' results are past their time."""
    return partial(_ids, pool, KEPT_NO_LONGER)


def settled_activities(
    pool: ConnectionPool[psycopg.Connection[Any]],
) -> Callable[[datetime, int], Sequence[UUID]]:
    """Reads whose budgets are to be closed."""
    return partial(_ids, pool, SETTLED)


def _ids(
    pool: ConnectionPool[psycopg.Connection[Any]], query: LiteralString, now: datetime, most: int
) -> Sequence[UUID]:
    with pool.connection() as connection:
        return [id_ for (id_,) in connection.execute(query, [now, most])]


def expired_holders(
    pool: ConnectionPool[psycopg.Connection[Any]],
) -> Callable[[datetime, int], Sequence[tuple[str, UUID]]]:
    """Reads who holds what has expired from the read tables."""

    def holders(now: datetime, most: int) -> Sequence[tuple[str, UUID]]:
        with pool.connection() as connection:
            return connection.execute(EXPIRED, {"now": now, "most": most}).fetchall()

    return holders
