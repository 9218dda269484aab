"""Endpoints that were approved, and things that happen, for tests of webhooks."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from api import webhook_events
from application.shared.handler import Handler
from application.shared.records import GENESIS, Context, Position, Write
from domain import activities
from domain import webhook_endpoints as we
from domain.webhook_contents import Disclosure, WebhookContent
from infrastructure import database, webhooks
from infrastructure.event_log import EventLog
from infrastructure.webhook_deliveries import LEASE, RETRIES, WebhookDeliveries
from infrastructure.webhook_queue import OWED_MAX, WebhookQueue
from infrastructure.webhook_secrets import WebhookSecrets
from infrastructure.webhook_sender import WebhookSender
from tests.domain.examples import APPROVAL, PLAN

UNITS = frozenset({"HO", "SH", "BJ"})
AT_ONCE = timedelta(0)
STEPS_MAX = 2_000


@dataclass
class WebhookWorld:
    """`queue` and `deliver` do all that is to be done now."""

    url: str
    log: EventLog
    sender: WebhookSender
    key_file: Path
    retries: tuple[timedelta, ...] = RETRIES
    lease: timedelta = LEASE
    owed_max: int = OWED_MAX
    told: dict[UUID, str] = field(default_factory=dict)
    """The newest secret of each endpoint, as it was told."""

    @property
    def secrets(self) -> WebhookSecrets:
        return WebhookSecrets(self.log.log_recorder.pool, self.key_file)

    @property
    def deliveries(self) -> WebhookDeliveries:
        return WebhookDeliveries(
            pool=self.log.log_recorder.pool,
            log=self.log,
            secrets=self.secrets,
            sender=self.sender,
            publish=webhook_events.body,
            public_id=webhook_events.event_id,
            suspend=partial(webhooks.suspend, Handler(self.log), UNITS),
            units=UNITS,
            retries=self.retries,
            lease=self.lease,
        )

    # --- What happens ---

    def endpoint(self, url: str, *types: str, unit: str = "HO", discloses: Sequence[Disclosure] = ()) -> UUID:
        """An approved endpoint, with a secret."""
        endpoint, secret = uuid4(), uuid4()
        self.told[endpoint] = self.secrets.new_secret(secret)
        content = WebhookContent("Partner", url, types or ("activity.*",), tuple(discloses))
        events = [
            we.WebhookEndpointDrafted(f"W{endpoint.hex[:8]}", unit, content, secret, "lin"),
            we.WebhookEndpointSubmitted(1, APPROVAL, "0" * 64, "research", "lin"),
            we.WebhookEndpointApproved(1, APPROVAL, "0" * 64),
        ]
        self.record(endpoint, "webhook_endpoint", unit, events)
        return endpoint

    def happens(self, unit: str = "HO", stream: UUID | None = None) -> UUID:
        """An activity is drafted, or one that was is revised."""
        if stream is None:
            stream = uuid4()
            self.record(
                stream,
                "activity",
                unit,
                [activities.ActivityDrafted(f"A{stream.hex[:8]}", unit, PLAN, "lin")],
            )
        else:
            revision = self.log.load(activities.DECIDER, stream).version + 1
            self.record(stream, "activity", unit, [activities.ActivityRevised(revision, PLAN, "lin")])
        return stream

    def to_endpoint(self, endpoint: UUID, *events: we.Event) -> None:
        self.record(endpoint, "webhook_endpoint", "HO", list(events))

    def record(self, stream: UUID, kind: str, unit: str, events: list[Any]) -> Position:
        with self.log.log_recorder.pool.connection() as connection:
            row = connection.execute(
                "select version, hash from log.heads where stream_id = %s", [stream]
            ).fetchone()
        version, hash_ = (0, GENESIS) if row is None else (row[0], bytes(row[1]))
        context = Context("tests", None, unit, uuid4(), uuid4(), None, datetime.now(UTC))
        return self.log.append_bulk([Write(stream, kind, version, hash_, events)], context)

    # --- What follows ---

    def queue(self) -> None:
        with closing(database.connect(self.url)) as connection:
            queue = WebhookQueue(connection, self.log, webhook_events.type_of, UNITS, self.owed_max)
            assert queue.lead()
            while queue.step():
                pass

    def deliver(self) -> int:
        """How many attempts there were."""
        deliveries, steps = self.deliveries, 0
        while deliveries.step():
            steps += 1
            assert steps < STEPS_MAX, "it never ends"
        return steps

    def run(self) -> None:
        self.queue()
        self.deliver()
        self.queue()

    def later(self) -> None:
        """The time of every retry has come, and every lease is over."""
        self.execute("update webhook.lines set due_at = now() where due_at < 'infinity'")

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.log.log_recorder.pool.connection() as connection:
            cursor: psycopg.Cursor[Any] = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def statuses(self, endpoint: UUID) -> list[str]:
        """Of its deliveries, in the log's order."""
        rows = self.execute(
            "select status from webhook.deliveries where endpoint_id = %s order by epoch, position", endpoint
        )
        return [status for (status,) in rows]

    def endpoint_now(self, endpoint: UUID) -> we.WebhookEndpoint:
        return self.log.load(we.DECIDER, endpoint).state
