"""Reward details: what an activity gives, within the frame that its reward type sets for all activities.

A reward type's attributes are texts; `frame_faults` judges them and `frame_of` reads them. Numbers are
decimals in canonical text, in the type's unit, so that they mean the same for ever.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from domain.shared.field_rules import FieldRule, value_faults
from domain.shared.money import MINOR_DIGITS
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Fault
from domain.shared.text import text_faults

# --- Values ---------------------------------------------------------------

REMARK_CHARACTERS_MAX = 200
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


class Route(StrEnum):
    """How what was earned reaches the customer."""

    POINTS = "points"
    COUPON = "coupon"
    CASH_BACK = "cash_back"
    GIFT = "gift"
    BENEFIT = "benefit"
    LOTTERY = "lottery"


FRAME_NUMBERS = ("minimum", "maximum", "cap_per_customer", "cap_per_activity", "unit_cost")


@dataclass(frozen=True, slots=True)
class RewardFrame:
    """The rules of a reward type. `minimum` and `maximum` bound one reward, inclusive; a cap that is None
    is none. One unit costs `unit_cost` of `currency`, not of its minor unit.
    """

    unit: str
    minimum: Decimal
    maximum: Decimal
    cap_per_customer: Decimal | None
    cap_per_activity: Decimal | None
    route: Route
    unit_cost: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class RewardEntry:
    """One line of reward details as it was entered; `field_values` fill in the type's own fields."""

    value: str = ""
    cap_per_customer: str | None = None
    cap_total: str | None = None
    remark: str = ""
    field_values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reward:
    """One line of reward details as it was found sound. The caps are those of the type where the line set
    none, so that what was approved stays when the type changes.
    """

    reward_type: Reference
    value: str
    cap_per_customer: str | None = None
    cap_total: str | None = None
    remark: str = ""
    field_values: Mapping[str, str] = field(default_factory=dict)

    @property
    def entry(self) -> RewardEntry:
        """The line as if it were entered now, to be judged anew."""
        return RewardEntry(
            self.value, self.cap_per_customer, self.cap_total, self.remark, dict(self.field_values)
        )


class RewardRefusal(StrEnum):
    """Each code of a detail names the rule of the type that it breaks."""

    BAD_NUMBER = "bad_number"
    MINIMUM_ABOVE_MAXIMUM = "minimum_above_maximum"
    CUSTOMER_CAP_ABOVE_ACTIVITY_CAP = "customer_cap_above_activity_cap"
    BELOW_MINIMUM = "below_minimum"
    ABOVE_MAXIMUM = "above_maximum"
    ABOVE_CUSTOMER_CAP = "above_customer_cap"
    ABOVE_ACTIVITY_CAP = "above_activity_cap"


# --- The frame ------------------------------------------------------------


def frame_faults(attributes: Mapping[str, str]) -> Iterator[Fault]:
    """What is wrong with the rules of a reward type, besides what is missing or no choice."""
    numbers: dict[str, Decimal] = {}
    for name in FRAME_NUMBERS:
        text = attributes.get(name, "")
        if text.strip():
            if _NUMBER.fullmatch(text):
                numbers[name] = Decimal(text)
            else:
                yield Fault(RewardRefusal.BAD_NUMBER, (name,))
    if numbers.get("minimum", Decimal(0)) > numbers.get("maximum", Decimal("Infinity")):
        yield Fault(RewardRefusal.MINIMUM_ABOVE_MAXIMUM, ("minimum",), {"maximum": attributes["maximum"]})
    if numbers.get("cap_per_customer", Decimal(0)) > numbers.get("cap_per_activity", Decimal("Infinity")):
        most = {"cap": attributes["cap_per_activity"]}
        yield Fault(RewardRefusal.CUSTOMER_CAP_ABOVE_ACTIVITY_CAP, ("cap_per_customer",), most)
    currency = attributes.get("currency", "")
    if currency.strip() and currency not in MINOR_DIGITS:
        yield Fault(CommonRefusal.UNKNOWN_CURRENCY, ("currency",), {"known": ", ".join(MINOR_DIGITS)})


