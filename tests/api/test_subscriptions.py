"""Subscriptions: statuses as they change, shared executions, scopes, the past, slow clients, the end."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import graphql
import orjson
import psycopg
import pytest

from api.schema import schema
from api.subscription_requests import personal_fields
from application.shared.engines import Engine
from infrastructure.database import pool
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.api import orders, segments
from tests.api.campaigns import ACTIVITY, APPROVAL, cost_type, drafted, submitted, verdict
from tests.api.house import UNITS, House, running_house
from tests.api.subscriber import opened, subscriber

EVENTS = """subscription ($after: Position, $select: EventSelection) {
    events(after: $after, select: $select) { position id type subjectId data } }"""
FAT = EVENTS.replace("data", " ".join(f"data{number}: data" for number in range(50)))
ACTIVITIES = "subscription ($id: ID) { activityChanged(id: $id) { position type id node { status code } } }"
INBOX = "subscription { approvalInboxChanged { type node { id awaiting } } }"
PAGE = """query ($after: Position) { events(after: $after, first: 500) {
    events { position id type subjectId data } position hasMore } }"""


def added(house: House, count: int, **given: Any) -> None:
    for _ in range(count):
        cost_type(house, **given)


def newest(house: House) -> str:
    after, more = None, True
    while more:
        page = house.data("auditor", PAGE, after=after)["events"]
        after, more = page["position"], page["hasMore"]
    assert after is not None
    return after


# --- Statuses -----------------------------------------------------------------


def test_who_looks_at_an_activity_sees_each_status_within_two_seconds(house: House) -> None:
    """APR-04"""

    async def scenario() -> None:
        activity = await asyncio.to_thread(drafted, house)
        async with subscriber(house, "operator") as client, subscriber(house, "branch") as branch:
            await client.subscribe(ACTIVITIES, id=activity["id"])
            await branch.subscribe(ACTIVITIES, id=activity["id"])
            await asyncio.to_thread(drafted, house)
            given = await asyncio.to_thread(
                house.done, "operator", "submitActivity", ACTIVITY, id=activity["id"]
            )
            await client.until(lambda change: change["node"]["status"] == "PENDING_RESEARCH")
            for level, user, status in (
                ("RESEARCH", "researcher", "PENDING_TECHNOLOGY"),
                ("TECHNOLOGY", "technologist", "APPROVED"),
            ):
                approval = verdict(given["approval"], level)
                await asyncio.to_thread(house.done, user, "approve", APPROVAL, **approval)
                decided_s = time.monotonic()
                change = await client.until(lambda change, status=status: change["node"]["status"] == status)
                assert time.monotonic() - decided_s < 2
                assert change["id"] == activity["id"]
            await branch.nothing(0.3)

    asyncio.run(scenario())


def test_a_deleted_thing_is_told_of_without_itself(house: House) -> None:
    async def scenario() -> None:
        activity = await asyncio.to_thread(drafted, house)
        async with subscriber(house, "operator") as client:
            await client.subscribe(ACTIVITIES, id=activity["id"])
            await asyncio.to_thread(house.do, "operator", "deleteActivity", id=activity["id"])
            change = await client.next()
            assert (change["type"], change["id"]) == ("activity.deleted", activity["id"])
            assert change["node"] is None

    asyncio.run(scenario())


def test_the_inbox_tells_those_whom_it_concerns(house: House) -> None:
    """APR-04: who decides hears of all in sight, the maker of his own, others of nothing."""

    async def scenario() -> None:
        async with (
            subscriber(house, "researcher") as researcher,
            subscriber(house, "operator") as maker,
            subscriber(house, "operator-2") as colleague,
            subscriber(house, "branch") as branch,
        ):
            for client in (researcher, maker, colleague, branch):
                await client.subscribe(INBOX)
            activity = await asyncio.to_thread(submitted, house)
            found = {"id": activity["approvalId"], "awaiting": "RESEARCH"}
            for client in (researcher, maker):
                assert await client.next() == {"type": "approval.opened", "node": found}
            given = verdict(activity["approval"], "RESEARCH", reason="too dear")
            await asyncio.to_thread(house.done, "researcher", "reject", APPROVAL, **given)
            for client in (researcher, maker):
                assert (await client.next())["type"] == "approval.rejected"
            for client in (colleague, branch):
                await client.nothing(0.3)

    asyncio.run(scenario())


def test_approvals_and_work_orders_are_told_of(house: House) -> None:
    async def scenario() -> None:
        order = await asyncio.to_thread(orders.drafted, house)
        async with subscriber(house, "operator") as client:
            changed = "subscription ($id: ID) { workOrderChanged(id: $id) { type node { status awaiting } } }"
            await client.subscribe(changed, "order", id=order["id"])
            approvals = "subscription { approvalChanged { type node { subjectLabel status } } }"
            sent = await asyncio.to_thread(
                house.done, "operator", "submitWorkOrder", orders.ORDER, id=order["id"]
            )
            first = await client.next()
            assert first["node"]["awaiting"] == "RESEARCH"
            await client.send(id="order", type="complete")
            await client.subscribe(approvals, "approvals")
            await asyncio.to_thread(orders.decided, house, sent["approval"])
            granted = await client.until(lambda change: change["type"] == "approval.granted")
            assert granted["node"] == {"subjectLabel": sent["number"], "status": "APPROVED"}

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("home")
    warehouse = Warehouse(folder / "warehouse", sorted(UNITS))
    warehouse.generate(date(2026, 3, 1), SampleSize(100, 500))
    return DuckDBEngine(warehouse, folder / "results")


def test_a_runs_progress_is_told_to_its_end(cardinal_url: str, engine: Engine) -> None:
    with running_house(cardinal_url, engine=engine) as house, pool(cardinal_url, 4) as connections:
        segments.granted(house)
        definition = segments.approved(house, segments.drafted(house))
        run = segments.requested(house, definition)

        async def scenario() -> None:
            async with subscriber(house, "operator") as client:
                document = (
                    "subscription ($id: ID) { segmentRunChanged(id: $id) { type node { status percent } } }"
                )
                await client.subscribe(document, id=run["id"])
                definitions = "subscription { segmentDefinitionChanged { type node { code } } }"
                await client.subscribe(definitions, "definitions")
                await asyncio.to_thread(segments.Worker(connections, engine).perform, run)
                change = await client.next()
                assert change == {
                    "type": "segment_run.started",
                    "node": {"status": "RUNNING", "percent": 0},
                } or (change["type"] == "segment_run.started")
                while change["node"]["status"] != "SUCCEEDED":
                    change = await client.next()
                assert change["node"]["percent"] == 100

        asyncio.run(scenario())


# --- Shared executions, and who sees what ------------------------------------


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each execution that was begun."""
    begun: list[None] = []

    def counted(*given: Any, **named: Any) -> Any:
        begun.append(None)
        return graphql.subscribe(*given, **named)

    monkeypatch.setattr("api.feeds.subscribe", counted)
    return begun


