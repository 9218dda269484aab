"""Approvals: Research judges whether a thing is sensible, Technology whether it is feasible.

An approval is opened for one revision of one subject, whatever it is, and is bound to what the
approvers saw. It fails closed: after its deadline nothing can be approved any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.shared.decider import Decider
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import name_faults, text_faults

# --- Values ---------------------------------------------------------------

COMMENT_CHARACTERS_MAX = 2_000


class Level(StrEnum):
    RESEARCH = "research"
    TECHNOLOGY = "technology"


TWO_LEVELS = (Level.RESEARCH, Level.TECHNOLOGY)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be approved: `kind` is its stream type, `label` what people call it."""

    kind: str
    id: UUID
    revision: int
    content_hash: str
    label: str
    org_unit: str


class ApprovalRefusal(StrEnum):
    WRONG_LEVEL = "wrong_level"
    NOT_YOUR_LEVEL = "not_your_level"
    NOT_PENDING = "not_pending"
    SEPARATION_OF_DUTIES = "separation_of_duties"
    STALE_REVISION = "stale_revision"
    STALE_CONTENT = "stale_content"
    SUBJECT_MOVED = "subject_moved"
    DEADLINE_PASSED = "deadline_passed"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenApproval:
    """`makers` wrote what is to be approved; `by` asks for it."""

    subject: Subject
    levels: tuple[Level, ...]
    decide_by: datetime
    by: str
    makers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What an approver decides upon. `may_decide` are the levels that he may decide at all.

    `revision` and `content_hash` are what he read; `hash_now` is the subject's content as it stands,
    with the revisions in which the things that it refers to stand now.
    """

    level: Level
    revision: int
    content_hash: str
    hash_now: str
    may_decide: frozenset[Level]
    now: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Approve:
    decision: Decision
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    decision: Decision
    reason: str


@dataclass(frozen=True, slots=True)
class VoidApproval:
    """The subject was edited or withdrawn."""

    reason: str


Command = OpenApproval | Approve | Reject | VoidApproval

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class ApprovalOpened:
    subject: Subject
    levels: tuple[Level, ...]
    decide_by: datetime
    by: str
    makers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalPassed:
    """One level said yes; `next_level` is asked, or nobody when the approval is granted with it."""

    subject: Subject
    level: Level
    next_level: Level | None
    comment: str
    by: str


@dataclass(frozen=True, slots=True)
class ApprovalGranted:
    subject: Subject


@dataclass(frozen=True, slots=True)
class ApprovalRejected:
    subject: Subject
    level: Level
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class ApprovalVoided:
    """The subject was edited or withdrawn before the last word: `reason` is a code."""

    subject: Subject
    reason: str


Event = ApprovalOpened | ApprovalPassed | ApprovalGranted | ApprovalRejected | ApprovalVoided

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    PENDING = "pending"
    GRANTED = "granted"
    REJECTED = "rejected"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Approval:
    status: Status = Status.UNKNOWN
    subject: Subject | None = None
    levels: tuple[Level, ...] = ()
    decide_by: datetime | None = None
    makers: tuple[str, ...] = ()
    passed_by: tuple[str, ...] = ()

    @property
    def level(self) -> Level | None:
        """The level whose word is awaited."""
        return self.levels[len(self.passed_by)] if self.status is Status.PENDING else None


def evolve(approval: Approval, event: Event) -> Approval:
    match event:
        case ApprovalOpened(subject=subject, levels=levels, decide_by=decide_by, makers=makers, by=by):
            return Approval(Status.PENDING, subject, levels, decide_by, (*makers, by))
        case ApprovalPassed(by=by):
            return replace(approval, passed_by=(*approval.passed_by, by))
        case ApprovalGranted():
            return replace(approval, status=Status.GRANTED)
        case ApprovalRejected():
            return replace(approval, status=Status.REJECTED)
        case ApprovalVoided():
            return replace(approval, status=Status.VOIDED)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, approval: Approval) -> Sequence[Event]:
    match command:
        case OpenApproval(subject=subject, levels=levels, decide_by=decide_by, makers=makers, by=by):
            assert approval.status is Status.UNKNOWN, "the id of a new approval is new"
            assert levels, "an approval has at least one level"
            return [ApprovalOpened(subject, levels, decide_by, by, makers)]
        case Approve():
            return _approve(command, approval)
        case Reject():
            return _reject(command, approval)
        case VoidApproval(reason=reason):
            if approval.status is not Status.PENDING:
                return []
            return [ApprovalVoided(subject_of(approval), reason)]
        case _:
            assert_never(command)


def _approve(command: Approve, approval: Approval) -> Sequence[Event]:
    made = command.decision
    faults = _decision_faults(made, approval)
    assert approval.decide_by is not None
    if made.now >= approval.decide_by:
        faults.append(Fault(ApprovalRefusal.DEADLINE_PASSED))
    if made.hash_now != subject_of(approval).content_hash:
        faults.append(Fault(ApprovalRefusal.SUBJECT_MOVED))
    refuse_any([*faults, *text_faults(command.comment, COMMENT_CHARACTERS_MAX, "comment")])
    subject, coming = subject_of(approval), approval.levels[len(approval.passed_by) + 1 :]
    next_level = coming[0] if coming else None
    passed = ApprovalPassed(subject, made.level, next_level, command.comment, made.by)
    return [passed] if next_level else [passed, ApprovalGranted(subject)]


def _reject(command: Reject, approval: Approval) -> Sequence[Event]:
    made = command.decision
    faults = _decision_faults(made, approval)
    refuse_any([*faults, *name_faults(command.reason, COMMENT_CHARACTERS_MAX, "reason")])
    return [ApprovalRejected(subject_of(approval), made.level, command.reason, made.by)]


# --- Rules ----------------------------------------------------------------


def subject_of(approval: Approval) -> Subject:
    assert approval.subject is not None, "an approval that was opened has a subject"
    return approval.subject


def _decision_faults(made: Decision, approval: Approval) -> list[Fault]:
    """What bars this person from deciding this; `Refused` at once when there is nothing to decide."""
    if approval.status is Status.UNKNOWN:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    if approval.level is None:
        raise Refused.because(ApprovalRefusal.NOT_PENDING, status=approval.status)
    faults = []
    if made.level not in made.may_decide:
        faults.append(Fault(ApprovalRefusal.NOT_YOUR_LEVEL, ("level",), {"level": made.level}))
    if made.level is not approval.level:
        faults.append(Fault(ApprovalRefusal.WRONG_LEVEL, ("level",), {"awaited": approval.level}))
    if made.by in (*approval.makers, *approval.passed_by):
        faults.append(Fault(ApprovalRefusal.SEPARATION_OF_DUTIES))
    subject = subject_of(approval)
    if made.revision != subject.revision:
        current = {"revision": str(subject.revision)}
        faults.append(Fault(ApprovalRefusal.STALE_REVISION, ("revision",), current))
    elif made.content_hash != subject.content_hash:
        faults.append(Fault(ApprovalRefusal.STALE_CONTENT, ("content_hash",)))
    return faults


DECIDER: Decider[Command, Approval, Event] = Decider("approval", Approval(), decide, evolve)
