"""Approvals: Research, then Technology; never the maker, never one person twice, never what nobody saw."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from domain.approvals import (
    COMMENT_CHARACTERS_MAX,
    DECIDER,
    TWO_LEVELS,
    ApprovalGranted,
    ApprovalOpened,
    ApprovalPassed,
    ApprovalRefusal,
    ApprovalRejected,
    ApprovalVoided,
    Approve,
    Command,
    Decision,
    Event,
    Level,
    OpenApproval,
    Reject,
    Status,
    Subject,
    VoidApproval,
)
from domain.shared.refusal import CommonRefusal
from tests.domain.examples import ACTIVITY, CARD_NUMBER, DAY, NOW
from tests.given import Given, grid, outcome

approval = Given(DECIDER)

HASH, OTHER_HASH = "a" * 64, "b" * 64
SUBJECT = Subject("activity", ACTIVITY, 2, HASH, "SPRING-26", "HO")
DEADLINE = NOW + 14 * DAY
TICK = DAY / 86_400_000_000

by_rao = Decision(Level.RESEARCH, 2, HASH, HASH, frozenset({Level.RESEARCH}), NOW, by="rao")
by_tan = Decision(Level.TECHNOLOGY, 2, HASH, HASH, frozenset({Level.TECHNOLOGY}), NOW, by="tan")

opened = ApprovalOpened(SUBJECT, TWO_LEVELS, DEADLINE, by="lin")
passed_by_rao = ApprovalPassed(SUBJECT, Level.RESEARCH, Level.TECHNOLOGY, "fits", by="rao")
passed_by_tan = ApprovalPassed(SUBJECT, Level.TECHNOLOGY, None, "", by="tan")
granted = ApprovalGranted(SUBJECT)
rejected = ApprovalRejected(SUBJECT, Level.RESEARCH, "too dear", by="rao")
voided = ApprovalVoided(SUBJECT, "subject_revised")

HISTORIES: dict[str, list[Event]] = {
    "unknown": [],
    "at_research": [opened],
    "at_technology": [opened, passed_by_rao],
    "granted": [opened, passed_by_rao, passed_by_tan, granted],
    "rejected_by_research": [opened, rejected],
    "rejected_by_technology": [
        opened,
        passed_by_rao,
        ApprovalRejected(SUBJECT, Level.TECHNOLOGY, "no staff", by="tan"),
    ],
    "voided": [opened, passed_by_rao, voided],
}
COMMANDS: dict[str, Command] = {
    "OpenApproval": OpenApproval(SUBJECT, TWO_LEVELS, DEADLINE, by="lin"),
    "Approve.research": Approve(by_rao, "fits"),
    "Approve.technology": Approve(by_tan),
    "Reject.research": Reject(by_rao, "too dear"),
    "Reject.technology": Reject(by_tan, "no staff"),
    "VoidApproval": VoidApproval("subject_revised"),
}
ANSWERS = grid("""
                    unknown         at_research       at_technology                   granted
OpenApproval        ApprovalOpened  defect            defect                          defect
Approve.research    not_found       ApprovalPassed    wrong_level+separation_of_duties  not_pending
Approve.technology  not_found       wrong_level       ApprovalPassed+ApprovalGranted  not_pending
Reject.research     not_found       ApprovalRejected  wrong_level+separation_of_duties  not_pending
Reject.technology   not_found       wrong_level       ApprovalRejected                not_pending
VoidApproval        nothing         ApprovalVoided    ApprovalVoided                  nothing

                    rejected_by_research  rejected_by_technology  voided
