"""Segment runs: one execution of one revision of a definition, by workers that may die on the way.

A worker's reports name their attempt; what an attempt reports after another has begun changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.result_retention import DeleteResult, Retention, SegmentRunResultDeleted, deleted
from domain.run_parameters import RunParameter, parameter_faults, parameter_types
from domain.segment_contents import SegmentContent
from domain.shared.decider import Decider
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import name_faults

# --- Values ---------------------------------------------------------------

ATTEMPTS_MAX = 3
RETRIES_MAX = 5
TRIAL_ROWS_MAX = 1_000
PROGRESS_STEP = 10
REASON_CHARACTERS_MAX = 1_000
DETAIL_CHARACTERS_MAX = 500
ATTEMPTS_EXHAUSTED = "attempts_exhausted"


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of the result; `type` is the engine's name of the type."""

    name: str
    type: str
    is_personal: bool


class RunRefusal(StrEnum):
    NOTHING_APPROVED = "nothing_approved"
    RUN_ALREADY_LIVE = "run_already_live"
    RUN_OVER = "run_over"
    RUN_NOT_FAILED = "run_not_failed"
    TOO_MANY_RETRIES = "too_many_retries"
    NO_RESULT = "no_result"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestRun:
    """`content` is the revision's that `definition` names: the approved one, or for a trial the newest; None
    when there is none. `is_free`: no other run of the same definition and sort is live.
    """

    code: str
    org_unit: str
    definition: Reference
    content: SegmentContent | None
    content_hash: str
    parameters: Mapping[str, str]
    is_trial: bool
    by: str
    work_order: UUID | None = None
    row_limit: int | None = None
    is_free: bool = True


@dataclass(frozen=True, slots=True)
class StartRun:
    """A worker takes the run, counting attempts from 1; after the last attempt the run has failed."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ReportProgress:
    attempt: int
    percent: int


@dataclass(frozen=True, slots=True)
class RecordResult:
    """`content_hash` is that of the result's rows, `snapshot` the warehouse's state that they are of."""

    attempt: int
    rows: int
    columns: tuple[ResultColumn, ...]
    bytes: int
    duration_ms: int
    content_hash: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """`code` is the engine's; `values` tell more, such as the count of offending rows."""

    attempt: int
    code: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TerminateRun:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class RetryRun:
    by: str
    is_free: bool = True


@dataclass(frozen=True, slots=True)
class RecordCleanUp:
    """What an attempt made on the way, and what was dropped of it; the result itself never is."""

    attempt: int
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandOverRun:
    """The work order knows what its run came to; `points_job` grants what was found, if points are owed."""

    points_job: UUID | None = None


