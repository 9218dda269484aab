"""Budgets with their four amounts, and every movement that made them so."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain import budgets as b
from domain.shared.money import Money
from projections.shared.entries import EntryProjection
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class BudgetRow:
    """total = free + reserved + consumed. `threshold_percent` is the highest that was reached, or 0."""

    id: UUID
    version: int
    activity_id: UUID
    org_unit: str
    code: str
    status: str
    currency: str
    total_minor: int
    free_minor: int
    reserved_minor: int
    consumed_minor: int
    reservations: int
    threshold_percent: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class BudgetMovementRow:
    """`key` names the reservation, `reference_id` the points job that it is for."""

    id: UUID
    budget_id: UUID
    version: int
    org_unit: str
    kind: str
    key: str
    amount_minor: int
    currency: str
    reference_id: UUID | None
    expires_at: datetime | None
    created_at: datetime
    created_by: str


def project(row: BudgetRow | None, record: Record[b.Event]) -> BudgetRow | None:
    event = record.event
    if isinstance(event, b.BudgetEncumbered):
        row = _encumbered(row, record, event)
    row = given(row)
    columns: dict[str, Any] = {}
    match event:
        case b.BudgetEncumbered(total=total):
            used = row.reserved_minor + row.consumed_minor
            columns = {"free_minor": total.amount_minor - used, "status": "open", "threshold_percent": 0}
        case b.BudgetReserved(amount=amount):
            columns = _moved(row, free=-amount.amount_minor, reserved=amount.amount_minor, reservations=1)
        case b.BudgetConsumed(actual=actual, released=released):
            held = actual.amount_minor + released.amount_minor
            columns = _moved(
                row,
                free=released.amount_minor,
                reserved=-held,
                consumed=actual.amount_minor,
                reservations=-1,
            )
        case b.ReservationReleased(amount=amount):
            columns = _moved(row, free=amount.amount_minor, reserved=-amount.amount_minor, reservations=-1)
        case b.BudgetRefunded(amount=amount):
            columns = _moved(row, free=amount.amount_minor, consumed=-amount.amount_minor)
        case b.BudgetThresholdReached(percent=percent):
            columns = {"threshold_percent": percent}
        case b.BudgetClosed():
            columns = {"free_minor": 0, "status": "closed"}
        case b.ReservationConfirmed():
            pass
        case _:
            assert_never(event)
    after = altered(row, version=record.version, **columns, **changed(record))
    return altered(after, total_minor=after.free_minor + after.reserved_minor + after.consumed_minor)


def _encumbered(row: BudgetRow | None, record: Record[Any], event: b.BudgetEncumbered) -> BudgetRow:
    named: dict[str, Any] = {"org_unit": event.org_unit, "code": event.code, "currency": event.total.currency}
    if row is not None:
        return altered(row, **named)
    return BudgetRow(
        id=record.stream_id,
        version=record.version,
        activity_id=event.activity,
        status="open",
        total_minor=0,
        free_minor=0,
        reserved_minor=0,
        consumed_minor=0,
        reservations=0,
        threshold_percent=0,
        **named,
        **created(record),
        **changed(record),
    )


def _moved(
    row: BudgetRow, free: int = 0, reserved: int = 0, consumed: int = 0, reservations: int = 0
) -> dict[str, Any]:
    """What becomes free after the close leaves the budget."""
    is_returned = row.status == "closed" and free > 0
    return {
        "free_minor": 0 if is_returned else row.free_minor + free,
        "reserved_minor": row.reserved_minor + reserved,
        "consumed_minor": row.consumed_minor + consumed,
        "reservations": row.reservations + reservations,
    }


def movement(record: Record[b.Event]) -> BudgetMovementRow | None:
    event = record.event
    match event:
        case b.BudgetEncumbered(total=total):
            return _movement(record, "encumbered", total)
        case b.BudgetReserved(key=key, amount=amount, reference=reference, expires_at=expires_at):
            return _movement(record, "reserved", amount, key, reference, expires_at)
        case b.BudgetConsumed(key=key, actual=actual, reference=reference):
            return _movement(record, "consumed", actual, key, reference)
        case b.ReservationReleased(key=key, amount=amount, cause=cause, reference=reference):
            return _movement(record, cause.value, amount, key, reference)
        case b.BudgetRefunded(key=key, amount=amount, reference=reference):
            return _movement(record, "refunded", amount, key, reference)
        case b.BudgetClosed(returned=returned):
            return _movement(record, "returned", returned)
        case b.BudgetThresholdReached() | b.ReservationConfirmed():
            return None
        case _:
            assert_never(event)


def _movement(
    record: Record[Any],
    kind: str,
    amount: Money,
    key: str = "",
    reference: UUID | None = None,
    expires_at: datetime | None = None,
) -> BudgetMovementRow:
    return BudgetMovementRow(
        id=record.event_id,
        budget_id=record.stream_id,
        version=record.version,
        org_unit=record.context.org_unit,
        kind=kind,
        key=key,
        amount_minor=amount.amount_minor,
        currency=amount.currency,
        reference_id=reference,
        expires_at=expires_at,
        **created(record),
    )


BUDGETS = RowProjection(
    name="budgets",
    table="budgets",
    versions="budget_versions",
    row=BudgetRow,
    stream_types=frozenset({b.DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
BUDGET_MOVEMENTS = EntryProjection(
    name="budget_movements",
    table="budget_movements",
    row=BudgetMovementRow,
    stream_types=frozenset({b.DECIDER.stream_type}),
    stream="budget_id",
    project=movement,
)
