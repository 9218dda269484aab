"""Activities through the API: drafting, revising, life, the past."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.campaigns import (
    ACTIVITY,
    APPROVAL,
    activity_type,
    approved,
    code,
    cost_type,
    drafted,
    plan,
    submitted,
    verdict,
)
from tests.api.house import House

WHOLE = """query ($id: ID!, $asOf: AsOf) { activity(id: $id, asOf: $asOf) { id version revision status name
    activityType { name } budget { amount currency } costTotal { amount } orgUnit
    costLines { costType { code } costTypeRevision amount { amount currency } remark } channels
    startsAt endsAt registration { startsAt endsAt } award { startsAt endsAt } } }"""


def whole(house: House, user: str, id_: str, **as_of):
    return house.data(user, WHOLE, id=id_, asOf=as_of or None)["activity"]


def test_a_draft_shows_all_its_key_details(house: House) -> None:
    """ACT-01, ACT-04"""
    kind, type_ = cost_type(house), activity_type(house)
    window = {"startsAt": "2027-03-01T00:00:00Z", "endsAt": "2027-03-15T00:00:00Z"}
    given = plan(type_["id"], kind["id"], registration=window, award=window)
    made = house.done("operator", "draftActivity", ACTIVITY, code=code(), **given)
    assert (made["version"], made["revision"], made["status"]) == (1, 1, "DRAFT")
    assert whole(house, "auditor", made["id"]) == {
        "id": made["id"],
        "version": 1,
        "revision": 1,
        "status": "DRAFT",
        "name": "Spring dining",
        "activityType": {"name": type_["name"]},
        "budget": {"amount": "90000.00", "currency": "CNY"},
        "costTotal": {"amount": "100.50"},
        "orgUnit": "HO",
        "costLines": [
            {
                "costType": {"code": kind["code"]},
                "costTypeRevision": 1,
                "amount": {"amount": "100.50", "currency": "CNY"},
                "remark": "line",
            }
        ],
        "channels": ["APP", "WECHAT"],
        "startsAt": "2027-02-28T16:00:00.000000Z",
        "endsAt": "2027-03-31T16:00:00.000000Z",
        "registration": {
            "startsAt": "2027-03-01T00:00:00.000000Z",
            "endsAt": "2027-03-15T00:00:00.000000Z",
        },
        "award": {"startsAt": "2027-03-01T00:00:00.000000Z", "endsAt": "2027-03-15T00:00:00.000000Z"},
    }


MANDATORY = ["activityTypeId", "budget", "code", "departmentId", "endsAt", "name", "rewards", "startsAt"]


def test_each_missing_detail_is_one_fault_and_nothing_is_recorded(house: House) -> None:
    """ACT-01"""
    before = len(house.appended)
    assert house.refused("operator", "draftActivity") == [("REQUIRED", f"input.{name}") for name in MANDATORY]
    assert len(house.appended) == before


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"endsAt": "2027-02-01T00:00:00Z"}, ("END_NOT_AFTER_START", "input.endsAt")),
        ({"budget": {"amount": "0"}}, ("AMOUNT_NOT_POSITIVE", "input.budget.amount")),
        ({"budget": {"amount": "-5"}}, ("AMOUNT_NOT_POSITIVE", "input.budget.amount")),
        ({"budget": {"amount": "99999999999999999"}}, ("AMOUNT_TOO_LARGE", "input.budget.amount")),
        ({"budget": {"amount": "100,000"}}, ("AMOUNT_NOT_FINITE", "input.budget.amount")),
        ({"budget": {"amount": "1e3"}}, ("AMOUNT_NOT_FINITE", "input.budget.amount")),
        ({"budget": {"amount": "9" * 40}}, ("AMOUNT_TOO_LARGE", "input.budget.amount")),
        ({"startsAt": "0999-01-01T00:00:00Z"}, ("OUT_OF_RANGE", "input.startsAt")),
        ({"budget": {"amount": "NaN"}}, ("AMOUNT_NOT_FINITE", "input.budget.amount")),
        ({"budget": {"amount": "Infinity"}}, ("AMOUNT_NOT_FINITE", "input.budget.amount")),
        ({"budget": {"amount": "100.555"}}, ("AMOUNT_TOO_PRECISE", "input.budget.amount")),
        ({"budget": {"amount": "1", "currency": "XYZ"}}, ("UNKNOWN_CURRENCY", "input.budget.currency")),
        ({"activityTypeId": "at_" + "1" * 32}, ("NOT_FOUND", "input.activityTypeId")),
        ({"name": "x" * 121}, ("TOO_LONG", "input.name")),
        ({"name": "4111111111111111"}, ("CARD_NUMBER_IN_TEXT", "input.name")),
        ({"name": "a\u202eb"}, ("BAD_CHARACTERS", "input.name")),
        ({"channels": ["APP", "APP"]}, ("DUPLICATE", "input.channels")),
        (
            {"costLines": [{"amount": {"amount": "-1"}}]},
            ("AMOUNT_NOT_POSITIVE", "input.costLines.0.amount.amount"),
        ),
        ({"award": {"startsAt": "2027-01-01T00:00:00Z", "endsAt": "2027-01-02T00:00:00Z"}},
         ("AWARD_BEFORE_START", "input.award.startsAt")),
    ],
)  # fmt: skip
def test_a_plan_that_is_not_sound_is_refused_where_it_is_wrong(house: House, given, fault) -> None:
    """ACT-04"""
    payload = house.do("operator", "draftActivity", code=code(), **plan(activity_type(house)["id"], **given))
    faults = {(f["code"], ".".join(f["path"])) for f in payload["userErrors"]}
    assert fault in faults


def test_costs_stay_within_the_budget_in_its_currency(house: House) -> None:
    kind = cost_type(house)["id"]
    given = plan(activity_type(house)["id"], kind, budget={"amount": "100", "currency": "CNY"})
    assert house.refused("operator", "draftActivity", code=code(), **given) == [
        ("COSTS_EXCEED_BUDGET", "input.costLines")
    ]
    given["budget"] = {"amount": "900", "currency": "USD"}
    assert ("CURRENCY_MISMATCH", "input.costLines.0.amount") in house.refused(
        "operator", "draftActivity", code=code(), **given
    )


def test_a_revision_is_the_next_version_and_the_diff_shows_what_changed(house: House) -> None:
    """ACT-02"""
    activity = drafted(house)
    given = plan(activity_type(house)["id"], name="Autumn dining")
    revised = house.done(
        "operator", "reviseActivity", ACTIVITY, id=activity["id"], expectedVersion=1, **given
    )
    assert (revised["version"], revised["revision"]) == (2, 2)
    again = house.done("operator", "reviseActivity", ACTIVITY, id=activity["id"], **given)
    assert again["version"] == 2
    assert house.refused("operator", "reviseActivity", id=activity["id"], expectedVersion=1, **given) == [
        ("VERSION_CONFLICT", "input.expectedVersion")
    ]
    query = "query ($id: ID!) { diff(id: $id, since: 1, until: 2) { field before after } }"
    found = {c["field"]: c for c in house.data("auditor", query, id=activity["id"])["diff"]}
    assert found["name"] == {"field": "name", "before": "Spring dining", "after": "Autumn dining"}
    assert "startsAt" not in found
    assert house.data("branch", query, id=activity["id"])["diff"] is None


def test_the_past_is_read_at_a_version_a_position_or_a_time(house: House) -> None:
    """ES-03"""
    activity = drafted(house)
    query = """query ($id: ID!) { activity(id: $id) {
        history { nodes { position recordedAt version } } } }"""
    moments = []
    for name in ("Second", "Third"):
        given = plan(activity_type(house)["id"], name=name)
        house.done("operator", "reviseActivity", "activity { id }", id=activity["id"], **given)
    nodes = house.data("auditor", query, id=activity["id"])["activity"]["history"]["nodes"]
    moments = [(n["version"], n["position"], n["recordedAt"]) for n in nodes]
    for (version, position, time), name in zip(moments, ("Spring dining", "Second", "Third"), strict=True):
        for as_of in ({"version": version}, {"position": position}, {"time": time}):
            assert whole(house, "auditor", activity["id"], **as_of)["name"] == name
    listed = """query ($asOf: AsOf, $f: ActivityFilter) {
        activities(asOf: $asOf, filter: $f) { nodes { name } totalCount } }"""
    at = house.data("auditor", listed, asOf={"position": moments[1][1]}, f={"id": {"eq": activity["id"]}})[
        "activities"
    ]
    assert at == {"nodes": [{"name": "Second"}], "totalCount": 1}
    before = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    assert house.data("auditor", listed, asOf={"time": before}, f={})["activities"]["totalCount"] == 0


def test_a_deleted_draft_is_gone_from_lists_and_stays_in_the_past(house: House) -> None:
    """ACT-03"""
    activity = drafted(house)
    assert house.do("operator", "deleteActivity", id=activity["id"])["userErrors"] == []
    assert whole(house, "auditor", activity["id"]) is None
    assert whole(house, "auditor", activity["id"], version=1)["status"] == "DRAFT"
    assert house.refused("operator", "submitActivity", id=activity["id"]) == [("NOT_FOUND", "input.id")]
    query = "query ($f: HistoryEntryFilter) { timeline(filter: $f, last: 1) { nodes { actor } } }"
    gone = house.data("auditor", query, f={"eventType": {"eq": "activity.deleted"}})
    assert gone["timeline"]["nodes"] == [{"actor": "operator"}]


def test_only_an_approved_activity_is_launched_and_a_live_one_is_not_edited(house: House) -> None:
    """ACT-02, ACT-03, APR-11"""
    assert house.refused("operator", "launchActivity", id=drafted(house)["id"]) == [("NOT_APPROVED", "input")]
    assert house.refused("operator", "launchActivity", id=submitted(house)["id"]) == [
        ("NOT_APPROVED", "input")
    ]
    activity = approved(house)
    running = house.done("operator", "launchActivity", ACTIVITY, id=activity["id"])
    assert running["status"] == "RUNNING"
    given = plan(activity_type(house)["id"])
    assert house.refused("operator", "reviseActivity", id=activity["id"], **given) == [
        ("NOT_EDITABLE", "input")
    ]
    assert house.refused("operator", "deleteActivity", id=activity["id"]) == [("CANCEL_INSTEAD", "input")]
    assert house.refused("operator", "pauseActivity", id=activity["id"], reason=" ") == [
        ("REQUIRED", "input.reason")
    ]
    for mutation, given, status in (
        ("pauseActivity", {"reason": "stock"}, "PAUSED"),
        ("resumeActivity", {}, "RUNNING"),
        ("cancelActivity", {"reason": "over"}, "CANCELLED"),
    ):
        found = house.done("operator", mutation, ACTIVITY, id=activity["id"], **given)
        assert found["status"] == status


def test_editing_an_approved_activity_asks_for_approval_anew(house: House) -> None:
    """ACT-02"""
    activity = approved(house)
    given = plan(activity_type(house)["id"], name="Changed")
    revised = house.done("operator", "reviseActivity", ACTIVITY, id=activity["id"], **given)
    assert (revised["status"], revised["revision"]) == ("DRAFT", 2)
    assert house.refused("operator", "launchActivity", id=activity["id"]) == [("NOT_APPROVED", "input")]


def test_the_timeline_links_an_activity_to_its_approvals_in_time_order(house: House) -> None:
    """ACT-06"""
    activity = approved(house)
    query = """query ($id: ID!) { activity(id: $id) { timeline { nodes { eventType actor } }
        approvals { nodes { id status activity { id } } } } }"""
    found = house.data("auditor", query, id=activity["id"])["activity"]
    assert [node["eventType"] for node in found["timeline"]["nodes"]] == [
        "activity.drafted",
        "activity.submitted",
        "approval.opened",
        "approval.passed",
        "approval.passed",
        "approval.granted",
        "activity.approved",
    ]
    assert [a["activity"]["id"] for a in found["approvals"]["nodes"]] == [activity["id"]]


def test_a_branch_sees_and_touches_its_own_activities_only(house: House) -> None:
    """ACT-07, SYS-08: on every path, another unit's activity does not exist."""
    ours, theirs = drafted(house, "branch"), drafted(house)
    query = """query ($id: ID!) { activity(id: $id) { orgUnit } node(id: $id) { id } nodes(ids: [$id]) { id }
        activities(first: 100) { nodes { id orgUnit } totalCount } timeline(first: 100) { nodes { id } }
        old: activity(id: $id, asOf: {version: 1}) { id } diff(id: $id, since: 0, until: 1) { field } }"""
    found = house.data("branch", query, id=theirs["id"])
    assert (found["activity"], found["node"], found["nodes"], found["old"], found["diff"]) == (
        None, None, [None], None, None,
    )  # fmt: skip
    assert {node["orgUnit"] for node in found["activities"]["nodes"]} == {"SH"}
    assert found["activities"]["totalCount"] == len(found["activities"]["nodes"])
    assert house.data("branch", query, id=ours["id"])["activity"] == {"orgUnit": "SH"}
    assert house.data("operator", query, id=ours["id"])["activity"] == {"orgUnit": "SH"}
    for mutation in ("submitActivity", "deleteActivity", "launchActivity"):
        assert house.refused("branch", mutation, id=theirs["id"]) == [("NOT_FOUND", "input.id")]


