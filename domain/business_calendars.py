"""Business calendars: which days are worked, with holidays on weekdays and make-up workdays on weekends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import assert_never

from domain.shared.decider import Decider
from domain.shared.period import YEAR_LEAST, YEAR_MOST
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import code_faults, name_faults, text_faults
from domain.timeframes import Frequency, FrequencyKind

# --- Values ---------------------------------------------------------------

NAME_CHARACTERS_MAX = 80
DAY_CHARACTERS_MAX = 80
DAYS_MAX = 2_000
SATURDAY = 5


class DayKind(StrEnum):
    """What a day is that is not as its weekday says: nobody works, or all do."""

    HOLIDAY = "holiday"
    WORKDAY = "workday"


@dataclass(frozen=True, slots=True)
class CalendarDay:
    on: date
    kind: DayKind
    name: str = ""


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddCalendar:
    code: str
    name: str
    days: tuple[CalendarDay, ...]
    by: str
    is_code_free: bool


@dataclass(frozen=True, slots=True)
class ReviseCalendar:
    """What is marked replaces what was said of the same day; what is cleared is as its weekday says again."""

    name: str | None
    mark: tuple[CalendarDay, ...]
    clear: tuple[date, ...]
    by: str


@dataclass(frozen=True, slots=True)
class RecordMoves:
    """All schedules that go by the calendar know its `revision`."""

    revision: int


Command = AddCalendar | ReviseCalendar | RecordMoves

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class BusinessCalendarAdded:
    """The days are in ascending order, each once."""

    code: str
    name: str
    days: tuple[CalendarDay, ...]
    by: str


@dataclass(frozen=True, slots=True)
class BusinessCalendarRevised:
    revision: int
    name: str
    marked: tuple[CalendarDay, ...]
    cleared: tuple[date, ...]
    by: str


@dataclass(frozen=True, slots=True)
class CalendarSchedulesMoved:
    """The next times of all schedules that go by it are those of this revision."""

    revision: int


Event = BusinessCalendarAdded | BusinessCalendarRevised | CalendarSchedulesMoved

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BusinessCalendar:
    """`revision` is 0 when there is none; `moved` the revision that all schedules know."""

    revision: int = 0
    moved: int = 0
    code: str = ""
    name: str = ""
    days: Mapping[date, CalendarDay] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        return self.revision > 0


def evolve(calendar: BusinessCalendar, event: Event) -> BusinessCalendar:
    match event:
        case BusinessCalendarAdded(code=code, name=name, days=days):
            return BusinessCalendar(1, 1, code, name, {day.on: day for day in days})
        case BusinessCalendarRevised(revision=revision, name=name, marked=marked, cleared=cleared):
            days_now = {on: day for on, day in calendar.days.items() if on not in cleared}
            days_now |= {day.on: day for day in marked}
            return replace(calendar, revision=revision, name=name, days=days_now)
        case CalendarSchedulesMoved(revision=revision):
            return replace(calendar, moved=revision)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, calendar: BusinessCalendar) -> Sequence[Event]:
    match command:
        case AddCalendar():
            return _add(command, calendar)
        case ReviseCalendar():
            return _revise(command, calendar)
        case RecordMoves(revision=revision):
            is_news = calendar.moved < revision <= calendar.revision
            return [CalendarSchedulesMoved(revision)] if is_news else []
        case _:
            assert_never(command)


def _add(command: AddCalendar, calendar: BusinessCalendar) -> Sequence[Event]:
    assert not calendar.is_known, "the id of a new calendar is new"
    faults = [*code_faults(command.code, "code")]
    if not command.is_code_free:
        faults.append(Fault(CommonRefusal.CODE_TAKEN, ("code",), {"code": command.code}))
    faults += name_faults(command.name, NAME_CHARACTERS_MAX, "name")
    faults += _day_faults(command.days, (), "days", len(command.days))
    refuse_any(faults)
    return [BusinessCalendarAdded(command.code, command.name, _ordered(command.days), command.by)]


def _revise(command: ReviseCalendar, calendar: BusinessCalendar) -> Sequence[Event]:
    if not calendar.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    name = calendar.name if command.name is None else command.name
    count = len({*calendar.days, *(day.on for day in command.mark)} - set(command.clear))
    faults = [
        *name_faults(name, NAME_CHARACTERS_MAX, "name"),
        *_day_faults(command.mark, command.clear, "mark", count),
    ]
    refuse_any(faults)
    marked = tuple(day for day in _ordered(command.mark) if calendar.days.get(day.on) != day)
    cleared = tuple(sorted(on for on in set(command.clear) if on in calendar.days))
    if not marked and not cleared and name == calendar.name:
        return []
    return [BusinessCalendarRevised(calendar.revision + 1, name, marked, cleared, command.by)]


# --- Rules ----------------------------------------------------------------


def is_workday(days: Mapping[date, CalendarDay], day: date) -> bool:
    """What the calendar says of the day; of any other the weekday does."""
    said = days.get(day)
    return day.weekday() < SATURDAY if said is None else said.kind is DayKind.WORKDAY


def is_due_on(frequency: Frequency, days: Mapping[date, CalendarDay], day: date) -> bool:
    """Whether something of this frequency, which goes by the calendar, is done on the day: the first workday
    of the week (from Monday) or month; of any other frequency every workday.
    """
    if not is_workday(days, day):
        return False
    match frequency.kind:
        case FrequencyKind.WEEKLY:
            first = day - timedelta(days=day.weekday())
        case FrequencyKind.MONTHLY:
            first = day.replace(day=1)
        case _:
            first = day
    earlier = (first + timedelta(days=number) for number in range((day - first).days))
    return not any(is_workday(days, one) for one in earlier)


def _ordered(days: Iterable[CalendarDay]) -> tuple[CalendarDay, ...]:
    return tuple(sorted(days, key=lambda day: day.on))


def _day_faults(
    days: Sequence[CalendarDay], cleared: Sequence[date], name: str, count: int
) -> Iterator[Fault]:
    """`count` is how many days the calendar would say something of."""
    if count > DAYS_MAX or len(cleared) > DAYS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, (name,), {"most": str(DAYS_MAX)})
        return
    seen = set(cleared)
    for index, day in enumerate(days):
        if not YEAR_LEAST < day.on.year < YEAR_MOST:
            limits = {"least": str(YEAR_LEAST), "most": str(YEAR_MOST)}
            yield Fault(CommonRefusal.OUT_OF_RANGE, (name, index, "on"), limits)
        if day.on in seen:
            yield Fault(CommonRefusal.DUPLICATE, (name, index, "on"))
        seen.add(day.on)
        yield from text_faults(day.name, DAY_CHARACTERS_MAX, name, index, "name")


DECIDER: Decider[Command, BusinessCalendar, Event] = Decider(
    "business_calendar", BusinessCalendar(), decide, evolve
)
