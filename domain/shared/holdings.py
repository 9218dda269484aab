"""What there is a limited amount of: some of it free, some reserved under keys for a while, some consumed.

total = free + reserved + consumed, always; none of them is ever below zero. What becomes free after the close
leaves the total. Amounts are integers of whatever unit their owner counts in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

from domain.shared.refusal import Refused

T = TypeVar("T")
KEY_CHARACTERS_MAX = 100
_PARTS = 256


class HoldingRefusal(StrEnum):
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


@dataclass(frozen=True, slots=True)
class Limits:
    """How many reservations may be open, how many keys are kept at all, how often one may be refunded."""

    open: int
    kept: int
    refunds: int


@dataclass(frozen=True, slots=True)
class ByKey(Generic[T]):
    """A mapping that never changes and grows cheaply: a new member copies one part of 256."""

    parts: tuple[Mapping[str, T], ...] = ({},) * _PARTS
    count: int = 0

    def __len__(self) -> int:
        return self.count

    def __contains__(self, key: str) -> bool:
        return key in self.parts[hash(key) % _PARTS]

    def get(self, key: str) -> T | None:
        """None where there is no such key."""
        return self.parts[hash(key) % _PARTS].get(key)

    def items(self) -> Iterator[tuple[str, T]]:
        """In no particular order."""
        return (item for part in self.parts if part for item in part.items())

    def having(self, key: str, value: T) -> "ByKey[T]":
        """With that value under the key, whatever was there."""
        at = hash(key) % _PARTS
        part = {**self.parts[at], key: value}
        count = self.count + len(part) - len(self.parts[at])
        return ByKey((*self.parts[:at], part, *self.parts[at + 1 :]), count)

    def without(self, key: str) -> "ByKey[T]":
        """Without the key, which need not be there."""
        at = hash(key) % _PARTS
        part = {known: value for known, value in self.parts[at].items() if known != key}
        count = self.count + len(part) - len(self.parts[at])
        return ByKey((*self.parts[:at], part, *self.parts[at + 1 :]), count)


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation, `by` whom and what for. Not confirmed, it ends at `expires_at`."""

    amount: int
    expires_at: datetime
    reference: UUID | None = None
    by: str = ""
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Used:
    """What came of a key: consumed, and of that given back under which names."""

    amount: int
    reference: UUID | None = None
    by: str = ""
    refunds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holdings:
    """`open` are the reservations, `used` what was consumed, both by key."""

    free: int = 0
    reserved: int = 0
    consumed: int = 0
    open: ByKey[Held] = ByKey()
    used: ByKey[Used] = ByKey()
    is_closed: bool = False

    @property
    def total(self) -> int:
        return self.free + self.reserved + self.consumed

    @property
    def taken(self) -> int:
        return self.reserved + self.consumed

    # --- What happens to it: facts, never judged ---

    def of(self, total: int) -> "Holdings":
        """Open, with that total."""
        return replace(self, free=total - self.taken, is_closed=False)

    def with_held(self, key: str, held: Held) -> "Holdings":
        made = replace(self, open=self.open.having(key, held))
        return made._moved(free=-held.amount, reserved=held.amount)

    def with_confirmed(self, key: str) -> "Holdings":
        held = self.open.get(key)
        return (
            self
            if held is None
            else replace(self, open=self.open.having(key, replace(held, is_confirmed=True)))
        )

    def with_consumed(self, key: str, actual: int, released: int) -> "Holdings":
        """`actual` of the reservation is consumed, and `released` of it free again."""
        held = self.open.get(key)
        used = Used(actual) if held is None else Used(actual, held.reference, held.by)
        done = replace(self, open=self.open.without(key), used=self.used.having(key, used))
        return done._moved(free=released, reserved=-actual - released, consumed=actual)

    def with_released(self, key: str, amount: int) -> "Holdings":
        done = replace(self, open=self.open.without(key))
        return done._moved(free=amount, reserved=-amount)

    def with_refunded(self, key: str, refund: str, amount: int) -> "Holdings":
        used = self.used.get(key) or Used(0)
        after = replace(used, refunds={**used.refunds, refund: amount})
        return replace(self, used=self.used.having(key, after))._moved(free=amount, consumed=-amount)

    def closed(self) -> "Holdings":
        """What is free leaves the total."""
        return replace(self, free=0, is_closed=True)

    def _moved(self, free: int = 0, reserved: int = 0, consumed: int = 0) -> "Holdings":
        return replace(
            self,
            free=0 if self.is_closed and free > 0 else self.free + free,
            reserved=self.reserved + reserved,
            consumed=self.consumed + consumed,
        )

    # --- What may happen to it ---

    def is_new(self, key: str, amount: int, by: str = "") -> bool:
        """Whether nothing is reserved under the key yet; False where this very amount is, by the same.

        Refuse a key that is used up, or that stands for something else.
        """
        assert 0 < len(key) <= KEY_CHARACTERS_MAX, "a key is judged before it comes here"
        assert amount > 0, "nothing is reserved for nothing"
        if key in self.used:
            raise Refused.because(HoldingRefusal.RESERVATION_GONE, key=key)
        held = self.open.get(key)
        if held is not None and (held.amount, held.by) != (amount, by):
            raise Refused.because(HoldingRefusal.RESERVATION_DIFFERS, key=key)
        return held is None

    def require_room(self, limits: Limits) -> None:
        """Refuse another reservation where there are too many."""
        if len(self.open) >= limits.open:
            raise Refused.because(HoldingRefusal.TOO_MANY_RESERVATIONS, most=limits.open)
        if len(self.open) + len(self.used) >= limits.kept:
            raise Refused.because(HoldingRefusal.TOO_MANY_RESERVATIONS, most=limits.kept)

    def require_open(self, key: str) -> Held:
        """The reservation. Refuse a key that has none."""
        held = self.open.get(key)
        if held is None:
            raise Refused.because(HoldingRefusal.RESERVATION_GONE, key=key)
        return held

    def left_of(self, key: str, actual: int) -> int | None:
        """What is free again when `actual` of the reservation is consumed; None where that was done."""
        assert actual >= 0, "what was consumed is not negative"
        if (used := self.used.get(key)) is not None:
            if used.amount == actual:
                return None
            raise Refused.because(HoldingRefusal.RESERVATION_DIFFERS, key=key)
        held = self.require_open(key)
        if actual > held.amount:
            raise Refused.because(HoldingRefusal.MORE_THAN_RESERVED, key=key)
        return held.amount - actual

    def refundable(self, key: str, refund: str, amount: int, limits: Limits) -> Used | None:
        """What was consumed under the key, of which `amount` comes back; None where that was done."""
        assert amount > 0, "nothing is not given back"
        used = self.used.get(key)
        if used is None:
            raise Refused.because(HoldingRefusal.RESERVATION_GONE, key=key)
        if (before := used.refunds.get(refund)) is not None:
            if before == amount:
                return None
            raise Refused.because(HoldingRefusal.RESERVATION_DIFFERS, key=refund)
        if len(used.refunds) >= limits.refunds:
            raise Refused.because(HoldingRefusal.TOO_MANY_REFUNDS, most=limits.refunds)
        if amount > used.amount - sum(used.refunds.values()):
            raise Refused.because(HoldingRefusal.MORE_THAN_CONSUMED, key=key)
        return used

    def expired(self, now: datetime) -> Iterator[tuple[str, Held]]:
        """The reservations that have ended at `now`, in the order in which they did."""
        over = (item for item in self.open.items() if item[1].expires_at <= now and not item[1].is_confirmed)
        yield from sorted(over, key=lambda item: (item[1].expires_at, item[0]))