def test_who_may_not_see_budgets_sees_them_on_no_path(house: House) -> None:
    """SEC-03: field, history, timeline, difference and event alike."""
    activity = drafted(house)
    found = whole(house, "integrator", activity["id"])
    assert (found["budget"], found["costTotal"], found["costLines"]) == (None, None, None)
    query = """query ($id: ID!) { diff(id: $id, since: 0, until: 1) { field }
        activity(id: $id) { history { nodes { changes { field } } } timeline { nodes { changes { field } } } }
        events(select: {subject: $id}) { events { data } } }"""
    seen = house.data("integrator", query, id=activity["id"])
    assert not {each["field"] for each in seen["diff"]} & {"budgetMinor", "costTotalMinor", "costLines"}
    nodes = seen["activity"]["history"]["nodes"] + seen["activity"]["timeline"]["nodes"]
    assert [node["changes"] for node in nodes] == [None, None]
    [event] = seen["events"]["events"]
    assert (event["data"]["plan"]["budget"], event["data"]["plan"]["costLines"]) == (None, None)
    open_to = house.data("auditor", query, id=activity["id"])
    assert open_to["events"]["events"][0]["data"]["plan"]["budget"] == {
        "amount": "90000.00",
        "currency": "CNY",
    }


def test_what_is_gone_still_has_its_history_under_its_id(house: House) -> None:
    """PAR-04, PAR-25"""
    kind = cost_type(house)
    house.done("operator", "disableCostType", "costType { id }", id=kind["id"])
    assert house.do("operator", "removeCostType", id=kind["id"])["userErrors"] == []
    query = """query ($f: HistoryEntryFilter) { timeline(filter: $f) {
        nodes { eventType subjectId changes { field before after } } } }"""
    nodes = house.data("auditor", query, f={"subjectId": {"eq": kind["id"]}})["timeline"]["nodes"]
    assert [node["eventType"] for node in nodes] == ["entry.added", "entry.disabled", "entry.removed"]
    assert nodes[1]["changes"] == [{"field": "status", "before": "ENABLED", "after": "DISABLED"}]


