"""Work orders: a department asks for customers to be picked; two levels approve, then it is executed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain import work_order_executions as executions
from domain.activity_plans import Choice
from domain.shared.content import content_hash
from domain.shared.decider import Decider
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Refused, refuse_any
from domain.shared.text import name_faults
from domain.work_order_contents import (
    ActivityChoice,
    Content,
    ContentDraft,
    Kind,
    reference_faults,
    sound_content,
)
from domain.work_order_executions import Execution
from domain.work_order_statuses import (
    CANCELLABLE,
    DEFINABLE,
    EDITABLE,
    RELEASABLE,
    Status,
    WorkOrderRefusal,
    require_status,
)

# --- Values ---------------------------------------------------------------

REASON_CHARACTERS_MAX = 1_000
NUMBER_MOST = 999_999


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DraftWorkOrder:
    """`number` is nobody else's: whoever gives the command has claimed it."""

    number: str
    kind: Kind
    org_unit: str
    draft: ContentDraft
    by: str


@dataclass(frozen=True, slots=True)
class ReviseWorkOrder:
    draft: ContentDraft
    by: str


@dataclass(frozen=True, slots=True)
class SubmitWorkOrder:
    """Ask for approval, first of `level`. The choices tell how what the content refers to stands now."""

    approval: UUID
    activity: ActivityChoice
    customer_group: Choice
    department: Choice
    level: str
    by: str


@dataclass(frozen=True, slots=True)
class WithdrawWorkOrder:
    by: str


@dataclass(frozen=True, slots=True)
class RecordApproval:
    approval: UUID


@dataclass(frozen=True, slots=True)
class RecordRejection:
    """`level` is the one that said no."""

    approval: UUID
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class RequestCancellation:
    """`cancellation` is a request of its own, with its own approval."""

    cancellation: UUID
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class RecordCancellation:
    cancellation: UUID


@dataclass(frozen=True, slots=True)
class RestoreWorkOrder:
    """The cancellation was rejected or withdrawn."""

    cancellation: UUID


