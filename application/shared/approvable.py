"""What anything must offer to be approved, and how it opens and voids its approval."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from application.shared.identifiers import uuid7
from domain.approvals import DECIDER, TWO_LEVELS, Level, OpenApproval, Subject, VoidApproval

if TYPE_CHECKING:
    from application.shared.work import Work


DEFAULT_LEVELS: Mapping[str, tuple[Level, ...]] = {
    "cancellation": (Level.TECHNOLOGY,),
    "erasure": (Level.TECHNOLOGY,),
}
"""The kinds of subject that do not pass both levels, unless the bank wants it otherwise."""


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Which levels a kind of subject passes (the usual, unless named here), and how long they may take."""

    levels: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)
    decide_within: timedelta = timedelta(days=14)

    def levels_of(self, kind: str) -> tuple[Level, ...]:
        return self.levels.get(kind, DEFAULT_LEVELS.get(kind, TWO_LEVELS))


@dataclass(frozen=True, slots=True)
class Approvable:
    """How a kind of subject takes part: its content's hash as of now, and what a verdict does to it."""

    hash_now: "Callable[[Work, UUID], str]"
    grant: "Callable[[Work, UUID, UUID], None]"
    reject: "Callable[[Work, UUID, UUID, Level, str], None]"


def new_approval() -> UUID:
    return uuid7()


def open_approval(work: "Work", approval: UUID, subject: Subject, makers: tuple[str, ...]) -> None:
    levels = work.policy.levels_of(subject.kind)
    decide_by = work.now + work.policy.decide_within
    work.begin(DECIDER, approval, OpenApproval(subject, levels, decide_by, work.principal.user, makers))


def void_approval(work: "Work", approval: UUID | None, reason: str) -> None:
    """`reason` is a code that people see in their own language: "subject_revised"."""
    if approval is not None:
        work.decide(DECIDER, approval, VoidApproval(reason))