def test_a_submission_is_told_with_the_status_it_brings(house: House) -> None:
    activity = submitted(house)
    query = "query ($id: ID!) { diff(id: $id, since: 1, until: 2) { field before after } }"
    found = {
        c["field"]: (c["before"], c["after"]) for c in house.data("auditor", query, id=activity["id"])["diff"]
    }
    assert found["status"] == ("DRAFT", "PENDING_RESEARCH")
    assert found["approvalId"] == (None, activity["approvalId"])


def test_a_branch_is_not_told_which_of_head_offices_activities_uses_something(house: House) -> None:
    kind, type_ = cost_type(house), activity_type(house)
    foreign = house.done(
        "operator", "draftActivity", "activity { code }", code=code(), **plan(type_["id"], kind["id"])
    )
    own = house.done("branch", "draftActivity", "activity { code }", code=code(), **plan(type_["id"]))
    document = (
        """mutation ($input: EntryInput!) { removeActivityType(input: $input) { userErrors { message } } }"""
    )
    answer = house.answer("branch", document, input={"id": type_["id"]})
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert foreign["code"] not in str(answer)
    told = house.do("operator", "removeActivityType", id=type_["id"])["userErrors"][0]["message"]
    assert foreign["code"] in told
    assert own["code"] in told


def test_a_page_goes_on_where_the_last_one_ended(house: House) -> None:
    made = [drafted(house)["id"] for _ in range(7)]
    query = """query ($after: Cursor, $f: ActivityFilter) {
        activities(first: 3, after: $after, filter: $f, orderBy: [CREATED_AT_DESC]) {
        nodes { id } pageInfo { hasNextPage endCursor } } }"""
    seen, after = [], None
    while True:
        page = house.data("auditor", query, after=after, f={"id": {"in": made}})["activities"]
        seen += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == made[::-1]


