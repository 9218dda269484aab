"""Activity plans: the key details of a campaign, and what makes them sound."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from domain.activity_figures import Exclusion
from domain.reward_details import Reward, RewardEntry, RewardFrame, kept_reward, reward_faults
from domain.shared.field_rules import FieldRule, value_faults
from domain.shared.money import MINOR_DIGITS, Amount, Money, amount_faults, money
from domain.shared.period import Period, period_faults
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Fault, refuse_any
from domain.shared.text import name_faults, text_faults
from domain.timeframes import Frequency, Timeframe, frequency_faults, timeframe_faults

T = TypeVar("T")

# --- Values ---------------------------------------------------------------

NAME_CHARACTERS_MAX = 120
DESCRIPTION_CHARACTERS_MAX = 4_000
COST_LINES_MAX = 100
REMARK_CHARACTERS_MAX = 200
CO_DEPARTMENTS_MAX = 20
REWARDS_MAX = 50
GROUPS_MAX = 50
RESPONSIBLE_CHARACTERS_MAX = 80


class Channel(StrEnum):
    """Where customers meet the activity."""

    APP = "app"
    WECHAT = "wechat"
    SMS = "sms"
    EMAIL = "email"
    BRANCH = "branch"
    CALL_CENTRE = "call_centre"


class Goal(StrEnum):
    """What the activity is to bring: new cards, use of cards, instalments."""

    ACQUIRE = "acquire"
    USE = "use"
    INSTALMENT = "instalment"


class GroupRole(StrEnum):
    """What a customer group is to the activity: whom it speaks to, or who earns its rewards."""

    TARGET = "target"
    REWARDED = "rewarded"


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one kind of cost may come to; the cost type in the revision that was chosen."""

    cost_type: Reference
    amount: Money
    remark: str = ""


@dataclass(frozen=True, slots=True)
class GroupLink:
    """A customer group in the revision that was chosen: its data of which days, taken how often."""

    group: Reference
    role: GroupRole
    frequency: Frequency
    timeframe: Timeframe


@dataclass(frozen=True, slots=True)
class Plan:
    """The key details of an activity: what is promised, when, through what, and what it may cost.

    `form` is the kind of promotion (spend-and-get, sign-in, …), `form_values` fill in its fields.
    `department` owns the activity, `responsible` is the user who answers for it. Plans of the time before
    there were departments and reward types have none.
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
    department: Reference | None = None
    co_departments: tuple[Reference, ...] = ()
    responsible: str = ""
    goal: Goal | None = None
    rewards: tuple[Reward, ...] = ()
    groups: tuple[GroupLink, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry that a person chose: the reference, or None if there is none; and whether it is effective.

    `revision_seen` is the revision that the person had before the eyes, when he said so; `fields` are
    those that an entry of its kind defines, `frame` the rules that a reward type sets, `role` what a
    customer group is for.
    """

    reference: Reference | None
    is_enabled: bool = False
    revision_seen: int | None = None
    fields: tuple[FieldRule, ...] = ()
    frame: RewardFrame | None = None
    role: GroupRole | None = None

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
class RewardDraft:
    reward_type: Choice | None
    entry: RewardEntry


