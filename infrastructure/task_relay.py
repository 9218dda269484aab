"""Tasks on another broker: enqueued in PostgreSQL, in the caller's transaction, relayed, each done once.

    caller's transaction → tasks.message → relay → RabbitMQ → worker → done, under an id made of the message's

The relay publishes, waits until the broker has confirmed, then completes: killed between, it publishes again.
A broker that loses a worker's connection delivers again, too. So a worker holds a lock by the message's id
while it performs and drops what is done already. What it gives up goes to the dead in PostgreSQL, where
`PostgresBroker.revive` works as without another broker.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid5

import psycopg
import structlog
from dramatiq import Broker, Consumer, Message, MessageProxy, Middleware
from dramatiq.middleware import SkipMessage
from dramatiq.middleware.middleware import MiddlewareError

from infrastructure import database
from infrastructure.postgres_broker import RETRY_OPTIONS, PostgresBroker, reason_of
from infrastructure.task_leases import LeasedMessage

DONE_NAMESPACE = UUID("b6c6c2de-7c0a-5f5e-9a10-5d8a4b1f0c37")
REMEMBER = timedelta(days=7)
# A relay that is killed holds so many messages back for so long.
PREFETCH = 64
LEASE_S = 15.0
IDLE_MS = 100
RECONNECT_S = 1.0
STOP_S = 5.0
LOCK_POLL_S = 0.05

LOCK = "select pg_try_advisory_lock(%s)"
UNLOCK = "select pg_advisory_unlock(%s)"
IS_DONE = "select exists (select from tasks.known_message where message_id = %s)"
# Ids made of a message's are known beside the messages' own: the same house-keeping forgets both.
RECORD_DONE = """
with done as (
    insert into tasks.known_message (message_id, forget_at) values (%s, now() + %s) on conflict do nothing
)
delete from tasks.dead_message where message_id = %s
"""
BURY = """
insert into tasks.dead_message (message_id, queue, priority, attempt, error, body)
values (%s, %s, 0, %s, %s, %s)
on conflict (message_id) do update
set attempt = excluded.attempt, error = excluded.error, body = excluded.body, died_at = now()
"""

logger = structlog.get_logger("cardinal.tasks")


class TaskRelay:
    """Moves what is due from PostgreSQL to another broker; any number of relays may run at once."""

    def __init__(self, outbox: PostgresBroker, target: Broker) -> None:
        self._outbox, self._target = outbox, target

    def run(self, stop: threading.Event) -> None:
        """Relay until `stop` is set; a database or broker that is away is waited for."""
        for queue in self._outbox.queues:
            self._target.declare_queue(queue)
        while not stop.is_set():
            try:
                with ExitStack() as consumers:
                    self._relay(
                        [
                            consumers.enter_context(closing(self._outbox.consume(queue, PREFETCH, IDLE_MS)))
                            for queue in self._outbox.queues
                        ],
                        stop,
                    )
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                logger.warning("no task is relayed until database and broker are back", why=why)
                stop.wait(RECONNECT_S)

    def _relay(self, consumers: list[Consumer], stop: threading.Event) -> None:
        while not stop.is_set():
            for consumer in consumers:
                message = next(consumer)
                if isinstance(message, LeasedMessage):
                    try:
                        self._target.enqueue(message._message)
                    except BaseException:
                        consumer.requeue([message])
                        raise
                    consumer.ack(message)


class DatabaseAway(MiddlewareError):
    """Whether a task was done already can't be told: it is tried again later."""


class DoneOnce(Middleware):
    """Performs a message id once at a time and not again when it was done; keeps the dead in PostgreSQL.

    To be the first middleware, so that it sees last what became of a message. A task that runs holds one
    connection, so `connections_max` is more than the number of threads. What was done is remembered for
    7 days. A task whose worker dies after its effect and before that is remembered runs again, as on
    PostgresBroker: tasks are steps that may be repeated.
    """

    def __init__(self, url: str, connections_max: int) -> None:
        self._pool = database.pool(url, connections_max)
        self._held = _Held()

    def before_process_message(self, _: Broker, message: MessageProxy) -> None:
        self._held.enqueued_id = None
        try:
            connection = self._held.connection = self._pool.getconn()
            self._held.key = UUID(message.message_id).int >> 65  # fits a bigint
            while not _value(connection, LOCK, self._held.key):
                time.sleep(LOCK_POLL_S)
            is_done = _value(connection, IS_DONE, _done_id(message))
        except psycopg.Error as error:
            raise DatabaseAway(str(error)) from error
        if is_done:
            logger.info("a task that was done came again and was dropped", message=message.message_id)
            raise SkipMessage(message.message_id)

    def after_enqueue(self, _: Broker, message: Message[Any], __: int | None) -> None:
        self._held.enqueued_id = message.message_id

    def after_process_message(
        self,
        _: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        del result
        try:
            if exception is not None and self._held.enqueued_id != message.message_id:
                message.fail()  # else it would be acknowledged although nobody could repeat it
            elif exception is None and not message.failed and self._held.connection is not None:
                self._held.connection.execute(RECORD_DONE, [_done_id(message), REMEMBER, message.message_id])
        finally:
            self._let_go()

    def after_skip_message(self, _: Broker, __: MessageProxy) -> None:
        self._let_go()

    def before_nack(self, _: Broker, message: MessageProxy) -> None:
        options = {key: value for key, value in message.options.items() if key not in RETRY_OPTIONS}
        body = replace(message._message, options=options).encode()
        attempt = message.options.get("retries", 0) + 1
        with self._pool.connection() as connection:
            row = [message.message_id, message.queue_name, attempt, reason_of(message._exception), body]
            connection.execute(BURY, row)

    def close(self) -> None:
        self._pool.close()

    def _let_go(self) -> None:
        """Give the connection back without its lock; a broken one has lost it already."""
        connection, self._held.connection = self._held.connection, None
        if connection is None:
            return
        try:
            connection.execute(UNLOCK, [self._held.key])
        except psycopg.Error:
            connection.close()
        finally:
            self._pool.putconn(connection)


class _Held(threading.local):
    """What a thread has while it performs a task."""

    connection: psycopg.Connection[Any] | None = None
    key: int = 0
    enqueued_id: str | None = None


def _done_id(message: MessageProxy) -> UUID:
    return uuid5(DONE_NAMESPACE, message.message_id)


def _value(connection: psycopg.Connection[Any], statement: LiteralString, parameter: object) -> Any:
    row = connection.execute(statement, [parameter]).fetchone()
    assert row is not None
    return row[0]


@contextmanager
def performing(broker: Broker, url: str, threads: int) -> Iterator[Broker]:
    """Another broker than PostgreSQL's, for `threads` that perform tasks in the block; closed after it."""
    done_once = DoneOnce(url, threads + 1)
    with closing(done_once), closing(broker):
        broker.add_middleware(done_once, before=type(broker.middleware[0]))
        yield broker


@contextmanager
def relaying(outbox: PostgresBroker, target: Broker) -> Iterator[None]:
    """Relay in a thread as long as the block runs; both brokers are closed after it."""
    stop = threading.Event()
    thread = threading.Thread(target=TaskRelay(outbox, target).run, args=[stop], name="relay", daemon=True)
    with closing(outbox), closing(target):
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(STOP_S)