Command = (
    RequestRun
    | StartRun
    | ReportProgress
    | RecordResult
    | RecordFailure
    | TerminateRun
    | RetryRun
    | RecordCleanUp
    | DeleteResult
    | HandOverRun
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class SegmentRunRequested:
    """`content_hash` is what approvers saw, for a trial that of what was drafted."""

    code: str
    org_unit: str
    definition: Reference
    content_hash: str
    work_order: UUID | None
    parameters: tuple[RunParameter, ...]
    is_trial: bool
    row_limit: int | None
    retention: Retention
    by: str


@dataclass(frozen=True, slots=True)
class SegmentRunStarted:
    attempt: int


@dataclass(frozen=True, slots=True)
class SegmentRunProgressed:
    attempt: int
    percent: int


@dataclass(frozen=True, slots=True)
class SegmentRunSucceeded:
    attempt: int
    rows: int
    columns: tuple[ResultColumn, ...]
    bytes: int
    duration_ms: int
    content_hash: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class SegmentRunFailed:
    attempt: int
    code: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SegmentRunTerminated:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class SegmentRunRetried:
    """Queued again; attempts are counted anew."""

    retry: int
    by: str


@dataclass(frozen=True, slots=True)
class SegmentRunCleanedUp:
    attempt: int
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SegmentRunHandedOver:
    points_job: UUID | None


Event = (
    SegmentRunRequested
    | SegmentRunStarted
    | SegmentRunProgressed
    | SegmentRunSucceeded
    | SegmentRunFailed
    | SegmentRunTerminated
    | SegmentRunRetried
    | SegmentRunCleanedUp
    | SegmentRunResultDeleted
    | SegmentRunHandedOver
)

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TERMINATED = "terminated"


LIVE = (Status.QUEUED, Status.RUNNING)
OVER = (Status.SUCCEEDED, Status.FAILED, Status.TERMINATED)


@dataclass(frozen=True, slots=True)
class SegmentRun:
    """`attempt` counts over all retries, so that no two attempts bear one number; `first_attempt` is the
    first since the last retry. `rows`, `content_hash` of the result and `columns` once it has succeeded.
    """

    status: Status = Status.UNKNOWN
    code: str = ""
    org_unit: str = ""
    definition: Reference | None = None
    definition_hash: str = ""
    work_order: UUID | None = None
    parameters: tuple[RunParameter, ...] = ()
    is_trial: bool = False
    row_limit: int | None = None
    attempt: int = 0
    first_attempt: int = 1
    retries: int = 0
    percent: int = 0
    rows: int = 0
    columns: tuple[ResultColumn, ...] = ()
    content_hash: str = ""
    failure: str = ""
    cleaned: int = 0
    retention: Retention = Retention.RESULT
    is_result_deleted: bool = False
    is_handed_over: bool = False

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


def evolve(run: SegmentRun, event: Event) -> SegmentRun:
    match event:
        case SegmentRunRequested():
            return SegmentRun(
                status=Status.QUEUED,
                code=event.code,
                org_unit=event.org_unit,
                definition=event.definition,
                definition_hash=event.content_hash,
                work_order=event.work_order,
                parameters=event.parameters,
                is_trial=event.is_trial,
                row_limit=event.row_limit,
                retention=event.retention,
            )
        case SegmentRunStarted(attempt=attempt):
            return replace(run, status=Status.RUNNING, attempt=attempt, percent=0)
        case SegmentRunProgressed(percent=percent):
            return replace(run, percent=percent)
        case SegmentRunSucceeded(rows=rows, columns=columns, content_hash=hash_):
            return replace(
                run, status=Status.SUCCEEDED, rows=rows, columns=columns, content_hash=hash_, percent=100
            )
        case SegmentRunFailed(code=code):
            return replace(run, status=Status.FAILED, failure=code)
        case SegmentRunTerminated():
            return replace(run, status=Status.TERMINATED)
        case SegmentRunRetried(retry=retry):
            first = run.attempt + 1
            return replace(
                run,
                status=Status.QUEUED,
                retries=retry,
                first_attempt=first,
                percent=0,
                failure="",
                is_handed_over=False,
            )
        case SegmentRunCleanedUp(attempt=attempt):
            return replace(run, cleaned=attempt)
        case SegmentRunResultDeleted():
            return replace(run, is_result_deleted=True)
        case SegmentRunHandedOver():
            return replace(run, is_handed_over=True)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, run: SegmentRun) -> Sequence[Event]:
    if run.status is Status.UNKNOWN and not isinstance(command, RequestRun):
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    match command:
        case RequestRun():
            return _request(command, run)
        case StartRun(attempt=attempt):
            return _start(attempt, run)
        case ReportProgress(attempt=attempt, percent=percent):
            is_news = run.percent + PROGRESS_STEP <= percent < 100
            return [SegmentRunProgressed(attempt, percent)] if is_news and _is_at(run, attempt) else []
        case RecordResult():
            return _succeed(command, run)
        case RecordFailure(attempt=attempt, code=code, values=values):
            kept = {name: value[:DETAIL_CHARACTERS_MAX] for name, value in values.items()}
            return [SegmentRunFailed(attempt, code, kept)] if _is_at(run, attempt) else []
        case TerminateRun():
            return _terminate(command, run)
        case RetryRun():
            return _retry(command, run)
        case RecordCleanUp(attempt=attempt, dropped=dropped):
            return [SegmentRunCleanedUp(attempt, dropped)] if attempt > run.cleaned else []
        case DeleteResult():
            if run.status is not Status.SUCCEEDED:
                raise Refused.because(RunRefusal.NO_RESULT, status=run.status)
            return [] if run.is_result_deleted else deleted(command, run.retention)
        case HandOverRun(points_job=points_job):
            is_owed = run.status in OVER and not run.is_handed_over
            return [SegmentRunHandedOver(points_job)] if is_owed else []
        case _:
            assert_never(command)


