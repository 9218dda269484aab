"""Webhooks end to end: from the log to a receiver that verifies; in order, at least once, not for ever."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from api import webhook_events
from domain import webhook_endpoints as we
from domain.webhook_contents import Disclosure
from domain.webhook_statuses import DisablingCause
from infrastructure import database
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.settings import Settings
from infrastructure.webhook_deliveries import AT_ONCE_MAX, JITTER, KEPT, RETRIES
from infrastructure.webhook_queue import WebhookQueue
from infrastructure.webhook_secrets import SecretsUnavailable, WebhookSecrets
from infrastructure.webhook_sender import WebhookSender
from infrastructure.webhooks import Publication, delivering
from tests.infrastructure.webhook_receiver import Received, Receiver, answering, hanging
from tests.infrastructure.webhook_world import AT_ONCE, UNITS, WebhookWorld

START = "0" * 24


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def world(cardinal_url: str, log: EventLog, tmp_path: Path) -> Iterator[WebhookWorld]:
    with WebhookSender(may_be_near=True, total_s=5) as sender:
        yield WebhookWorld(cardinal_url, log, sender, tmp_path / "webhook-key")


def listening(world: WebhookWorld, receiver: Receiver, *types: str, **more: Any) -> UUID:
    """An endpoint at the receiver, which knows the secret."""
    endpoint = world.endpoint(receiver.url, *types, **more)
    receiver.secret = world.told[endpoint]
    return endpoint


def subjects(receiver: Receiver) -> list[tuple[str, int]]:
    return [(event["subject"], event["subjectversion"]) for event in receiver.delivered]


def act(stream: UUID) -> str:
    return f"act_{stream.hex}"


# --- What comes -------------------------------------------------------------


def test_an_event_comes_signed_once_and_as_a_cloud_event(world: WebhookWorld, receiver: Receiver) -> None:
    """INT-10, SEC-07: what was recorded before the approval is not sent."""
    world.happens()
    endpoint = listening(world, receiver)
    stream = world.happens()
    world.run()
    world.run()
    [event] = receiver.delivered
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "activity.drafted", act(stream))
    [got] = receiver.received
    assert got.id == event["id"]
    assert got.headers["content-type"].startswith("application/cloudevents+json")
    assert world.statuses(endpoint) == ["delivered"]
    told = world.execute("select number, outcome, status_code, response from webhook.attempts")
    assert told == [(1, "delivered", 200, "ok")]


def test_only_the_types_that_were_asked_for_come(world: WebhookWorld, receiver: Receiver) -> None:
    """INT-10: filter by type."""
    listening(world, receiver, "activity.revised")
    stream = world.happens()
    world.happens(stream=stream)
    world.run()
    assert [event["type"] for event in receiver.delivered] == ["activity.revised"]


def test_an_endpoint_of_a_branch_gets_its_own_events_alone(world: WebhookWorld, receiver: Receiver) -> None:
    """SEC-03, INT-10"""
    listening(world, receiver, unit="SH")
    world.happens("HO")
    world.happens("BJ")
    own = world.happens("SH")
    world.run()
    assert subjects(receiver) == [(act(own), 1)]
    with Receiver() as head_office:
        listening(world, head_office, unit="HO")
        seen = [world.happens(unit) for unit in ("HO", "BJ", "SH")]
        world.run()
        assert sorted(subjects(head_office)) == sorted((act(stream), 1) for stream in seen)


def test_budgets_are_told_where_that_was_approved(world: WebhookWorld, receiver: Receiver) -> None:
    """SEC-03"""
    with Receiver() as other:
        listening(world, receiver)
        listening(world, other, discloses=[Disclosure.BUDGET])
        world.happens()
        world.run()
        assert [event["data"]["plan"]["budget"] for event in receiver.delivered] == [None]
        [told] = other.delivered
        assert set(told["data"]["plan"]["budget"]) == {"amount", "currency"}


def test_both_secrets_sign_while_one_is_changed(world: WebhookWorld, receiver: Receiver) -> None:
    """SEC-07: whoever knows the old one or the new one verifies; the old one ended, only the new one."""
    endpoint = listening(world, receiver)
    old, second = receiver.secret, uuid4()
    new = world.secrets.new_secret(second)
    world.to_endpoint(endpoint, we.WebhookSecretRotated(second, "lin"))
    for secret in (old, new):
        receiver.secret = secret
        world.happens()
        world.run()
    assert len(receiver.delivered) == 2
    assert len(receiver.received[0].headers["webhook-signature"].split()) == 2
    first = world.endpoint_now(endpoint).secrets[0]
    world.to_endpoint(endpoint, we.OldWebhookSecretEnded(first, "lin"))
    receiver.secret = old
    world.happens()
    world.run()
    assert [each.event is None for each in receiver.received] == [False, False, True]


def test_secrets_are_not_in_the_log_nor_in_clear_in_the_database(
    world: WebhookWorld, receiver: Receiver, tmp_path: Path
) -> None:
    """SEC-07"""
    endpoint = listening(world, receiver)
    [(enciphered,)] = world.execute("select enciphered from webhook.secrets")
    assert receiver.secret.encode() not in bytes(enciphered)
    [(found,)] = world.execute("select count(*) from log.events where data::text like %s", "%whsec%")
    assert found == 0
    ids = world.endpoint_now(endpoint).secrets
    assert world.secrets.secrets(ids) == [receiver.secret]
    assert (tmp_path / "webhook-key").stat().st_mode & 0o077 == 0
    other = WebhookSecrets(world.log.log_recorder.pool, tmp_path / "other-key")
    with pytest.raises(SecretsUnavailable):
        other.secrets(ids)


def test_the_page_for_integrators_verifies_what_is_sent(world: WebhookWorld, receiver: Receiver) -> None:
    """SEC-07: its lines as they stand there; forged, changed and repeated ones are not taken."""
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    lines: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], lines)
    take, seen = lines["take"], set[str]()
    bodies: list[tuple[bytes, dict[str, str]]] = []
    receiver.keep = lambda body, headers: bodies.append((body, headers))
    listening(world, receiver)
    stream = world.happens()
    world.run()
    [(body, headers)] = bodies
    assert take(body + b" ", headers, receiver.secret, seen) is None
    assert take(body, {**headers, "webhook-id": "ev_2"}, receiver.secret, seen) is None
    assert take(body, headers, "whsec_" + "A" * 44, seen) is None
    assert take(body, headers, receiver.secret, seen)["subject"] == act(stream)
    assert take(body, headers, receiver.secret, seen) is None


# --- Order ------------------------------------------------------------------


def test_the_events_of_one_aggregate_come_in_their_order(world: WebhookWorld, receiver: Receiver) -> None:
    """INT-10: ordered per aggregate, whoever sends."""
    listening(world, receiver)
    streams = [world.happens() for _ in range(3)]
    for _ in range(4):
        for stream in streams:
            world.happens(stream=stream)
    world.run()
    for stream in streams:
        mine = [version for subject, version in subjects(receiver) if subject == act(stream)]
        assert mine == [1, 2, 3, 4, 5]
    sequences = [event["sequence"] for event in receiver.delivered if event["subject"] == act(streams[0])]
    assert sequences == sorted(sequences)


def test_a_failing_event_holds_back_later_ones_of_its_aggregate_only(
    world: WebhookWorld, receiver: Receiver
) -> None:
    """INT-10: at that endpoint only; when it is through, the others follow in order."""
    with Receiver() as other:
        listening(world, receiver)
        listening(world, other)
        bad = world.happens()
        good = world.happens()
        world.happens(stream=bad)

        def refuse(_: object, got: Received) -> int:
            return 503 if got.event["subject"] == act(bad) else 204

        receiver.behave = refuse
        world.run()
        assert sorted(subjects(receiver)) == sorted([(act(bad), 1), (act(good), 1)])
        assert sorted(subjects(other)) == sorted([(act(bad), 1), (act(bad), 2), (act(good), 1)])
        receiver.behave = answering(204)
        world.later()
        world.run()
        assert subjects(receiver)[2:] == [(act(bad), 1), (act(bad), 2)]


def test_a_slow_endpoint_leaves_room_for_the_others(world: WebhookWorld, receiver: Receiver) -> None:
    """INT-10"""
    with Receiver() as other:
        slow = listening(world, receiver)
        for _ in range(AT_ONCE_MAX + 3):
            world.happens()
        world.queue()
        claimed = [world.deliveries._claim() for _ in range(AT_ONCE_MAX + 3)]
        assert [each.endpoint for each in claimed if each] == [slow] * AT_ONCE_MAX
        listening(world, other)
        world.happens()
        world.run()
        assert len(other.delivered) == 1
        assert receiver.received == []


# --- Trying again -----------------------------------------------------------


def test_a_failure_is_tried_again_ever_later_for_days_under_the_same_id(
    world: WebhookWorld, receiver: Receiver
) -> None:
    """INT-10: duplicates have the same id; each attempt is told."""
    endpoint = listening(world, receiver)
    receiver.behave = answering(500)
    world.happens()
    world.queue()
    for wait in RETRIES:
        assert world.deliver() == 1
        [(left,)] = world.execute("select extract(epoch from due_at - now()) from webhook.lines")
        assert abs(float(left) - wait.total_seconds()) <= JITTER * wait.total_seconds() + 1
        world.later()
    assert sum(RETRIES, timedelta(0)) > timedelta(days=3)
    receiver.behave = answering(200)
    assert world.deliver() == 1
    assert len({each.id for each in receiver.received}) == 1
    told = world.execute("select number, outcome, status_code from webhook.attempts order by number")
    assert [number for number, _, _ in told] == list(range(1, len(RETRIES) + 2))
    assert told[0] == (1, "refused", 500)
    assert told[-1] == (len(RETRIES) + 1, "delivered", 200)
    assert world.statuses(endpoint) == ["delivered"]
    assert world.endpoint_now(endpoint).is_sent_to


def test_an_event_that_fails_to_the_last_disables_its_endpoint(
    world: WebhookWorld, receiver: Receiver
) -> None:
    """INT-10: enabled again, it goes on with what was held back, and nothing is missing."""
    world.retries = (AT_ONCE, AT_ONCE)
    endpoint = listening(world, receiver)
    receiver.behave = answering(500)
    first = world.happens()
    world.run()
    assert len(receiver.received) == len(world.retries) + 1
    assert not world.endpoint_now(endpoint).is_sent_to
    [disabled] = [
        r.event for r in world.log.records(endpoint) if isinstance(r.event, we.WebhookEndpointDisabled)
    ]
    assert (disabled.cause, disabled.reason) == (DisablingCause.EXHAUSTED, "HTTP 500")
    second = world.happens()
    world.later()
    world.run()
    assert len(receiver.received) == len(world.retries) + 1
    receiver.behave, receiver.received[:] = answering(200), []
    world.to_endpoint(endpoint, we.WebhookEndpointEnabled("lin"))
    world.run()
    world.run()
    assert sorted(subjects(receiver)) == sorted([(act(first), 1), (act(second), 1)])


def test_gone_disables_at_once(world: WebhookWorld, receiver: Receiver) -> None:
    """INT-10: 410 is the receiver's own word."""
    endpoint = listening(world, receiver)
    receiver.behave = answering(410)
    world.happens()
    world.run()
    assert len(receiver.received) == 1
    last = list(world.log.records(endpoint))[-1]
    assert last.event.cause is DisablingCause.GONE
    assert last.context.actor == "system:webhooks"
    world.later()
    world.run()
    assert len(receiver.received) == 1


