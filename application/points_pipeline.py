"""The way of a points job, step by step: each function takes one step and may be called again at any time.

Whoever was killed in a step calls it again: what was done is found done, in the log, in the folder or at the
gateway. A step that is not the job's next changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from application import cancellations, stocks
from application.access import HEAD_OFFICE, Permission, Principal
from application.points_copies import (
    CopyLost,
    Results,
    acknowledgement_name,
    answered,
    answers,
    extracted,
    filed,
    former_file_booked,
    is_answered,
    keep_acknowledgement,
    keep_points_file,
)
from application.points_jobs import come_to_nothing, fail, require_approved
from application.points_postings import Posting
from application.shared.file_folders import FileFolder
from application.shared.gateways import GatewayError, PointsGateway
from application.shared.handler import Handler, Request
from application.shared.pending_points import PendingPoints
from application.shared.records import Context, Log
from application.shared.work import Work
from domain.activities import DECIDER as ACTIVITY
from domain.activities import Status as ActivityStatus
from domain.budgets import DECIDER as BUDGET
from domain.budgets import BudgetRefusal, Commit, Confirm, Reserve, budget_id
from domain.points_files import FAULTS_MAX, Faulty, FileFault, line_fault, points_file
from domain.points_job_answers import (
    RecordAcknowledgement,
    RecordFaultyAcknowledgement,
    RecordPosting,
    RecordReconciliation,
    RecordSilence,
)
from domain.points_job_recalls import RecordRecall
from domain.points_job_statuses import Status
from domain.points_job_terms import Failure, cost_of
from domain.points_jobs import (
    DECIDER,
    Command,
    PointsJob,
    RecordFile,
    RecordReservation,
    RecordSending,
    ReleaseFile,
    SettleJob,
    reservation_key,
)
from domain.reconciliation import reconcile as reconciled
from domain.shared.holdings import HoldingRefusal
from domain.shared.money import Money
from domain.shared.refusal import Refused
from domain.stocks import DECIDER as STOCK
from domain.stocks import ConfirmReservation, ConsumeStock, ReserveStock, StockRefusal
from domain.work_order_executions import RecordCompletion
from domain.work_orders import DECIDER as WORK_ORDER
from domain.work_orders import may_release

SYSTEM_USER = "system:points"
OPERATION = "advancePointsJob"


def system_principal(units: frozenset[str]) -> Principal:
    """Who takes jobs on their way: nobody's roles, all units, and this one permission."""
    allowed = frozenset({Permission.POINTS_DELIVER})
    return Principal(SYSTEM_USER, frozenset(), HEAD_OFFICE, units, system_permissions=allowed)


@dataclass(frozen=True, slots=True)
class PointsDesk:
    """What the steps work with. A reservation ends after `reserve_for` unless the file was released; without
    an answer after `answer_within`, somebody is told.
    """

    handler: Handler
    results: Results
    gateway: PointsGateway
    folder: FileFolder
    pending: PendingPoints
    units: frozenset[str]
    reserve_for: timedelta = timedelta(days=3)
    answer_within: timedelta = timedelta(days=1)

    @property
    def log(self) -> Log:
        """The log that the handler writes to."""
        return self.handler.log

    def job(self, job_id: UUID) -> PointsJob:
        """The job as it stands."""
        return self.log.load(DECIDER, job_id).state

    def run(self, job_id: UUID, use_case: Callable[[Work, PointsJob], None]) -> None:
        """One command about the job, on what it is then."""

        def whole(work: Work) -> UUID:
            use_case(work, work.subject(DECIDER, job_id, lambda job: job.org_unit))
            return job_id

        request = Request(system_principal(self.units), OPERATION, {"id": str(job_id)})
        self.handler(request, whole)

    def tell(self, job_id: UUID, command: Command) -> None:
        """One command that needs to know nothing but the job."""

        def use_case(work: Work, _: PointsJob) -> None:
            work.decide(DECIDER, job_id, command)

        self.run(job_id, use_case)


# --- Before the release ---------------------------------------------------