def test_the_same_key_and_input_get_the_first_answer_and_another_input_is_refused(house: House) -> None:
    given = plan(activity_type(house)["id"], code=code())
    first = house.do("operator", "draftActivity", "activity { id }", key="k1", **given)
    again = house.do("operator", "draftActivity", "activity { id }", key="k1", **given)
    assert first == again
    other = house.do("operator", "draftActivity", key="k1", **{**given, "name": "Other"})
    assert [fault["code"] for fault in other["userErrors"]] == ["KEY_REUSED"]
    refused = house.do("operator", "draftActivity", key="k2", **{**given, "name": ""})
    assert refused["userErrors"]
    mended = house.do("operator", "draftActivity", key="k2", **{**given, "code": code()})
    assert mended["userErrors"] == []


def test_history_and_timeline_end_at_the_instant_that_is_asked_for(house: House) -> None:
    """ES-03: what came later is no part of the past, neither its own nor that of its approvals."""
    activity = submitted(house)
    house.done("researcher", "approve", APPROVAL, **verdict(activity["approval"], "RESEARCH"))
    document = """query ($id: ID!, $asOf: AsOf) { activity(id: $id, asOf: $asOf) {
        history { nodes { eventType version position } totalCount } timeline { nodes { position eventType } }
        approvals { nodes { history { totalCount } } } } }"""
    now = house.data("auditor", document, id=activity["id"])["activity"]
    assert [entry["version"] for entry in now["history"]["nodes"]] == [1, 2]
    assert len(now["timeline"]["nodes"]) == 4
    drafted_at, submitted_at, opened_at, passed_at = (e["position"] for e in now["timeline"]["nodes"])

    def shown(as_of: Any) -> tuple[int, int, list[int]]:
        then = house.data("auditor", document, id=activity["id"], asOf=as_of)["activity"]
        assert then["history"]["totalCount"] == len(then["history"]["nodes"])
        approvals = [approval["history"]["totalCount"] for approval in then["approvals"]["nodes"]]
        return then["history"]["totalCount"], len(then["timeline"]["nodes"]), approvals

    assert shown({"version": 1}) == (1, 1, [])
    assert shown({"position": drafted_at}) == (1, 1, [])
    assert shown({"position": max(submitted_at, opened_at)}) == (2, 3, [1])
    assert shown({"position": passed_at}) == (2, 4, [2])
