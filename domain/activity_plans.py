"""Activity plans: the key details of a campaign, and what makes them sound."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from domain.shared.field_rules import FieldRule, value_faults
from domain.shared.money import MINOR_DIGITS, Amount, Money, amount_faults, money
from domain.shared.period import Period, period_faults
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Fault, refuse_any
from domain.shared.text import name_faults, text_faults

T = TypeVar("T")

# --- Values ---------------------------------------------------------------

NAME_CHARACTERS_MAX = 120
DESCRIPTION_CHARACTERS_MAX = 4_000
COST_LINES_MAX = 100
REMARK_CHARACTERS_MAX = 200


class Channel(StrEnum):
    """Where customers meet the activity."""

    APP = "app"
    WECHAT = "wechat"
    SMS = "sms"
    EMAIL = "email"
    BRANCH = "branch"
    CALL_CENTRE = "call_centre"


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one kind of cost may come to; the cost type in the revision that was chosen."""

    cost_type: Reference
    amount: Money
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The key details of an activity: what is promised, when, through what, and what it may cost.

    `form` is the kind of promotion (spend-and-get, sign-in, …), `form_values` fill in its fields.
    """

    name: str
    description: str
    activity_type: Reference
    period: Period
    registration: Period | None
    award: Period | None
    channels: tuple[Channel, ...]
    budget: Money
    cost_lines: tuple[CostLine, ...]
    form: Reference | None = None
    form_values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry that a person chose: the reference, or None if there is none; and whether it is effective.

    `revision_seen` is the revision that the person had before the eyes, when he said so; `fields` are
    those that an entry of its kind defines.
    """

    reference: Reference | None
    is_enabled: bool = False
    revision_seen: int | None = None
    fields: tuple[FieldRule, ...] = ()

    def faults(self, *path: str | int) -> Iterator[Fault]:
        if self.reference is None:
            yield Fault(CommonRefusal.NOT_FOUND, path)
        elif self.revision_seen not in (None, self.reference.revision):
            current = {"revision": str(self.reference.revision)}
            yield Fault(PlanRefusal.REFERENCE_CHANGED, path, current)
        elif not self.is_enabled:
            yield Fault(PlanRefusal.REFERENCE_DISABLED, path)


