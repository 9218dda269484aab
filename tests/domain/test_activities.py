"""Activities: planned and revised until approved, then run."""

from dataclasses import replace
from decimal import Decimal
from typing import get_args

import pytest

from domain.activities import (
    DECIDER,
    REASON_CHARACTERS_MAX,
    ActivityApproved,
    ActivityCancelled,
    ActivityDeleted,
    ActivityDrafted,
    ActivityEnded,
    ActivityLaunched,
    ActivityPaused,
    ActivityRefusal,
    ActivityRejected,
    ActivityResumed,
    ActivityRevised,
    ActivitySubmitted,
    ActivityWithdrawn,
    CancelActivity,
    Command,
    DeleteActivity,
    DraftActivity,
    EndActivity,
    Event,
    LaunchActivity,
    PauseActivity,
    RecordApproval,
    RecordRejection,
    ResumeActivity,
    ReviseActivity,
    Status,
    SubmitActivity,
    WithdrawActivity,
    submitted_hash,
)
from domain.activity_plans import Choice, PlanRefusal
from domain.reward_details import RewardRefusal
from domain.shared.refusal import CommonRefusal
from tests.domain.examples import (
    APPROVAL,
    BARE_PLAN,
    CARD_NUMBER,
    CHOICES,
    DAY,
    DINERS,
    DINING,
    DRAFT,
    FRAME,
    MARKETING,
    NOW,
    OTHER_APPROVAL,
    PLAN,
    POINTS,
    RENAMED_DRAFT,
    RENAMED_PLAN,
    SMS_FEE,
)
from tests.given import Given, all_pairs, grid, outcome

activity = Given(DECIDER)

OVER = PLAN.period.ends_at
TYPE = Choice(DINING, is_enabled=True)

drafted = ActivityDrafted("SPRING-26", "HO", PLAN, by="lin")
HASH = submitted_hash(DECIDER.fold([drafted]), CHOICES.all)
submitted = ActivitySubmitted(1, APPROVAL, HASH, by="lin")
approved = ActivityApproved(1, APPROVAL)
rejected = ActivityRejected(1, APPROVAL, "research", "too dear")
launched = ActivityLaunched(by="lin")
paused = ActivityPaused("stock is short", by="lin")

draft = DraftActivity("SPRING-26", "HO", DRAFT, by="lin", is_code_free=True)
submit = SubmitActivity(APPROVAL, CHOICES, NOW, by="lin")
revise = ReviseActivity(RENAMED_DRAFT, by="lin")

