"""The way of a points job, step by step: each function takes one step and may be called again at any time.

Whoever was killed in a step calls it again: what was done is found done, in the log, in the folder or at the
gateway. A step that is not the job's next changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from application import stocks
from application.access import HEAD_OFFICE, Permission, Principal
from application.points_jobs import fail, require_approved
from application.points_postings import Posting
from application.shared.file_folders import FileFolder
from application.shared.gateways import PointsGateway
from application.shared.handler import Handler, Request
from application.shared.records import Context, Log
from application.shared.work import Work
from domain.activities import DECIDER as ACTIVITY
from domain.activities import Status as ActivityStatus
from domain.budgets import DECIDER as BUDGET
from domain.budgets import BudgetRefusal, Commit, Confirm, Reserve, budget_id
from domain.points_files import (
    FAULTS_MAX,
    AcknowledgementLine,
    Faulty,
    FileFault,
    FileRefusal,
    PointsLine,
    line_fault,
    points_file,
    read_acknowledgement,
    read_points_file,
    sound,
)
from domain.points_job_answers import (
    RecordAcknowledgement,
    RecordFaultyAcknowledgement,
    RecordPosting,
    RecordReconciliation,
    RecordSilence,
)
from domain.points_job_statuses import Status
from domain.points_job_terms import Failure, cost_of
from domain.points_jobs import (
    DECIDER,
    Command,
    PointsJob,
    PointsJobOpened,
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


class Results(Protocol):
    """What is read of an engine."""

    def rows(self, run_id: UUID, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The columns of a finished run, row by row, always in the same order."""
        ...


def system_principal(units: frozenset[str]) -> Principal:
    """Who takes jobs on their way: nobody's roles, all units, and this one permission."""
    return Principal(
        user=SYSTEM_USER,
        roles=frozenset(),
        org_unit=HEAD_OFFICE,
        units=units,
        system_permissions=frozenset({Permission.POINTS_DELIVER}),
    )


@dataclass(frozen=True, slots=True)
class PointsDesk:
    """What the steps work with. A reservation ends after `reserve_for` unless the file was released; without
    an answer after `answer_within`, somebody is told.
    """

    handler: Handler
    results: Results
    gateway: PointsGateway
    folder: FileFolder
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
    """Count the result and reserve its cost; a result or a budget that won't do fails the job."""
    job = desk.job(job_id)
    if job.status is not Status.OPENED:
        return
    lines, points, faults = 0, 0, list[FileFault]()
    for line in extracted(desk, job.has):
        lines, points = lines + 1, points + line.points
        fault = line_fault(line, lines)
        if fault is not None:
            faults.append(FileFault(fault[0], lines, fault[1]))
            if len(faults) == FAULTS_MAX:
                break
    desk.run(job_id, lambda work, now: _reserve(desk, work, now, lines, points, faults))


def _reserve(
    desk: PointsDesk, work: Work, job: PointsJob, lines: int, points: int, faults: Sequence[FileFault]
) -> None:
    if job.status is not Status.OPENED:
        return
    job_id, budget = job.has.header.job, budget_id(job.has.cause.activity.id)
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


def extracted(desk: PointsDesk, opened: PointsJobOpened) -> Iterator[PointsLine]:
    """The result as lines of the file, numbered from 1."""
    columns, business_type = opened.terms.columns, opened.terms.business_type
    for number, row in enumerate(desk.results.rows(opened.cause.run, columns.names), start=1):
        values = dict(zip(columns.names, row, strict=True))
        points = columns.points_each if columns.points is None else values[columns.points]
        card = "" if columns.card is None else values[columns.card]
        sound_points = points if isinstance(points, int) and not isinstance(points, bool) else 0
        yield PointsLine(
            number, _text(values[columns.customer]), _text(card), max(sound_points, 0), business_type
        )


def _text(value: object) -> str:
    return "" if value is None else str(value)


# --- The release, and what comes back -------------------------------------


def send(desk: PointsDesk, job_id: UUID) -> None:
    """Release the file, if its work order stands, then hand it over. Raise Refused, GatewayError.

    The release is the point of no return: a cancellation comes before it, or too late for this file.
    """
    if desk.job(job_id).status is Status.FILED:
        desk.run(job_id, lambda work, job: _release(work, job))
    job = desk.job(job_id)
    if job.status is Status.RELEASED and job.filed is not None:
        name = job.has.header.file_name
        desk.gateway.deliver(desk.folder.path(name), name, job.filed.sha256)
        desk.run(job_id, lambda work, _: _sent(desk, work, job_id))


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


