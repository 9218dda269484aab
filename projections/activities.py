"""Activities as lists and pages show them: one row each, with the status that its approval gives it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain import activities, approvals
from domain.activity_plans import GroupLink, Plan
from projections.shared.frequencies import shown_frequency, shown_timeframe
from projections.shared.rows import RowProjection, altered, changed, created, given


@dataclass(frozen=True)
class ActivityRow:
    """`version` is the activity's own: an approval that moves `status` on leaves it.

    `form_values` hold {name, value} by name, `cost_lines` hold {cost_type_id, cost_type_revision,
    amount_minor, currency, remark}. `rewards` hold {reward_type_id, reward_type_revision, value,
    cap_per_customer, cap_total, remark, field_values}, numbers as texts; `groups` hold {customer_group_id,
    customer_group_revision, role, frequency: {kind, cron, at, calendar_id},
    timeframe: {kind, starts_on, ends_on, days}}.
    `approval_id` is the one that the plan was last submitted to. `reason` is why it was last rejected,
    paused or cancelled, until it is submitted again or resumed.
    """

    id: UUID
    version: int
    revision: int
    code: str
    org_unit: str
    status: str
    name: str
    description: str
    activity_type_id: UUID
    activity_type_revision: int
    starts_at: datetime
    ends_at: datetime
    registration_starts_at: datetime | None
    registration_ends_at: datetime | None
    award_starts_at: datetime | None
    award_ends_at: datetime | None
    form_id: UUID | None
    form_revision: int | None
    form_values: list[dict[str, Any]]
    channels: tuple[str, ...]
    budget_minor: int
    cost_total_minor: int
    currency: str
    cost_lines: list[dict[str, Any]]
    approval_id: UUID | None
    created_at: datetime
    created_by: str
    submitted_at: datetime | None
    submitted_by: str | None
    approved_at: datetime | None
    reason: str | None
    changed_at: datetime
    changed_by: str
    # Rows that were kept before there were these columns are read back without them.
    department_id: UUID | None = None
    department_revision: int | None = None
    co_department_ids: tuple[UUID, ...] = ()
    responsible: str = ""
    goal: str | None = None
    rewards: list[dict[str, Any]] = field(default_factory=list)
    reward_type_ids: tuple[UUID, ...] = ()
    groups: list[dict[str, Any]] = field(default_factory=list)
    customer_group_ids: tuple[UUID, ...] = ()
    exclusions: tuple[str, ...] = ()


NOT_SUBMITTED: dict[str, Any] = {
    "status": "draft",
    "approval_id": None,
    "submitted_at": None,
    "submitted_by": None,
    "approved_at": None,
}


def key(record: Record[Any]) -> UUID | None:
    """The activity itself, or the one that the approval is about."""
    if record.stream_type == activities.DECIDER.stream_type:
        return record.stream_id
    subject: approvals.Subject = record.event.subject
    return subject.id if subject.kind == activities.DECIDER.stream_type else None


def sources(record: Record[Any]) -> tuple[UUID, ...]:
    """The approval that a plan was submitted to."""
    match record.event:
        case activities.ActivitySubmitted(approval=approval):
            return (approval,)
    return ()


def project(
    row: ActivityRow | None, record: Record[activities.Event | approvals.Event]
) -> ActivityRow | None:
    match record.event:
        case (
            approvals.ApprovalOpened()
            | approvals.ApprovalPassed()
            | approvals.ApprovalGranted()
            | approvals.ApprovalRejected()
            | approvals.ApprovalVoided()
        ):
            return _awaiting(row, record, record.event)
        case activities.ActivityDrafted(code=code, org_unit=org_unit, plan=plan):
            return _drafted(record, code, org_unit, plan)
        case activities.ActivityDeleted():
            return None
        case _:
            columns = _columns(record, record.event)
            return altered(given(row), version=record.version, **changed(record), **columns)


def _drafted(record: Record[Any], code: str, org_unit: str, plan: Plan) -> ActivityRow:
    return ActivityRow(
        id=record.stream_id,
        version=record.version,
        revision=1,
        code=code,
        org_unit=org_unit,
        reason=None,
        **NOT_SUBMITTED,
        **_planned(plan),
        **created(record),
        **changed(record),
    )


def _columns(
    record: Record[Any],
    event: activities.ActivityRevised
    | activities.ActivitySubmitted
    | activities.ActivityWithdrawn
    | activities.ActivityApproved
    | activities.ActivityRejected
    | activities.ActivityLaunched
    | activities.ActivityPaused
    | activities.ActivityResumed
    | activities.ActivityEnded
    | activities.ActivityCancelled,
) -> dict[str, Any]:
    """What the activity's own event changes."""
    match event:
        case activities.ActivityRevised(revision=revision, plan=plan):
            return {"revision": revision, **NOT_SUBMITTED, **_planned(plan)}
        case activities.ActivitySubmitted(approval=approval, by=by, level=level):
            submitted = {"submitted_at": record.recorded_at, "submitted_by": by}
            return {"status": f"pending_{level}", "approval_id": approval, "reason": None, **submitted}
        case activities.ActivityWithdrawn():
            return NOT_SUBMITTED
        case activities.ActivityApproved():
            return {"status": "approved", "approved_at": record.recorded_at}
        case activities.ActivityRejected(level=level, reason=reason):
            return {"status": f"{level}_rejected", "reason": reason}
        case activities.ActivityLaunched():
            return {"status": "running"}
        case activities.ActivityResumed():
            return {"status": "running", "reason": None}
        case activities.ActivityPaused(reason=reason):
            return {"status": "paused", "reason": reason}
        case activities.ActivityEnded():
            return {"status": "ended"}
        case activities.ActivityCancelled(reason=reason):
            return {"status": "cancelled", "reason": reason}
        case _:
            assert_never(event)


