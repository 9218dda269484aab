"""One full example of each event of business calendars, run schedules and group extractions."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from domain import business_calendars, group_extractions, run_schedules
from domain.activity_plans import GroupRole
from domain.business_calendars import CalendarDay, DayKind
from domain.run_schedules import BlockingStrategy, DefinitionTask, GroupTask
from domain.shared.references import Reference
from domain.timeframes import Days, Frequency, FrequencyKind, Timeframe, TimeframeKind

ONE = UUID("0195505a-0000-7000-8000-000000000001")
OTHER = UUID("0195505a-0000-7000-8000-000000000002")
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
DUE = datetime(2026, 10, 9, 18, 30, tzinfo=UTC)
TIMES = (DUE, datetime(2026, 10, 11, 18, 30, tzinfo=UTC))
FREQUENCY = Frequency(FrequencyKind.DAILY, "30 2 * * *", "02:30", OTHER)
"""No frequency has both an expression and a time of day; here no field is left out."""
OFF_PEAK = replace(FREQUENCY, off_peak="20:00-08:00")
FRAME = Timeframe(TimeframeKind.ROLLING, date(2026, 9, 1), date(2026, 10, 1), 30)
MADE_UP = (CalendarDay(date(2026, 10, 10), DayKind.WORKDAY, "调休上班"),)

SET = run_schedules.RunScheduleSet(
    org_unit="HO",
    definition=DefinitionTask(ONE, FRAME, {"level": "gold"}),
    group=GroupTask(ONE, OTHER, GroupRole.REWARDED, FRAME),
    frequency=FREQUENCY,
    strategy=BlockingStrategy.SERIAL,
    until=datetime(2026, 12, 31, tzinfo=UTC),
    next_times=TIMES,
    by="lin",
)

EXAMPLES: dict[tuple[str, int], Any] = {
    ("business_calendar.added", 1): business_calendars.BusinessCalendarAdded(
        "CN", "中国 China", (CalendarDay(date(2026, 10, 1), DayKind.HOLIDAY, "国庆节"),), "lin"
    ),
    ("business_calendar.revised", 1): business_calendars.BusinessCalendarRevised(
        2, "中国 China", MADE_UP, (date(2026, 10, 8),), "lin"
    ),
    ("business_calendar.schedules_moved", 1): business_calendars.CalendarSchedulesMoved(2),
    ("run_schedule.set", 1): SET,
    ("run_schedule.set", 2): replace(SET, frequency=OFF_PEAK),
    ("run_schedule.paused", 1): run_schedules.RunSchedulePaused("lin"),
    ("run_schedule.resumed", 1): run_schedules.RunScheduleResumed(TIMES, "lin"),
    ("run_schedule.fired", 1): run_schedules.RunScheduleFired(DUE, ONE, TIMES),
    ("run_schedule.time_left_out", 1): run_schedules.ScheduledTimeLeftOut(DUE, "run_already_live", TIMES),
    ("run_schedule.run_ended", 1): run_schedules.ScheduledRunEnded(ONE, True),
    ("run_schedule.moved", 1): run_schedules.RunScheduleMoved(TIMES),
    ("run_schedule.withdrawn", 1): run_schedules.RunScheduleWithdrawn("lin"),
    ("group_extraction.requested", 1): group_extractions.GroupExtractionRequested(
        org_unit="SH",
        schedule=ONE,
        activity=OTHER,
        group=Reference(ONE, 3),
        role=GroupRole.TARGET,
        due_at=DUE,
        business_date=date(2026, 10, 10),
        days=Days(date(2026, 9, 10), date(2026, 10, 10)),
        previous=OTHER,
    ),
    ("group_extraction.started", 1): group_extractions.GroupExtractionStarted(1),
    ("group_extraction.membership_recorded", 1): group_extractions.GroupMembershipRecorded(
        1, 1_400_000, 2_000, 1_398_000, 3_000, HASH, "2026-10-10-1"
    ),
    ("group_extraction.failed", 1): group_extractions.GroupExtractionFailed(
        1, "time_limit", {"seconds": "600"}
    ),
}