OpenApproval        defect                defect                  defect
Approve.research    not_pending           not_pending             not_pending
Approve.technology  not_pending           not_pending             not_pending
Reject.research     not_pending           not_pending             not_pending
Reject.technology   not_pending           not_pending             not_pending
VoidApproval        nothing               nothing                 nothing
""")


@pytest.mark.parametrize(("command", "status"), ANSWERS, ids=str)
def test_every_stage_answers_every_command(command: str, status: str) -> None:
    """APR-01, APR-02, APR-03: the state machine of approvals, whole; only the awaited level decides."""
    assert outcome(DECIDER, HISTORIES[status], COMMANDS[command]) == ANSWERS[command, status]


def test_the_grid_of_approvals_is_whole() -> None:
    assert {type(command) for command in COMMANDS.values()} == set(get_args(Command))
    assert {DECIDER.fold(history).status for history in HISTORIES.values()} == set(Status)
    assert {(made.level, type(command)) for command in COMMANDS.values() if (made := decision(command))} == {
        (level, type_) for level in Level for type_ in (Approve, Reject)
    }
    assert set(ANSWERS) == {(command, stage) for command in COMMANDS for stage in HISTORIES}


def decision(command: Command) -> Decision | None:
    return command.decision if isinstance(command, Approve | Reject) else None


def test_an_approval_awaits_research_first() -> None:
    """APR-01"""
    approval.given().when(COMMANDS["OpenApproval"]).then(opened)
    assert DECIDER.fold([opened]).level is Level.RESEARCH


def test_after_research_technology_is_awaited() -> None:
    """APR-01, APR-02"""
    approval.given(opened).when(Approve(by_rao, "fits")).then(passed_by_rao)
    assert DECIDER.fold([opened, passed_by_rao]).level is Level.TECHNOLOGY


def test_the_last_level_grants() -> None:
    """APR-03"""
    approval.given(opened, passed_by_rao).when(Approve(by_tan)).then(passed_by_tan, granted)
    assert DECIDER.fold([opened, passed_by_rao, passed_by_tan, granted]).level is None


def test_an_approval_of_one_level_is_granted_by_it() -> None:
    by_one = replace(opened, levels=(Level.TECHNOLOGY,))
    approval.given(by_one).when(Approve(by_tan)).then(passed_by_tan, granted)


def test_an_approval_without_levels_is_never_opened() -> None:
    """APR-03: nothing is granted by nobody."""
    approval.given().when(OpenApproval(SUBJECT, (), DEADLINE, by="lin")).then_defect()


def test_a_rejection_keeps_level_reason_and_person() -> None:
    """APR-03, APR-10: which level rejected is always visible."""
    approval.given(opened).when(Reject(by_rao, "too dear")).then(rejected)


@pytest.mark.parametrize(
    "verdict", [Approve(replace(by_rao, by="lin")), Reject(replace(by_rao, by="lin"), "x")]
)
def test_who_asked_decides_nothing(verdict: Command) -> None:
    """APR-08: the maker cannot approve his own item."""
    approval.given(opened).when(verdict).then_refused(ApprovalRefusal.SEPARATION_OF_DUTIES)


@pytest.mark.parametrize("maker", ["rao", "wu"])
def test_who_made_what_is_to_be_approved_decides_nothing_though_another_asked(maker: str) -> None:
    """APR-08: the maker cannot approve his own item."""
    asked = OpenApproval(SUBJECT, TWO_LEVELS, DEADLINE, by="lin", makers=("rao", "wu"))
    made_by_two = replace(opened, makers=("rao", "wu"))
    approval.given().when(asked).then(made_by_two)
    for verdict in (Approve(replace(by_rao, by=maker)), Reject(replace(by_rao, by=maker), "x")):
        approval.given(made_by_two).when(verdict).then_refused(ApprovalRefusal.SEPARATION_OF_DUTIES)


def test_nobody_decides_both_levels() -> None:
    """APR-08: not even who holds both roles."""
    both = replace(by_tan, by="rao", may_decide=frozenset(Level))
    for verdict in (Approve(both), Reject(both, "x")):
        approval.given(opened, passed_by_rao).when(verdict).then_refused(ApprovalRefusal.SEPARATION_OF_DUTIES)


def test_nobody_decides_a_level_that_is_not_his() -> None:
    """APR-01, APR-02: a technology user cannot act at stage 1, a research user cannot at stage 2."""
    by_wrong = replace(by_rao, by="tan", may_decide=frozenset({Level.TECHNOLOGY}))
    approval.given(opened).when(Approve(by_wrong)).then_refused((ApprovalRefusal.NOT_YOUR_LEVEL, "level"))
    approval.given(opened).when(Approve(replace(by_rao, may_decide=frozenset()))).then_refused(
        ApprovalRefusal.NOT_YOUR_LEVEL
    )


def test_a_level_out_of_turn_is_told_which_is_awaited() -> None:
    """APR-02"""
    [fault] = (
        approval.given(opened).when(Approve(by_tan)).then_refused((ApprovalRefusal.WRONG_LEVEL, "level"))
    )
    assert fault.values == {"awaited": "research"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"revision": 1}, (ApprovalRefusal.STALE_REVISION, "revision")),
        ({"revision": 3}, (ApprovalRefusal.STALE_REVISION, "revision")),
        ({"content_hash": OTHER_HASH}, (ApprovalRefusal.STALE_CONTENT, "content_hash")),
        ({"content_hash": ""}, (ApprovalRefusal.STALE_CONTENT, "content_hash")),
    ],
)
def test_a_decision_names_exactly_what_was_read(changes: dict[str, Any], code: Any) -> None:
    """APR-09: approving a stale version is a conflict; so is rejecting one."""
    made = replace(by_rao, **changes)
    approval.given(opened).when(Approve(made)).then_refused(code)
    approval.given(opened).when(Reject(made, "x")).then_refused(code)


def test_what_moved_since_it_was_submitted_is_not_approved() -> None:
    """APR-09: also when only a thing that it refers to has another revision now."""
    moved = replace(by_rao, hash_now=OTHER_HASH)
    approval.given(opened).when(Approve(moved)).then_refused(ApprovalRefusal.SUBJECT_MOVED)
    approval.given(opened).when(Reject(moved, "too dear")).then(rejected)


def test_nothing_is_approved_at_the_deadline_or_after() -> None:
    """It fails closed."""
    approval.given(opened).when(Approve(replace(by_rao, now=DEADLINE - TICK), "fits")).then(passed_by_rao)
    for now in (DEADLINE, DEADLINE + DAY):
        late = replace(by_rao, now=now)
        approval.given(opened).when(Approve(late)).then_refused(ApprovalRefusal.DEADLINE_PASSED)
        approval.given(opened).when(Reject(late, "too dear")).then(rejected)


@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_rejection_needs_a_reason(reason: str) -> None:
    """APR-09"""
    approval.given(opened).when(Reject(by_rao, reason)).then_refused((CommonRefusal.REQUIRED, "reason"))


def test_comments_and_reasons_are_bounded_and_hold_no_card_number() -> None:
    most = "x" * COMMENT_CHARACTERS_MAX
    approval.given(opened).when(Approve(by_rao, most)).then(replace(passed_by_rao, comment=most))
    for text, code in (
        (most + "x", CommonRefusal.TOO_LONG),
        (CARD_NUMBER, CommonRefusal.CARD_NUMBER_IN_TEXT),
    ):
        approval.given(opened).when(Approve(by_rao, text)).then_refused((code, "comment"))
        approval.given(opened).when(Reject(by_rao, text)).then_refused((code, "reason"))


def test_all_that_bars_a_decision_is_said_at_once() -> None:
    bad = Decision(Level.TECHNOLOGY, 2, OTHER_HASH, OTHER_HASH, frozenset(), DEADLINE, by="lin")
    approval.given(opened).when(Approve(bad, "\x00")).then_refused(
        (ApprovalRefusal.NOT_YOUR_LEVEL, "level"),
        (ApprovalRefusal.WRONG_LEVEL, "level"),
        ApprovalRefusal.SEPARATION_OF_DUTIES,
        (ApprovalRefusal.STALE_CONTENT, "content_hash"),
        ApprovalRefusal.DEADLINE_PASSED,
        ApprovalRefusal.SUBJECT_MOVED,
        (CommonRefusal.BAD_CHARACTERS, "comment"),
    )


def test_an_edit_after_the_first_level_voids_the_approval() -> None:
    """APR-09: edit after level-1 approval: approval void."""
    approval.given(opened, passed_by_rao).when(VoidApproval("subject_revised")).then(voided)
    approval.given(opened, passed_by_rao, voided).when(Approve(by_tan)).then_refused(
        ApprovalRefusal.NOT_PENDING
    )