Command = (
    DraftWorkOrder
    | ReviseWorkOrder
    | SubmitWorkOrder
    | WithdrawWorkOrder
    | RecordApproval
    | RecordRejection
    | executions.Command
    | RequestCancellation
    | RecordCancellation
    | RestoreWorkOrder
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class WorkOrderDrafted:
    number: str
    kind: Kind
    org_unit: str
    content: Content
    by: str


@dataclass(frozen=True, slots=True)
class WorkOrderRevised:
    """The content in its next revision; an approval that was asked for or given is void from here on."""

    revision: int
    content: Content
    by: str


@dataclass(frozen=True, slots=True)
class WorkOrderSubmitted:
    """`content_hash` covers the content and the revisions that it refers to; `level` is asked first."""

    revision: int
    approval: UUID
    content_hash: str
    level: str
    by: str


@dataclass(frozen=True, slots=True)
class WorkOrderWithdrawn:
    revision: int
    approval: UUID
    by: str


@dataclass(frozen=True, slots=True)
class WorkOrderApproved:
    revision: int
    approval: UUID


@dataclass(frozen=True, slots=True)
class WorkOrderRejected:
    revision: int
    approval: UUID
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkOrderCancellationRequested:
    """`former` is the status to which a rejection or withdrawal of the request leads back."""

    cancellation: UUID
    former: Status
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class WorkOrderCancelled:
    cancellation: UUID


@dataclass(frozen=True, slots=True)
class WorkOrderRestored:
    """Back in `status`: the former one, or what its run came to while the request was open."""

    cancellation: UUID
    status: Status


Event = (
    WorkOrderDrafted
    | WorkOrderRevised
    | WorkOrderSubmitted
    | WorkOrderWithdrawn
    | WorkOrderApproved
    | WorkOrderRejected
    | executions.Event
    | WorkOrderCancellationRequested
    | WorkOrderCancelled
    | WorkOrderRestored
)

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """Only what decisions need. `former` is the status under a pending cancellation; `makers` are all who
    drafted or revised the content; `approval` is the one that the current revision was submitted to.
    """

    status: Status = Status.UNKNOWN
    revision: int = 0
    number: str = ""
    kind: Kind = Kind.ACTIVITY
    org_unit: str = ""
    content: Content | None = None
    approval: UUID | None = None
    makers: tuple[str, ...] = ()
    execution: Execution = field(default_factory=Execution)
    cancellation: UUID | None = None
    former: Status = Status.UNKNOWN

    @property
    def progress(self) -> Status:
        return self.former if self.status is Status.CANCELLATION_PENDING else self.status

    @property
    def execution_at(self) -> datetime | None:
        return None if self.content is None else self.content.execution_at

    @property
    def definition(self) -> Reference | None:
        return self.execution.definition

    @property
    def run(self) -> UUID | None:
        return self.execution.run

    @property
    def points_job(self) -> UUID | None:
        return self.execution.points_job


def evolve(order: WorkOrder, event: Event) -> WorkOrder:
    match event:
        case WorkOrderDrafted(number=number, kind=kind, org_unit=org_unit, content=content, by=by):
            return WorkOrder(Status.DRAFT, 1, number, kind, org_unit, content, makers=(by,))
        case WorkOrderRevised(revision=revision, content=content, by=by):
            makers = order.makers if by in order.makers else (*order.makers, by)
            anew = replace(order, revision=revision, content=content, makers=makers)
            return replace(anew, status=Status.DRAFT, approval=None)
        case WorkOrderSubmitted(approval=approval):
            return replace(order, status=Status.IN_APPROVAL, approval=approval)
        case WorkOrderWithdrawn():
            return replace(order, status=Status.DRAFT, approval=None)
        case WorkOrderApproved():
            return replace(order, status=Status.APPROVED)
        case WorkOrderRejected():
            return replace(order, status=Status.REJECTED, approval=None)
        case WorkOrderCancellationRequested(cancellation=cancellation, former=former):
            pending = Status.CANCELLATION_PENDING
            return replace(order, status=pending, former=former, cancellation=cancellation)
        case WorkOrderCancelled():
            return replace(order, status=Status.CANCELLED)
        case WorkOrderRestored(status=status):
            return replace(order, status=status, former=Status.UNKNOWN, cancellation=None)
        case _:
            return _executed(order, event)


def _executed(order: WorkOrder, event: executions.Event) -> WorkOrder:
    order = replace(order, execution=executions.evolve(order.execution, event))
    match event:
        case executions.WorkOrderScheduled() | executions.WorkOrderRetried():
            return replace(order, status=Status.SCHEDULED)
        case executions.ExecutionStarted():
            return replace(order, status=Status.EXECUTING)
        case executions.PointsJobLinked():
            return order
        case executions.WorkOrderCompleted():
            return _ended(order, Status.COMPLETED)
        case executions.ExecutionFailed():
            return _ended(order, Status.FAILED)
        case _:
            assert_never(event)


def _ended(order: WorkOrder, status: Status) -> WorkOrder:
    """A run ends when it ends: under a pending cancellation that changes what a rejection leads back to."""
    if order.status is Status.CANCELLATION_PENDING:
        return replace(order, former=status)
    return replace(order, status=status)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, order: WorkOrder) -> Sequence[Event]:
    match command:
        case DraftWorkOrder(number=number, kind=kind, org_unit=org_unit, draft=draft, by=by):
            assert order.status is Status.UNKNOWN, "the id of a new work order is new"
            return [WorkOrderDrafted(number, kind, org_unit, sound_content(kind, draft), by)]
        case ReviseWorkOrder():
            return _revise(command, order)
        case SubmitWorkOrder():
            return _submit(command, order)
        case WithdrawWorkOrder(by=by):
            require_status(order.status, (Status.IN_APPROVAL,), WorkOrderRefusal.WORK_ORDER_NOT_IN_APPROVAL)
            assert order.approval is not None
            return [WorkOrderWithdrawn(order.revision, order.approval, by)]
        case RecordApproval() | RecordRejection():
            return _record_verdict(command, order)
        case RequestCancellation():
            return _request_cancellation(command, order)
        case RecordCancellation() | RestoreWorkOrder():
            return _settle_cancellation(command, order)
        case _:
            return executions.decide(
                command, order.execution, order.status, order.progress, order.execution_at
            )


