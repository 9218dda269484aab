"""Budgets are closed when the awards are over, or the period of what was never launched: each is told."""

from functools import partial
from uuid import UUID

from application import activities
from application.access import HEAD_OFFICE, Permission, Principal
from application.processes.ended_activities import AT_ONCE_MAX, SYSTEM_USER, DueIds, Ended
from application.shared.handler import Handler, Request
from domain.shared.refusal import Refused


def system_principal(units: frozenset[str]) -> Principal:
    """Who closes budgets: nobody's roles, all units, and this one permission."""
    return Principal(
        user=SYSTEM_USER,
        roles=frozenset(),
        org_unit=HEAD_OFFICE,
        units=units,
        system_permissions=frozenset({Permission.BUDGETS_CLOSE}),
    )


def close_due(handler: Handler, due_ids: DueIds, units: frozenset[str]) -> Ended:
    """Close the budgets of at most 500 activities; one that is still needed stays open for the next time."""
    principal, refused = system_principal(units), list[tuple[UUID, str]]()
    due = due_ids(handler.clock(), AT_ONCE_MAX)
    for activity_id in due:
        request = Request(principal, "closeBudget", {"id": str(activity_id)})
        try:
            handler(request, partial(activities.close_budget, activity_id=activity_id))
        except Refused as no:
            refused.append((activity_id, str(no)))
    return Ended(len(due) - len(refused), tuple(refused))