HISTORIES: dict[Status, list[Event]] = {
    Status.UNKNOWN: [],
    Status.DRAFT: [drafted],
    Status.IN_APPROVAL: [drafted, submitted],
    Status.APPROVED: [drafted, submitted, approved],
    Status.REJECTED: [drafted, submitted, rejected],
    Status.RUNNING: [drafted, submitted, approved, launched],
    Status.PAUSED: [drafted, submitted, approved, launched, paused],
    Status.ENDED: [drafted, submitted, approved, launched, ActivityEnded()],
    Status.CANCELLED: [drafted, submitted, approved, ActivityCancelled("no budget", by="lin")],
    Status.DELETED: [drafted, ActivityDeleted(by="lin")],
}
COMMANDS: dict[type, Command] = {
    DraftActivity: draft,
    ReviseActivity: revise,
    SubmitActivity: submit,
    WithdrawActivity: WithdrawActivity(by="lin"),
    RecordApproval: RecordApproval(APPROVAL),
    RecordRejection: RecordRejection(APPROVAL, "research", "too dear"),
    LaunchActivity: LaunchActivity(TYPE, NOW, by="lin"),
    PauseActivity: PauseActivity("stock is short", by="lin"),
    ResumeActivity: ResumeActivity(by="lin"),
    EndActivity: EndActivity(OVER),
    CancelActivity: CancelActivity("no budget", by="lin"),
    DeleteActivity: DeleteActivity(by="lin"),
}
ANSWERS = grid("""
                  unknown           draft              in_approval        approved           rejected
DraftActivity     ActivityDrafted   defect             defect             defect             defect
ReviseActivity    not_found         ActivityRevised    ActivityRevised    ActivityRevised    ActivityRevised
SubmitActivity    not_found         ActivitySubmitted  nothing            not_submittable    not_submittable
WithdrawActivity  not_found         not_in_approval    ActivityWithdrawn  not_in_approval    not_in_approval
RecordApproval    not_found         not_in_approval    ActivityApproved   not_in_approval    not_in_approval
RecordRejection   not_found         not_in_approval    ActivityRejected   not_in_approval    not_in_approval
LaunchActivity    not_found         not_approved       not_approved       ActivityLaunched   not_approved
PauseActivity     not_found         not_running        not_running        not_running        not_running
ResumeActivity    not_found         not_paused         not_paused         not_paused         not_paused
EndActivity       nothing           nothing            nothing            nothing            nothing
CancelActivity    not_found         not_cancellable    not_cancellable    ActivityCancelled  not_cancellable
DeleteActivity    not_found         ActivityDeleted    not_deletable      cancel_instead     ActivityDeleted

                  running            paused             ended            cancelled        deleted
DraftActivity     defect             defect             defect           defect           defect
ReviseActivity    not_editable       not_editable       not_editable     not_editable     not_found
SubmitActivity    not_submittable    not_submittable    not_submittable  not_submittable  not_found
WithdrawActivity  not_in_approval    not_in_approval    not_in_approval  not_in_approval  not_found
RecordApproval    not_in_approval    not_in_approval    not_in_approval  not_in_approval  not_found
RecordRejection   not_in_approval    not_in_approval    not_in_approval  not_in_approval  not_found
LaunchActivity    nothing            not_approved       not_approved     not_approved     not_found
PauseActivity     ActivityPaused     nothing            not_running      not_running      not_found
ResumeActivity    nothing            ActivityResumed    not_paused       not_paused       not_found
EndActivity       ActivityEnded      ActivityEnded      nothing          nothing          nothing
CancelActivity    ActivityCancelled  ActivityCancelled  not_cancellable  nothing          not_found
DeleteActivity    cancel_instead     cancel_instead     not_deletable    not_deletable    nothing
""")


@pytest.mark.parametrize(("command", "status"), ANSWERS, ids=str)
def test_every_status_answers_every_command(command: str, status: str) -> None:
    """ACT-02, ACT-03, APR-11: the state machine of activities, whole."""
    [given] = [example for type_, example in COMMANDS.items() if type_.__name__ == command]
    assert outcome(DECIDER, HISTORIES[Status(status)], given) == ANSWERS[command, status]


def test_the_grid_of_activities_is_whole() -> None:
    assert set(COMMANDS) == set(get_args(Command))
    assert {status: DECIDER.fold(history).status for status, history in HISTORIES.items()} == {
        status: status for status in Status
    }
    assert set(ANSWERS) == all_pairs(HISTORIES, COMMANDS)


def test_a_new_activity_is_drafted_with_its_whole_plan() -> None:
    """ACT-01"""
    activity.given().when(draft).then(drafted)
    assert DECIDER.fold([drafted]).revision == 1


def test_all_that_is_wrong_with_a_new_activity_is_said_at_once() -> None:
    """ACT-01"""
    bad = replace(DRAFT, name="", ends_at=None, registration=None)
    command = replace(draft, code="spring", draft=bad, is_code_free=False)
    activity.given().when(command).then_refused(
        (CommonRefusal.BAD_CODE, "code"),
        (CommonRefusal.CODE_TAKEN, "code"),
        (CommonRefusal.REQUIRED, "name"),
        (CommonRefusal.REQUIRED, "ends_at"),
    )