def test_what_is_disabled_by_hand_stands_still_and_goes_on_without_a_gap(
    world: WebhookWorld, receiver: Receiver
) -> None:
    """INT-10: stopped and resumed at position n it receives n+1, n+2 …"""
    endpoint = listening(world, receiver)
    streams = [world.happens()]
    world.run()
    world.to_endpoint(endpoint, we.WebhookEndpointDisabled(DisablingCause.BY_HAND, "moving", "lin"))
    streams += [world.happens() for _ in range(3)]
    world.run()
    assert len(receiver.received) == 1
    world.to_endpoint(endpoint, we.WebhookEndpointEnabled("lin"))
    streams.append(world.happens())
    world.run()
    world.run()
    assert sorted(subject for subject, _ in subjects(receiver)) == sorted(map(act, streams))


def test_a_replay_sends_everything_since_a_position_under_the_same_ids(
    world: WebhookWorld, receiver: Receiver
) -> None:
    """INT-10: also what came before it was approved."""
    before = world.happens()
    endpoint = listening(world, receiver)
    stream = world.happens()
    world.happens(stream=stream)
    world.run()
    ids = [event["id"] for event in receiver.delivered]
    position = receiver.delivered[0]["sequence"]
    world.to_endpoint(endpoint, we.WebhookReplayRequested(position, "lin"))
    world.queue()
    world.run()
    assert [event["id"] for event in receiver.delivered][2:] == ids[1:]
    receiver.received.clear()
    world.to_endpoint(endpoint, we.WebhookReplayRequested(START, "lin"))
    world.queue()
    world.run()
    assert sorted(subjects(receiver)) == sorted([(act(before), 1), (act(stream), 1), (act(stream), 2)])