def test_the_same_document_in_the_same_scope_is_executed_once(house: House, executions: list[None]) -> None:
    after = newest(house)

    async def scenario() -> None:
        async with (
            subscriber(house, "auditor") as one,
            subscriber(house, "auditor-2") as other,
            subscriber(house, "integrator") as third,
            subscriber(house, "branch") as branch,
        ):
            await one.subscribe(EVENTS)
            await one.subscribe(EVENTS, "with other variables", select={"types": ["cost_type.added"]})
            await other.subscribe(EVENTS, "from the same place", after=after)
            await other.subscribe(EVENTS, "another name")
            one_more = await asyncio.to_thread(cost_type, house)
            for client, times in ((one, 2), (other, 2)):
                for _ in range(times):
                    assert (await client.next())["subjectId"] == one_more["id"]
            assert len(executions) == 2
            await third.subscribe(EVENTS)
            await branch.subscribe(EVENTS)
            await asyncio.to_thread(cost_type, house)
            await third.next()
            await branch.next()
            assert len(executions) == 4, "other rights and other units are other executions"

    asyncio.run(scenario())


def test_a_feed_ends_with_its_last_subscriber(house: House, executions: list[None]) -> None:
    async def scenario() -> None:
        for number in (1, 2):
            async with subscriber(house, "auditor-3") as client:
                await client.subscribe("subscription Again { events { id } }")
                await asyncio.to_thread(cost_type, house)
                await client.next()
            await asyncio.sleep(0.2)
            assert len(executions) == number

    asyncio.run(scenario())


