"""Sends what endpoints are owed: of each aggregate the oldest first, and the next when that one is through.

A line is what one endpoint is owed of one stream. Who holds its lease sends; a holder that dies leaves the
lease to run out, and the same event goes out again under the same id.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg_pool import ConnectionPool
from standardwebhooks import Webhook

from application.shared.identifiers import uuid7
from application.shared.records import Record
from application.webhook_endpoints import gets, recipient
from domain.webhook_contents import WebhookContent
from domain.webhook_endpoints import DECIDER, WebhookEndpoint
from domain.webhook_statuses import DisablingCause
from infrastructure.event_log import EventLog
from infrastructure.stored_records import RECORDED, record
from infrastructure.webhook_secrets import SecretsUnavailable, WebhookSecrets
from infrastructure.webhook_sender import Answer, Outcome, WebhookSender, excerpt

LEASE = timedelta(seconds=60)
"""Well above the time that a sender has."""
AT_ONCE_MAX = 8
"""How many events are under way to one endpoint, so that a slow one leaves room for the others."""
JITTER = 0.1
RETRIES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long to wait after each failure; after the last of ten attempts the endpoint is disabled."""
SUSPENDING = timedelta(minutes=1)
"""Until then its being disabled has been recorded, or it is tried once more."""
KEPT = timedelta(days=30)
PURGED_AT_ONCE = 5_000
USER_AGENT = "Cardinal-Webhooks/1"

CLAIM = """
with due as (
    select l.endpoint_id, l.stream_id from webhook.lines l
    join webhook.endpoints e on e.id = l.endpoint_id and e.is_on
    where l.due_at <= now() and (
        select count(*) from webhook.lines b
        where b.endpoint_id = l.endpoint_id and b.lease is not null and b.due_at > now()) < %(at_once)s
    order by l.due_at limit 1 for update of l skip locked)
update webhook.lines l set lease = %(lease)s, due_at = now() + %(for)s
from due where (l.endpoint_id, l.stream_id) = (due.endpoint_id, due.stream_id)
returning l.endpoint_id, l.stream_id, l.failures
"""
OLDEST = """
select id, event_id, stream_id, version, attempt_count from webhook.deliveries
where endpoint_id = %s and stream_id = %s and status = 'pending' order by epoch, position limit 1
"""
RECORD = f"select {RECORDED} from log.events where stream_id = %s and version = %s and event_id = %s"
HELD = "select 1 from webhook.lines where endpoint_id = %s and stream_id = %s and lease = %s for update"
END = """
update webhook.deliveries set status = %s, ended_at = now(), retry_at = null
where id = %s and status = 'pending'
"""
COUNT = "update webhook.deliveries set attempt_count = %s, retry_at = now() + %s where id = %s"
TELL = """
insert into webhook.attempts
    (id, delivery_id, org_unit, number, started_at, duration_ms, outcome, status_code, response)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (delivery_id, number) do nothing
"""
NEXT = """
update webhook.lines set lease = null, failures = 0, due_at = now() where endpoint_id = %s and stream_id = %s
"""
LATER = """
update webhook.lines set lease = null, failures = failures + 1, due_at = now() + %s
where endpoint_id = %s and stream_id = %s
"""
DONE = "delete from webhook.lines where endpoint_id = %s and stream_id = %s"
PURGE = """
delete from webhook.deliveries where id in (
    select id from webhook.deliveries where ended_at < %s order by ended_at limit %s)
"""

