"""Replay for auditors: one thing's history step by step, as a page, a file and a difference of instants."""

import json
from io import BytesIO
from typing import Any

from openpyxl import load_workbook

from tests.api.campaigns import approved, code
from tests.api.house import House
from tests.api.test_exports import eventually

REPLAY = """query ($id: ID!, $first: Int! = 50, $after: Position, $filter: ReplayChoice) {
    replay(id: $id, first: $first, after: $after, filter: $filter) { totalCount hasNextPage endCursor
        steps { position version eventType subjectId recordedAt actor reason state
            changes { field before after } } } }"""


def replay(house: House, id: str, **given: Any) -> Any:
    return house.data("auditor", REPLAY, id=id, **given)["replay"]


def told(page: Any) -> list[str]:
    return [step["eventType"] for step in page["steps"]]


def test_an_auditor_steps_through_a_history_and_sees_the_state_after_each_event(house: House) -> None:
    """ES-06, ES-01: by the cursor one at a time as all at once, and each state is what asOf shows."""
    activity = approved(house)
    whole = replay(house, activity["id"])
    assert (whole["totalCount"], whole["hasNextPage"]) == (len(whole["steps"]), False)
    assert told(whole)[:2] == ["activity.drafted", "activity.submitted"]
    assert "approval.granted" in told(whole)
    steps, after, more = [], None, True
    while more:
        page = replay(house, activity["id"], first=1, after=after)
        steps, after, more = [*steps, *page["steps"]], page["endCursor"], page["hasNextPage"]
    assert steps == whole["steps"]
    as_of = "query ($id: ID!, $at: AsOf) { activity(id: $id, asOf: $at) { status version name approvalId } }"
    for step in steps:
        then = house.data("auditor", as_of, id=activity["id"], at={"position": step["position"]})["activity"]
        told_ = {name: step["state"][name] for name in ("status", "name", "approvalId")}
        assert {**told_, "version": step["version"]} == then
    state: dict[str, Any] = {}
    for step in steps:
        state |= {change["field"]: change["after"] for change in step["changes"]}
        assert {name: value for name, value in state.items() if value is not None} == {
            name: value for name, value in step["state"].items() if value is not None
        }


def test_the_two_levels_of_an_approval_come_from_its_events(house: House) -> None:
    """ES-04, APR-10"""
    activity = approved(house)
    found = [
        (s["eventType"], s["state"]["status"], s["actor"])
        for s in replay(house, activity["approvalId"])["steps"]
    ]
    assert found == [
        ("approval.opened", "PENDING_RESEARCH", "operator"),
        ("approval.passed", "PENDING_TECHNOLOGY", "researcher"),
        ("approval.passed", "APPROVED", "technologist"),
        ("approval.granted", "APPROVED", "technologist"),
    ]


def test_a_mutation_leaves_one_audit_record_and_its_repetition_none(house: House) -> None:
    """SYS-04, ES-02: with who, when and what it changed; a refused one leaves none."""
    given = {"code": code("CT"), "name": "Fee", "accountingSubject": "6601", "unit": "CNY"}
    before = len(house.appended)
    key = code("KEY")
    first, again = (house.do("operator", "addCostType", "costType { id }", key=key, **given) for _ in "12")
    assert first["costType"] == again["costType"]
    assert house.do("operator", "addCostType", "costType { id }", **given)["userErrors"] != []
    [step] = replay(house, first["costType"]["id"])["steps"]
    assert (step["actor"], step["version"], step["state"]["name"]) == ("operator", 1, "Fee")
    assert {"field": "name", "before": None, "after": "Fee"} in step["changes"]
    assert len(house.appended) == before + 1


def test_steps_are_chosen_by_type_actor_and_period(house: House) -> None:
    """ES-06"""
    activity = approved(house)
    whole = replay(house, activity["id"])["steps"]
    by_type = replay(house, activity["id"], filter={"types": ["activity.submitted", "activity.approved"]})
    assert told(by_type) == ["activity.submitted", "activity.approved"]
    by_actor = replay(house, activity["id"], filter={"actor": "operator"})
    assert by_actor["steps"] == [step for step in whole if step["actor"] == "operator"] != whole
    middle = whole[2]["recordedAt"]
    since = replay(house, activity["id"], filter={"since": middle})["steps"]
    until = replay(house, activity["id"], filter={"until": middle})["steps"]
    assert (until + since, len(until) > 0) == (whole, True)