def _revise(command: ReviseWorkOrder, order: WorkOrder) -> Sequence[Event]:
    require_status(order.status, EDITABLE, WorkOrderRefusal.WORK_ORDER_NOT_EDITABLE)
    content = sound_content(order.kind, command.draft)
    if content == order.content:
        return []
    return [WorkOrderRevised(order.revision + 1, content, command.by)]


def _submit(command: SubmitWorkOrder, order: WorkOrder) -> Sequence[Event]:
    if order.status is Status.IN_APPROVAL:
        return []
    require_status(order.status, (Status.DRAFT,), WorkOrderRefusal.WORK_ORDER_NOT_SUBMITTABLE)
    chosen = command.activity, command.customer_group, command.department
    refuse_any(reference_faults(order.kind, *chosen))
    seen = submitted_hash(order, *chosen)
    return [WorkOrderSubmitted(order.revision, command.approval, seen, command.level, command.by)]


def _record_verdict(command: RecordApproval | RecordRejection, order: WorkOrder) -> Sequence[Event]:
    require_status(order.status, (Status.IN_APPROVAL,), WorkOrderRefusal.WORK_ORDER_NOT_IN_APPROVAL)
    if order.approval != command.approval:  # it was submitted anew while the verdict was on its way
        raise Refused.because(WorkOrderRefusal.WORK_ORDER_NOT_IN_APPROVAL, status=order.status)
    if isinstance(command, RecordApproval):
        return [WorkOrderApproved(order.revision, command.approval)]
    return [WorkOrderRejected(order.revision, command.approval, command.level, command.reason)]


def _request_cancellation(command: RequestCancellation, order: WorkOrder) -> Sequence[Event]:
    if order.status is Status.CANCELLATION_PENDING:
        if order.cancellation == command.cancellation:
            return []
        raise Refused.because(WorkOrderRefusal.CANCELLATION_OPEN)
    require_status(order.status, CANCELLABLE, WorkOrderRefusal.WORK_ORDER_NOT_CANCELLABLE)
    refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
    return [WorkOrderCancellationRequested(command.cancellation, order.status, command.reason, command.by)]


def _settle_cancellation(command: RecordCancellation | RestoreWorkOrder, order: WorkOrder) -> Sequence[Event]:
    if order.status is Status.UNKNOWN:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    if order.status is not Status.CANCELLATION_PENDING or order.cancellation != command.cancellation:
        return []
    if isinstance(command, RecordCancellation):
        return [WorkOrderCancelled(command.cancellation)]
    return [WorkOrderRestored(command.cancellation, order.former)]


# --- Rules ----------------------------------------------------------------


def may_be_defined(order: WorkOrder) -> bool:
    """Whether a segment definition may still be made for it."""
    return order.status in DEFINABLE


def may_release(order: WorkOrder) -> bool:
    """Whether what its run has found may go out: never once a cancellation is asked for or granted."""
    return order.status in RELEASABLE


def is_barred(order: WorkOrder) -> bool:
    """Whether a cancellation is asked for or granted: then nothing leaves that any run for it has found."""
    return order.status in (Status.CANCELLATION_PENDING, Status.CANCELLED)


def number_text(year: int, count: int) -> str:
    """The number that people call it by: "WO-2026-000001"."""
    assert 1 <= count <= NUMBER_MOST, "a year has fewer work orders"
    return f"WO-{year:04}-{count:06}"


def submitted_hash(
    order: WorkOrder, activity: ActivityChoice, customer_group: Choice, department: Choice
) -> str:
    """What an approver sees: the content, and the revision in which each thing it refers to stands."""
    references = (activity.reference, customer_group.reference, department.reference)
    return content_hash((order.number, order.kind, order.revision, order.content, references))


DECIDER: Decider[Command, WorkOrder, Event] = Decider("work_order", WorkOrder(), decide, evolve)
