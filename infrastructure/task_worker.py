"""The worker: performs tasks from the broker in threads of this process."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from dramatiq import Broker, Worker

from application import segment_runs
from application.points_pipeline import PointsDesk
from application.processes import (
    activity_counting,
    erasing,
    points_delivery,
    scheduled_runs,
    work_order_execution,
)
from application.processes.activity_counting import CountingDesk
from application.processes.closed_budgets import close_due
from application.processes.ended_activities import end_due
from application.processes.erasing import ErasureDesk
from application.processes.expired_reservations import expire_due
from application.processes.expired_results import delete_due
from application.processes.scheduled_runs import ScheduleDesk
from application.processes.work_order_execution import ExecutionDesk
from application.shared.handler import Handler
from infrastructure import actors, task_relay
from infrastructure.append_notices import AppendNotices
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.file_folder import points_folder
from infrastructure.pending_points import PendingTable
from infrastructure.person_traces import HousePersonTraces
from infrastructure.points_gateway import gateway_of
from infrastructure.postgres_broker import PostgresBroker, broker_of
from infrastructure.segment_engine import segment_engine
from infrastructure.settings import Settings
from infrastructure.task_relay import LEASE_S
from infrastructure.vaults import person_keys

PROCESSES = (
    work_order_execution.PROCESS,
    points_delivery.PROCESS,
    scheduled_runs.PROCESS,
    activity_counting.PROCESS,
    erasing.PROCESS,
)
# Below the time that a stopping process has.
GRACE_MS = 6_000


def open_broker(settings: Settings, url: str) -> PostgresBroker:
    """Where tasks are enqueued: PostgreSQL, in the caller's transaction, whatever BROKER_URL says."""
    del settings
    return PostgresBroker(url)


@contextmanager
def relaying(settings: Settings, url: str) -> Iterator[None]:
    """With another broker in BROKER_URL, move tasks to it in the block. Raise ImportError."""
    if settings.broker_url is None:
        yield
        return
    target = broker_of(settings.broker_url.get_secret_value(), url)
    outbox = PostgresBroker(url, lease_s=LEASE_S)
    actors.declare_names(outbox)
    with task_relay.relaying(outbox, target):
        yield


@contextmanager
def _performing_broker(settings: Settings, url: str) -> Iterator[Broker]:
    """Where the worker takes tasks from: the broker of BROKER_URL, or PostgreSQL."""
    if settings.broker_url is None:
        with closing(PostgresBroker(url)) as broker:
            yield broker
    else:
        other = broker_of(settings.broker_url.get_secret_value(), url)
        with task_relay.performing(other, url, settings.worker_threads):
            yield other


@contextmanager
def working(settings: Settings, url: str) -> Iterator[None]:
    """Perform tasks as long as the block runs; those that are under way at its end have 6 s to finish."""
    with (
        pool(url, settings.database_connections_max) as connections,
        closing(AppendNotices(url)) as notices,
        _performing_broker(settings, url) as broker,
    ):
        notices.start()
        handler = Handler(
            EventLog(connections, notices), policy=settings.approval_policy, zone=settings.time_zone
        )
        engine = segment_engine(settings)
        desk = ExecutionDesk(handler, settings.units)
        scheduled = ScheduleDesk(handler, engine, settings.units)
        keys = person_keys(settings)
        traces = HousePersonTraces.of(settings, url, connections, keys)
        folder, pending = points_folder(settings.home), PendingTable(connections)
        points = PointsDesk(handler, engine, gateway_of(settings), folder, pending, settings.units)
        perform = actors.Performers(
            end_due=partial(end_due, handler, actors.due_activities(connections), settings.units),
            expire_due=partial(expire_due, handler, actors.expired_holders(connections), settings.units),
            delete_results=partial(
                delete_due, handler, engine, actors.results_kept_no_longer(connections), settings.units
            ),
            start_order=desk.start,
            execute_run=lambda run_id: segment_runs.execute(handler, engine, run_id, settings.units),
            hand_over=desk.hand_over,
            count_activity=CountingDesk(handler, engine, settings.units).count,
            deliver_points=partial(points_delivery.advance, points),
            close_due=partial(close_due, handler, actors.settled_activities(connections), settings.units),
            fire_schedule=scheduled.fire,
            extract_group=scheduled.extract,
            move_schedules=scheduled.move,
            erase_person=ErasureDesk(handler, keys, traces, settings.units).erase,
        )
        actors.declare(broker, perform)
        broker.emit_after("process_boot")  # dramatiq's time limits begin with it
        worker = Worker(broker, worker_threads=settings.worker_threads)
        worker.start()
        try:
            yield
        finally:
            worker.stop(timeout=GRACE_MS)