def test_each_viewer_of_a_shared_document_sees_his_rows_and_no_masked_field(house: House) -> None:
    """SEC-06, SEC-09"""
    document = """subscription { events(select: {types: ["activity.drafted"]}) {
        subjectId data activity { code budget { amount } } } }"""

    async def scenario() -> None:
        async with (
            subscriber(house, "operator") as head_office,
            subscriber(house, "branch") as branch,
            subscriber(house, "integrator") as integrator,
        ):
            for client in (head_office, branch, integrator):
                await client.subscribe(document)
            foreign = await asyncio.to_thread(drafted, house)
            own = await asyncio.to_thread(drafted, house, "branch")
            for client, seen in ((head_office, [foreign, own]), (branch, [own])):
                for activity in seen:
                    event = await client.next()
                    assert event["subjectId"] == activity["id"]
                    assert event["activity"] == {"code": activity["code"], "budget": {"amount": "90000.00"}}
                    assert event["data"]["plan"]["budget"] == {"amount": "90000.00", "currency": "CNY"}
            for activity in (foreign, own):
                event = await integrator.next()
                assert event["activity"] == {"code": activity["code"], "budget": None}
                assert event["data"]["plan"]["budget"] is None

    asyncio.run(scenario())


def test_fields_that_ask_who_the_viewer_is_are_known() -> None:
    """Else their results would be shared."""
    assert personal_fields(schema._schema) == {"approvalInbox", "webhookEndpoints"}


# --- The past, and those who are slow -------------------------------------------


