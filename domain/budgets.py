"""Budgets: what an activity may cost, encumbered by its approval, reserved before a job, consumed after it.

Total = free + reserved + consumed, always; none of them is ever below zero. What is given back to the bank
when the activity is over leaves the total.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from domain.shared.decider import Decider
from domain.shared.holdings import Cause, Held, Holdings, Limits
from domain.shared.money import AMOUNT_MINOR_MAX, Money
from domain.shared.refusal import CommonRefusal, Refused

# --- Values ---------------------------------------------------------------

LIMITS = Limits(open=1_000, kept=5_000, refunds=1_000)
THRESHOLDS = (80, 100)
"""Per cents of the total that are told of when reserved and consumed together reach them."""


def budget_id(activity: UUID) -> UUID:
    """The budget of an activity: there is one."""
    return uuid5(activity, "budget")


class BudgetRefusal(StrEnum):
    BUDGET_TOO_SMALL = "budget_too_small"
    BUDGET_COMMITTED = "budget_committed"
    BUDGET_CLOSED = "budget_closed"


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
class Budget:
    """`amounts` in minor units of `currency`. `told` are the thresholds that were reached."""

    org_unit: str = ""
    code: str = ""
    currency: str = ""
    amounts: Holdings = Holdings()  # noqa: RUF009
    told: tuple[int, ...] = ()

    @property
    def is_known(self) -> bool:
        return self.currency != ""


def evolve(budget: Budget, event: Event) -> Budget:
    amounts = budget.amounts
    match event:
        case BudgetEncumbered(org_unit=org_unit, code=code, total=total):
            return Budget(org_unit, code, total.currency, amounts.of(total.amount_minor))
        case BudgetReserved(key=key, amount=amount, expires_at=expires_at, reference=reference):
            held = Held(amount.amount_minor, expires_at, reference)
            return replace(budget, amounts=amounts.with_held(key, held))
        case ReservationConfirmed(key=key):
            return replace(budget, amounts=amounts.with_confirmed(key))
        case BudgetConsumed(key=key, actual=actual, released=released):
            consumed = amounts.with_consumed(key, actual.amount_minor, released.amount_minor)
            return replace(budget, amounts=consumed)
        case ReservationReleased(key=key, amount=amount):
            return replace(budget, amounts=amounts.with_released(key, amount.amount_minor))
        case BudgetRefunded(key=key, refund=refund, amount=amount):
            return replace(budget, amounts=amounts.with_refunded(key, refund, amount.amount_minor))
        case BudgetThresholdReached(percent=percent):
            return replace(budget, told=(*budget.told, percent))
        case BudgetClosed():
            return replace(budget, amounts=amounts.closed())
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, budget: Budget) -> Sequence[Event]:
    events = [*_decided(command, budget)]
    after = DECIDER.fold(events, budget)
    return [*events, *_reached(after)]


def _decided(command: Command, budget: Budget) -> Sequence[Event]:
    if isinstance(command, Encumber):
        return _encumber(command, budget)
    if isinstance(command, Expire):
        return [*_expired(budget, command.now)]
    _require_known(budget)
    match command:
        case Reserve():
            return _reserve(command, budget)
        case Confirm(key=key):
            return [] if budget.amounts.require_open(key).is_confirmed else [ReservationConfirmed(key)]
        case Commit():
            return _commit(command, budget)
        case Release(key=key):
            held = budget.amounts.open.get(key)
            return [] if held is None else [_released(budget, key, held, Cause.RELEASED)]
        case Refund():
            return _refund(command, budget)
        case Close():
            free = Money(budget.amounts.free, budget.currency)
            return [] if budget.amounts.is_closed else [BudgetClosed(free)]
        case _:
            assert_never(command)


def _encumber(command: Encumber, budget: Budget) -> Sequence[Event]:
    total, used = command.total, budget.amounts.taken
    assert 0 < total.amount_minor <= AMOUNT_MINOR_MAX, "the plan's budget is sound"
    if budget.is_known and not budget.amounts.is_closed and _is_same(command, budget):
        return []
    if budget.is_known and (budget.currency != total.currency and used):
        raise Refused.because(CommonRefusal.CURRENCY_MISMATCH, "budget", currency=budget.currency)
    if total.amount_minor < used:
        raise Refused.because(BudgetRefusal.BUDGET_COMMITTED, "budget", used=used)
    return [BudgetEncumbered(command.activity, command.org_unit, command.code, total)]


def _is_same(command: Encumber, budget: Budget) -> bool:
    seen = (command.org_unit, command.code, command.total)
    return seen == (budget.org_unit, budget.code, Money(budget.amounts.total, budget.currency))


def _reserve(command: Reserve, budget: Budget) -> Sequence[Event]:
    _require_currency(budget, command.amount)
    amount = command.amount.amount_minor
    if not budget.amounts.is_new(command.key, amount):
        return []
    if budget.amounts.is_closed:
        raise Refused.because(BudgetRefusal.BUDGET_CLOSED)
    events: list[Event] = [*_expired(budget, command.now)]
    amounts = DECIDER.fold(events, budget).amounts
    amounts.require_room(LIMITS)
    if amount > amounts.free:
        raise Refused.because(BudgetRefusal.BUDGET_TOO_SMALL, needed=amount, free=amounts.free)
    return [*events, BudgetReserved(command.key, command.amount, command.expires_at, command.reference)]


def _commit(command: Commit, budget: Budget) -> Sequence[Event]:
    _require_currency(budget, command.actual)
    left = budget.amounts.left_of(command.key, command.actual.amount_minor)
    if left is None:
        return []
    reference = _reference(budget.amounts.require_open(command.key).reference)
    return [BudgetConsumed(command.key, command.actual, Money(left, budget.currency), reference)]


def _refund(command: Refund, budget: Budget) -> Sequence[Event]:
    _require_currency(budget, command.amount)
    used = budget.amounts.refundable(command.key, command.refund, command.amount.amount_minor, LIMITS)
    if used is None:
        return []
    return [BudgetRefunded(command.key, command.refund, command.amount, _reference(used.reference))]


# --- Rules ----------------------------------------------------------------


def _require_known(budget: Budget) -> None:
    if not budget.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "budget")


def _require_currency(budget: Budget, amount: Money) -> None:
    if amount.currency != budget.currency:
        raise Refused.because(CommonRefusal.CURRENCY_MISMATCH, "amount", currency=budget.currency)


def _reference(held: UUID | None) -> UUID:
    assert held is not None, "a budget is reserved for something"
    return held


def _released(budget: Budget, key: str, held: Held, cause: Cause) -> ReservationReleased:
    return ReservationReleased(key, Money(held.amount, budget.currency), cause, _reference(held.reference))


def _expired(budget: Budget, now: datetime) -> Iterator[ReservationReleased]:
    for key, held in budget.amounts.expired(now):
        yield _released(budget, key, held, Cause.EXPIRED)


def _reached(after: Budget) -> Iterator[BudgetThresholdReached]:
    """Each threshold is told of once, until the total is set anew: then at once, if it is reached already."""
    amounts = after.amounts
    if amounts.is_closed or not after.is_known:
        return
    for percent in THRESHOLDS:
        if percent not in after.told and amounts.taken * 100 >= percent * amounts.total:
            used, total = (Money(minor, after.currency) for minor in (amounts.taken, amounts.total))
            yield BudgetThresholdReached(percent, used, total)


DECIDER: Decider[Command, Budget, Event] = Decider("budget", Budget(), decide, evolve)
