"""The use cases of business calendars: parameters of the whole bank, by which schedules go."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from application.public_holidays import Country, public_holidays
from application.shared.identifiers import uuid7
from application.shared.records import BANK_WIDE
from application.shared.work import Work
from domain.business_calendars import (
    DECIDER,
    AddCalendar,
    CalendarDay,
    RecordMoves,
    ReviseCalendar,
)
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import Claim, claim_id


def add(
    work: Work,
    code: str,
    name: str,
    days: Sequence[CalendarDay] = (),
    country: Country | None = None,
    years: Sequence[int] = (),
) -> UUID:
    """A calendar that begins with the country's holidays in these years; `days` say otherwise of some."""
    work.org_unit = BANK_WIDE
    calendar_id = uuid7()
    claim = claim_id("business_calendar.code", code)
    command = AddCalendar(
        code=code,
        name=name,
        days=_beginning(days, country, years),
        by=work.principal.user,
        is_code_free=work.state(CLAIM, claim).is_free_for(calendar_id),
    )
    work.begin(DECIDER, calendar_id, command)
    work.decide(CLAIM, claim, Claim(calendar_id))
    return calendar_id


def revise(
    work: Work,
    calendar_id: UUID,
    name: str | None,
    mark: Sequence[CalendarDay],
    clear: Sequence[date],
    country: Country | None = None,
    years: Sequence[int] = (),
) -> UUID:
    """What is marked, and the holidays of more years, replaces what was said of these days. The schedules
    that go by the calendar get their next times anew, soon after.
    """
    work.subject(DECIDER, calendar_id)
    marked = _beginning(mark, country, years)
    work.decide(DECIDER, calendar_id, ReviseCalendar(name, marked, tuple(clear), work.principal.user))
    return calendar_id


def record_moves(work: Work, calendar_id: UUID, revision: int) -> UUID:
    """All schedules know this revision."""
    work.subject(DECIDER, calendar_id)
    work.decide(DECIDER, calendar_id, RecordMoves(revision))
    return calendar_id


def _beginning(
    days: Sequence[CalendarDay], country: Country | None, years: Sequence[int]
) -> tuple[CalendarDay, ...]:
    said = {day.on for day in days}
    known = () if country is None else public_holidays(country, years)
    return (*(day for day in known if day.on not in said), *days)
