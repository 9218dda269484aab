"""Points jobs: one segmentation result on its way to customers' points, step by step, each step once.

Opened → reserved → filed → released → sent → acknowledged → posted → reconciled → settled. With the release
the file goes out: until then a job may fail, be tried again or be withdrawn. Then it is brought to its end,
unless the file is recalled before the other side has taken it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain import points_job_recalls as recalls
from domain.points_files import PointsHeader
from domain.points_job_answers import (
    AcceptDifferences,
    AnswerCommand,
    AnswerEvent,
    PointsJobAcknowledged,
    PointsJobAcknowledgementFaulted,
    PointsJobAnswerOverdue,
    PointsJobDiffered,
    PointsJobDifferencesAccepted,
    PointsJobPosted,
    PointsJobReconciled,
    RecordAcknowledgement,
    RecordFaultyAcknowledgement,
    RecordPosting,
    RecordReconciliation,
    RecordSilence,
)
from domain.points_job_recalls import REASON_CHARACTERS_MAX, Recall, Standing
from domain.points_job_statuses import NOT_RELEASED, WAY, JobRefusal, Status
from domain.points_job_terms import Cause, Failure, Terms, terms_faults
from domain.reconciliation import Reconciliation
from domain.shared.decider import Decider
from domain.shared.money import Money
from domain.shared.refusal import CommonRefusal, Refused, refuse_any
from domain.shared.text import name_faults

# --- Values ---------------------------------------------------------------

FAULTS_KEPT_MAX = 20


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenJob:
    org_unit: str
    header: PointsHeader
    cause: Cause
    terms: Terms
    by: str


@dataclass(frozen=True, slots=True)
class RecordReservation:
    """The result was counted; cost and points are reserved in budget and `stock` with the same append."""

    lines: int
    points: int
    amount: Money
    stock: UUID | None = None


@dataclass(frozen=True, slots=True)
class RecordFile:
    lines: int
    points: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """The file goes out from here on, unless the work order is held back or the activity cancelled."""

    may_release: bool
    is_activity_cancelled: bool


@dataclass(frozen=True, slots=True)
class RecordSending:
    answer_by: datetime


@dataclass(frozen=True, slots=True)
class SettleJob:
    consumed: Money


@dataclass(frozen=True, slots=True)
class FailJob:
    code: Failure
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetryJob:
    by: str


@dataclass(frozen=True, slots=True)
class WithdrawJob:
    reason: str
    by: str


Command = (
    OpenJob
    | RecordReservation
    | RecordFile
    | ReleaseFile
    | RecordSending
    | AnswerCommand
    | recalls.Command
    | SettleJob
    | FailJob
    | RetryJob
    | WithdrawJob
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class PointsJobOpened:
    org_unit: str
    header: PointsHeader
    cause: Cause
    terms: Terms
    by: str


@dataclass(frozen=True, slots=True)
class PointsJobReserved:
    """`reservation` is the key in the activity's budget; none where the points cost nothing. `stock` is where
    the points are reserved under the attempt's key; None for points without a total cap.
    """

    lines: int
    points: int
    amount: Money
    reservation: str
    stock: UUID | None = None


@dataclass(frozen=True, slots=True)
class PointsJobFiled:
    lines: int
    points: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PointsJobReleased:
    pass


@dataclass(frozen=True, slots=True)
class PointsJobSent:
    """`answer_by`: without an acknowledgement by then, somebody must be told."""

    answer_by: datetime


@dataclass(frozen=True, slots=True)
class PointsJobSettled:
    consumed: Money


@dataclass(frozen=True, slots=True)
class PointsJobFailed:
    code: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PointsJobRetried:
    attempt: int
    by: str


@dataclass(frozen=True, slots=True)
class PointsJobWithdrawn:
    reason: str
    by: str


Event = (
    PointsJobOpened
    | PointsJobReserved
    | PointsJobFiled
    | PointsJobReleased
    | PointsJobSent
    | AnswerEvent
    | recalls.Event
    | PointsJobSettled
    | PointsJobFailed
    | PointsJobRetried
    | PointsJobWithdrawn
)

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PointsJob:
    """`opened`, `reserved`, `filed`, `answered` and `posted` are what these steps recorded, None before.

    `differing` is the reconciliation that did not come out even; `seen_faulty` the checksum of the
    acknowledgement that could not be believed.
    """

    status: Status = Status.UNKNOWN
    attempt: int = 1
    opened: PointsJobOpened | None = None
    reserved: PointsJobReserved | None = None
    filed: PointsJobFiled | None = None
    answer_by: datetime | None = None
    answered: PointsJobAcknowledged | None = None
    posted: PointsJobPosted | None = None
    differing: Reconciliation | None = None
    seen_faulty: str = ""
    is_overdue: bool = False
    recall: Recall = field(default_factory=Recall)

    @property
    def org_unit(self) -> str:
        return "" if self.opened is None else self.opened.org_unit

    @property
    def has(self) -> PointsJobOpened:
        """What the job was opened with; there is no job without."""
        assert self.opened is not None
        return self.opened

    def is_past(self, step: Status) -> bool:
        """Whether the job has taken the step `step`, or one after it."""
        return self.status in WAY and WAY.index(self.status) >= WAY.index(step)


def evolve(job: PointsJob, event: Event) -> PointsJob:
    match event:
        case PointsJobOpened():
            return PointsJob(Status.OPENED, opened=event)
        case PointsJobReserved():
            return replace(job, status=Status.RESERVED, reserved=event)
        case PointsJobFiled():
            return replace(job, status=Status.FILED, filed=event)
        case PointsJobReleased():
            return replace(job, status=Status.RELEASED)
        case PointsJobSent(answer_by=answer_by):
            anew = replace(job, answer_by=answer_by, seen_faulty="", is_overdue=False)
            return replace(anew, status=Status.SENT)
        case PointsJobAcknowledged():
            return replace(job, status=Status.ACKNOWLEDGED, answered=event)
        case PointsJobAcknowledgementFaulted(sha256=sha256):
            return replace(job, seen_faulty=sha256)
        case PointsJobAnswerOverdue():
            return replace(job, is_overdue=True)
        case PointsJobPosted():
            return replace(job, status=Status.POSTED, posted=event)
        case PointsJobReconciled():
            return replace(job, status=Status.RECONCILED, differing=None)
        case PointsJobDiffered(found=found):
            return replace(job, differing=found)
        case PointsJobDifferencesAccepted():
            return replace(job, status=Status.RECONCILED)
        case PointsJobSettled():
            return replace(job, status=Status.SETTLED)
        case PointsJobFailed():
            return replace(job, status=Status.FAILED)
        case PointsJobRetried(attempt=attempt):
            return PointsJob(Status.OPENED, attempt, job.opened)
        case PointsJobWithdrawn():
            return replace(job, status=Status.WITHDRAWN)
        case _:
            recall, status = recalls.evolve(job.recall, job.status, event)
            return replace(job, recall=recall, status=status)


def reservation_key(job: PointsJob) -> str:
    """The job's key in the budget: another one for each attempt, for a released one is gone."""
    return f"{job.has.header.job.hex}:{job.attempt}"


