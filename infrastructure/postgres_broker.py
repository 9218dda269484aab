"""A dramatiq broker on PostgreSQL: tasks are enqueued in the caller's transaction and run under leases."""

import os
import socket
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from dramatiq import Broker, Consumer, Message, MessageProxy, Middleware
from dramatiq.errors import BrokerConnectionError, DecodeError, QueueJoinTimeout, QueueNotFound
from psycopg.pq import TransactionStatus

from infrastructure import database
from infrastructure.task_leases import Lease, LeasedMessage, Leases, arrays

MAX_BODY_BYTES = 256 * 1024
MAX_BATCH = 10_000
MAX_DELAY = timedelta(days=400)
MAX_QUEUE_NAME_BYTES = 100
MAX_PREFETCH = 256
MAX_ERROR_CHARS = 8_000
PURGE_EVERY_S = 10.0
NOTIFY_EVERY_S = 0.01

# The rules of the queue are functions beside its tables, in migrations/0004_tasks.sql.
ENQUEUE_ONE = "select tasks.enqueue_one(%s, %s, %s, %s, %s, %s)"
ENQUEUE = "select tasks.enqueue(%s::uuid[], %s::text[], %s::integer[], %s::bytea[], %s, %s)"
NOTIFY = "select pg_notify('tasks', queue) from unnest(%s::text[]) as queue"
CLAIM = "select message_id, attempt, body from tasks.claim(%s, %s, %s, %s) order by priority, arrival"
KEEP_HOUSE = "select tasks.keep_house(%s, %s)"
RENEW = "select tasks.renew(%s::uuid[], %s::integer[], %s)"
COMPLETE = "select tasks.complete(%s::uuid[], %s::integer[])"
GIVE_BACK = "select tasks.give_back(%s::uuid[], %s::integer[])"
RETRY = "select tasks.retry(%s, %s, %s, %s)"
BURY = "select tasks.bury(%s, %s, %s, %s)"
REVIVE = "select tasks.revive(%s)"
FLUSH = "select tasks.flush(%s)"
PURGE = "select tasks.purge(%s)"
ANY_LEFT = "select exists (select from tasks.message where queue = %s)"

# What dramatiq's Retries keeps in a message; a revived message starts without it.
RETRY_OPTIONS = frozenset({"retries", "traceback", "requeue_timestamp"})


