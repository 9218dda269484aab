"""The worker: performs tasks from the broker in threads of this process."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from uuid import UUID

from dramatiq import Broker, Worker

from application import segment_runs
from application.processes.ended_activities import end_due
from application.shared.handler import Handler
from infrastructure import actors
from infrastructure.append_notices import AppendNotices
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.postgres_broker import broker_of
from infrastructure.segment_engine import segment_engine
from infrastructure.settings import Settings

# Below the time that a stopping process has.
GRACE_MS = 6_000


def open_broker(settings: Settings, url: str) -> Broker:
    """The broker of BROKER_URL, or the database's at `url`. Raise ValueError or ImportError."""
    given = settings.broker_url
    return broker_of(None if given is None else given.get_secret_value(), url)


@contextmanager
def working(settings: Settings, url: str) -> Iterator[None]:
    """Perform tasks as long as the block runs; those that are under way at its end have 6 s to finish."""
    with (
        pool(url, settings.database_connections_max) as connections,
        closing(AppendNotices(url)) as notices,
        closing(open_broker(settings, url)) as broker,
    ):
        notices.start()
        handler = Handler(EventLog(connections, notices), policy=settings.approval_policy)
        due_ids = actors.due_activities(connections)
        engine = segment_engine(settings)

        def execute_run(run_id: UUID) -> None:
            segment_runs.execute(handler, engine, run_id, settings.units)

        actors.declare(broker, partial(end_due, handler, due_ids, settings.units), execute_run)
        broker.emit_after("process_boot")  # dramatiq's time limits begin with it
        worker = Worker(broker, worker_threads=settings.worker_threads)
        worker.start()
        try:
            yield
        finally:
            worker.stop(timeout=GRACE_MS)
