"""Webhooks in the worker: one thread follows the log where it leads, others send; the log waits for none."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import psycopg

from application import webhook_endpoints
from application.shared.handler import Handler, Request
from domain.webhook_statuses import DisablingCause
from infrastructure import database
from infrastructure.event_log import EventLog
from infrastructure.settings import Settings
from infrastructure.webhook_deliveries import PublicId, Publish, WebhookDeliveries
from infrastructure.webhook_queue import Superseded, TypeOf, WebhookQueue
from infrastructure.webhook_secrets import WebhookSecrets
from infrastructure.webhook_sender import WebhookSender

SENDERS = 8
CONNECTIONS_MAX = 6
LEAD_EVERY_S = 1.0
RECONNECT_S = 1.0
PAUSE_MIN_S = 0.01
PAUSE_MAX_S = 1.0
PURGE_EVERY_S = 600.0
GRACE_S = 6.0
LISTEN = "listen cardinal_appended"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """What is made of events: their public type, the body that is sent, and their id as it is sent."""

    type_of: TypeOf
    body: Publish
    public_id: PublicId


@contextmanager
def delivering(settings: Settings, url: str, publication: Publication) -> Iterator[None]:
    """Queue and send as long as the block runs; what is under way at its end has 6 s to finish."""
    with ExitStack() as opened:
        pool = opened.enter_context(database.pool(url, CONNECTIONS_MAX))
        log = EventLog(pool)
        handler = Handler(log, policy=settings.approval_policy, zone=settings.time_zone)
        sender = opened.enter_context(WebhookSender(may_be_near=may_be_near(settings)))
        deliveries = WebhookDeliveries(
            pool=pool,
            log=log,
            secrets=WebhookSecrets(pool, key_file(settings)),
            sender=sender,
            publish=publication.body,
            public_id=publication.public_id,
            suspend=partial(suspend, handler, settings.units),
            units=settings.units,
        )
        queue = partial(_keep_queue, url, log, publication.type_of, settings.units)
        stop = threading.Event()
        threads = [threading.Thread(target=queue, args=(stop,), name="webhook-queue", daemon=True)]
        threads += [
            threading.Thread(
                target=_keep_sending,
                args=(deliveries, number == 0, stop),
                name=f"webhook-{number}",
                daemon=True,
            )
            for number in range(SENDERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            deadline_s = time.monotonic() + GRACE_S
            for thread in threads:
                thread.join(max(0.0, deadline_s - time.monotonic()))


def key_file(settings: Settings) -> Path:
    """What secrets are enciphered under; made when it is needed first."""
    return settings.home / "webhook-key" if settings.webhook_key is None else settings.webhook_key


def may_be_near(settings: Settings) -> bool:
    return settings.webhooks_near and not settings.is_production


def suspend(
    handler: Handler,
    units: frozenset[str],
    endpoint_id: UUID,
    cause: DisablingCause,
    reason: str,
    event: UUID,
) -> None:
    """Record that an endpoint is disabled; that it is already is as good."""
    input_ = {"id": str(endpoint_id), "cause": cause.value, "event": str(event)}
    request = Request(webhook_endpoints.deliverer(units), "suspendWebhookEndpoint", input_)
    handler(
        request,
        lambda work: webhook_endpoints.suspend(work, endpoint_id, cause, reason, event),
    )


def _keep_queue(
    url: str, log: EventLog, type_of: TypeOf, units: frozenset[str], stop: threading.Event
) -> None:
    """Lead or wait to lead until `stop` is set; a database that is away is waited for."""
    while not stop.is_set():
        try:
            with closing(database.connect(url)) as connection:
                queue = WebhookQueue(connection, log, type_of, units)
                while not queue.lead():
                    if stop.wait(LEAD_EVERY_S):
                        return
                connection.execute(LISTEN)
                _follow(queue, connection, stop)
        except psycopg.OperationalError as error:
            logger.warning("the queue of webhooks waits for the database: %s", error)
        except Exception:
            logger.exception("the queue of webhooks stands still and tries again")
        stop.wait(RECONNECT_S)


def _follow(queue: WebhookQueue, connection: psycopg.Connection[object], stop: threading.Event) -> None:
    pause_s = PAUSE_MIN_S
    while not stop.is_set():
        try:
            worked = queue.step()
        except Superseded:
            queue.resume()
            continue
        heard = list(connection.notifies(timeout=0 if worked else pause_s, stop_after=1))
        pause_s = PAUSE_MIN_S if worked or heard else min(2 * pause_s, PAUSE_MAX_S)


def _keep_sending(deliveries: WebhookDeliveries, purges: bool, stop: threading.Event) -> None:
    pause_s, purge_due_s = PAUSE_MIN_S, time.monotonic()
    while not stop.is_set():
        try:
            if purges and time.monotonic() >= purge_due_s:
                deliveries.purge(datetime.now(UTC))
                purge_due_s = time.monotonic() + PURGE_EVERY_S
            worked = deliveries.step()
        except psycopg.OperationalError as error:
            logger.warning("webhooks wait for the database: %s", error)
            stop.wait(RECONNECT_S)
            continue
        except Exception:
            logger.exception("a webhook was not sent, and is tried again when its lease is over")
            stop.wait(RECONNECT_S)
            continue
        pause_s = PAUSE_MIN_S if worked else min(2 * pause_s, PAUSE_MAX_S)
        if not worked:
            stop.wait(pause_s)
