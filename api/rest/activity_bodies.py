"""Activities as REST takes and shows them: version 1 of the contract. What is added to it breaks nobody."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.activities import ActivityStatus
from api.planner.masks import MaskReason
from api.rest.lists import Listing
from api.rest.values import Day, Given, Instant, Number, Shown, choice
from domain import activity_plans as plans
from domain.activity_figures import Exclusion
from domain.shared.field_rules import FIELDS_MAX
from domain.timeframes import FrequencyKind, TimeframeKind

LISTED_MAX = 200
"""Of any list: what is beyond its own limit is told with all other faults, what is beyond this alone."""

Channel = Annotated[plans.Channel, choice(plans.Channel)]
Goal = Annotated[plans.Goal, choice(plans.Goal)]
Role = Annotated[plans.GroupRole, choice(plans.GroupRole)]
Excluded = Annotated[Exclusion, choice(Exclusion)]
Repeated = Annotated[FrequencyKind, choice(FrequencyKind)]
Days = Annotated[TimeframeKind, choice(TimeframeKind)]
Status = Annotated[ActivityStatus, choice(ActivityStatus)]
Reason = Annotated[MaskReason, choice(MaskReason)]
WHY = Field(description="Why the member before is null; null where it is shown.")


def listed(most: int) -> Any:
    return Field(default=[], max_length=LISTED_MAX, json_schema_extra={"maxItems": most})


def needing(*names: str) -> ConfigDict:
    """Members that the domain asks for, along with all else that is wrong."""
    return ConfigDict(json_schema_extra={"required": list(names)})


# --- What is sent -----------------------------------------------------------


class MoneyDraft(Given):
    amount: str = Field(description="A decimal number: 50000 or 123.45.")
    currency: str = "CNY"


class TimePeriodDraft(Given):
    """Half-open: startsAt belongs to it, endsAt does not."""

    starts_at: Instant
    ends_at: Instant


class FormValueDraft(Given):
    """The value in its canonical text: 12, 12.50, true, 2027-03-01."""

    name: str
    value: str


class CostLineDraft(Given):
    model_config = needing("costTypeId", "amount")

    cost_type_id: str | None = None
    cost_type_revision: Number | None = Field(None, description="That you saw: refused if there is a newer.")
    amount: MoneyDraft | None = None
    remark: str = ""


class RewardDraft(Given):
    """What is given, in the unit of its type. A cap that is left out is the type's."""

    model_config = needing("rewardTypeId", "value")

    reward_type_id: str | None = None
    reward_type_revision: Number | None = None
    value: str = ""
    cap_per_customer: str | None = None
    cap_total: str | None = None
    remark: str = ""
    field_values: list[FormValueDraft] = listed(FIELDS_MAX)


class FrequencyDraft(Given):
    """cron goes with CRON alone. at is the time of day: left out it is 02:00, and of ONCE at once."""

    kind: Repeated
    cron: str = ""
    at: str = ""
    calendar_id: str | None = None
    off_peak: str = ""


class TimeframeDraft(Given):
    """FIXED has startsOn and, exclusive, endsOn; ROLLING has days."""

    kind: Days
    starts_on: Day | None = None
    ends_on: Day | None = None
    days: Number | None = None


class GroupLinkDraft(Given):
    model_config = needing("customerGroupId", "role", "frequency", "timeframe")

    customer_group_id: str | None = None
    customer_group_revision: Number | None = None
    role: Role | None = None
    frequency: FrequencyDraft | None = None
    timeframe: TimeframeDraft | None = None