def test_one_delivery_is_sent_again_on_request(world: WebhookWorld, receiver: Receiver) -> None:
    """INT-10"""
    endpoint = listening(world, receiver)
    world.happens()
    world.happens()
    world.run()
    [(event,)] = world.execute("select event_id from webhook.deliveries order by epoch, position limit 1")
    world.to_endpoint(endpoint, we.WebhookResendRequested(event, "lin"))
    world.run()
    sent = Counter(event["id"] for event in receiver.delivered)  # of two subjects, in no order
    assert sorted(sent.values()) == [1, 2]
    assert len(receiver.received) == 3
    assert world.statuses(endpoint) == ["delivered", "delivered"]


def test_nothing_is_sent_after_it_was_deleted(world: WebhookWorld, receiver: Receiver) -> None:
    endpoint = listening(world, receiver)
    world.happens()
    world.queue()
    world.to_endpoint(endpoint, we.WebhookEndpointDeleted("lin"))
    world.run()
    assert receiver.received == []
    assert world.statuses(endpoint) == ["dropped"]


def test_an_endpoint_that_is_owed_too_much_stands_still_until_it_has_room(
    world: WebhookWorld, receiver: Receiver
) -> None:
    """INT-10: a limit on everything, and no gap by it."""
    world.owed_max = 2
    endpoint = listening(world, receiver)
    streams = [world.happens() for _ in range(5)]
    world.queue()
    assert world.statuses(endpoint) == ["pending"] * 2
    for _ in range(3):
        world.run()
    assert sorted(subject for subject, _ in subjects(receiver)) == sorted(map(act, streams))


