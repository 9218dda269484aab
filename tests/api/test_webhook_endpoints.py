"""Webhook endpoints through the API: registered, approved, sent to, looked at, sent again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api import webhook_events
from api.wiring import WebhookSettings
from infrastructure.settings import Settings
from infrastructure.webhooks import Publication, delivering
from tests.api.house import House, running_house
from tests.infrastructure.webhook_receiver import Receiver, answering

PUBLICATION = Publication(webhook_events.type_of, webhook_events.body, webhook_events.event_id)
UNITS = "HO:Head office,SH:Shanghai,SZ:Shenzhen"


@pytest.fixture(scope="module")
def house(
    make_database: Callable[..., str], migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """With a worker that delivers."""
    home: Path = tmp_path_factory.mktemp("home")
    url, key = make_database(migrated_template), home / "webhook-key"
    given = {"CARDINAL_HOME": home, "CARDINAL_WEBHOOKS_NEAR": "true", "CARDINAL_ORG_UNITS": UNITS}
    settings = Settings.read(given)
    with (
        running_house(url, webhooks=WebhookSettings(key, may_be_near=True)) as running,
        delivering(settings, url, PUBLICATION),
    ):
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def approve(house: House, endpoint: str) -> None:
    """Both levels say yes to what they see."""
    for user, level in (("researcher", "RESEARCH"), ("technologist", "TECHNOLOGY")):
        query = """query ($id: ID!) { webhookEndpoint(id: $id) {
            approval { id subjectRevision contentHash subject { id } } } }"""
        seen = house.data(user, query, id=endpoint)["webhookEndpoint"]["approval"]
        assert seen["subject"] == {"id": endpoint}
        verdict = {"level": level, "revision": seen["subjectRevision"], "contentHash": seen["contentHash"]}
        house.done(user, "approve", "approval { status }", id=seen["id"], **verdict)


def registered(house: House, receiver: Receiver, *types: str) -> str:
    given = {"code": f"W-{uuid4().hex[:8].upper()}", "name": "Partner", "url": receiver.url}
    made = house.do(
        "operator", "draftWebhookEndpoint", "webhookEndpoint { id } secret", types=list(types), **given
    )
    assert made["userErrors"] == []
    receiver.secret = made["secret"]
    endpoint: str = made["webhookEndpoint"]["id"]
    house.done("operator", "submitWebhookEndpoint", "webhookEndpoint { status }", id=endpoint)
    approve(house, endpoint)
    return endpoint


def awaited(probe: Callable[[], Any]) -> Any:
    """What the probe gives, as soon as it is true."""
    deadline_s = time.monotonic() + 20
    while not (found := probe()) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert found
    return found


def shown(house: House, endpoint: str, user: str = "operator") -> Any:
    query = """query ($id: ID!) { webhookEndpoint(id: $id) {
        status approvedRevision approvedUrl secrets disabledCause disabledReason types discloses
        deliveries { nodes { id eventId eventType status attemptCount retryAt
            attempts { nodes { number outcome statusCode durationMs response } } } }
        history { nodes { eventType } } } }"""
    return house.data(user, query, id=endpoint)["webhookEndpoint"]


def happens(house: House) -> str:
    """An event of head office's business: a cost type is added."""
    given = {"code": f"C-{uuid4().hex[:8].upper()}", "name": uuid4().hex}
    attributes = {"accountingSubject": "6601", "unit": "CNY"}
    added: dict[str, str] = house.done("operator", "addCostType", "costType { id }", **given, **attributes)
    return added["id"]


