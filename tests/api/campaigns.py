"""What tests of the API make again and again: parameters, plans, approvals."""

from typing import Any
from uuid import uuid4

from tests.api.house import House


def code(prefix: str = "C") -> str:
    return f"{prefix}-{uuid4().hex[:12].upper()}"


def cost_type(house: House, **given: Any) -> Any:
    made = {"code": code("CT"), "name": code("Fee"), "accountingSubject": "6601", "unit": "CNY", **given}
    return house.done("operator", "addCostType", "costType { id version revision code name }", **made)


def department(house: House, parent: str | None = None, **given: Any) -> Any:
    made = {"code": code("DP"), "name": code("Department"), "parentId": parent, **given}
    return house.done("operator", "addDepartment", "department { id version revision code name }", **made)


def reward_type(house: House, **given: Any) -> Any:
    """Points times N, 1 to 10."""
    frame = {"unit": "times", "minimum": "1", "maximum": "10", "route": "POINTS", "unitCost": "0.002"}
    made = {"code": code("RT"), "name": code("Points"), **frame, **given}
    if "costTypeId" not in made:
        made["costTypeId"] = cost_type(house)["id"]
    return house.done("operator", "addRewardType", "rewardType { id version revision code name }", **made)


_furnished: dict[str, str] = {}
"""Department and reward type of plans that name none, in the house that last got an activity type."""


def _furnish(house: House) -> None:
    if _furnished.get("house") != house.url:
        _furnished.update(
            house=house.url, department=department(house)["id"], reward_type=reward_type(house)["id"]
        )


def activity_type(house: House, parent: str | None = None, **given: Any) -> Any:
    _furnish(house)
    made = {"code": code("AT"), "name": code("Type"), "parentId": parent, **given}
    return house.done("operator", "addActivityType", "activityType { id version revision code name }", **made)


def plan(type_id: str | None, *cost_type_ids: str, **given: Any) -> dict[str, Any]:
    lines = [
        {"costTypeId": id_, "amount": {"amount": "100.50", "currency": "CNY"}, "remark": "line"}
        for id_ in cost_type_ids
    ]
    return {
        "name": "Spring dining",
        "description": "Points for dinners",
        "activityTypeId": type_id,
        "startsAt": "2027-03-01T00:00:00+08:00",
        "endsAt": "2027-04-01T00:00:00+08:00",
        "channels": ["APP", "WECHAT"],
        "budget": {"amount": "90000.00", "currency": "CNY"},
        "costLines": lines,
        "departmentId": _furnished.get("department"),
        "rewards": [{"rewardTypeId": _furnished.get("reward_type"), "value": "2"}],
        **given,
    }


ACTIVITY = """activity { id version revision status code approvalId
    approval { id version subjectRevision contentHash status awaiting } }"""


def drafted(house: House, user: str = "operator", **given: Any) -> Any:
    made = plan(activity_type(house)["id"], cost_type(house)["id"])
    return house.done(user, "draftActivity", ACTIVITY, code=code("ACT"), **{**made, **given})


def submitted(house: House, user: str = "operator", **given: Any) -> Any:
    return house.done(user, "submitActivity", ACTIVITY, id=drafted(house, user, **given)["id"])


def verdict(approval: Any, level: str, **given: Any) -> dict[str, Any]:
    return {
        "id": approval["id"],
        "level": level,
        "revision": approval["subjectRevision"],
        "contentHash": approval["contentHash"],
        **given,
    }


APPROVAL = "approval { id version status awaiting decidedBy subjectRevision contentHash reason }"


def approved(house: House, user: str = "operator", **given: Any) -> Any:
    """An activity that both levels approved."""
    activity = submitted(house, user, **given)
    house.done("researcher", "approve", APPROVAL, **verdict(activity["approval"], "RESEARCH"))
    house.done("technologist", "approve", APPROVAL, **verdict(activity["approval"], "TECHNOLOGY"))
    document = f"query ($id: ID!) {{ {ACTIVITY.replace('activity {', 'activity(id: $id) {', 1)} }}"
    return house.data(user, document, id=activity["id"])["activity"]
