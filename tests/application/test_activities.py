"""The use cases of activities against the real log."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from application.activities import Chosen, CostLineEntry, PlanEntry
from application.catalogues import Change
from domain.activities import (
    ActivityApproved,
    ActivityCancelled,
    ActivityDeleted,
    ActivityDrafted,
    ActivityEnded,
    ActivityLaunched,
    ActivityPaused,
    ActivityRefusal,
    ActivityResumed,
    ActivityRevised,
    ActivitySubmitted,
    ActivityWithdrawn,
    Status,
)
from domain.activity_plans import (
    COST_LINES_MAX,
    DESCRIPTION_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    CostLine,
    Plan,
    PlanRefusal,
)
from domain.approvals import ApprovalOpened, ApprovalVoided, Level, Subject
from domain.approvals import Status as ApprovalStatus
from domain.catalogues import Kind
from domain.reward_details import Reward
from domain.shared.money import Amount, Money
from domain.shared.period import Period
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal
from tests.application.bank import DAY, IN_SHANGHAI, LIN, NOW, WU, Bank, answered, codes, person
from tests.given import refused

TYPE, COST = Kind.ACTIVITY_TYPE, Kind.COST_TYPE


def test_a_new_activity_is_drafted_in_its_makers_unit(bank: Bank) -> None:
    """ACT-01, ACT-04"""
    dining, fee = bank.add_type("Dining"), bank.add_cost_type("SMS")
    bank.rename(TYPE, dining, "Restaurants")
    activity = bank.draft(bank.plan(dining, fee, name=" Spring dining "), "SPRING-26", by=IN_SHANGHAI)
    plan = Plan(
        name="Spring dining",
        description="",
        activity_type=Reference(dining, 2),
        period=Period(NOW, NOW + 30 * DAY),
        registration=None,
        award=None,
        channels=(),
        budget=Money(100_000, "CNY"),
        cost_lines=(CostLine(Reference(fee, 1), Money(1_000, "CNY")),),
        department=Reference(bank.department(), 1),
        responsible="hu",
        rewards=(Reward(Reference(bank.reward_type(), 1), "2"),),
    )
    assert bank.events(activity) == [ActivityDrafted("SPRING-26", "SH", plan, "hu")]


def test_all_faults_of_a_new_activity_are_told_at_once_with_their_places(bank: Bank) -> None:
    """ACT-01: each missing mandatory field yields one field-level error, and no event is stored."""
    lines = (
        CostLineEntry(None, None),
        CostLineEntry(Chosen(uuid4()), Amount(Decimal("0.001"), "CNY"), "\x00"),
    )
    bank.draft(bank.plan(bank.add_type("Dining")), "TAKEN")
    before = bank.count_events()
    with refused(
        (CommonRefusal.CODE_TAKEN, "code"),
        (CommonRefusal.REQUIRED, "name"),
        (CommonRefusal.NOT_FOUND, "activity_type"),
        (CommonRefusal.REQUIRED, "starts_at"),
        (CommonRefusal.REQUIRED, "ends_at"),
        (CommonRefusal.REQUIRED, "budget"),
        (CommonRefusal.REQUIRED, "cost_lines", 0, "cost_type"),
        (CommonRefusal.REQUIRED, "cost_lines", 0, "amount"),
        (CommonRefusal.NOT_FOUND, "cost_lines", 1, "cost_type"),
        (CommonRefusal.AMOUNT_TOO_PRECISE, "cost_lines", 1, "amount", "amount"),
        (CommonRefusal.BAD_CHARACTERS, "cost_lines", 1, "remark"),
        (CommonRefusal.REQUIRED, "department"),
        (CommonRefusal.REQUIRED, "rewards"),
    ):
        bank.draft(PlanEntry(name="  ", activity_type=Chosen(uuid4()), cost_lines=lines), "TAKEN")
    assert bank.count_events() == before


def test_a_code_is_free_again_when_its_activity_is_deleted(bank: Bank) -> None:
    """ACT-03: not in lists, still in the log."""
    plan = bank.plan(bank.add_type("Dining"))
    activity = bank.draft(plan, "SPRING-26")
    with refused((CommonRefusal.CODE_TAKEN, "code")):
        bank.draft(plan, "SPRING-26", by=IN_SHANGHAI)
    bank.delete(activity)
    assert bank.draft(plan, "SPRING-26") != activity
    assert bank.events(activity)[-1] == ActivityDeleted("lin")


@pytest.mark.parametrize("revision_seen", [1, 3])
def test_an_entry_is_chosen_in_the_revision_that_was_seen_or_not_at_all(
    bank: Bank, revision_seen: int
) -> None:
    """PAR-17: what was read is what is attached."""
    dining, fee = bank.add_type("Dining"), bank.add_cost_type("SMS")
    bank.rename(TYPE, dining, "Restaurants")
    bank.rename(COST, fee, "Text")
    line = CostLineEntry(Chosen(fee, revision_seen), Amount(Decimal(1), "CNY"))
    seen = bank.plan(dining, activity_type=Chosen(dining, revision_seen), cost_lines=(line,))
    with refused(
        (PlanRefusal.REFERENCE_CHANGED, "activity_type"),
        (PlanRefusal.REFERENCE_CHANGED, "cost_lines", 0, "cost_type"),
    ):
        bank.draft(seen)
    bank.draft(
        replace(seen, activity_type=Chosen(dining, 2), cost_lines=(replace(line, cost_type=Chosen(fee, 2)),))
    )


def test_a_disabled_entry_is_not_chosen(bank: Bank) -> None:
    """PAR-08"""
    dining, fee = bank.add_type("Dining"), bank.add_cost_type("SMS")
    activity = bank.draft(bank.plan(dining))
    bank.disable(TYPE, dining)
    bank.disable(COST, fee)
    faults = (
        (PlanRefusal.REFERENCE_DISABLED, "activity_type"),
        (PlanRefusal.REFERENCE_DISABLED, "cost_lines", 0, "cost_type"),
    )
    with refused(*faults):
        bank.draft(bank.plan(dining, fee))
    with refused(*faults):
        bank.revise(activity, bank.plan(dining, fee))


def test_a_revision_keeps_each_earlier_one_in_the_log(bank: Bank) -> None:
    """ACT-02, ES-03: the state as of any version can be told."""
    dining = bank.add_type("Dining")
    activity = bank.draft(bank.plan(dining))
    bank.revise(activity, bank.plan(dining, name="Second"), by=WU)
    bank.revise(activity, bank.plan(dining, name="Second"))
    drafted, revised = bank.events(activity)
    assert (drafted.plan.name, revised.plan.name) == ("Spring dining", "Second")
    assert revised == ActivityRevised(2, revised.plan, "wu")
    assert [record.event for record in bank.log.records(activity, up_to=1)] == [drafted]


def test_a_submission_opens_an_approval_of_exactly_this_revision(bank: Bank) -> None:
    """APR-01, APR-09: both are recorded together; a repeat opens no second one."""
    dining = bank.add_type("Dining")
    activity = bank.draft(bank.plan(dining), "SPRING-26")
    bank.revise(activity, bank.plan(dining, name="Second"))
    approval = bank.submit(activity)
    assert bank.submit(activity, by=WU) == approval
    submitted = bank.events(activity)[-1]
    assert submitted == ActivitySubmitted(2, approval, submitted.content_hash, "lin", "research")
    subject = Subject("activity", activity, 2, submitted.content_hash, "SPRING-26", "HO")
    assert bank.events(approval) == [
        ApprovalOpened(subject, (Level.RESEARCH, Level.TECHNOLOGY), NOW + 14 * DAY, "lin", ("lin",))
    ]
    commands = {list(bank.log.records(stream))[-1].context.command_id for stream in (activity, approval)}
    assert len(commands) == 1


def test_nothing_is_submitted_with_what_was_disabled_since(bank: Bank) -> None:
    """PAR-08"""
    dining, fee = bank.add_type("Dining"), bank.add_cost_type("SMS")
    activity = bank.draft(bank.plan(dining, fee))
    bank.disable(TYPE, dining)
    bank.disable(COST, fee)
    bank.now = NOW + 30 * DAY
    with refused(
        (PlanRefusal.REFERENCE_DISABLED, "activity_type"),
        (PlanRefusal.REFERENCE_DISABLED, "cost_lines", 0, "cost_type"),
        (ActivityRefusal.ALREADY_OVER, "ends_at"),
    ):
        bank.submit(activity)
    assert bank.version(activity) == 1


def withdraw(bank: Bank, activity: UUID) -> None:
    bank.withdraw(activity)


def revise(bank: Bank, activity: UUID) -> None:
    plan = bank.activity(activity).plan
    assert plan is not None
    bank.revise(activity, bank.plan(plan.activity_type.id, name="Second"))


@pytest.mark.parametrize(
    ("change", "event", "reason"),
    [
        (withdraw, ActivityWithdrawn, "subject_withdrawn"),
        (revise, ActivityRevised, "subject_revised"),
    ],
)
def test_an_edit_or_withdrawal_voids_the_approval_in_the_same_breath(
    bank: Bank, change: Callable[[Bank, UUID], None], event: type, reason: str
) -> None:
    """APR-09: no moment between in which the old content could be approved."""
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    approval = bank.submit(activity)
    change(bank, activity)
    of_activity, of_approval = list(bank.log.records(activity))[-1], list(bank.log.records(approval))[-1]
    assert type(of_activity.event) is event
    assert isinstance(of_approval.event, ApprovalVoided)
    assert of_approval.event.reason == reason
    assert of_activity.context.command_id == of_approval.context.command_id
    assert of_activity.position.offset >> 20 == of_approval.position.offset >> 20
    assert bank.submit(activity) != approval


def test_an_edit_that_changes_nothing_leaves_the_approval_alone(bank: Bank) -> None:
    """APR-09"""
    plan = bank.plan(bank.add_type("Dining"))
    activity = bank.draft(plan)
    approval = bank.submit(activity)
    bank.revise(activity, plan)
    assert bank.approval(approval).status is ApprovalStatus.PENDING


def test_an_approved_activity_that_is_edited_needs_approval_again(bank: Bank) -> None:
    """ACT-02, APR-11"""
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    bank.approved(activity)
    revise(bank, activity)
    with refused(ActivityRefusal.NOT_APPROVED):
        bank.launch(activity)
    bank.approved(activity)
    bank.launch(activity)
    assert bank.activity(activity).status is Status.RUNNING


def test_an_activity_lives_its_whole_life(bank: Bank) -> None:
    """ACT-06, APR-11: launch, pause, resume, end; every step is in the log with its maker."""
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    approval = bank.approved(activity)
    bank.launch(activity)
    bank.launch(activity)
    bank.pause(activity, "stock is short", by=WU)
    bank.pause(activity, "again")
    bank.resume(activity)
    bank.resume(activity)
    bank.now = NOW + 30 * DAY - DAY / 86_400_000_000
    bank.end(activity)
    bank.now = NOW + 30 * DAY
    bank.end(activity)
    bank.end(activity)
    assert bank.events(activity)[2:] == [
        ActivityApproved(1, approval),
        ActivityLaunched("lin"),
        ActivityPaused("stock is short", "wu"),
        ActivityResumed("lin"),
        ActivityEnded(),
    ]


def test_an_activity_that_is_not_approved_is_not_launched(bank: Bank) -> None:
    """APR-11"""
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    with refused(ActivityRefusal.NOT_APPROVED):
        bank.launch(activity)
    bank.submit(activity)
    with refused(ActivityRefusal.NOT_APPROVED):
        bank.launch(activity)


def test_an_activity_whose_type_was_disabled_is_not_launched(bank: Bank) -> None:
    """PAR-08: also when it was an ancestor of its type."""
    use = bank.add_type("Card use")
    activity = bank.draft(bank.plan(bank.add_type("Dining", parent=use)))
    bank.approved(activity)
    bank.disable(TYPE, use)
    with refused((PlanRefusal.REFERENCE_DISABLED, "activity_type")):
        bank.launch(activity)
    bank.enable(TYPE, use)
    bank.launch(activity)


def test_a_running_activity_is_cancelled_and_not_deleted(bank: Bank) -> None:
    """ACT-03: refused "cancel instead"."""
    activity = bank.running(bank.draft(bank.plan(bank.add_type("Dining"))))
    with refused(ActivityRefusal.CANCEL_INSTEAD):
        bank.delete(activity)
    bank.cancel(activity, "no budget")
    bank.cancel(activity, "again")
    assert bank.events(activity)[-1] == ActivityCancelled("no budget", "lin")


VERBS: dict[str, Callable[..., Any]] = {
    "submit": Bank.submit,
    "withdraw": Bank.withdraw,
    "delete": Bank.delete,
    "launch": Bank.launch,
    "pause": Bank.pause,
    "resume": Bank.resume,
    "cancel": Bank.cancel,
    "revise": lambda bank, id, **request: bank.revise(id, bank.plan(uuid4()), **request),
}
IN_BEIJING = person("qi", *LIN.roles, org_unit="BJ", units=frozenset({"BJ"}))


@pytest.mark.parametrize("verb", VERBS)
def test_to_a_branch_another_units_activity_does_not_exist(bank: Bank, verb: str) -> None:
    """SEC-03: the same answer as for an id that nobody ever gave."""
    activity = bank.draft(bank.plan(bank.add_type("Dining")), by=IN_SHANGHAI)
    for id in (activity, uuid4()):
        with refused((CommonRefusal.NOT_FOUND, "id")) as faults:
            VERBS[verb](bank, id, by=IN_BEIJING)
        assert faults[0].values == {}
    assert bank.version(activity) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_not_even_the_version_of_another_units_activity_is_told(bank: Bank, verb: str) -> None:
    """SEC-03: a wrong expected version must not tell that there is something, nor how often it changed."""
    activity = bank.draft(bank.plan(bank.add_type("Dining")), by=IN_SHANGHAI)
    for id in (activity, uuid4()):
        with refused((CommonRefusal.NOT_FOUND, "id")):
            VERBS[verb](bank, id, by=IN_BEIJING, expected_version=7)


def test_head_office_works_on_a_branchs_activity_and_it_stays_the_branchs(bank: Bank) -> None:
    activity = bank.draft(bank.plan(bank.add_type("Dining")), by=IN_SHANGHAI)
    approval = bank.submit(activity, by=LIN)
    assert bank.activity(activity).org_unit == "SH"
    subject = bank.approval(approval).subject
    assert subject is not None
    assert subject.org_unit == "SH"


@pytest.mark.parametrize("verb", [*VERBS, "end"])
def test_an_id_of_something_else_is_no_activity(bank: Bank, verb: str) -> None:
    """SEC-03: ids come from outside; one that names a catalogue entry is answered like an unknown one."""
    dining = bank.add_type("Dining")
    with refused((CommonRefusal.NOT_FOUND, "id")):
        {**VERBS, "end": Bank.end}[verb](bank, dining)
    assert bank.version(dining) == 1


def test_ending_what_was_never_there_is_refused_or_changes_nothing(bank: Bank) -> None:
    """The scheduler may come late: its answer is never a fault of the house."""
    assert codes(answered(lambda: bank.end(uuid4()))) in ([], [CommonRefusal.NOT_FOUND])
    assert bank.count_events() == 0


def test_a_plan_that_goes_up_to_every_limit_is_recorded_or_refused(bank: Bank) -> None:
    """ACT-04: what is within the limits of each field is never too much for the log."""
    dining, fee = bank.add_type("Dining"), bank.add_cost_type("SMS")
    line = CostLineEntry(Chosen(fee), Amount(Decimal(1), "CNY"), "字" * DESCRIPTION_CHARACTERS_MAX)
    longest = bank.plan(
        dining,
        name="字" * NAME_CHARACTERS_MAX,
        description="字" * DESCRIPTION_CHARACTERS_MAX,
        cost_lines=(line,) * COST_LINES_MAX,
    )
    before = bank.count_events()
    answer = answered(lambda: bank.draft(longest))
    assert bank.count_events() == before + (0 if codes(answer) else 2)


def test_renaming_a_type_reaches_no_plan_but_its_next_revision(bank: Bank) -> None:
    """PAR-03, PAR-25: history keeps what was chosen; the reference is pinned."""
    dining = bank.add_type("Dining")
    activity = bank.draft(bank.plan(dining))
    bank.revise_entry(TYPE, dining, Change(name="Restaurants"))
    assert bank.events(activity)[0].plan.activity_type == Reference(dining, 1)
    bank.revise(activity, bank.plan(dining))
    assert bank.events(activity)[1].plan.activity_type == Reference(dining, 2)