def test_an_endpoint_is_approved_sent_to_and_looked_at(house: House, receiver: Receiver) -> None:
    """INT-10, SEC-07: attempts with status, duration and the beginning of the answer."""
    endpoint = registered(house, receiver, "cost_type.*")
    subject = happens(house)
    [event] = awaited(lambda: receiver.delivered)
    assert (event["type"], event["subject"]) == ("cost_type.added", subject)
    delivery = awaited(
        lambda: [d for d in shown(house, endpoint)["deliveries"]["nodes"] if d["status"] == "DELIVERED"]
    )[0]
    assert delivery["eventId"] == event["id"]
    [attempt] = delivery["attempts"]["nodes"]
    assert (attempt["number"], attempt["outcome"], attempt["statusCode"]) == (1, "DELIVERED", 200)
    assert attempt["response"] == "ok"
    seen = shown(house, endpoint)
    assert (seen["status"], seen["approvedRevision"], seen["approvedUrl"]) == ("APPROVED", 1, receiver.url)
    assert house.refused("operator", "resendWebhookDelivery", id=delivery["id"], expectedVersion=99) == [
        ("VERSION_CONFLICT", "input.expectedVersion")
    ]
    house.done("operator", "resendWebhookDelivery", "webhookEndpoint { id }", id=delivery["id"])
    awaited(lambda: len(receiver.delivered) == 2)
    assert len({each.id for each in receiver.received}) == 1


def test_one_that_is_gone_is_in_the_box_of_those_that_need_somebody(house: House, receiver: Receiver) -> None:
    """INT-10"""
    endpoint = registered(house, receiver, "cost_type.*")
    receiver.behave = answering(410)
    happens(house)
    awaited(lambda: shown(house, endpoint)["disabledCause"] == "GONE")
    query = "{ webhookEndpoints(box: DISABLED) { nodes { id disabledReason } } }"
    boxed = house.data("operator", query)["webhookEndpoints"]["nodes"]
    assert {"id": endpoint, "disabledReason": "HTTP 410"} in boxed
    receiver.behave = answering(200)
    house.done("operator", "enableWebhookEndpoint", "webhookEndpoint { disabledCause }", id=endpoint)
    awaited(lambda: len(receiver.received) == 2)
    receiver.received.clear()
    house.done("operator", "replayWebhookEndpoint", "webhookEndpoint { id }", id=endpoint)
    awaited(lambda: len(receiver.delivered) >= 2)


def test_a_secret_is_told_once(house: House, receiver: Receiver) -> None:
    """SEC-07: a command that is sent again under its key tells none, and makes none."""
    given = {
        "code": f"W-{uuid4().hex[:8].upper()}",
        "name": "P",
        "url": receiver.url,
        "types": ["activity.*"],
    }
    selection = "webhookEndpoint { id secrets } secret"
    key = uuid4().hex
    first = house.do("operator", "draftWebhookEndpoint", selection, key=key, **given)
    again = house.do("operator", "draftWebhookEndpoint", selection, key=key, **given)
    assert first["secret"].startswith("whsec_")
    assert again["secret"] is None
    assert again["webhookEndpoint"] == first["webhookEndpoint"]
    id_ = first["webhookEndpoint"]["id"]
    rotated = house.do("operator", "rotateWebhookSecret", selection, id=id_)
    assert rotated["secret"] not in (None, first["secret"])
    assert rotated["webhookEndpoint"]["secrets"] == 2
    ended = house.done("operator", "endOldWebhookSecret", "webhookEndpoint { secrets }", id=id_)
    assert ended == {"secrets": 1}


def test_what_is_wrong_is_told_at_its_place(house: House) -> None:
    """INT-10"""
    given = {"code": "x", "name": "", "url": "gopher://x", "types": ["no.such"]}
    assert house.refused("operator", "draftWebhookEndpoint", **given) == [
        ("BAD_CODE", "input.code"),
        ("BAD_WEBHOOK_URL", "input.url"),
        ("REQUIRED", "input.name"),
        ("UNKNOWN_EVENT_TYPE", "input.types.0"),
    ]
    unknown = {"id": "wd_" + "1" * 32}
    assert house.refused("operator", "resendWebhookDelivery", **unknown) == [("NOT_FOUND", "input.id")]


def test_a_branch_sees_no_other_units_endpoints_nor_deliveries(house: House, receiver: Receiver) -> None:
    """SEC-03"""
    endpoint = registered(house, receiver, "cost_type.*")
    happens(house)
    delivery = awaited(lambda: shown(house, endpoint)["deliveries"]["nodes"])[0]["id"]
    nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert house.data("operator", nodes, ids=[endpoint, delivery])["nodes"] != [None, None]
    assert house.data("branch", nodes, ids=[endpoint, delivery])["nodes"] == [None, None]