@dataclass(frozen=True, slots=True)
class GroupLinkDraft:
    """`is_calendar_known`: there is the calendar that the frequency goes by, if it names one."""

    group: Choice | None
    role: GroupRole | None
    frequency: Frequency | None
    timeframe: Timeframe | None
    is_calendar_known: bool = True


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
    department: Choice | None = None
    co_departments: tuple[Choice, ...] = ()
    responsible: str = ""
    goal: Goal | None = None
    rewards: tuple[RewardDraft, ...] = ()
    groups: tuple[GroupLinkDraft, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanChoices:
    """How each thing that a kept plan refers to stands now; lines in the order of the plan's."""

    activity_type: Choice
    form: Choice | None = None
    cost_types: tuple[Choice, ...] = ()
    department: Choice | None = None
    co_departments: tuple[Choice, ...] = ()
    reward_types: tuple[Choice, ...] = ()
    groups: tuple[Choice, ...] = ()

    @property
    def all(self) -> tuple[Choice, ...]:
        """In an order that never changes: it is part of what approvers see."""
        forms = () if self.form is None else (self.form,)
        owners = () if self.department is None else (self.department,)
        return (
            self.activity_type,
            *forms,
            *self.cost_types,
            *owners,
            *self.co_departments,
            *self.reward_types,
            *self.groups,
        )


class PlanRefusal(StrEnum):
    REFERENCE_CHANGED = "reference_changed"
    REFERENCE_DISABLED = "reference_disabled"
    OUTSIDE_PERIOD = "outside_period"
    AWARD_BEFORE_START = "award_before_start"
    COSTS_EXCEED_BUDGET = "costs_exceed_budget"
    ROLE_NOT_OF_GROUP = "role_not_of_group"


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
        department=_chosen(draft.department),
        co_departments=tuple(_chosen(department) for department in draft.co_departments),
        responsible=draft.responsible,
        goal=draft.goal,
        rewards=tuple(_reward(line) for line in draft.rewards),
        groups=tuple(
            GroupLink(_chosen(link.group), _given(link.role), _given(link.frequency), _given(link.timeframe))
            for link in draft.groups
        ),
        exclusions=draft.exclusions,
    )


def keeping_departments(draft: PlanDraft, plan: Plan) -> PlanDraft:
    """A department that was disabled can't be picked, but a plan that has it may keep it."""
    kept = {each.id for each in (plan.department, *plan.co_departments) if each is not None}

    def still(choice: Choice) -> Choice:
        is_kept = choice.reference is not None and choice.reference.id in kept
        return replace(choice, is_enabled=True) if is_kept else choice

    return replace(
        draft,
        department=None if draft.department is None else still(draft.department),
        co_departments=tuple(still(choice) for choice in draft.co_departments),
    )


def standing_faults(plan: Plan, choices: PlanChoices) -> Iterator[Fault]:
    """What a kept plan refers to and can't be approved as it stands now.

    Rewards are judged by the frame of today; a department may have been disabled, for its activities stay.
    """
    yield from choices.activity_type.faults("activity_type")
    if choices.form is not None:
        yield from choices.form.faults("form")
    for index, choice in enumerate(choices.cost_types):
        yield from choice.faults("cost_lines", index, "cost_type")
    kept = choices.department and replace(choices.department, is_enabled=True)
    yield from _required(kept, Choice.faults, "department")
    for index, choice in enumerate(choices.co_departments):
        yield from replace(choice, is_enabled=True).faults("co_departments", index)
    if not plan.rewards:
        yield Fault(CommonRefusal.REQUIRED, ("rewards",))
    for index, (reward, choice) in enumerate(zip(plan.rewards, choices.reward_types, strict=True)):
        yield from choice.faults("rewards", index, "reward_type")
        if choice.frame is not None:
            yield from reward_faults(choice.frame, choice.fields, reward.entry, "rewards", index)
    for index, (link, choice) in enumerate(zip(plan.groups, choices.groups, strict=True)):
        yield from choice.faults("groups", index, "group")
        yield from _role_faults(link.role, choice, index)


def _reward(draft: RewardDraft) -> Reward:
    return kept_reward(_chosen(draft.reward_type), _given(_given(draft.reward_type).frame), draft.entry)


def _chosen(choice: Choice | None) -> Reference:
    return _given(_given(choice).reference)


def _given(value: T | None) -> T:
    assert value is not None, "a plan without faults has all its parts"
    return value


def _required(given: T | None, faults: Callable[..., Iterator[Fault]], *path: str | int) -> Iterator[Fault]:
    """That it is missing, or else what is wrong with it."""
    if given is None:
        yield Fault(CommonRefusal.REQUIRED, path)
    else:
        yield from faults(given, *path)


def _plan_faults(draft: PlanDraft) -> Iterator[Fault]:
    yield from name_faults(draft.name, NAME_CHARACTERS_MAX, "name")
    yield from text_faults(draft.description, DESCRIPTION_CHARACTERS_MAX, "description")
    yield from _required(draft.activity_type, Choice.faults, "activity_type")
    yield from _time_faults(draft)
    for name in ("channels", "exclusions"):
        if len(set(getattr(draft, name))) < len(getattr(draft, name)):
            yield Fault(CommonRefusal.DUPLICATE, (name,))
    yield from _form_faults(draft)
    yield from _cost_faults(draft)
    yield from _owner_faults(draft)
    yield from _reward_faults(draft)
    yield from _group_faults(draft)


