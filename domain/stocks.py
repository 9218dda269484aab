"""Stocks: how much of a reward an activity may give, reserved for an award, consumed by it, or free again.

Each reward line of an approved plan that has a total cap has a stock of its own, for as many units as the cap
says. Of a line that gives points the stock counts points, of any other the unit of its reward type.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from domain.reward_details import Reward
from domain.shared.decider import Decider
from domain.shared.holdings import KEY_CHARACTERS_MAX, Cause, Held, HoldingRefusal, Holdings, Limits
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import name_faults

# --- Values ---------------------------------------------------------------

LIMITS = Limits(open=10_000, kept=50_000, refunds=1_000)
"""Of one stock. Who gives more awards than that reserves many at once."""
DIGITS = 6
"""After the point of a quantity, as in a plan's caps."""
QUANTITY_LIMIT = Decimal(10) ** 12
JOB_KEY = re.compile(r"[0-9a-f]{32}:[0-9]+")
"""What points jobs call their reservations: whoever took such a name from outside would hold the job up."""
HELD_FOR = timedelta(days=1)
HELD_FOR_MAX = timedelta(days=30)


def stock_ids(activity: UUID, rewards: Sequence[Reward]) -> tuple[UUID, ...]:
    """The stock of each line: that of the first, second … line of its reward type, wherever it stands."""
    seen: Counter[UUID] = Counter()
    found = []
    for reward in rewards:
        reward_type = reward.reward_type.id
        found.append(uuid5(activity, f"stock {reward_type} {seen[reward_type]}"))
        seen[reward_type] += 1
    return tuple(found)


def canonical(quantity: Decimal) -> Decimal:
    """The same number, written in one way only: 1.50 is 1.5, and 1E+2 is 100."""
    return Decimal(f"{quantity.normalize():f}")


class StockRefusal(StrEnum):
    OUT_OF_STOCK = "out_of_stock"
    STOCK_COMMITTED = "stock_committed"
    STOCK_CLOSED = "stock_closed"
    BAD_QUANTITY = "bad_quantity"
    BAD_EXPIRY = "bad_expiry"
    KEY_OF_JOBS = "key_of_jobs"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenStock:
    """`line` of the plan (from 0) may give `total`; anew when the plan was approved anew."""

    activity: UUID
    org_unit: str
    code: str
    line: int
    reward_type: Reference
    unit: str
    total: Decimal


@dataclass(frozen=True, slots=True)
class ReserveStock:
    """Hold `quantity` for an award: `key` is its name, `by` who reserves; `reference` is the points job that
    it is for, None for an award that is given outside. None for `expires_at` is a day.
    """

    key: str
    quantity: Decimal
    expires_at: datetime | None
    by: str
    now: datetime
    reference: UUID | None = None


@dataclass(frozen=True, slots=True)
class ConfirmReservation:
    """The reservation expires no more: what it is for can't be taken back."""

    key: str


@dataclass(frozen=True, slots=True)
class ConsumeStock:
    """The award was given, and came to `quantity` (None: to all that was reserved); the rest is free again.

    `reference` is the reservation's, here and below: a job's is not to be had from outside.
    """

    key: str
    quantity: Decimal | None = None
    reference: UUID | None = None


@dataclass(frozen=True, slots=True)
class ReleaseStock:
    key: str
    reference: UUID | None = None


@dataclass(frozen=True, slots=True)
class ExpireReservations:
    """Whatever is past its time at `now` is free again; coming early or twice changes nothing."""

    now: datetime


@dataclass(frozen=True, slots=True)
class ReturnStock:
    """`quantity` of what was consumed under `key` came back; `name` is that of this return."""

    key: str
    name: str
    quantity: Decimal
    reference: UUID | None = None


@dataclass(frozen=True, slots=True)
class CloseStock:
    """The activity is over, or its plan has the line no more: what is free can't be given any more."""