class PostgresBroker(Broker):
    """Keeps tasks in the schema ``tasks``; an id is accepted exactly once and delivered at least once.

    A message id is a UUID as text. Sending an id that waits, runs, lies dead or was due less than
    ``remember_d`` days ago does nothing; so derive it from the event that causes the task:
    ``broker.enqueue(actor.message(…).copy(message_id=str(uuid5(event_id, "points"))))``.
    Remembering costs about 105 bytes on disk a message.

    A consumer renews its leases while actors run. A worker that dies loses them after ``lease_s`` and
    another takes over; a message that lost ``max_lost_leases`` of them is buried with the dead, which are
    kept for ``keep_dead_d`` days. ``lease_s`` should be well above dramatiq's 3 s of reconnecting.
    ``poll_s`` bounds the wait for joined and delayed messages, and for those that come within 10 ms of
    others; the rest are notified at once.
    """

    queues: dict[str, Leases]

    def __init__(
        self,
        url: str,
        *,
        middleware: list[Middleware] | None = None,
        lease_s: float = 60.0,
        poll_s: float = 0.1,
        remember_d: int = 7,
        keep_dead_d: int = 30,
        max_lost_leases: int = 20,
        connections_max: int = 4,
    ) -> None:
        super().__init__(middleware)
        self.queues = {}
        self._notices: dict[str, _Every] = {}
        self.url, self.poll_s, self.max_lost_leases = url, poll_s, max_lost_leases
        self.lease = timedelta(seconds=lease_s)
        self._remember, self._keep_dead = timedelta(days=remember_d), timedelta(days=keep_dead_d)
        self._joined: ContextVar[psycopg.Connection[Any] | None] = ContextVar("joined", default=None)
        self._pool = database.pool(url, connections_max)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A pooled connection in autocommit. Raises BrokerConnectionError."""
        with _broker_errors():
            try:
                with self._pool.connection() as connection:
                    yield connection
            except psycopg.OperationalError:
                self._pool.check()  # a lost connection seldom comes alone
                raise

    @contextmanager
    def joining(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Within the block, whatever this context enqueues is part of the connection's transaction.

        Errors of the database are then psycopg's own, for the transaction's owner to handle. An enqueue
        takes a transaction id: in a transaction that appends to the log, enqueue after the append.
        Raises ValueError on an autocommit connection outside of a transaction.
        """
        if connection.autocommit and connection.info.transaction_status is TransactionStatus.IDLE:
            raise ValueError("a task can only join a connection that is in a transaction")
        token = self._joined.set(connection)
        try:
            yield
        finally:
            self._joined.reset(token)

    def declare_queue(self, queue_name: str) -> None:
        """Make the queue known here. Raises ValueError when its name is longer than 100 bytes."""
        if len(queue_name.encode()) > MAX_QUEUE_NAME_BYTES:
            raise ValueError(f"queue name {queue_name!r} is longer than {MAX_QUEUE_NAME_BYTES} bytes")
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = Leases()
            self._notices[queue_name] = _Every(NOTIFY_EVERY_S)
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Accept a message once, due in ``delay`` milliseconds; see ``enqueue_many`` for the refusals."""
        if not isinstance(message, LeasedMessage):
            self.enqueue_many([message], delay=delay)
            return message
        self.emit_before("enqueue", message, delay)
        if "traceback" in message.options:
            message.options["traceback"] = message.options["traceback"][-MAX_ERROR_CHARS:]
        message.retry_delay = _checked_delay(delay)
        self.emit_after("enqueue", message, delay)
        return message

    def enqueue_many(self, messages: Sequence[Message[Any]], *, delay: int | None = None) -> None:
        """Accept up to 10,000 messages in one statement, due in ``delay`` milliseconds, each id once.

        Raises QueueNotFound; ValueError for an id that is no UUID, a body over 256 KiB, a delay over
        400 days or an ``eta`` option; BrokerConnectionError when not joined.
        """
        if len(messages) > MAX_BATCH:
            raise ValueError(f"{len(messages)} messages are more than the {MAX_BATCH} of a batch")
        due_in = _checked_delay(delay)
        for message in messages:
            self.emit_before("enqueue", message, delay)
        unique = {UUID(message.message_id): message for message in messages}
        rows = [
            (id_, message.queue_name, self._priority(message), self._checked_body(message))
            for id_, message in unique.items()
        ]
        if len(rows) == 1:
            self._insert(ENQUEUE_ONE, *rows[0], due_in, self._remember)
        elif rows:
            self._insert(ENQUEUE, *map(list, zip(*rows, strict=True)), due_in, self._remember)
        if self._joined.get() is None and not due_in:
            self._notify({queue for _, queue, _, _ in rows})
        for message in messages:
            self.emit_after("enqueue", message, delay)

    def _insert(self, statement: LiteralString, *parameters: object) -> None:
        joined = self._joined.get()
        if joined is None:
            self._value(statement, *parameters)
        else:  # with a plain cursor, whatever cursors the caller's connection makes
            with psycopg.Cursor(joined) as cursor:
                cursor.execute(statement, parameters)

    def _notify(self, queues: set[str]) -> None:
        """After the commit, because a NOTIFY makes commits wait for each other; the poll covers a failure."""
        told = sorted(queue for queue in queues if self._notices[queue].is_due())
        if told:
            with suppress(BrokerConnectionError):
                self._value(NOTIFY, told)

    def _priority(self, message: Message[Any]) -> int:
        actor = self.actors.get(message.actor_name)
        return actor.priority if actor else 0

    def _checked_body(self, message: Message[Any]) -> bytes:
        self._leases(message.queue_name)
        if "eta" in message.options:
            raise ValueError("a message is delayed by `delay`, not by an `eta` option")
        body = message.encode()
        if len(body) > MAX_BODY_BYTES:
            raise ValueError(f"message of {len(body)} bytes; the limit is {MAX_BODY_BYTES}: pass a reference")
        return body

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> Consumer:
        """A consumer that holds at most ``prefetch`` (and 256) leases and idles ``timeout`` milliseconds.

        Raises QueueNotFound, BrokerConnectionError.
        """
        leases = self._leases(queue_name)
        return PostgresConsumer(self, queue_name, leases, min(prefetch, MAX_PREFETCH), timeout / 1000)

    def _leases(self, queue_name: str) -> Leases:
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        return self.queues[queue_name]

    def revive(self, message_id: str) -> bool:
        """Put a dead message back in its queue with all its retries; False when it isn't among the dead."""
        return bool(self._value(REVIVE, UUID(message_id)))

    def purge(self) -> int:
        """Forget a chunk each of old ids and old dead messages, as consumers do; return the rows gone."""
        return int(self._value(PURGE, self._keep_dead))

    def flush(self, queue_name: str) -> None:
        """Drop and forget all messages of a queue, also those at work; the dead stay."""
        while self._value(FLUSH, queue_name):
            pass

    def flush_all(self) -> None:
        for queue_name in self.queues:
            self.flush(queue_name)

    def join(self, queue_name: str, *, timeout: int | None = None, interval: int = 100) -> None:
        """Wait until a queue holds nothing, delayed messages included; for tests.

        ``timeout`` and ``interval`` are in milliseconds. Raises QueueNotFound, QueueJoinTimeout.
        """
        self._leases(queue_name)
        deadline = None if timeout is None else time.monotonic() + timeout / 1000
        while self._value(ANY_LEFT, queue_name):
            if deadline is not None and time.monotonic() >= deadline:
                raise QueueJoinTimeout(queue_name)  # type: ignore[no-untyped-call]
            time.sleep(interval / 1000)

    def _value(self, statement: LiteralString, *parameters: object) -> Any:
        with self.connection() as connection:
            return _one(connection.execute(statement, parameters))

    def close(self) -> None:
        self._pool.close()


