"""Budgets: what an activity may cost, encumbered by its approval, reserved before a job, consumed after it.

Total = free + reserved + consumed, always; none of them is ever below zero. What is given back to the bank
when the activity is over leaves the total.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from domain.shared.decider import Decider
from domain.shared.money import AMOUNT_MINOR_MAX, Money
from domain.shared.refusal import CommonRefusal, Refused

# --- Values ---------------------------------------------------------------

OPEN_RESERVATIONS_MAX = 1_000
RESERVATIONS_MAX = 5_000
REFUNDS_MAX = 1_000
KEY_CHARACTERS_MAX = 100
THRESHOLDS = (80, 100)
"""Per cents of the total that are told of when reserved and consumed together reach them."""


def budget_id(activity: UUID) -> UUID:
    """The budget of an activity: there is one."""
    return uuid5(activity, "budget")


class BudgetRefusal(StrEnum):
    BUDGET_TOO_SMALL = "budget_too_small"
    BUDGET_COMMITTED = "budget_committed"
    BUDGET_CLOSED = "budget_closed"
    TOO_MANY_RESERVATIONS = "too_many_reservations"
    TOO_MANY_REFUNDS = "too_many_refunds"
    RESERVATION_GONE = "reservation_gone"
    RESERVATION_DIFFERS = "reservation_differs"
    MORE_THAN_RESERVED = "more_than_reserved"
    MORE_THAN_CONSUMED = "more_than_consumed"


class Cause(StrEnum):
    """Why a reserved amount became free again."""

    RELEASED = "released"
    EXPIRED = "expired"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Encumber:
    """Set `total` aside for the activity, anew when its plan was approved anew."""

    activity: UUID
    org_unit: str
    code: str
    total: Money


@dataclass(frozen=True, slots=True)
class Reserve:
    """Hold `amount` until `expires_at` under a key of the caller's; `reference` is what it is for."""

    key: str
    amount: Money
    expires_at: datetime
    reference: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class Confirm:
    """The reservation expires no more: what it is for can't be taken back."""

    key: str


@dataclass(frozen=True, slots=True)
class Commit:
    """The reserved amount came to `actual`; what is left of it is free again."""

    key: str
    actual: Money


@dataclass(frozen=True, slots=True)
class Release:
    key: str


@dataclass(frozen=True, slots=True)
class Expire:
    """Whatever is past its time at `now` is free again; coming early or twice changes nothing."""

    now: datetime


@dataclass(frozen=True, slots=True)
class Refund:
    """`amount` of what was consumed under `key` came back; `refund` names this return."""

    key: str
    refund: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Close:
    """The activity is over: what is free goes back to the bank, and so does what becomes free later."""


Command = Encumber | Reserve | Confirm | Commit | Release | Expire | Refund | Close

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class BudgetEncumbered:
    activity: UUID
    org_unit: str
    code: str
    total: Money


@dataclass(frozen=True, slots=True)
class BudgetReserved:
    key: str
    amount: Money
    expires_at: datetime
    reference: UUID


@dataclass(frozen=True, slots=True)
class ReservationConfirmed:
    key: str


@dataclass(frozen=True, slots=True)
class BudgetConsumed:
    """`released` is what was reserved above `actual`."""

    key: str
    actual: Money
    released: Money
    reference: UUID


@dataclass(frozen=True, slots=True)
class ReservationReleased:
    key: str
    amount: Money
    cause: Cause
    reference: UUID


@dataclass(frozen=True, slots=True)
class BudgetRefunded:
    key: str
    refund: str
    amount: Money
    reference: UUID


@dataclass(frozen=True, slots=True)
class BudgetThresholdReached:
    """Reserved and consumed together have come to `percent` of the total."""

    percent: int
    used: Money
    total: Money


@dataclass(frozen=True, slots=True)
class BudgetClosed:
    """`returned` was free and leaves the total."""

    returned: Money


Event = (
    BudgetEncumbered
    | BudgetReserved
    | ReservationConfirmed
    | BudgetConsumed
    | ReservationReleased
    | BudgetRefunded
    | BudgetThresholdReached
    | BudgetClosed
)

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reservation:
    """Not confirmed, it ends at `expires_at`."""

    amount_minor: int
    expires_at: datetime
    reference: UUID
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """What came of a key: consumed, and of that given back under which names."""

    actual_minor: int
    reference: UUID
    refunds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Budget:
    """Amounts in minor units of `currency`. `open` are the reservations, `spent` what was consumed."""

    org_unit: str = ""
    code: str = ""
    currency: str = ""
    free_minor: int = 0
    reserved_minor: int = 0
    consumed_minor: int = 0
    open: Mapping[str, Reservation] = field(default_factory=dict)
    spent: Mapping[str, Spent] = field(default_factory=dict)
    told: tuple[int, ...] = ()
    is_closed: bool = False

    @property
    def is_known(self) -> bool:
        return self.currency != ""

    @property
    def total_minor(self) -> int:
        return self.free_minor + self.reserved_minor + self.consumed_minor

    @property
    def used_minor(self) -> int:
        return self.reserved_minor + self.consumed_minor


