"""Cancellations: requests to annul a work order, each with reason, approval and who answers for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.shared.content import content_hash
from domain.shared.decider import Decider
from domain.shared.refusal import CommonRefusal, Refused, refuse_any
from domain.shared.text import name_faults

# --- Values ---------------------------------------------------------------

REASON_CHARACTERS_MAX = 1_000


class CancellationRefusal(StrEnum):
    CANCELLATION_NOT_PENDING = "cancellation_not_pending"
    NOT_YOUR_REQUEST = "not_your_request"
    POINTS_FILE_TAKEN = "points_file_taken"


@dataclass(frozen=True, slots=True)
class OrderedWork:
    """The work order as it stood when its cancellation was asked for; `status` is the one it returns to."""

    id: UUID
    number: str
    revision: int
    status: str


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestCancellation:
    """`approval` is the one that is opened for it, first of `level`."""

    work_order: OrderedWork
    org_unit: str
    reason: str
    approval: UUID
    level: str
    by: str


@dataclass(frozen=True, slots=True)
class ApproveCancellation:
    approval: UUID
    by: str


@dataclass(frozen=True, slots=True)
class BeginRecall:
    """Approved, but a points file is out: it counts when `file_name` comes back, and else not."""

    approval: UUID
    file_name: str
    by: str


@dataclass(frozen=True, slots=True)
class ConcludeRecall:
    is_back: bool


@dataclass(frozen=True, slots=True)
class RejectCancellation:
    approval: UUID
    level: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class WithdrawCancellation:
    by: str


Command = (
    RequestCancellation
    | ApproveCancellation
    | BeginRecall
    | ConcludeRecall
    | RejectCancellation
    | WithdrawCancellation
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class CancellationRequested:
    """`content_hash` covers the work order, as it stood, and the reason: it is what the approver sees."""

    work_order: OrderedWork
    org_unit: str
    reason: str
    approval: UUID
    content_hash: str
    level: str
    by: str


@dataclass(frozen=True, slots=True)
class CancellationApproved:
    work_order: UUID
    approval: UUID
    by: str


@dataclass(frozen=True, slots=True)
class CancellationRecallBegun:
    """All said yes; whether the work order is cancelled depends on the points file's coming back."""

    work_order: UUID
    approval: UUID
    file_name: str
    by: str


@dataclass(frozen=True, slots=True)
class CancellationRefused:
    """It came too late, for the reason `code`: the points system has taken `file_name`."""

    work_order: UUID
    approval: UUID
    code: str
    file_name: str


@dataclass(frozen=True, slots=True)
class CancellationRejected:
    work_order: UUID
    approval: UUID
    level: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class CancellationWithdrawn:
    work_order: UUID
    by: str


Event = (
    CancellationRequested
    | CancellationApproved
    | CancellationRecallBegun
    | CancellationRefused
    | CancellationRejected
    | CancellationWithdrawn
)

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    PENDING = "pending"
    RECALLING = "recalling"
    APPROVED = "approved"
    REFUSED = "refused"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Cancellation:
    status: Status = Status.UNKNOWN
    work_order: UUID | None = None
    org_unit: str = ""
    content_hash: str = ""
    approval: UUID | None = None
    requested_by: str = ""
    recall: CancellationRecallBegun | None = None


def evolve(cancellation: Cancellation, event: Event) -> Cancellation:
    match event:
        case CancellationRequested():
            return Cancellation(
                status=Status.PENDING,
                work_order=event.work_order.id,
                org_unit=event.org_unit,
                content_hash=event.content_hash,
                approval=event.approval,
                requested_by=event.by,
            )
        case CancellationApproved():
            return replace(cancellation, status=Status.APPROVED)
        case CancellationRecallBegun():
            return replace(cancellation, status=Status.RECALLING, recall=event)
        case CancellationRefused():
            return replace(cancellation, status=Status.REFUSED)
        case CancellationRejected():
            return replace(cancellation, status=Status.REJECTED)
        case CancellationWithdrawn():
            return replace(cancellation, status=Status.WITHDRAWN)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, cancellation: Cancellation) -> Sequence[Event]:
    match command:
        case RequestCancellation():
            return _request(command, cancellation)
        case ApproveCancellation(approval=approval, by=by):
            _require_pending(cancellation)
            _require_approval(cancellation, approval)
            return [CancellationApproved(work_order_of(cancellation), approval, by)]
        case BeginRecall(approval=approval, file_name=file_name, by=by):
            _require_pending(cancellation)
            _require_approval(cancellation, approval)
            return [CancellationRecallBegun(work_order_of(cancellation), approval, file_name, by)]
        case ConcludeRecall(is_back=is_back):
            return _conclude(is_back, cancellation)
        case RejectCancellation(approval=approval, level=level, reason=reason, by=by):
            _require_pending(cancellation)
            _require_approval(cancellation, approval)
            refuse_any(name_faults(reason, REASON_CHARACTERS_MAX * 2, "reason"))
            return [CancellationRejected(work_order_of(cancellation), approval, level, reason, by)]
        case WithdrawCancellation():
            return _withdraw(command, cancellation)
        case _:
            assert_never(command)


def _request(command: RequestCancellation, cancellation: Cancellation) -> Sequence[Event]:
    assert cancellation.status is Status.UNKNOWN, "the id of a new request is new"
    refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
    seen = content_hash((command.work_order, command.reason))
    return [
        CancellationRequested(
            work_order=command.work_order,
            org_unit=command.org_unit,
            reason=command.reason,
            approval=command.approval,
            content_hash=seen,
            level=command.level,
            by=command.by,
        )
    ]


def _conclude(is_back: bool, cancellation: Cancellation) -> Sequence[Event]:
    _require_known(cancellation)
    recall = cancellation.recall
    if recall is None or cancellation.status is not Status.RECALLING:
        return []
    if is_back:
        return [CancellationApproved(recall.work_order, recall.approval, recall.by)]
    code = CancellationRefusal.POINTS_FILE_TAKEN
    return [CancellationRefused(recall.work_order, recall.approval, code, recall.file_name)]


def _withdraw(command: WithdrawCancellation, cancellation: Cancellation) -> Sequence[Event]:
    if cancellation.status is Status.WITHDRAWN:
        return []
    _require_pending(cancellation)
    if command.by != cancellation.requested_by:
        raise Refused.because(CancellationRefusal.NOT_YOUR_REQUEST)
    return [CancellationWithdrawn(work_order_of(cancellation), command.by)]


# --- Rules ----------------------------------------------------------------


def work_order_of(cancellation: Cancellation) -> UUID:
    assert cancellation.work_order is not None, "a request is about a work order"
    return cancellation.work_order


def _require_known(cancellation: Cancellation) -> None:
    if cancellation.status is Status.UNKNOWN:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")


def _require_pending(cancellation: Cancellation) -> None:
    _require_known(cancellation)
    if cancellation.status is not Status.PENDING:
        raise Refused.because(CancellationRefusal.CANCELLATION_NOT_PENDING, status=cancellation.status)


def _require_approval(cancellation: Cancellation, approval: UUID) -> None:
    assert cancellation.approval == approval, "a request has one approval and never another"


DECIDER: Decider[Command, Cancellation, Event] = Decider("cancellation", Cancellation(), decide, evolve)
