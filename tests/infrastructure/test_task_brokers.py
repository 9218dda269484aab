"""What becomes of tasks, whichever broker hands them out: PostgreSQL, or RabbitMQ behind the relay."""

import os
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import dramatiq
import dramatiq.worker
import psycopg
import pytest
from dramatiq import Message
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.errors import ConnectionClosed
from dramatiq.middleware import Retries

from application.processes.ended_activities import Ended
from infrastructure import actors, database, task_relay, task_worker
from infrastructure.postgres_broker import PostgresBroker, broker_of
from infrastructure.settings import Settings
from tests.certificates import Authority
from tests.infrastructure import rabbitmq
from tests.infrastructure.rabbitmq import RabbitMQ
from tests.infrastructure.task_recording import (
    PATIENCE_S,
    ROOT,
    count,
    cut_connections,
    dead_error,
    prepare,
    recorder,
    task,
    until,
    until_effects,
    working,
)
from tests.repeats import repeats

ON_RABBITMQ = pytest.mark.drill
KILLS = repeats(20)


@pytest.fixture(scope="module")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    yield from rabbitmq.running(tmp_path_factory.mktemp("rabbitmq"))


@pytest.fixture
def rabbit(rabbit_server: RabbitMQ) -> RabbitMQ:
    """The server, with nothing in its queues."""
    rabbit_server.drop_queues()
    return rabbit_server


@pytest.fixture
def url(database_url: str) -> str:
    prepare(database_url)
    return database_url


