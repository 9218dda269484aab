"""Business dates: the days of the bank's zone, which whoever handles a command carries."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

DEFAULT_ZONE = ZoneInfo("Asia/Shanghai")
"""What the setting CARDINAL_TIME_ZONE says when it says nothing."""


def business_date(moment: datetime, zone: ZoneInfo) -> date:
    """The day that an instant falls on where the bank is."""
    return moment.astimezone(zone).date()