def _owner_faults(draft: PlanDraft) -> Iterator[Fault]:
    """Exactly one department owns the activity; others may take part."""
    yield from _required(draft.department, Choice.faults, "department")
    if len(draft.co_departments) > CO_DEPARTMENTS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("co_departments",), {"most": str(CO_DEPARTMENTS_MAX)})
    seen = {draft.department.reference} if draft.department else set()
    for index, choice in enumerate(draft.co_departments[:CO_DEPARTMENTS_MAX]):
        yield from choice.faults("co_departments", index)
        if choice.reference is not None and choice.reference in seen:
            yield Fault(CommonRefusal.DUPLICATE, ("co_departments", index))
        seen.add(choice.reference)
    yield from name_faults(draft.responsible, RESPONSIBLE_CHARACTERS_MAX, "responsible")


def _reward_faults(draft: PlanDraft) -> Iterator[Fault]:
    """At least one reward, each within the frame of its type and paid in the budget's currency."""
    if not draft.rewards:
        yield Fault(CommonRefusal.REQUIRED, ("rewards",))
    if len(draft.rewards) > REWARDS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("rewards",), {"most": str(REWARDS_MAX)})
    for index, line in enumerate(draft.rewards[:REWARDS_MAX]):
        at = ("rewards", index, "reward_type")
        if line.reward_type is None:
            yield Fault(CommonRefusal.REQUIRED, at)
            continue
        yield from line.reward_type.faults(*at)
        frame = line.reward_type.frame
        if frame is None:
            continue
        yield from reward_faults(frame, line.reward_type.fields, line.entry, "rewards", index)
        if draft.budget and draft.budget.currency in MINOR_DIGITS and draft.budget.currency != frame.currency:
            yield Fault(CommonRefusal.CURRENCY_MISMATCH, at, {"currency": draft.budget.currency})


def _group_faults(draft: PlanDraft) -> Iterator[Fault]:
    """A group is linked once in the role that it is for; one whose purpose is not known in each once."""
    if len(draft.groups) > GROUPS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("groups",), {"most": str(GROUPS_MAX)})
    seen = set()
    for index, link in enumerate(draft.groups[:GROUPS_MAX]):
        for name in ("group", "role", "frequency", "timeframe"):
            if getattr(link, name) is None:
                yield Fault(CommonRefusal.REQUIRED, ("groups", index, name))
        if link.group is not None:
            yield from link.group.faults("groups", index, "group")
            if link.group.reference is not None:
                linked = (link.group.reference.id, link.role)
                if linked in seen:
                    yield Fault(CommonRefusal.DUPLICATE, ("groups", index, "group"))
                seen.add(linked)
            yield from _role_faults(link.role, link.group, index)
        if link.frequency is not None:
            yield from frequency_faults(link.frequency, "groups", index, "frequency")
        if not link.is_calendar_known:
            yield Fault(CommonRefusal.NOT_FOUND, ("groups", index, "frequency", "calendar"))
        if link.timeframe is not None:
            yield from timeframe_faults(link.timeframe, "groups", index, "timeframe")


def _role_faults(role: GroupRole | None, group: Choice, index: int) -> Iterator[Fault]:
    """Whom a group was made to reach is not awarded by it, nor the other way round."""
    if role is not None and group.role not in (None, role):
        yield Fault(PlanRefusal.ROLE_NOT_OF_GROUP, ("groups", index, "role"), {"purpose": str(group.role)})


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
    yield from _required(draft.budget, amount_faults, "budget")
    if len(draft.cost_lines) > COST_LINES_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("cost_lines",), {"most": str(COST_LINES_MAX)})
    for index, line in enumerate(draft.cost_lines[:COST_LINES_MAX]):
        yield from _required(line.cost_type, Choice.faults, "cost_lines", index, "cost_type")
        yield from _required(line.amount, amount_faults, "cost_lines", index, "amount")
        yield from text_faults(line.remark, REMARK_CHARACTERS_MAX, "cost_lines", index, "remark")