class ActivityDraft(Given):
    """A new activity with its whole plan; it belongs to the unit of whoever sends it."""

    model_config = needing(
        "code", "name", "activityTypeId", "startsAt", "endsAt", "budget", "departmentId", "rewards"
    )

    code: str = Field("", description="Its own in this house: 1 to 32 of A-Z, 0-9, _ and -.")
    name: str = Field("", json_schema_extra={"maxLength": plans.NAME_CHARACTERS_MAX})
    description: str = Field("", json_schema_extra={"maxLength": plans.DESCRIPTION_CHARACTERS_MAX})
    activity_type_id: str | None = None
    activity_type_revision: Number | None = Field(
        None, description="That you saw: refused if there is a newer."
    )
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    registration: TimePeriodDraft | None = None
    award: TimePeriodDraft | None = None
    form_id: str | None = None
    form_revision: Number | None = None
    form_values: list[FormValueDraft] = listed(FIELDS_MAX)
    channels: list[Channel] = listed(len(plans.Channel))
    budget: MoneyDraft | None = None
    cost_lines: list[CostLineDraft] = listed(plans.COST_LINES_MAX)
    department_id: str | None = None
    department_revision: Number | None = None
    co_department_ids: list[str] = listed(plans.CO_DEPARTMENTS_MAX)
    responsible: str = Field("", description="Who answers for it; left out it is whoever sends this.")
    goal: Goal | None = None
    rewards: list[RewardDraft] = listed(plans.REWARDS_MAX)
    groups: list[GroupLinkDraft] = listed(plans.GROUPS_MAX)
    exclusions: list[Excluded] = listed(len(Exclusion))


class Submission(Given):
    """{} asks for the approval of the activity as it stands."""

    expected_version: Number | None = Field(None, description="The version that you saw: 409 if it changed.")


class ActivityQuery(Listing):
    status: list[Status] = Field([], max_length=len(ActivityStatus), description="Any of these.")


# --- What is shown ----------------------------------------------------------


class Money(Shown):
    amount: str
    currency: str


class TimePeriod(Shown):
    starts_at: Instant
    ends_at: Instant


class FormValue(Shown):
    name: str
    value: str


class CostLine(Shown):
    cost_type_id: str
    cost_type_revision: int
    amount: Money
    remark: str


class Reward(Shown):
    reward_type_id: str
    reward_type_revision: int
    value: str
    cap_per_customer: str | None
    cap_total: str | None
    remark: str
    field_values: list[FormValue]


class Frequency(Shown):
    kind: Repeated
    cron: str | None
    at: str | None
    calendar_id: str | None
    off_peak: str | None


class Timeframe(Shown):
    kind: Days
    starts_on: Day | None
    ends_on: Day | None
    days: int | None


class GroupLink(Shown):
    customer_group_id: str
    customer_group_revision: int
    role: Role
    frequency: Frequency
    timeframe: Timeframe


class ActivityState(Shown):
    """How far an activity is: for who asks again and again."""

    id: str
    code: str
    version: int
    revision: int
    status: Status
    approval_id: str | None
    reason: str | None = Field(description="Why it was rejected, paused or cancelled.")
    submitted_at: Instant | None
    submitted_by: str | None
    approved_at: Instant | None
    changed_at: Instant
    changed_by: str


class Activity(ActivityState):
    """A marketing campaign. Amounts are null for who may not read budgets, who is told so."""

    org_unit: str
    name: str
    description: str
    activity_type_id: str
    activity_type_revision: int
    starts_at: Instant
    ends_at: Instant
    registration: TimePeriod | None
    award: TimePeriod | None
    form_id: str | None
    form_revision: int | None
    form_values: list[FormValue]
    department_id: str | None
    department_revision: int | None
    co_department_ids: list[str]
    responsible: str
    goal: Goal | None
    channels: list[Channel]
    budget: Money | None
    budget_masked: Reason | None = WHY
    cost_total: Money | None
    cost_total_masked: Reason | None = WHY
    cost_lines: list[CostLine] | None
    cost_lines_masked: Reason | None = WHY
    rewards: list[Reward]
    groups: list[GroupLink]
    exclusions: list[Excluded]
    created_at: Instant
    created_by: str


class ActivityPage(Shown):
    """In the order in which they were created; where there are more, the header Link has `rel="next"`."""

    items: list[Activity]