def reserve(desk: PointsDesk, job_id: UUID) -> None:
    """Count the result and reserve its cost; a result or a budget that won't do fails the job.

    From here on customers see what is on its way to them.
    """
    job = desk.job(job_id)
    if job.status is not Status.OPENED:
        return
    lines, points, faults = 0, 0, list[FileFault]()

    def sound() -> Iterator[tuple[int, str, int]]:
        nonlocal lines, points
        for line in extracted(desk, job.has):
            lines, points = lines + 1, points + line.points
            fault = line_fault(line, lines)
            if fault is None:
                yield lines, line.customer, line.points
                continue
            faults.append(FileFault(fault[0], lines, fault[1]))
            if len(faults) == FAULTS_MAX:
                return

    desk.pending.keep(job_id, sound())
    desk.run(job_id, lambda work, now: _reserve(desk, work, now, lines, points, faults))


def _reserve(
    desk: PointsDesk, work: Work, job: PointsJob, lines: int, points: int, faults: Sequence[FileFault]
) -> None:
    if job.status is not Status.OPENED:
        return
    job_id, budget = job.has.header.job, budget_id(job.has.cause.activity.id)
    # A plan that nobody has agreed to could leave out the line whose cap counts these points.
    require_approved(work.state(ACTIVITY, job.has.cause.activity.id).status)
    amount = cost_of(points, job.has.terms)
    if faults:
        named = ", ".join(f"{fault.line} {fault.field}" for fault in faults[:5])
        fail(work, job_id, Failure.BAD_LINES, count=len(faults), lines=named)
    elif lines == 0:
        fail(work, job_id, Failure.NO_LINES)
    elif amount is None:
        fail(work, job_id, Failure.COST_TOO_LARGE, points=points)
    elif amount.amount_minor and not work.state(BUDGET, budget).is_known:
        fail(work, job_id, Failure.BUDGET_MISSING)
    elif amount.amount_minor and work.state(BUDGET, budget).currency != amount.currency:
        fail(work, job_id, Failure.CURRENCY_MISMATCH, currency=work.state(BUDGET, budget).currency)
    else:
        stock = stocks.of_points(work, job.has.cause.activity.id)
        try:
            _hold(work, job, amount, points, stock, work.now + desk.reserve_for)
        except Refused as no:
            fault = no.faults[0]
            fail(work, job_id, FAILURES.get(fault.code, Failure.BUDGET_TOO_SMALL), **fault.values)
        else:
            work.decide(DECIDER, job_id, RecordReservation(lines, points, amount, stock))


def _hold(
    work: Work, job: PointsJob, amount: Money, points: int, stock: UUID | None, until: datetime
) -> None:
    """Reserve in budget and stock, or, refused by one of them, in neither."""
    key, job_id, budget = reservation_key(job), job.has.header.job, budget_id(job.has.cause.activity.id)
    if stock is not None:
        held = ReserveStock(key, Decimal(points), until, SYSTEM_USER, work.now, job_id)
        STOCK.decide(held, work.state(STOCK, stock))
    if amount.amount_minor:
        work.decide(BUDGET, budget, Reserve(key, amount, until, job_id, work.now))
    if stock is not None:
        work.decide(STOCK, stock, held)


FAILURES: Mapping[str, Failure] = {
    BudgetRefusal.BUDGET_CLOSED: Failure.BUDGET_CLOSED,
    HoldingRefusal.TOO_MANY_RESERVATIONS: Failure.TOO_MANY_RESERVATIONS,
    StockRefusal.OUT_OF_STOCK: Failure.OUT_OF_STOCK,
    StockRefusal.STOCK_CLOSED: Failure.STOCK_CLOSED,
}
"""Why budget or stock refuse a job, besides that the budget is too small."""


def file(desk: PointsDesk, job_id: UUID) -> None:
    """Write the points file; a result that is not the one that was counted fails the job."""
    job = desk.job(job_id)
    if job.status is not Status.RESERVED or job.reserved is None:
        return
    header, counted, last = job.has.header, job.reserved, [b""]

    def pieces() -> Iterator[bytes]:
        for piece in points_file(header, extracted(desk, job.has)):
            last[0] = piece
            yield piece

    try:
        stored = desk.folder.write(header.file_name, pieces())
    except Faulty as faulty:
        _fail(desk, job_id, Failure.RESULT_CHANGED, str(faulty))
        return
    _, lines, points, _ = last[0].decode().split("|")
    if (int(lines), int(points)) != (counted.lines, counted.points):
        _fail(desk, job_id, Failure.RESULT_CHANGED, f"{lines} lines, {points} points")
        return
    desk.tell(job_id, RecordFile(int(lines), int(points), stored.bytes, stored.sha256))


def _fail(desk: PointsDesk, job_id: UUID, code: Failure, found: str) -> None:
    desk.run(job_id, lambda work, _: fail(work, job_id, code, found=found[:200]))


