"""Work orders through the API: asked for, approved, found again, looked at as they were."""

from typing import Any

import pytest

from tests.api.campaigns import (
    approved,
    verdict,
)
from tests.api.campaigns import (
    drafted as drafted_activity,
)
from tests.api.house import House
from tests.api.orders import ORDER, content, decided, drafted, group, submitted, whole

WHOLE = """id version revision number kind orgUnit status awaiting nextStep closedAt name
    activity { id name } activityRevision customerGroup { id name } customerGroupRevision segmentationRules
    executionAt requester department { id name } departmentRevision outputFields priority
    dataTimeframe { dataFrom dataTo } remark createdBy elapsedS elapsedInStatusS executions
    approvals { nodes { status } } definitions { totalCount } runs { totalCount }
    cancellations { totalCount }"""


def test_a_draft_shows_all_that_was_ordered(house: House) -> None:
    """WO-01, WO-04"""
    given = content(house, requester="Retail desk")
    made = house.done("operator", "draftWorkOrder", ORDER, kind="EVALUATION", **given)
    shown = whole(house, "auditor", made["id"], WHOLE)
    assert shown.pop("number").startswith("WO-20")
    assert 0 <= int(shown.pop("elapsedS")) < 60
    assert 0 <= int(shown.pop("elapsedInStatusS")) < 60
    assert shown == {
        "id": made["id"],
        "version": 1,
        "revision": 1,
        "kind": "EVALUATION",
        "orgUnit": "HO",
        "status": "DRAFT",
        "awaiting": "REQUESTER",
        "nextStep": "SUBMIT",
        "closedAt": None,
        "name": "Diners of March",
        "activity": {"id": given["activityId"], "name": "Spring dining"},
        "activityRevision": 1,
        "customerGroup": {"id": given["customerGroupId"], "name": "Adults"},
        "customerGroupRevision": 1,
        "segmentationRules": "Spent over 500 on dining last month",
        "executionAt": "2027-03-02T02:00:00.000000Z",
        "requester": "Retail desk",
        "department": {"id": given["departmentId"], "name": shown["department"]["name"]},
        "departmentRevision": 1,
        "outputFields": ["CUSTOMER", "POINTS"],
        "priority": "HIGH",
        "dataTimeframe": {"dataFrom": "2027-02-01", "dataTo": "2027-03-01"},
        "remark": "before noon",
        "createdBy": "operator",
        "executions": 0,
        "approvals": {"nodes": []},
        "definitions": {"totalCount": 0},
        "runs": {"totalCount": 0},
        "cancellations": {"totalCount": 0},
    }


def test_each_missing_detail_is_one_fault_and_nothing_is_recorded(house: House) -> None:
    """WO-01: missing segment, rules or execution time are faults of their fields."""
    before = len(house.appended)
    assert house.refused("operator", "draftWorkOrder") == [
        ("REQUIRED", f"input.{name}")
        for name in (
            "activityId",
            "customerGroupId",
            "departmentId",
            "executionAt",
            "name",
            "segmentationRules",
        )
    ]
    assert len(house.appended) == before


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"activityId": "act_" + "0" * 32}, ("NOT_FOUND", "input.activityId")),
        ({"customerGroupId": "xx"}, ("NOT_FOUND", "input.customerGroupId")),
        ({"remark": "card 4111 1111 1111 1111"}, ("CARD_NUMBER_IN_TEXT", "input.remark")),
        ({"outputFields": ["A", "A"]}, ("DUPLICATE", "input.outputFields")),
        (
            {"dataTimeframe": {"dataFrom": "2027-02-01", "dataTo": "2027-02-01"}},
            ("END_NOT_AFTER_START", "input.dataTimeframe.dataTo"),
        ),
    ],
)  # fmt: skip
def test_each_fault_names_its_place(house: House, given: dict[str, Any], fault: tuple[str, str]) -> None:
    """WO-01"""
    assert house.refused("operator", "draftWorkOrder", **content(house, **given)) == [fault]


def test_it_is_not_submitted_for_an_activity_that_is_not_approved(house: House) -> None:
    """WO-01"""
    made = drafted(house, activityId=drafted_activity(house)["id"])
    assert house.refused("operator", "submitWorkOrder", id=made["id"]) == [
        ("ACTIVITY_NOT_READY", "input.activityId")
    ]


