"""Whatever is commanded, in whatever order, these hold."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from types import ModuleType
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import activities, approvals, catalogues
from domain.activities import ActivityApproved, ActivityDrafted, ActivityRevised, ActivitySubmitted
from domain.activity_plans import Choice
from domain.approvals import ApprovalGranted, ApprovalOpened, ApprovalPassed, Decision, Level, Subject
from domain.catalogues import Ancestor, Details, EntryAdded, EntryMoved, EntryRevised, Kind, Place
from domain.shared.decider import Decider
from domain.shared.references import User
from domain.shared.refusal import Refused
from tests.domain.examples import (
    ACTIVITY,
    APPROVAL,
    CHOICES,
    DAY,
    DINING,
    DRAFT,
    NOW,
    OTHER_APPROVAL,
    PLAN,
    RENAMED_DRAFT,
)
from tests.given import PROPERTY

people = st.sampled_from(["lin", "rao", "tan"])
moments = st.sampled_from([NOW, NOW, PLAN.period.ends_at])


def play(decider: Decider[Any, Any, Any], script: Sequence[Any]) -> list[Any]:
    """Everything that was decided. What broke an invariant was not decided, like what was refused."""
    history: list[Any] = []
    for command in script:
        state = decider.fold(history)
        try:
            events = decider.decide(command, state)
        except (Refused, AssertionError):
            continue
        history += events
    return history


def after_a_part_of(way: Sequence[Any], *commands: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Scripts that begin with one or more commands of the way, and then go where they like."""
    beginnings = st.integers(1, len(way)).map(lambda length: list(way[:length]))
    return st.builds(list.__add__, beginnings, st.lists(st.one_of(*commands), max_size=12))


# --- Activities -----------------------------------------------------------

type_choices = st.sampled_from([Choice(DINING, True), Choice(DINING, True), Choice(DINING, False)])
drafts = st.sampled_from([DRAFT, RENAMED_DRAFT, replace(DRAFT, cost_lines=()), replace(DRAFT, name="")])
approval_ids = st.sampled_from([APPROVAL, APPROVAL, OTHER_APPROVAL])
SUBMISSION = activities.SubmitActivity(APPROVAL, CHOICES, NOW, "lin")
standings = st.builds(replace, st.just(CHOICES), activity_type=type_choices)
STRAIGHT_WAY = [
    activities.DraftActivity("SPRING-26", "HO", DRAFT, "lin", True),
    SUBMISSION,
    activities.RecordApproval(APPROVAL),
    activities.LaunchActivity(Choice(DINING, True), NOW, "lin"),
    activities.PauseActivity("stock", "lin"),
]
activity_scripts = after_a_part_of(
    STRAIGHT_WAY,
    st.builds(activities.ReviseActivity, drafts, people),
    st.builds(replace, st.just(SUBMISSION), approval=approval_ids, choices=standings, now=moments),
    st.builds(activities.WithdrawActivity, people),
    st.builds(activities.RecordApproval, approval_ids),
    st.builds(activities.RecordRejection, approval_ids, st.just("research"), st.just("no")),
    st.builds(activities.LaunchActivity, type_choices, moments, people),
    st.builds(activities.PauseActivity, st.just("stock"), people),
    st.builds(activities.ResumeActivity, people),
    st.builds(activities.EndActivity, moments),
    st.builds(activities.CancelActivity, st.sampled_from(["", "dear"]), people),
    st.builds(activities.DeleteActivity, people),
)

NEEDS_APPROVAL = (
    activities.Status.APPROVED,
    activities.Status.RUNNING,
    activities.Status.PAUSED,
    activities.Status.ENDED,
    activities.Status.CANCELLED,
)


@PROPERTY
@given(activity_scripts)
def test_an_activity_runs_only_in_the_revision_that_was_submitted_and_approved(script: list[Any]) -> None:
    """APR-11: an activity that is not approved cannot be launched; an edit takes the approval away."""
    history = play(activities.DECIDER, script)
    for end in range(1, len(history) + 1):
        now = activities.DECIDER.fold(history[:end])
        if now.status in NEEDS_APPROVAL:
            submitted = [e for e in history[:end] if isinstance(e, ActivitySubmitted)][-1]
            approved = [e for e in history[:end] if isinstance(e, ActivityApproved)][-1]
            assert submitted.revision == approved.revision == now.revision
            assert submitted.approval == approved.approval == now.approval