def _request(command: RequestRun, run: SegmentRun) -> Sequence[Event]:
    assert run.status is Status.UNKNOWN, "the id of a new run is new"
    if command.content is None:
        raise Refused.because(RunRefusal.NOTHING_APPROVED, "definition")
    faults = [*parameter_faults(command.content, command.parameters)]
    if command.is_trial and not 1 <= (command.row_limit or 0) <= TRIAL_ROWS_MAX:
        limits = {"least": "1", "most": str(TRIAL_ROWS_MAX)}
        faults.append(Fault(CommonRefusal.OUT_OF_RANGE, ("row_limit",), limits))
    if not command.is_free:
        faults.append(Fault(RunRefusal.RUN_ALREADY_LIVE, ("definition",)))
    refuse_any(faults)
    types = parameter_types(command.content)
    given = sorted(command.parameters)
    return [
        SegmentRunRequested(
            code=command.code,
            org_unit=command.org_unit,
            definition=command.definition,
            content_hash=command.content_hash,
            work_order=command.work_order,
            parameters=tuple(RunParameter(name, types[name], command.parameters[name]) for name in given),
            is_trial=command.is_trial,
            row_limit=command.row_limit if command.is_trial else None,
            retention=Retention.TRIAL if command.is_trial else Retention.RESULT,
            by=command.by,
        )
    ]


def _start(attempt: int, run: SegmentRun) -> Sequence[Event]:
    """A running run that is started again was left by a worker that died."""
    if not run.is_live or attempt <= run.attempt:
        return []
    if attempt - run.first_attempt >= ATTEMPTS_MAX:
        return [SegmentRunFailed(run.attempt, ATTEMPTS_EXHAUSTED, {"attempts": str(ATTEMPTS_MAX)})]
    return [SegmentRunStarted(run.attempt + 1)]


def _succeed(command: RecordResult, run: SegmentRun) -> Sequence[Event]:
    if not _is_at(run, command.attempt):
        return []
    return [
        SegmentRunSucceeded(
            attempt=command.attempt,
            rows=command.rows,
            columns=command.columns,
            bytes=command.bytes,
            duration_ms=command.duration_ms,
            content_hash=command.content_hash,
            snapshot=command.snapshot,
        )
    ]


def _terminate(command: TerminateRun, run: SegmentRun) -> Sequence[Event]:
    if run.status is Status.TERMINATED:
        return []
    if not run.is_live:
        raise Refused.because(RunRefusal.RUN_OVER, status=run.status)
    refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
    return [SegmentRunTerminated(command.reason, command.by)]


def _retry(command: RetryRun, run: SegmentRun) -> Sequence[Event]:
    if run.is_live:
        return []
    if run.status is not Status.FAILED:
        raise Refused.because(RunRefusal.RUN_NOT_FAILED, status=run.status)
    faults = []
    if run.retries >= RETRIES_MAX:
        faults.append(Fault(RunRefusal.TOO_MANY_RETRIES, (), {"most": str(RETRIES_MAX)}))
    if not command.is_free:
        faults.append(Fault(RunRefusal.RUN_ALREADY_LIVE, ("definition",)))
    refuse_any(faults)
    return [SegmentRunRetried(run.retries + 1, command.by)]


# --- Rules ----------------------------------------------------------------


def _is_at(run: SegmentRun, attempt: int) -> bool:
    return run.status is Status.RUNNING and run.attempt == attempt


DECIDER: Decider[Command, SegmentRun, Event] = Decider("segment_run", SegmentRun(), decide, evolve)