Command = (
    OpenStock
    | ReserveStock
    | ConfirmReservation
    | ConsumeStock
    | ReleaseStock
    | ExpireReservations
    | ReturnStock
    | CloseStock
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class StockOpened:
    activity: UUID
    org_unit: str
    code: str
    line: int
    reward_type: Reference
    unit: str
    total: Decimal


@dataclass(frozen=True, slots=True)
class StockReserved:
    key: str
    quantity: Decimal
    expires_at: datetime
    by: str
    reference: UUID | None


@dataclass(frozen=True, slots=True)
class StockConfirmed:
    """The reservation of `quantity` expires no more."""

    key: str
    quantity: Decimal
    reference: UUID | None


@dataclass(frozen=True, slots=True)
class StockConsumed:
    """`released` is what was reserved above `quantity`."""

    key: str
    quantity: Decimal
    released: Decimal
    reference: UUID | None


@dataclass(frozen=True, slots=True)
class StockReleased:
    key: str
    quantity: Decimal
    cause: Cause
    reference: UUID | None


@dataclass(frozen=True, slots=True)
class StockReturned:
    key: str
    name: str
    quantity: Decimal
    reference: UUID | None


@dataclass(frozen=True, slots=True)
class StockClosed:
    """`left` was free and leaves the total."""

    left: Decimal


Event = (
    StockOpened | StockReserved | StockConfirmed | StockConsumed | StockReleased | StockReturned | StockClosed
)

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stock:
    """`amounts` in millionths of the unit."""

    activity: UUID | None = None
    org_unit: str = ""
    opened: StockOpened | None = None
    amounts: Holdings = Holdings()  # noqa: RUF009

    @property
    def is_known(self) -> bool:
        return self.opened is not None


def evolve(stock: Stock, event: Event) -> Stock:
    return _opened(stock, event) if isinstance(event, StockOpened) else _moved(stock, event)


def _opened(stock: Stock, event: StockOpened) -> Stock:
    return Stock(event.activity, event.org_unit, event, stock.amounts.of(_millionths(event.total)))


def _moved(
    stock: Stock,
    event: StockReserved | StockConfirmed | StockConsumed | StockReleased | StockReturned | StockClosed,
) -> Stock:
    amounts = stock.amounts
    match event:
        case StockReserved(key=key, expires_at=expires_at, by=by, reference=reference):
            held = Held(_millionths(event.quantity), expires_at, reference, by)
            amounts = amounts.with_held(key, held)
        case StockConfirmed(key=key):
            amounts = amounts.with_confirmed(key)
        case StockConsumed(key=key, quantity=quantity, released=released):
            amounts = amounts.with_consumed(key, _millionths(quantity), _millionths(released))
        case StockReleased(key=key, quantity=quantity):
            amounts = amounts.with_released(key, _millionths(quantity))
        case StockReturned(key=key, name=name, quantity=quantity):
            amounts = amounts.with_refunded(key, name, _millionths(quantity))
        case StockClosed():
            amounts = amounts.closed()
        case _:
            assert_never(event)
    return replace(stock, amounts=amounts)


def _millionths(quantity: Decimal) -> int:
    return int(quantity.scaleb(DIGITS))


def _quantity(millionths: int) -> Decimal:
    return canonical(Decimal(millionths).scaleb(-DIGITS))


# --- Decisions ------------------------------------------------------------


def decide(command: Command, stock: Stock) -> Sequence[Event]:
    if isinstance(command, OpenStock):
        return _open(command, stock)
    if not stock.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    match command:
        case ReserveStock():
            return _reserve(command, stock)
        case ConfirmReservation(key=key):
            held = stock.amounts.require_open(key)
            return [] if held.is_confirmed else [StockConfirmed(key, _quantity(held.amount), held.reference)]
        case ConsumeStock():
            return _consume(command, stock)
        case ReleaseStock():
            return _release(command, stock)
        case ExpireReservations(now=now):
            return [*_expired(stock, now)]
        case ReturnStock():
            return _return(command, stock)
        case CloseStock():
            return [] if stock.amounts.is_closed else [StockClosed(_quantity(stock.amounts.free))]
        case _:
            assert_never(command)


def _open(command: OpenStock, stock: Stock) -> Sequence[Event]:
    assert 0 <= command.total < QUANTITY_LIMIT, "the plan's caps are sound"
    opened = StockOpened(
        command.activity,
        command.org_unit,
        command.code,
        command.line,
        command.reward_type,
        command.unit,
        canonical(command.total),
    )
    if stock.opened == opened and not stock.amounts.is_closed:
        return []
    if _millionths(command.total) < stock.amounts.taken:
        used = {"used": f"{_quantity(stock.amounts.taken):f}"}
        raise Refused(Fault(StockRefusal.STOCK_COMMITTED, ("rewards", command.line, "cap_total"), used))
    return [opened]


def _reserve(command: ReserveStock, stock: Stock) -> Sequence[Event]:
    expires_at = command.now + HELD_FOR if command.expires_at is None else command.expires_at
    faults = [*_quantity_faults(command.quantity)]
    if command.reference is None:  # the house's own keys are made of ids
        faults += name_faults(command.key, KEY_CHARACTERS_MAX, "key")
        if JOB_KEY.fullmatch(command.key):
            faults.append(Fault(StockRefusal.KEY_OF_JOBS, ("key",)))
    if not command.now < expires_at <= command.now + HELD_FOR_MAX:
        faults.append(Fault(StockRefusal.BAD_EXPIRY, ("expires_at",), {"days": str(HELD_FOR_MAX.days)}))
    refuse_any(faults)
    quantity = _millionths(command.quantity)
    if not stock.amounts.is_new(command.key, quantity, command.by):
        return []
    if stock.amounts.is_closed:
        raise Refused.because(StockRefusal.STOCK_CLOSED)
    events: list[Event] = [*_expired(stock, command.now)]
    amounts = DECIDER.fold(events, stock).amounts
    if quantity > amounts.free:
        needed, free = f"{canonical(command.quantity):f}", f"{_quantity(amounts.free):f}"
        raise Refused.because(StockRefusal.OUT_OF_STOCK, "quantity", needed=needed, free=free)
    amounts.require_room(LIMITS)
    reserved = StockReserved(
        command.key, canonical(command.quantity), expires_at, command.by, command.reference
    )
    return [*events, reserved]


def _consume(command: ConsumeStock, stock: Stock) -> Sequence[Event]:
    _require_own(stock, command.key, command.reference)
    amounts = stock.amounts
    if command.quantity is not None:
        refuse_any(_quantity_faults(command.quantity, least=Decimal(0)))
        quantity = _millionths(command.quantity)
    elif command.key in amounts.used:
        return []
    else:
        quantity = amounts.require_open(command.key).amount
    left = amounts.left_of(command.key, quantity)
    if left is None:
        return []
    return [StockConsumed(command.key, _quantity(quantity), _quantity(left), command.reference)]


def _release(command: ReleaseStock, stock: Stock) -> Sequence[Event]:
    """What was consumed is not released but returned. A job may release again; anybody else is told when
    there is nothing under the key.
    """
    key, amounts = command.key, stock.amounts
    _require_own(stock, key, command.reference)
    if key in amounts.used:
        raise Refused.because(HoldingRefusal.RESERVATION_GONE, key=key)
    if command.reference is not None and key not in amounts.open:
        return []
    return [_released(key, amounts.require_open(key), Cause.RELEASED)]


def _return(command: ReturnStock, stock: Stock) -> Sequence[Event]:
    refuse_any([*name_faults(command.name, KEY_CHARACTERS_MAX, "name"), *_quantity_faults(command.quantity)])
    _require_own(stock, command.key, command.reference)
    quantity = _millionths(command.quantity)
    used = stock.amounts.refundable(command.key, command.name, quantity, LIMITS)
    if used is None:
        return []
    return [StockReturned(command.key, command.name, canonical(command.quantity), used.reference)]


# --- Rules ----------------------------------------------------------------


def _require_own(stock: Stock, key: str, reference: UUID | None) -> None:
    known = stock.amounts.open.get(key) or stock.amounts.used.get(key)
    if known is not None and known.reference != reference:
        raise Refused.because(HoldingRefusal.RESERVATION_GONE, key=key)


def _quantity_faults(quantity: Decimal, least: Decimal | None = None) -> Iterator[Fault]:
    """At least `least`, without it more than nothing."""
    is_size = quantity.is_finite() and (0 < quantity < QUANTITY_LIMIT or quantity == least)
    if not is_size or quantity != round(quantity, DIGITS):
        yield Fault(StockRefusal.BAD_QUANTITY, ("quantity",), {"digits": str(DIGITS)})


def _released(key: str, held: Held, cause: Cause) -> StockReleased:
    return StockReleased(key, _quantity(held.amount), cause, held.reference)


def _expired(stock: Stock, now: datetime) -> Iterator[StockReleased]:
    for key, held in stock.amounts.expired(now):
        yield _released(key, held, Cause.EXPIRED)


DECIDER: Decider[Command, Stock, Event] = Decider("stock", Stock(), decide, evolve)
