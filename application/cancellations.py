"""The use cases of cancellations: request, verdict and the effect on the work order are recorded together."""

from uuid import UUID

from application import run_schedules, work_orders
from application.points_jobs import release_reservation
from application.shared.approvable import Approvable, new_approval, open_approval, void_approval
from application.shared.identifiers import uuid7
from application.shared.work import Work
from domain.approvals import Subject
from domain.cancellations import (
    DECIDER,
    ApproveCancellation,
    BeginRecall,
    CancellationRefusal,
    CancellationRequested,
    ConcludeRecall,
    OrderedWork,
    RejectCancellation,
    RequestCancellation,
    WithdrawCancellation,
    work_order_of,
)
from domain.points_job_recalls import RecallFile
from domain.points_job_statuses import NOT_RELEASED
from domain.points_job_statuses import Status as JobStatus
from domain.points_jobs import DECIDER as JOB
from domain.points_jobs import WithdrawJob
from domain.segment_runs import DECIDER as RUN
from domain.segment_runs import TerminateRun
from domain.shared.refusal import Refused
from domain.work_orders import DECIDER as WORK_ORDER
from domain.work_orders import RecordCancellation, RestoreWorkOrder
from domain.work_orders import RequestCancellation as InterruptForCancellation

WORK_ORDER_CANCELLED = "work_order_cancelled"
"""Why its run was stopped, and its points job came to nothing."""


def request(work: Work, work_order_id: UUID, reason: str) -> UUID:
    """Ask that the work order be cancelled; until the verdict it rests. The id of the request."""
    order = work_orders.subject(work, work_order_id)
    cancellation_id, by = uuid7(), work.principal.user
    work.decide(WORK_ORDER, work_order_id, InterruptForCancellation(cancellation_id, reason, by))
    command = RequestCancellation(
        work_order=OrderedWork(work_order_id, order.number, order.revision, order.status),
        org_unit=order.org_unit,
        reason=reason,
        approval=new_approval(),
        level=work.policy.levels_of(DECIDER.stream_type)[0],
        by=by,
    )
    for event in work.begin(DECIDER, cancellation_id, command):
        assert isinstance(event, CancellationRequested)
        about = Subject(
            kind=DECIDER.stream_type,
            id=cancellation_id,
            revision=order.revision,
            content_hash=event.content_hash,
            label=order.number,
            org_unit=order.org_unit,
        )
        open_approval(work, event.approval, about, (by,))
    return cancellation_id


def withdraw(work: Work, cancellation_id: UUID) -> UUID:
    """Taken back by who asked: the work order is where it was, and nobody need decide."""
    request = work.subject(DECIDER, cancellation_id, lambda cancellation: cancellation.org_unit)
    if work.decide(DECIDER, cancellation_id, WithdrawCancellation(work.principal.user)):
        void_approval(work, request.approval, "subject_withdrawn")
        work.decide(WORK_ORDER, work_order_of(request), RestoreWorkOrder(cancellation_id))
    return cancellation_id


def _grant(work: Work, cancellation_id: UUID, approval: UUID) -> None:
    """The work order is cancelled, unless a points file of it is out: then it is, when that is back.

    Refuse when the points system has answered the file: what it says is posted.
    """
    by = work.principal.user
    order = work.state(WORK_ORDER, work_order_of(work.state(DECIDER, cancellation_id)))
    job = None if order.points_job is None else work.state(JOB, order.points_job)
    if job is None or job.status in (*NOT_RELEASED, JobStatus.FAILED, JobStatus.WITHDRAWN):
        work.decide(DECIDER, cancellation_id, ApproveCancellation(approval, by))
        _cancel(work, cancellation_id)
        return
    name = job.has.header.file_name
    if job.is_past(JobStatus.ACKNOWLEDGED):
        raise Refused.because(CancellationRefusal.POINTS_FILE_TAKEN, file=name)
    work.decide(DECIDER, cancellation_id, BeginRecall(approval, name, by))
    recall = RecallFile(WORK_ORDER_CANCELLED, by, cancellation=cancellation_id)
    work.decide(JOB, job.has.header.job, recall)


def conclude(work: Work, cancellation_id: UUID, is_back: bool) -> None:
    """For who recalled the points file: the work order is cancelled, or goes on with a file that is taken."""
    if not work.decide(DECIDER, cancellation_id, ConcludeRecall(is_back)):
        return
    if is_back:
        _cancel(work, cancellation_id)
    else:
        work_order_id = work_order_of(work.state(DECIDER, cancellation_id))
        work.decide(WORK_ORDER, work_order_id, RestoreWorkOrder(cancellation_id))


def _cancel(work: Work, cancellation_id: UUID) -> None:
    """Its approval is void, its run stopped, its points job withdrawn, and no definition that was made for it
    runs by a schedule any more.
    """
    work_order_id = work_order_of(work.state(DECIDER, cancellation_id))
    work.decide(WORK_ORDER, work_order_id, RecordCancellation(cancellation_id))
    order = work.state(WORK_ORDER, work_order_id)
    void_approval(work, order.approval, "subject_cancelled")
    if order.run is not None and work.state(RUN, order.run).is_live:
        work.decide(RUN, order.run, TerminateRun(WORK_ORDER_CANCELLED, work.principal.user))
    if order.points_job is not None:
        _withdraw_points_job(work, order.points_job)
    run_schedules.withdraw_of_order(work, work_order_id)
    work_orders.let_go(work, work_order_id)


def _withdraw_points_job(work: Work, job_id: UUID) -> None:
    """As long as its file has not been released; what it had reserved is free again."""
    job = work.state(JOB, job_id)
    if job.status in (*NOT_RELEASED, JobStatus.FAILED):
        work.decide(JOB, job_id, WithdrawJob(WORK_ORDER_CANCELLED, work.principal.user))
        release_reservation(work, job)


def _reject(work: Work, cancellation_id: UUID, approval: UUID, level: str, reason: str) -> None:
    """The work order goes on from where it was."""
    work.decide(DECIDER, cancellation_id, RejectCancellation(approval, level, reason, work.principal.user))
    work_order_id = work_order_of(work.state(DECIDER, cancellation_id))
    work.decide(WORK_ORDER, work_order_id, RestoreWorkOrder(cancellation_id))


def _hash_now(work: Work, cancellation_id: UUID) -> str:
    """A request never changes, nor the work order under it."""
    return work.state(DECIDER, cancellation_id).content_hash


APPROVABLE = Approvable(_hash_now, _grant, _reject)
