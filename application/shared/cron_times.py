"""The times of cron expressions in a time zone, right on the days on which the clocks change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

MAX_CRON_CHARS = 200
# Longer than any change of a clock, so that a walk backwards from beyond it misses no repeated hour.
CLOCK_CHANGE_MAX = timedelta(hours=3)


def next_fire(cron: str, time_zone: str, after: datetime) -> datetime | None:
    """The first time by the expression later than ``after``, in UTC; None when there is none for 50 years.

    As in Debian's cron, a time that the clock jumps over fires when it has jumped, and a time that the
    clock shows twice fires at the first; what runs every hour or minute goes by elapsed time.
    Raises ValueError for an expression or zone that is not valid.
    """
    # In an hour that is repeated, cronsim may answer with the first pass of a time already gone by.
    for candidate in walk(cron, time_zone, after, reverse=False):
        if candidate > after:
            return candidate
    return None


def latest_fire(cron: str, time_zone: str, now: datetime) -> datetime | None:
    """The last time by the expression that is not later than ``now``, in UTC; refusals as ``next_fire``."""
    for candidate in walk(cron, time_zone, now + CLOCK_CHANGE_MAX, reverse=True):
        if candidate <= now:
            return candidate
    return None


def walk(cron: str, time_zone: str, start: datetime, *, reverse: bool) -> Iterator[datetime]:
    """The times by the expression after ``start``, or backwards before it; refusals as ``next_fire``."""
    if len(cron) > MAX_CRON_CHARS or len(cron.split()) != 5:
        raise ValueError(f"cron expression {cron!r} must have five fields in {MAX_CRON_CHARS} characters")
    try:
        times = CronSim(cron, start.astimezone(ZoneInfo(time_zone)), reverse=reverse)
    except CronSimError as error:
        raise ValueError(f"cron expression {cron!r}: {error}") from error
    except (KeyError, OSError) as error:
        raise ValueError(f"time zone {time_zone!r} is not known") from error
    return (each.astimezone(UTC) for each in times)