def evolve(budget: Budget, event: Event) -> Budget:
    match event:
        case BudgetEncumbered(org_unit=org_unit, code=code, total=total):
            free = total.amount_minor - budget.used_minor
            known = replace(budget, org_unit=org_unit, code=code, currency=total.currency)
            return replace(known, free_minor=free, told=(), is_closed=False)
        case BudgetReserved(key=key, amount=amount, expires_at=expires_at, reference=reference):
            made = Reservation(amount.amount_minor, expires_at, reference)
            held = replace(budget, open={**budget.open, key: made})
            return _moved(held, free=-amount.amount_minor, reserved=amount.amount_minor)
        case ReservationConfirmed(key=key):
            known_open = {k: replace(r, is_confirmed=True) if k == key else r for k, r in budget.open.items()}
            return replace(budget, open=known_open)
        case BudgetConsumed(key=key, actual=actual, released=released, reference=reference):
            spent = {**budget.spent, key: Spent(actual.amount_minor, reference)}
            done = replace(_without(budget, key), spent=spent)
            reserved = actual.amount_minor + released.amount_minor
            return _moved(done, free=released.amount_minor, reserved=-reserved, consumed=actual.amount_minor)
        case ReservationReleased(key=key, amount=amount):
            return _moved(_without(budget, key), free=amount.amount_minor, reserved=-amount.amount_minor)
        case BudgetRefunded(key=key, refund=refund, amount=amount, reference=reference):
            before = budget.spent.get(key, Spent(0, reference))
            after = replace(before, refunds={**before.refunds, refund: amount.amount_minor})
            back = replace(budget, spent={**budget.spent, key: after})
            return _moved(back, free=amount.amount_minor, consumed=-amount.amount_minor)
        case BudgetThresholdReached(percent=percent):
            return replace(budget, told=(*budget.told, percent))
        case BudgetClosed():
            return replace(budget, free_minor=0, is_closed=True)
        case _:
            assert_never(event)


def _moved(budget: Budget, free: int = 0, reserved: int = 0, consumed: int = 0) -> Budget:
    """What becomes free after the close leaves the total."""
    return replace(
        budget,
        free_minor=0 if budget.is_closed and free > 0 else budget.free_minor + free,
        reserved_minor=budget.reserved_minor + reserved,
        consumed_minor=budget.consumed_minor + consumed,
    )


def _without(budget: Budget, key: str) -> Budget:
    return replace(budget, open={k: held for k, held in budget.open.items() if k != key})


# --- Decisions ------------------------------------------------------------


def decide(command: Command, budget: Budget) -> Sequence[Event]:
    events = [*_decided(command, budget)]
    after = DECIDER.fold(events, budget)
    return [*events, *_reached(after)]


def _decided(command: Command, budget: Budget) -> Sequence[Event]:
    match command:
        case Encumber():
            return _encumber(command, budget)
        case Reserve():
            return _reserve(command, budget)
        case Confirm(key=key):
            reservation = _require_open(budget, key)
            return [] if reservation.is_confirmed else [ReservationConfirmed(key)]
        case Commit():
            return _commit(command, budget)
        case Release(key=key):
            _require_known(budget)
            return [_released(budget, key, Cause.RELEASED)] if key in budget.open else []
        case Expire(now=now):
            return [*_expired(budget, now)] if budget.is_known else []
        case Refund():
            return _refund(command, budget)
        case Close():
            _require_known(budget)
            return [] if budget.is_closed else [BudgetClosed(Money(budget.free_minor, budget.currency))]
        case _:
            assert_never(command)


def _encumber(command: Encumber, budget: Budget) -> Sequence[Event]:
    total = command.total
    assert 0 < total.amount_minor <= AMOUNT_MINOR_MAX, "the plan's budget is sound"
    if budget.is_known and not budget.is_closed and _is_same(command, budget):
        return []
    if budget.is_known and (budget.currency != total.currency and budget.used_minor):
        raise Refused.because(CommonRefusal.CURRENCY_MISMATCH, "budget", currency=budget.currency)
    if total.amount_minor < budget.used_minor:
        raise Refused.because(BudgetRefusal.BUDGET_COMMITTED, "budget", used=budget.used_minor)
    return [BudgetEncumbered(command.activity, command.org_unit, command.code, total)]


def _is_same(command: Encumber, budget: Budget) -> bool:
    seen = (command.org_unit, command.code, command.total)
    return seen == (budget.org_unit, budget.code, Money(budget.total_minor, budget.currency))