@pytest.mark.parametrize("kept", [1_000, 3], ids=["from memory", "from the log"])
def test_who_begins_in_the_past_meets_the_present_without_a_gap_or_a_double(
    house: House, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """INT-10: also when what the feed keeps is overtaken again and again while others write."""
    monkeypatch.setattr("api.feeds.FRAMES_MAX", kept)
    monkeypatch.setattr("api.live_log.KEPT_MAX", kept)
    monkeypatch.setattr("api.live_log.RECENT", kept // 2)
    start = newest(house)
    for _ in range(10):
        cost_type(house)

    async def scenario() -> None:
        async with subscriber(house, "auditor-4") as live, subscriber(house, "auditor-5") as late:
            await live.subscribe(EVENTS)
            writing = asyncio.create_task(asyncio.to_thread(added, house, 20))
            await late.subscribe(EVENTS, after=start)
            seen = [await late.next() for _ in range(30)]
            await writing
            await late.nothing()
            page = await asyncio.to_thread(house.data, "auditor", PAGE, after=start)
            assert seen == page["events"]["events"]
            assert [await live.next() for _ in range(20)] == seen[10:]

    asyncio.run(scenario())


def test_a_position_that_is_not_reached_yet_is_waited_for(house: House) -> None:
    async def scenario() -> None:
        async with subscriber(house, "auditor-4") as client:
            await client.subscribe(EVENTS, after="00000001" + "7" + "f" * 15)
            await asyncio.to_thread(cost_type, house)
            await client.nothing()

    asyncio.run(scenario())


def stalled_socket(house: House) -> socket.socket:
    """One that takes little, so that the server soon has to wait."""
    host, port = house.url.split(":")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    made.connect((host, int(port)))
    return made


def test_who_takes_nothing_is_closed_with_his_position_and_goes_on_there(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INT-10: nothing is lost or doubled by it; others are not kept waiting."""
    monkeypatch.setattr("api.graphql_sockets.LOOK_EVERY_S", 0.5)
    start, events = newest(house), 100

    async def scenario() -> None:
        connection = stalled_socket(house)
        slow_options = {"sock": connection, "max_queue": 1, "compression": None}
        async with subscriber(house, "auditor-4", **slow_options) as slow:
            async with subscriber(house, "auditor-4") as quick:
                await slow.subscribe(FAT)
                await quick.subscribe(EVENTS)
                slow.socket.transport.pause_reading()
                seen = 0
                async with asyncio.timeout(60):
                    while seen < events:
                        await asyncio.to_thread(added, house, 50, description="x" * 1_000)
                        for _ in range(50):
                            await quick.next()
                        seen += 50
                await asyncio.sleep(1.5)
            slow.socket.transport.resume_reading()
            taken = []
            while (message := await slow.receive())["type"] == "next":
                taken.append(message["payload"]["data"]["events"])
            assert 0 < len(taken) < events
            (error,) = message["payload"]
            assert error["extensions"]["code"] == "SLOW_SUBSCRIBER"
            assert error["extensions"]["position"] == taken[-1]["position"]
            code, reason = await slow.closed()
            assert code == 1013
            assert reason is not None
            assert orjson.loads(reason) == {"code": "SLOW_SUBSCRIBER", "position": taken[-1]["position"]}
        async with subscriber(house, "auditor-4") as again:
            await again.subscribe(FAT, after=taken[-1]["position"])
            taken += [await again.next() for _ in range(events - len(taken))]
        page = await asyncio.to_thread(house.data, "auditor", PAGE, after=start)
        assert [event["id"] for event in taken] == [event["id"] for event in page["events"]["events"]]

    asyncio.run(scenario())


CUT_OFF = """select pg_terminate_backend(pid) from pg_stat_activity
    where pid <> pg_backend_pid() and datname = current_database() and query like '%log.events%'"""


def patiently(ask: Callable[[], Any]) -> Any:
    """Until it is answered: just after the connections were cut, requests may fail."""
    for _ in range(50):
        try:
            return ask()
        except AssertionError:
            time.sleep(0.1)
    return ask()


def test_a_lost_database_loses_no_event(cardinal_url: str) -> None:
    with running_house(cardinal_url) as house:
        start = newest(house)

        async def scenario() -> None:
            async with subscriber(house, "auditor") as client:
                await client.subscribe(EVENTS)
                for _ in range(3):
                    await asyncio.to_thread(patiently, lambda: cost_type(house))
                    with psycopg.connect(cardinal_url, autocommit=True) as owner:
                        owner.execute(CUT_OFF)
                page = await asyncio.to_thread(patiently, lambda: house.data("auditor", PAGE, after=start))
                events = page["events"]["events"]
                assert len(events) >= 3
                assert [await client.next(20) for _ in events] == events
                await client.nothing()

        asyncio.run(scenario())


# --- The end -------------------------------------------------------------------


def test_when_the_server_goes_sockets_are_closed_1001_and_soon(cardinal_url: str) -> None:
    async def scenario() -> None:
        ended = threading.Event()
        ready = asyncio.Event()
        addresses: list[House] = []
        loop = asyncio.get_running_loop()

        def serve() -> None:
            with running_house(cardinal_url) as house:
                addresses.append(house)
                loop.call_soon_threadsafe(ready.set)
                ended.wait(30)

        server = asyncio.create_task(asyncio.to_thread(serve))
        await ready.wait()
        async with subscriber(addresses[0], "auditor") as client, opened(addresses[0]) as silent:
            await client.subscribe(EVENTS)
            began_s = time.monotonic()
            ended.set()
            assert (await client.closed())[0] == 1001
            assert (await silent.closed())[0] == 1001
            await server
            assert time.monotonic() - began_s < 5

    asyncio.run(scenario())
