"""Activities in GraphQL: the plan, its life, and everything that happened to it."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from api.activity_forms import ActivityForm
from api.activity_plans import (
    CostLine,
    FormValue,
    GroupLink,
    PlanInput,
    Reward,
    TimePeriod,
    plan_entry,
)
from api.approvals import Approval
from api.catalogues import ActivityType
from api.commands import Payload, execute, key_of
from api.context import Info
from api.departments import Department
from api.history import HistoryEntry
from api.planner.views import (
    Connection,
    Money,
    Node,
    column,
    composed,
    computed,
    many,
    masked,
    money,
    one,
    payload,
    ref,
    view,
)
from application import activities
from application.shared.work import Work
from domain.activity_figures import Exclusion
from domain.activity_plans import Channel, Goal

if TYPE_CHECKING:
    from api.activity_figures import ActivityFigures
    from api.group_extractions import GroupExtraction
    from api.run_schedules import RunSchedule
    from api.stocks import Stock

PROJECTIONS = ("activities", "approvals", "timeline")
BUDGET = "budget.read"


@strawberry.enum(description="Where an activity is in its life; a pending or rejecting stage is named.")
class ActivityStatus(StrEnum):
    DRAFT = "draft"
    PENDING_RESEARCH = "pending_research"
    PENDING_TECHNOLOGY = "pending_technology"
    RESEARCH_REJECTED = "research_rejected"
    TECHNOLOGY_REJECTED = "technology_rejected"
    APPROVED = "approved"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"
    CANCELLED = "cancelled"


@view(
    "read.activities",
    versions="read.activity_versions",
    prefix="act",
    scope="org_unit",
    permission="records.read",
    order=("created_at",),
    description="A marketing campaign.",
)
class Activity(Node):
    version: int
    revision: int
    code: str
    org_unit: str
    status: ActivityStatus
    name: str
    description: str
    activity_type_id: strawberry.ID = ref(
        "activity_type_id", "at", within=("read.activity_type_closure", "ancestor_id", "descendant_id")
    )
    activity_type_revision: int
    activity_type: ActivityType | None = one("activity_type_id")
    is_type_disabled: bool = computed(
        "exists (select from {rows[read.activity_types]} t where t.id = {row}.activity_type_id"
        " and t.effective_status = 'disabled')",
        description="Whether its type is disabled, or an ancestor of that: it is left out of runs.",
    )
    starts_at: datetime
    ends_at: datetime
    registration: TimePeriod | None = composed(
        "registration_starts_at", {"starts_at": "registration_starts_at", "ends_at": "registration_ends_at"}
    )
    award: TimePeriod | None = composed(
        "award_starts_at", {"starts_at": "award_starts_at", "ends_at": "award_ends_at"}
    )
    form_id: strawberry.ID | None = ref("form_id", "af")
    form_revision: int | None
    form: ActivityForm | None = one("form_id")
    form_values: list[FormValue]
    department_id: strawberry.ID | None = ref(
        "department_id", "dp", within=("read.department_closure", "ancestor_id", "descendant_id")
    )
    department_revision: int | None
    department: Department | None = one("department_id")
    co_department_ids: list[strawberry.ID] = ref("co_department_ids", "dp")
    responsible: str
    goal: Goal | None
    rewards: list[Reward]
    reward_type_ids: list[strawberry.ID] = ref("reward_type_ids", "rt")
    groups: list[GroupLink]
    customer_group_ids: list[strawberry.ID] = ref("customer_group_ids", "cg")
    group_schedules: Connection[Annotated["RunSchedule", strawberry.lazy("api.run_schedules")]] = many(
        "activity_id", description="When its groups are extracted: from its launch until its end."
    )
    group_extractions: Connection[Annotated["GroupExtraction", strawberry.lazy("api.group_extractions")]] = (
        many("activity_id", description="What its groups were at each of their times, the latest first.")
    )
    channels: list[Channel]
    budget: Money | None = money("budget_minor", "currency", permission=BUDGET)
    cost_total: Money | None = money("cost_total_minor", "currency", permission=BUDGET)
    cost_lines: list[CostLine] | None = masked(BUDGET)
    reason: str | None
    created_at: datetime
    created_by: str
    submitted_at: datetime | None
    submitted_by: str | None
    approved_at: datetime | None
    changed_at: datetime
    changed_by: str
    exclusions: list[Exclusion] = column(description="Whom of its target groups it is not for.")
    figures: Annotated["ActivityFigures", strawberry.lazy("api.activity_figures")] | None = one(
        "id", key="activity_id", description="Null until it is counted for the first time."
    )
    stocks: Connection[Annotated["Stock", strawberry.lazy("api.stocks")]] = many(
        "activity_id", description="What its capped reward lines may give, and gave."
    )
    approval_id: strawberry.ID | None = ref("approval_id", "apr")
    approval: Approval | None = one("approval_id")
    approvals: Connection[Approval] = many(
        "subject_id", description="Every approval that was ever asked for."
    )
    history: Connection[HistoryEntry] = many("stream_id", description="Its own events, oldest first.")
    timeline: Connection[HistoryEntry] = many(
        array="related_ids", description="Its own events and those of its approvals, oldest first."
    )


# --- Inputs and payloads --------------------------------------------------


@strawberry.input(description="A new activity with its plan.")
class DraftActivityInput(PlanInput):
    code: str = ""


@strawberry.input(description="The whole plan anew.")
class ReviseActivityInput(PlanInput):
    id: strawberry.ID = strawberry.ID("")
    expected_version: int | None = None


@strawberry.input(description="One activity, optionally at the version that the caller has seen.")
class ActivityInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.input(description="The activity, and why.")
class ActivityReasonInput:
    id: strawberry.ID
    reason: str
    expected_version: int | None = None


@strawberry.type
class ActivityPayload(Payload):
    activity: Activity | None = payload("subject")


# --- Mutations ------------------------------------------------------------


async def _on_activity(
    info: Info, verb: str, input: Any, use_case: Callable[[Work], UUID]
) -> ActivityPayload:
    return await execute(info, ActivityPayload, f"{verb}Activity", input, use_case, PROJECTIONS)


@strawberry.type
class ActivityMutations:
    @strawberry.mutation(description="Draft an activity of one's own organisation unit.")
    async def draft_activity(self, info: Info, input: DraftActivityInput) -> ActivityPayload:
        plan = plan_entry(input)
        return await _on_activity(info, "draft", input, lambda work: activities.draft(work, input.code, plan))

    @strawberry.mutation(description="Give the whole plan anew; an approval under way is void.")
    async def revise_activity(self, info: Info, input: ReviseActivityInput) -> ActivityPayload:
        key, plan = key_of("act", input.id), plan_entry(input)
        return await _on_activity(info, "revise", input, lambda work: activities.revise(work, key, plan))

    @strawberry.mutation(description="Ask for the approval of the current revision.")
    async def submit_activity(self, info: Info, input: ActivityInput) -> ActivityPayload:
        key = key_of("act", input.id)
        return await _on_activity(info, "submit", input, lambda work: activities.submit(work, key))

    @strawberry.mutation(description="Take a submission back; its approval is void.")
    async def withdraw_activity(self, info: Info, input: ActivityInput) -> ActivityPayload:
        key = key_of("act", input.id)
        return await _on_activity(info, "withdraw", input, lambda work: activities.withdraw(work, key))

    @strawberry.mutation(description="Launch an approved activity.")
    async def launch_activity(self, info: Info, input: ActivityInput) -> ActivityPayload:
        key = key_of("act", input.id)
        return await _on_activity(info, "launch", input, lambda work: activities.launch(work, key))

    @strawberry.mutation(description="Pause a running activity, with a reason.")
    async def pause_activity(self, info: Info, input: ActivityReasonInput) -> ActivityPayload:
        key = key_of("act", input.id)
        return await _on_activity(
            info, "pause", input, lambda work: activities.pause(work, key, input.reason)
        )

    @strawberry.mutation(description="Resume a paused activity.")
    async def resume_activity(self, info: Info, input: ActivityInput) -> ActivityPayload:
        key = key_of("act", input.id)
        return await _on_activity(info, "resume", input, lambda work: activities.resume(work, key))

    @strawberry.mutation(description="Cancel an approved, running or paused activity, with a reason.")
    async def cancel_activity(self, info: Info, input: ActivityReasonInput) -> ActivityPayload:
        key = key_of("act", input.id)
        return await _on_activity(
            info, "cancel", input, lambda work: activities.cancel(work, key, input.reason)
        )

    @strawberry.mutation(description="Delete a draft or rejected activity; its history stays.")
    async def delete_activity(self, info: Info, input: ActivityInput) -> ActivityPayload:
        key = key_of("act", input.id)
        return await _on_activity(info, "delete", input, lambda work: activities.delete(work, key))
