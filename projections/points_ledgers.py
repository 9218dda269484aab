"""Points as people look at them: postings as entries, customers' years as accounts, the sums against them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from application.shared.records import Record
from domain import points_ledgers as p
from domain.points_ledgers import LEDGERS, Account, signed_points
from projections.points_stretches import ACCOUNTS, ENTRIES
from projections.shared.entries import EntryProjection, Share
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class PointsEntryRow:
    """`points` is what the customer's account got, signed; `balance` is the customer's after it.

    `created_by` is the person or process that posted; `reverses_id` the entry that this one takes back.
    """

    id: UUID
    ledger_id: UUID
    version: int
    org_unit: str
    programme: str
    customer: str
    year: int
    points: int
    debit: str
    credit: str
    balance: int
    card_masked: str
    lot: str
    value_date: date
    business_type: str
    name: str
    origin: str
    posting_key: str
    job_id: UUID | None
    line_number: int
    reverses_id: UUID | None
    reason: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True)
class PointsAccountRow:
    """One customer's points of one programme in one year.

    `balance` = `opening` + `earned` - `used` - `expired`, each without what was reversed. In a year whose
    balance was `carried`, it stands in the next one's `opening`.
    """

    id: UUID
    version: int
    org_unit: str
    programme: str
    customer: str
    year: int
    status: str
    opening: int
    earned: int
    used: int
    expired: int
    balance: int
    postings: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def entry(record: Record[p.Event]) -> PointsEntryRow | None:
    event = record.event
    if not isinstance(event, p.PointsPosted | p.PointsReversed):
        return None
    return PointsEntryRow(
        id=record.event_id,
        ledger_id=record.stream_id,
        version=record.version,
        org_unit=record.context.org_unit,
        programme=event.programme,
        customer=event.customer,
        year=event.year,
        points=signed_points(event),
        debit=event.debit.value,
        credit=event.credit.value,
        balance=event.balance,
        card_masked=event.card,
        lot=event.lot,
        value_date=event.value_date,
        business_type=event.business_type,
        name=event.name,
        origin=event.origin.value,
        posting_key=event.posting_key,
        job_id=event.job,
        line_number=event.line_number,
        reverses_id=event.entry if isinstance(event, p.PointsReversed) else None,
        reason=event.reason,
        created_at=record.recorded_at,
        created_by=record.context.actor,
    )


def contra_shares(row: PointsEntryRow) -> Iterable[Share]:
    """What the other account got: the opposite of what the customer's got."""
    account = row.debit if row.credit == Account.CUSTOMER else row.credit
    return (contra_share(row.programme, row.year, account, -row.points),)


def contra_share(programme: str, year: int, account: str, points: int) -> Share:
    named = {"programme": programme, "year": year, "account": account}
    return Share(contra_id(programme, year, account), named, points)


@lru_cache(maxsize=1_000)
def contra_id(programme: str, year: int, account: str) -> UUID:
    return uuid5(LEDGERS, f"{programme}/{account} of all/{year}")


def account(row: PointsAccountRow | None, record: Record[p.Event]) -> PointsAccountRow | None:
    event = record.event
    match event:
        case p.PointsPosted() | p.PointsReversed():
            return _posted(row or _opened(record, event), record, event)
        case p.PointsCarriedForward() if row is None:
            return None  # an empty year that was sealed has no account
        case p.PointsCarriedForward():
            return altered(given(row), status="carried", version=record.version, **changed(record))
        case p.PointsLedgerClosed():
            return altered(given(row), status="closed", version=record.version, **changed(record))


def _opened(record: Record[Any], event: p.PointsPosted | p.PointsReversed) -> PointsAccountRow:
    return PointsAccountRow(
        id=record.stream_id,
        version=0,
        org_unit=record.context.org_unit,
        programme=event.programme,
        customer=event.customer,
        year=event.year,
        status="open",
        opening=event.opening,
        earned=0,
        used=0,
        expired=0,
        balance=event.opening,
        postings=0,
        **created(record),
        **changed(record),
    )


def _posted(
    row: PointsAccountRow, record: Record[Any], event: p.PointsPosted | p.PointsReversed
) -> PointsAccountRow:
    points = signed_points(event)
    contra = event.debit if event.credit is Account.CUSTOMER else event.credit
    columns: dict[str, Any] = {"balance": event.balance, "postings": row.postings + 1}
    match contra:
        case Account.EXPIRY:
            columns["expired"] = row.expired - points
        case Account.REDEMPTION:
            columns["used"] = row.used - points
        case _:
            columns["earned"] = row.earned + points
    return altered(row, version=record.version, **columns, **changed(record))


POINTS_ENTRIES = EntryProjection(
    name="points_entries",
    table="points_entries",
    row=PointsEntryRow,
    stream_types=frozenset({p.DECIDER.stream_type}),
    stream="ledger_id",
    project=entry,
    sums="points_contra_accounts",
    shares=contra_shares,
    stretch=ENTRIES,
    share=contra_share,
)


POINTS_ACCOUNTS = RowProjection(
    name="points_accounts",
    table="points_accounts",
    row=PointsAccountRow,
    stream_types=frozenset({p.DECIDER.stream_type}),
    key=own_stream,
    project=account,
    stretch=ACCOUNTS,
)