def test_revising_makes_the_next_revision() -> None:
    """ACT-02"""
    again = replace(RENAMED_DRAFT, description="")
    activity.given(drafted).when(revise).then(ActivityRevised(2, RENAMED_PLAN, by="lin"))
    activity.given(drafted, ActivityRevised(2, RENAMED_PLAN, by="lin")).when(
        ReviseActivity(again, by="wu")
    ).then(ActivityRevised(3, replace(RENAMED_PLAN, description=""), by="wu"))


@pytest.mark.parametrize("status", [Status.DRAFT, Status.IN_APPROVAL, Status.APPROVED, Status.REJECTED])
def test_revising_to_the_same_plan_changes_nothing(status: Status) -> None:
    """ACT-02: so it voids no approval either."""
    activity.given(*HISTORIES[status]).when(ReviseActivity(DRAFT, by="wu")).then_nothing()


@pytest.mark.parametrize("status", [Status.IN_APPROVAL, Status.APPROVED])
def test_a_revision_voids_what_was_asked_for_or_given(status: Status) -> None:
    """APR-09, ACT-02: an approved activity that is edited needs approval again."""
    revised = [*HISTORIES[status], ActivityRevised(2, RENAMED_PLAN, by="lin")]
    after = DECIDER.fold(revised)
    assert (after.status, after.revision, after.approval) == (Status.DRAFT, 2, None)
    activity.given(*revised).when(RecordApproval(APPROVAL)).then_refused(ActivityRefusal.NOT_IN_APPROVAL)
    activity.given(*revised).when(LaunchActivity(TYPE, NOW, by="lin")).then_refused(
        ActivityRefusal.NOT_APPROVED
    )


def test_everybody_who_wrote_on_the_plan_is_its_maker() -> None:
    """APR-08: drafted by one, revised by another and by the first again; who submits or runs it is none."""
    revised = [ActivityRevised(2, RENAMED_PLAN, by="wu"), ActivityRevised(3, PLAN, by="lin")]
    history = [drafted, *revised, replace(submitted, revision=3, by="mao"), replace(approved, revision=3)]
    assert DECIDER.fold([*history, replace(launched, by="ou")]).makers == ("lin", "wu")


def test_an_unsound_revision_is_refused_with_all_its_faults() -> None:
    """ACT-04"""
    bad = replace(DRAFT, name=CARD_NUMBER, budget=None)
    activity.given(drafted).when(ReviseActivity(bad, by="lin")).then_refused(
        (CommonRefusal.CARD_NUMBER_IN_TEXT, "name"), (CommonRefusal.REQUIRED, "budget")
    )


def test_a_submission_binds_revision_and_content() -> None:
    """APR-09: revision and hash are what the approvers decide upon."""
    revised = ActivityRevised(2, RENAMED_PLAN, by="lin")
    after = DECIDER.fold([drafted, revised])
    activity.given(drafted).when(submit).then(submitted)
    activity.given(drafted, revised).when(submit).then(
        ActivitySubmitted(2, APPROVAL, submitted_hash(after, CHOICES.all), by="lin")
    )


def test_submitting_tells_everything_that_stands_against_it() -> None:
    """PAR-08: a disabled type or cost type, or one that is gone, is not submitted; nor what is over."""
    choices = replace(
        CHOICES,
        activity_type=Choice(DINING, is_enabled=False),
        cost_types=(Choice(SMS_FEE, is_enabled=False), Choice(None)),
        groups=(Choice(DINERS, is_enabled=False), Choice(DINERS, is_enabled=True)),
    )
    command = replace(submit, choices=choices, now=OVER)
    activity.given(drafted).when(command).then_refused(
        (PlanRefusal.REFERENCE_DISABLED, "activity_type"),
        (PlanRefusal.REFERENCE_DISABLED, "cost_lines", 0, "cost_type"),
        (CommonRefusal.NOT_FOUND, "cost_lines", 1, "cost_type"),
        (PlanRefusal.REFERENCE_DISABLED, "groups", 0, "group"),
        (ActivityRefusal.ALREADY_OVER, "ends_at"),
    )


