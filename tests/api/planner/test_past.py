"""`asOf`: a row, and all below it, as they were."""

from datetime import timedelta
from typing import Any

import pytest

from api.planner import positions
from api.planner.positions import Position
from tests.api.planner.conftest import CHIEF, Bank
from tests.api.planner.sample import OPEN_END

ONE = "query ($id: ID!, $at: AsOf) { a: activity(id: $id, asOf: $at) { version title } }"
MANY = "query ($at: AsOf) { a: activities(asOf: $at, first: 100) { nodes { id version } } }"


def versions(bank: Bank) -> list[dict[str, Any]]:
    """The versions of one activity that is always visible and has at least three, oldest first."""
    found: dict[Any, list[dict[str, Any]]] = {}
    for row in bank.rows["activity_versions"]:
        found.setdefault(row["id"], []).append(row)
    return next(
        rows for rows in found.values() if len(rows) > 2 and all(r["unit"] in CHIEF.units for r in rows)
    )


def at(epoch: int, offset: int) -> dict[str, str]:
    return {"position": positions.encode(Position(epoch, offset))}


def test_a_position_reads_the_row_from_its_beginning_to_before_its_end(bank: Bank) -> None:
    first, second, *_ = versions(bank)
    id = "act_" + first["id"].hex
    begun, ended = (first["epoch_from"], first["position_from"]), (first["epoch_to"], first["position_to"])
    for (epoch, offset), expected in [
        ((begun[0], begun[1] - 1), None),
        (begun, first),
        ((ended[0], ended[1] - 1), first),
        (ended, second),
    ]:
        if offset < 0:
            continue
        answer = bank.ask(ONE, {"id": id, "at": at(epoch, offset)})
        assert answer.planned
        assert answer.data["a"] == (expected and {"version": expected["version"], "title": expected["title"]})


def test_a_time_reads_at_the_last_position_recorded_by_then(bank: Bank) -> None:
    first, second, *_ = versions(bank)
    id, moment = "act_" + first["id"].hex, second["recorded_at"]
    same = [m for m in bank.rows["timeline"] if m["recorded_at"] <= moment]
    last = max((m["epoch"], m["position"]) for m in same)
    by_time = bank.ask(MANY, {"at": {"time": moment.isoformat()}})
    assert by_time.planned
    assert by_time.data == bank.ask(MANY, {"at": at(*last)}).data
    before = (moment - timedelta(microseconds=1)).isoformat()
    assert (
        bank.ask(ONE, {"id": id, "at": {"time": before}}).data["a"]
        != bank.ask(ONE, {"id": id, "at": {"time": moment.isoformat()}}).data["a"]
    )
    assert bank.ask(MANY, {"at": {"time": "1999-01-01T00:00:00Z"}}).data == {"a": {"nodes": []}}


def test_a_version_reads_that_version_of_one_object(bank: Bank) -> None:
    rows = versions(bank)
    id = "act_" + rows[0]["id"].hex
    shown = {
        v: bank.ask(ONE, {"id": id, "at": {"version": v}}).data["a"]
        for v in range(1, rows[-1]["version"] + 2)
    }
    for row in rows:
        assert shown[row["version"]] == {"version": row["version"], "title": row["title"]}
    assert shown[rows[0]["version"] + 1] == shown[rows[0]["version"]]  # it changed nothing that is shown
    assert shown[1] is None
    assert shown[rows[-1]["version"] + 1] is None


def test_a_version_of_a_list_is_refused(bank: Bank) -> None:
    for ahead in (True, False):
        answer = bank.ask(MANY, {"at": {"version": 2}}, ahead=ahead)
        assert answer.codes == ["BAD_AS_OF"]
        assert answer.errors[0]["path"] == ["a"]


def test_relations_below_are_read_at_the_same_instant(bank: Bank) -> None:
    document = """query ($at: AsOf) { a: activities(asOf: $at, first: 100) { nodes { id
        parent { id version } children(first: 100) { nodes { id version } }
        descendants(first: 100) { totalCount } } } }"""
    moment = bank.rows["timeline"][12]
    instant = (moment["epoch"], moment["position"])
    then = {
        "act_" + row["id"].hex: row
        for row in bank.rows["activity_versions"]
        if (row["epoch_from"], row["position_from"]) <= instant < (row["epoch_to"], row["position_to"])
        and row["unit"] in CHIEF.units
    }
    nodes = bank.ask(document, {"at": at(*instant)}).data["a"]["nodes"]
    assert {node["id"] for node in nodes} == set(then)
    below = [child for node in nodes for child in [node["parent"], *node["children"]["nodes"]] if child]
    assert below
    assert all(then[child["id"]]["version"] == child["version"] for child in below)
    assert any(row["epoch_to"] != OPEN_END[0] for row in then.values())


def test_now_and_the_past_share_one_plan(bank: Bank) -> None:
    id = "act_" + versions(bank)[0]["id"].hex
    now = bank.ask(ONE, {"id": id})
    assert bank.ask(ONE, {"id": id, "at": {"version": 2}}).data != now.data
    assert bank.ask(ONE, {"id": id, "at": None}).data == now.data
    assert len(bank.reads._plans.values) == 1


@pytest.mark.parametrize(
    "given",
    [
        "{}",
        "{version: 1, time: null}",
        '{version: 1, time: "2026-01-01T00:00:00Z"}',
        "{version: null}",
        "{version: 99999999999}",
        '{position: "1"}',
        '{position: "ffffffffffffffffffffffff"}',
        '{position: "00000001000000000000000G"}',
        '{time: "2026-01-01"}',
        '{time: "2026-01-01T00:00:00"}',
        '{time: "2026-13-01T00:00:00Z"}',
        '{time: "0001-01-01T00:00:00+14:00"}',
        "{time: 5}",
    ],
)
def test_what_is_no_instant_is_bad_input(bank: Bank, given: str) -> None:
    document = f'{{ a: activity(id: "x", asOf: {given}) {{ id }} }}'
    for ahead in (True, False):
        assert set(bank.ask(document, ahead=ahead).codes) == {"BAD_INPUT"}
