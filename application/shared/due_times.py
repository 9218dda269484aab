"""When something of a frequency is due: by the clock of the bank's zone, on the days of a calendar."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from application.shared.cron_times import walk
from application.shared.work import Work
from domain.business_calendars import DECIDER as CALENDAR
from domain.business_calendars import CalendarDay, is_due_on
from domain.run_schedules import TIMES_SHOWN
from domain.timeframes import Frequency, FrequencyKind, cron_of

AHEAD_MAX = timedelta(days=400)
"""What comes later than that is as good as never."""
CANDIDATES_MAX = 50_000
Days = Mapping[date, CalendarDay]


def due_after(
    frequency: Frequency, days: Days | None, zone: ZoneInfo, after: datetime, until: datetime | None
) -> Iterator[datetime]:
    """The times later than `after` and before `until`, in UTC, ascending; of ONCE only the first one.

    `days` are those of the frequency's calendar, None when it has none. Of an expression that names no day
    that there is, such as February 30th, there are none.
    """
    try:
        walked = islice(walk(cron_of(frequency), zone.key, after, reverse=False), CANDIDATES_MAX)
    except ValueError:
        return iter(())
    most = 1 if frequency.kind is FrequencyKind.ONCE else CANDIDATES_MAX
    end = min(until or after + AHEAD_MAX, after + AHEAD_MAX)
    # In an hour that is repeated, the walk may begin with the first pass of a time already gone by.
    coming = takewhile(lambda at: at < end, (at for at in walked if at > after))
    due = (at for at in coming if days is None or is_due_on(frequency, days, at.astimezone(zone).date()))
    return islice(due, most)


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
