"""Erasures through the API: asked for by an administrator, allowed by a technologist, seen by few."""

from typing import Any

from tests.api.house import House

ERASURE = """erasure { id version status person kind requestedBy
    approval { id status awaiting subjectRevision contentHash subject { id } } }"""


def look(house: House, user: str, id_: str) -> Any:
    document = """query ($id: ID!) {
        erasure(id: $id) { status person history { nodes { changes { field after } } } } }"""
    return house.answer(user, document, id=id_)


def asked(house: House, person: str) -> Any:
    return house.done("admin", "requestErasure", ERASURE, kind="CUSTOMER", person=person, reason="he asked")


def test_two_people_erase_and_few_see_whom(house: House) -> None:
    """SEC-02, SEC-03: four eyes"""
    given = asked(house, "C00000042")
    assert (given["status"], given["person"]) == ("IN_APPROVAL", "C00000042")
    assert given["approval"]["awaiting"] == "TECHNOLOGY"
    assert given["approval"]["subject"] == {"id": given["id"]}
    assert look(house, "technologist", given["id"])["data"]["erasure"]["person"] == "C00000042"
    for user in ("operator", "researcher", "integrator", "branch"):
        assert "C00000042" not in str(look(house, user, given["id"]))
    seen = given["approval"]
    decided = {
        "id": seen["id"],
        "level": "TECHNOLOGY",
        "revision": seen["subjectRevision"],
        "contentHash": seen["contentHash"],
    }
    for user in ("admin", "operator", "researcher"):
        assert house.answer(user, APPROVE, input=decided).get("errors") or house.refused(
            user, "approve", **decided
        )
    house.done("technologist", "approve", "approval { status }", **decided)
    assert look(house, "auditor", given["id"])["data"]["erasure"]["status"] == "APPROVED"
    assert house.refused("admin", "withdrawErasure", id=given["id"]) == [("ERASURE_NOT_PENDING", "input.id")]


APPROVE = "mutation ($input: ApproveInput!) { approve(input: $input) { userErrors { code } } }"


def test_a_request_is_taken_back_and_may_come_again(house: House) -> None:
    given = asked(house, "C00000043")
    assert house.refused("admin", "requestErasure", kind="CUSTOMER", person="C00000043", reason="again") == [
        ("ERASURE_UNDER_WAY", "input.person")
    ]
    taken = house.done("admin", "withdrawErasure", ERASURE, id=given["id"], expectedVersion=given["version"])
    assert taken["status"] == "WITHDRAWN"
    again = asked(house, "C00000043")
    assert (again["id"], again["approval"]["subjectRevision"]) == (given["id"], 2)


def test_only_a_user_who_is_disabled_can_be_erased(house: House) -> None:
    unknown = house.refused("admin", "requestErasure", kind="USER", person="nobody", reason="he asked")
    assert unknown == [("NOT_FOUND", "input.person")]