def _awaiting(row: ActivityRow | None, record: Record[Any], event: approvals.Event) -> ActivityRow | None:
    """The level whose word is awaited; verdicts come as the activity's own events."""
    if row is None or row.approval_id != record.stream_id:
        return row
    match event:
        case approvals.ApprovalOpened(levels=levels):
            level: str = levels[0]
        case approvals.ApprovalPassed(next_level=approvals.Level() as next_level):
            level = next_level
        case _:
            return row
    return altered(row, status=f"pending_{level}", **changed(record))


def _planned(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "description": plan.description,
        "activity_type_id": plan.activity_type.id,
        "activity_type_revision": plan.activity_type.revision,
        "starts_at": plan.period.starts_at,
        "ends_at": plan.period.ends_at,
        "registration_starts_at": plan.registration.starts_at if plan.registration else None,
        "registration_ends_at": plan.registration.ends_at if plan.registration else None,
        "award_starts_at": plan.award.starts_at if plan.award else None,
        "award_ends_at": plan.award.ends_at if plan.award else None,
        "form_id": plan.form.id if plan.form else None,
        "form_revision": plan.form.revision if plan.form else None,
        "form_values": _named(plan.form_values),
        "channels": tuple(channel.value for channel in plan.channels),
        "budget_minor": plan.budget.amount_minor,
        "cost_total_minor": sum(line.amount.amount_minor for line in plan.cost_lines),
        "currency": plan.budget.currency,
        "cost_lines": [
            {
                "cost_type_id": str(line.cost_type.id),
                "cost_type_revision": line.cost_type.revision,
                "amount_minor": line.amount.amount_minor,
                "currency": line.amount.currency,
                "remark": line.remark,
            }
            for line in plan.cost_lines
        ],
        **_owned(plan),
    }


def _owned(plan: Plan) -> dict[str, Any]:
    """Who answers for the activity, what it gives, and to whom."""
    return {
        "department_id": plan.department.id if plan.department else None,
        "department_revision": plan.department.revision if plan.department else None,
        "co_department_ids": tuple(department.id for department in plan.co_departments),
        "responsible": plan.responsible,
        "goal": plan.goal.value if plan.goal else None,
        "rewards": [
            {
                "reward_type_id": str(reward.reward_type.id),
                "reward_type_revision": reward.reward_type.revision,
                "value": reward.value,
                "cap_per_customer": reward.cap_per_customer,
                "cap_total": reward.cap_total,
                "remark": reward.remark,
                "field_values": _named(reward.field_values),
            }
            for reward in plan.rewards
        ],
        "reward_type_ids": tuple(dict.fromkeys(reward.reward_type.id for reward in plan.rewards)),
        "groups": [_linked(link) for link in plan.groups],
        "customer_group_ids": tuple(dict.fromkeys(link.group.id for link in plan.groups)),
        "exclusions": tuple(exclusion.value for exclusion in plan.exclusions),
    }


def _linked(link: GroupLink) -> dict[str, Any]:
    return {
        "customer_group_id": str(link.group.id),
        "customer_group_revision": link.group.revision,
        "role": link.role.value,
        "frequency": shown_frequency(link.frequency),
        "timeframe": shown_timeframe(link.timeframe),
    }


def _named(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": values[name]} for name in sorted(values)]


ACTIVITIES = RowProjection(
    name="activities",
    table="activities",
    row=ActivityRow,
    stream_types=frozenset({activities.DECIDER.stream_type, approvals.DECIDER.stream_type}),
    key=key,
    project=project,
    versions="activity_versions",
    sources=sources,
)
