"""Points jobs as lists and pages show them: where each stands, and what every step counted."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain import points_job_answers as back
from domain import points_job_recalls as recalls
from domain import points_jobs as j
from domain.reconciliation import Reconciliation
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class PointsJobRow:
    """Counts are None until their step. `faults` hold {code, line, field} of an acknowledgement that can't be
    believed, or {name, value} of a failure; `differences` hold {line, kind}, `refused_lines` {number, code}.

    `status` is awaiting_acknowledgement once the answer is overdue, and differing when the reconciliation was
    not even. `sending` counts how often the file went out; `confirmation` is where the other side says that
    it booked nothing; `reversed_points` of the posted ones were taken back, which gave back `refunded_minor`.
    """

    id: UUID
    version: int
    org_unit: str
    status: str
    name: str
    programme: str
    business_date: date
    sequence: int
    file_name: str
    origin: str
    business_type: str
    unit_cost: str
    currency: str
    run_id: UUID
    result_hash: str
    definition_id: UUID
    definition_revision: int
    definition_hash: str
    work_order_id: UUID | None
    activity_id: UUID
    activity_revision: int
    approval_ids: tuple[UUID, ...]
    attempt: int
    lines: int | None
    points: int | None
    amount_minor: int | None
    bytes: int | None
    sha256: str | None
    answer_by: datetime | None
    answer_sha256: str | None
    accepted: int | None
    rejected: int | None
    accepted_points: int | None
    rejected_points: int | None
    posted: int | None
    posted_points: int | None
    refused: int | None
    refused_lines: list[dict[str, Any]]
    differing: int | None
    differences: list[dict[str, Any]]
    consumed_minor: int | None
    failure: str | None
    faults: list[dict[str, Any]]
    reason: str | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    sending: int = 1
    is_overdue: bool = False
    confirmation: str | None = None
    reversed_points: int = 0
    refunded_minor: int = 0


BEFORE_THE_FIRST_STEP: dict[str, Any] = {
    "status": "opened",
    "lines": None,
    "points": None,
    "amount_minor": None,
    "bytes": None,
    "sha256": None,
    "failure": None,
    "faults": [],
    "reason": None,
}


FILE_TAKEN = "points_file_taken"
"""Why a file was not recalled: the job goes on."""


def project(row: PointsJobRow | None, record: Record[j.Event]) -> PointsJobRow | None:
    event = record.event
    if isinstance(event, j.PointsJobOpened):
        return _opened(record, event)
    row = given(row)
    columns = _taken_back(row, event) if isinstance(event, recalls.Event) else _columns(event)
    return altered(row, version=record.version, **changed(record), **columns)


def _opened(record: Record[Any], event: j.PointsJobOpened) -> PointsJobRow:
    header, cause, terms = event.header, event.cause, event.terms
    return PointsJobRow(
        id=record.stream_id,
        version=record.version,
        org_unit=event.org_unit,
        name=terms.name,
        programme=header.programme,
        business_date=header.business_date,
        sequence=header.sequence,
        file_name=header.file_name,
        origin=terms.origin.value,
        business_type=terms.business_type,
        unit_cost=terms.unit_cost,
        currency=terms.currency,
        run_id=cause.run,
        result_hash=cause.result_hash,
        definition_id=cause.definition.id,
        definition_revision=cause.definition.revision,
        definition_hash=cause.definition_hash,
        work_order_id=cause.work_order,
        activity_id=cause.activity.id,
        activity_revision=cause.activity.revision,
        approval_ids=cause.approvals,
        attempt=1,
        answer_by=None,
        answer_sha256=None,
        accepted=None,
        rejected=None,
        accepted_points=None,
        rejected_points=None,
        posted=None,
        posted_points=None,
        refused=None,
        refused_lines=[],
        differing=None,
        differences=[],
        consumed_minor=None,
        **BEFORE_THE_FIRST_STEP,
        **created(record),
        **changed(record),
    )


def _columns(event: Any) -> dict[str, Any]:
    """What an event after the first one changes."""
    match event:
        case j.PointsJobReserved(lines=lines, points=points, amount=amount):
            counted = {"lines": lines, "points": points, "amount_minor": amount.amount_minor}
            return {"status": "reserved", **counted}
        case j.PointsJobFiled(bytes=bytes_, sha256=sha256):
            return {"status": "filed", "bytes": bytes_, "sha256": sha256}
        case j.PointsJobReleased():
            return {"status": "released"}
        case j.PointsJobSent(answer_by=answer_by):
            return {"status": "sent", "answer_by": answer_by, "is_overdue": False, "faults": []}
        case j.PointsJobSettled(consumed=consumed):
            return {"status": "settled", "consumed_minor": consumed.amount_minor}
        case j.PointsJobFailed(code=code, values=values):
            faults = [{"name": name, "value": values[name]} for name in sorted(values)]
            return {"status": "failed", "failure": code, "faults": faults}
        case j.PointsJobRetried(attempt=attempt):
            return {**BEFORE_THE_FIRST_STEP, "attempt": attempt}
        case j.PointsJobWithdrawn(reason=reason):
            return {"status": "withdrawn", "reason": reason}
        case _:
            return _answered(event)


def _answered(event: back.AnswerEvent) -> dict[str, Any]:
    match event:
        case back.PointsJobAcknowledged():
            return {
                "status": "acknowledged",
                "answer_sha256": event.sha256,
                "accepted": event.accepted,
                "rejected": event.rejected,
                "accepted_points": event.accepted_points,
                "rejected_points": event.rejected_points,
                "faults": [],
                "is_overdue": False,
                "failure": None,
            }
        case back.PointsJobAcknowledgementFaulted(faults=faults, sha256=sha256):
            named = [{"code": f.code.value, "line": f.line, "field": f.field} for f in faults]
            return {"status": "acknowledgement_faulty", "answer_sha256": sha256, "faults": named}
        case back.PointsJobAnswerOverdue():
            return {"status": "awaiting_acknowledgement", "is_overdue": True}
        case back.PointsJobPosted(posted=posted, points=points, refused=refused):
            lines = [{"number": line.number, "code": line.code} for line in event.refused_lines]
            counted = {"posted": posted, "posted_points": points, "refused": refused}
            return {"status": "posted", **counted, "refused_lines": lines}
        case back.PointsJobReconciled(found=found):
            return {"status": "reconciled", **_differences(found)}
        case back.PointsJobDiffered(found=found):
            return {"status": "differing", **_differences(found)}
        case back.PointsJobDifferencesAccepted(reason=reason):
            return {"status": "reconciled", "reason": reason}
        case _:
            assert_never(event)


def _taken_back(row: PointsJobRow, event: recalls.Event) -> dict[str, Any]:
    match event:
        case recalls.PointsJobResent(sending=sending, reason=reason):
            return {"status": "released", "sending": sending, "reason": reason, "failure": None}
        case recalls.PointsJobRecallBegun(reason=reason, confirmation=confirmation):
            return {"status": "recalling", "reason": reason, "confirmation": confirmation or None}
        case recalls.PointsJobRecalled():
            return {"status": "withdrawn", "is_overdue": False, "failure": None}
        case recalls.PointsJobRecallFailed():
            out = "awaiting_acknowledgement" if row.is_overdue else "sent" if row.answer_by else "released"
            return {"status": out, "confirmation": None, "failure": FILE_TAKEN}
        case recalls.PointsJobPointsReversed(points=points, refund=refund):
            refunded = row.refunded_minor + refund.amount_minor
            return {"reversed_points": row.reversed_points + points, "refunded_minor": refunded}
        case _:
            assert_never(event)


def _differences(found: Reconciliation) -> dict[str, Any]:
    named = [{"line": each.line, "kind": each.kind.value} for each in found.differences]
    return {"differing": found.differing, "differences": named}


POINTS_JOBS = RowProjection(
    name="points_jobs",
    table="points_jobs",
    versions="points_job_versions",
    row=PointsJobRow,
    stream_types=frozenset({j.DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
