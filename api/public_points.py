"""What integrators see of budgets, points jobs and points ledgers."""

from datetime import datetime

from api.planner.ids import encode
from api.public_mappings import Data, Mapping, mapping
from api.public_mappings import public_id as _id
from domain import budgets as b
from domain import points_job_answers as back
from domain import points_job_recalls as recalls
from domain import points_jobs as j
from domain import points_ledgers as p
from domain.points_files import FileFault
from domain.reconciliation import Reconciliation
from domain.shared.money import MINOR_DIGITS, Money


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _money(money: Money) -> Data:
    digits = MINOR_DIGITS[money.currency]
    whole, rest = divmod(money.amount_minor, 10**digits)
    return {"amount": f"{whole}.{rest:0{digits}d}" if digits else str(whole), "currency": money.currency}


def _encumbered(e: b.BudgetEncumbered) -> Data:
    return {
        "activityId": _id("activity", e.activity),
        "orgUnit": e.org_unit,
        "code": e.code,
        "total": _money(e.total),
    }


def _reserved(e: b.BudgetReserved) -> Data:
    return {
        "key": e.key,
        "amount": _money(e.amount),
        "expiresAt": _instant(e.expires_at),
        "pointsJobId": _id("points_job", e.reference),
    }


def _opened(e: j.PointsJobOpened) -> Data:
    cause, terms = e.cause, e.terms
    return {
        "orgUnit": e.org_unit,
        "programme": e.header.programme,
        "fileName": e.header.file_name,
        "businessDate": e.header.business_date.isoformat(),
        "name": terms.name,
        "businessType": terms.business_type,
        "origin": terms.origin.name,
        "runId": _id("segment_run", cause.run),
        "definitionId": _id("segment_definition", cause.definition.id),
        "definitionRevision": cause.definition.revision,
        "definitionHash": cause.definition_hash,
        "workOrderId": _id("work_order", cause.work_order),
        "activityId": _id("activity", cause.activity.id),
        "activityRevision": cause.activity.revision,
        "approvalIds": [_id("approval", approval) for approval in cause.approvals],
    }


def _faulted(e: back.PointsJobAcknowledgementFaulted) -> Data:
    return {"faulty": e.faulty, "faults": [_fault(fault) for fault in e.faults], "sha256": e.sha256}


def _fault(fault: FileFault) -> Data:
    return {"code": fault.code.upper(), "line": fault.line, "field": fault.field}


def _reconciled(found: Reconciliation) -> Data:
    return {
        "extracted": found.extracted,
        "filed": found.filed,
        "accepted": found.accepted,
        "rejected": found.rejected,
        "posted": found.posted,
        "differing": found.differing,
        "differences": [{"line": each.line, "kind": each.kind.upper()} for each in found.differences],
    }


def _posted(e: p.PointsPosted | p.PointsReversed) -> Data:
    return {
        "postingKey": e.posting_key,
        "programme": e.programme,
        "customer": e.customer,
        "year": e.year,
        "debit": e.debit.name,
        "credit": e.credit.name,
        "points": e.points,
        "balance": e.balance,
        "opening": e.opening,
        "card": e.card,
        "lot": e.lot,
        "valueDate": e.value_date.isoformat(),
        "businessType": e.business_type,
        "name": e.name,
        "origin": e.origin.name,
        "pointsJobId": _id("points_job", e.job),
        "lineNumber": e.line_number,
    }


def _posted_by_job(e: back.PointsJobPosted) -> Data:
    return {"posted": e.posted, "points": e.points, "refused": e.refused}


def _acknowledged(e: back.PointsJobAcknowledged) -> Data:
    return {
        "accepted": e.accepted,
        "rejected": e.rejected,
        "acceptedPoints": e.accepted_points,
        "rejectedPoints": e.rejected_points,
        "sha256": e.sha256,
    }


