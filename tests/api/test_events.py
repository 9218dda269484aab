"""Events: live over graphql-transport-ws, resumed without a gap, and by the page."""

import asyncio
import contextlib

from infrastructure.migrate import open_epoch
from tests.api.campaigns import ACTIVITY, APPROVAL, activity_type, cost_type, drafted, submitted, verdict
from tests.api.house import House, running_house
from tests.api.subscriber import subscriber

SUBSCRIPTION = """subscription ($after: Position, $select: EventSelection) {
    events(after: $after, select: $select) { position id type subjectId version data orgUnit actor
        activity { status } approval { status awaiting } } }"""
PAGE = """query ($after: Position, $first: Int!, $select: EventSelection) {
    events(after: $after, first: $first, select: $select) {
        events { position id type subjectId data } position hasMore } }"""


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
            await client.subscribe(SUBSCRIPTION)
            activity = await asyncio.to_thread(submitted, house)
            seen = []
            while not seen or seen[-1]["type"] != "approval.opened":
                seen.append(await client.next())
            assert [event["type"] for event in seen][-3:] == [
                "activity.drafted", "activity.submitted", "approval.opened",
            ]  # fmt: skip
            assert seen[-2]["activity"]["status"] == "PENDING_RESEARCH"
            assert seen[-1]["data"]["subjectId"] == activity["id"]
            approve = {"user": "researcher", "mutation": "approve", "selection": APPROVAL}
            given = verdict(activity["approval"], "RESEARCH")
            await asyncio.to_thread(house.done, **approve, **given)
            event = await client.next()
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
                await client.subscribe(SUBSCRIPTION, after=after)
                with contextlib.suppress(TimeoutError):
                    for _ in range(7):
                        event = await client.next(1.0)
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


def test_a_cursor_into_an_abandoned_tail_is_refused(cardinal_url: str) -> None:
    """SEC-05: a restore has lost what stood there; whoever followed so far would miss what comes instead."""
    with running_house(cardinal_url) as house:
        submitted(house)
        abandon(house, cardinal_url)


def abandon(house: House, url: str) -> None:
    kept = newest(house)
    lost = f"{kept[:8]}{int(kept[8:], 16) + 1:016x}"
    assert house.data("auditor", PAGE, after=lost, first=1)["events"]["events"] == []
    open_epoch(url)
    (error,) = house.answer("auditor", PAGE, after=lost, first=1)["errors"]
    assert error["extensions"]["code"] == "POSITION_ABANDONED"
    assert house.data("auditor", PAGE, after=kept, first=1)["events"]["events"] == []

    async def scenario() -> None:
        async with subscriber(house, "auditor") as client:
            await client.subscribe(SUBSCRIPTION, after=lost)
            message = await client.receive()
            assert (message["type"], message["payload"][0]["extensions"]["code"]) == (
                "error",
                "POSITION_ABANDONED",
            )
            await client.subscribe(SUBSCRIPTION, id_="2", after=kept)
            await asyncio.to_thread(submitted, house)
            assert (await client.next())["position"] > lost

    asyncio.run(scenario())


def test_what_integrators_see_is_a_mapping_of_its_own(house: House) -> None:
    activity_type(house)  # the first one in a house brings a department with it
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
