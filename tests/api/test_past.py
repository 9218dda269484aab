"""The past of everything that clients read: lists and single objects, with all below them, as they were."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from graphql import get_named_type, is_leaf_type

from api.planner.declared import read_fields
from api.planner.views import Computed
from application.shared.records import Position
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from projections.registry import PROJECTIONS
from tests.api import segments
from tests.api.access_matrix import call, is_connection, roots, row_of, shown, views
from tests.api.house import House, running_house
from tests.api.test_points_ledgers import adjustment, caught_up
from tests.application.bank import Bank
from tests.application.points_world import PointsWorld, rows

WITHOUT_PAST = {
    "pointsContraAccounts": "not event-sourced",
    "sessions": "not event-sourced",
    "accessEntries": "not event-sourced",
}
"""The lists that can't be read as they were, and what their descriptions say of it."""


@pytest.fixture(scope="module")
def url(make_database: Any, migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def house(url: str) -> Iterator[House]:
    with running_house(url) as running:
        yield running


@pytest.fixture(scope="module")
def world(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PointsWorld]:
    with pool(url, 4) as connections:
        folder: Path = tmp_path_factory.mktemp("points")
        yield PointsWorld(Bank(EventLog(connections)), folder)


def happens(house: House, world: PointsWorld, before: list[str]) -> list[str]:
    """Something with a thing of nearly every kind; `before` are the ids that it makes, to go on with."""
    world.settled(rows(3), rejected=[2])
    house.done("operator", "adjustPoints", "pointsAccount { id }", **adjustment("P1", 100))
    account = house.done("operator", "adjustPoints", "pointsAccount { id }", **adjustment("P1", -30))
    profile = {"name": "Wei", "orgUnit": "SH", "roles": ["OPERATOR"], "dataUnits": ["SH"]}
    if not before:
        user = house.done(
            "admin", "createUser", "user { id }", username=f"u{uuid4().hex[:8]}", profile=profile
        )
        segments.granted(house, "SH")
        year = {"country": "CN", "years": [2027]}
        calendar = house.done(
            "admin",
            "addBusinessCalendar",
            "businessCalendar { id }",
            code=f"B{uuid4().hex[:6].upper()}",
            name="Bank",
            **year,
        )
        ends = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        leave = {"delegate": "operator", "tasks": ["SEGMENTS"], "endsAt": ends, "reason": "leave"}
        house.done("admin", "delegate", "delegation { id }", orgUnit="HO", **leave)
        added = [entry(house, "ActivityType"), entry(house, "Department", contact="Li", role="RESEARCH")]
        return [user["id"], account["id"], calendar["id"], *(each["id"] for each in added)]
    house.done("admin", "reviseUser", "user { id }", id=before[0], profile={**profile, "name": "Wei Li"})
    for kind, id_ in (("ActivityType", before[3]), ("Department", before[4])):
        more = {"contact": "Li", "role": "RESEARCH"} if kind == "Department" else {}
        entry(house, kind, parentId=id_, **more)
        house.done("admin", f"disable{kind}", f"{kind[0].lower()}{kind[1:]} {{ id }}", id=id_)
    return before


def entry(house: House, kind: str, **given: Any) -> Any:
    code = f"E{uuid4().hex[:8].upper()}"
    return house.done("admin", f"add{kind}", f"{kind[0].lower()}{kind[1:]} {{ id }}", code=code,
                      name=code, **given)  # fmt: skip


def now_position(world: PointsWorld) -> str:
    """Where the log ends, once every read table shows it."""
    caught_up(world)
    with world.bank.log.log_recorder.pool.connection() as connection:
        row = connection.execute(
            "select epoch, position from log.events order by epoch desc, position desc limit 1"
        ).fetchone()
    assert row is not None
    return str(Position(*row))


def selection(field: Any) -> str:
    """All of a row that hangs on the log alone, and the ids of all that it leads to."""
    type_ = row_of(field)
    assert type_ is not None
    told = [
        name
        for name, below in type_.fields.items()
        if is_leaf_type(get_named_type(below.type)) and not below.args and not hangs_on_now(type_, name)
    ]
    return f"{' '.join(told)} {shown(type_)}"


def hangs_on_now(type_: Any, name: str) -> bool:
    read = read_fields(type_)[name].read
    return isinstance(read, Computed) and ("{now}" in read.sql or "points.under_way" in read.sql)


def lists() -> dict[str, str]:
    """Of each list that has a past, the document."""
    return {
        name: f"query ($at: AsOf) {{ {call(name, field, first='50', asOf='$at')}"
        f" {{ totalCount nodes {{ {selection(field)} }} }} }}"
        for name, field in roots("query").items()
        if row_of(field) is not None and is_connection(field) and "asOf" in field.args
    }


def seen(house: House, as_of: dict[str, str] | None) -> dict[str, Any]:
    return {name: house.data("auditor", text, at=as_of)[name] for name, text in lists().items()}


def test_every_list_is_as_it_was_at_a_position_and_a_time(house: House, world: PointsWorld) -> None:
    """ES-03: with all that hangs on other rows, down to sums, trees and counts."""
    made = happens(house, world, [])
    position, moment = now_position(world), datetime.now(UTC)
    then = seen(house, None)
    time.sleep(0.01)
    happens(house, world, made)
    now_position(world)
    now = seen(house, None)
    changed = {name for name in then if then[name] != now[name]}
    assert changed >= {
        "activityTypes", "departments", "activities", "approvals", "budgets", "pointsJobs", "users",
        "pointsAccounts", "pointsEntries", "segmentRuns", "timeline", "workOrders",
    }  # fmt: skip
    assert seen(house, {"position": position}) == then
    assert seen(house, {"time": moment.isoformat()}) == then
    assert seen(house, {"position": now_position(world)}) == now
    account = "query ($id: ID!, $v: Int!) { pointsAccount(id: $id, asOf: {version: $v}) { version balance } }"
    for version, balance in enumerate(("100", "70", "170", "140"), 1):
        found = house.data("auditor", account, id=made[1], v=version)["pointsAccount"]
        assert found == {"version": version, "balance": balance}


def test_what_has_no_past_says_why() -> None:
    """ES-03: and whatever has versions shows them."""
    shown_versions = {view.versions for view in views().values()}
    assert {f"read.{each.versions}" for each in PROJECTIONS if each.versions} <= shown_versions
    without = {}
    for name, field in roots("query").items():
        row = row_of(field)
        if row is not None and "asOf" not in field.args:
            without[name] = f"{row.description} {field.description}"
    assert without.keys() == WITHOUT_PAST.keys()
    for name, reason in WITHOUT_PAST.items():
        assert reason in without[name]
