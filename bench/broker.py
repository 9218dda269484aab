"""The task broker on PostgreSQL against dramatiq's own on Redis, with an actor that does nothing.

Redis is started here, in memory only, from the redis-server that is installed (apt-get install redis-server);
its client comes with `pip install 'dramatiq[redis]'`.
"""

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import dramatiq
from dramatiq import Broker

from bench.rounds import Figure, interleaved
from infrastructure.postgres_broker import PostgresBroker

TASKS = 3_000
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
            return RedisBroker(url=redis_url)

        yield interleaved(
            f"tasks processed, {THREADS} threads, against dramatiq on Redis",
            lambda: _processed(ours()),
            lambda: _processed(theirs()),
            rounds=ROUNDS,
            target=2.0,
        )
        yield interleaved(
            "tasks enqueued one by one, against dramatiq on Redis",
            lambda: _enqueued(ours()),
            lambda: _enqueued(theirs()),
            rounds=ROUNDS,
            target=0.5,
        )


def _enqueued(broker: Broker) -> float:
    """Each in a transaction of its own, on a disk that is waited for; Redis keeps them in memory."""
    with closing(broker):
        rate = _enqueue(broker, dramatiq.actor(print, broker=broker, actor_name="nothing"))
        broker.flush_all()
        return rate


def _processed(broker: Broker) -> float:
    """From the start of a worker to the end of the last task."""
    done = threading.Semaphore(0)
    with closing(broker):
        _enqueue(broker, dramatiq.actor(done.release, broker=broker, actor_name="nothing"))
        worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=THREADS)
        begun = time.perf_counter()
        worker.start()
        for _ in range(TASKS):
            done.acquire()
        took = time.perf_counter() - begun
        worker.stop()
        return TASKS / took


def _enqueue(broker: Broker, actor: dramatiq.Actor) -> float:
    messages = [actor.message().copy(message_id=str(uuid4())) for _ in range(TASKS)]
    begun = time.perf_counter()
    for message in messages:
        broker.enqueue(message)
    return TASKS / (time.perf_counter() - begun)


@contextmanager
def _redis() -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("bench.broker compares with Redis: install redis-server and dramatiq[redis]")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="cardinal-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
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
