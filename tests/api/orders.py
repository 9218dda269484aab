"""What tests of work orders through the API make again and again."""

from typing import Any

from tests.api.campaigns import APPROVAL, approved, code, department, verdict
from tests.api.house import House

ORDER = """workOrder { id version revision number status awaiting nextStep approvalId cancellationId
    approval { id version subjectRevision contentHash status awaiting } }"""
REQUEST = """cancellationRequest { id version status awaiting reason requestedBy decidedBy decisionReason
    formerStatus workOrder { id status } approval { id subjectRevision contentHash status awaiting } }"""

GROUP = "customerGroup { id revision name }"
ADULTS = {"condition": {"dimension": "AGE", "comparison": "AT_LEAST", "values": ["18"]}}


def group(house: House) -> Any:
    given = {"code": code("CG"), "purpose": "TARGET", "name": "Adults", "rule": ADULTS}
    return house.done("operator", "defineCustomerGroup", GROUP, **given)


def content(house: House, **given: Any) -> dict[str, Any]:
    """A sound content for a new activity, approved, with a group and a department of its own."""
    made = {
        "name": "Diners of March",
        "segmentationRules": "Spent over 500 on dining last month",
        "executionAt": "2027-03-02T10:00:00+08:00",
        "outputFields": ["CUSTOMER", "POINTS"],
        "priority": "HIGH",
        "dataTimeframe": {"dataFrom": "2027-02-01", "dataTo": "2027-03-01"},
        "remark": "before noon",
        **given,
    }
    for name, make in (("activityId", approved), ("customerGroupId", group), ("departmentId", department)):
        if name not in made:
            made[name] = make(house)["id"]
    return made


def drafted(house: House, user: str = "operator", **given: Any) -> Any:
    return house.done(user, "draftWorkOrder", ORDER, **content(house, **given))


def submitted(house: House, **given: Any) -> Any:
    return house.done("operator", "submitWorkOrder", ORDER, id=drafted(house, **given)["id"])


def decided(house: House, approval: Any) -> None:
    """Both levels say yes."""
    house.done("researcher", "approve", APPROVAL, **verdict(approval, "RESEARCH"))
    house.done("technologist", "approve", APPROVAL, **verdict(approval, "TECHNOLOGY"))


def whole(house: House, user: str, id_: str, selection: str, **as_of: Any) -> Any:
    document = f"query ($id: ID!, $asOf: AsOf) {{ workOrder(id: $id, asOf: $asOf) {{ {selection} }} }}"
    return house.data(user, document, id=id_, asOf=as_of or None)["workOrder"]
