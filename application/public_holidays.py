"""Public holidays of a country, as the library `holidays` knows them, to begin a business calendar with."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from domain.business_calendars import CalendarDay, DayKind
from domain.shared.refusal import CommonRefusal, Refused

YEARS_MAX = 10
YEAR_FIRST, YEAR_LAST = 2001, 2100


class Country(StrEnum):
    """Where the make-up workdays of moved holidays are known, too."""

    CN = "CN"


NAMES = {Country.CN: "zh_CN"}
MAKE_UP = {Country.CN: "调休上班"}


def public_holidays(country: Country, years: Sequence[int]) -> tuple[CalendarDay, ...]:
    """Holidays and make-up workdays of these years. Moved days of a year are known once the state has
    announced them, towards the end of the year before. Refuse years out of range.
    """
    if len(years) > YEARS_MAX:
        raise Refused.because(CommonRefusal.TOO_MANY, "years", most=YEARS_MAX)
    for index, year in enumerate(years):
        if not YEAR_FIRST <= year <= YEAR_LAST:
            raise Refused.because(
                CommonRefusal.OUT_OF_RANGE, "years", index, least=YEAR_FIRST, most=YEAR_LAST
            )
    return tuple(_days(country, sorted(set(years))))


def _days(country: Country, years: Sequence[int]) -> Iterator[CalendarDay]:
    from holidays import country_holidays  # it takes its time to load, and few ask

    if not years:
        return
    known = country_holidays(country.value, years=years, language=NAMES[country])
    for on, name in sorted(known.items()):
        yield CalendarDay(on, DayKind.HOLIDAY, name)
    for on in sorted(known.weekend_workdays):
        if on.year in years and on not in known:
            yield CalendarDay(on, DayKind.WORKDAY, MAKE_UP[country])