def _sent(desk: PointsDesk, work: Work, job_id: UUID) -> None:
    work.decide(DECIDER, job_id, RecordSending(work.now + desk.answer_within))


def collect(desk: PointsDesk, job_id: UUID) -> None:
    """Fetch the acknowledgement, if it is there, and judge it as a whole. Raise GatewayError."""
    job = desk.job(job_id)
    if job.status is not Status.SENT or job.filed is None:
        return
    name = job.has.header.file_name
    content = desk.gateway.acknowledgement(name)
    if content is None:
        desk.tell(job_id, RecordSilence(desk.handler.clock()))
        return
    stored = desk.folder.write(f"ACK_{name}", [content])
    try:
        accepted = rejected = accepted_points = rejected_points = 0
        for line, answer in answered(desk, job):
            if answer.is_accepted:
                accepted, accepted_points = accepted + 1, accepted_points + line.points
            else:
                rejected, rejected_points = rejected + 1, rejected_points + line.points
    except Faulty as faulty:
        desk.tell(job_id, RecordFaultyAcknowledgement(faulty.faults, stored.sha256))
        return
    desk.tell(
        job_id, RecordAcknowledgement(accepted, rejected, accepted_points, rejected_points, stored.sha256)
    )


def filed(desk: PointsDesk, job: PointsJob) -> Iterator[PointsLine]:
    """The lines of the points file. Raise Faulty at its end, if it is not what was written."""
    parts = sound(read_points_file(desk.folder.read(job.has.header.file_name)))
    return (part for part in parts if isinstance(part, PointsLine))


def answers(desk: PointsDesk, job: PointsJob) -> Iterator[AcknowledgementLine]:
    """The lines of the acknowledgement. Raise Faulty at its end, if it can't be believed."""
    assert job.filed is not None
    name = job.has.header.file_name
    pieces = desk.folder.read(f"ACK_{name}")
    parts = sound(read_acknowledgement(pieces, name, job.filed.sha256, job.filed.lines))
    return (part for part in parts if isinstance(part, AcknowledgementLine))


def answered(desk: PointsDesk, job: PointsJob) -> Iterator[tuple[PointsLine, AcknowledgementLine]]:
    """Each line that was answered, with its answer; both come in the order of numbers."""
    lines = filed(desk, job)
    for answer in answers(desk, job):
        line = next((line for line in lines if line.number == answer.number), None)
        if line is None:
            raise Faulty([FileFault(FileRefusal.UNKNOWN_LINE, answer.number)])
        yield line, answer
    for _ in lines:
        pass  # to its end, where a file that is not sound says so


def post(desk: PointsDesk, job_id: UUID) -> None:
    """Post the accepted lines. Raise Conflict when others keep coming first: call again."""
    job = desk.job(job_id)
    if job.status is not Status.ACKNOWLEDGED:
        return
    for _ in answered(desk, job):
        pass  # nothing is posted of files that are not sound any more
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
    found = reconciled(
        extracted(desk, job.has), filed(desk, job), answers(desk, job), job.posted.posted, job.posted.points
    )
    desk.tell(job_id, RecordReconciliation(found))


def settle(desk: PointsDesk, job_id: UUID) -> None:
    """What was posted is consumed in budget and stock; the rest of the reservations is free again."""
    desk.run(job_id, lambda work, job: _settle(work, job))


def _settle(work: Work, job: PointsJob) -> None:
    if job.status is not Status.RECONCILED or job.posted is None or job.reserved is None:
        return
    consumed = cost_of(job.posted.points, job.has.terms)
    assert consumed is not None, "it is no more than was reserved"
    if job.reserved.reservation:
        work.decide(BUDGET, budget_id(job.has.cause.activity.id), Commit(job.reserved.reservation, consumed))
    if job.reserved.stock is not None:
        given = ConsumeStock(reservation_key(job), Decimal(job.posted.points), job.has.header.job)
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
    Status.ACKNOWLEDGED: post,
    Status.POSTED: reconcile,
    Status.RECONCILED: settle,
}
"""The step that is next where a job stands; elsewhere it waits for people, or for nothing any more."""
