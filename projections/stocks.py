"""Stocks with their four quantities, and every movement that made them so."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain import stocks as s
from projections.shared.entries import EntryProjection
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class StockRow:
    """total = free + reserved + consumed, in `unit`. `line` is that of the plan, from 0."""

    id: UUID
    version: int
    activity_id: UUID
    org_unit: str
    code: str
    line: int
    reward_type_id: UUID
    reward_type_revision: int
    unit: str
    status: str
    total: Decimal
    free: Decimal
    reserved: Decimal
    consumed: Decimal
    reservations: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class StockMovementRow:
    """`key` names the award or the job's attempt, `reference_id` the points job that it is for."""

    id: UUID
    stock_id: UUID
    version: int
    org_unit: str
    kind: str
    key: str
    quantity: Decimal
    reference_id: UUID | None
    expires_at: datetime | None
    created_at: datetime
    created_by: str


NOTHING = Decimal(0)


def project(row: StockRow | None, record: Record[s.Event]) -> StockRow | None:
    event = record.event
    if isinstance(event, s.StockOpened):
        row = _opened(row, record, event)
    row = given(row)
    after = altered(row, version=record.version, **_columns(row, event), **changed(record))
    return altered(after, total=s.canonical(after.free + after.reserved + after.consumed))


def _columns(row: StockRow, event: s.Event) -> dict[str, Any]:
    match event:
        case s.StockOpened(total=total):
            return {"free": s.canonical(total - row.reserved - row.consumed), "status": "open"}
        case s.StockReserved(quantity=quantity):
            return _moved(row, free=-quantity, reserved=quantity, reservations=1)
        case s.StockConsumed(quantity=quantity, released=released):
            held = quantity + released
            return _moved(row, free=released, reserved=-held, consumed=quantity, reservations=-1)
        case s.StockReleased(quantity=quantity):
            return _moved(row, free=quantity, reserved=-quantity, reservations=-1)
        case s.StockReturned(quantity=quantity):
            return _moved(row, free=quantity, consumed=-quantity)
        case s.StockClosed():
            return {"free": NOTHING, "status": "closed"}
        case s.StockConfirmed():
            return {}
        case _:
            assert_never(event)


def _opened(row: StockRow | None, record: Record[Any], event: s.StockOpened) -> StockRow:
    named: dict[str, Any] = {
        "org_unit": event.org_unit,
        "code": event.code,
        "line": event.line,
        "reward_type_revision": event.reward_type.revision,
        "unit": event.unit,
    }
    if row is not None:
        return altered(row, **named)
    return StockRow(
        id=record.stream_id,
        version=record.version,
        activity_id=event.activity,
        reward_type_id=event.reward_type.id,
        status="open",
        total=NOTHING,
        free=NOTHING,
        reserved=NOTHING,
        consumed=NOTHING,
        reservations=0,
        **named,
        **created(record),
        **changed(record),
    )


def _moved(
    row: StockRow,
    free: Decimal = NOTHING,
    reserved: Decimal = NOTHING,
    consumed: Decimal = NOTHING,
    reservations: int = 0,
) -> dict[str, Any]:
    """What becomes free after the close leaves the stock."""
    is_gone = row.status == "closed" and free > 0
    return {
        "free": NOTHING if is_gone else s.canonical(row.free + free),
        "reserved": s.canonical(row.reserved + reserved),
        "consumed": s.canonical(row.consumed + consumed),
        "reservations": row.reservations + reservations,
    }


def movement(record: Record[s.Event]) -> StockMovementRow | None:
    event = record.event
    match event:
        case s.StockOpened(total=total):
            return _movement(record, "opened", total)
        case s.StockReserved(key=key, quantity=quantity, reference=reference, expires_at=expires_at):
            return _movement(record, "reserved", quantity, key, reference, expires_at)
        case s.StockConfirmed(key=key, quantity=quantity, reference=reference):
            return _movement(record, "confirmed", quantity, key, reference)
        case s.StockConsumed(key=key, quantity=quantity, reference=reference):
            return _movement(record, "consumed", quantity, key, reference)
        case s.StockReleased(key=key, quantity=quantity, cause=cause, reference=reference):
            return _movement(record, cause.value, quantity, key, reference)
        case s.StockReturned(key=key, quantity=quantity, reference=reference):
            return _movement(record, "returned", quantity, key, reference)
        case s.StockClosed(left=left):
            return _movement(record, "closed", left)
        case _:
            assert_never(event)


def _movement(
    record: Record[Any],
    kind: str,
    quantity: Decimal,
    key: str = "",
    reference: UUID | None = None,
    expires_at: datetime | None = None,
) -> StockMovementRow:
    return StockMovementRow(
        id=record.event_id,
        stock_id=record.stream_id,
        version=record.version,
        org_unit=record.context.org_unit,
        kind=kind,
        key=key,
        quantity=quantity,
        reference_id=reference,
        expires_at=expires_at,
        **created(record),
    )


STOCKS = RowProjection(
    name="stocks",
    table="stocks",
    versions="stock_versions",
    row=StockRow,
    stream_types=frozenset({s.DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
STOCK_MOVEMENTS = EntryProjection(
    name="stock_movements",
    table="stock_movements",
    row=StockMovementRow,
    stream_types=frozenset({s.DECIDER.stream_type}),
    stream="stock_id",
    project=movement,
)
