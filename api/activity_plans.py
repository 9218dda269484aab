"""Activity plans in GraphQL: the parts that a plan is made of, as they are read and as they are typed in."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Union

import strawberry

from api.catalogues import CostType
from api.commands import key_of
from api.planner.views import Money, column, money, one, ref, struct
from api.reward_types import RewardType
from application.activities import Chosen, CostLineEntry, GroupLinkEntry, PlanEntry, RewardLineEntry
from domain import timeframes as domain
from domain.activity_figures import Exclusion
from domain.activity_plans import Channel, Goal, GroupRole
from domain.reward_details import RewardEntry
from domain.shared.money import Amount
from domain.shared.period import Period
from domain.timeframes import FrequencyKind, TimeframeKind

if TYPE_CHECKING:
    from api.rest import activity_bodies as rest

NUMBER = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{1,20})?")

strawberry.enum(Channel, name="Channel", description="Where customers meet the activity.")
strawberry.enum(Goal, name="Goal", description="What the activity is to bring: cards, use, instalments.")
strawberry.enum(
    Exclusion,
    name="ActivityExclusion",
    description="Whom an activity is not for: whose account is overdue, whom another unit keeps than the"
    " activity's, who has no active card.",
)
strawberry.enum(GroupRole, name="GroupRole", description="Whether the group is spoken to or rewarded.")
strawberry.enum(FrequencyKind, name="FrequencyKind", description="How often a group is taken anew.")
strawberry.enum(TimeframeKind, name="TimeframeKind", description="Whether days are fixed or roll on.")


@struct
class TimePeriod:
    """A half-open period: startsAt belongs to it, endsAt does not."""

    starts_at: datetime
    ends_at: datetime


@struct
class FormValue:
    """What was filled in for one field of the activity's form."""

    name: str
    value: str


@struct
class CostLine:
    """What one kind of cost may come to, the cost type pinned in the revision that was chosen."""

    cost_type: CostType | None = one("cost_type_id")
    cost_type_id: strawberry.ID = ref("cost_type_id", "ct")
    cost_type_revision: int = column("cost_type_revision")
    amount: Money = money("amount_minor", "currency")
    remark: str


@struct
class Reward:
    """What the activity gives, in the unit of its type, pinned in the revision that was chosen."""

    reward_type: RewardType | None = one("reward_type_id")
    reward_type_id: strawberry.ID = ref("reward_type_id", "rt")
    reward_type_revision: int = column("reward_type_revision")
    value: Decimal
    cap_per_customer: Decimal | None = column("cap_per_customer")
    cap_total: Decimal | None = column("cap_total")
    remark: str
    field_values: list[FormValue] = column("field_values")


@struct
class Frequency:
    """How often and when, on workdays of a calendar. WEEKLY is on Mondays, MONTHLY on the first."""

    kind: FrequencyKind
    cron: str | None
    at: str | None
    calendar_id: strawberry.ID | None = ref("calendar_id", "bc")
    off_peak: str | None = column("off_peak")


@struct
class Timeframe:
    """Which days' data a group is taken from: endsOn is not among them; ROLLING ends before each run."""

    kind: TimeframeKind
    starts_on: date | None = column("starts_on")
    ends_on: date | None = column("ends_on")
    days: int | None


@struct
class GroupLink:
    """A customer group of the activity, pinned in the revision that was chosen."""

    customer_group_id: strawberry.ID = ref("customer_group_id", "cg")
    customer_group_revision: int = column("customer_group_revision")
    role: GroupRole
    frequency: Frequency
    timeframe: Timeframe


# --- Inputs ---------------------------------------------------------------


@strawberry.input(
    description="The amount as it was typed: 123.45. What is no number is refused in its place."
)
class MoneyInput:
    amount: str
    currency: str = "CNY"


@strawberry.input(description="Half-open: startsAt belongs to it, endsAt does not.")
class TimePeriodInput:
    starts_at: datetime
    ends_at: datetime


@strawberry.input(description="costTypeRevision: the revision that you saw; refused if there is a newer one.")
class CostLineInput:
    cost_type_id: strawberry.ID | None = None
    cost_type_revision: int | None = None
    amount: MoneyInput | None = None
    remark: str = ""


@strawberry.input(description="The value in its canonical text: 12, 12.50, true, 2027-03-01.")
class FormValueInput:
    name: str
    value: str


@strawberry.input(
    description="What is given, in the unit of its type. A cap that is left out is the type's."
    " rewardTypeRevision: the revision that you saw."
)
class RewardInput:
    reward_type_id: strawberry.ID | None = None
    reward_type_revision: int | None = None
    value: str = ""
    cap_per_customer: str | None = None
    cap_total: str | None = None
    remark: str = ""
    field_values: list[FormValueInput] = strawberry.field(default_factory=list)


@strawberry.input(
    description="cron, five fields, goes with CRON alone: 0 6 * * 1. at is the time of day, 02:30; left out"
    " it is 02:00, and of ONCE at once. With a calendar it is done on its workdays only."
)
class FrequencyInput:
    kind: FrequencyKind
    cron: str = ""
    at: str = ""
    calendar_id: strawberry.ID | None = None
    off_peak: str = ""


