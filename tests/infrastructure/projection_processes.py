"""Projectors and rebuilds as processes of their own, to be killed."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import psycopg

from application.shared.records import Position
from infrastructure import projection_runner
from infrastructure.projection_rebuild import rebuild
from infrastructure.projection_runner import Projector
from projections.registry import NAMES

FORK_SERVER = multiprocessing.get_context("forkserver")
FORK_SERVER.set_forkserver_preload(["tests.infrastructure.projection_processes"])

LEADERS = """
select count(*) from pg_locks l
where l.locktype = 'advisory' and l.granted
  and l.database = (select oid from pg_database where datname = current_database())
"""


def project(url: str, batch: int) -> None:
    """Run a projector until the process is told to end."""
    projection_runner.BATCH_RECORDS_MAX = batch
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Projector(url).run(stop)


def rebuild_slowly(url: str, name: str) -> None:
    """Long enough to be killed in the midst."""
    projection_runner.BATCH_RECORDS_MAX = 5
    rebuild(url, name, lambda _: time.sleep(0.02))


def start(target: Callable[..., None], *given: object) -> BaseProcess:
    process = FORK_SERVER.Process(target=target, args=given, daemon=True)
    process.start()
    return process


def end(process: BaseProcess) -> None:
    """SIGTERM; it must end by itself."""
    process.terminate()
    process.join(30)
    assert process.exitcode == 0, "the projector did not stop when it was told to"


@contextmanager
def projector(url: str) -> Iterator[None]:
    """All projections are kept within the block."""
    stop = threading.Event()
    thread = threading.Thread(target=Projector(url).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def positions(url: str) -> dict[str, Position]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("select name, epoch, position from projection.checkpoints").fetchall()
    return {name: Position(epoch, offset) for name, epoch, offset in rows}


def all_reached(url: str, position: Position) -> bool:
    reached = positions(url)
    return all(reached.get(name, Position(0, 0)) >= position for name in NAMES)


def leaders(url: str) -> int:
    """How many projections somebody leads."""
    with psycopg.connect(url) as connection:
        row = connection.execute(LEADERS).fetchone()
    assert row is not None
    return int(row[0])


def until(condition: Callable[[], bool], what: str, limit_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain until {what}"
        time.sleep(0.01)
