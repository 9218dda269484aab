"""Business dates: the days of the bank's zone."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

BANK_ZONE = ZoneInfo("Asia/Shanghai")


def business_date(moment: datetime, zone: ZoneInfo = BANK_ZONE) -> date:
    """The day that an instant falls on where the bank is."""
    return moment.astimezone(zone).date()