def test_everybody_sees_who_is_to_act_and_what_comes_next(house: House) -> None:
    """WO-09: state, holder, next step at every time, and each transition with its actor and time."""
    made = drafted(house)
    id_, seen = made["id"], []

    def look() -> Any:
        shown = whole(
            house, "auditor", id_, "status awaiting nextStep approval { id subjectRevision contentHash }"
        )
        seen.append((shown["status"], shown["awaiting"], shown["nextStep"]))
        return shown["approval"]

    look()
    house.done("operator", "submitWorkOrder", ORDER, id=id_)
    approval = look()
    house.done("researcher", "approve", "approval { id }", **verdict(approval, "RESEARCH"))
    look()
    house.done("technologist", "approve", "approval { id }", **verdict(approval, "TECHNOLOGY"))
    look()
    assert seen == [
        ("DRAFT", "REQUESTER", "SUBMIT"),
        ("PENDING_RESEARCH", "RESEARCH", "DECIDE"),
        ("PENDING_TECHNOLOGY", "TECHNOLOGY", "DECIDE"),
        ("APPROVED", "TECHNOLOGY", "SCHEDULE"),
    ]
    timeline = "timeline { nodes { eventType actor recordedAt changes { field before after } } }"
    steps = whole(house, "auditor", id_, timeline)["timeline"]["nodes"]
    assert [(step["eventType"], step["actor"]) for step in steps] == [
        ("work_order.drafted", "operator"),
        ("work_order.submitted", "operator"),
        ("approval.opened", "operator"),
        ("approval.passed", "researcher"),
        ("approval.passed", "technologist"),
        ("approval.granted", "technologist"),
        ("work_order.approved", "technologist"),
    ]
    assert all(step["recordedAt"] for step in steps)
    changes = {change["field"]: change["after"] for change in steps[0]["changes"]}
    assert changes["priority"] == "HIGH"
    assert changes["nextStep"] == "SUBMIT"
    assert changes["activityId"].startswith("act_")


def test_it_is_one_item_of_the_inbox_of_each_level(house: House) -> None:
    """WO-04, APR-07: and is read from its approval."""
    made = submitted(house)
    document = """query ($id: ID!) { approvalInbox(box: TODO, filter: { id: { eq: $id } }) {
        nodes { subjectKind subjectLabel workOrder { number name } activity { id } subject { id } } } }"""
    (item,) = house.data("researcher", document, id=made["approval"]["id"])["approvalInbox"]["nodes"]
    assert item == {
        "subjectKind": "work_order",
        "subjectLabel": made["number"],
        "workOrder": {"number": made["number"], "name": "Diners of March"},
        "activity": None,
        "subject": {"id": made["id"]},
    }


def test_edits_are_versions_that_can_be_compared_and_read_as_they_were(house: House) -> None:
    """WO-05, WO-07: three edits, versions 1 to 4; the first is still what it was."""
    given = content(house)
    made = house.done("operator", "draftWorkOrder", ORDER, **given)
    first = whole(house, "auditor", made["id"], WHOLE.replace("elapsedS elapsedInStatusS", ""))
    for change in (
        {"name": "Diners"},
        {"name": "Diners", "remark": "soon"},
        {"name": "Diners", "priority": "LOW"},
    ):
        house.done("operator", "reviseWorkOrder", ORDER, id=made["id"], **{**given, **change})
    difference = "query ($id: ID!) { diff(id: $id, since: 2, until: 3) { field before after } }"
    assert house.data("auditor", difference, id=made["id"])["diff"] == [
        {"field": "revision", "before": 2, "after": 3},
        {"field": "statusSince", **since(house, made["id"], 2, 3)},
        {"field": "remark", "before": "before noon", "after": "soon"},
    ]
    shown = whole(house, "auditor", made["id"], WHOLE.replace("elapsedS elapsedInStatusS", ""), version=1)
    assert shown == first
    assert whole(house, "auditor", made["id"], "revision priority") == {"revision": 4, "priority": "LOW"}


def since(house: House, id_: str, *versions: int) -> dict[str, Any]:
    then = [whole(house, "auditor", id_, "statusSince", version=number)["statusSince"] for number in versions]
    return dict(zip(("before", "after"), then, strict=True))


def test_after_a_rejection_it_is_edited_and_pending_again(house: House) -> None:
    """WO-05"""
    given = content(house)
    made = house.done("operator", "draftWorkOrder", ORDER, **given)
    made = house.done("operator", "submitWorkOrder", ORDER, id=made["id"])
    house.done(
        "researcher", "reject", "approval { id }", **verdict(made["approval"], "RESEARCH", reason="too broad")
    )
    assert whole(house, "operator", made["id"], "status awaiting nextStep reason") == {
        "status": "RESEARCH_REJECTED",
        "awaiting": "REQUESTER",
        "nextStep": "REVISE",
        "reason": "too broad",
    }
    house.done("operator", "reviseWorkOrder", ORDER, id=made["id"], **{**given, "name": "Narrower"})
    again = house.done("operator", "submitWorkOrder", ORDER, id=made["id"])
    assert (again["status"], again["revision"]) == ("PENDING_RESEARCH", 2)
    decided(house, again["approval"])
    assert whole(house, "operator", made["id"], "status")["status"] == "APPROVED"


LIST = """query ($filter: WorkOrderFilter, $first: Int, $after: Cursor) {
    workOrders(filter: $filter, first: $first, after: $after) {
        totalCount pageInfo { endCursor hasNextPage } nodes { id number name kind } } }"""


