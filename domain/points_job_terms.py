"""What a points job is about: where its points come from, what they are called, and what they cost."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from uuid import UUID

from domain.points_files import BUSINESS_TYPE, PointsHeader, PointsLine
from domain.points_ledgers import NAME_CHARACTERS_MAX, Account, Origin, PointsLedger, PointsPosted
from domain.shared.money import AMOUNT_MINOR_MAX, MINOR_DIGITS, Money
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Fault
from domain.shared.text import name_faults

LINES_NAMED_MAX = 100
UNIT_COST_DIGITS = 8
_UNIT_COST = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,8})?")


class TermsRefusal(StrEnum):
    BAD_UNIT_COST = "bad_unit_cost"
    BAD_BUSINESS_TYPE = "bad_business_type"
    BAD_PROGRAMME = "bad_programme"
    RUN_WITHOUT_RESULT = "run_without_result"
    RUN_WITHOUT_WORK_ORDER = "run_without_work_order"
    RUN_REPLACED = "run_replaced"
    COLUMNS_MISSING = "columns_missing"


class Failure(StrEnum):
    """Why a job could not go on; nothing has gone out."""

    BUDGET_TOO_SMALL = "budget_too_small"
    BUDGET_MISSING = "budget_missing"
    BUDGET_CLOSED = "budget_closed"
    TOO_MANY_RESERVATIONS = "too_many_reservations"
    CURRENCY_MISMATCH = "currency_mismatch"
    COST_TOO_LARGE = "cost_too_large"
    NO_LINES = "no_lines"
    BAD_LINES = "bad_lines"
    RESULT_CHANGED = "result_changed"
    RESERVATION_EXPIRED = "reservation_expired"
    OUT_OF_STOCK = "out_of_stock"
    STOCK_CLOSED = "stock_closed"
    ACTIVITY_CANCELLED = "activity_cancelled"
    FORMER_FILE_BOOKED = "former_file_booked"


@dataclass(frozen=True, slots=True)
class Cause:
    """The chain from this job back to what was asked for and approved; `run` is the segment run.

    `approvals` are those of the definition, the work order and the activity, as far as they have one.
    """

    run: UUID
    result_hash: str
    definition: Reference
    definition_hash: str
    work_order: UUID | None
    activity: Reference
    approvals: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of the result hold what; without a column for points everybody gets `points_each`."""

    customer: str
    card: str | None
    points: str | None
    points_each: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The columns to read, in this order."""
        return tuple(name for name in (self.customer, self.card, self.points) if name is not None)


@dataclass(frozen=True, slots=True)
class Terms:
    """How the job's points are named and what one costs: `unit_cost` is a decimal amount of `currency`."""

    name: str
    business_type: str
    unit_cost: str
    currency: str
    columns: Columns
    origin: Origin = Origin.SEGMENTATION


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """An accepted line that the customer's ledger did not take, with the refusal's code."""

    number: int
    code: str


def terms_faults(terms: Terms) -> Iterator[Fault]:
    """What is wrong with the name, the business type or the cost of a point."""
    yield from name_faults(terms.name, NAME_CHARACTERS_MAX, "name")
    if not BUSINESS_TYPE.fullmatch(terms.business_type):
        yield Fault(TermsRefusal.BAD_BUSINESS_TYPE, ("business_type",))
    if not _UNIT_COST.fullmatch(terms.unit_cost):
        yield Fault(TermsRefusal.BAD_UNIT_COST, ("unit_cost",), {"digits": str(UNIT_COST_DIGITS)})
    if terms.currency not in MINOR_DIGITS:
        known = ", ".join(MINOR_DIGITS)
        yield Fault(CommonRefusal.UNKNOWN_CURRENCY, ("currency",), {"known": known})


def cost_of(points: int, terms: Terms) -> Money | None:
    """What so many points cost, rounded half up to minor units; None when that is beyond all budgets."""
    exact = (points * Decimal(terms.unit_cost)).scaleb(MINOR_DIGITS[terms.currency])
    minor = int(exact.to_integral_value(ROUND_HALF_UP))
    return Money(minor, terms.currency) if minor <= AMOUNT_MINOR_MAX else None


def posting_key(job: UUID, line_number: int) -> str:
    """The key of a job's line, in whatever ledger it comes to stand."""
    return f"{job.hex}:{line_number}"


def posting_of(
    line: PointsLine, header: PointsHeader, terms: Terms, ledger: PointsLedger, year: int, opening: int
) -> PointsPosted:
    """What an accepted line posts. Its file was judged when it was read, the ledger by `room_faults`."""
    points = line.points
    debit, credit = (
        (Account.ISSUANCE, Account.CUSTOMER) if points > 0 else (Account.CUSTOMER, Account.ISSUANCE)
    )
    return PointsPosted(
        posting_key(header.job, line.number),
        debit,
        credit,
        header.programme,
        line.customer,
        year,
        abs(points),
        ledger.balance + opening + points,
        opening,
        line.card,
        str(year),
        header.business_date,
        line.business_type,
        terms.name,
        terms.origin,
        header.job,
        line.number,
    )
