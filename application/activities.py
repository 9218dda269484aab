"""The use cases of activities: what a plan refers to is looked up and kept in use here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from application import activity_figures, budgets, catalogues, customer_groups, group_schedules, stocks
from application.shared.approvable import Approvable, new_approval, open_approval, void_approval
from application.shared.identifiers import uuid7
from application.shared.work import Work
from domain.activities import (
    DECIDER,
    EDITABLE,
    Activity,
    ActivitySubmitted,
    CancelActivity,
    DeleteActivity,
    DraftActivity,
    EndActivity,
    LaunchActivity,
    PauseActivity,
    RecordApproval,
    RecordRejection,
    ResumeActivity,
    ReviseActivity,
    Status,
    SubmitActivity,
    WithdrawActivity,
    submitted_hash,
)
from domain.activity_figures import Exclusion
from domain.activity_plans import (
    CO_DEPARTMENTS_MAX,
    COST_LINES_MAX,
    GROUPS_MAX,
    REWARDS_MAX,
    Channel,
    Choice,
    CostLineDraft,
    Goal,
    GroupLinkDraft,
    GroupRole,
    Plan,
    PlanChoices,
    PlanDraft,
    RewardDraft,
)
from domain.approvals import Subject
from domain.business_calendars import DECIDER as CALENDAR
from domain.catalogues import Kind
from domain.reward_details import RewardEntry
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import Claim, Release, claim_id
from domain.shared.money import Amount
from domain.shared.period import Period
from domain.shared.references import Reference, User
from domain.timeframes import Frequency, Timeframe
from domain.work_order_statuses import Status as OrderStatus
from domain.work_orders import DECIDER as ORDER

USERS_MAX = 1_000


class Chosen(NamedTuple):
    """An entry that a person picked, and the revision that he had seen, when he says so."""

    id: UUID
    revision_seen: int | None = None


@dataclass(frozen=True, slots=True)
class CostLineEntry:
    cost_type: Chosen | None
    amount: Amount | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class RewardLineEntry:
    reward_type: Chosen | None
    entry: RewardEntry


@dataclass(frozen=True, slots=True)
class GroupLinkEntry:
    group: Chosen | None
    role: GroupRole | None = None
    frequency: Frequency | None = None
    timeframe: Timeframe | None = None


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A plan as it was typed in; what is missing is None or empty. Without `responsible` it is he who was,
    and at first the maker.
    """

    name: str = ""
    description: str = ""
    activity_type: Chosen | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    registration: Period | None = None
    award: Period | None = None
    channels: tuple[Channel, ...] = ()
    budget: Amount | None = None
    cost_lines: tuple[CostLineEntry, ...] = ()
    form: Chosen | None = None
    form_values: Mapping[str, str] = field(default_factory=dict)
    department: Chosen | None = None
    co_departments: tuple[Chosen, ...] = ()
    responsible: str = ""
    goal: Goal | None = None
    rewards: tuple[RewardLineEntry, ...] = ()
    groups: tuple[GroupLinkEntry, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()


def draft(work: Work, code: str, plan: PlanEntry) -> UUID:
    """A new activity of the principal's own unit."""
    activity_id = uuid7()
    claim = claim_id("activity.code", code)
    command = DraftActivity(
        code=code,
        org_unit=work.principal.org_unit,
        draft=_looked_up(work, plan, work.principal.user),
        by=work.principal.user,
        is_code_free=work.state(CLAIM, claim).is_free_for(activity_id),
    )
    work.begin(DECIDER, activity_id, command)
    work.decide(CLAIM, claim, Claim(activity_id))
    _link_plan(work, activity_id)
    return activity_id


def revise(work: Work, activity_id: UUID, plan: PlanEntry) -> UUID:
    """The whole plan anew; an approval that is under way is void with the same commit."""
    activity = _subject(work, activity_id)
    responsible = (activity.plan.responsible if activity.plan else "") or work.principal.user
    command = ReviseActivity(_looked_up(work, plan, responsible), work.principal.user)
    if work.decide(DECIDER, activity_id, command):
        void_approval(work, activity.approval, "subject_revised")
        _link_plan(work, activity_id)
    return activity_id


def submit(work: Work, activity_id: UUID) -> UUID:
    """Open the approval of the current revision."""
    _subject(work, activity_id)
    choices = _choices(work, activity_id)
    level = work.policy.levels_of("activity")[0]
    command = SubmitActivity(new_approval(), choices, work.now, work.principal.user, level)
    for event in work.decide(DECIDER, activity_id, command):
        assert isinstance(event, ActivitySubmitted)
        activity = work.state(DECIDER, activity_id)
        subject = Subject(
            "activity", activity_id, event.revision, event.content_hash, activity.code, activity.org_unit
        )
        open_approval(work, event.approval, subject, activity.makers)
    return activity_id


def withdraw(work: Work, activity_id: UUID) -> UUID:
    """Back to draft; the approval that was asked for is void. What an earlier one has set aside is given
    back, until the next one sets it aside anew.
    """
    activity = _subject(work, activity_id)
    work.decide(DECIDER, activity_id, WithdrawActivity(work.principal.user))
    void_approval(work, activity.approval, "subject_withdrawn")
    _close(work, activity_id)
    return activity_id


def delete(work: Work, activity_id: UUID) -> UUID:
    """Gone from lists, still in the log; its code, what it referred to and an earlier approval's budget
    are free again.
    """
    activity = _subject(work, activity_id)
    if work.decide(DECIDER, activity_id, DeleteActivity(work.principal.user)):
        _close(work, activity_id)
        work.decide(CLAIM, claim_id("activity.code", activity.code), Release(activity_id))
        work.link(User(activity_id, "activity", activity.code), [])
    return activity_id


def launch(work: Work, activity_id: UUID) -> UUID:
    """It runs; its customer groups are counted, and extracted at their times."""
    _subject(work, activity_id)
    activity_type = _choices(work, activity_id).activity_type
    if work.decide(DECIDER, activity_id, LaunchActivity(activity_type, work.now, work.principal.user)):
        group_schedules.start(work, activity_id)
        activity_figures.request_at_launch(work, activity_id)
    return activity_id


def pause(work: Work, activity_id: UUID, reason: str) -> UUID:
    _subject(work, activity_id)
    if work.decide(DECIDER, activity_id, PauseActivity(reason, work.principal.user)):
        group_schedules.pause(work, activity_id)
    return activity_id


def resume(work: Work, activity_id: UUID) -> UUID:
    _subject(work, activity_id)
    if work.decide(DECIDER, activity_id, ResumeActivity(work.principal.user)):
        group_schedules.resume(work, activity_id)
    return activity_id


def cancel(work: Work, activity_id: UUID, reason: str) -> UUID:
    _subject(work, activity_id)
    if work.decide(DECIDER, activity_id, CancelActivity(reason, work.principal.user)):
        group_schedules.stop(work, activity_id)
        _close(work, activity_id)
    return activity_id


def end(work: Work, activity_id: UUID) -> UUID:
    """For the scheduler: ends what is over, and changes nothing when it comes too early or twice.

    Its budget and stocks stay open for the awards that are still to come.
    """
    _subject(work, activity_id)
    if work.decide(DECIDER, activity_id, EndActivity(work.now)):
        group_schedules.stop(work, activity_id)
    return activity_id


def close_budget(work: Work, activity_id: UUID) -> UUID:
    """For the scheduler: what an activity has left is given back when no award can come any more.

    That is past the award window of one that has ended, and past the period of one that was never launched,
    with nothing reserved and no work order executing, whose points would still need it; before that it
    changes nothing.
    """
    activity = _subject(work, activity_id)
    if activity.status not in (Status.ENDED, *EDITABLE):
        return activity_id
    assert activity.plan is not None, "what is known has a plan"
    is_ended = activity.status is Status.ENDED
    over_at = _awards_end(activity.plan) if is_ended else activity.plan.period.ends_at
    if over_at <= work.now and not _is_awarding(work, activity_id):
        _close(work, activity_id)
    return activity_id


def _awards_end(plan: Plan) -> datetime:
    """Until when rewards may be given: the end of the period, or of the award window if that is later."""
    return max(plan.period.ends_at, plan.award.ends_at) if plan.award else plan.period.ends_at


def _is_awarding(work: Work, activity_id: UUID) -> bool:
    if budgets.is_reserved(work, activity_id):
        return True
    users = (user for user in work.users(activity_id, USERS_MAX) if user.kind == ORDER.stream_type)
    return any(work.state(ORDER, user.id).progress is OrderStatus.EXECUTING for user in users)


def _close(work: Work, activity_id: UUID) -> None:
    """What was set aside for the activity, and is still free, is given back."""
    budgets.close(work, activity_id)
    stocks.close_stocks(work, activity_id)


def _subject(work: Work, activity_id: UUID) -> Activity:
    return work.subject(DECIDER, activity_id, lambda activity: activity.org_unit)


def _looked_up(work: Work, plan: PlanEntry, responsible: str) -> PlanDraft:
    # What is beyond a limit is only counted: it will be refused, and looking it up would cost.
    lines = tuple(
        CostLineDraft(_choice(work, Kind.COST_TYPE, line.cost_type), line.amount, line.remark)
        for line in plan.cost_lines[:COST_LINES_MAX]
    ) + (CostLineDraft(None, None),) * max(len(plan.cost_lines) - COST_LINES_MAX, 0)
    partners = tuple(
        catalogues.choice(work, Kind.DEPARTMENT, each.id, each.revision_seen)
        for each in plan.co_departments[:CO_DEPARTMENTS_MAX]
    ) + (Choice(None),) * max(len(plan.co_departments) - CO_DEPARTMENTS_MAX, 0)
    rewards = tuple(
        RewardDraft(_choice(work, Kind.REWARD_TYPE, line.reward_type), line.entry)
        for line in plan.rewards[:REWARDS_MAX]
    ) + (RewardDraft(None, RewardEntry()),) * max(len(plan.rewards) - REWARDS_MAX, 0)
    groups = tuple(
        GroupLinkDraft(
            None
            if link.group is None
            else customer_groups.choice(work, link.group.id, link.group.revision_seen),
            link.role,
            link.frequency,
            link.timeframe,
            _is_calendar_known(work, link.frequency),
        )
        for link in plan.groups[:GROUPS_MAX]
    ) + (GroupLinkDraft(None, None, None, None),) * max(len(plan.groups) - GROUPS_MAX, 0)
    return PlanDraft(
        name=plan.name.strip(),
        description=plan.description,
        activity_type=_choice(work, Kind.ACTIVITY_TYPE, plan.activity_type),
        starts_at=plan.starts_at,
        ends_at=plan.ends_at,
        registration=plan.registration,
        award=plan.award,
        channels=plan.channels,
        budget=plan.budget,
        cost_lines=lines,
        form=_choice(work, Kind.ACTIVITY_FORM, plan.form),
        form_values=plan.form_values,
        department=_choice(work, Kind.DEPARTMENT, plan.department),
        co_departments=partners,
        responsible=plan.responsible.strip() or responsible,
        goal=plan.goal,
        rewards=rewards,
        groups=groups,
        exclusions=plan.exclusions,
    )


def _choice(work: Work, kind: Kind, chosen: Chosen | None) -> Choice | None:
    return None if chosen is None else catalogues.choice(work, kind, chosen.id, chosen.revision_seen)


def _is_calendar_known(work: Work, frequency: Frequency | None) -> bool:
    calendar = None if frequency is None else frequency.calendar
    return calendar is None or work.state(CALENDAR, calendar).is_known


def _link_plan(work: Work, activity_id: UUID) -> None:
    activity = work.state(DECIDER, activity_id)
    assert activity.plan is not None
    user = User(activity_id, "activity", activity.code, activity.org_unit)
    work.link(user, _used(activity.plan))


def _used(plan: Plan) -> set[UUID]:
    """Everything that the plan refers to, and so keeps in use."""
    used = {plan.activity_type.id, *(line.cost_type.id for line in plan.cost_lines)}
    used |= {each.id for each in (plan.form, plan.department, *plan.co_departments) if each is not None}
    used |= {reward.reward_type.id for reward in plan.rewards}
    return used | {link.group.id for link in plan.groups}


def _choices(work: Work, activity_id: UUID) -> PlanChoices:
    """What the plan refers to, as it stands now."""
    plan = work.state(DECIDER, activity_id).plan
    if plan is None:
        return PlanChoices(Choice(None))

    def standing(kind: Kind, *references: Reference) -> tuple[Choice, ...]:
        return tuple(catalogues.choice(work, kind, each.id) for each in references)

    [activity_type] = standing(Kind.ACTIVITY_TYPE, plan.activity_type)
    return PlanChoices(
        activity_type=activity_type,
        form=None if plan.form is None else standing(Kind.ACTIVITY_FORM, plan.form)[0],
        cost_types=standing(Kind.COST_TYPE, *(line.cost_type for line in plan.cost_lines)),
        department=None if plan.department is None else standing(Kind.DEPARTMENT, plan.department)[0],
        co_departments=standing(Kind.DEPARTMENT, *plan.co_departments),
        reward_types=standing(Kind.REWARD_TYPE, *(reward.reward_type for reward in plan.rewards)),
        groups=tuple(customer_groups.choice(work, link.group.id, None) for link in plan.groups),
    )


def _hash_now(work: Work, activity_id: UUID) -> str:
    return submitted_hash(work.state(DECIDER, activity_id), _choices(work, activity_id).all)


def _grant(work: Work, activity_id: UUID, approval: UUID) -> None:
    work.decide(DECIDER, activity_id, RecordApproval(approval))
    activity = work.state(DECIDER, activity_id)
    assert activity.plan is not None
    budgets.encumber(work, activity_id, activity.code, activity.org_unit, activity.plan.budget)
    stocks.open_stocks(work, activity_id, activity.code, activity.org_unit, activity.plan)


def _reject(work: Work, activity_id: UUID, approval: UUID, level: str, reason: str) -> None:
    work.decide(DECIDER, activity_id, RecordRejection(approval, level, reason))


APPROVABLE = Approvable(_hash_now, _grant, _reject)