def test_what_ended_a_month_ago_is_forgotten(world: WebhookWorld, receiver: Receiver) -> None:
    endpoint = listening(world, receiver)
    world.happens()
    world.run()
    assert world.deliveries.purge(datetime.now(UTC)) == 0
    assert world.deliveries.purge(datetime.now(UTC) + KEPT) == 1
    assert world.statuses(endpoint) == []
    assert world.execute("select from webhook.attempts") == []


# --- Who dies ---------------------------------------------------------------


def deliver_one(url: str, key_file: Path) -> None:
    """In a process of its own, with a lease of a second."""
    with pool(url, 4) as connections, WebhookSender(may_be_near=True, total_s=30) as sender:
        world = WebhookWorld(url, EventLog(connections), sender, key_file, lease=timedelta(seconds=1))
        world.deliveries.step()


def test_who_is_killed_while_sending_leaves_the_event_to_another(
    world: WebhookWorld, receiver: Receiver
) -> None:
    """INT-10: at least once, under the same id, and in order behind it."""
    endpoint = listening(world, receiver)
    receiver.behave = hanging(receiver)
    stream = world.happens()
    world.happens(stream=stream)
    world.queue()
    sending = multiprocessing.get_context("spawn").Process(
        target=deliver_one, args=(world.url, world.key_file)
    )
    sending.start()
    deadline_s = time.monotonic() + 60
    while not receiver.received and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert len(receiver.received) == 1
    assert sending.pid is not None
    os.kill(sending.pid, signal.SIGKILL)
    sending.join()
    receiver.behave = answering(204)
    time.sleep(1.1)
    world.run()
    assert subjects(receiver) == [(act(stream), 1), (act(stream), 1), (act(stream), 2)]
    assert len({each.id for each in receiver.received}) == 2
    assert world.statuses(endpoint) == ["delivered", "delivered"]


