"""Business calendars in GraphQL: holidays and make-up workdays, by which schedules go."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import UUID

import strawberry

from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.views import Connection, Node, column, many, payload, struct, view
from application import business_calendars
from application.public_holidays import Country
from application.shared.work import Work
from domain.business_calendars import CalendarDay as DomainDay
from domain.business_calendars import DayKind

PROJECTIONS = ("business_calendars", "timeline")

strawberry.enum(DayKind, name="CalendarDayKind", description="Nobody works, or all do.")
strawberry.enum(Country, name="HolidayCountry", description="Whose public holidays are known.")


@struct
class CalendarDay:
    """A day that is not as its weekday says."""

    on: date
    kind: DayKind
    name: str


@view(
    "read.business_calendars",
    versions="read.business_calendar_versions",
    prefix="bc",
    scope=None,
    permission="records.read",
    order=("code",),
    description="Which days are worked: Monday to Friday, but for the days that it names.",
)
class BusinessCalendar(Node):
    version: int
    revision: int
    code: str
    name: str
    days: list[CalendarDay] = column(description="Holidays and make-up workdays, in ascending order.")
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@strawberry.input(description="A holiday, or a workday on a weekend.")
class CalendarDayInput:
    on: date
    kind: DayKind
    name: str = ""


@strawberry.input(
    description="With a country it begins with its holidays and make-up workdays of the years; what days say"
    " goes before that."
)
class AddBusinessCalendarInput:
    code: str = ""
    name: str = ""
    country: Country | None = None
    years: list[int] = strawberry.field(default_factory=list)
    days: list[CalendarDayInput] = strawberry.field(default_factory=list)


@strawberry.input(
    description="mark says what days are, clear that they are as their weekday says; with a country and years"
    " the public holidays are marked anew."
)
class ReviseBusinessCalendarInput:
    id: strawberry.ID
    expected_version: int | None = None
    name: str | None = None
    mark: list[CalendarDayInput] = strawberry.field(default_factory=list)
    clear: list[date] = strawberry.field(default_factory=list)
    country: Country | None = None
    years: list[int] = strawberry.field(default_factory=list)


@strawberry.type
class BusinessCalendarPayload(Payload):
    business_calendar: BusinessCalendar | None = payload("subject")


async def _on_calendar(
    info: Info, verb: str, input: Any, use_case: Callable[[Work], UUID]
) -> BusinessCalendarPayload:
    operation = f"{verb}BusinessCalendar"
    return await execute(info, BusinessCalendarPayload, operation, input, use_case, PROJECTIONS)


@strawberry.type
class BusinessCalendarMutations:
    @strawberry.mutation(description="Add a calendar of the whole bank.")
    async def add_business_calendar(
        self, info: Info, input: AddBusinessCalendarInput
    ) -> BusinessCalendarPayload:
        days = _days(input.days)

        def use_case(work: Work) -> UUID:
            name = input.name.strip()
            return business_calendars.add(work, input.code, name, days, input.country, input.years)

        return await _on_calendar(info, "add", input, use_case)

    @strawberry.mutation(description="Change days; the schedules that go by it get other times at once.")
    async def revise_business_calendar(
        self, info: Info, input: ReviseBusinessCalendarInput
    ) -> BusinessCalendarPayload:
        key, days = key_of("bc", input.id), _days(input.mark)
        name = None if input.name is None else input.name.strip()

        def use_case(work: Work) -> UUID:
            return business_calendars.revise(work, key, name, days, input.clear, input.country, input.years)

        return await _on_calendar(info, "revise", input, use_case)


def _days(given: list[CalendarDayInput]) -> list[DomainDay]:
    return [DomainDay(each.on, each.kind, each.name.strip()) for each in given]