@pytest.fixture
def owner(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


class Place:
    """One kind of broker: where tasks are enqueued and where they are performed."""

    def __init__(self, url: str, rabbit: RabbitMQ | None, opened: ExitStack) -> None:
        self.url, self.rabbit, self._opened = url, rabbit, opened
        self.outbox = opened.enter_context(closing(PostgresBroker(url)))
        recorder(self.outbox, url)

    def performer(self, url: str | None = None) -> dramatiq.Broker:
        """A broker to declare actors on and to work on."""
        if self.rabbit is None:
            return self._opened.enter_context(closing(PostgresBroker(self.url)))
        other = broker_of(url or self.rabbit.url, self.url)
        return self._opened.enter_context(task_relay.performing(other, self.url, 8))

    def relay(self) -> None:
        """Begin to relay, where this broker needs it."""
        if self.rabbit is not None:
            outbox = PostgresBroker(self.url, lease_s=2.0)
            outbox.declare_queue("default")
            self._opened.enter_context(task_relay.relaying(outbox, broker_of(self.rabbit.url, self.url)))

    def perform(self, broker: dramatiq.Broker, threads: int = 4) -> None:
        self.relay()
        worker = working(broker, threads)
        self._opened.callback(worker.stop, 10_000)

    def start(self, *roles: str) -> "subprocess.Popen[bytes]":
        """A process that performs and relays, to be killed."""
        rabbit = self.rabbit.url if self.rabbit else ""
        return subprocess.Popen(
            [sys.executable, __file__, self.url, rabbit, *roles],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture(params=["postgresql", pytest.param("rabbitmq", marks=ON_RABBITMQ)])
def place(request: pytest.FixtureRequest, url: str) -> Iterator[Place]:
    rabbit = request.getfixturevalue("rabbit") if request.param == "rabbitmq" else None
    with ExitStack() as opened:
        yield Place(url, rabbit, opened)


@pytest.fixture
def relayed(url: str, rabbit: RabbitMQ) -> Iterator[Place]:
    """RabbitMQ alone."""
    with ExitStack() as opened:
        yield Place(url, rabbit, opened)


# --- On every broker --------------------------------------------------------------


def test_a_task_shares_the_fate_of_the_callers_transaction(
    place: Place, owner: psycopg.Connection[Any]
) -> None:
    broker = place.performer()
    recorder(broker, place.url)
    place.perform(broker)
    with database.connect(place.url) as caller:
        with caller.transaction(force_rollback=True), place.outbox.joining(caller):
            place.outbox.enqueue(task(1, place.outbox))
        assert count(owner, "tasks.message") == count(owner, "tasks.known_message") == 0

        with caller.transaction(), place.outbox.joining(caller):
            place.outbox.enqueue(task(2, place.outbox))
            time.sleep(0.5)
            assert count(owner, "delivery") == 0
        until_effects(owner, 1)
    assert owner.execute("select number from delivery").fetchall() == [(2,)]


def test_an_id_that_is_enqueued_again_and_again_is_performed_once(
    place: Place, owner: psycopg.Connection[Any]
) -> None:
    broker = place.performer()
    recorder(broker, place.url)
    place.perform(broker)
    numbers = [number for number in range(50) for _ in range(4)]
    random.Random(1).shuffle(numbers)
    for number in numbers:
        place.outbox.enqueue(task(number, place.outbox))
    until_effects(owner, 50)
    until(lambda: count(owner, "tasks.message") == 0)
    time.sleep(0.5)
    assert count(owner, "delivery") == count(owner, "effect") == 50


def test_a_failed_task_is_repeated_under_its_own_id_until_it_succeeds(
    place: Place, owner: psycopg.Connection[Any]
) -> None:
    broker, ids = place.performer(), []

    for each in (place.outbox, broker):

        @dramatiq.actor(broker=each, max_retries=5, min_backoff=10)
        def flaky() -> None:
            ids.append(dramatiq.middleware.CurrentMessage.get_current_message().message_id)
            if len(ids) < 3:
                raise ConnectionError("not yet")

    broker.add_middleware(dramatiq.middleware.CurrentMessage())
    message = place.outbox.enqueue(place.outbox.get_actor("flaky").message())
    place.perform(broker)
    until(lambda: len(ids) == 3)
    time.sleep(0.5)
    assert ids == [message.message_id] * 3
    assert count(owner, "tasks.dead_message") == 0


def test_what_is_given_up_lies_among_the_dead_until_it_is_revived(
    place: Place, owner: psycopg.Connection[Any]
) -> None:
    broker, healed, done = place.performer(), threading.Event(), threading.Event()

    for each in (place.outbox, broker):

        @dramatiq.actor(broker=each, max_retries=1, min_backoff=1)
        def ailing(number: int) -> None:
            assert number == 7
            if not healed.is_set():
                raise RuntimeError("no such card \0 \ud800")
            done.set()

    message = place.outbox.enqueue(place.outbox.get_actor("ailing").message(7))
    place.perform(broker)
    until(lambda: count(owner, "tasks.dead_message"))
    assert "RuntimeError: no such card" in dead_error(owner)
    until(lambda: count(owner, "tasks.message") == 0)
    place.outbox.enqueue(message)
    assert count(owner, "tasks.message") == 0, "the dead are known: they do not come back by being sent again"

    healed.set()
    assert place.outbox.revive(message.message_id)
    assert done.wait(PATIENCE_S)
    until(lambda: count(owner, "tasks.message") == 0)
    assert count(owner, "tasks.dead_message") == 0
    assert not place.outbox.revive(message.message_id)


def test_a_task_that_nobody_knows_is_dead_and_holds_up_nothing(
    place: Place, owner: psycopg.Connection[Any]
) -> None:
    unknown: Message[Any] = Message("default", "of_another_version", (), {}, {})
    place.outbox.enqueue_many([unknown, task(1, place.outbox)])
    broker = place.performer()
    recorder(broker, place.url)
    place.perform(broker)
    until_effects(owner, 1)
    until(lambda: count(owner, "tasks.dead_message"))
    assert "of_another_version" in dead_error(owner)


def test_nothing_is_lost_or_doubled_when_processes_are_killed(
    place: Place, owner: psycopg.Connection[Any]
) -> None:
    """PTS-10: kill -9 at random moments of those that perform tasks, and of those that relay them."""
    tasks, prefetch, threads = 2_000, 8, 4
    chance = random.Random(20260301)
    place.outbox.enqueue_many([task(number, place.outbox) for number in range(tasks)])
    roles = [("perform",), ("perform",), *([("relay",), ("relay",)] if place.rabbit else [])]
    processes = [place.start(*each) for each in roles]
    try:
        for kill in range(KILLS):
            until_effects(owner, tasks * (kill + 1) // (KILLS + 2))
            time.sleep(chance.random() / 20)
            victim = kill % len(processes)
            processes[victim].kill()
            processes[victim].wait()
            processes[victim] = place.start(*roles[victim])
        until_effects(owner, tasks)
        until(lambda: count(owner, "tasks.message") == 0)
        if place.rabbit is not None:
            until(lambda: place.rabbit is not None and place.rabbit.count("default") == 0)
    finally:
        for process in processes:
            process.kill()
            process.wait()

    assert count(owner, "effect") == tasks
    assert count(owner, "tasks.dead_message") == 0
    # Only what a killed worker held came again, so what others held was never taken from them.
    held = threads if place.rabbit else prefetch
    assert tasks <= count(owner, "delivery") <= tasks + KILLS * held


def test_workers_go_on_when_their_connections_were_cut(
    place: Place, owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFR-09: a database that comes back."""
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.1)
    monkeypatch.setattr(dramatiq.worker, "POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.1)
    broker = place.performer()
    for each in (place.outbox, broker):

        @dramatiq.actor(broker=each, min_backoff=10)
        def persistent(number: int) -> None:
            with database.connect(place.url) as connection:
                connection.execute("insert into effect values (%s) on conflict do nothing", [number])

    place.outbox.enqueue_many([task(number, place.outbox, "persistent") for number in range(400)])
    place.perform(broker)
    for done in (50, 200):
        until_effects(owner, done)
        cut_connections(owner)
    until_effects(owner, 400)
    until(lambda: count(owner, "tasks.message") == 0)
    assert count(owner, "tasks.dead_message") == 0


@pytest.mark.parametrize("kind", ["postgresql", pytest.param("rabbitmq", marks=ON_RABBITMQ)])
def test_the_worker_and_the_scheduler_are_wired_to_the_broker_of_the_setting(
    kind: str, cardinal_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of the product, enqueued as the scheduler does, ends at the worker."""
    given = {"DATABASE_URL": cardinal_url}
    if kind == "rabbitmq":
        given["BROKER_URL"] = request.getfixturevalue("rabbit").url
    performed = threading.Event()

    def end_due(*_: object) -> Ended:
        performed.set()
        return Ended(0, ())

    monkeypatch.setattr(task_worker, "end_due", end_due)
    settings = Settings.read(given)
    with (
        closing(task_worker.open_broker(settings, cardinal_url)) as outbox,
        task_worker.relaying(settings, cardinal_url),
        task_worker.working(settings, cardinal_url),
        psycopg.connect(cardinal_url, autocommit=True) as owner,
    ):
        actors.declare_names(outbox)
        outbox.enqueue(outbox.get_actor(actors.END_DUE_ACTIVITIES).message())
        assert performed.wait(PATIENCE_S)
        until(lambda: count(owner, "tasks.message") == 0)


# --- On RabbitMQ, with its relay ----------------------------------------------------


@pytest.mark.drill
def test_by_amqps_it_must_show_a_certificate_that_is_right(
    relayed: Place, owner: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-01: checked against the machine's authorities, or those in SSL_CERT_FILE."""
    rabbit = relayed.rabbit
    assert rabbit is not None
    trusted, stranger = rabbit.authority.file, Authority(tmp_path / "stranger").file
    for authority, host in (("", "localhost"), (stranger, "localhost"), (trusted, "127.0.0.1")):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        refused: Any = broker_of(rabbit.tls_url(host), relayed.url)
        with pytest.raises(ssl.SSLCertVerificationError):
            refused.connection  # noqa: B018
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    broker = relayed.performer(rabbit.tls_url())
    recorder(broker, relayed.url)
    relayed.perform(broker)
    relayed.outbox.enqueue(task(1, relayed.outbox))
    until_effects(owner, 1)


@pytest.mark.drill
def test_a_redelivery_is_dropped_by_its_message_id(relayed: Place, owner: psycopg.Connection[Any]) -> None:
    """Whatever comes twice, at once or later, is performed once."""
    broker = relayed.performer()
    recorder(broker, relayed.url, pause_s=0.2)
    for _ in range(3):
        for number in range(20):
            broker.enqueue(task(number, broker))
    relayed.perform(broker, threads=8)
    until_effects(owner, 20)
    until(lambda: relayed.rabbit is not None and relayed.rabbit.count("default") == 0)
    broker.enqueue(task(3, broker))
    broker.enqueue(task(99, broker))
    until_effects(owner, 21)
    time.sleep(0.5)
    assert count(owner, "delivery") == count(owner, "effect") == 21


@pytest.mark.drill
def test_a_message_whose_performer_lives_waits_for_it(relayed: Place, owner: psycopg.Connection[Any]) -> None:
    """Two copies at two workers: the second sees what became of the first, also when that failed."""
    first, second, running, fail = relayed.performer(), relayed.performer(), [], threading.Event()
    for broker in (first, second):

        @dramatiq.actor(broker=broker, max_retries=5, min_backoff=10)
        def alone() -> None:
            running.append(1)
            assert len(running) == 1, "two at once"
            time.sleep(0.5)
            running.pop()
            with database.connect(relayed.url) as connection:
                connection.execute("insert into delivery values (1)")
            if not fail.is_set():
                fail.set()
                raise RuntimeError("the first time")

    message = first.get_actor("alone").message()
    for _ in range(4):
        first.enqueue(message)
    relayed.perform(first)
    relayed.perform(second)
    until(lambda: count(owner, "delivery") == 2)
    until(lambda: relayed.rabbit is not None and relayed.rabbit.count("default") == 0)
    time.sleep(1.5)
    assert count(owner, "delivery") == 2, "one failure, one success"
    assert count(owner, "tasks.dead_message") == 0


@pytest.mark.drill
def test_tasks_wait_in_the_database_while_rabbitmq_is_away(
    relayed: Place, owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFR-09: broker off: commands work, asynchronous work waits; kill -9 of the broker loses nothing."""
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.2)
    assert relayed.rabbit is not None
    broker = relayed.performer()
    recorder(broker, relayed.url, pause_s=0.005)
    relayed.outbox.enqueue_many([task(number, relayed.outbox) for number in range(400)])
    relayed.perform(broker)
    until_effects(owner, 50)
    relayed.rabbit.kill()
    relayed.outbox.enqueue_many([task(number, relayed.outbox) for number in range(400, 600)])
    time.sleep(1)
    assert count(owner, "tasks.message") >= 200
    relayed.rabbit.start()
    until_effects(owner, 600)
    until(lambda: count(owner, "tasks.message") == 0)
    assert count(owner, "tasks.dead_message") == 0


class MuteBroker(RabbitmqBroker):
    """Its repeats get lost on the way out, as when only the publisher's connection is broken."""

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        if delay is not None:
            raise ConnectionClosed("mute")
        return super().enqueue(message, delay=delay)


@pytest.mark.drill
def test_a_task_whose_repeat_can_not_be_enqueued_is_dead_and_not_lost(
    relayed: Place, owner: psycopg.Connection[Any]
) -> None:
    assert relayed.rabbit is not None
    healed = threading.Event()
    with task_relay.performing(MuteBroker(url=relayed.rabbit.url), relayed.url, 4) as mute:
        for each in (relayed.outbox, mute):

            @dramatiq.actor(broker=each, max_retries=5, min_backoff=10)
            def ailing() -> None:
                if not healed.is_set():
                    raise RuntimeError("no such card")
                with database.connect(relayed.url) as connection:
                    connection.execute("insert into effect values (1)")

        message = relayed.outbox.enqueue(relayed.outbox.get_actor("ailing").message())
        relayed.relay()
        worker = working(mute)
        until(lambda: count(owner, "tasks.dead_message"))
        healed.set()
        assert relayed.outbox.revive(message.message_id)
        until_effects(owner, 1)
        worker.stop()


@pytest.mark.drill
def test_no_task_is_performed_while_nobody_can_tell_whether_it_is_done(
    relayed: Place, owner: psycopg.Connection[Any]
) -> None:
    broker = relayed.performer()
    assert any(isinstance(each, Retries) for each in broker.middleware)
    message = task(1, relayed.outbox).copy(options={"max_retries": 3, "min_backoff": 10})
    recorder(broker, relayed.url)
    broker.enqueue(message)
    owner.execute("alter table tasks.known_message rename to away")
    relayed.perform(broker)
    time.sleep(0.5)
    assert count(owner, "delivery") == 0
    owner.execute("alter table tasks.away rename to known_message")
    until(lambda: count(owner, "delivery") or count(owner, "tasks.dead_message"))


def serve(url: str, rabbit: str, roles: list[str]) -> None:
    """The process that the drill kills."""
    with ExitStack() as opened:
        if "relay" in roles:
            outbox = PostgresBroker(url, lease_s=3.0)
            outbox.declare_queue("default")
            opened.enter_context(task_relay.relaying(outbox, broker_of(rabbit, url)))
        if "perform" in roles:
            broker = broker_of(rabbit, url) if rabbit else PostgresBroker(url, lease_s=3.0)
            if rabbit:
                opened.enter_context(task_relay.performing(broker, url, 4))
            recorder(broker, url, pause_s=0.002)
            working(broker)
        signal.pause()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], sys.argv[3:])