# --- The release, and what comes back -------------------------------------


def send(desk: PointsDesk, job_id: UUID) -> None:
    """Release the file, if its work order stands, then hand it over. Raise Refused, GatewayError.

    From the release on, a cancellation has to recall the file.
    """
    job = desk.job(job_id)
    if job.status is Status.FILED:
        if (booked := former_file_booked(desk, desk.log, job)) is not None:
            _fail(desk, job_id, Failure.FORMER_FILE_BOOKED, booked)
            return
        try:
            keep_points_file(desk, job)
        except CopyLost as lost:
            _fail(desk, job_id, Failure.RESULT_CHANGED, str(lost))
            return
        desk.run(job_id, lambda work, job: _release(work, job))
    job = desk.job(job_id)
    if job.status is Status.RELEASED and job.filed is not None:
        sending = job.recall.sending
        if sending == 1 or not is_answered(desk, job):
            name = keep_points_file(desk, job)
            desk.gateway.deliver(desk.folder.path(name), name, job.filed.sha256, sending)
        desk.run(job_id, lambda work, now: _sent(desk, work, now, sending))


def _sent(desk: PointsDesk, work: Work, job: PointsJob, sending: int) -> None:
    """Who was overtaken by the next sending says nothing of that one."""
    if job.recall.sending == sending:
        work.decide(DECIDER, job.has.header.job, RecordSending(desk.handler.clock() + desk.answer_within))


def _release(work: Work, job: PointsJob) -> None:
    cause, job_id = job.has.cause, job.has.header.job
    if job.status is not Status.FILED:
        return
    activity = work.state(ACTIVITY, cause.activity.id).status
    is_gone = activity in (ActivityStatus.CANCELLED, ActivityStatus.DELETED)
    if is_gone:
        # It will never be otherwise: who waited would hold the budget for nothing.
        fail(work, job_id, Failure.ACTIVITY_CANCELLED)
        return
    require_approved(activity)
    try:
        _confirm(work, job)
    except Refused:
        fail(work, job_id, Failure.RESERVATION_EXPIRED)
        return
    order = cause.work_order is None or may_release(work.state(WORK_ORDER, cause.work_order))
    work.decide(DECIDER, job_id, ReleaseFile(order, is_gone))


def _confirm(work: Work, job: PointsJob) -> None:
    """Both reservations or, where one has expired, neither: confirmed they would stay for ever."""
    key = reservation_key(job)
    stock = None if job.reserved is None else job.reserved.stock
    if stock is not None:
        STOCK.decide(ConfirmReservation(key), work.state(STOCK, stock))
    if job.reserved is not None and job.reserved.reservation:
        work.decide(BUDGET, budget_id(job.has.cause.activity.id), Confirm(key))
    if stock is not None:
        work.decide(STOCK, stock, ConfirmReservation(key))


def recall(desk: PointsDesk, job_id: UUID) -> None:
    """Take the file back, and record whether that worked. Raise GatewayError.

    The gateway decides, by one rename, whether the other side can still take it. Of a file that was taken its
    word counts that it booked nothing, unless it has answered otherwise.
    """
    job = desk.job(job_id)
    if job.status is not Status.RECALLING or job.recall.begun is None:
        return
    is_back = desk.gateway.withdraw(job.has.header.file_name)
    if not is_back and job.recall.begun.confirmation:
        is_back = not is_answered(desk, job)
    desk.run(job_id, lambda work, now: _recalled(work, now, job.recall.tries, is_back))


def _recalled(work: Work, job: PointsJob, tries: int, is_back: bool) -> None:
    """What was found out holds for the recall that it was found out for, and for none after that."""
    begun = job.recall.begun
    if begun is None or job.recall.tries != tries:
        return
    work.decide(DECIDER, job.has.header.job, RecordRecall(is_back))
    if begun.cancellation is not None:
        cancellations.conclude(work, begun.cancellation, is_back)
    if is_back:
        come_to_nothing(work, job)