def test_a_draft_from_before_departments_and_rewards_is_completed_before_it_is_submitted() -> None:
    """ACT-04, PAR-14: what was drafted earlier stays readable, and is asked for what is missing."""
    old = replace(drafted, plan=BARE_PLAN)
    choices = replace(CHOICES, department=None, co_departments=(), reward_types=(), groups=())
    activity.given(old).when(replace(submit, choices=choices)).then_refused(
        (CommonRefusal.REQUIRED, "department"), (CommonRefusal.REQUIRED, "rewards")
    )
    activity.given(old).when(ReviseActivity(DRAFT, by="lin")).then(ActivityRevised(2, PLAN, by="lin"))


def test_a_draft_is_submitted_within_the_frame_that_its_reward_type_has_now() -> None:
    """PAR-21, PAR-23: the range was narrowed to 1..5 after eight and a half had been drafted."""
    narrowed = replace(POINTS, frame=replace(FRAME, maximum=Decimal(5)))
    command = replace(submit, choices=replace(CHOICES, reward_types=(narrowed,)))
    activity.given(drafted).when(command).then_refused((RewardRefusal.ABOVE_MAXIMUM, "rewards", 0, "value"))
    disabled = replace(POINTS, is_enabled=False)
    command = replace(submit, choices=replace(CHOICES, reward_types=(disabled,)))
    activity.given(drafted).when(command).then_refused(
        (PlanRefusal.REFERENCE_DISABLED, "rewards", 0, "reward_type")
    )


def test_an_approved_activity_keeps_its_rewards_and_runs() -> None:
    """PAR-21: changes of a reward type hold for later configurations only."""
    activity.given(*HISTORIES[Status.APPROVED]).when(LaunchActivity(TYPE, NOW, by="lin")).then(launched)
    assert DECIDER.fold(HISTORIES[Status.RUNNING]).plan == PLAN


def test_a_disabled_department_keeps_its_activities_and_gets_no_new_ones() -> None:
    """PAR-13"""
    disabled = Choice(MARKETING, is_enabled=False)
    keeping = replace(RENAMED_DRAFT, department=disabled)
    activity.given().when(replace(draft, draft=keeping)).then_refused(
        (PlanRefusal.REFERENCE_DISABLED, "department")
    )
    activity.given(drafted).when(ReviseActivity(keeping, by="lin")).then(
        ActivityRevised(2, RENAMED_PLAN, by="lin")
    )
    activity.given(drafted).when(replace(submit, choices=replace(CHOICES, department=disabled))).then(
        replace(submitted, content_hash=HASH)
    )
    gone = replace(CHOICES, department=Choice(None), co_departments=(Choice(None),))
    activity.given(drafted).when(replace(submit, choices=gone)).then_refused(
        (CommonRefusal.NOT_FOUND, "department"), (CommonRefusal.NOT_FOUND, "co_departments", 0)
    )
    moved = replace(RENAMED_DRAFT, department=Choice(replace(MARKETING, id=OTHER_APPROVAL), False))
    activity.given(drafted).when(ReviseActivity(moved, by="lin")).then_refused(
        (PlanRefusal.REFERENCE_DISABLED, "department")
    )


def test_an_activity_can_be_submitted_and_launched_until_the_tick_before_its_end() -> None:
    last = OVER - DAY / 86_400_000_000
    activity.given(drafted).when(replace(submit, now=last)).then(submitted)
    activity.given(*HISTORIES[Status.APPROVED]).when(LaunchActivity(TYPE, last, by="lin")).then(launched)


