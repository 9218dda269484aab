"""Approvals through the API: two levels, four eyes, pinned to what was seen, one inbox."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from application.shared.approvable import ApprovalPolicy
from domain.approvals import Level
from tests.api.campaigns import (
    ACTIVITY,
    APPROVAL,
    activity_type,
    code,
    drafted,
    plan,
    submitted,
    verdict,
)
from tests.api.house import House, running_house

INBOX = "query ($box: InboxBox!) { approvalInbox(box: $box, first: 100) { nodes { id status } } }"


def inbox(house: House, user: str, box: str) -> set[str]:
    return {node["id"] for node in house.data(user, INBOX, box=box)["approvalInbox"]["nodes"]}


def status(house: House, id_: str) -> str:
    query = "query ($id: ID!) { activity(id: $id) { status } }"
    return house.data("auditor", query, id=id_)["activity"]["status"]


def test_research_decides_first_then_technology_and_every_status_is_visible(house: House) -> None:
    """APR-01, APR-02, APR-03"""
    activity = submitted(house)
    approval = activity["approval"]
    assert (activity["status"], approval["status"], approval["awaiting"]) == (
        "PENDING_RESEARCH", "PENDING_RESEARCH", "RESEARCH",
    )  # fmt: skip
    for user, level in (("technologist", "TECHNOLOGY"), ("technologist", "RESEARCH")):
        assert house.refused(user, "approve", **verdict(approval, level))
    assert house.refused("technologist", "approve", **verdict(approval, "RESEARCH")) == [
        ("NOT_YOUR_LEVEL", "input.level")
    ]
    passed = house.done("researcher", "approve", APPROVAL, **verdict(approval, "RESEARCH", comment="ok"))
    assert (passed["status"], passed["awaiting"]) == ("PENDING_TECHNOLOGY", "TECHNOLOGY")
    assert status(house, activity["id"]) == "PENDING_TECHNOLOGY"
    granted = house.done("technologist", "approve", APPROVAL, **verdict(approval, "TECHNOLOGY"))
    assert (granted["status"], granted["awaiting"]) == ("APPROVED", None)
    assert granted["decidedBy"] == ["researcher", "technologist"]
    assert status(house, activity["id"]) == "APPROVED"
    assert house.refused("technologist", "approve", **verdict(approval, "TECHNOLOGY")) == [
        ("NOT_PENDING", "input")
    ]


@pytest.mark.parametrize("level", ["RESEARCH", "TECHNOLOGY"])
def test_a_rejection_needs_a_reason_and_resubmission_begins_at_the_first_level(
    house: House, level: str
) -> None:
    """APR-01, APR-03, APR-09"""
    activity = submitted(house)
    approval = activity["approval"]
    if level == "TECHNOLOGY":
        house.done("researcher", "approve", APPROVAL, **verdict(approval, "RESEARCH"))
    user = {"RESEARCH": "researcher", "TECHNOLOGY": "technologist"}[level]
    assert house.refused(user, "reject", **verdict(approval, level, reason="")) == [
        ("REQUIRED", "input.reason")
    ]
    rejected = house.done(user, "reject", APPROVAL, **verdict(approval, level, reason="too dear"))
    assert (rejected["status"], rejected["reason"]) == (f"{level}_REJECTED", "too dear")
    assert status(house, activity["id"]) == f"{level}_REJECTED"
    assert house.refused("operator", "submitActivity", id=activity["id"]) == [("NOT_SUBMITTABLE", "input")]
    given = plan(activity_type(house)["id"], name="Cheaper")
    house.done("operator", "reviseActivity", ACTIVITY, id=activity["id"], **given)
    again = house.done("operator", "submitActivity", ACTIVITY, id=activity["id"])
    assert (again["status"], again["approval"]["subjectRevision"]) == ("PENDING_RESEARCH", 2)
    assert again["approval"]["id"] != approval["id"]


def test_nobody_decides_his_own_item_nor_both_levels(house: House) -> None:
    """APR-08: by users who hold the roles, so only the rule stops them."""
    from application.access import Principal, Role
    from tests.api import house as module

    both = Principal(
        "boss", frozenset({Role.OPERATOR, Role.RESEARCHER, Role.TECHNOLOGIST}), "HO", module.UNITS
    )
    original = module.principal
    module.principal = lambda user: both if user == "operator-boss" else original(user)
    try:
        own = submitted(house, "operator-boss")
        assert house.refused("operator-boss", "approve", **verdict(own["approval"], "RESEARCH")) == [
            ("SEPARATION_OF_DUTIES", "input")
        ]
        other = submitted(house)
        house.done("operator-boss", "approve", APPROVAL, **verdict(other["approval"], "RESEARCH"))
        assert house.refused("operator-boss", "approve", **verdict(other["approval"], "TECHNOLOGY")) == [
            ("SEPARATION_OF_DUTIES", "input")
        ]
    finally:
        module.principal = original


def test_an_edit_voids_the_approval_and_a_stale_verdict_conflicts(house: House) -> None:
    """APR-09"""
    activity = submitted(house)
    approval = activity["approval"]
    house.done("researcher", "approve", APPROVAL, **verdict(approval, "RESEARCH"))
    given = plan(activity_type(house)["id"], name="Edited")
    edited = house.done("operator", "reviseActivity", ACTIVITY, id=activity["id"], **given)
    assert edited["status"] == "DRAFT"
    assert house.refused("technologist", "approve", **verdict(approval, "TECHNOLOGY")) == [
        ("NOT_PENDING", "input")
    ]
    again = house.done("operator", "submitActivity", ACTIVITY, id=activity["id"])["approval"]
    stale = {**verdict(again, "RESEARCH"), "revision": 1}
    assert house.refused("researcher", "approve", **stale) == [("STALE_REVISION", "input.revision")]
    forged = {**verdict(again, "RESEARCH"), "contentHash": "0" * 64}
    assert house.refused("researcher", "approve", **forged) == [("STALE_CONTENT", "input.contentHash")]


def test_an_approval_covers_the_revisions_that_its_subject_refers_to(house: House) -> None:
    """Architecture §3: the type was renamed after the submission, so what was seen is no more."""
    type_ = activity_type(house)
    activity = submitted(house, activityTypeId=type_["id"])
    house.done("operator", "reviseActivityType", "activityType { id }", id=type_["id"], name=code("New"))
    refused = house.refused("researcher", "approve", **verdict(activity["approval"], "RESEARCH"))
    assert refused == [("SUBJECT_MOVED", "input")]
    house.done("operator", "withdrawActivity", ACTIVITY, id=activity["id"])
    again = house.done("operator", "submitActivity", ACTIVITY, id=activity["id"])
    house.done("researcher", "approve", APPROVAL, **verdict(again["approval"], "RESEARCH"))


def test_the_inbox_shows_what_waits_what_was_decided_and_what_was_asked_for(house: House) -> None:
    """APR-07"""
    approval = submitted(house)["approval"]["id"]
    branch = submitted(house, "branch")["approval"]
    assert approval in inbox(house, "researcher", "TODO")
    assert branch["id"] in inbox(house, "researcher", "TODO")
    assert approval not in inbox(house, "technologist", "TODO")
    assert approval in inbox(house, "operator", "MINE")
    assert inbox(house, "operator", "TODO") == set()
    assert branch["id"] in inbox(house, "branch", "MINE")
    assert approval not in inbox(house, "branch", "MINE")
    query = "query ($id: ID!) { approval(id: $id) { id subjectRevision contentHash } }"
    seen = house.data("researcher", query, id=approval)["approval"]
    house.done("researcher", "approve", APPROVAL, **verdict(seen, "RESEARCH"))
    assert approval not in inbox(house, "researcher", "TODO")
    assert approval in inbox(house, "researcher", "DONE")
    assert approval in inbox(house, "technologist", "TODO")


def test_the_history_of_an_approval_tells_who_when_stage_decision_comment_and_version(house: House) -> None:
    """APR-10"""
    activity = submitted(house)
    house.done("researcher", "approve", APPROVAL, **verdict(activity["approval"], "RESEARCH", comment="fine"))
    house.done("technologist", "reject", APPROVAL, **verdict(activity["approval"], "TECHNOLOGY", reason="no"))
    query = """query ($id: ID!) { approval(id: $id) { decisions { level verdict by at comment revision }
        history { nodes { eventType actor } } } }"""
    found = house.data("auditor", query, id=activity["approval"]["id"])["approval"]
    assert [(d["level"], d["verdict"], d["by"], d["comment"], d["revision"]) for d in found["decisions"]] == [
        ("RESEARCH", "approved", "researcher", "fine", 1),
        ("TECHNOLOGY", "rejected", "technologist", "no", 1),
    ]
    assert [n["eventType"] for n in found["history"]["nodes"]] == [
        "approval.opened", "approval.passed", "approval.rejected",
    ]  # fmt: skip


@pytest.mark.parametrize("_round", range(3))
def test_of_64_decisions_at_once_one_takes_effect(house: House, _round: int) -> None:
    """Half approve and half reject the same level of the same approval."""
    activity = submitted(house)

    def decide(number: int) -> bool:
        seen = verdict(activity["approval"], "RESEARCH")
        if number % 2:
            return not house.do("researcher", "approve", **seen)["userErrors"]
        return not house.do("researcher", "reject", **seen, reason="no")["userErrors"]

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(decide, range(64))) == 1
    assert status(house, activity["id"]) in ("PENDING_TECHNOLOGY", "RESEARCH_REJECTED")


def test_who_has_no_right_to_decide_gets_a_forbidden_error(house: House) -> None:
    approval = submitted(house)["approval"]
    document = "mutation ($input: ApproveInput!) { approve(input: $input) { position } }"
    for user in ("operator", "auditor", "integrator", "admin", "branch"):
        answer = house.answer(user, document, input=verdict(approval, "RESEARCH"))
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]


def test_one_level_is_enough_where_the_bank_says_so_and_the_deadline_fails_closed(
    make_database, migrated_template: str
) -> None:
    one_level = ApprovalPolicy({"activity": (Level.TECHNOLOGY,)})
    with running_house(make_database(migrated_template), one_level) as house:
        activity = submitted(house)
        house.done("technologist", "approve", APPROVAL, **verdict(activity["approval"], "TECHNOLOGY"))
        assert status(house, activity["id"]) == "APPROVED"
    too_late = ApprovalPolicy(decide_within=timedelta(0))
    with running_house(make_database(migrated_template), too_late) as house:
        activity = submitted(house)
        refused = house.refused("researcher", "approve", **verdict(activity["approval"], "RESEARCH"))
        assert refused == [("DEADLINE_PASSED", "input")]
        rejected = verdict(activity["approval"], "RESEARCH", reason="late")
        house.done("researcher", "reject", APPROVAL, **rejected)


def test_a_subscriber_has_the_new_status_within_two_seconds(house: House) -> None:
    """APR-04: see test_events for the subscription itself; here the read side is current at once."""
    activity = drafted(house)
    for _ in range(5):
        house.done("operator", "submitActivity", ACTIVITY, id=activity["id"])
        assert status(house, activity["id"]) == "PENDING_RESEARCH"
        house.done("operator", "withdrawActivity", ACTIVITY, id=activity["id"])
        assert status(house, activity["id"]) == "DRAFT"