def collect(desk: PointsDesk, job_id: UUID) -> None:
    """Fetch the acknowledgement, if it is there, and judge it as a whole. Raise GatewayError."""
    job = desk.job(job_id)
    if job.status is not Status.SENT or job.filed is None:
        return
    try:
        content = desk.gateway.acknowledgement(job.has.header.file_name)
    except GatewayError:
        _silent(desk, job_id)
        raise
    if content is None:
        _silent(desk, job_id)
        return
    keep_points_file(desk, job)
    stored = desk.folder.write(acknowledgement_name(job), [content])
    try:
        accepted = rejected = accepted_points = rejected_points = 0
        for line, answer in answered(desk, job):
            if answer.is_accepted:
                accepted, accepted_points = accepted + 1, accepted_points + line.points
            else:
                rejected, rejected_points = rejected + 1, rejected_points + line.points
    except Faulty as faulty:
        desk.tell(job_id, RecordFaultyAcknowledgement(faulty.faults, stored.sha256))
        _silent(desk, job_id)
        return
    desk.tell(
        job_id, RecordAcknowledgement(accepted, rejected, accepted_points, rejected_points, stored.sha256)
    )


def _silent(desk: PointsDesk, job_id: UUID) -> None:
    """What can't be believed or fetched is no answer: past its time, somebody is told."""
    desk.tell(job_id, RecordSilence(desk.handler.clock()))


def _keep_both(desk: PointsDesk, job: PointsJob) -> None:
    assert job.answered is not None
    keep_points_file(desk, job)
    keep_acknowledgement(desk, job, job.answered.sha256)


def post(desk: PointsDesk, job_id: UUID) -> None:
    """Post the accepted lines. Raise Conflict when others keep coming first: call again."""
    job = desk.job(job_id)
    if job.status is not Status.ACKNOWLEDGED:
        return
    _keep_both(desk, job)
    accepted = (line for line, answer in answered(desk, job) if answer.is_accepted)
    handler = desk.handler
    posting = Posting(desk.log, job_id, job.has, _contexts(desk, job_id, job), handler.clock, handler.zone)
    found = posting.post(accepted)
    desk.tell(job_id, RecordPosting(found.posted, found.points, found.refused, tuple(found.refused_lines)))


def _contexts(desk: PointsDesk, job_id: UUID, job: PointsJob) -> Callable[[UUID], Context]:
    """Postings belong to the job's conversation, and follow from its acknowledgement."""
    cause = None
    for record in desk.log.records(job_id):
        cause = record.event_id
    return lambda command_id: Context(
        actor=SYSTEM_USER,
        on_behalf_of=None,
        org_unit=job.org_unit,
        command_id=command_id,
        correlation_id=job_id,
        causation_id=cause,
        effective_at=desk.handler.clock(),
        reason=None,
    )


def reconcile(desk: PointsDesk, job_id: UUID) -> None:
    """Compare result, file, acknowledgement and ledgers line by line, and record what was found."""
    job = desk.job(job_id)
    if job.status is not Status.POSTED or job.posted is None:
        return
    _keep_both(desk, job)
    found = reconciled(
        extracted(desk, job.has), filed(desk, job), answers(desk, job), job.posted.posted, job.posted.points
    )
    desk.tell(job_id, RecordReconciliation(found))


def settle(desk: PointsDesk, job_id: UUID) -> None:
    """What was posted, and not reversed since, is consumed in budget and stock; the rest is free again."""
    desk.pending.forget(job_id)
    desk.run(job_id, lambda work, job: _settle(work, job))


def _settle(work: Work, job: PointsJob) -> None:
    if job.status is not Status.RECONCILED or job.posted is None or job.reserved is None:
        return
    points = job.posted.points - job.recall.reversed_points
    consumed = cost_of(points, job.has.terms)
    assert consumed is not None, "it is no more than was reserved"
    if job.reserved.reservation:
        work.decide(BUDGET, budget_id(job.has.cause.activity.id), Commit(job.reserved.reservation, consumed))
    if job.reserved.stock is not None:
        given = ConsumeStock(reservation_key(job), Decimal(points), job.has.header.job)
        work.decide(STOCK, job.reserved.stock, given)
    if job.has.cause.work_order is not None:
        work.decide(WORK_ORDER, job.has.cause.work_order, RecordCompletion(job.has.cause.run))
    work.decide(DECIDER, job.has.header.job, SettleJob(consumed))


Step = Callable[[PointsDesk, UUID], None]

STEPS: Mapping[Status, Step] = {
    Status.OPENED: reserve,
    Status.RESERVED: file,
    Status.FILED: send,
    Status.RELEASED: send,
    Status.SENT: collect,
    Status.RECALLING: recall,
    Status.ACKNOWLEDGED: post,
    Status.POSTED: reconcile,
    Status.RECONCILED: settle,
}
"""The step that is next where a job stands; elsewhere it waits for people, or for nothing any more."""