# --- Decisions ------------------------------------------------------------


def decide(command: Command, job: PointsJob) -> Sequence[Event]:
    match command:
        case OpenJob():
            return _open(command, job)
        case RecordReservation(lines=lines, points=points, amount=amount, stock=stock):
            key = reservation_key(job) if job.opened and amount.amount_minor else ""
            return _step(job, Status.OPENED, PointsJobReserved(lines, points, amount, key, stock))
        case RecordFile(lines=lines, points=points, bytes=bytes_, sha256=sha256):
            return _step(job, Status.RESERVED, PointsJobFiled(lines, points, bytes_, sha256))
        case ReleaseFile():
            return _release(command, job)
        case RecordSending(answer_by=answer_by):
            return _step(job, Status.RELEASED, PointsJobSent(answer_by))
        case RecordAcknowledgement() | RecordFaultyAcknowledgement() | RecordSilence():
            return _answer(command, job)
        case RecordPosting():
            event = PointsJobPosted(command.posted, command.points, command.refused, command.refused_lines)
            return _step(job, Status.ACKNOWLEDGED, event)
        case RecordReconciliation() | AcceptDifferences():
            return _reconcile(command, job)
        case SettleJob(consumed=consumed):
            return _step(job, Status.RECONCILED, PointsJobSettled(consumed))
        case FailJob(code=code, values=values):
            _require(job, *NOT_RELEASED, Status.FAILED)
            return [] if job.status is Status.FAILED else [PointsJobFailed(code, values)]
        case RetryJob(by=by):
            _require_known(job)
            if job.status is not Status.FAILED:
                raise Refused.because(JobRefusal.JOB_NOT_FAILED, status=job.status)
            return [PointsJobRetried(job.attempt + 1, by)]
        case WithdrawJob():
            return _withdraw(command, job)
        case _:
            _require_known(job)
            return recalls.decide(command, job.recall, _standing(job))