class PostgresConsumer(Consumer):
    """Leases messages of one queue and keeps house for it; dramatiq's worker threads end them through it."""

    def __init__(
        self, broker: PostgresBroker, queue: str, leases: Leases, prefetch: int, timeout_s: float
    ) -> None:
        self._broker, self._queue, self._leases, self._prefetch = broker, queue, leases, prefetch
        self._wait_s = min(timeout_s, broker.poll_s)
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._buffer: deque[tuple[Lease, bytes]] = deque()
        self._care, self._renewal = _Every(broker.poll_s), _Every(broker.lease.total_seconds() / 4)
        self._purge = _Every(PURGE_EVERY_S)
        with _broker_errors():
            self._connection = database.connect(broker.url)
            # A lease that the server forgets when it dies is given anew.
            self._connection.execute("set synchronous_commit = off")
            self._connection.execute("listen tasks")

    def __next__(self) -> LeasedMessage | None:
        with _broker_errors():
            self._keep_house()
            if not self._buffer:
                room = self._leases.room(self._prefetch, self._wait_s)
                if room and not self._claim(room):
                    self._listen()
            return self._hand_out() if self._buffer else None

    def _keep_house(self) -> None:
        if self._renewal.is_due():
            self._connection.execute(RENEW, [*arrays(self._leases.held()), self._broker.lease])
        if self._care.is_due():
            self._settle()  # where it failed before
            self._connection.execute(KEEP_HOUSE, [self._queue, self._broker.max_lost_leases])
            # Notifications that came while there was work would pile up in the client's memory.
            for _ in self._connection.notifies(timeout=0):
                pass
        if self._purge.is_due():
            self._broker.purge()

    def _claim(self, room: int) -> bool:
        parameters = [self._queue, self._worker, room, self._broker.lease]
        rows = self._connection.execute(CLAIM, parameters).fetchall()
        claimed = [(Lease(message_id, attempt), body) for message_id, attempt, body in rows]
        self._leases.add(lease for lease, _ in claimed)
        self._buffer.extend(claimed)
        return bool(claimed)

    def _listen(self) -> None:
        with closing(self._connection.notifies(timeout=self._wait_s)) as notifications:
            for notification in notifications:
                if notification.payload == self._queue:
                    return

    def _hand_out(self) -> LeasedMessage | None:
        lease, body = self._buffer.popleft()
        try:
            return LeasedMessage(Message.decode(body), lease)
        except DecodeError as error:
            self._bury(lease, error, body)
            return None

    def ack(self, message: MessageProxy) -> None:
        """A thread that ends a task while another tells of some leaves it to that one: many end at once."""
        assert isinstance(message, LeasedMessage)
        if message.retry_delay is None:
            self._leases.drop([message.lease], ended=True)
            self._settle()
            return
        try:
            self._end(message.lease, RETRY, [message.retry_delay, message.encode()])
        finally:
            self._leases.drop([message.lease])

    def _settle(self) -> None:
        """Tell the database what has ended; then look again, for others left theirs to this thread."""
        while self._leases.ended() and self._leases.settling.acquire(blocking=False):
            try:
                ended = self._leases.ended()
                with self._broker.connection() as connection:
                    lost = connection.execute(COMPLETE, arrays(ended)).fetchall()
                self._leases.told(ended)
            finally:
                self._leases.settling.release()
            for (message_id,) in lost:
                self._warn_of_lost_lease(message_id)

    def nack(self, message: MessageProxy) -> None:
        assert isinstance(message, LeasedMessage)
        options = {key: value for key, value in message.options.items() if key not in RETRY_OPTIONS}
        self._bury(message.lease, message._exception, replace(message._message, options=options).encode())

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self._give_back([message.lease for message in messages if isinstance(message, LeasedMessage)])

    def close(self) -> None:
        """Give back what was not handed out; where that fails, the leases run out."""
        unused = [lease for lease, _ in self._buffer]
        self._buffer.clear()
        with suppress(BrokerConnectionError):
            self._settle()
            self._give_back(unused)
        self._connection.close()

    def _give_back(self, leases: list[Lease]) -> None:
        self._leases.drop(leases)
        if leases:
            with self._broker.connection() as connection:
                connection.execute(GIVE_BACK, arrays(leases))

    def _bury(self, lease: Lease, error: BaseException | None, body: bytes) -> None:
        try:
            self._end(lease, BURY, [reason_of(error), body])
        finally:
            self._leases.drop([lease])

    def _end(self, lease: Lease, statement: LiteralString, parameters: list[Any]) -> None:
        with self._broker.connection() as connection:
            if connection.execute(statement, [*lease, *parameters]).fetchone() != (True,):
                self._warn_of_lost_lease(lease.message_id)

    def _warn_of_lost_lease(self, message_id: UUID) -> None:
        self._broker.logger.warning(
            "Message %s ended without its lease: another worker runs it too.", message_id
        )


