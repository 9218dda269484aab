"""Timeframes: which days' data a customer group is taken from, and how often and when it is taken anew."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from uuid import UUID

from domain.shared.period import YEAR_LEAST, YEAR_MOST
from domain.shared.refusal import CommonRefusal, Fault

# --- Values ---------------------------------------------------------------

DAYS_MAX = 3_660
DEFAULT_AT = "02:00"
CRON_CHARACTERS_MAX = 100
MONTH_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The days of each month by its number, in the longest year."""
CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Minute, hour, day of month, month, day of week (0 and 7 are Sunday), inclusive."""

_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_HOURS = re.compile(rf"({_TIME_OF_DAY.pattern})-({_TIME_OF_DAY.pattern})", re.ASCII)
_CRON_PART = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?")


class TimeframeKind(StrEnum):
    FIXED = "fixed"
    ROLLING = "rolling"


@dataclass(frozen=True, slots=True)
class Timeframe:
    """FIXED: from `starts_on` up to but not including `ends_on`. ROLLING: the last `days` days."""

    kind: TimeframeKind
    starts_on: date | None = None
    ends_on: date | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, half-open: `data_from` belongs to them, `data_to` does not."""

    data_from: date
    data_to: date


class FrequencyKind(StrEnum):
    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    CRON = "cron"


@dataclass(frozen=True, slots=True)
class Frequency:
    """How often something is done anew. `cron` has five fields and is there for CRON alone.

    `at` is the time of day, 02:30; empty stands for 02:00, and of ONCE for at once. WEEKLY is on Mondays,
    MONTHLY on the first. With a business `calendar` it is done on its workdays only: WEEKLY and MONTHLY on
    the first workday of the week or month. With `off_peak` hours, 20:00-08:00, a time outside of them is put
    off until they begin.
    """

    kind: FrequencyKind
    cron: str = ""
    at: str = ""
    calendar: UUID | None = None
    off_peak: str = ""


class TimeframeRefusal(StrEnum):
    NOT_OF_THIS_KIND = "not_of_this_kind"
    BAD_CRON = "bad_cron"
    NO_SUCH_DAY = "no_such_day"
    BAD_TIME_OF_DAY = "bad_time_of_day"
    BAD_HOURS = "bad_hours"


# --- Rules ----------------------------------------------------------------


def resolve(timeframe: Timeframe, business_date: date) -> Days:
    """The days that a sound timeframe means on a business date: a rolling one ends before that date."""
    if timeframe.kind is TimeframeKind.ROLLING:
        assert timeframe.days is not None
        return Days(business_date - timedelta(days=timeframe.days), business_date)
    assert timeframe.starts_on is not None
    assert timeframe.ends_on is not None
    return Days(timeframe.starts_on, timeframe.ends_on)


def cron_of(frequency: Frequency) -> str:
    """The cron expression whose times are the frequency's, but for those that a calendar takes out of it."""
    if frequency.kind is FrequencyKind.CRON:
        return frequency.cron
    hour, minute = (frequency.at or DEFAULT_AT).split(":")
    is_any_day = frequency.calendar is not None
    days = {
        FrequencyKind.WEEKLY: "* * *" if is_any_day else "* * 1",
        FrequencyKind.MONTHLY: "* * *" if is_any_day else "1 * *",
    }.get(frequency.kind, "* * *")
    return f"{int(minute)} {int(hour)} {days}"


def off_peak_hours(frequency: Frequency) -> tuple[time, time] | None:
    """When they begin and when they are over, maybe on the next day; None where every hour will do."""
    found = _HOURS.fullmatch(frequency.off_peak)
    return None if found is None else (time.fromisoformat(found[1]), time.fromisoformat(found[3]))


def is_within(hours: tuple[time, time], moment: time) -> bool:
    """Half-open; what ends before it begins goes on past midnight."""
    begin, end = hours
    return begin <= moment < end if begin < end else moment >= begin or moment < end


def timeframe_faults(timeframe: Timeframe, *path: str | int) -> Iterator[Fault]:
    """What is missing, what belongs to the other kind, and dates that make no stretch of days."""
    is_fixed = timeframe.kind is TimeframeKind.FIXED
    for name in ("starts_on", "ends_on", "days"):
        is_needed, member = is_fixed == (name != "days"), getattr(timeframe, name)
        if is_needed and member is None:
            yield Fault(CommonRefusal.REQUIRED, (*path, name))
        elif not is_needed and member is not None:
            yield Fault(TimeframeRefusal.NOT_OF_THIS_KIND, (*path, name), {"kind": timeframe.kind})
    if is_fixed:
        yield from _day_faults(timeframe, *path)
    elif timeframe.days is not None and not 1 <= timeframe.days <= DAYS_MAX:
        yield Fault(CommonRefusal.OUT_OF_RANGE, (*path, "days"), {"least": "1", "most": str(DAYS_MAX)})