def frame_of(attributes: Mapping[str, str]) -> RewardFrame:
    """The rules that sound attributes hold."""
    return RewardFrame(
        unit=attributes["unit"],
        minimum=Decimal(attributes["minimum"]),
        maximum=Decimal(attributes["maximum"]),
        cap_per_customer=_decimal(attributes.get("cap_per_customer")),
        cap_per_activity=_decimal(attributes.get("cap_per_activity")),
        route=Route(attributes["route"]),
        unit_cost=Decimal(attributes["unit_cost"]),
        currency=attributes["currency"],
    )


# --- The details ----------------------------------------------------------


def reward_faults(
    frame: RewardFrame, fields: Sequence[FieldRule], entry: RewardEntry, *path: str | int
) -> Iterator[Fault]:
    """Every rule of the type that the line breaks, each by its name."""
    if not entry.value.strip():
        yield Fault(CommonRefusal.REQUIRED, (*path, "value"))
    elif not _NUMBER.fullmatch(entry.value):
        yield Fault(RewardRefusal.BAD_NUMBER, (*path, "value"))
    else:
        yield from _range_faults(frame, Decimal(entry.value), *path)
    yield from _cap_faults(
        RewardRefusal.ABOVE_CUSTOMER_CAP,
        entry.cap_per_customer,
        frame.cap_per_customer,
        *path,
        "cap_per_customer",
    )
    yield from _cap_faults(
        RewardRefusal.ABOVE_ACTIVITY_CAP, entry.cap_total, frame.cap_per_activity, *path, "cap_total"
    )
    yield from text_faults(entry.remark, REMARK_CHARACTERS_MAX, *path, "remark")
    yield from value_faults(fields, entry.field_values, *path, "field_values")


def kept_reward(reward_type: Reference, frame: RewardFrame, entry: RewardEntry) -> Reward:
    """The line as the plan keeps it; assert that `reward_faults` found nothing."""
    return Reward(
        reward_type=reward_type,
        value=_canonical(Decimal(entry.value)),
        cap_per_customer=_kept_cap(entry.cap_per_customer, frame.cap_per_customer),
        cap_total=_kept_cap(entry.cap_total, frame.cap_per_activity),
        remark=entry.remark,
        field_values={name: value for name, value in entry.field_values.items() if value},
    )


def _range_faults(frame: RewardFrame, value: Decimal, *path: str | int) -> Iterator[Fault]:
    if value < frame.minimum:
        least = {"minimum": _canonical(frame.minimum), "unit": frame.unit}
        yield Fault(RewardRefusal.BELOW_MINIMUM, (*path, "value"), least)
    if value > frame.maximum:
        most = {"maximum": _canonical(frame.maximum), "unit": frame.unit}
        yield Fault(RewardRefusal.ABOVE_MAXIMUM, (*path, "value"), most)


def _cap_faults(code: StrEnum, given: str | None, cap: Decimal | None, *path: str | int) -> Iterator[Fault]:
    if given is None or not given.strip():
        return
    if not _NUMBER.fullmatch(given):
        yield Fault(RewardRefusal.BAD_NUMBER, path)
    elif cap is not None and Decimal(given) > cap:
        yield Fault(code, path, {"cap": _canonical(cap)})


def _kept_cap(given: str | None, cap: Decimal | None) -> str | None:
    kept = _decimal(given)
    kept = cap if kept is None else kept
    return None if kept is None else _canonical(kept)


def _decimal(text: str | None) -> Decimal | None:
    return Decimal(text) if text and text.strip() else None


def _canonical(number: Decimal) -> str:
    """12.50 and 12.5 are the same number, so they have the same text: 12.5."""
    return f"{number.normalize():f}"
