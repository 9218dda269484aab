"""Erasures: a person is to be forgotten for good. Two people decide; then it is done, and stays done.

An erasure is one stream for each person, whose id follows from that of his key. His number or name is
personal itself: it is readable until he is erased, and to nobody afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from domain.points_files import CUSTOMER
from domain.shared.content import content_hash
from domain.shared.decider import Decider
from domain.shared.persons import ERASED
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import holds_card_number, name_faults

# --- Values ---------------------------------------------------------------

ERASURES = UUID("3c0c93be-54a6-5f0e-8f67-5d43c1c5ad0e")
"""The namespace of erasures' ids: for ever."""

REASON_CHARACTERS_MAX = 500


class PersonKind(StrEnum):
    """CUSTOMER: by his number in the warehouse. USER: by his account's name."""

    CUSTOMER = "customer"
    USER = "user"


class Status(StrEnum):
    UNKNOWN = "unknown"
    IN_APPROVAL = "in_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    COMPLETED = "completed"


class ErasureRefusal(StrEnum):
    ERASURE_UNDER_WAY = "erasure_under_way"
    ERASURE_NOT_PENDING = "erasure_not_pending"
    NOT_YOUR_ERASURE = "not_your_erasure"
    BAD_PERSON = "bad_person"
    USER_NOT_DISABLED = "user_not_disabled"


def erasure_id(key: UUID) -> UUID:
    return uuid5(ERASURES, str(key))


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestErasure:
    """`key` is the id of the person's key, `user` his account's, `level` the first that decides.
    `may_go`: he is no user who still comes in.
    """

    kind: PersonKind
    person: str
    key: UUID
    user: UUID | None
    reason: str
    approval: UUID
    level: str
    by: str
    may_go: bool = True


@dataclass(frozen=True, slots=True)
class ApproveErasure:
    approval: UUID
    by: str


@dataclass(frozen=True, slots=True)
class RejectErasure:
    approval: UUID
    level: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class WithdrawErasure:
    by: str


@dataclass(frozen=True, slots=True)
class CompleteErasure:
    """His key is destroyed, and nothing of his was found any more; `rows` and `files` went this time."""

    rows: int
    files: int


Command = RequestErasure | ApproveErasure | RejectErasure | WithdrawErasure | CompleteErasure

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class ErasureRequested:
    """`person` is empty once he is erased. The hash covers kind, key and reason: what is decided upon."""

    revision: int
    kind: PersonKind
    person: str
    key: UUID
    user: UUID | None
    reason: str
    approval: UUID
    content_hash: str
    level: str
    by: str


@dataclass(frozen=True, slots=True)
class ErasureApproved:
    approval: UUID
    by: str


@dataclass(frozen=True, slots=True)
class ErasureRejected:
    approval: UUID
    level: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class ErasureWithdrawn:
    by: str


@dataclass(frozen=True, slots=True)
class ErasureCompleted:
    rows: int
    files: int


Event = ErasureRequested | ErasureApproved | ErasureRejected | ErasureWithdrawn | ErasureCompleted

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Erasure:
    status: Status = Status.UNKNOWN
    revision: int = 0
    kind: PersonKind = PersonKind.CUSTOMER
    person: str = ERASED
    key: UUID | None = None
    user: UUID | None = None
    approval: UUID | None = None
    content_hash: str = ""
    requested_by: str = ""


def evolve(erasure: Erasure, event: Event) -> Erasure:
    match event:
        case ErasureRequested():
            return Erasure(
                Status.IN_APPROVAL,
                event.revision,
                event.kind,
                event.person,
                event.key,
                event.user,
                event.approval,
                event.content_hash,
                event.by,
            )
        case ErasureApproved():
            return replace(erasure, status=Status.APPROVED)
        case ErasureRejected():
            return replace(erasure, status=Status.REJECTED)
        case ErasureWithdrawn():
            return replace(erasure, status=Status.WITHDRAWN)
        case ErasureCompleted():
            return replace(erasure, status=Status.COMPLETED, person=ERASED)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, erasure: Erasure) -> Sequence[Event]:
    match command:
        case RequestErasure():
            return _request(command, erasure)
        case ApproveErasure(approval=approval, by=by):
            _require_pending(erasure, approval)
            return [ErasureApproved(approval, by)]
        case RejectErasure(approval=approval, level=level, reason=reason, by=by):
            _require_pending(erasure, approval)
            return [ErasureRejected(approval, level, reason, by)]
        case WithdrawErasure(by=by):
            return _withdraw(erasure, by)
        case CompleteErasure(rows=rows, files=files):
            assert erasure.status in (Status.APPROVED, Status.COMPLETED), "nobody is erased without a yes"
            return [] if erasure.status is Status.COMPLETED else [ErasureCompleted(rows, files)]
        case _:
            assert_never(command)


def _request(command: RequestErasure, erasure: Erasure) -> Sequence[Event]:
    """Once more after a no; who is being erased, or was, is refused."""
    if erasure.status in (Status.IN_APPROVAL, Status.APPROVED, Status.COMPLETED):
        raise Refused.because(ErasureRefusal.ERASURE_UNDER_WAY, "person", status=erasure.status)
    faults = [*name_faults(command.reason, REASON_CHARACTERS_MAX, "reason")]
    if not CUSTOMER.fullmatch(command.person) and command.kind is PersonKind.CUSTOMER:
        faults.append(Fault(ErasureRefusal.BAD_PERSON, ("person",)))
    elif holds_card_number(command.person):
        faults.append(Fault(CommonRefusal.CARD_NUMBER_IN_TEXT, ("person",)))
    if not command.may_go:
        faults.append(Fault(ErasureRefusal.USER_NOT_DISABLED, ("person",)))
    refuse_any(faults)
    hashed = content_hash({"kind": command.kind, "key": command.key, "reason": command.reason})
    return [
        ErasureRequested(
            erasure.revision + 1,
            command.kind,
            command.person,
            command.key,
            command.user,
            command.reason,
            command.approval,
            hashed,
            command.level,
            command.by,
        )
    ]


def _withdraw(erasure: Erasure, by: str) -> Sequence[Event]:
    if erasure.status is Status.UNKNOWN:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    if erasure.requested_by != by:
        raise Refused.because(ErasureRefusal.NOT_YOUR_ERASURE, "id")
    if erasure.status is Status.WITHDRAWN:
        return []
    if erasure.status is not Status.IN_APPROVAL:
        raise Refused.because(ErasureRefusal.ERASURE_NOT_PENDING, "id", status=erasure.status)
    return [ErasureWithdrawn(by)]


def _require_pending(erasure: Erasure, approval: UUID) -> None:
    if erasure.status is not Status.IN_APPROVAL or erasure.approval != approval:
        raise Refused.because(ErasureRefusal.ERASURE_NOT_PENDING, "id", status=erasure.status)


DECIDER: Decider[Command, Erasure, Event] = Decider("erasure", Erasure(), decide, evolve)
