"""What only the broker on PostgreSQL promises; test_task_brokers tells what every broker does."""

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import dramatiq
import dramatiq.worker
import psycopg
import pytest
from dramatiq.errors import BrokerConnectionError, QueueJoinTimeout, QueueNotFound

from infrastructure import database, postgres_broker
from infrastructure.postgres_broker import MAX_BATCH, MAX_BODY_BYTES, PostgresBroker, broker_of
from infrastructure.task_leases import LeasedMessage
from tests.infrastructure.task_recording import (
    PATIENCE_S,
    count,
    cut_connections,
    dead_error,
    prepare,
    recorder,
    task,
    until,
    working,
)


@pytest.fixture
def url(database_url: str) -> str:
    prepare(database_url)
    return database_url


@pytest.fixture
def owner(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def make(url: str) -> Iterator[Callable[..., PostgresBroker]]:
    brokers: list[PostgresBroker] = []

    def make_broker(**options: Any) -> PostgresBroker:
        brokers.append(PostgresBroker(url, **options))
        recorder(brokers[-1], url)
        return brokers[-1]

    yield make_broker
    for broker in brokers:
        broker.close()


@pytest.fixture
def broker(make: Callable[..., PostgresBroker]) -> PostgresBroker:
    return make()


def take(consumer: dramatiq.Consumer) -> LeasedMessage:
    message = until(lambda: next(consumer))
    assert isinstance(message, LeasedMessage)
    return message


def nothing_comes(consumer: dramatiq.Consumer, polls: int = 5) -> bool:
    return all(next(consumer) is None for _ in range(polls))


def test_sending_an_id_again_does_not_take_it_from_its_holder(make: Callable[..., PostgresBroker]) -> None:
    holder, rival = make(), make()
    consumer, thief = holder.consume("default", timeout=10), rival.consume("default", timeout=10)
    holder.enqueue(task(1, holder))
    message = take(consumer)

    rival.enqueue(task(1, rival))
    assert nothing_comes(thief)
    consumer.ack(message)
    rival.enqueue(task(1, rival))
    assert nothing_comes(thief)
    for each in (consumer, thief):
        each.close()


def test_an_id_sent_while_its_task_ends_runs_once(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    def send(seed: int) -> None:
        numbers = [number for number in range(150) for _ in range(4)]
        random.Random(seed).shuffle(numbers)
        for number in numbers:
            broker.enqueue(task(number, broker))

    worker = working(broker)
    senders = [threading.Thread(target=send, args=[seed]) for seed in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    broker.join("default", timeout=int(PATIENCE_S * 1000))
    worker.stop()

    assert count(owner, "delivery") == count(owner, "effect") == 150


def test_joining_a_connection_without_a_transaction_is_refused(url: str, broker: PostgresBroker) -> None:
    with database.connect(url) as caller, pytest.raises(ValueError), broker.joining(caller):
        pass


def test_only_an_enqueue_of_its_own_notifies(
    url: str, broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    owner.execute("listen tasks")
    with database.connect(url) as caller, caller.transaction(), broker.joining(caller):
        broker.enqueue(task(1, broker))
    broker.enqueue(task(2, broker), delay=60_000)
    owner.execute("notify tasks, 'nothing before'")
    broker.enqueue(task(3, broker))

    notes = [note.payload for note in owner.notifies(timeout=PATIENCE_S, stop_after=2)]
    assert notes == ["nothing before", "default"]


def test_of_messages_that_come_at_once_the_first_notifies(
    broker: PostgresBroker, owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_broker, "NOTIFY_EVERY_S", PATIENCE_S)
    broker.declare_queue("busy")
    owner.execute("listen tasks")
    for number in (1, 2, 3):
        broker.enqueue(task(number, broker).copy(queue_name="busy"))
    owner.execute("notify tasks, 'nothing more'")

    notes = [note.payload for note in owner.notifies(timeout=PATIENCE_S, stop_after=2)]
    assert notes == ["busy", "nothing more"]


def test_the_lowest_priority_number_goes_first_and_equals_in_order(broker: PostgresBroker) -> None:
    dramatiq.actor(broker=broker, actor_name="later", priority=10)(abs)
    dramatiq.actor(broker=broker, actor_name="sooner", priority=-10)(abs)
    broker.enqueue_many([task(number, broker, "later") for number in (7, 3)])
    broker.enqueue(task(5, broker))
    broker.enqueue_many([task(number, broker, "sooner") for number in (9, 1)])

    one_by_one, together = [], broker.consume("default", prefetch=3, timeout=10)
    consumer = broker.consume("default", prefetch=1, timeout=10)
    for _ in range(2):
        one_by_one.append(take(consumer))
        consumer.ack(one_by_one[-1])
    rest = [take(together) for _ in range(3)]
    assert [message.args[0] for message in one_by_one + rest] == [9, 1, 5, 7, 3]
    consumer.close()
    together.close()


def test_a_delayed_message_waits_and_lets_others_pass(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    consumer = broker.consume("default", prefetch=3, timeout=10)
    broker.enqueue(task(1, broker), delay=400)
    broker.enqueue(task(2, broker), delay=3_600_000)
    broker.enqueue(task(3, broker))

    assert [take(consumer).args[0] for _ in range(2)] == [3, 1]
    early = "tasks.message where state = 'leased' and available_at > clock_timestamp()"
    assert count(owner, early) == 0
    assert nothing_comes(consumer)
    consumer.close()


def test_a_lease_is_renewed_while_its_actor_runs(make: Callable[..., PostgresBroker]) -> None:
    broker, rival = make(lease_s=1.5), make(lease_s=1.5)
    runs: list[int] = []
    go_on = threading.Event()

    @dramatiq.actor(broker=broker)
    def slow() -> None:
        runs.append(1)
        go_on.wait(PATIENCE_S)

    slow.send()
    worker, thief = working(broker), rival.consume("default", timeout=100)
    until(lambda: runs)
    assert nothing_comes(thief, polls=30)
    go_on.set()
    broker.join("default", timeout=int(PATIENCE_S * 1000))
    worker.stop()
    thief.close()
    assert len(runs) == 1


def test_whoever_lost_the_lease_can_neither_end_nor_repeat_the_message(
    make: Callable[..., PostgresBroker], owner: psycopg.Connection[Any]
) -> None:
    broker, rival = make(lease_s=0.3), make()
    lost, heir = broker.consume("default", timeout=10), rival.consume("default", timeout=10)
    broker.enqueue(task(1, broker))
    stale, fresh = take(lost), take(heir)
    leased = "tasks.message where state = 'leased' and attempt = 2"

    lost.ack(stale)
    lost.requeue([stale])
    lost.nack(stale)
    broker.enqueue(stale, delay=0)  # type: ignore[arg-type]
    lost.ack(stale)
    assert count(owner, leased) == 1
    assert count(owner, "tasks.dead_message") == 0
    heir.ack(fresh)
    assert count(owner, "tasks.message") == 0
    lost.close()
    heir.close()


def test_a_failed_task_is_repeated_under_its_own_id(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    seen: list[str] = []

    @dramatiq.actor(broker=broker, max_retries=3, min_backoff=10)
    def flaky() -> None:
        with broker.connection() as connection:
            rows = connection.execute("select message_id::text, attempt from tasks.message").fetchall()
        seen.extend(f"{message_id} {attempt}" for message_id, attempt in rows)
        if len(seen) < 3:
            raise ConnectionError("x" * MAX_BODY_BYTES)

    message = flaky.send()
    worker = working(broker)
    broker.join("default", timeout=int(PATIENCE_S * 1000))
    worker.stop()

    assert seen == [f"{message.message_id} {attempt}" for attempt in (1, 2, 3)]
    assert count(owner, "tasks.dead_message") == 0


def test_a_repeat_outlives_a_connection_lost_at_the_acknowledgement(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    consumer = broker.consume("default", timeout=10)
    broker.enqueue(task(1, broker))
    message = take(consumer)
    message.options["retries"] = 1
    broker.enqueue(message, delay=0)  # type: ignore[arg-type]
    cut_connections(owner)

    with pytest.raises(BrokerConnectionError):
        consumer.ack(message)
    consumer.ack(message)
    assert (
        count(owner, "tasks.message where state = 'ready' and convert_from(body, 'UTF8') like '%retries%'")
        == 1
    )
    consumer.close()


def test_what_ends_while_another_thread_tells_of_some_is_told_by_that_one(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    broker.enqueue_many([task(number, broker) for number in range(3)])
    consumer = broker.consume("default", prefetch=3, timeout=10)
    messages = [take(consumer) for _ in range(3)]
    with broker.queues["default"].settling:
        for message in messages[:2]:
            consumer.ack(message)
        assert count(owner, "tasks.message") == 3
    consumer.ack(messages[2])
    assert count(owner, "tasks.message") == 0
    consumer.close()


def test_what_ended_while_the_database_was_away_is_told_when_it_is_back(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    broker.enqueue_many([task(number, broker) for number in range(2)])
    consumer = broker.consume("default", prefetch=2, timeout=10)
    first, second = take(consumer), take(consumer)
    cut_connections(owner)
    with pytest.raises(BrokerConnectionError):
        consumer.ack(first)
    consumer.ack(second)
    assert count(owner, "tasks.message") == 0

    broker.enqueue(task(2, broker))
    consumer = broker.consume("default", timeout=10)
    message = take(consumer)
    cut_connections(owner)
    with pytest.raises(BrokerConnectionError):
        consumer.ack(message)
    heir = broker.consume("default", timeout=10)
    until(lambda: next(heir) is None and count(owner, "tasks.message") == 0)
    heir.close()


def test_one_failed_call_is_enough_to_replace_all_connections_that_were_cut(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    with broker.connection(), broker.connection(), broker.connection():
        pass
    cut_connections(owner)
    with pytest.raises(BrokerConnectionError):
        broker.enqueue(task(1, broker))
    broker.enqueue(task(1, broker))
    assert count(owner, "tasks.message") == 1


def test_a_message_that_nobody_understands_is_dead_and_holds_up_nothing(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    owner.execute(
        "select tasks.enqueue(array[%s]::uuid[], '{default}', '{0}', array[%s]::bytea[], '0', '1 day')",
        [uuid4(), b"no message"],
    )
    owner.execute("update tasks.message set priority = -1")
    unknown: dramatiq.Message[Any] = dramatiq.Message("default", "of_another_version", (), {}, {})
    broker.enqueue_many([unknown, task(1, broker)])
    worker = working(broker)
    broker.join("default", timeout=int(PATIENCE_S * 1000))
    worker.stop()

    errors = owner.execute("select error from tasks.dead_message order by error").fetchall()
    assert len(errors) == 2
    assert "DecodeError" in errors[0][0] + errors[1][0]
    assert "of_another_version" in errors[0][0] + errors[1][0]
    assert count(owner, "effect") == 1


def test_a_message_that_loses_every_worker_is_buried(
    make: Callable[..., PostgresBroker], owner: psycopg.Connection[Any]
) -> None:
    for attempt in (1, 2):
        broker = make(lease_s=0.1, max_lost_leases=2)
        broker.enqueue(task(1, broker))
        assert take(broker.consume("default", timeout=10)).lease.attempt == attempt
    survivor = make(max_lost_leases=2).consume("default", timeout=10)
    until(lambda: next(survivor) or count(owner, "tasks.dead_message"))

    assert dead_error(owner) == "every worker that took it was lost"
    assert count(owner, "tasks.message") == 0
    survivor.close()


def test_a_consumer_holds_no_more_than_its_prefetch(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    broker.enqueue_many([task(number, broker) for number in range(300)])
    consumer = broker.consume("default", prefetch=2, timeout=10)
    first, _ = take(consumer), take(consumer)
    assert nothing_comes(consumer)
    consumer.ack(first)
    assert take(consumer).args == (2,)
    consumer.close()

    greedy = broker.consume("default", prefetch=100_000, timeout=10)
    take(greedy)
    assert count(owner, "tasks.message where state = 'leased'") == 256
    greedy.close()


def test_a_worker_that_stops_gives_back_what_it_had_not_begun(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @dramatiq.actor(broker=broker)
    def slow() -> None:
        begun.set()
        go_on.wait(PATIENCE_S)

    for _ in range(5):
        slow.send()
    worker = working(broker, threads=1)
    assert begun.wait(PATIENCE_S)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    until(lambda: not worker.workers[0].running)
    go_on.set()
    stopping.join()

    assert count(owner, "tasks.message where state = 'ready'") == count(owner, "tasks.message") == 4


def test_ids_and_the_dead_are_forgotten_in_chunks_when_their_time_is_over(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    broker.enqueue(task(1, broker))
    broker.enqueue(task(2, broker))
    owner.execute("select tasks.claim('default', 'worker', 1, '1 hour')")
    owner.execute("select tasks.bury(message_id, 1, 'why', '') from tasks.message where state = 'leased'")
    owner.execute("update tasks.known_message set forget_at = now() - interval '1 second'")
    assert broker.purge() == 0, "neither what waits nor what lies dead is forgotten"

    owner.execute("update tasks.dead_message set died_at = died_at - interval '31 days'")
    assert broker.purge() == 2
    owner.execute(
        "insert into tasks.known_message select gen_random_uuid(), now() - interval '1 s' * n"
        " from generate_series(1, 2500) n"
    )
    assert [broker.purge() for _ in range(4)] == [1000, 1000, 500, 0]
    assert count(owner, "tasks.known_message") == 1


def test_a_flushed_queue_is_empty_and_its_ids_may_come_again(
    broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    broker.enqueue_many([task(number, broker) for number in range(3)])
    broker.enqueue(task(3, broker), delay=60_000)
    with pytest.raises(QueueJoinTimeout):
        broker.join("default", timeout=50, interval=10)
    broker.flush_all()
    broker.join("default", timeout=50, interval=10)

    broker.enqueue(task(1, broker))
    assert count(owner, "tasks.message") == 1


@pytest.mark.parametrize(
    ("change", "delay"),
    [
        ({"message_id": "no-uuid"}, None),
        ({"args": ("x" * MAX_BODY_BYTES,)}, None),
        ({"options": {"eta": 1}}, None),
        ({}, 401 * 86_400_000),
    ],
)
def test_what_exceeds_a_limit_is_refused(
    broker: PostgresBroker, owner: psycopg.Connection[Any], change: dict[str, Any], delay: int | None
) -> None:
    with pytest.raises(ValueError):
        broker.enqueue(task(1, broker).copy(**change), delay=delay)
    assert count(owner, "tasks.known_message") == 0


def test_batches_and_names_are_bounded_and_queues_must_be_declared(broker: PostgresBroker) -> None:
    with pytest.raises(ValueError):
        broker.enqueue_many([task(1, broker)] * (MAX_BATCH + 1))
    with pytest.raises(ValueError):
        broker.declare_queue("q" * 101)
    with pytest.raises(QueueNotFound):
        broker.enqueue(task(1, broker).copy(queue_name="other"))
    with pytest.raises(QueueNotFound):
        broker.consume("other")


def test_no_broker_url_means_postgresql(url: str) -> None:
    broker = broker_of(None, url)
    assert isinstance(broker, PostgresBroker)
    broker.close()


@pytest.mark.parametrize("scheme", ["kafka", "redis", "rediss"])
def test_an_unknown_broker_url_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match=scheme):
        broker_of(f"{scheme}://localhost", "")