class _Every:
    def __init__(self, period_s: float) -> None:
        self._period_s, self._due_s = period_s, time.monotonic()

    def is_due(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._period_s
        return True


@contextmanager
def _broker_errors() -> Iterator[None]:
    """dramatiq reconnects on BrokerConnectionError only."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise BrokerConnectionError(str(error)) from error  # type: ignore[no-untyped-call]


def _one(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    assert row is not None
    return row[0]


def reason_of(error: BaseException | None) -> str:
    """Why a message died, as it is kept with the dead."""
    reason = "".join(traceback.format_exception(error)) if error else "rejected without an exception"
    # PostgreSQL stores neither NUL nor half a surrogate pair.
    return reason.replace("\0", "").encode(errors="replace").decode()[-MAX_ERROR_CHARS:]


def _checked_delay(delay_ms: int | None) -> timedelta:
    delay = timedelta(milliseconds=max(0, delay_ms or 0))
    if delay > MAX_DELAY:
        raise ValueError(f"a delay of {delay.days} days; the limit is {MAX_DELAY.days}")
    return delay


def broker_of(url: str | None, database_url: str) -> Broker:
    """The broker that ``BROKER_URL`` names: ``amqp(s)://`` RabbitMQ, none PostgreSQL.

    Only PostgresBroker joins transactions and drops known ids; task_relay does both for RabbitMQ. No Redis:
    it confirms what it may forget, and is slower than PostgreSQL here. Raises ValueError for another scheme.
    """
    if not url:
        return PostgresBroker(database_url)
    scheme = url.partition("://")[0]
    if scheme in ("amqp", "amqps"):
        from dramatiq.brokers.rabbitmq import RabbitmqBroker

        return RabbitmqBroker(url=url, confirm_delivery=True)
    raise ValueError(f"BROKER_URL has the scheme {scheme!r}; known are amqp and amqps")
