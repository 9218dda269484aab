"""Cancellations: one reason, one verdict, both by name."""

from dataclasses import replace
from typing import get_args
from uuid import UUID

import pytest

from domain.cancellations import (
    DECIDER,
    REASON_CHARACTERS_MAX,
    ApproveCancellation,
    BeginRecall,
    CancellationApproved,
    CancellationRecallBegun,
    CancellationRefusal,
    CancellationRefused,
    CancellationRejected,
    CancellationRequested,
    CancellationWithdrawn,
    Command,
    ConcludeRecall,
    Event,
    OrderedWork,
    RejectCancellation,
    RequestCancellation,
    Status,
    WithdrawCancellation,
)
from domain.shared.content import content_hash
from domain.shared.refusal import CommonRefusal
from tests.given import Given, all_pairs, grid, outcome

cancellation = Given(DECIDER)

ORDER = OrderedWork(UUID(int=1), "WO-2026-000001", 3, "executing")
APPROVAL, OTHER_APPROVAL = UUID(int=2), UUID(int=3)
request = RequestCancellation(ORDER, "HO", "no budget", APPROVAL, "technology", "lin")
HASH = content_hash((ORDER, "no budget"))
requested = CancellationRequested(ORDER, "HO", "no budget", APPROVAL, HASH, "technology", "lin")
approved = CancellationApproved(ORDER.id, APPROVAL, "tan")
rejected = CancellationRejected(ORDER.id, APPROVAL, "technology", "it is nearly done", "tan")
withdrawn = CancellationWithdrawn(ORDER.id, "lin")
recalling = CancellationRecallBegun(ORDER.id, APPROVAL, "POINTS_CC_20260301_0001.txt", "tan")
refusal = CancellationRefused(ORDER.id, APPROVAL, "points_file_taken", "POINTS_CC_20260301_0001.txt")

STATUSES: dict[Status, tuple[Event, ...]] = {
    Status.PENDING: (requested,),
    Status.APPROVED: (requested, approved),
    Status.REJECTED: (requested, rejected),
    Status.WITHDRAWN: (requested, withdrawn),
    Status.RECALLING: (requested, recalling),
    Status.REFUSED: (requested, recalling, refusal),
}
COMMANDS: dict[type, Command] = {
    ApproveCancellation: ApproveCancellation(APPROVAL, "tan"),
    RejectCancellation: RejectCancellation(APPROVAL, "technology", "it is nearly done", "tan"),
    WithdrawCancellation: WithdrawCancellation("lin"),
    BeginRecall: BeginRecall(APPROVAL, "POINTS_CC_20260301_0001.txt", "tan"),
    ConcludeRecall: ConcludeRecall(True),
}
ANSWERS = """
                     pending                 approved  rejected  withdrawn recalling            refused
ApproveCancellation  CancellationApproved    no        no        no        no                   no
RejectCancellation   CancellationRejected    no        no        no        no                   no
WithdrawCancellation CancellationWithdrawn   no        no        nothing   no                   no
BeginRecall          CancellationRecallBegun no        no        no        no                   no
ConcludeRecall       nothing                 nothing   nothing   nothing   CancellationApproved nothing
"""


def test_every_status_answers_every_command_as_the_state_machine_says() -> None:
    """WO-14: pending leads to approved, rejected or withdrawn, and nothing leads on from there."""
    answers = grid(ANSWERS)
    assert set(answers) == all_pairs(STATUSES, COMMANDS)
    assert {*COMMANDS, RequestCancellation} == set(get_args(Command))
    assert answers == {
        (kind.__name__, str(status)): outcome(DECIDER, history, command).replace(
            CancellationRefusal.CANCELLATION_NOT_PENDING, "no"
        )
        for kind, command in COMMANDS.items()
        for status, history in STATUSES.items()
    }
    assert all(DECIDER.fold(history).status is status for status, history in STATUSES.items())


def test_what_is_recalled_too_late_is_refused_and_names_the_file() -> None:
    """WO-16"""
    cancellation.given(requested, recalling).when(ConcludeRecall(False)).then(refusal)
    cancellation.given(requested, recalling).when(ConcludeRecall(True)).then(approved)


def test_who_asked_why_and_who_decided_why_are_in_the_facts() -> None:
    """WO-15"""
    cancellation.when(request).then(requested)
    cancellation.given(requested).when(COMMANDS[ApproveCancellation]).then(approved)
    cancellation.given(requested).when(COMMANDS[RejectCancellation]).then(rejected)


def test_a_request_and_a_rejection_need_their_reasons() -> None:
    """WO-08, WO-15"""
    too_long = "x" * (REASON_CHARACTERS_MAX + 1)
    cancellation.when(replace(request, reason=" ")).then_refused((CommonRefusal.REQUIRED, "reason"))
    cancellation.when(replace(request, reason=too_long)).then_refused((CommonRefusal.TOO_LONG, "reason"))
    silent = RejectCancellation(APPROVAL, "technology", " ", "tan")
    cancellation.given(requested).when(silent).then_refused((CommonRefusal.REQUIRED, "reason"))


def test_only_who_asked_withdraws() -> None:
    """WO-14"""
    other = WithdrawCancellation("wu")
    cancellation.given(requested).when(other).then_refused(CancellationRefusal.NOT_YOUR_REQUEST)


def test_a_verdict_of_another_approval_is_a_defect() -> None:
    cancellation.given(requested).when(ApproveCancellation(OTHER_APPROVAL, "tan")).then_defect()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: type(command).__name__)
def test_what_is_not_there_is_not_found(command: Command) -> None:
    cancellation.when(command).then_refused((CommonRefusal.NOT_FOUND, "id"))


@pytest.mark.parametrize(
    "other",
    [
        replace(request, reason="another"),
        replace(request, work_order=replace(ORDER, revision=4)),
        replace(request, work_order=replace(ORDER, status="failed")),
    ],
)
def test_what_the_approver_sees_covers_the_work_order_and_the_reason(other: RequestCancellation) -> None:
    """WO-13"""
    (event,) = DECIDER.decide(other, DECIDER.initial)
    assert isinstance(event, CancellationRequested)
    assert event.content_hash != HASH