def test_who_lost_the_lease_changes_nothing(world: WebhookWorld, receiver: Receiver) -> None:
    """INT-10: of two who sent the same, the one that holds the line tells."""
    endpoint = listening(world, receiver)
    world.happens()
    world.queue()
    deliveries = world.deliveries

    def lose(_: object, __: Received) -> int:
        world.execute("update webhook.lines set lease = %s", uuid4())
        return 204

    receiver.behave = lose
    assert deliveries.step()
    assert world.statuses(endpoint) == ["pending"]
    receiver.behave = answering(204)
    world.later()
    world.deliver()
    assert world.statuses(endpoint) == ["delivered"]
    assert len({each.id for each in receiver.received}) == 1


def test_a_queue_that_was_killed_half_way_leaves_nothing_out(world: WebhookWorld, receiver: Receiver) -> None:
    """INT-10: position and deliveries are of one transaction, also where another leads meanwhile."""
    endpoint = listening(world, receiver)
    streams = [world.happens() for _ in range(3)]
    with psycopg.connect(world.url, autocommit=True) as owner:
        owner.execute(
            "create function webhook.die() returns trigger language plpgsql as $$begin raise 'killed'; end$$;"
            "create trigger die before insert on webhook.lines execute function webhook.die()"
        )
    with closing(database.connect(world.url)) as connection:
        queue = WebhookQueue(connection, world.log, webhook_events.type_of, UNITS)
        assert queue.lead()
        with pytest.raises(psycopg.errors.RaiseException):
            queue.step()
    with psycopg.connect(world.url, autocommit=True) as owner:
        owner.execute("drop trigger die on webhook.lines")
    assert world.statuses(endpoint) == []
    world.run()
    assert sorted(subject for subject, _ in subjects(receiver)) == sorted(map(act, streams))


def test_the_worker_queues_and_sends_by_itself(
    world: WebhookWorld, receiver: Receiver, tmp_path: Path
) -> None:
    """INT-10: and ends within its time while a receiver hangs."""
    given = {
        "CARDINAL_HOME": tmp_path,
        "CARDINAL_WEBHOOKS_NEAR": "true",
        "CARDINAL_WEBHOOK_KEY": world.key_file,
        "CARDINAL_ORG_UNITS": "HO:Head,SH:Shanghai",
    }
    settings = Settings.read(given)
    publication = Publication(webhook_events.type_of, webhook_events.body, webhook_events.event_id)
    listening(world, receiver)
    with delivering(settings, world.url, publication):
        stream = world.happens()
        deadline_s = time.monotonic() + 20
        while not receiver.delivered and time.monotonic() < deadline_s:
            time.sleep(0.02)
    assert subjects(receiver) == [(act(stream), 1)]
