"""Real races, many at once: in whatever order threads come, no rule breaks between two commands.

The limit of one round is 64 pairs; rounds are repeated so that each race meets its bad moment many times.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any
from uuid import UUID

import pytest

from application.activities import Chosen, CostLineEntry, PlanEntry
from application.shared.records import Receipt
from domain.activities import DECIDER as ACTIVITY
from domain.activities import ActivityApproved, ActivityRefusal, ActivityRevised, ActivitySubmitted, Status
from domain.activity_plans import PlanRefusal
from domain.approvals import (
    ApprovalGranted,
    ApprovalOpened,
    ApprovalPassed,
    ApprovalRefusal,
    ApprovalRejected,
    ApprovalVoided,
    Level,
)
from domain.catalogues import CatalogueRefusal, EntryAdded, EntryRemoved, EntryRevised, Kind
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Refused
from tests.application.bank import LIN, MAO, RAO, TAN, Bank, at_once, codes, person

TYPE, COST = Kind.ACTIVITY_TYPE, Kind.COST_TYPE
PAIRS, ROUNDS = 64, 5

Call = Callable[[], object]


def pairs_at_once(pairs: list[tuple[Call, Call]]) -> list[tuple[object, object]]:
    """All at once; half of the pairs begin with their first call, half with their second."""
    turned = [pair if index % 2 else pair[::-1] for index, pair in enumerate(pairs)]
    answers = at_once(list(chain.from_iterable(turned)))
    found = zip(answers[::2], answers[1::2], strict=True)
    return [pair if index % 2 else pair[::-1] for index, pair in enumerate(found)]


def is_won(answer: object) -> bool:
    return not isinstance(answer, Refused)


def pinned(bank: Bank, type_: UUID, cost_type: UUID) -> PlanEntry:
    """A plan with the cost type in its first revision, which is the one that its maker saw."""
    [line] = bank.plan(type_, cost_type).cost_lines
    seen = CostLineEntry(Chosen(cost_type, 1), line.amount)
    return bank.plan(type_, cost_lines=(seen,))


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_cost_type_is_attached_or_renamed_but_never_both(bank: Bank, round_: int) -> None:
    """PAR-17: attach and rename sent at once: exactly one wins, and the log proves it.

    In every other round each of the two is sent to a process of its own.
    """
    type_ = bank.furnished().add_type("Dining")
    renamer = bank.another_process() if round_ % 2 else bank
    fees = [bank.add_cost_type(f"Fee {number}") for number in range(PAIRS)]
    answers = pairs_at_once(
        [
            (
                lambda fee=fee: bank.draft(pinned(bank, type_, fee)),
                lambda fee=fee, number=number: renamer.rename(COST, fee, f"Text {number}"),
            )
            for number, fee in enumerate(fees)
        ]
    )
    for fee, (attached, renamed) in zip(fees, answers, strict=True):
        added, *later = bank.events(fee)
        assert isinstance(added, EntryAdded)
        if is_won(attached):
            assert isinstance(attached, UUID)
            assert codes(renamed) == [CatalogueRefusal.IN_USE], round_
            assert later == []
            [line] = bank.events(attached)[0].plan.cost_lines
            assert line.cost_type == Reference(fee, 1)
            assert [user.id for user in bank.log.users(fee)] == [attached]
        else:
            assert codes(attached) == [PlanRefusal.REFERENCE_CHANGED], round_
            assert isinstance(renamed, Receipt)
            assert [type(event) for event in later] == [EntryRevised]
            assert bank.log.users(fee) == ()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_cost_type_is_attached_by_a_revision_or_renamed_but_never_both(bank: Bank, round_: int) -> None:
    """PAR-17: also when the activity was there before, and both name the versions that they saw."""
    type_ = bank.add_type("Dining")
    fees = [bank.add_cost_type(f"Fee {number}") for number in range(PAIRS)]
    drafts = [bank.draft(bank.plan(type_)) for _ in fees]
    answers = pairs_at_once(
        [
            (
                lambda fee=fee, draft=draft: bank.revise(draft, pinned(bank, type_, fee), expected_version=1),
                lambda fee=fee: bank.rename(COST, fee, f"Text {fee}", expected_version=1),
            )
            for fee, draft in zip(fees, drafts, strict=True)
        ]
    )
    for fee, draft, (attached, renamed) in zip(fees, drafts, answers, strict=True):
        assert is_won(attached) != is_won(renamed), (round_, attached, renamed)
        assert bank.version(draft) == (2 if is_won(attached) else 1)
        assert bank.version(fee) == (2 if is_won(renamed) else 1)


def test_a_cost_type_is_attached_or_removed_but_never_both(bank: Bank) -> None:
    """PAR-17: no activity ever refers to what is gone."""
    type_ = bank.furnished().add_type("Dining")
    fees = [bank.add_cost_type(f"Fee {number}") for number in range(PAIRS)]
    answers = pairs_at_once(
        [
            (lambda fee=fee: bank.draft(bank.plan(type_, fee)), lambda fee=fee: bank.remove(COST, fee))
            for fee in fees
        ]
    )
    for fee, (attached, removed) in zip(fees, answers, strict=True):
        if is_won(attached):
            assert codes(removed) == [CatalogueRefusal.IN_USE]
            assert bank.version(fee) == 1
        else:
            assert codes(attached) == [CommonRefusal.NOT_FOUND]
            assert bank.events(fee)[1:] == [EntryRemoved()]
            assert is_won(removed)


def test_a_child_is_added_or_its_parent_removed_but_never_both(bank: Bank) -> None:
    """PAR-04: no entry ever stands under one that is gone."""
    parents = [bank.add_type(f"Parent {number}") for number in range(PAIRS)]
    answers = pairs_at_once(
        [
            (
                lambda parent=parent: bank.add_type("Child", parent=parent),
                lambda parent=parent: bank.remove(TYPE, parent),
            )
            for parent in parents
        ]
    )
    for parent, (added, removed) in zip(parents, answers, strict=True):
        if is_won(added):
            assert isinstance(added, UUID)
            assert codes(removed) == [CatalogueRefusal.HAS_CHILDREN]
            assert bank.entry(TYPE, added).parent == parent
            assert bank.entry(TYPE, parent).is_known
        else:
            assert codes(added) == [CatalogueRefusal.PARENT_NOT_FOUND]
            assert is_won(removed)


def test_two_moves_never_make_a_cycle(bank: Bank) -> None:
    """PAR-03: A under B and B under A at once: one wins, or each would be the other's ancestor."""
    pairs = [(bank.add_type(f"A{number}"), bank.add_type(f"B{number}")) for number in range(PAIRS)]
    answers = pairs_at_once(
        [(lambda a=a, b=b: bank.move(a, b), lambda a=a, b=b: bank.move(b, a)) for a, b in pairs]
    )
    for (a, b), (a_moved, b_moved) in zip(pairs, answers, strict=True):
        parents = (bank.entry(TYPE, a).parent, bank.entry(TYPE, b).parent)
        assert parents == ((b, None) if is_won(a_moved) else (None, a))
        assert codes(b_moved if is_won(a_moved) else a_moved) == [CatalogueRefusal.CYCLE]


