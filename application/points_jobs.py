"""The use cases of points jobs, as people command them: open, try again, withdraw, accept what differs."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from application.access import queries_customers
from application.shared.identifiers import named_uuid
from application.shared.work import Work
from domain.activities import DECIDER as ACTIVITY
from domain.activities import ActivityRefusal
from domain.activities import Status as ActivityStatus
from domain.budgets import DECIDER as BUDGET
from domain.budgets import Refund, Release, budget_id
from domain.points_files import PROGRAMME, SEQUENCE_MAX, PointsHeader
from domain.points_job_answers import AcceptDifferences
from domain.points_job_recalls import PointsJobPointsReversed, RecallFile, RecordReversal, ResendFile
from domain.points_job_statuses import JobRefusal, Status
from domain.points_job_terms import Cause, Columns, Failure, Terms, TermsRefusal
from domain.points_jobs import DECIDER, FailJob, OpenJob, PointsJob, RetryJob, WithdrawJob, reservation_key
from domain.segment_contents import SegmentContent
from domain.segment_definitions import DECIDER as DEFINITION
from domain.segment_definitions import SegmentDefinition
from domain.segment_runs import DECIDER as RUN
from domain.segment_runs import SegmentRun
from domain.segment_runs import Status as RunStatus
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import Claim, claim_id
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Refused
from domain.stocks import DECIDER as STOCK
from domain.stocks import ReleaseStock, ReturnStock
from domain.work_order_executions import RecordExecutionFailure, RecordPointsJob
from domain.work_orders import DECIDER as WORK_ORDER
from domain.work_orders import is_barred

CUSTOMER, CARD, POINTS = "CUSTOMER", "CARD", "POINTS"
"""The targets of a definition's mapping that points are made of."""
CUSTOMER_ID = "CUSTOMER_ID"
"""What the warehouse calls a customer."""

JOB_WITHDRAWN = "points_job_withdrawn"
"""Why a work order's execution failed whose points job was withdrawn."""


@dataclass(frozen=True, slots=True)
class PointsTerms:
    """What the caller says of the points; their cost comes from the activity's points reward."""

    programme: str
    business_type: str
    unit_cost: str
    currency: str


def open_job(work: Work, run_id: UUID, terms: PointsTerms) -> UUID:
    """The points job of a run that has succeeded for a work order; the one that is there, if there is one.

    The work order learns of it in the same append; one that is cancelled, or about to be, refuses, and so
    does an activity whose plan was revised and not approved since.
    """
    run = work.subject(RUN, run_id, lambda state: state.org_unit)
    if run.status is not RunStatus.SUCCEEDED or run.is_trial:
        raise Refused.because(TermsRefusal.RUN_WITHOUT_RESULT, "run")
    if run.work_order is None:
        raise Refused.because(TermsRefusal.RUN_WITHOUT_WORK_ORDER, "run")
    order = work.state(WORK_ORDER, run.work_order)
    if order.run != run_id:
        raise Refused.because(TermsRefusal.RUN_REPLACED, "run")
    if order.points_job is not None:
        work.state(DECIDER, order.points_job)
        return order.points_job
    assert order.content is not None, "a work order with a run has a content"
    activity = work.state(ACTIVITY, order.content.activity.id)
    assert activity.plan is not None
    require_approved(activity.status)
    definition, content = _definition(work, run)
    if not PROGRAMME.fullmatch(terms.programme):
        raise Refused.because(TermsRefusal.BAD_PROGRAMME, "programme")
    job_id = named_uuid(run_id.bytes, "points_job")  # the same one whoever opens it, and so the same file
    approvals = (definition.approval, order.approval, activity.approval)
    assert run.definition is not None
    command = OpenJob(
        org_unit=run.org_unit,
        header=_header(work, job_id, terms.programme, work.today),
        cause=Cause(
            run=run_id,
            result_hash=run.content_hash,
            definition=run.definition,
            definition_hash=run.definition_hash,
            work_order=run.work_order,
            activity=Reference(order.content.activity.id, activity.revision),
            approvals=tuple(approval for approval in approvals if approval is not None),
        ),
        terms=Terms(
            activity.plan.name, terms.business_type, terms.unit_cost, terms.currency, columns_of(content)
        ),
        by=work.principal.user,
    )
    work.decide(WORK_ORDER, run.work_order, RecordPointsJob(job_id))
    work.begin(DECIDER, job_id, command)
    return job_id


