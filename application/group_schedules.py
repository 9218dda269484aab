"""The schedules by which an activity's customer groups are extracted: they follow the activity's life."""

from datetime import datetime
from uuid import UUID

from application.shared.due_times import at_once, times_of
from application.shared.identifiers import named_uuid
from application.shared.work import Work
from domain.activities import DECIDER as ACTIVITY
from domain.activities import Activity
from domain.activity_plans import GroupLink
from domain.run_schedules import (
    DECIDER,
    BlockingStrategy,
    GroupTask,
    PauseSchedule,
    ResumeSchedule,
    RunSchedule,
    SetSchedule,
    WithdrawSchedule,
)
from domain.shared.references import User
from domain.timeframes import FrequencyKind


def start(work: Work, activity_id: UUID) -> None:
    """An activity was launched: each linked group is extracted at its times, until the activity ends."""
    activity = work.state(ACTIVITY, activity_id)
    assert activity.plan is not None, "what is launched has a plan"
    for link in activity.plan.groups:
        schedule_id = group_schedule(activity_id, link)
        if work.state(DECIDER, schedule_id).task is None:
            _start_group(work, activity_id, activity, link)


def pause(work: Work, activity_id: UUID) -> None:
    """No extraction while the activity is paused."""
    for schedule_id in _schedules_of(work, activity_id):
        work.decide(DECIDER, schedule_id, PauseSchedule(work.principal.user))


def resume(work: Work, activity_id: UUID) -> None:
    """From now on; what fell into the pause is not made up for, but for a first extraction at once."""
    for schedule_id in _schedules_of(work, activity_id):
        schedule = work.state(DECIDER, schedule_id)
        times = _resumed_times(work, schedule)
        work.decide(DECIDER, schedule_id, ResumeSchedule(times, work.principal.user))


def stop(work: Work, activity_id: UUID) -> None:
    """The activity has ended or was cancelled; an extraction that has begun is finished."""
    for schedule_id in _schedules_of(work, activity_id):
        withdraw_schedule(work, schedule_id, "")


def _start_group(work: Work, activity_id: UUID, activity: Activity, link: GroupLink) -> None:
    assert activity.plan is not None
    schedule_id, until = group_schedule(activity_id, link), activity.plan.period.ends_at
    frequency = link.frequency
    is_at_once = frequency.kind is FrequencyKind.ONCE and not frequency.at and frequency.calendar is None
    now = at_once(frequency, work.zone, work.now)
    times = (now,) if is_at_once and now < until else times_of(work, frequency, work.now, until)
    if not times:
        return  # the activity is over before the first time comes
    command = SetSchedule(
        org_unit=activity.org_unit,
        task=GroupTask(activity_id, link.group.id, link.role, link.timeframe),
        frequency=frequency,
        strategy=BlockingStrategy.SERIAL,
        times=times,
        until=until,
        by=work.principal.user,
    )
    work.decide(DECIDER, schedule_id, command)
    if frequency.calendar:
        user = User(schedule_id, DECIDER.stream_type, activity.code, activity.org_unit)
        work.link(user, [frequency.calendar])


def _schedules_of(work: Work, activity_id: UUID) -> list[UUID]:
    """The schedules of the activity; one that was launched before there were any has none."""
    plan = work.state(ACTIVITY, activity_id).plan
    ids = [] if plan is None else [group_schedule(activity_id, link) for link in plan.groups]
    return [id_ for id_ in ids if work.state(DECIDER, id_).task is not None]


def _resumed_times(work: Work, schedule: RunSchedule) -> tuple[datetime, ...]:
    if schedule.frequency.kind is FrequencyKind.ONCE:
        return schedule.next_times
    return times_of(work, schedule.frequency, work.now, schedule.until)


def group_schedule(activity_id: UUID, link: GroupLink) -> UUID:
    """The id of the schedule by which a group is extracted for an activity, in one role."""
    return named_uuid(activity_id.bytes, f"{DECIDER.stream_type}/{link.group.id}/{link.role}")


def withdraw_schedule(work: Work, schedule_id: UUID, label: str) -> None:
    """No time comes any more, and what it referred to is no longer in use by it."""
    work.decide(DECIDER, schedule_id, WithdrawSchedule(work.principal.user))
    work.link(User(schedule_id, DECIDER.stream_type, label), [])
