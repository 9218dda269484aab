"""Business calendars, run schedules and group extractions as integrators see them."""

from datetime import datetime

from api.public_mappings import Data, Mapping, mapping, public_id, reference
from domain import business_calendars as bc
from domain import group_extractions as ge
from domain import run_schedules as rs
from domain.timeframes import Frequency, Timeframe
from projections.shared.rows import instant_text


def public_frequency(frequency: Frequency) -> Data:
    """What is not said is null."""
    return {
        "kind": frequency.kind.name,
        "cron": frequency.cron or None,
        "at": frequency.at or None,
        "calendarId": public_id("business_calendar", frequency.calendar),
    }


def public_timeframe(timeframe: Timeframe) -> Data:
    """endsOn is exclusive."""
    return {
        "kind": timeframe.kind.name,
        "startsOn": timeframe.starts_on and timeframe.starts_on.isoformat(),
        "endsOn": timeframe.ends_on and timeframe.ends_on.isoformat(),
        "days": timeframe.days,
    }


def _days(days: tuple[bc.CalendarDay, ...]) -> list[Data]:
    return [{"on": day.on.isoformat(), "kind": day.kind.name, "name": day.name} for day in days]


def _times(times: tuple[datetime, ...]) -> list[str]:
    return [instant_text(at) for at in times]


def _set(event: rs.RunScheduleSet) -> Data:
    definition, group = event.definition, event.group
    task = definition or group
    timeframe = None if task is None else task.timeframe
    return {
        "orgUnit": event.org_unit,
        "definitionId": definition and public_id("segment_definition", definition.definition),
        "parameters": dict(definition.parameters) if definition else {},
        "activityId": group and public_id("activity", group.activity),
        "customerGroupId": group and public_id("customer_group", group.group),
        "role": group and group.role.name,
        "timeframe": timeframe and public_timeframe(timeframe),
        "frequency": public_frequency(event.frequency),
        "strategy": event.strategy.name,
        "until": event.until and instant_text(event.until),
        "nextTimes": _times(event.next_times),
    }


def _requested(event: ge.GroupExtractionRequested) -> Data:
    return {
        "orgUnit": event.org_unit,
        "scheduleId": public_id("run_schedule", event.schedule),
        "activityId": public_id("activity", event.activity),
        "customerGroup": reference("customer_group", event.group),
        "role": event.role.name,
        "dueAt": instant_text(event.due_at),
        "businessDate": event.business_date.isoformat(),
        "dataFrom": event.days.data_from.isoformat(),
        "dataTo": event.days.data_to.isoformat(),
        "previousId": public_id("group_extraction", event.previous),
    }


SCHEDULE_MAPPINGS: dict[type, Mapping] = {
    bc.BusinessCalendarAdded: mapping(
        "added", lambda e: {"code": e.code, "name": e.name, "days": _days(e.days)}
    ),
    bc.BusinessCalendarRevised: mapping(
        "revised",
        lambda e: {
            "revision": e.revision,
            "name": e.name,
            "marked": _days(e.marked),
            "cleared": [on.isoformat() for on in e.cleared],
        },
    ),
    bc.CalendarSchedulesMoved: mapping("schedules_moved", lambda e: {"revision": e.revision}),
    rs.RunScheduleSet: mapping("set", _set),
    rs.RunSchedulePaused: mapping("paused", lambda _: {}),
    rs.RunScheduleResumed: mapping("resumed", lambda e: {"nextTimes": _times(e.next_times)}),
    # The run is a segment run's or an extraction's, by what the schedule is set for.
    rs.RunScheduleFired: mapping(
        "fired",
        lambda e: {
            "dueAt": instant_text(e.due_at),
            "run": str(e.run),
            "nextTimes": _times(e.next_times),
        },
    ),
    rs.ScheduledTimeLeftOut: mapping(
        "time_left_out",
        lambda e: {
            "dueAt": instant_text(e.due_at),
            "code": e.code.upper(),
            "nextTimes": _times(e.next_times),
        },
    ),
    rs.ScheduledRunEnded: mapping("run_ended", lambda e: {"run": str(e.run), "hasResult": e.has_result}),
    rs.RunScheduleMoved: mapping("moved", lambda e: {"nextTimes": _times(e.next_times)}),
    rs.RunScheduleWithdrawn: mapping("withdrawn", lambda _: {}),
    ge.GroupExtractionRequested: mapping("requested", _requested),
    ge.GroupExtractionStarted: mapping("started", lambda e: {"attempt": e.attempt}),
    ge.GroupMembershipRecorded: mapping(
        "membership_recorded",
        lambda e: {
            "attempt": e.attempt,
            "members": e.members,
            "joined": e.joined,
            "stayed": e.stayed,
            "left": e.left,
            "contentHash": e.content_hash,
            "snapshot": e.snapshot,
        },
    ),
    ge.GroupExtractionFailed: mapping(
        "failed", lambda e: {"attempt": e.attempt, "code": e.code.upper(), "values": dict(e.values)}
    ),
}
