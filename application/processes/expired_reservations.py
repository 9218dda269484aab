"""Reservations that are past their time are freed: who has some is asked, and each is told by a command."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from application import budgets, stocks
from application.access import HEAD_OFFICE, Permission, Principal
from application.shared.handler import Handler, Request
from application.shared.work import Work
from domain.shared.refusal import Refused

SYSTEM_USER = "system:scheduler"
AT_ONCE_MAX = 500

Holders = Callable[[datetime, int], Sequence[tuple[str, UUID]]]
"""Stocks and budgets with a reservation that has ended at that time, by kind and id, so many at most."""

EXPIRIES: Mapping[str, tuple[str, Callable[[Work, UUID], UUID]]] = {
    "stock": ("expireStock", stocks.expire),
    "budget": ("expireBudget", budgets.expire),
}
"""By kind of holder: the operation and its use case."""


@dataclass(frozen=True, slots=True)
class Expired:
    """How many holders were told, and which declined, with why; those are asked again the next time."""

    told: int
    refused: tuple[tuple[UUID, str], ...]


def system_principal(units: frozenset[str]) -> Principal:
    """Who frees what has expired: nobody's roles, all units, and these two permissions."""
    return Principal(
        user=SYSTEM_USER,
        roles=frozenset(),
        org_unit=HEAD_OFFICE,
        units=units,
        system_permissions=frozenset({Permission.STOCKS_EXPIRE, Permission.BUDGETS_EXPIRE}),
    )


def expire_due(handler: Handler, holders: Holders, units: frozenset[str]) -> Expired:
    """Tell at most 500 holders. Coming twice, or early, changes nothing."""
    principal, refused = system_principal(units), []
    due = holders(handler.clock(), AT_ONCE_MAX)
    for kind, holder in due:
        operation, use_case = EXPIRIES[kind]
        request = Request(principal, operation, {"id": str(holder)}, turn=holder)
        try:
            handler(request, partial(_told, use_case=use_case, holder=holder))
        except Refused as no:
            refused.append((holder, str(no)))
    return Expired(len(due) - len(refused), tuple(refused))


def _told(work: Work, use_case: Callable[[Work, UUID], UUID], holder: UUID) -> UUID:
    return use_case(work, holder)
