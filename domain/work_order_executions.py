"""The execution of a work order: scheduled with an approved definition, started when due, each try a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.work_order_statuses import RELEASABLE, SCHEDULABLE, Status, WorkOrderRefusal, require_status

# --- Values ---------------------------------------------------------------

EXECUTIONS_MAX = 20


@dataclass(frozen=True, slots=True)
class DefinitionChoice:
    """A segment definition that a person chose, in its approved revision; None if there is none in sight.

    `work_order` is the one that it was made for, `content_hash` what the revision's approvers saw.
    """

    reference: Reference | None
    is_approved: bool = False
    work_order: UUID | None = None
    content_hash: str = ""


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScheduleWorkOrder:
    """`id` is the work order's own: the definition must have been made for it."""

    id: UUID
    definition: DefinitionChoice
    by: str


@dataclass(frozen=True, slots=True)
class StartExecution:
    run: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class RecordPointsJob:
    """A points job grants what this work order's run has found."""

    job: UUID


@dataclass(frozen=True, slots=True)
class RecordCompletion:
    run: UUID


@dataclass(frozen=True, slots=True)
class RecordExecutionFailure:
    """`code` says why in one word that people see in their own language."""

    run: UUID
    code: str


@dataclass(frozen=True, slots=True)
class RetryWorkOrder:
    by: str


Command = (
    ScheduleWorkOrder
    | StartExecution
    | RecordPointsJob
    | RecordCompletion
    | RecordExecutionFailure
    | RetryWorkOrder
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class WorkOrderScheduled:
    """It starts at its execution time, with the definition in this revision, whatever is approved later;
    `content_hash` is what the revision's approvers saw.
    """

    definition: Reference
    by: str
    content_hash: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionStarted:
    """`attempt` counts from 1; each has a run of its own."""

    run: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class PointsJobLinked:
    job: UUID
    run: UUID


@dataclass(frozen=True, slots=True)
class WorkOrderCompleted:
    run: UUID


@dataclass(frozen=True, slots=True)
class ExecutionFailed:
    run: UUID
    code: str


@dataclass(frozen=True, slots=True)
class WorkOrderRetried:
    by: str


Event = (
    WorkOrderScheduled
    | ExecutionStarted
    | PointsJobLinked
    | WorkOrderCompleted
    | ExecutionFailed
    | WorkOrderRetried
)

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Execution:
    """`run` and `points_job` are those of the latest of `attempts`; `definition_hash` is what the approvers
    of the definition's revision saw, empty when it was scheduled before that was noted.
    """

    definition: Reference | None = None
    run: UUID | None = None
    attempts: int = 0
    points_job: UUID | None = None
    definition_hash: str = ""


def evolve(execution: Execution, event: Event) -> Execution:
    match event:
        case WorkOrderScheduled(definition=definition, content_hash=hash_):
            return replace(execution, definition=definition, definition_hash=hash_)
        case ExecutionStarted(run=run, attempt=attempt):
            return replace(execution, run=run, attempts=attempt, points_job=None)
        case PointsJobLinked(job=job):
            return replace(execution, points_job=job)
        case WorkOrderCompleted() | ExecutionFailed() | WorkOrderRetried():
            return execution
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(
    command: Command, execution: Execution, status: Status, progress: Status, execution_at: datetime | None
) -> Sequence[Event]:
    """`status` is the work order's; `progress` the one that a pending cancellation hides, else the same."""
    match command:
        case ScheduleWorkOrder():
            return _schedule(command, execution, status)
        case StartExecution():
            return _start(command, execution, status, execution_at)
        case RecordPointsJob(job=job):
            return _record_points_job(job, execution, status)
        case RecordCompletion() | RecordExecutionFailure():
            return _record_end(command, execution, status, progress)
        case RetryWorkOrder():
            return _retry(command, execution, status)
        case _:
            assert_never(command)


def _schedule(command: ScheduleWorkOrder, execution: Execution, status: Status) -> Sequence[Event]:
    """What waits, or has failed, may be scheduled anew with a revision that was approved since."""
    chosen = command.definition
    if status is Status.SCHEDULED and execution.definition == chosen.reference:
        return []
    require_status(status, SCHEDULABLE, WorkOrderRefusal.WORK_ORDER_NOT_APPROVED)
    if chosen.reference is None:
        raise Refused.because(CommonRefusal.NOT_FOUND, "definition")
    faults = []
    if chosen.work_order != command.id:
        faults.append(Fault(WorkOrderRefusal.DEFINITION_OF_ANOTHER, ("definition",)))
    if not chosen.is_approved:
        faults.append(Fault(WorkOrderRefusal.DEFINITION_NOT_APPROVED, ("definition",)))
    refuse_any(faults)
    return [WorkOrderScheduled(chosen.reference, command.by, chosen.content_hash)]


def _start(
    command: StartExecution, execution: Execution, status: Status, execution_at: datetime | None
) -> Sequence[Event]:
    """One run per attempt: whoever comes second with another run is told no, so that it is not requested."""
    if execution.run == command.run:
        return []
    require_status(status, (Status.SCHEDULED,), WorkOrderRefusal.WORK_ORDER_NOT_SCHEDULED)
    assert execution_at is not None, "what is scheduled has a time"
    if command.now < execution_at:
        raise Refused.because(WorkOrderRefusal.WORK_ORDER_NOT_DUE, at=execution_at.isoformat())
    _require_attempt_left(execution)
    return [ExecutionStarted(command.run, execution.attempts + 1)]


def _record_points_job(job: UUID, execution: Execution, status: Status) -> Sequence[Event]:
    """Refuse where nothing may go out, also for a job that is known: this is what holds back its file."""
    require_status(status, RELEASABLE, WorkOrderRefusal.WORK_ORDER_NOT_RELEASABLE)
    if execution.points_job == job:
        return []
    assert execution.run is not None, "what is executing or completed has a run"
    return [PointsJobLinked(job, execution.run)]


def _record_end(
    command: RecordCompletion | RecordExecutionFailure, execution: Execution, status: Status, progress: Status
) -> Sequence[Event]:
    """News of a run that is over already, or of a cancelled work order, changes nothing."""
    if execution.run is None:
        require_status(status, (Status.EXECUTING,), WorkOrderRefusal.WORK_ORDER_NOT_EXECUTING)
    if execution.run != command.run or progress is not Status.EXECUTING:
        return []
    if isinstance(command, RecordCompletion):
        return [WorkOrderCompleted(command.run)]
    return [ExecutionFailed(command.run, command.code)]


def _retry(command: RetryWorkOrder, execution: Execution, status: Status) -> Sequence[Event]:
    if status is Status.SCHEDULED and execution.attempts:
        return []
    require_status(status, (Status.FAILED,), WorkOrderRefusal.WORK_ORDER_NOT_FAILED)
    _require_attempt_left(execution)
    return [WorkOrderRetried(command.by)]


# --- Rules ----------------------------------------------------------------


def _require_attempt_left(execution: Execution) -> None:
    if execution.attempts >= EXECUTIONS_MAX:
        raise Refused.because(WorkOrderRefusal.TOO_MANY_EXECUTIONS, most=EXECUTIONS_MAX)
