"""Departments through the API: the tree, who owns which activities, and what stays when they change."""

from typing import Any

from tests.api.campaigns import activity_type, code, department, plan
from tests.api.house import House

TREE = """query ($id: ID!) { department(id: $id) { path effectiveStatus activityCount contact role
    subtree { nodes { id } } activities { nodes { code responsible } } } }"""


def tree(house: House, id_: str) -> Any:
    return house.data("auditor", TREE, id=id_)["department"]


def owned(house: House, department_id: str, user: str = "operator", **given: Any) -> Any:
    made = plan(activity_type(house)["id"], departmentId=department_id, **given)
    return house.done(user, "draftActivity", "activity { id version code responsible }", code=code(), **made)


def test_a_department_is_added_anywhere_in_the_tree_and_shows_its_path(house: House) -> None:
    """PAR-09, PAR-10"""
    centre = department(house)
    marketing = department(house, centre["id"], contact="Li, ext. 12", role="RESEARCH")
    retention = department(house, marketing["id"], name="Retention")
    found = tree(house, retention["id"])
    assert found["path"] == f"{centre['name']}/{marketing['name']}/Retention"
    assert {each["id"] for each in tree(house, centre["id"])["subtree"]["nodes"]} == {
        centre["id"], marketing["id"], retention["id"],
    }  # fmt: skip
    assert (tree(house, marketing["id"])["contact"], tree(house, marketing["id"])["role"]) == (
        "Li, ext. 12",
        "RESEARCH",
    )
    query = "query ($f: DepartmentFilter) { departments(filter: $f) { nodes { code path } totalCount } }"
    chosen = {"code": {"eq": retention["code"]}, "effectiveStatus": {"eq": "ENABLED"}}
    assert house.data("auditor", query, f=chosen)["departments"]["totalCount"] == 1
    again = {"code": centre["code"], "name": "x"}
    assert house.refused("operator", "addDepartment", **again) == [("CODE_TAKEN", "input.code")]


def test_a_renamed_department_keeps_its_activities(house: House) -> None:
    """PAR-11"""
    marketing = department(house)
    activity = owned(house, marketing["id"])
    house.done(
        "operator",
        "reviseDepartment",
        "department { id }",
        id=marketing["id"],
        name="Loyalty",
        role="TECHNOLOGY",
    )
    query = (
        "query ($id: ID!) { activity(id: $id) { departmentId departmentRevision department { name role } } }"
    )
    assert house.data("auditor", query, id=activity["id"])["activity"] == {
        "departmentId": marketing["id"],
        "departmentRevision": 1,
        "department": {"name": "Loyalty", "role": "TECHNOLOGY"},
    }


def test_a_department_that_owns_activities_is_not_removed_and_an_empty_one_is(house: House) -> None:
    """PAR-12"""
    marketing, empty = department(house), department(house)
    activity = owned(house, marketing["id"])
    refused = house.do("operator", "removeDepartment", id=marketing["id"])["userErrors"][0]
    assert refused["code"] == "IN_USE"
    assert activity["code"] in refused["message"]
    assert house.do("operator", "removeDepartment", id=empty["id"])["userErrors"] == []
    assert tree(house, empty["id"]) is None
    query = "query ($f: HistoryEntryFilter) { timeline(filter: $f) { nodes { eventType } } }"
    nodes = house.data("auditor", query, f={"subjectId": {"eq": empty["id"]}})["timeline"]["nodes"]
    assert [node["eventType"] for node in nodes] == ["entry.added", "entry.removed"]


def test_a_disabled_department_disables_its_children_for_new_activities_only(house: House) -> None:
    """PAR-13"""
    marketing = department(house)
    retention = department(house, marketing["id"])
    activity = owned(house, retention["id"])
    house.done("operator", "disableDepartment", "department { id }", id=marketing["id"])
    assert tree(house, retention["id"])["effectiveStatus"] == "DISABLED"
    made = plan(activity_type(house)["id"], departmentId=retention["id"])
    assert house.refused("operator", "draftActivity", code=code(), **made) == [
        ("REFERENCE_DISABLED", "input.departmentId")
    ]
    query = "query ($id: ID!) { activity(id: $id) { departmentId } }"
    assert house.data("auditor", query, id=activity["id"])["activity"]["departmentId"] == retention["id"]


def test_a_departments_subtree_lists_exactly_its_activities_with_who_is_responsible(house: House) -> None:
    """PAR-14"""
    centre = department(house)
    marketing, risk = department(house, centre["id"]), department(house, centre["id"])
    retention = department(house, marketing["id"])
    ours = [owned(house, marketing["id"]), owned(house, retention["id"], responsible="wu")]
    owned(house, risk["id"], coDepartmentIds=[marketing["id"]])
    theirs = owned(house, retention["id"], user="branch")
    query = "query ($f: ActivityFilter) { activities(filter: $f) { nodes { code responsible } } }"
    chosen = {"departmentId": {"within": marketing["id"]}}
    nodes = house.data("operator", query, f=chosen)["activities"]["nodes"]
    assert {(node["code"], node["responsible"]) for node in nodes} == {
        (ours[0]["code"], "operator"),
        (ours[1]["code"], "wu"),
        (theirs["code"], "branch"),
    }
    assert tree(house, marketing["id"])["activityCount"] == 3
    assert tree(house, marketing["id"])["activities"]["nodes"] == [
        {"code": ours[0]["code"], "responsible": "operator"}
    ]
    in_branch = house.data("branch", query, f=chosen)["activities"]["nodes"]
    assert [node["code"] for node in in_branch] == [theirs["code"]]


def test_an_activity_without_department_or_reward_is_refused(house: House) -> None:
    """ACT-04, PAR-14"""
    made = plan(activity_type(house)["id"], departmentId=None, rewards=[])
    assert house.refused("operator", "draftActivity", code=code(), **made) == [
        ("REQUIRED", "input.departmentId"),
        ("REQUIRED", "input.rewards"),
    ]
    twice = plan(activity_type(house)["id"])
    twice["coDepartmentIds"] = [twice["departmentId"]]
    assert house.refused("operator", "draftActivity", code=code(), **twice) == [
        ("DUPLICATE", "input.coDepartmentIds.0")
    ]