def found(house: House, user: str = "auditor", **variables: Any) -> Any:
    return house.data(user, LIST, **variables)["workOrders"]


def test_one_list_holds_both_kinds_and_each_is_found_by_what_is_known_of_it(house: House) -> None:
    """WO-03, WO-10, WO-11: part of a name, kind, number, state, creator, range of dates."""
    shared = content(house)
    made = [
        house.done(user, "draftWorkOrder", ORDER, **{**shared, "name": f"{name} 茶 100%"}, kind=kind)
        for name, kind, user in (
            ("Needle one", "ACTIVITY", "operator"),
            ("needle two", "EVALUATION", "operator-2"),
            ("Hay", "ACTIVITY", "operator"),
        )
    ]

    def named(**filter: Any) -> list[str]:
        return [node["name"][:10].strip() for node in found(house, filter=filter)["nodes"]]

    needle = {"name": {"contains": "NEEDLE"}}
    assert named(**needle) == ["Needle one", "needle two"]
    assert [node["kind"] for node in found(house, filter=needle)["nodes"]] == ["ACTIVITY", "EVALUATION"]
    assert named(**needle, kind={"eq": "EVALUATION"}) == ["needle two"]
    assert named(**needle, createdBy={"eq": "operator-2"}) == ["needle two"]
    assert named(number={"eq": made[2]["number"]}) == ["Hay 茶 100%"]
    assert named(**needle, status={"in": ["APPROVED"]}) == []
    assert named(name={"contains": "two 茶 100%"}) == ["needle two"]
    assert named(name={"contains": "needle_one"}) == []
    created = whole(house, "auditor", made[1]["id"], "createdAt")["createdAt"]
    assert named(**needle, createdAt={"gte": created}) == ["needle two"]
    assert named(**needle, createdAt={"lt": created}) == ["Needle one"]


def test_paging_goes_on_where_it_was_whatever_is_added(house: House) -> None:
    """WO-03"""
    shared = content(house)
    for number in range(4):
        house.done("operator", "draftWorkOrder", ORDER, **{**shared, "name": f"Page {number}"})
    filter = {"name": {"contains": "Page "}}
    first = found(house, filter=filter, first=2)
    house.done("operator", "draftWorkOrder", ORDER, **{**shared, "name": "Page 4"})
    second = found(house, filter=filter, first=10, after=first["pageInfo"]["endCursor"])
    names = [node["name"] for page in (first, second) for node in page["nodes"]]
    assert names == [f"Page {number}" for number in range(5)]


def test_a_branch_sees_its_own_work_orders_alone(house: House) -> None:
    """WO-09: whoever may not see it learns nothing of it."""
    made = drafted(house)
    assert whole(house, "branch", made["id"], "id") is None
    assert found(house, "branch", filter={"number": {"eq": made["number"]}})["totalCount"] == 0
    assert house.refused("branch", "submitWorkOrder", id=made["id"]) == [("NOT_FOUND", "input.id")]


def test_it_is_scheduled_with_a_definition_of_its_own_only(house: House) -> None:
    """WO-04"""
    made = submitted(house)
    decided(house, made["approval"])
    nothing = "sd_" + "0" * 32
    assert house.refused("technologist", "scheduleWorkOrder", id=made["id"], definitionId=nothing) == [
        ("NOT_FOUND", "input.definitionId")
    ]


def test_an_activity_tells_of_its_work_orders(house: House) -> None:
    """ACT-06: from the activity one reaches them in the order of time."""
    activity = approved(house)
    made = drafted(house, activityId=activity["id"])
    document = "query ($id: ID!) { activity(id: $id) { timeline { nodes { eventType subjectId } } } }"
    told = house.data("auditor", document, id=activity["id"])["activity"]["timeline"]["nodes"]
    assert told[-1] == {"eventType": "work_order.drafted", "subjectId": made["id"]}


def test_a_group_that_the_activity_is_not_linked_to_is_refused(house: House) -> None:
    """WO-01"""
    linked, other = group(house), group(house)
    link = {
        "customerGroupId": linked["id"],
        "role": "TARGET",
        "frequency": {"kind": "ONCE"},
        "timeframe": {"kind": "ROLLING", "days": 30},
    }
    activity = drafted_activity(house, groups=[link])
    refused = content(house, activityId=activity["id"], customerGroupId=other["id"])
    assert house.refused("operator", "draftWorkOrder", **refused) == [
        ("GROUP_NOT_LINKED", "input.customerGroupId")
    ]
    made = drafted(house, activityId=activity["id"], customerGroupId=linked["id"])
    assert made["status"] == "DRAFT"


def test_who_saw_an_older_revision_is_told_so(house: House) -> None:
    """WO-01"""
    given = content(house, departmentRevision=7)
    assert house.refused("operator", "draftWorkOrder", **given) == [
        ("REFERENCE_CHANGED", "input.departmentId")
    ]