POINTS_MAPPINGS: dict[type, Mapping] = {
    b.BudgetEncumbered: mapping("encumbered", _encumbered),
    b.BudgetReserved: mapping("reserved", _reserved),
    b.ReservationConfirmed: mapping("confirmed", lambda e: {"key": e.key}),
    b.BudgetConsumed: mapping(
        "consumed",
        lambda e: {"key": e.key, "amount": _money(e.actual), "released": _money(e.released)},
    ),
    b.ReservationReleased: mapping(
        "released",
        lambda e: {"key": e.key, "amount": _money(e.amount), "cause": e.cause.name},
    ),
    b.BudgetRefunded: mapping(
        "refunded",
        lambda e: {"key": e.key, "refund": e.refund, "amount": _money(e.amount)},
    ),
    b.BudgetThresholdReached: mapping(
        "threshold_reached",
        lambda e: {"percent": e.percent, "used": _money(e.used), "total": _money(e.total)},
    ),
    b.BudgetClosed: mapping("closed", lambda e: {"returned": _money(e.returned)}),
    j.PointsJobOpened: mapping("opened", _opened),
    j.PointsJobReserved: mapping(
        "reserved",
        lambda e: {
            "lines": e.lines,
            "points": e.points,
            "amount": _money(e.amount),
            "stockId": _id("stock", e.stock),
        },
    ),
    j.PointsJobFiled: mapping(
        "filed",
        lambda e: {"lines": e.lines, "points": e.points, "bytes": e.bytes, "sha256": e.sha256},
    ),
    j.PointsJobReleased: mapping("released", lambda _: {}),
    j.PointsJobSent: mapping("sent", lambda e: {"answerBy": _instant(e.answer_by)}),
    back.PointsJobAcknowledged: mapping("acknowledged", _acknowledged),
    back.PointsJobAcknowledgementFaulted: mapping("acknowledgement_faulted", _faulted),
    back.PointsJobAnswerOverdue: mapping("answer_overdue", lambda e: {"answerBy": _instant(e.answer_by)}),
    back.PointsJobPosted: mapping("posted", _posted_by_job),
    back.PointsJobReconciled: mapping("reconciled", lambda e: _reconciled(e.found)),
    back.PointsJobDiffered: mapping("differed", lambda e: _reconciled(e.found)),
    back.PointsJobDifferencesAccepted: mapping("differences_accepted", lambda e: {"reason": e.reason}),
    j.PointsJobSettled: mapping("settled", lambda e: {"consumed": _money(e.consumed)}),
    j.PointsJobFailed: mapping("failed", lambda e: {"code": e.code.upper(), "values": dict(e.values)}),
    j.PointsJobRetried: mapping("retried", lambda e: {"attempt": e.attempt}),
    j.PointsJobWithdrawn: mapping("withdrawn", lambda e: {"reason": e.reason}),
    recalls.PointsJobResent: mapping("resent", lambda e: {"sending": e.sending, "reason": e.reason}),
    recalls.PointsJobRecallBegun: mapping(
        "recall_begun",
        lambda e: {
            "reason": e.reason,
            "confirmation": e.confirmation or None,
            "cancellationId": _id("cancellation", e.cancellation),
        },
    ),
    recalls.PointsJobRecalled: mapping(
        "recalled", lambda e: {"reason": e.reason, "confirmation": e.confirmation or None}
    ),
    recalls.PointsJobRecallFailed: mapping("recall_failed", lambda e: {"fileName": e.file_name}),
    recalls.PointsJobPointsReversed: mapping(
        "points_reversed",
        lambda e: {"entryId": encode("pe", e.entry), "points": e.points, "refund": _money(e.refund)},
    ),
    p.PointsPosted: mapping("posted", _posted),
    p.PointsReversed: mapping(
        "reversed",
        lambda e: {**_posted(e), "entryId": encode("pe", e.entry), "reason": e.reason},
    ),
    p.PointsCarriedForward: mapping("carried_forward", lambda e: {"balance": e.balance, "into": e.into}),
    p.PointsLedgerClosed: mapping("closed", lambda e: {"balance": e.balance, "reason": e.reason}),
}
"""What happened, and what integrators are told of it, by event."""
