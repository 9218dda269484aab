"""Work orders whose execution time has come are started: who is due is asked, each is started by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from application.access import HEAD_OFFICE, Permission, Principal
from domain.shared.refusal import Refused

SYSTEM_USER = "system:scheduler"
AT_ONCE_MAX = 500

DueIds = Callable[[datetime, int], Sequence[UUID]]
"""Scheduled work orders whose execution time is then or before, the longest due first, so many at most."""

Start = Callable[[UUID], object]
"""Requests a run and makes it the work order's execution, in one command; or raises Refused."""


@dataclass(frozen=True, slots=True)
class Started:
    """How many were told to start, and which declined, with why; those are asked again the next time."""

    told: int
    refused: tuple[tuple[UUID, str], ...]


def system_principal(units: frozenset[str]) -> Principal:
    """Who starts work orders: nobody's roles, all units, and this one permission."""
    return Principal(
        user=SYSTEM_USER,
        roles=frozenset(),
        org_unit=HEAD_OFFICE,
        units=units,
        system_permissions=frozenset({Permission.WORK_ORDERS_EXECUTE}),
    )


def start_due(now: datetime, due_ids: DueIds, start: Start) -> Started:
    """Start at most 500 work orders. Of two schedulers that come at once one starts it, one is refused."""
    due, refused = due_ids(now, AT_ONCE_MAX), []
    for work_order_id in due:
        try:
            start(work_order_id)
        except Refused as no:
            refused.append((work_order_id, str(no)))
    return Started(len(due) - len(refused), tuple(refused))