@strawberry.input(description="FIXED has startsOn and, exclusive, endsOn; ROLLING has days.")
class TimeframeInput:
    kind: TimeframeKind
    starts_on: date | None = None
    ends_on: date | None = None
    days: int | None = None


@strawberry.input(description="customerGroupRevision: the revision that you saw.")
class GroupLinkInput:
    customer_group_id: strawberry.ID | None = None
    customer_group_revision: int | None = None
    role: GroupRole | None = None
    frequency: FrequencyInput | None = None
    timeframe: TimeframeInput | None = None


@strawberry.input(
    description="The whole plan. activityTypeRevision: the revision that you saw. Without responsible it is"
    " the user who was, and at first the maker."
)
class PlanInput:
    name: str = ""
    description: str = ""
    activity_type_id: strawberry.ID | None = None
    activity_type_revision: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    registration: TimePeriodInput | None = None
    award: TimePeriodInput | None = None
    form_id: strawberry.ID | None = None
    form_revision: int | None = None
    form_values: list[FormValueInput] = strawberry.field(default_factory=list)
    channels: list[Channel] = strawberry.field(default_factory=list)
    budget: MoneyInput | None = None
    cost_lines: list[CostLineInput] = strawberry.field(default_factory=list)
    department_id: strawberry.ID | None = None
    department_revision: int | None = None
    co_department_ids: list[strawberry.ID] = strawberry.field(default_factory=list)
    responsible: str = ""
    goal: Goal | None = None
    rewards: list[RewardInput] = strawberry.field(default_factory=list)
    groups: list[GroupLinkInput] = strawberry.field(default_factory=list)
    exclusions: list[Exclusion] = strawberry.field(
        default_factory=list, description="Whom of the target groups the activity is not for."
    )


def plan_entry(input: Union[PlanInput, "rest.ActivityDraft"]) -> PlanEntry:
    """What was typed in or sent, with keys for ids; an id of another kind is one that does not exist."""
    return PlanEntry(
        name=input.name,
        description=input.description,
        activity_type=_chosen("at", input.activity_type_id, input.activity_type_revision),
        starts_at=input.starts_at,
        ends_at=input.ends_at,
        registration=_period(input.registration),
        award=_period(input.award),
        form=_chosen("af", input.form_id, input.form_revision),
        form_values={each.name: each.value for each in input.form_values},
        channels=tuple(input.channels),
        budget=_amount(input.budget),
        cost_lines=tuple(
            CostLineEntry(
                _chosen("ct", line.cost_type_id, line.cost_type_revision), _amount(line.amount), line.remark
            )
            for line in input.cost_lines
        ),
        department=_chosen("dp", input.department_id, input.department_revision),
        co_departments=tuple(Chosen(key_of("dp", id_)) for id_ in input.co_department_ids),
        responsible=input.responsible,
        goal=input.goal,
        rewards=tuple(_reward(line) for line in input.rewards),
        groups=tuple(_link(link) for link in input.groups),
        exclusions=tuple(input.exclusions),
    )


def _reward(line: Union[RewardInput, "rest.RewardDraft"]) -> RewardLineEntry:
    values = {each.name: each.value for each in line.field_values}
    entry = RewardEntry(line.value.strip(), line.cap_per_customer, line.cap_total, line.remark, values)
    return RewardLineEntry(_chosen("rt", line.reward_type_id, line.reward_type_revision), entry)


def _link(link: Union[GroupLinkInput, "rest.GroupLinkDraft"]) -> GroupLinkEntry:
    return GroupLinkEntry(
        group=_chosen("cg", link.customer_group_id, link.customer_group_revision),
        role=link.role,
        frequency=None if link.frequency is None else frequency_of(link.frequency),
        timeframe=None if link.timeframe is None else timeframe_of(link.timeframe),
    )


def frequency_of(given: Union[FrequencyInput, "rest.FrequencyDraft"]) -> domain.Frequency:
    """As it was typed in."""
    calendar = None if given.calendar_id is None else key_of("bc", given.calendar_id)
    return domain.Frequency(
        given.kind, given.cron.strip(), given.at.strip(), calendar, given.off_peak.strip()
    )


def timeframe_of(given: Union[TimeframeInput, "rest.TimeframeDraft"]) -> domain.Timeframe:
    """As it was typed in."""
    return domain.Timeframe(given.kind, given.starts_on, given.ends_on, given.days)


def _chosen(prefix: str, id_: str | None, revision_seen: int | None) -> Chosen | None:
    return None if id_ is None else Chosen(key_of(prefix, id_), revision_seen)


def _period(given: Union[TimePeriodInput, "rest.TimePeriodDraft", None]) -> Period | None:
    return None if given is None else Period(given.starts_at, given.ends_at)


def _amount(given: Union[MoneyInput, "rest.MoneyDraft", None]) -> Amount | None:
    if given is None:
        return None
    sound = NUMBER.fullmatch(given.amount.strip())
    return Amount(Decimal(given.amount.strip()) if sound else Decimal("NaN"), given.currency)
