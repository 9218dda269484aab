"""Catalogues through the API: the tree, its status linkage, cost types in use."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.campaigns import activity_type, approved, code, cost_type, drafted, plan
from tests.api.house import House

TREE = """query ($id: ID!) { activityType(id: $id) { code name path status effectiveStatus depth activityCount
    parent { id } children { nodes { id code name } totalCount } subtree { nodes { id } } } }"""


def tree(house: House, id_: str):
    return house.data("auditor", TREE, id=id_)["activityType"]


def test_types_are_read_as_a_tree_in_sibling_order_and_flat_with_their_path(house: House) -> None:
    """PAR-01, PAR-02"""
    root = activity_type(house)
    second = activity_type(house, root["id"], sortOrder=2)
    first = activity_type(house, root["id"], sortOrder=1)
    leaf = activity_type(house, first["id"], name="Leaf 叶")
    found = tree(house, root["id"])
    assert [child["id"] for child in found["children"]["nodes"]] == [first["id"], second["id"]]
    assert {node["id"] for node in found["subtree"]["nodes"]} == {
        root["id"], second["id"], first["id"], leaf["id"],
    }  # fmt: skip
    query = (
        "query ($f: ActivityTypeFilter) { activityTypes(filter: $f) { nodes { path parentId } totalCount } }"
    )
    flat = house.data("auditor", query, f={"name": {"contains": "leaf 叶"}})["activityTypes"]
    assert flat["nodes"] == [{"path": f"{root['name']}/{first['name']}/Leaf 叶", "parentId": first["id"]}]


def test_a_siblings_name_and_a_code_are_taken_once(house: House) -> None:
    """PAR-02"""
    root = activity_type(house)
    activity_type(house, root["id"], name="Instalment")
    again = {"code": root["code"], "name": " INSTALMENT ", "parentId": root["id"]}
    assert house.refused("operator", "addActivityType", **again) == [
        ("CODE_TAKEN", "input.code"), ("NAME_TAKEN", "input.name"),
    ]  # fmt: skip
    activity_type(house, name="Instalment")


def test_a_type_never_comes_to_stand_below_itself(house: House) -> None:
    """PAR-03"""
    a = activity_type(house)
    b = activity_type(house, a["id"])
    c = activity_type(house, b["id"])
    assert house.refused("operator", "reviseActivityType", id=a["id"], parentId=c["id"]) == [
        ("CYCLE", "input.parentId")
    ]
    assert house.refused("operator", "reviseActivityType", id=a["id"], parentId=a["id"]) == [
        ("CYCLE", "input.parentId")
    ]
    moved = house.done("operator", "reviseActivityType", "activityType { path }", id=c["id"], parentId=None)
    assert moved["path"] == c["name"]


def test_renaming_shows_at_once_and_history_keeps_the_old_name(house: House) -> None:
    """PAR-03, PAR-25"""
    entry = activity_type(house)
    house.done("admin", "reviseActivityType", "activityType { id }", id=entry["id"], name="Renamed")
    query = """query ($id: ID!) { activityType(id: $id) { name revision
        history { nodes { eventType actor recordedAt version changes { field before after } } } } }"""
    found = house.data("auditor", query, id=entry["id"])["activityType"]
    added, renamed = found["history"]["nodes"]
    assert (found["name"], found["revision"]) == ("Renamed", 2)
    assert (added["eventType"], added["actor"], renamed["actor"]) == ("entry.added", "operator", "admin")
    change = {"field": "name", "before": entry["name"], "after": "Renamed"}
    assert change in renamed["changes"]


def test_what_has_children_or_activities_is_not_removed(house: House) -> None:
    """PAR-04"""
    parent = activity_type(house)
    child = activity_type(house, parent["id"])
    assert house.refused("operator", "removeActivityType", id=parent["id"]) == [("HAS_CHILDREN", "input")]
    made = house.done("operator", "draftActivity", "activity { id code }", code=code(), **plan(child["id"]))
    payload = house.do("operator", "removeActivityType", id=child["id"])
    assert payload["userErrors"][0]["code"] == "IN_USE"
    assert made["code"] in payload["userErrors"][0]["message"]
    assert house.do("operator", "deleteActivity", id=made["id"])["userErrors"] == []
    assert house.do("operator", "removeActivityType", id=child["id"])["userErrors"] == []
    assert tree(house, child["id"]) is None
    query = "query ($f: HistoryEntryFilter) { timeline(filter: $f, last: 5) { nodes { eventType } } }"
    last = house.data("auditor", query, f={"eventType": {"eq": "entry.removed"}})["timeline"]["nodes"]
    assert last


def test_disabling_a_parent_disables_all_below_and_enabling_gives_each_its_own_status_back(
    house: House,
) -> None:
    """PAR-05, PAR-07"""
    a = activity_type(house)
    b = activity_type(house, a["id"])
    c = activity_type(house, b["id"])

    def effective() -> list[str]:
        return [tree(house, each["id"])["effectiveStatus"] for each in (a, b, c)]

    house.done("operator", "disableActivityType", "activityType { id }", id=c["id"])
    house.done("operator", "disableActivityType", "activityType { id }", id=a["id"])
    assert effective() == ["DISABLED"] * 3
    assert tree(house, b["id"])["status"] == "ENABLED"
    assert house.refused("operator", "enableActivityType", id=c["id"]) == [("ANCESTOR_DISABLED", "input")]
    before = house.done("operator", "enableActivityType", "activityType { version }", id=a["id"])
    again = house.done("operator", "enableActivityType", "activityType { version }", id=a["id"])
    assert before == again
    assert effective() == ["ENABLED", "ENABLED", "DISABLED"]


def test_activities_are_found_and_counted_by_subtree(house: House) -> None:
    """PAR-06"""
    a = activity_type(house)
    b = activity_type(house, a["id"])
    c = activity_type(house, b["id"])
    ids = [
        house.done("operator", "draftActivity", "activity { id }", code=code(), **plan(t["id"]))["id"]
        for t in (c, c, b)
    ]
    query = "query ($f: ActivityFilter) { activities(filter: $f) { nodes { id } } }"
    below = house.data("auditor", query, f={"activityTypeId": {"within": a["id"]}})["activities"]["nodes"]
    assert {node["id"] for node in below} == set(ids)
    exact = house.data("auditor", query, f={"activityTypeId": {"eq": b["id"]}})["activities"]["nodes"]
    assert [node["id"] for node in exact] == ids[2:]
    assert [tree(house, each["id"])["activityCount"] for each in (a, b, c)] == [3, 3, 2]


def test_a_disabled_type_takes_no_new_activity_and_flags_the_ones_it_has(house: House) -> None:
    """PAR-08"""
    parent = activity_type(house)
    child = activity_type(house, parent["id"])
    running = approved(house, activityTypeId=child["id"])
    house.done("operator", "disableActivityType", "activityType { id }", id=parent["id"])
    refused = house.refused("operator", "draftActivity", code=code(), **plan(child["id"]))
    assert refused == [("REFERENCE_DISABLED", "input.activityTypeId")]
    assert house.refused("operator", "launchActivity", id=running["id"]) == [
        ("REFERENCE_DISABLED", "input.activityTypeId")
    ]
    query = "query ($id: ID!) { activity(id: $id) { isTypeDisabled } }"
    assert house.data("operator", query, id=running["id"])["activity"]["isTypeDisabled"] is True


def test_a_cost_type_in_use_is_frozen_but_for_its_status(house: House) -> None:
    """PAR-15, PAR-16, PAR-17"""
    kind = cost_type(house)
    house.done("operator", "reviseCostType", "costType { name }", id=kind["id"], name=code("New"))
    activity = house.done(
        "operator",
        "draftActivity",
        "activity { id version }",
        code=code(),
        **plan(activity_type(house)["id"], kind["id"]),
    )
    payload = house.do("operator", "reviseCostType", id=kind["id"], name="x")
    assert [fault["code"] for fault in payload["userErrors"]] == ["IN_USE"]
    assert house.refused("operator", "removeCostType", id=kind["id"]) == [("IN_USE", "input")]
    house.done("operator", "disableCostType", "costType { status }", id=kind["id"])
    house.done("operator", "enableCostType", "costType { status }", id=kind["id"])
    without = plan(activity_type(house)["id"])
    house.done("operator", "reviseActivity", "activity { id }", id=activity["id"], **without)
    house.done("operator", "reviseCostType", "costType { name }", id=kind["id"], name=code("Free"))


@pytest.mark.parametrize("_round", range(3))
def test_of_attaching_and_renaming_a_cost_type_at_once_exactly_one_wins(house: House, _round: int) -> None:
    """PAR-17, 64 pairs over HTTP: both say which revision of the cost type they have seen."""
    type_id = activity_type(house)["id"]
    kinds = [cost_type(house) for _ in range(64)]

    def attach(kind) -> bool:
        given = plan(type_id, kind["id"])
        given["costLines"][0]["costTypeRevision"] = kind["revision"]
        return not house.do("operator", "draftActivity", code=code(), **given)["userErrors"]

    def rename(kind) -> bool:
        return not house.do("operator", "reviseCostType", id=kind["id"], name=code("R"))["userErrors"]

    with ThreadPoolExecutor(16) as threads:
        pairs = [(threads.submit(attach, kind), threads.submit(rename, kind)) for kind in kinds]
        assert [a.result() + b.result() for a, b in pairs] == [1] * 64


def test_a_stale_version_is_refused_and_a_missing_thing_is_not_found(house: House) -> None:
    entry = cost_type(house)
    assert house.refused("operator", "disableCostType", id=entry["id"], expectedVersion=9) == [
        ("VERSION_CONFLICT", "input.expectedVersion")
    ]
    for id_ in ("ct_" + "0" * 32, "nonsense", "", drafted(house)["id"]):
        assert house.refused("operator", "disableCostType", id=id_) == [("NOT_FOUND", "input.id")]


def test_every_fault_of_an_entry_is_told_at_once_in_the_readers_language(house: House) -> None:
    document = """mutation ($input: AddCostTypeInput!) { addCostType(input: $input) {
        userErrors { code path message } } }"""
    given = {"code": "no!", "name": " ", "accountingSubject": "", "unit": "4111 1111 1111 1111"}
    for language, sentence in (("zh-CN,zh;q=0.9", "必填。"), ("en", "This is required.")):
        answer = house.answer("operator", document, {"accept-language": language}, input=given)
        faults = answer["data"]["addCostType"]["userErrors"]
        assert {(f["code"], f["path"][-1]) for f in faults} == {
            ("BAD_CODE", "code"), ("REQUIRED", "name"), ("REQUIRED", "accountingSubject"),
            ("CARD_NUMBER_IN_TEXT", "unit"),
        }  # fmt: skip
        assert sentence in {f["message"] for f in faults}