@PROPERTY
@given(activity_scripts)
def test_revisions_of_an_activity_grow_by_one_with_every_edit(script: list[Any]) -> None:
    """ACT-02"""
    history = play(activities.DECIDER, script)
    revisions = [1, *(event.revision for event in history if isinstance(event, ActivityRevised))]
    assert all(later == earlier + 1 for earlier, later in pairwise(revisions))
    assert activities.DECIDER.fold(history).revision == revisions[-1]


@PROPERTY
@given(activity_scripts)
def test_an_edit_after_submission_leaves_no_approval_standing(script: list[Any]) -> None:
    """APR-09"""
    history = play(activities.DECIDER, script)
    for end, event in enumerate(history, start=1):
        if isinstance(event, ActivityDrafted | ActivityRevised):
            now = activities.DECIDER.fold(history[:end])
            assert (now.status, now.approval, now.plan) == (activities.Status.DRAFT, None, event.plan)


# --- Approvals ------------------------------------------------------------

HASH, OTHER_HASH = "a" * 64, "b" * 64
SUBJECT = Subject("activity", ACTIVITY, 2, HASH, "SPRING-26", "HO")
RIGHT = [
    Decision(Level.RESEARCH, 2, HASH, HASH, frozenset(Level), NOW, by="rao"),
    Decision(Level.TECHNOLOGY, 2, HASH, HASH, frozenset(Level), NOW, by="tan"),
]
right = st.sampled_from(RIGHT)
decisions = st.one_of(
    right,
    st.builds(replace, right, by=st.sampled_from(["lin", "rao", "tan", "wu"])),
    st.builds(replace, right, may_decide=st.sampled_from([frozenset(), *(frozenset({x}) for x in Level)])),
    st.builds(replace, right, revision=st.integers(1, 3)),
    st.builds(replace, right, content_hash=st.just(OTHER_HASH)),
    st.builds(replace, right, hash_now=st.just(OTHER_HASH)),
    st.builds(replace, right, now=st.sampled_from([NOW + 14 * DAY, NOW + 13 * DAY])),
)
opening = approvals.OpenApproval(SUBJECT, approvals.TWO_LEVELS, NOW + 14 * DAY, "lin")
approval_scripts = after_a_part_of(
    [opening, approvals.Approve(RIGHT[0])],
    st.builds(approvals.Approve, decisions, st.sampled_from(["", "fits", "\x00"])),
    st.builds(approvals.Approve, decisions, st.just("")),
    st.builds(approvals.Reject, decisions, st.sampled_from(["", "", "no"])),
    st.builds(approvals.VoidApproval, st.just("subject_revised")),
)


@PROPERTY
@given(approval_scripts)
def test_what_is_granted_was_passed_at_both_levels_by_two_people_who_did_not_ask(script: list[Any]) -> None:
    """APR-01, APR-02, APR-08"""
    history = play(approvals.DECIDER, script)
    passed = [event for event in history if isinstance(event, ApprovalPassed)]
    levels = [event.level for event in passed]
    assert levels == list(approvals.TWO_LEVELS[: len(levels)])
    assert len({"lin", *(event.by for event in passed)}) == 1 + len(passed)
    assert (len(passed) == 2) == any(isinstance(event, ApprovalGranted) for event in history)


@PROPERTY
@given(approval_scripts)
def test_nothing_follows_the_last_word(script: list[Any]) -> None:
    """APR-10: once granted, rejected or void, an approval stays so."""
    history = play(approvals.DECIDER, script)
    assert isinstance(history[0], ApprovalOpened)
    last_words = (ApprovalGranted, approvals.ApprovalRejected, approvals.ApprovalVoided)
    assert not any(isinstance(event, last_words) for event in history[:-1])


@PROPERTY
@given(approval_scripts)
def test_every_decision_was_about_what_its_maker_saw_and_in_time(script: list[Any]) -> None:
    """APR-09"""
    for index, verdict in enumerate(script[1:], start=1):
        before = play(approvals.DECIDER, script[:index])
        after = play(approvals.DECIDER, script[: index + 1])
        if len(after) > len(before) and not isinstance(verdict, approvals.VoidApproval):
            made = verdict.decision
            assert (made.revision, made.content_hash) == (SUBJECT.revision, HASH)
            assert made.level in made.may_decide
            if isinstance(verdict, approvals.Approve):
                assert made.hash_now == HASH
                assert made.now < NOW + 14 * DAY


# --- Catalogues -----------------------------------------------------------