def _open(command: OpenJob, job: PointsJob) -> Sequence[Event]:
    if job.status is not Status.UNKNOWN:
        return []
    refuse_any(terms_faults(command.terms))
    return [PointsJobOpened(command.org_unit, command.header, command.cause, command.terms, command.by)]


def _release(command: ReleaseFile, job: PointsJob) -> Sequence[Event]:
    if not job.is_past(Status.RELEASED):
        _require(job, Status.FILED)
        if not command.may_release:
            raise Refused.because(JobRefusal.WORK_ORDER_HELD)
        if command.is_activity_cancelled:
            raise Refused.because(JobRefusal.ACTIVITY_CANCELLED)
    return _step(job, Status.FILED, PointsJobReleased())


def _answer(
    command: RecordAcknowledgement | RecordFaultyAcknowledgement | RecordSilence, job: PointsJob
) -> Sequence[Event]:
    match command:
        case RecordAcknowledgement(accepted=accepted, rejected=rejected):
            event = PointsJobAcknowledged(
                accepted, rejected, command.accepted_points, command.rejected_points, command.sha256
            )
            return _step(job, Status.SENT, event)
        case RecordFaultyAcknowledgement(faults=faults, sha256=sha256):
            is_waiting = job.status is Status.RECALLING
            if is_waiting or job.is_past(Status.ACKNOWLEDGED) or job.seen_faulty == sha256:
                return []
            _require(job, Status.SENT)
            return [PointsJobAcknowledgementFaulted(len(faults), faults[:FAULTS_KEPT_MAX], sha256)]
        case RecordSilence(now=now):
            if (
                job.status is not Status.SENT
                or job.is_overdue
                or job.answer_by is None
                or now < job.answer_by
            ):
                return []
            return [PointsJobAnswerOverdue(job.answer_by)]
        case _:
            assert_never(command)


def _reconcile(command: RecordReconciliation | AcceptDifferences, job: PointsJob) -> Sequence[Event]:
    if isinstance(command, AcceptDifferences):
        _require_known(job)
        if job.status is not Status.POSTED or job.differing is None:
            raise Refused.because(JobRefusal.NOTHING_TO_ACCEPT)
        refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
        return [PointsJobDifferencesAccepted(command.reason, command.by)]
    if command.found.is_even:
        return _step(job, Status.POSTED, PointsJobReconciled(command.found))
    if job.is_past(Status.RECONCILED) or job.differing == command.found:
        return []
    _require(job, Status.POSTED)
    return [PointsJobDiffered(command.found)]


def _standing(job: PointsJob) -> Standing:
    posted = 0 if job.posted is None else job.posted.points
    is_reserved = job.reserved is not None and job.reserved.reservation != ""
    return Standing(job.status, job.has.header.file_name, job.has.terms, posted, is_reserved)


def _withdraw(command: WithdrawJob, job: PointsJob) -> Sequence[Event]:
    if job.status is Status.WITHDRAWN:
        return []
    _require_known(job)
    if job.status not in (*NOT_RELEASED, Status.FAILED):
        raise Refused.because(JobRefusal.ALREADY_RELEASED, status=job.status)
    refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
    return [PointsJobWithdrawn(command.reason, command.by)]


# --- Rules ----------------------------------------------------------------


def _step(job: PointsJob, before: Status, event: Event) -> Sequence[Event]:
    """The step after `before`; nothing when it was taken already, or waits for the outcome of a recall."""
    is_waiting = job.status is Status.RECALLING and before in (Status.RELEASED, Status.SENT)
    if is_waiting or job.is_past(WAY[WAY.index(before) + 1]):
        return []
    _require(job, before)
    return [event]


def _require_known(job: PointsJob) -> None:
    if job.status is Status.UNKNOWN:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")


def _require(job: PointsJob, *allowed: Status) -> None:
    _require_known(job)
    if job.status not in allowed:
        raise Refused.because(JobRefusal.NOT_AT_THIS_STEP, status=job.status)


DECIDER: Decider[Command, PointsJob, Event] = Decider("points_job", PointsJob(), decide, evolve)