def frequency_faults(frequency: Frequency, *path: str | int) -> Iterator[Fault]:
    """A schedule is needed where the kind is CRON, and there alone; a time of day anywhere else."""
    at = (*path, "cron")
    if frequency.kind is not FrequencyKind.CRON:
        if frequency.cron:
            yield Fault(TimeframeRefusal.NOT_OF_THIS_KIND, at, {"kind": frequency.kind})
    elif not frequency.cron.strip():
        yield Fault(CommonRefusal.REQUIRED, at)
    elif not _is_cron(frequency.cron):
        yield Fault(TimeframeRefusal.BAD_CRON, at)
    elif not _has_a_day(frequency.cron):
        yield Fault(TimeframeRefusal.NO_SUCH_DAY, at)
    if frequency.at and frequency.kind is FrequencyKind.CRON:
        yield Fault(TimeframeRefusal.NOT_OF_THIS_KIND, (*path, "at"), {"kind": frequency.kind})
    elif frequency.at and not _TIME_OF_DAY.fullmatch(frequency.at):
        yield Fault(TimeframeRefusal.BAD_TIME_OF_DAY, (*path, "at"))
    hours = off_peak_hours(frequency)
    if frequency.off_peak and (hours is None or hours[0] == hours[1]):
        yield Fault(TimeframeRefusal.BAD_HOURS, (*path, "off_peak"))


def _day_faults(timeframe: Timeframe, *path: str | int) -> Iterator[Fault]:
    starts_on, ends_on = timeframe.starts_on, timeframe.ends_on
    limits = {"least": str(YEAR_LEAST), "most": str(YEAR_MOST)}
    for name, day in (("starts_on", starts_on), ("ends_on", ends_on)):
        if day is not None and not YEAR_LEAST < day.year < YEAR_MOST:
            yield Fault(CommonRefusal.OUT_OF_RANGE, (*path, name), limits)
    if starts_on is not None and ends_on is not None and ends_on <= starts_on:
        yield Fault(CommonRefusal.END_NOT_AFTER_START, (*path, "ends_on"))


def _is_cron(text: str) -> bool:
    """Five fields, each a list of `*`, `n` or `n-m`, with `/step` behind.

    Source: POSIX crontab, and the steps that every cron has since.
    """
    fields = text.split(" ")
    if len(text) > CRON_CHARACTERS_MAX or len(fields) != len(CRON_RANGES):
        return False
    return all(
        _is_cron_part(part, least, most)
        for field, (least, most) in zip(fields, CRON_RANGES, strict=True)
        for part in field.split(",")
    )


def _has_a_day(cron: str) -> bool:
    """Whether there is ever a day that a sound expression names: none is February 30th.

    A day of the month and one of the week that are both restricted are alternatives; a field that begins with
    a star restricts nothing that the other allows. Source: crontab(5) of Debian.
    """
    _, _, days, months, weekdays = cron.split(" ")
    if not days.startswith("*") and not weekdays.startswith("*"):
        return True
    last = max(MONTH_DAYS[month] for part in months.split(",") for month in _named(part, *CRON_RANGES[3]))
    return any(day <= last for part in days.split(",") for day in _named(part, *CRON_RANGES[2]))


def _named(part: str, least: int, most: int) -> range:
    """The numbers that a sound part of a field stands for."""
    found = _CRON_PART.fullmatch(part)
    assert found is not None, "it was looked at before"
    first = least if found[1] is None else int(found[1])
    last = most if found[1] is None else first if found[2] is None else int(found[2])
    if found[1] is not None and found[2] is None and found[3] is not None:
        last = most
    return range(first, last + 1, int(found[3] or 1))


def _is_cron_part(part: str, least: int, most: int) -> bool:
    found = _CRON_PART.fullmatch(part)
    if found is None or (found[3] is not None and not 1 <= int(found[3]) <= most):
        return False
    if found[1] is None:
        return True
    first = int(found[1])
    last = first if found[2] is None else int(found[2])
    return least <= first <= last <= most