def test_an_activity_of_a_disabled_type_or_past_its_end_is_not_launched() -> None:
    """PAR-08"""
    command = LaunchActivity(Choice(DINING, is_enabled=False), OVER, by="lin")
    activity.given(*HISTORIES[Status.APPROVED]).when(command).then_refused(
        (PlanRefusal.REFERENCE_DISABLED, "activity_type"), (ActivityRefusal.ALREADY_OVER, "ends_at")
    )


def test_withdrawing_takes_the_submission_back() -> None:
    """APR-09: it is submitted anew, to a new approval, from level one."""
    withdrawn = ActivityWithdrawn(1, APPROVAL, by="lin")
    activity.given(drafted, submitted).when(WithdrawActivity(by="lin")).then(withdrawn)
    activity.given(drafted, submitted, withdrawn).when(replace(submit, approval=OTHER_APPROVAL)).then(
        ActivitySubmitted(1, OTHER_APPROVAL, HASH, by="lin")
    )


def test_a_verdict_is_recorded_with_revision_and_approval() -> None:
    """APR-03: it is visible which level rejected, and why."""
    activity.given(drafted, submitted).when(RecordApproval(APPROVAL)).then(approved)
    activity.given(drafted, submitted).when(RecordRejection(APPROVAL, "research", "too dear")).then(rejected)


@pytest.mark.parametrize(
    "verdict", [RecordApproval(OTHER_APPROVAL), RecordRejection(OTHER_APPROVAL, "x", "y")]
)
def test_an_approval_never_speaks_of_another_submission(verdict: RecordApproval | RecordRejection) -> None:
    """APR-09"""
    activity.given(drafted, submitted).when(verdict).then_refused(ActivityRefusal.NOT_IN_APPROVAL)


def test_a_rejected_activity_is_revised_before_it_is_submitted_again() -> None:
    """APR-09: resubmission starts with the new version."""
    history = HISTORIES[Status.REJECTED]
    revised = ActivityRevised(2, RENAMED_PLAN, by="lin")
    activity.given(*history).when(submit).then_refused(ActivityRefusal.NOT_SUBMITTABLE)
    [again] = DECIDER.decide(submit, DECIDER.fold([*history, revised]))
    assert isinstance(again, ActivitySubmitted)
    assert again.revision == 2


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PAUSED])
def test_an_activity_ends_with_its_period_and_not_before(status: Status) -> None:
    history = HISTORIES[status]
    activity.given(*history).when(EndActivity(OVER - DAY / 86_400_000_000)).then_nothing()
    activity.given(*history).when(EndActivity(OVER)).then(ActivityEnded())


@pytest.mark.parametrize(
    ("status", "command"),
    [(Status.RUNNING, PauseActivity), (Status.PAUSED, CancelActivity), (Status.APPROVED, CancelActivity)],
)
def test_pausing_and_cancelling_need_a_reason(
    status: Status, command: type[PauseActivity] | type[CancelActivity]
) -> None:
    given = activity.given(*HISTORIES[status])
    given.when(command(" ", by="lin")).then_refused((CommonRefusal.REQUIRED, "reason"))
    given.when(command("x" * (REASON_CHARACTERS_MAX + 1), by="lin")).then_refused(
        (CommonRefusal.TOO_LONG, "reason")
    )
    given.when(command(CARD_NUMBER, by="lin")).then_refused((CommonRefusal.CARD_NUMBER_IN_TEXT, "reason"))


def test_a_paused_activity_resumes_and_can_be_paused_again() -> None:
    history = HISTORIES[Status.PAUSED]
    activity.given(*history).when(ResumeActivity(by="wu")).then(ActivityResumed(by="wu"))
    activity.given(*history, ActivityResumed(by="wu")).when(PauseActivity("again", by="lin")).then(
        ActivityPaused("again", by="lin")
    )


def test_a_no_tells_the_status_that_stood_against_it() -> None:
    [fault] = (
        activity.given(*HISTORIES[Status.RUNNING]).when(revise).then_refused(ActivityRefusal.NOT_EDITABLE)
    )
    assert fault.values == {"status": "running"}
