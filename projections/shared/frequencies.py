"""How often something is done and with data of which days, inside JSON."""

from typing import Any

from domain.timeframes import Frequency, Timeframe


def shown_frequency(frequency: Frequency) -> dict[str, Any]:
    """{kind, cron, at, calendar_id}; what is not said is null. And off_peak where it is said: rows are older
    than that.
    """
    shown = {
        "kind": frequency.kind.value,
        "cron": frequency.cron or None,
        "at": frequency.at or None,
        "calendar_id": None if frequency.calendar is None else str(frequency.calendar),
    }
    return shown | ({"off_peak": frequency.off_peak} if frequency.off_peak else {})


def shown_timeframe(timeframe: Timeframe) -> dict[str, Any]:
    """{kind, starts_on, ends_on, days}."""
    return {
        "kind": timeframe.kind.value,
        "starts_on": timeframe.starts_on.isoformat() if timeframe.starts_on else None,
        "ends_on": timeframe.ends_on.isoformat() if timeframe.ends_on else None,
        "days": timeframe.days,
    }