def test_a_replay_is_the_auditors_and_of_what_he_sees(house: House) -> None:
    """ES-06, SEC-03: others are refused; what is unknown or of another unit is null."""
    activity = approved(house)
    for user in ("operator", "researcher", "admin", "integrator"):
        [error] = house.answer(user, REPLAY, id=activity["id"])["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"
    for id_ in ("act_00000000000000000000000000000001", "act_x", "nothing"):
        assert replay(house, id_) is None
    for first in (0, 101):
        [error] = house.answer("auditor", REPLAY, id=activity["id"], first=first)["errors"]
        assert error["extensions"]["code"] == "OUT_OF_RANGE"


def file(house: House, user: str, id_: str, **given: str) -> Any:
    return house.client.get(
        f"/exports/replays/{id_}", params=given, headers={"authorization": f"Bearer {user}"}
    )


def test_a_replay_leaves_as_jsonl_or_as_a_workbook_and_is_recorded(house: House) -> None:
    """ES-06, SYS-04"""
    activity = approved(house)
    id_, steps = activity["id"], replay(house, activity["id"])["steps"]
    lines = [json.loads(line) for line in file(house, "auditor", id_).text.splitlines()]
    assert [{name: line[name] for name in step} for line, step in zip(lines, steps, strict=True)] == steps
    chosen = file(house, "auditor", id_, format="xlsx", types="activity.submitted")
    header, *rows = load_workbook(BytesIO(chosen.content)).active.iter_rows(values_only=True)
    [row] = [dict(zip(header, each, strict=True)) for each in rows]
    assert (row["eventType"], json.loads(row["state"])["status"]) == (
        "activity.submitted",
        "PENDING_RESEARCH",
    )
    downloads = """{ downloads(last: 2, filter: {subject: {eq: "replays"}}) {
        nodes { rows filter recordedBy } } }"""

    def found() -> list[Any]:
        nodes = house.data("auditor", downloads)["downloads"]["nodes"]
        return [node for node in nodes if node["filter"].startswith(id_)]

    eventually(lambda: len(found()) == 2)
    assert [(each["rows"], each["recordedBy"]) for each in found()] == [
        (len(steps), "auditor"),
        (1, "auditor"),
    ]
    for user, asked, status in (
        ("operator", {}, 403),
        ("auditor", {"format": "pdf"}, 400),
        ("auditor", {"since": "2026-01-01"}, 400),
    ):
        assert file(house, user, id_, **asked).status_code == status
    assert file(house, "auditor", "act_00000000000000000000000000000001").status_code == 404


def test_two_instants_differ_as_their_versions_do(house: House) -> None:
    """ES-03: by version, position and time; of things without versions of their own rows as well."""
    activity = approved(house)
    steps = replay(house, activity["id"])["steps"]
    first, last = steps[0], steps[-1]
    document = """query ($id: ID!, $s: Int, $u: Int, $sa: AsOf, $ua: AsOf) {
        diff(id: $id, since: $s, until: $u, sinceAt: $sa, untilAt: $ua) { field before after } }"""

    def diff(user: str = "auditor", **given: Any) -> Any:
        return house.data(user, document, id=activity["id"], **given)["diff"]

    by_version = diff(s=first["version"], u=last["version"])
    assert {"field": "status", "before": "DRAFT", "after": "APPROVED"} in by_version
    assert diff(sa={"position": first["position"]}, ua={"position": last["position"]}) == by_version
    assert diff(sa={"time": first["recordedAt"]}, ua={"time": last["recordedAt"]}) == by_version
    assert diff(sa={"version": first["version"]}) == by_version
    assert diff(s=0, ua={"position": "0" * 23 + "1"}) == []
    reversed_ = [{"field": c["field"], "before": c["after"], "after": c["before"]} for c in by_version]
    assert diff(s=last["version"], u=first["version"]) == reversed_
    [error] = house.answer("auditor", document, id=activity["id"], s=1, sa={"version": 1})["errors"]
    assert error["extensions"]["code"] == "BAD_AS_OF"