def test_a_long_way_round_is_a_cycle_too(bank: Bank) -> None:
    """PAR-03: three trees A, B, C, each moved under the leaf of the next, all at once."""
    rings = []
    for number in range(PAIRS // 4):
        roots = [bank.add_type(f"{name}{number}") for name in "ABC"]
        rings.append([(root, bank.add_type("leaf", parent=root)) for root in roots])
    calls: list[Call] = []
    for ring in rings:
        for index, (root, _) in enumerate(ring):
            _, leaf = ring[(index + 1) % 3]
            calls.append(lambda root=root, leaf=leaf: bank.move(root, leaf))
    answers = at_once(calls)
    for number, ring in enumerate(rings):
        assert sum(map(is_won, answers[3 * number : 3 * number + 3])) == 2
        for root, _ in ring:
            steps, parent = 0, bank.entry(TYPE, root).parent
            while parent is not None:
                steps, parent = steps + 1, bank.entry(TYPE, parent).parent
                assert steps <= 6, "a cycle"


def only_one_wins(answers: list[Any], code: str) -> None:
    assert sorted(map(codes, answers)) == [[]] + [[code]] * (len(answers) - 1)


def test_of_many_who_claim_one_name_one_gets_it(bank: Bank) -> None:
    """PAR-02: the same sibling name, in any spelling, 64 at once."""
    parent = bank.add_type("Card use")
    names = ["Dining", "dining", " DINING", "dInInG "]
    before = bank.count_events()
    calls = [lambda n=n: bank.add_type(names[n % 4], parent=parent) for n in range(64)]
    only_one_wins(at_once(calls), CommonRefusal.NAME_TAKEN)
    assert bank.count_events() == before + 3


def test_of_many_who_rename_to_one_name_one_gets_it(bank: Bank) -> None:
    """PAR-02"""
    entries = [bank.add_type(f"T{number}") for number in range(64)]
    calls = [lambda entry=entry: bank.rename(TYPE, entry, "Dining") for entry in entries]
    only_one_wins(at_once(calls), CommonRefusal.NAME_TAKEN)
    assert [bank.entry(TYPE, entry).details.name for entry in entries].count("Dining") == 1


def test_of_many_who_claim_one_code_one_gets_it(bank: Bank) -> None:
    """PAR-02, ACT-04: entries and activities alike."""
    calls = [lambda n=n: bank.add_cost_type(f"Fee {n}", code="SMS") for n in range(64)]
    only_one_wins(at_once(calls), CommonRefusal.CODE_TAKEN)
    plan = bank.plan(bank.add_type("Dining"))
    only_one_wins(at_once([lambda: bank.draft(plan, "SPRING-26")] * 64), CommonRefusal.CODE_TAKEN)


@pytest.mark.parametrize("level", Level)
def test_of_many_decisions_at_one_level_one_counts(bank: Bank, level: Level) -> None:
    """APR-03, APR-10: 64 people say yes or no at once: one outcome, and the log holds no other."""
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    approval = bank.submit(activity)
    if level is Level.TECHNOLOGY:
        bank.approve(approval, by=RAO)
    before, seen = bank.version(approval), bank.seen(approval)
    crowd = [person(f"p{number}", *MAO.roles) for number in range(64)]
    answers = at_once(
        [
            lambda n=n, by=by: (bank.approve if n % 2 else bank.reject)(approval, by=by, seen=seen)
            for n, by in enumerate(crowd)
        ]
    )
    [winner] = [index for index, answer in enumerate(answers) if is_won(answer)]
    decided, *rest = bank.events(approval)[before:]
    assert isinstance(decided, ApprovalPassed if winner % 2 else ApprovalRejected)
    assert decided.by == f"p{winner}"
    is_granted = winner % 2 == 1 and level is Level.TECHNOLOGY
    assert [type(event) for event in rest] == ([ApprovalGranted] if is_granted else [])
    expected = {
        "approved at research": Status.IN_APPROVAL,
        "approved at technology": Status.APPROVED,
    }.get(f"{'approved' if winner % 2 else 'rejected'} at {level}", Status.REJECTED)
    assert bank.activity(activity).status is expected
    losers = {code for answer in answers if not is_won(answer) for code in codes(answer)}
    assert losers <= {
        ApprovalRefusal.WRONG_LEVEL,
        ApprovalRefusal.NOT_PENDING,
        ActivityRefusal.NOT_IN_APPROVAL,
        CommonRefusal.VERSION_CONFLICT,
    }


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_no_revision_is_approved_but_the_one_that_was_seen(bank: Bank, round_: int) -> None:
    """APR-09: the last yes and an edit at once: approved then edited, or edited and never approved."""
    type_ = bank.add_type("Dining")
    activities = [bank.draft(bank.plan(type_)) for _ in range(PAIRS)]
    approvals = [bank.submit(activity) for activity in activities]
    for approval in approvals:
        bank.approve(approval, by=RAO)
    seen = [bank.seen(approval) for approval in approvals]
    edited = bank.plan(type_, name=f"Edited {round_}")
    editor = bank.another_process() if round_ % 2 else bank
    answers = pairs_at_once(
        [
            (
                lambda n=n: bank.approve(approvals[n], by=TAN, seen=seen[n]),
                lambda n=n: editor.revise(activities[n], edited),
            )
            for n in range(PAIRS)
        ]
    )
    for activity, approval, (approved, revised) in zip(activities, approvals, answers, strict=True):
        _, submitted, *later = bank.events(activity)
        assert isinstance(submitted, ActivitySubmitted)
        assert is_won(revised)
        last_word = bank.events(approval)[-1]
        if is_won(approved):
            assert [type(event) for event in later] == [ActivityApproved, ActivityRevised]
            assert isinstance(last_word, ApprovalGranted)
        else:
            assert codes(approved) in ([ApprovalRefusal.NOT_PENDING], [ApprovalRefusal.SUBJECT_MOVED])
            assert [type(event) for event in later] == [ActivityRevised]
            assert isinstance(last_word, ApprovalVoided)
        prove_every_approval(bank, activity)
        assert bank.activity(activity).status is Status.DRAFT


def prove_every_approval(bank: Bank, activity: UUID) -> None:
    """Each approval that the log holds is of the revision and hash that its approval was opened for."""
    events = bank.events(activity)
    for end, event in enumerate(events):
        if isinstance(event, ActivityApproved):
            before = ACTIVITY.fold(events[:end])
            opened = bank.events(event.approval)[0]
            assert isinstance(opened, ApprovalOpened)
            submitted = next(e for e in reversed(events[:end]) if isinstance(e, ActivitySubmitted))
            assert before.status is Status.IN_APPROVAL
            assert before.revision == event.revision == submitted.revision == opened.subject.revision
            assert submitted.content_hash == opened.subject.content_hash


def test_no_approval_outlives_a_rename_of_what_it_refers_to(bank: Bank) -> None:
    """APR-09: the last yes and a rename of the activity's type at once: what was seen is what is approved."""
    types = [bank.add_type(f"T{number}") for number in range(PAIRS)]
    activities = [bank.draft(bank.plan(type_)) for type_ in types]
    approvals = [bank.submit(activity) for activity in activities]
    for approval in approvals:
        bank.approve(approval, by=RAO)
    seen = [bank.seen(approval) for approval in approvals]
    answers = pairs_at_once(
        [
            (
                lambda n=n: bank.approve(approvals[n], by=TAN, seen=seen[n]),
                lambda n=n: bank.rename(TYPE, types[n], f"Renamed {n}"),
            )
            for n in range(PAIRS)
        ]
    )
    for type_, activity, (approved, renamed) in zip(types, activities, answers, strict=True):
        assert is_won(renamed)
        if is_won(approved):
            assert list(bank.log.records(activity))[-1].position < list(bank.log.records(type_))[-1].position
        else:
            assert codes(approved) == [ApprovalRefusal.SUBJECT_MOVED]


def test_a_type_is_disabled_or_chosen_but_never_first_disabled_and_then_chosen(bank: Bank) -> None:
    """PAR-08: the ancestor is disabled while an activity of its descendant is drafted."""
    bank.furnished()
    roots = [bank.add_type(f"T{number}") for number in range(PAIRS)]
    leaves = [bank.add_type("leaf", parent=root) for root in roots]
    answers = pairs_at_once(
        [
            (lambda leaf=leaf: bank.draft(bank.plan(leaf)), lambda root=root: bank.disable(TYPE, root))
            for root, leaf in zip(roots, leaves, strict=True)
        ]
    )
    for root, (drafted, disabled) in zip(roots, answers, strict=True):
        assert is_won(disabled)
        if is_won(drafted):
            assert isinstance(drafted, UUID)
            [draft] = bank.log.records(drafted)
            assert draft.position < list(bank.log.records(root))[-1].position
        else:
            assert codes(drafted) == [PlanRefusal.REFERENCE_DISABLED]


def test_submitting_many_times_at_once_opens_one_approval(bank: Bank) -> None:
    """APR-09"""
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    before = bank.count_events()
    answers = at_once([lambda: bank.submit(activity, by=LIN)] * 64)
    assert len({answer for answer in answers if is_won(answer)}) == 1
    assert bank.count_events() == before + 2
