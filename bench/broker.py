"""The task broker on PostgreSQL against dramatiq's own on Redis, with an actor that does nothing.

Redis is started here, persistent as it is by default: a snapshot now and then, and no command waits for the
disk. It needs redis-server (apt-get install redis-server) and its client (pip install 'dramatiq[redis]').
"""

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import dramatiq
from dramatiq import Actor, Broker, Message

from bench.rounds import Figure, interleaved
from infrastructure import database
from infrastructure.postgres_broker import PostgresBroker

TASKS = 3_000
BATCH = 100
THREADS = 8
ROUNDS = 3
START_S = 10.0


def figures(url: str) -> Iterator[Figure]:
    """`url` is a migrated database's."""
    with _redis() as redis_url:
        from dramatiq.brokers.redis import RedisBroker

        def ours() -> Broker:
            return PostgresBroker(url)

        def theirs() -> Broker:
            return RedisBroker(url=redis_url)  # type: ignore[no-untyped-call]

        yield interleaved(
            f"tasks processed, {THREADS} threads, against dramatiq on Redis",
            lambda: _processed(ours()),
            lambda: _processed(theirs()),
            rounds=ROUNDS,
            target=2.0,
        )
        yield interleaved(
            f"tasks enqueued in callers' transactions of {BATCH}, against dramatiq on Redis",
            lambda: _enqueued_by_callers(PostgresBroker(url)),
            lambda: _enqueued(theirs, 1),
            rounds=ROUNDS,
            target=0.5,
        )
        for callers in (THREADS, 1):
            yield interleaved(
                f"tasks enqueued one by one, each waiting for the disk, callers: {callers}",
                partial(_enqueued, ours, callers),
                partial(_enqueued, theirs, callers),
                rounds=ROUNDS,
                target=0.5 if callers > 1 else 0.0,  # a lone caller's rate is the disk's: shown, not judged
            )


def _enqueued(of_kind: Callable[[], Broker], callers: int) -> float:
    """Each in a transaction of its own, by so many threads."""
    with closing(of_kind()) as broker:
        rate = _enqueue(broker, dramatiq.actor(broker=broker, actor_name="nothing")(print), callers)
        broker.flush_all()
        return rate


def _enqueued_by_callers(broker: PostgresBroker) -> float:
    """One call each, as the product does it: the processes' runner commits a batch with its checkpoint."""
    with closing(broker), closing(database.connect(broker.url)) as caller:
        messages = _messages(dramatiq.actor(broker=broker, actor_name="nothing")(print))
        begun = time.perf_counter()
        for start in range(0, TASKS, BATCH):
            with caller.transaction(), broker.joining(caller):
                for message in messages[start : start + BATCH]:
                    broker.enqueue(message)
        rate = TASKS / (time.perf_counter() - begun)
        broker.flush_all()
        return rate


def _processed(broker: Broker) -> float:
    """From the start of a worker to the end of the last task."""
    done = threading.Semaphore(0)
    with closing(broker):
        _enqueue(broker, dramatiq.actor(broker=broker, actor_name="nothing")(done.release))
        worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=THREADS)
        begun = time.perf_counter()
        worker.start()
        for _ in range(TASKS):
            done.acquire()
        took = time.perf_counter() - begun
        worker.stop()
        return TASKS / took


def _enqueue(broker: Broker, actor: Actor[..., Any], callers: int = 1) -> float:
    def call(own: list[Message[Any]]) -> None:
        for message in own:
            broker.enqueue(message)

    messages = _messages(actor)
    begun = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, (messages[caller::callers] for caller in range(callers))))
    return TASKS / (time.perf_counter() - begun)


def _messages(actor: Actor[..., Any]) -> list[Message[Any]]:
    return [actor.message().copy(message_id=str(uuid4())) for _ in range(TASKS)]


@contextmanager
def _redis() -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("bench.broker compares with Redis: install redis-server and dramatiq[redis]")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="cardinal-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1"]
        server = subprocess.Popen([program, *options], cwd=folder, stdout=subprocess.DEVNULL)
        try:
            _until(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()


def _until(attempt: Callable[[], None]) -> None:
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            return attempt()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