def _reserve(command: Reserve, budget: Budget) -> Sequence[Event]:
    _require_known(budget)
    assert 0 < len(command.key) <= KEY_CHARACTERS_MAX, "a key is made by the house"
    _require_currency(budget, command.amount)
    amount = command.amount.amount_minor
    assert amount > 0, "nothing is reserved for nothing"
    if command.key in budget.spent:
        raise Refused.because(BudgetRefusal.RESERVATION_GONE, key=command.key)
    if (held := budget.open.get(command.key)) is not None:
        if held.amount_minor == amount:
            return []
        raise Refused.because(BudgetRefusal.RESERVATION_DIFFERS, key=command.key)
    if budget.is_closed:
        raise Refused.because(BudgetRefusal.BUDGET_CLOSED)
    events: list[Event] = [*_expired(budget, command.now)]
    budget = DECIDER.fold(events, budget)
    if len(budget.open) >= OPEN_RESERVATIONS_MAX or len(budget.spent) + len(budget.open) >= RESERVATIONS_MAX:
        raise Refused.because(BudgetRefusal.TOO_MANY_RESERVATIONS, most=OPEN_RESERVATIONS_MAX)
    if amount > budget.free_minor:
        raise Refused.because(BudgetRefusal.BUDGET_TOO_SMALL, needed=amount, free=budget.free_minor)
    return [*events, BudgetReserved(command.key, command.amount, command.expires_at, command.reference)]


def _commit(command: Commit, budget: Budget) -> Sequence[Event]:
    _require_known(budget)
    _require_currency(budget, command.actual)
    actual = command.actual.amount_minor
    assert actual >= 0, "what was consumed is not negative"
    if (spent := budget.spent.get(command.key)) is not None:
        if spent.actual_minor == actual:
            return []
        raise Refused.because(BudgetRefusal.RESERVATION_DIFFERS, key=command.key)
    held = _require_open(budget, command.key)
    if actual > held.amount_minor:
        raise Refused.because(BudgetRefusal.MORE_THAN_RESERVED, reserved=held.amount_minor)
    left = Money(held.amount_minor - actual, budget.currency)
    return [BudgetConsumed(command.key, command.actual, left, held.reference)]


def _refund(command: Refund, budget: Budget) -> Sequence[Event]:
    _require_known(budget)
    _require_currency(budget, command.amount)
    amount = command.amount.amount_minor
    assert amount > 0, "nothing is not given back"
    spent = budget.spent.get(command.key)
    if spent is None:
        raise Refused.because(BudgetRefusal.RESERVATION_GONE, key=command.key)
    if (before := spent.refunds.get(command.refund)) is not None:
        if before == amount:
            return []
        raise Refused.because(BudgetRefusal.RESERVATION_DIFFERS, key=command.refund)
    if len(spent.refunds) >= REFUNDS_MAX:
        raise Refused.because(BudgetRefusal.TOO_MANY_REFUNDS, most=REFUNDS_MAX)
    left = spent.actual_minor - sum(spent.refunds.values())
    if amount > left:
        raise Refused.because(BudgetRefusal.MORE_THAN_CONSUMED, consumed=left)
    return [BudgetRefunded(command.key, command.refund, command.amount, spent.reference)]


# --- Rules ----------------------------------------------------------------


def _require_known(budget: Budget) -> None:
    if not budget.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "budget")


def _require_currency(budget: Budget, amount: Money) -> None:
    if amount.currency != budget.currency:
        raise Refused.because(CommonRefusal.CURRENCY_MISMATCH, "amount", currency=budget.currency)


def _require_open(budget: Budget, key: str) -> Reservation:
    _require_known(budget)
    if key not in budget.open:
        raise Refused.because(BudgetRefusal.RESERVATION_GONE, key=key)
    return budget.open[key]


def _released(budget: Budget, key: str, cause: Cause) -> ReservationReleased:
    held = budget.open[key]
    return ReservationReleased(key, Money(held.amount_minor, budget.currency), cause, held.reference)


def _expired(budget: Budget, now: datetime) -> Iterator[ReservationReleased]:
    for key, held in budget.open.items():
        if held.expires_at <= now and not held.is_confirmed:
            yield _released(budget, key, Cause.EXPIRED)


def _reached(after: Budget) -> Iterator[BudgetThresholdReached]:
    """Each threshold is told of once, until the total is set anew: then at once, if it is reached already."""
    if after.is_closed:
        return
    for percent in THRESHOLDS:
        if percent not in after.told and after.used_minor * 100 >= percent * after.total_minor:
            used, total = (Money(minor, after.currency) for minor in (after.used_minor, after.total_minor))
            yield BudgetThresholdReached(percent, used, total)


DECIDER: Decider[Command, Budget, Event] = Decider("budget", Budget(), decide, evolve)
