"""Activities whose time is over are ended: who is due is asked, and each is ended by a command of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from application import activities
from application.access import HEAD_OFFICE, Permission, Principal
from application.shared.handler import Handler, Request
from domain.shared.refusal import Refused

SYSTEM_USER = "system:scheduler"
AT_ONCE_MAX = 500

DueIds = Callable[[datetime, int], Sequence[UUID]]
"""Running and paused activities that end at that time or before, the longest over first, so many at most."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How many were told to end, and which declined, with why; those are asked again the next time."""

    told: int
    refused: tuple[tuple[UUID, str], ...]


def system_principal(units: frozenset[str]) -> Principal:
    """Who ends activities: nobody's roles, all units, and this one permission."""
    return Principal(
        user=SYSTEM_USER,
        roles=frozenset(),
        org_unit=HEAD_OFFICE,
        units=units,
        system_permissions=frozenset({Permission.ACTIVITIES_END}),
    )


def end_due(handler: Handler, due_ids: DueIds, units: frozenset[str]) -> Ended:
    """End at most 500 activities. Coming twice, or late, changes nothing that has ended already."""
    principal, refused = system_principal(units), []
    due = due_ids(handler.clock(), AT_ONCE_MAX)
    for activity_id in due:
        # Without a key: a command that came too early must not be the answer for ever.
        request = Request(principal, "endActivity", {"id": str(activity_id)})
        try:
            handler(request, partial(activities.end, activity_id=activity_id))
        except Refused as no:
            refused.append((activity_id, str(no)))
    return Ended(len(due) - len(refused), tuple(refused))