ENTRY = UUID(int=0xE)
ancestors = st.builds(
    Ancestor, st.builds(UUID, int=st.integers(0xC, 0xE)), st.just("A"), st.sampled_from([True, True, False])
)
places = st.builds(Place, st.lists(ancestors, max_size=2).map(tuple), st.sampled_from([True, True, False]))
details = st.builds(Details, st.sampled_from(["Dining", "Lunch", ""]), st.just(""), st.integers(-1, 2))
users = st.sampled_from([(), (), (User(ACTIVITY, "activity", "SPRING-26"),)])
entry_scripts = after_a_part_of(
    [catalogues.AddEntry(ENTRY, Kind.ACTIVITY_TYPE, "DINING", Details("Dining"), Place(), True)],
    st.builds(catalogues.ReviseEntry, st.just(ENTRY), st.just(Kind.ACTIVITY_TYPE), details, places, users),
    st.builds(catalogues.EnableEntry, st.lists(ancestors, max_size=2).map(tuple)),
    st.builds(catalogues.DisableEntry),
    st.builds(catalogues.RemoveEntry, st.just(Kind.ACTIVITY_TYPE), users),
)


@PROPERTY
@given(entry_scripts)
def test_revisions_of_an_entry_grow_by_one_with_every_edit_or_move(script: list[Any]) -> None:
    """PAR-03, PAR-25"""
    history = play(catalogues.DECIDERS[Kind.ACTIVITY_TYPE], script)
    revisions = [1, *(event.revision for event in history if isinstance(event, EntryRevised | EntryMoved))]
    assert all(later == earlier + 1 for earlier, later in pairwise(revisions))


@PROPERTY
@given(entry_scripts)
def test_no_entry_ever_stands_under_itself(script: list[Any]) -> None:
    """PAR-03"""
    history = play(catalogues.DECIDERS[Kind.ACTIVITY_TYPE], script)
    assert ENTRY not in [event.parent for event in history if isinstance(event, EntryMoved | EntryAdded)]


# --- All of them ----------------------------------------------------------

scripts = st.one_of(
    st.tuples(st.just(activities.DECIDER), activity_scripts),
    st.tuples(st.just(approvals.DECIDER), approval_scripts),
    st.tuples(st.just(catalogues.DECIDERS[Kind.ACTIVITY_TYPE]), entry_scripts),
)


@PROPERTY
@given(scripts)
def test_a_repeat_of_a_command_is_never_a_second_fact(
    script: tuple[Decider[Any, Any, Any], list[Any]],
) -> None:
    """PAR-05: a no-op or a clear refusal, never a second event."""
    decider, commands = script
    for end in range(1, len(commands) + 1):
        once = play(decider, commands[:end])
        assert play(decider, [*commands[:end], commands[end - 1]]) == once


@PROPERTY
@given(scripts)
def test_a_history_folds_in_parts_as_it_folds_at_once(
    script: tuple[Decider[Any, Any, Any], list[Any]],
) -> None:
    """ES-01, ES-03: what was decided can be read, whole or from any version on."""
    decider, commands = script
    history = play(decider, commands)
    whole = decider.fold(history)
    for middle in range(len(history) + 1):
        assert decider.fold(history[middle:], decider.fold(history[:middle])) == whole


@PROPERTY
@given(scripts, st.randoms(use_true_random=False))
def test_evolve_never_judges(script: tuple[Decider[Any, Any, Any], list[Any]], random: Any) -> None:
    """ES-01: rules that come later don't make lawful history unreadable: any order of facts can be folded."""
    decider, commands = script
    history = play(decider, commands)
    random.shuffle(history)
    decider.fold(history)


@pytest.mark.parametrize(
    ("capability", "decider", "drawn"),
    [
        (activities, activities.DECIDER, activity_scripts),
        (approvals, approvals.DECIDER, approval_scripts),
        (catalogues, catalogues.DECIDERS[Kind.ACTIVITY_TYPE], entry_scripts),
    ],
)
def test_the_scripts_reach_every_fact(
    capability: ModuleType, decider: Decider[Any, Any, Any], drawn: st.SearchStrategy[list[Any]]
) -> None:
    """Else the properties above would hold of nothing."""
    seen: set[type] = set()

    @PROPERTY
    @given(drawn)
    def run(script: list[Any]) -> None:
        seen.update(map(type, play(decider, script)))

    run()
    assert set(get_args(capability.Event)) == seen
