"""Erasures: asked for by one, allowed by another, done once and for good."""

from dataclasses import replace
from typing import get_args
from uuid import UUID

from domain.erasures import (
    DECIDER,
    REASON_CHARACTERS_MAX,
    ApproveErasure,
    Command,
    CompleteErasure,
    ErasureApproved,
    ErasureCompleted,
    ErasureRefusal,
    ErasureRejected,
    ErasureRequested,
    ErasureWithdrawn,
    Event,
    PersonKind,
    RejectErasure,
    RequestErasure,
    Status,
    WithdrawErasure,
)
from domain.shared.content import content_hash
from domain.shared.refusal import CommonRefusal
from tests.given import Given, all_pairs, grid, outcome

erasure = Given(DECIDER)

KEY, APPROVAL, OTHER = (UUID(int=number) for number in (1, 2, 3))
request = RequestErasure(PersonKind.CUSTOMER, "C00000001", KEY, None, "asked", APPROVAL, "technology", "zhao")
HASH = content_hash({"kind": PersonKind.CUSTOMER, "key": KEY, "reason": "asked"})
requested = ErasureRequested(
    1, PersonKind.CUSTOMER, "C00000001", KEY, None, "asked", APPROVAL, HASH, "technology", "zhao"
)
approved, rejected = ErasureApproved(APPROVAL, "tan"), ErasureRejected(APPROVAL, "technology", "no", "tan")
withdrawn, completed = ErasureWithdrawn("zhao"), ErasureCompleted(5, 2)

STATUSES: dict[Status, tuple[Event, ...]] = {
    Status.IN_APPROVAL: (requested,),
    Status.APPROVED: (requested, approved),
    Status.REJECTED: (requested, rejected),
    Status.WITHDRAWN: (requested, withdrawn),
    Status.COMPLETED: (requested, approved, completed),
}
COMMANDS: dict[type, Command] = {
    RequestErasure: request,
    ApproveErasure: ApproveErasure(APPROVAL, "tan"),
    RejectErasure: RejectErasure(APPROVAL, "technology", "no", "tan"),
    WithdrawErasure: WithdrawErasure("zhao"),
}
ANSWERS = """
                in_approval      approved   rejected          withdrawn         completed
RequestErasure  under_way        under_way  ErasureRequested  ErasureRequested  under_way
ApproveErasure  ErasureApproved  no         no                no                no
RejectErasure   ErasureRejected  no         no                no                no
WithdrawErasure ErasureWithdrawn no         no                nothing           no
"""


def test_every_status_answers_every_command() -> None:
    """SEC-02: nobody takes an erasure back that was allowed"""
    answers = grid(ANSWERS)
    assert set(answers) == all_pairs(STATUSES, COMMANDS)
    assert {*COMMANDS, CompleteErasure} == set(get_args(Command))
    assert answers == {
        (kind.__name__, str(status)): outcome(DECIDER, history, command)
        .replace(ErasureRefusal.ERASURE_NOT_PENDING, "no")
        .replace(ErasureRefusal.ERASURE_UNDER_WAY, "under_way")
        for kind, command in COMMANDS.items()
        for status, history in STATUSES.items()
    }
    assert all(DECIDER.fold(history).status is status for status, history in STATUSES.items())


def test_it_is_completed_once_and_then_holds_nobodys_name() -> None:
    done = CompleteErasure(5, 2)
    erasure.given(requested, approved).when(done).then(completed)
    erasure.given(requested, approved, completed).when(replace(done, rows=0)).then_nothing()
    erasure.given(requested).when(done).then_defect()
    assert DECIDER.fold([requested, approved, completed]).person == ""


def test_a_request_needs_a_person_and_a_reason() -> None:
    erasure.when(request).then(requested)
    erasure.when(replace(request, reason=" ")).then_refused((CommonRefusal.REQUIRED, "reason"))
    too_long = replace(request, reason="x" * (REASON_CHARACTERS_MAX + 1))
    erasure.when(too_long).then_refused((CommonRefusal.TOO_LONG, "reason"))
    erasure.when(replace(request, person="a b")).then_refused((ErasureRefusal.BAD_PERSON, "person"))
    card = replace(request, person="4111111111111111")
    erasure.when(card).then_refused((CommonRefusal.CARD_NUMBER_IN_TEXT, "person"))
    user = replace(request, kind=PersonKind.USER, user=OTHER, person="lin", may_go=False)
    erasure.when(user).then_refused((ErasureRefusal.USER_NOT_DISABLED, "person"))


def test_only_who_asked_takes_it_back() -> None:
    other = WithdrawErasure("wu")
    erasure.given(requested).when(other).then_refused((ErasureRefusal.NOT_YOUR_ERASURE, "id"))
    erasure.when(other).then_refused((CommonRefusal.NOT_FOUND, "id"))


def test_another_approvals_verdict_counts_for_nothing() -> None:
    late = ApproveErasure(OTHER, "tan")
    erasure.given(requested).when(late).then_refused((ErasureRefusal.ERASURE_NOT_PENDING, "id"))
