"""The use cases of approvals against the real log: verdict and effect are one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from application import activities, approvals
from application.access import Role
from application.shared.approvable import ApprovalPolicy
from application.shared.handler import Handler, Request
from domain.activities import ActivityApproved, ActivityRefusal, ActivityRejected, Status
from domain.approvals import (
    ApprovalGranted,
    ApprovalPassed,
    ApprovalRefusal,
    ApprovalRejected,
    Level,
)
from domain.approvals import Status as ApprovalStatus
from domain.catalogues import Kind
from domain.shared.refusal import CommonRefusal, Refused
from tests.application.bank import DAY, IN_SHANGHAI, LIN, MAO, NOW, RAO, TAN, WU, Bank, person
from tests.application.interruption import Interrupted
from tests.given import refused

RESEARCH, TECHNOLOGY = Level.RESEARCH, Level.TECHNOLOGY


@pytest.fixture
def activity(bank: Bank) -> UUID:
    return bank.draft(bank.plan(bank.add_type("Dining"), bank.add_cost_type("SMS")), "SPRING-26")


@pytest.fixture
def approval(bank: Bank, activity: UUID) -> UUID:
    return bank.submit(activity)


def revise(bank: Bank, activity: UUID, name: str = "Second") -> None:
    plan = bank.activity(activity).plan
    assert plan is not None
    bank.revise(activity, bank.plan(plan.activity_type.id, name=name))


def test_two_levels_approve_an_activity(bank: Bank, activity: UUID, approval: UUID) -> None:
    """APR-01, APR-02, APR-03: every step is visible, and only the second makes it approved."""
    bank.approve(approval, by=RAO, comment="fits")
    assert bank.activity(activity).status is Status.IN_APPROVAL
    assert bank.approval(approval).level is TECHNOLOGY
    bank.approve(approval, by=TAN)
    subject = bank.approval(approval).subject
    assert subject is not None
    assert bank.events(approval)[1:] == [
        ApprovalPassed(subject, RESEARCH, TECHNOLOGY, "fits", "rao"),
        ApprovalPassed(subject, TECHNOLOGY, None, "", "tan"),
        ApprovalGranted(subject),
    ]
    assert bank.events(activity)[-1] == ActivityApproved(1, approval)


def test_the_last_word_and_its_effect_are_recorded_together(
    bank: Bank, activity: UUID, approval: UUID
) -> None:
    """APR-10, ES-02: one command, one commit, its maker on both."""
    bank.approve(approval, by=RAO)
    bank.approve(approval, by=TAN)
    of_approval, of_activity = list(bank.log.records(approval))[-1], list(bank.log.records(activity))[-1]
    assert of_approval.context == of_activity.context
    assert of_activity.context.actor == "tan"
    assert of_approval.position.offset >> 20 == of_activity.position.offset >> 20


@pytest.mark.parametrize("level", Level)
def test_a_rejection_at_either_level_goes_back_to_the_maker(bank: Bank, activity: UUID, level: Level) -> None:
    """APR-01, APR-03: with the reason and the level that said no."""
    approval = bank.submit(activity)
    if level is TECHNOLOGY:
        bank.approve(approval, by=RAO)
    by = {RESEARCH: RAO, TECHNOLOGY: TAN}[level]
    bank.reject(approval, by=by, reason="too dear")
    subject = bank.approval(approval).subject
    assert subject is not None
    assert bank.events(approval)[-1] == ApprovalRejected(subject, level, "too dear", by.user)
    assert bank.events(activity)[-1] == ActivityRejected(1, approval, level, "too dear")


def test_resubmission_starts_again_at_research_with_the_next_revision(
    bank: Bank, activity: UUID, approval: UUID
) -> None:
    """APR-09"""
    bank.approve(approval, by=RAO)
    bank.reject(approval, by=TAN)
    with refused(ActivityRefusal.NOT_SUBMITTABLE):
        bank.submit(activity)
    revise(bank, activity)
    again = bank.submit(activity)
    assert again != approval
    assert bank.approval(again).level is RESEARCH
    assert bank.seen(again).revision == 2


def test_each_level_is_decided_by_its_department_in_turn(bank: Bank, approval: UUID) -> None:
    """APR-01, APR-02: a technology user cannot act at stage 1, a research user cannot at stage 2."""
    with refused(ApprovalRefusal.NOT_YOUR_LEVEL):
        bank.approve(approval, by=TAN, seen=bank.seen(approval, RESEARCH))
    with refused(ApprovalRefusal.WRONG_LEVEL):
        bank.approve(approval, by=TAN, seen=bank.seen(approval, TECHNOLOGY))
    bank.approve(approval, by=RAO)
    with refused(ApprovalRefusal.NOT_YOUR_LEVEL):
        bank.approve(approval, by=person("rui", Role.RESEARCHER), seen=bank.seen(approval, TECHNOLOGY))


def test_who_asked_cannot_decide(bank: Bank, activity: UUID) -> None:
    """APR-08: "separation of duties", whatever roles he holds."""
    approval = bank.submit(activity, by=MAO)
    with refused(ApprovalRefusal.SEPARATION_OF_DUTIES):
        bank.approve(approval, by=MAO)
    with refused(ApprovalRefusal.SEPARATION_OF_DUTIES):
        bank.reject(approval, by=MAO)


def test_who_made_the_plan_cannot_decide_though_another_submitted_it(bank: Bank, activity: UUID) -> None:
    """APR-08: the maker cannot approve his own item: who wrote what is approved is its maker."""
    plan = bank.activity(activity).plan
    assert plan is not None
    bank.revise(activity, bank.plan(plan.activity_type.id, name="Second"), by=MAO)
    approval = bank.submit(activity, by=LIN)
    with refused(ApprovalRefusal.SEPARATION_OF_DUTIES):
        bank.approve(approval, by=MAO)


def test_nobody_decides_both_levels(bank: Bank, approval: UUID) -> None:
    """APR-08"""
    bank.approve(approval, by=MAO)
    with refused(ApprovalRefusal.SEPARATION_OF_DUTIES):
        bank.approve(approval, by=MAO)
    with refused(ApprovalRefusal.SEPARATION_OF_DUTIES):
        bank.reject(approval, by=MAO)


def test_a_decision_is_bound_to_what_was_seen(bank: Bank, approval: UUID) -> None:
    """APR-09: approving a stale version is a conflict."""
    seen = bank.seen(approval)
    with refused((ApprovalRefusal.STALE_REVISION, "revision")):
        bank.approve(approval, by=RAO, seen=replace(seen, revision=2))
    with refused((ApprovalRefusal.STALE_CONTENT, "content_hash")):
        bank.approve(approval, by=RAO, seen=replace(seen, content_hash="0" * 64))


def test_an_edit_after_the_first_level_voids_the_approval(bank: Bank, activity: UUID, approval: UUID) -> None:
    """APR-09: back to level 1, with another approval."""
    bank.approve(approval, by=RAO)
    seen = bank.seen(approval)
    revise(bank, activity)
    with refused(ApprovalRefusal.NOT_PENDING):
        bank.approve(approval, by=TAN, seen=seen)
    assert bank.approval(bank.submit(activity)).level is RESEARCH


def test_nothing_is_approved_whose_references_have_moved(bank: Bank, activity: UUID, approval: UUID) -> None:
    """APR-09: the type was renamed after submission: what was seen is not what would run."""
    plan = bank.activity(activity).plan
    assert plan is not None
    bank.approve(approval, by=RAO)
    bank.rename(Kind.ACTIVITY_TYPE, plan.activity_type.id, "Restaurants")
    with refused(ApprovalRefusal.SUBJECT_MOVED):
        bank.approve(approval, by=TAN)
    bank.withdraw(activity)
    bank.approved(activity)
    assert bank.activity(activity).status is Status.APPROVED


def test_after_its_deadline_nothing_is_approved(bank: Bank, activity: UUID, approval: UUID) -> None:
    """It fails closed; a no can still be said."""
    bank.now = NOW + 14 * DAY
    with refused(ApprovalRefusal.DEADLINE_PASSED):
        bank.approve(approval, by=RAO)
    bank.reject(approval, by=RAO)
    assert bank.activity(activity).status is Status.REJECTED


def test_a_refused_decision_changes_nothing(bank: Bank, activity: UUID, approval: UUID) -> None:
    """APR-10"""
    before = bank.count_events()
    with refused((CommonRefusal.REQUIRED, "reason")):
        bank.reject(approval, by=RAO, reason=" ")
    with refused((CommonRefusal.TOO_LONG, "comment")):
        bank.approve(approval, by=RAO, comment="x" * 2_001)
    assert bank.count_events() == before
    assert bank.activity(activity).status is Status.IN_APPROVAL


def test_to_a_branch_another_units_approval_does_not_exist(
    bank: Bank, activity: UUID, approval: UUID
) -> None:
    """SEC-03: nor does one that nobody opened, nor an activity under the name of an approval."""
    seen = bank.seen(approval)
    for id, expected_version in ((approval, None), (uuid4(), None), (approval, 7), (uuid4(), 7)):
        for decide in (bank.approve, bank.reject):
            with refused((CommonRefusal.NOT_FOUND, "id")):
                decide(id, by=IN_SHANGHAI, seen=seen, expected_version=expected_version)
    for decide in (bank.approve, bank.reject):
        with refused((CommonRefusal.NOT_FOUND, "id")):
            decide(activity, by=RAO, seen=seen)


def test_a_kind_of_subject_may_pass_one_level_only(bank: Bank, activity: UUID) -> None:
    """The policy says which levels and how long; two levels unless it names the kind."""
    policy = ApprovalPolicy({"activity": (TECHNOLOGY,)}, decide_within=timedelta(hours=1))
    handler = Handler(bank.log, lambda: bank.now, policy)
    handler(Request(LIN, "submitActivity", None), lambda work: activities.submit(work, activity))
    approval = bank.activity(activity).approval
    assert approval is not None
    assert bank.approval(approval).decide_by == NOW + timedelta(hours=1)
    bank.approve(approval, by=TAN)
    assert bank.activity(activity).status is Status.APPROVED
    assert ApprovalPolicy({"other": (TECHNOLOGY,)}).levels_of("activity") == (RESEARCH, TECHNOLOGY)


@pytest.mark.parametrize("verdict", [approvals.approve, approvals.reject])
def test_a_verdict_that_meets_an_edit_halfway_is_refused(
    bank: Bank, activity: UUID, approval: UUID, verdict: Callable[..., UUID]
) -> None:
    """APR-09: between reading approval and activity, the activity is edited and submitted anew."""
    seen = bank.seen(approval)

    def edit() -> None:
        revise(bank, activity)
        bank.submit(activity, by=WU)

    log = Interrupted(bank.log, approval, edit)
    handler = Handler(log, lambda: bank.now)
    operation = verdict.__name__
    with pytest.raises(Refused):
        handler(Request(RAO, operation, None), lambda work: verdict(work, approval, seen, "too dear"))
    assert bank.approval(approval).status is ApprovalStatus.VOIDED
    assert bank.activity(activity).status is Status.IN_APPROVAL
