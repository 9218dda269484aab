"""Requests for cancellation through the API: asked for, listed, decided, with all names and reasons."""

from typing import Any

from tests.api.campaigns import verdict
from tests.api.house import House
from tests.api.orders import REQUEST, drafted, submitted, whole


def requested(house: House, order: Any, user: str = "operator", reason: str = "no budget") -> Any:
    return house.done(user, "requestCancellation", REQUEST, workOrderId=order["id"], reason=reason)


def listed(house: House, user: str, **filter: Any) -> list[str]:
    document = """query ($filter: CancellationRequestFilter) {
        cancellationRequests(filter: $filter) { nodes { id } } }"""
    nodes = house.data(user, document, filter=filter)["cancellationRequests"]["nodes"]
    return [node["id"] for node in nodes]


def look(house: House, id_: str, selection: str) -> Any:
    document = f"query ($id: ID!) {{ cancellationRequest(id: $id) {{ {selection} }} }}"
    return house.data("auditor", document, id=id_)["cancellationRequest"]


def test_a_request_rests_the_work_order_and_is_listed(house: House) -> None:
    """WO-08, WO-12"""
    order = submitted(house)
    assert house.refused("operator", "requestCancellation", workOrderId=order["id"], reason=" ") == [
        ("REQUIRED", "input.reason")
    ]
    request = requested(house, order)
    assert request["workOrder"] == {"id": order["id"], "status": "CANCELLATION_PENDING"}
    assert (request["status"], request["awaiting"]) == ("PENDING", "TECHNOLOGY")
    shown = whole(house, "auditor", order["id"], "status formerStatus awaiting nextStep cancellation { id }")
    assert shown == {
        "status": "CANCELLATION_PENDING",
        "formerStatus": "PENDING_RESEARCH",
        "awaiting": "CANCELLATION_APPROVER",
        "nextStep": "DECIDE_CANCELLATION",
        "cancellation": {"id": request["id"]},
    }
    assert request["id"] in listed(house, "technologist", status={"eq": "PENDING"})
    assert request["id"] not in listed(house, "technologist", status={"in": ["APPROVED", "REJECTED"]})
    assert request["id"] not in listed(house, "branch")
    assert house.refused("operator", "requestCancellation", workOrderId=order["id"], reason="again") == [
        ("CANCELLATION_OPEN", "input")
    ]


def test_a_rejection_leads_back_to_the_very_stage(house: House) -> None:
    """WO-13, WO-15: the second level is still awaited; both persons, times and texts are on record."""
    order = submitted(house)
    house.done("researcher", "approve", "approval { id }", **verdict(order["approval"], "RESEARCH"))
    request = requested(house, order)
    given = verdict(request["approval"], "TECHNOLOGY")
    assert ("REQUIRED", "input.reason") in house.refused("technologist", "reject", **given, reason="")
    house.done("technologist", "reject", "approval { id }", **given, reason="it is needed")
    shown = whole(house, "auditor", order["id"], "status formerStatus awaiting")
    assert shown == {"status": "PENDING_TECHNOLOGY", "formerStatus": None, "awaiting": "TECHNOLOGY"}
    record = look(
        house,
        request["id"],
        "status reason requestedBy requestedAt decidedBy decidedAt decisionReason awaiting formerStatus",
    )
    assert record.pop("requestedAt") <= record.pop("decidedAt")
    assert record == {
        "status": "REJECTED",
        "reason": "no budget",
        "requestedBy": "operator",
        "decidedBy": "technologist",
        "decisionReason": "it is needed",
        "awaiting": None,
        "formerStatus": "IN_APPROVAL",
    }
    house.done("technologist", "approve", "approval { id }", **verdict(order["approval"], "TECHNOLOGY"))
    assert whole(house, "auditor", order["id"], "status")["status"] == "APPROVED"


def test_an_approval_cancels_and_every_step_is_told(house: House) -> None:
    """WO-13, WO-14"""
    order = submitted(house)
    request = requested(house, order)
    given = verdict(request["approval"], "TECHNOLOGY")
    house.done("technologist", "approve", "approval { id }", **given, comment="agreed")
    shown = whole(house, "auditor", order["id"], "status awaiting nextStep closedAt approval { status }")
    assert shown.pop("closedAt")
    assert shown == {
        "status": "CANCELLED",
        "awaiting": None,
        "nextStep": None,
        "approval": {"status": "VOIDED"},
    }
    record = look(house, request["id"], "status decisionReason timeline { nodes { eventType actor } }")
    assert (record["status"], record["decisionReason"]) == ("APPROVED", "agreed")
    steps = [(step["eventType"], step["actor"]) for step in record["timeline"]["nodes"]]
    assert ("cancellation.requested", "operator") in steps
    assert ("work_order.cancellation_requested", "operator") in steps
    assert ("cancellation.approved", "technologist") in steps
    assert ("work_order.cancelled", "technologist") in steps
    assert house.refused("operator", "reviseWorkOrder", id=order["id"]) == [
        ("WORK_ORDER_NOT_EDITABLE", "input")
    ]


def test_who_asked_may_take_it_back_and_nobody_else(house: House) -> None:
    """WO-14"""
    order = drafted(house)
    request = requested(house, order)
    assert house.refused("operator-2", "withdrawCancellation", id=request["id"]) == [
        ("NOT_YOUR_REQUEST", "input")
    ]
    house.done("operator", "withdrawCancellation", REQUEST, id=request["id"])
    assert look(house, request["id"], "status workOrder { status }") == {
        "status": "WITHDRAWN",
        "workOrder": {"status": "DRAFT"},
    }


def test_a_request_is_an_item_of_the_inbox_that_says_what_it_is_about(house: House) -> None:
    """WO-12, APR-07"""
    request = requested(house, drafted(house))
    document = """query ($id: ID!) { approvalInbox(box: TODO, filter: { id: { eq: $id } }) {
        nodes { subjectKind cancellationRequest { id reason } subject { id } } } }"""
    (item,) = house.data("technologist", document, id=request["approval"]["id"])["approvalInbox"]["nodes"]
    assert item == {
        "subjectKind": "cancellation",
        "cancellationRequest": {"id": request["id"], "reason": "no budget"},
        "subject": {"id": request["id"]},
    }


def test_an_approval_names_an_activity_only_where_it_is_of_one(house: House) -> None:
    order = submitted(house)
    document = """query ($id: ID!) { approval(id: $id) {
        subjectKind activityId activity { id } subject { id } workOrder { id } } }"""
    shown = house.data("auditor", document, id=order["approval"]["id"])["approval"]
    assert shown == {
        "subjectKind": "work_order",
        "activityId": None,
        "activity": None,
        "subject": {"id": order["id"]},
        "workOrder": {"id": order["id"]},
    }
    query = """query ($id: ID!) { workOrder(id: $id) { activityId } }"""
    activity = house.data("auditor", query, id=order["id"])["workOrder"]["activityId"]
    found = house.data(
        "auditor",
        """query ($id: ID!) { approvals(filter: { activityId: { eq: $id } }) { nodes {
            subjectKind activityId activity { id } } } }""",
        id=activity,
    )["approvals"]["nodes"]
    assert found == [{"subjectKind": "activity", "activityId": activity, "activity": {"id": activity}}]