def retry(work: Work, job_id: UUID) -> UUID:
    """A job that failed before its release begins anew, from the count on."""
    _subject(work, job_id)
    work.decide(DECIDER, job_id, RetryJob(work.principal.user))
    return job_id


def withdraw(work: Work, job_id: UUID, reason: str) -> UUID:
    """The job comes to nothing, and its reservation is free again; refused once the file was released.

    Its work order has failed with it, and may be tried again, with a run and a job of its own.
    """
    job = _subject(work, job_id)
    if work.decide(DECIDER, job_id, WithdrawJob(reason, work.principal.user)):
        come_to_nothing(work, job)
    return job_id


def resend(work: Work, job_id: UUID, reason: str) -> UUID:
    """A file that nobody has answered, or not so that it can be believed, is handed over once more."""
    _subject(work, job_id)
    work.decide(DECIDER, job_id, ResendFile(reason, work.principal.user))
    return job_id


def recall(work: Work, job_id: UUID, reason: str, confirmation: str = "") -> UUID:
    """A file that is out and not answered is taken back, if the other side has not taken it.

    If it has, the job goes on, until a second person gives its confirmation that it booked nothing.
    """
    _subject(work, job_id)
    work.decide(DECIDER, job_id, RecallFile(reason, work.principal.user, confirmation))
    return job_id


def come_to_nothing(work: Work, job: PointsJob) -> None:
    """What the job had reserved is free again, and its work order may be tried again."""
    release_reservation(work, job)
    cause = job.has.cause
    if cause.work_order is not None:
        work.decide(WORK_ORDER, cause.work_order, RecordExecutionFailure(cause.run, JOB_WITHDRAWN))


def give_back(work: Work, job_id: UUID, entry: UUID, points: int) -> None:
    """An entry that the job had posted is reversed: what it cost comes back to the activity's budget, and the
    points to its stock.
    """
    job = work.state(DECIDER, job_id)
    for event in work.decide(DECIDER, job_id, RecordReversal(entry, points)):
        assert isinstance(event, PointsJobPointsReversed)
        if event.refund.amount_minor:
            refund = Refund(reservation_key(job), entry.hex, event.refund)
            work.decide(BUDGET, budget_id(job.has.cause.activity.id), refund)
        stock = None if job.reserved is None else job.reserved.stock
        if stock is not None and job.status is Status.SETTLED:
            returned = ReturnStock(reservation_key(job), entry.hex, Decimal(points), job_id)
            work.decide(STOCK, stock, returned)


def accept_differences(work: Work, job_id: UUID, reason: str) -> UUID:
    """What the reconciliation found is taken as it is: the job can be settled."""
    _subject(work, job_id)
    work.decide(DECIDER, job_id, AcceptDifferences(reason, work.principal.user))
    return job_id