Publish = Callable[[Record[Any], WebhookContent], bytes | None]
"""The body that an endpoint gets of an event; None for what is not sent any more."""
PublicId = Callable[[UUID], str]
Suspend = Callable[[UUID, DisablingCause, str, UUID], None]
"""Records that an endpoint is disabled: its id, why, in words, and the event that could not be delivered."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    endpoint: UUID
    stream: UUID
    failures: int
    lease: UUID


@dataclass(frozen=True, slots=True)
class Due:
    """The oldest event of a line that is still to be sent."""

    id: UUID
    event: UUID
    stream: UUID
    version: int
    attempts: int


@dataclass(frozen=True, slots=True)
class WebhookDeliveries:
    """Safe to share between threads; each step is one event's attempt."""

    pool: ConnectionPool[psycopg.Connection[Any]]
    log: EventLog
    secrets: WebhookSecrets
    sender: WebhookSender
    publish: Publish
    public_id: PublicId
    suspend: Suspend
    units: frozenset[str]
    retries: tuple[timedelta, ...] = RETRIES
    lease: timedelta = LEASE

    def step(self) -> bool:
        """Send the next event that is due; False when none is. Raise psycopg.Error."""
        line = self._claim()
        if line is None:
            return False
        due = self._oldest(line)
        if due is None:
            self._ended(line)
            return True
        endpoint = self.log.load(DECIDER, line.endpoint).state
        found = self._record(due)
        content, body = endpoint.approved, None
        if content is not None and found is not None:
            reader = recipient(endpoint, self.units)
            if gets(reader, found.stream_type, found.context.org_unit):
                body = self.publish(found, content)
        if content is None or body is None:
            if endpoint.is_sent_to:
                self._drop(line, due)
            return True
        self._attempt(line, due, endpoint, content.url, body)
        return True

    def purge(self, now: datetime) -> int:
        """Forget what ended a month ago, with its attempts; how many deliveries that were."""
        with self.pool.connection() as connection:
            return connection.execute(PURGE, [now - KEPT, PURGED_AT_ONCE]).rowcount

    def _claim(self) -> Line | None:
        lease = uuid4()
        values = {"lease": lease, "for": self.lease, "at_once": AT_ONCE_MAX}
        with self.pool.connection() as connection:
            row = connection.execute(CLAIM, values).fetchone()
        return None if row is None else Line(row[0], row[1], row[2], lease)

    def _oldest(self, line: Line) -> Due | None:
        with self.pool.connection() as connection:
            row = connection.execute(OLDEST, [line.endpoint, line.stream]).fetchone()
        return None if row is None else Due(*row)

    def _record(self, due: Due) -> Record[Any] | None:
        with self.pool.connection() as connection, connection.cursor(binary=True) as cursor:
            row = cursor.execute(RECORD, [due.stream, due.version, due.event]).fetchone()
        return None if row is None else record(row)

    def _attempt(self, line: Line, due: Due, endpoint: WebhookEndpoint, url: str, body: bytes) -> None:
        started_at = datetime.now(UTC)
        answer = self._send(due, endpoint, url, body, started_at)
        with self.pool.connection() as connection, connection.transaction():
            if connection.execute(HELD, [line.endpoint, line.stream, line.lease]).fetchone() is None:
                return  # somebody else has the line: what he does counts
            number = due.attempts + 1
            told = [number, started_at, answer.duration_ms, answer.outcome, answer.status_code]
            wait = self._wait(line, answer)
            connection.execute(COUNT, [number, wait, due.id])
            connection.execute(TELL, [uuid7(), due.id, endpoint.org_unit, *told, answer.response])
            if answer.outcome is Outcome.DELIVERED:
                connection.execute(END, ["delivered", due.id])
                self._next(connection, line)
                return
            connection.execute(LATER, [wait, line.endpoint, line.stream])
        if self._is_over(line, answer):
            self._give_up(line, due, answer)

    def _is_over(self, line: Line, answer: Answer) -> bool:
        return answer.outcome is Outcome.GONE or line.failures >= len(self.retries)

    def _wait(self, line: Line, answer: Answer) -> timedelta:
        return SUSPENDING if self._is_over(line, answer) else _jittered(self.retries[line.failures])

    def _send(self, due: Due, endpoint: WebhookEndpoint, url: str, body: bytes, now: datetime) -> Answer:
        id_ = self.public_id(due.event)
        try:
            secrets = self.secrets.secrets(endpoint.secrets)
        except SecretsUnavailable as error:
            return Answer(Outcome.NOT_SIGNED, 0, None, excerpt(str(error)))
        if not secrets:
            return Answer(Outcome.NOT_SIGNED, 0, None, "it has no secret: rotate it")
        signatures = " ".join(Webhook(each).sign(id_, now, body.decode()) for each in secrets)
        headers = {
            "content-type": "application/cloudevents+json; charset=UTF-8",
            "user-agent": USER_AGENT,
            "webhook-id": id_,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signatures,
        }
        return self.sender.post(url, headers, body)

    def _give_up(self, line: Line, due: Due, answer: Answer) -> None:
        is_gone = answer.outcome is Outcome.GONE
        cause = DisablingCause.GONE if is_gone else DisablingCause.EXHAUSTED
        reason = answer.outcome.value if answer.status_code is None else f"HTTP {answer.status_code}"
        logger.warning("the webhook endpoint %s is disabled: %s, %s", line.endpoint, cause, reason)
        self.suspend(line.endpoint, cause, reason, due.event)

    def _drop(self, line: Line, due: Due) -> None:
        """It is not this endpoint's to see any more, or can't be shown."""
        with self.pool.connection() as connection, connection.transaction():
            if connection.execute(HELD, [line.endpoint, line.stream, line.lease]).fetchone() is not None:
                connection.execute(END, ["dropped", due.id])
                self._next(connection, line)

    def _ended(self, line: Line) -> None:
        with self.pool.connection() as connection, connection.transaction():
            if connection.execute(HELD, [line.endpoint, line.stream, line.lease]).fetchone() is not None:
                self._next(connection, line)

    def _next(self, connection: psycopg.Connection[Any], line: Line) -> None:
        """The row is locked, and whoever queues locks it too: what is looked at now is all that there is."""
        key = [line.endpoint, line.stream]
        more = connection.execute(OLDEST, key).fetchone() is not None
        connection.execute(NEXT if more else DONE, key)


def _jittered(wait: timedelta) -> timedelta:
    return wait * random.uniform(1 - JITTER, 1 + JITTER)
