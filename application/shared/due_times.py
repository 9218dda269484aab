"""When something of a frequency is due: by the clock of the bank's zone, on the days of a calendar, put off
into off-peak hours.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from application.shared.cron_times import walk
from application.shared.work import Work
from domain.business_calendars import DECIDER as CALENDAR
from domain.business_calendars import CalendarDay, is_due_on
from domain.run_schedules import TIMES_SHOWN
from domain.timeframes import Frequency, FrequencyKind, cron_of, is_within, off_peak_hours

AHEAD_MAX = timedelta(days=400)
"""What comes later than that is as good as never."""
CANDIDATES_MAX = 50_000
Days = Mapping[date, CalendarDay]


def due_after(
    frequency: Frequency, days: Days | None, zone: ZoneInfo, after: datetime, until: datetime | None
) -> Iterator[datetime]:
    """The times later than `after` and before `until`, in UTC, ascending; of ONCE only the first one.

    `days` are those of the frequency's calendar, None when it has none. Of an expression that names no day
    that there is, such as February 30th, there are none. The day of a time that is put off is that which it
    was put off from.
    """
    since = after - timedelta(days=1) if frequency.off_peak else after
    try:
        walked = islice(walk(cron_of(frequency), zone.key, since, reverse=False), CANDIDATES_MAX)
    except ValueError:
        return iter(())
    most = 1 if frequency.kind is FrequencyKind.ONCE else CANDIDATES_MAX
    end = min(until or after + AHEAD_MAX, after + AHEAD_MAX)
    # In an hour that is repeated, the walk may begin with the first pass of a time already gone by.
    coming = takewhile(lambda at: at < end, (at for at in walked if at > since))
    due = (at for at in coming if days is None or is_due_on(frequency, days, at.astimezone(zone).date()))
    return islice(_put_off(due, frequency, zone, after, end), most)


def at_once(frequency: Frequency, zone: ZoneInfo, now: datetime) -> datetime:
    """Now, or when the off-peak hours begin."""
    hours = off_peak_hours(frequency)
    local = now.astimezone(zone)
    if hours is None or is_within(hours, local.time()):
        return now.astimezone(UTC)
    begin = datetime.combine(local.date(), hours[0], zone)
    begins_today = local.time() < hours[0]
    return (begin if begins_today else begin + timedelta(days=1)).astimezone(UTC)


def _put_off(
    due: Iterator[datetime], frequency: Frequency, zone: ZoneInfo, after: datetime, end: datetime
) -> Iterator[datetime]:
    """Those later than `after` and before `end`; times that are put off until the same one are one."""
    latest = after
    for at in due:
        moved = at_once(frequency, zone, at)
        if latest < moved < end:
            latest = moved
            yield moved


def calendar_days(work: Work, frequency: Frequency) -> Days | None:
    """What the frequency's calendar says now; None when it goes by none."""
    return None if frequency.calendar is None else work.state(CALENDAR, frequency.calendar).days


def times_of(
    work: Work, frequency: Frequency, after: datetime, until: datetime | None
) -> tuple[datetime, ...]:
    """The next times by the calendar and the zone of the work."""
    return next_times(frequency, calendar_days(work, frequency), work.zone, after, until)


def next_times(
    frequency: Frequency, days: Days | None, zone: ZoneInfo, after: datetime, until: datetime | None
) -> tuple[datetime, ...]:
    """The first of them, as many as a schedule knows."""
    return tuple(islice(due_after(frequency, days, zone, after, until), TIMES_SHOWN))