class FileKind(StrEnum):
    """What of a job may be downloaded."""

    FILE = "file"
    ACKNOWLEDGEMENT = "acknowledgement"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a job, as it was recorded when it was made or came; `lines` are its detail lines."""

    job: PointsJob
    kind: FileKind
    lines: int
    checksum: str


def kept_file(work: Work, job_id: UUID, kind: FileKind) -> KeptFile:
    """What was recorded of a file that may leave. An acknowledgement that can't be believed counts no lines.

    Refuse a job out of sight, a file that is not there yet, and any of a work order whose cancellation is
    asked for or granted.
    """
    job = work.subject(DECIDER, job_id, lambda job: job.org_unit, looks_only=True)
    if not queries_customers(work.principal, job.org_unit):
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    order = job.has.cause.work_order
    is_held = order is not None and is_barred(work.state(WORK_ORDER, order))
    if not is_held and kind is FileKind.FILE and job.filed is not None:
        return KeptFile(job, kind, job.filed.lines, job.filed.sha256)
    if not is_held and kind is FileKind.ACKNOWLEDGEMENT and job.answered is not None:
        answered = job.answered
        return KeptFile(job, kind, answered.accepted + answered.rejected, answered.sha256)
    if not is_held and kind is FileKind.ACKNOWLEDGEMENT and job.seen_faulty:
        return KeptFile(job, kind, 0, job.seen_faulty)
    raise Refused.because(JobRefusal.NO_POINTS_FILE, status=job.status)


def fail(work: Work, job_id: UUID, code: Failure, **values: object) -> None:
    """The job stops before its release, and what it had reserved is free again."""
    before = work.state(DECIDER, job_id)
    texts = {name: str(value) for name, value in values.items()}
    if work.decide(DECIDER, job_id, FailJob(code, texts)):
        release_reservation(work, before)


def release_reservation(work: Work, job: PointsJob) -> None:
    """Free what the job has reserved; nothing when it has not, or when it has expired."""
    if job.reserved is not None and job.reserved.reservation:
        work.decide(BUDGET, budget_id(job.has.cause.activity.id), Release(reservation_key(job)))
    if job.reserved is not None and job.reserved.stock is not None:
        work.decide(STOCK, job.reserved.stock, ReleaseStock(reservation_key(job), job.has.header.job))


def require_approved(activity: ActivityStatus) -> None:
    """Refuse an activity whose plan was revised until it is approved: nobody has agreed to what it costs."""
    if activity in (ActivityStatus.DRAFT, ActivityStatus.IN_APPROVAL, ActivityStatus.REJECTED):
        raise Refused.because(ActivityRefusal.NOT_APPROVED, status=activity)


def columns_of(content: SegmentContent) -> Columns:
    """Where the result holds customer, card and points, by the definition's mapping, else by these names."""
    mapped = {field.target.upper(): field for field in content.mapping}
    outputs = {output.name.upper(): output.name for output in content.outputs}

    def column(target: str) -> str | None:
        return mapped[target].source if target in mapped else outputs.get(target)

    customer, points = column(CUSTOMER), column(POINTS)
    each = (mapped[POINTS].constant or "") if POINTS in mapped and points is None else ""
    if customer is None or (points is None and not (each.isascii() and each.isdigit() and len(each) < 10)):
        raise Refused.because(TermsRefusal.COLUMNS_MISSING, "run", columns=f"{CUSTOMER}, {POINTS}")
    return Columns(customer, column(CARD), points, int(each or 0))


def customer_column(content: SegmentContent) -> str | None:
    """Where the result holds the customer: as the mapping says, else in the column of that name."""
    for mapped in content.mapping:
        if mapped.target.upper() == CUSTOMER and mapped.source is not None:
            return mapped.source
    names = {output.name.upper(): output.name for output in content.outputs}
    return names.get(CUSTOMER) or names.get(CUSTOMER_ID)


def _subject(work: Work, job_id: UUID) -> PointsJob:
    return work.subject(DECIDER, job_id, lambda job: job.org_unit)


def _definition(work: Work, run: SegmentRun) -> tuple[SegmentDefinition, SegmentContent]:
    """The definition with its approval and content in the revision that was run."""
    assert run.definition is not None
    state = work.state(DEFINITION, run.definition.id)
    if (state.approved_revision, state.revision) != (run.definition.revision, run.definition.revision):
        state = DEFINITION.initial
        for record in work.log.records(run.definition.id):
            state = DEFINITION.evolve(state, record.event)
            if state.approved_revision == run.definition.revision:
                break
    if state.approved is None:
        raise Refused.because(CommonRefusal.NOT_FOUND, "definition")
    return state, state.approved


def _header(work: Work, job_id: UUID, programme: str, day: date) -> PointsHeader:
    """The next file name of the day: names are claimed for ever and without gaps, so halving finds it."""

    def header(sequence: int) -> PointsHeader:
        return PointsHeader(programme, day, sequence, job_id)

    def claim(sequence: int) -> UUID:
        return claim_id("points_file.name", header(sequence).file_name)

    def is_free(sequence: int) -> bool:
        return work.state(CLAIM, claim(sequence)).is_free_for(job_id)

    most = 1
    while most <= SEQUENCE_MAX and not is_free(most):
        most *= 2
    least, most = most // 2 + 1, min(most, SEQUENCE_MAX + 1)
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if is_free(middle) else (middle + 1, most)
    if least > SEQUENCE_MAX:
        raise Refused.because(CommonRefusal.TOO_MANY, "programme", most=SEQUENCE_MAX)
    work.decide(CLAIM, claim(least), Claim(job_id))
    return header(least)
