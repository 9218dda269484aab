"""Events: live over graphql-transport-ws, resumed without a gap, and by the page."""

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import Any

import orjson
import pytest
import websockets

from tests.api import house as houses
from tests.api.campaigns import ACTIVITY, APPROVAL, activity_type, cost_type, drafted, submitted, verdict
from tests.api.house import House

SUBSCRIPTION = """subscription ($after: Position, $select: EventSelection) {
    events(after: $after, select: $select) { position id type subjectId version data orgUnit actor
        activity { status } approval { status awaiting } } }"""
PAGE = """query ($after: Position, $first: Int!, $select: EventSelection) {
    events(after: $after, first: $first, select: $select) {
        events { position id type subjectId data } position hasMore } }"""


class Subscriber:
    """A client of the protocol, as small as it can be."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def send(self, **message: Any) -> None:
        await self.socket.send(orjson.dumps(message).decode())

    async def receive(self, timeout_s: float = 10) -> Any:
        text = await asyncio.wait_for(self.socket.recv(), timeout_s)
        assert isinstance(text, str), "frames are text"
        return orjson.loads(text)

    async def subscribe(self, **variables: Any) -> None:
        payload = {"query": SUBSCRIPTION, "variables": variables}
        await self.send(id="1", type="subscribe", payload=payload)

    async def event(self) -> Any:
        message = await self.receive()
        assert message["type"] == "next", message
        return message["payload"]["data"]["events"]


@contextlib.asynccontextmanager
async def subscriber(house: House, user: str):
    url = f"ws://{house.url}/graphql"
    async with websockets.connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        client = Subscriber(socket)
        await client.send(type="connection_init", payload={"authorization": f"Bearer {user}"})
        assert (await client.receive())["type"] == "connection_ack"
        yield client


def newest(house: House) -> str:
    after, more = None, True
    while more:
        page = house.data("auditor", PAGE, after=after, first=500)["events"]
        after, more = page["position"], page["hasMore"]
    return after


def test_a_subscriber_follows_live_and_sees_the_new_status(house: House) -> None:
    """APR-04, INT-10"""

    async def scenario() -> None:
        async with subscriber(house, "integrator") as client:
            await client.subscribe()
            await asyncio.sleep(0.3)
            activity = await asyncio.to_thread(submitted, house)
            seen = []
            while not seen or seen[-1]["type"] != "approval.opened":
                seen.append(await client.event())
            assert [event["type"] for event in seen][-3:] == [
                "activity.drafted", "activity.submitted", "approval.opened",
            ]  # fmt: skip
            assert seen[-2]["activity"]["status"] == "PENDING_RESEARCH"
            assert seen[-1]["data"]["subjectId"] == activity["id"]
            approve = {"user": "researcher", "mutation": "approve", "selection": APPROVAL}
            given = verdict(activity["approval"], "RESEARCH")
            await asyncio.to_thread(house.done, **approve, **given)
            event = await client.event()
            assert (event["type"], event["approval"]["awaiting"]) == ("approval.passed", "TECHNOLOGY")

    asyncio.run(scenario())


def test_a_subscriber_that_resumes_misses_nothing_and_gets_nothing_twice(house: House) -> None:
    """INT-10: cut off again and again while others write, it has all events in order."""

    async def scenario() -> None:
        start = await asyncio.to_thread(newest, house)
        after, seen, writing = start, [], True

        async def write() -> None:
            nonlocal writing
            for _ in range(12):
                await asyncio.to_thread(submitted, house)
            writing = False

        writer = asyncio.create_task(write())
        while True:
            was_writing = writing
            async with subscriber(house, "auditor") as client:
                await client.subscribe(after=after)
                with contextlib.suppress(TimeoutError):
                    for _ in range(7):
                        event = (await client.receive(1.0))["payload"]["data"]["events"]
                        seen.append(event)
                        after = event["position"]
                    continue
            if not was_writing:
                break
        await writer
        page = await asyncio.to_thread(house.data, "auditor", PAGE, after=start, first=500)
        assert [e["id"] for e in seen] == [e["id"] for e in page["events"]["events"]]
        assert len(seen) >= 12 * 5
        assert sorted(e["position"] for e in seen) == [e["position"] for e in seen]

    asyncio.run(scenario())


def test_a_selection_of_types_and_subject_holds_and_a_branch_sees_its_own_unit(house: House) -> None:
    start = newest(house)
    own, foreign = drafted(house, "branch"), drafted(house)
    house.done("branch", "submitActivity", ACTIVITY, id=own["id"])
    seen = house.data("branch", PAGE, after=start, first=500)["events"]["events"]
    assert foreign["id"] not in {event["subjectId"] for event in seen}
    assert {"activity_type.added", "cost_type.added", "activity.drafted"} <= {e["type"] for e in seen}
    select = {"types": ["activity.submitted", "approval.opened"], "subject": own["id"]}
    chosen = house.data("branch", PAGE, after=start, first=500, select=select)["events"]["events"]
    assert [event["type"] for event in chosen] == ["activity.submitted", "approval.opened"]


def test_pages_of_events_meet_without_a_gap(house: House) -> None:
    start = newest(house)
    for _ in range(3):
        submitted(house)
    whole = house.data("auditor", PAGE, after=start, first=500)["events"]
    assert not whole["hasMore"]
    parts, after, more = [], start, True
    while more:
        page = house.data("auditor", PAGE, after=after, first=2)["events"]
        parts += page["events"]
        after, more = page["position"], page["hasMore"]
    assert parts == whole["events"]
    assert "claim.taken" not in {event["type"] for event in parts}


def test_what_integrators_see_is_a_mapping_of_its_own(house: House) -> None:
    start = newest(house)
    kind, type_ = cost_type(house, name="Fee é"), activity_type(house)
    added = house.data("integrator", PAGE, after=start, first=10)["events"]["events"]
    assert added[0]["data"] == {
        "code": kind["code"],
        "parentId": None,
        "name": "Fee é",
        "description": "",
        "sortOrder": 0,
        "attributes": {"accounting_subject": "6601", "unit": "CNY"},
        "fields": [],
    }
    assert added[1]["subjectId"] == type_["id"]


def test_a_socket_ends_with_the_token_that_opened_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEC-03"""
    known = houses.principal
    monkeypatch.setattr(
        houses, "principal", lambda user: replace(known(user), expires_at_s=time.time() + 1.0)
    )

    async def scenario() -> None:
        async with subscriber(house, "auditor") as client:
            await client.subscribe()
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await client.receive(10)
            assert client.socket.close_code == 4403

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "subscribe", "id": "1", "payload": {"query": "subscription { events { id } }"}}, 4401),
        ({"type": "connection_init", "payload": {"authorization": "Bearer nobody"}}, 4403),
        ({"type": "connection_init", "payload": {}}, 4403),
        ({"type": "nonsense"}, 4400),
        ("not json", 4400),
        (7, 4400),
        ([None], 4400),
        ({"type": "subscribe"}, 4401),
    ],
)
def test_a_socket_that_breaks_the_protocol_is_closed_with_its_code(house: House, message, code) -> None:
    async def scenario() -> None:
        url = f"ws://{house.url}/graphql"
        async with websockets.connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            sent = message if isinstance(message, str) else orjson.dumps(message).decode()
            await socket.send(sent)
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 5)
            assert socket.close_code == code

    asyncio.run(scenario())
