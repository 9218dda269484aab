"""Schedules, calendars, extractions and reuse through the API, performed by the process's own steps."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from application.processes.scheduled_runs import ScheduleDesk
from application.shared.engines import Engine
from application.shared.handler import Handler
from domain.run_schedules import DECIDER as SCHEDULE
from infrastructure.database import pool
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.event_log import EventLog
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.api import orders
from tests.api.campaigns import approved, code
from tests.api.house import UNITS, House, running_house
from tests.api.segments import approved as approved_definition
from tests.api.segments import drafted, granted

CALENDAR = "businessCalendar { id revision code days { on kind name } }"
SET = """runSchedule { id status strategy nextAt nextTimes definition { code }
    frequency { kind at calendarId offPeak } timeframe { kind days } leftOut
    lastRun { status definitionRevision parameters { name value } } }"""
NIGHTLY = {"kind": "DAILY", "at": "02:30"}
LAST_30_DAYS = {"kind": "ROLLING", "days": 30}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("home")
    warehouse = Warehouse(folder / "warehouse", sorted(UNITS))
    warehouse.generate(date(2026, 3, 1), SampleSize(500, 2_000))
    return DuckDBEngine(warehouse, folder / "results")


@pytest.fixture(scope="module")
def url(make_database: Callable[..., str], migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def house(url: str, engine: Engine) -> Iterator[House]:
    with running_house(url, engine=engine) as running:
        granted(running)
        yield running


@pytest.fixture(scope="module")
def log(url: str) -> Iterator[EventLog]:
    with pool(url, 4) as connections:
        yield EventLog(connections)


def key(id_: str) -> UUID:
    return UUID(id_.split("_")[1])


def fire(log: EventLog, engine: Engine, schedule: str) -> None:
    """A worker comes at the time that is next."""
    state = log.load(SCHEDULE, key(schedule)).state
    assert state.next_at is not None
    due_at = state.next_at
    desk = ScheduleDesk(Handler(log, clock=lambda: due_at), engine, UNITS)
    desk.fire(key(schedule))
    live = log.load(SCHEDULE, key(schedule)).state.live
    if live is not None:
        desk.extract(live)


def scheduled(house: House, definition: Any, **given: Any) -> Any:
    made = {"definitionId": definition["id"], "frequency": NIGHTLY, "timeframe": LAST_30_DAYS, **given}
    return house.done("operator", "setSegmentSchedule", SET, **made)


def test_a_schedule_is_set_changed_and_withdrawn(house: House) -> None:
    """LOG-08, SEG-07: with the next times by the clock of Shanghai, put off into the off-peak hours."""
    definition = approved_definition(house, drafted(house))
    first = scheduled(house, definition)
    assert (first["status"], first["strategy"]) == ("ACTIVE", "DISCARD_LATER")
    assert [at[11:16] for at in first["nextTimes"]] == ["18:30"] * 5
    changed = scheduled(
        house, definition, frequency={"kind": "DAILY", "at": "09:15", "offPeak": "03:15-06:00"}
    )
    assert (changed["id"], changed["nextAt"][11:16]) == (first["id"], "19:15")
    document = """query ($id: ID!) { segmentDefinition(id: $id) {
        schedules { nodes { id status nextAt } } } }"""
    [seen] = house.data("auditor", document, id=definition["id"])["segmentDefinition"]["schedules"]["nodes"]
    assert seen == {"id": first["id"], "status": "ACTIVE", "nextAt": changed["nextAt"]}
    withdrawn = house.done("operator", "withdrawSegmentSchedule", SET, definitionId=definition["id"])
    assert (withdrawn["status"], withdrawn["nextTimes"]) == ("WITHDRAWN", [])


def test_a_draft_gets_no_schedule(house: House) -> None:
    """LOG-08, LOG-03"""
    given = {"definitionId": drafted(house)["id"], "frequency": NIGHTLY}
    assert house.refused("operator", "setSegmentSchedule", **given) == [
        ("NOTHING_APPROVED", "input.definitionId")
    ]
    answer = house.answer(
        "auditor",
        "mutation ($input: SetSegmentScheduleInput!) { setSegmentSchedule(input: $input) { position } }",
        input=given,
    )
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_what_a_schedule_did_is_seen(house: House, log: EventLog, engine: Engine) -> None:
    """LOG-08, LOG-09: the run with its days, then a time that was left out, for the run was still queued."""
    schedule = scheduled(house, approved_definition(house, drafted(house)))["id"]
    due = log.load(SCHEDULE, key(schedule)).state.next_times
    document = f"query ($id: ID!) {{ {SET.replace('{', '(id: $id) {', 1)} }}"
    fire(log, engine, schedule)
    seen = _until(house, document, schedule, lambda row: row["lastRun"] is not None)
    day = (due[0] + timedelta(hours=8)).date()
    values = {each["name"]: each["value"] for each in seen["lastRun"]["parameters"]}
    assert (seen["lastRun"]["status"], values["business_date"]) == ("QUEUED", day.isoformat())
    assert values["data_from"] == (day - timedelta(days=30)).isoformat()
    fire(log, engine, schedule)
    seen = _until(house, document, schedule, lambda row: row["leftOut"] is not None)
    assert (seen["leftOut"], seen["lastRun"]) == ("run_already_live", None)


def test_the_groups_of_an_activity_are_extracted_and_their_movements_told(
    house: House, log: EventLog, engine: Engine
) -> None:
    """SEG-07, SEG-09"""
    group = orders.group(house)
    link = {"customerGroupId": group["id"], "role": "TARGET", "frequency": NIGHTLY,
            "timeframe": LAST_30_DAYS}  # fmt: skip
    begins = datetime.now(UTC)
    period = {"startsAt": begins.isoformat(), "endsAt": (begins + timedelta(days=30)).isoformat()}
    activity = approved(house, groups=[link], **period)
    house.done("operator", "launchActivity", "activity { id status }", id=activity["id"])
    document = """query ($id: ID!) { activity(id: $id) { groups { frequency { kind at calendarId } }
        groupSchedules { nodes { id status nextAt role } }
        groupExtractions { nodes { id status dueAt businessDate dataFrom dataTo memberCount joinedCount
            stayedCount leftCount customerGroupRevision previous { id } } } } }"""
    seen = house.data("operator", document, id=activity["id"])["activity"]
    assert seen["groups"][0]["frequency"] == {"kind": "DAILY", "at": "02:30", "calendarId": None}
    [schedule] = seen["groupSchedules"]["nodes"]
    fire(log, engine, schedule["id"])
    fire(log, engine, schedule["id"])

    def both(row: Any) -> bool:
        return [each["status"] for each in row["groupExtractions"]["nodes"]] == ["SUCCEEDED"] * 2

    second, first = _until(house, document, activity["id"], both)["groupExtractions"]["nodes"]
    assert first["memberCount"] == first["joinedCount"] != "0"
    assert (second["stayedCount"], second["joinedCount"]) == (first["memberCount"], "0")
    assert second["previous"] == {"id": first["id"]}
    assert first["dueAt"] == schedule["nextAt"]
    joined = """query ($id: ID!, $first: Int!, $after: Cursor) {
        groupMembers(extractionId: $id, movements: [JOINED], first: $first, after: $after) {
            nodes { customerId movement } edges { cursor node { customerId } } totalCount
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    page = house.data("operator", joined, id=first["id"], first=2)["groupMembers"]
    assert [each["movement"] for each in page["nodes"]] == ["JOINED"] * 2
    assert str(page["totalCount"]) == first["memberCount"]
    assert [edge["node"]["customerId"] for edge in page["edges"]] == [
        each["customerId"] for each in page["nodes"]
    ]
    info = {"hasNextPage": page["totalCount"] > 2, "hasPreviousPage": False}
    assert page["pageInfo"].items() >= info.items()
    assert house.data("operator", joined, id=second["id"], first=2)["groupMembers"] == {
        "nodes": [], "edges": [], "totalCount": 0,
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }  # fmt: skip
    after = page["pageInfo"]["startCursor"]
    following = house.data("operator", joined, id=first["id"], first=1, after=after)["groupMembers"]
    assert (following["nodes"], following["pageInfo"]["hasPreviousPage"]) == (page["nodes"][1:], True)
    for given, error in (
        ({"id": first["id"], "first": 101}, "BAD_PAGE_SIZE"),
        ({"id": second["id"], "first": 1, "after": after}, "BAD_CURSOR"),
        ({"id": first["id"], "first": 1, "after": page["nodes"][0]["customerId"]}, "BAD_CURSOR"),
    ):
        answer = house.answer("operator", joined, **given)
        assert answer["errors"][0]["extensions"]["code"] == error
    document = """{ downloads(filter: {subject: {eq: "group_members"}}) {
        nodes { recordedBy rows address filter } } }"""

    def twice(found: Any) -> bool:
        return len(found["nodes"]) == 2

    records = _until(house, document, "", twice)["nodes"]
    assert [(each["recordedBy"], each["rows"], each["address"]) for each in records] == [
        ("operator", 2, "127.0.0.1"), ("operator", 1, "127.0.0.1"),
    ]  # fmt: skip
    assert all(first["id"] in each["filter"] for each in records)
    for user, error in (("auditor", "FORBIDDEN"), ("branch", "NOT_FOUND")):
        answer = house.answer(user, joined, id=first["id"], first=2)
        assert answer["errors"][0]["extensions"]["code"] == error


def test_a_calendar_begins_with_the_holidays_of_china_and_moves_what_goes_by_it(
    house: House, log: EventLog, engine: Engine
) -> None:
    """SYS-05"""
    year = datetime.now(UTC).year
    given = {"code": code("BC"), "name": "中国", "country": "CN", "years": [year, year + 1]}
    calendar = house.done("admin", "addBusinessCalendar", CALENDAR, **given)
    assert {"on": f"{year}-10-01", "kind": "HOLIDAY", "name": "国庆节"} in calendar["days"]
    definition = approved_definition(house, drafted(house))
    nightly = {**NIGHTLY, "calendarId": calendar["id"], "offPeak": "20:00-08:00"}
    schedule = scheduled(house, definition, frequency=nightly)
    assert schedule["frequency"] == nightly
    first, second = schedule["nextTimes"][:2]
    day = (datetime.fromisoformat(first) + timedelta(hours=8)).date()
    mark = [{"on": day.isoformat(), "kind": "HOLIDAY", "name": "party"}]
    changed = house.done("admin", "reviseBusinessCalendar", CALENDAR, id=calendar["id"], mark=mark)
    assert changed["revision"] == 2
    ScheduleDesk(Handler(log), engine, UNITS).move(key(calendar["id"]))
    document = f"query ($id: ID!) {{ {SET.replace('{', '(id: $id) {', 1)} }}"
    _until(house, document, schedule["id"], lambda row: row["nextAt"] == second)
    assert house.refused("operator", "addBusinessCalendar", **given) == [("CODE_TAKEN", "input.code")]


def test_a_definition_is_used_again_and_where_is_shown(house: House) -> None:
    """LOG-16: a general one for two work orders; each copy is approved for itself."""
    general = approved_definition(house, drafted(house))
    copies = []
    for _ in range(2):
        order = orders.submitted(house)
        given = {"sourceId": general["id"], "code": code("SD"), "kind": "ACTIVITY",
                 "workOrderId": order["id"]}  # fmt: skip
        selection = "segmentDefinition { id status approvedRevision originRevision sql workOrderId }"
        copies.append(house.done("technologist", "reuseSegmentDefinition", selection, **given))
    document = """query ($id: ID!) { segmentDefinition(id: $id) { sql
        copies { totalCount nodes { id origin { id } workOrder { number } } } } }"""
    seen = house.data("auditor", document, id=general["id"])["segmentDefinition"]
    assert {each["id"] for each in seen["copies"]["nodes"]} == {each["id"] for each in copies}
    assert {each["origin"]["id"] for each in seen["copies"]["nodes"]} == {general["id"]}
    for copy in copies:
        assert (copy["status"], copy["approvedRevision"], copy["originRevision"]) == ("DRAFT", None, 1)
        assert copy["sql"] == seen["sql"]
    draft = {"sourceId": copies[0]["id"], "code": code("SD")}
    assert house.refused("operator", "reuseSegmentDefinition", **draft) == [
        ("NOTHING_APPROVED", "input.sourceId")
    ]
    assert house.refused("branch", "reuseSegmentDefinition", **{**draft, "sourceId": general["id"]}) == [
        ("NOT_FOUND", "input.sourceId")
    ]


def _until(house: House, document: str, id_: str, holds: Callable[[Any], bool]) -> Any:
    """The thing, when its row is as it must be."""
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while True:
        [row] = house.data("operator", document, id=id_).values()
        if holds(row):
            return row
        assert datetime.now(UTC) < deadline, row


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_banks_zone_is_that_of_the_setting(url: str, engine: Engine, zone: str) -> None:
    """LOG-08: whoever serves commands takes it; at every moment these two zones have different dates."""
    with running_house(url, engine=engine, time_zone=ZoneInfo(zone)) as house:
        given = {"programme": "CC", "customer": "C00000001", "points": 5, "businessType": "GOODWILL",
                 "name": "Apology", "reason": "late statement"}  # fmt: skip
        selection = "pointsAccount { entries { nodes { valueDate } } }"
        before = datetime.now(ZoneInfo(zone)).date()
        account = house.done("operator", "adjustPoints", selection, **given)
        after = datetime.now(ZoneInfo(zone)).date()
    *_, entry = account["entries"]["nodes"]
    assert entry["valueDate"] in {before.isoformat(), after.isoformat()}