@dataclass(frozen=True, slots=True)
class CostLineDraft:
    cost_type: Choice | None
    amount: Amount | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A plan as it was entered: anything may be missing or wrong. `sound_plan` judges it."""

    name: str = ""
    description: str = ""
    activity_type: Choice | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    registration: Period | None = None
    award: Period | None = None
    channels: tuple[Channel, ...] = ()
    budget: Amount | None = None
    cost_lines: tuple[CostLineDraft, ...] = ()
    form: Choice | None = None
    form_values: Mapping[str, str] = field(default_factory=dict)


class PlanRefusal(StrEnum):
    REFERENCE_CHANGED = "reference_changed"
    REFERENCE_DISABLED = "reference_disabled"
    OUTSIDE_PERIOD = "outside_period"
    AWARD_BEFORE_START = "award_before_start"
    COSTS_EXCEED_BUDGET = "costs_exceed_budget"


# --- Rules ----------------------------------------------------------------


def sound_plan(draft: PlanDraft, faults: Sequence[Fault] = ()) -> Plan:
    """The plan that was entered, or `Refused` with `faults` and everything that is wrong with it."""
    refuse_any([*faults, *_plan_faults(draft)])
    return Plan(
        name=draft.name,
        description=draft.description,
        activity_type=_chosen(draft.activity_type),
        period=Period(_given(draft.starts_at), _given(draft.ends_at)),
        registration=draft.registration,
        award=draft.award,
        channels=draft.channels,
        budget=money(_given(draft.budget)),
        cost_lines=tuple(
            CostLine(_chosen(line.cost_type), money(_given(line.amount)), line.remark)
            for line in draft.cost_lines
        ),
        form=None if draft.form is None else _chosen(draft.form),
        form_values={name: value for name, value in draft.form_values.items() if value},
    )


def _chosen(choice: Choice | None) -> Reference:
    return _given(_given(choice).reference)


def _given(value: T | None) -> T:
    assert value is not None, "a plan without faults has all its parts"
    return value


def _plan_faults(draft: PlanDraft) -> Iterator[Fault]:
    yield from name_faults(draft.name, NAME_CHARACTERS_MAX, "name")
    yield from text_faults(draft.description, DESCRIPTION_CHARACTERS_MAX, "description")
    if draft.activity_type is None:
        yield Fault(CommonRefusal.REQUIRED, ("activity_type",))
    else:
        yield from draft.activity_type.faults("activity_type")
    yield from _time_faults(draft)
    if len(set(draft.channels)) < len(draft.channels):
        yield Fault(CommonRefusal.DUPLICATE, ("channels",))
    yield from _form_faults(draft)
    yield from _cost_faults(draft)


def _form_faults(draft: PlanDraft) -> Iterator[Fault]:
    """A form is no must; without one there is nothing to fill in."""
    if draft.form is not None:
        yield from draft.form.faults("form")
    if draft.form is None or draft.form.reference is not None:
        fields = () if draft.form is None else draft.form.fields
        yield from value_faults(fields, draft.form_values, "form_values")


def _time_faults(draft: PlanDraft) -> Iterator[Fault]:
    for name in ("starts_at", "ends_at"):
        if getattr(draft, name) is None:
            yield Fault(CommonRefusal.REQUIRED, (name,))
    for name in ("registration", "award"):
        period: Period | None = getattr(draft, name)
        if period is not None:
            yield from period_faults(period, name)
    if draft.starts_at is None or draft.ends_at is None:
        return
    period = Period(draft.starts_at, draft.ends_at)
    yield from period_faults(period)
    if draft.registration and draft.registration.ends_at > period.ends_at:
        yield Fault(PlanRefusal.OUTSIDE_PERIOD, ("registration", "ends_at"))
    if draft.award and draft.award.starts_at < period.starts_at:
        yield Fault(PlanRefusal.AWARD_BEFORE_START, ("award", "starts_at"))


def _cost_faults(draft: PlanDraft) -> Iterator[Fault]:
    yield from _amount_faults(draft)
    if draft.budget is None:
        return
    total, currency = Decimal(0), draft.budget.currency
    for index, line in enumerate(draft.cost_lines[:COST_LINES_MAX]):
        if line.amount is None or any(amount_faults(line.amount)):
            continue
        if line.amount.currency == currency:
            total += line.amount.amount
        elif currency in MINOR_DIGITS:
            at = ("cost_lines", index, "amount")
            yield Fault(CommonRefusal.CURRENCY_MISMATCH, at, {"currency": currency})
    if not any(amount_faults(draft.budget)) and total > draft.budget.amount:
        yield Fault(PlanRefusal.COSTS_EXCEED_BUDGET, ("cost_lines",), {"total": f"{total:f}"})


def _amount_faults(draft: PlanDraft) -> Iterator[Fault]:
    if draft.budget is None:
        yield Fault(CommonRefusal.REQUIRED, ("budget",))
    else:
        yield from amount_faults(draft.budget, "budget")
    if len(draft.cost_lines) > COST_LINES_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("cost_lines",), {"most": str(COST_LINES_MAX)})
    for index, line in enumerate(draft.cost_lines[:COST_LINES_MAX]):
        if line.cost_type is None:
            yield Fault(CommonRefusal.REQUIRED, ("cost_lines", index, "cost_type"))
        else:
            yield from line.cost_type.faults("cost_lines", index, "cost_type")
        if line.amount is None:
            yield Fault(CommonRefusal.REQUIRED, ("cost_lines", index, "amount"))
        else:
            yield from amount_faults(line.amount, "cost_lines", index, "amount")
        yield from text_faults(line.remark, REMARK_CHARACTERS_MAX, "cost_lines", index, "remark")
