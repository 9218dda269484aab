"""Activities: marketing campaigns, planned and revised until two departments approve them, then run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.activity_plans import (
    Choice,
    Plan,
    PlanChoices,
    PlanDraft,
    keeping_departments,
    sound_plan,
    standing_faults,
)
from domain.shared.content import content_hash
from domain.shared.decider import Decider
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import code_faults, name_faults

# --- Values ---------------------------------------------------------------

REASON_CHARACTERS_MAX = 1_000


class ActivityRefusal(StrEnum):
    NOT_EDITABLE = "not_editable"
    NOT_DELETABLE = "not_deletable"
    CANCEL_INSTEAD = "cancel_instead"
    NOT_SUBMITTABLE = "not_submittable"
    NOT_IN_APPROVAL = "not_in_approval"
    NOT_APPROVED = "not_approved"
    NOT_RUNNING = "not_running"
    NOT_PAUSED = "not_paused"
    NOT_CANCELLABLE = "not_cancellable"
    ALREADY_OVER = "already_over"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DraftActivity:
    code: str
    org_unit: str
    draft: PlanDraft
    by: str
    is_code_free: bool


@dataclass(frozen=True, slots=True)
class ReviseActivity:
    draft: PlanDraft
    by: str


@dataclass(frozen=True, slots=True)
class SubmitActivity:
    """Ask for approval, first of `level`. The choices tell how what the plan refers to stands now."""

    approval: UUID
    choices: PlanChoices
    now: datetime
    by: str
    level: str = ""


@dataclass(frozen=True, slots=True)
class WithdrawActivity:
    by: str


@dataclass(frozen=True, slots=True)
class RecordApproval:
    approval: UUID


@dataclass(frozen=True, slots=True)
class RecordRejection:
    """`level` is the one that said no."""

    approval: UUID
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class LaunchActivity:
    activity_type: Choice
    now: datetime
    by: str


@dataclass(frozen=True, slots=True)
class PauseActivity:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class ResumeActivity:
    by: str


@dataclass(frozen=True, slots=True)
class EndActivity:
    """The period is over at `now`; given by the scheduler, so it changes nothing when it comes early."""

    now: datetime


@dataclass(frozen=True, slots=True)
class CancelActivity:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class DeleteActivity:
    by: str


Command = (
    DraftActivity
    | ReviseActivity
    | SubmitActivity
    | WithdrawActivity
    | RecordApproval
    | RecordRejection
    | LaunchActivity
    | PauseActivity
    | ResumeActivity
    | EndActivity
    | CancelActivity
    | DeleteActivity
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class ActivityDrafted:
    code: str
    org_unit: str
    plan: Plan
    by: str


@dataclass(frozen=True, slots=True)
class ActivityRevised:
    """The plan in its next revision; an approval that was asked for or given is void from here on."""

    revision: int
    plan: Plan
    by: str


@dataclass(frozen=True, slots=True)
class ActivitySubmitted:
    """`content_hash` covers the plan and the revisions that it refers to: it is what approvers see.

    `level` is the one that is asked first.
    """

    revision: int
    approval: UUID
    content_hash: str
    by: str
    level: str = ""


@dataclass(frozen=True, slots=True)
class ActivityWithdrawn:
    revision: int
    approval: UUID
    by: str


@dataclass(frozen=True, slots=True)
class ActivityApproved:
    revision: int
    approval: UUID


@dataclass(frozen=True, slots=True)
class ActivityRejected:
    revision: int
    approval: UUID
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class ActivityLaunched:
    by: str


@dataclass(frozen=True, slots=True)
class ActivityPaused:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class ActivityResumed:
    by: str


@dataclass(frozen=True, slots=True)
class ActivityEnded:
    pass


@dataclass(frozen=True, slots=True)
class ActivityCancelled:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class ActivityDeleted:
    by: str


Event = (
    ActivityDrafted
    | ActivityRevised
    | ActivitySubmitted
    | ActivityWithdrawn
    | ActivityApproved
    | ActivityRejected
    | ActivityLaunched
    | ActivityPaused
    | ActivityResumed
    | ActivityEnded
    | ActivityCancelled
    | ActivityDeleted
)

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    DRAFT = "draft"
    IN_APPROVAL = "in_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"
    CANCELLED = "cancelled"
    DELETED = "deleted"


EDITABLE = (Status.DRAFT, Status.REJECTED, Status.IN_APPROVAL, Status.APPROVED)
DELETABLE = (Status.DRAFT, Status.REJECTED)
CANCELLABLE = (Status.APPROVED, Status.RUNNING, Status.PAUSED)


@dataclass(frozen=True, slots=True)
class Activity:
    """Only what decisions need. `approval` is the one that the current revision was submitted to;
    `makers` are all who drafted or revised the plan.
    """

    status: Status = Status.UNKNOWN
    revision: int = 0
    code: str = ""
    org_unit: str = ""
    plan: Plan | None = None
    approval: UUID | None = None
    makers: tuple[str, ...] = ()


def evolve(activity: Activity, event: Event) -> Activity:
    match event:
        case ActivityDrafted(code=code, org_unit=org_unit, plan=plan, by=by):
            return Activity(Status.DRAFT, 1, code, org_unit, plan, None, (by,))
        case ActivityRevised(revision=revision, plan=plan, by=by):
            makers = activity.makers if by in activity.makers else (*activity.makers, by)
            return Activity(Status.DRAFT, revision, activity.code, activity.org_unit, plan, None, makers)
        case ActivitySubmitted(approval=approval):
            return replace(activity, status=Status.IN_APPROVAL, approval=approval)
        case ActivityWithdrawn():
            return replace(activity, status=Status.DRAFT, approval=None)
        case ActivityApproved():
            return replace(activity, status=Status.APPROVED)
        case ActivityRejected():
            return replace(activity, status=Status.REJECTED, approval=None)
        case ActivityLaunched() | ActivityResumed():
            return replace(activity, status=Status.RUNNING)
        case ActivityPaused():
            return replace(activity, status=Status.PAUSED)
        case ActivityEnded():
            return replace(activity, status=Status.ENDED)
        case ActivityCancelled():
            return replace(activity, status=Status.CANCELLED)
        case ActivityDeleted():
            return replace(activity, status=Status.DELETED)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, activity: Activity) -> Sequence[Event]:
    match command:
        case DraftActivity():
            return _draft(command, activity)
        case ReviseActivity():
            return _revise(command, activity)
        case SubmitActivity():
            return _submit(command, activity)
        case WithdrawActivity():
            return _withdraw(command, activity)
        case RecordApproval() | RecordRejection():
            return _record_verdict(command, activity)
        case LaunchActivity():
            return _launch(command, activity)
        case PauseActivity() | ResumeActivity():
            return _pause_or_resume(command, activity)
        case EndActivity(now=now):
            is_live = activity.status in (Status.RUNNING, Status.PAUSED)
            return [ActivityEnded()] if is_live and _is_over(activity, now) else []
        case CancelActivity():
            return _cancel(command, activity)
        case DeleteActivity():
            return _delete(command, activity)
        case _:
            assert_never(command)


def _draft(command: DraftActivity, activity: Activity) -> Sequence[Event]:
    assert activity.status is Status.UNKNOWN, "the id of a new activity is new"
    faults = [*code_faults(command.code, "code")]
    if not command.is_code_free:
        faults.append(Fault(CommonRefusal.CODE_TAKEN, ("code",), {"code": command.code}))
    plan = sound_plan(command.draft, faults)
    return [ActivityDrafted(command.code, command.org_unit, plan, command.by)]


def _revise(command: ReviseActivity, activity: Activity) -> Sequence[Event]:
    _require_status(activity, EDITABLE, ActivityRefusal.NOT_EDITABLE)
    assert activity.plan is not None
    plan = sound_plan(keeping_departments(command.draft, activity.plan))
    if plan == activity.plan:
        return []
    return [ActivityRevised(activity.revision + 1, plan, command.by)]


def _submit(command: SubmitActivity, activity: Activity) -> Sequence[Event]:
    if activity.status is Status.IN_APPROVAL:
        return []
    _require_status(activity, (Status.DRAFT,), ActivityRefusal.NOT_SUBMITTABLE)
    assert activity.plan is not None
    faults = [*standing_faults(activity.plan, command.choices)]
    if _is_over(activity, command.now):
        faults.append(Fault(ActivityRefusal.ALREADY_OVER, ("ends_at",)))
    refuse_any(faults)
    seen = submitted_hash(activity, command.choices.all)
    return [ActivitySubmitted(activity.revision, command.approval, seen, command.by, command.level)]


def _withdraw(command: WithdrawActivity, activity: Activity) -> Sequence[Event]:
    _require_status(activity, (Status.IN_APPROVAL,), ActivityRefusal.NOT_IN_APPROVAL)
    assert activity.approval is not None
    return [ActivityWithdrawn(activity.revision, activity.approval, command.by)]


def _record_verdict(command: RecordApproval | RecordRejection, activity: Activity) -> Sequence[Event]:
    _require_status(activity, (Status.IN_APPROVAL,), ActivityRefusal.NOT_IN_APPROVAL)
    if activity.approval != command.approval:  # it was submitted anew while the verdict was on its way
        raise Refused.because(ActivityRefusal.NOT_IN_APPROVAL, status=activity.status)
    if isinstance(command, RecordApproval):
        return [ActivityApproved(activity.revision, command.approval)]
    return [ActivityRejected(activity.revision, command.approval, command.level, command.reason)]


def _launch(command: LaunchActivity, activity: Activity) -> Sequence[Event]:
    if activity.status is Status.RUNNING:
        return []
    _require_status(activity, (Status.APPROVED,), ActivityRefusal.NOT_APPROVED)
    faults = [*command.activity_type.faults("activity_type")]
    if _is_over(activity, command.now):
        faults.append(Fault(ActivityRefusal.ALREADY_OVER, ("ends_at",)))
    refuse_any(faults)
    return [ActivityLaunched(command.by)]


def _pause_or_resume(command: PauseActivity | ResumeActivity, activity: Activity) -> Sequence[Event]:
    if isinstance(command, ResumeActivity):
        if activity.status is Status.RUNNING:
            return []
        _require_status(activity, (Status.PAUSED,), ActivityRefusal.NOT_PAUSED)
        return [ActivityResumed(command.by)]
    if activity.status is Status.PAUSED:
        return []
    _require_status(activity, (Status.RUNNING,), ActivityRefusal.NOT_RUNNING)
    refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
    return [ActivityPaused(command.reason, command.by)]


def _cancel(command: CancelActivity, activity: Activity) -> Sequence[Event]:
    if activity.status is Status.CANCELLED:
        return []
    _require_status(activity, CANCELLABLE, ActivityRefusal.NOT_CANCELLABLE)
    refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
    return [ActivityCancelled(command.reason, command.by)]


def _delete(command: DeleteActivity, activity: Activity) -> Sequence[Event]:
    if activity.status is Status.DELETED:
        return []
    instead = activity.status in CANCELLABLE
    code = ActivityRefusal.CANCEL_INSTEAD if instead else ActivityRefusal.NOT_DELETABLE
    _require_status(activity, DELETABLE, code)
    return [ActivityDeleted(command.by)]


# --- Rules ----------------------------------------------------------------


def submitted_hash(activity: Activity, choices: Sequence[Choice]) -> str:
    """What an approver sees: the plan, and the revision in which each thing it refers to stands."""
    references = tuple(choice.reference for choice in choices)
    return content_hash((activity.code, activity.revision, activity.plan, references))


def _require_status(activity: Activity, allowed: Sequence[Status], code: StrEnum) -> None:
    if activity.status in (Status.UNKNOWN, Status.DELETED):
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    if activity.status not in allowed:
        raise Refused.because(code, status=activity.status)


def _is_over(activity: Activity, now: datetime) -> bool:
    return activity.plan is not None and activity.plan.period.ends_at <= now


DECIDER: Decider[Command, Activity, Event] = Decider("activity", Activity(), decide, evolve)
