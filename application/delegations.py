"""The use cases of delegations, and the principal who acts for another unit."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from application.access import DELEGABLE, HEAD_OFFICE, Permission, Principal
from application.shared.identifiers import uuid7
from application.shared.work import Work
from domain import delegations as d
from domain.delegations import DECIDER, Delegation, EndDelegation, Task
from domain.users import DECIDER as USER
from domain.users import Status, user_id


def delegate(
    work: Work, org_unit: str, delegate: str, tasks: tuple[Task, ...], ends_at: datetime, reason: str
) -> UUID:
    """Head office delegates any unit's work, a branch its own."""
    principal = work.principal
    is_own = principal.changes(org_unit) and principal.org_unit in (org_unit, HEAD_OFFICE)
    user = work.state(USER, user_id(delegate))
    work.org_unit = org_unit if is_own else work.org_unit
    id_ = uuid7()
    command = d.Delegate(
        org_unit=org_unit,
        delegate=delegate,
        delegate_unit=None if user.status is Status.UNKNOWN else user.org_unit,
        tasks=tasks,
        ends_at=ends_at,
        reason=reason,
        now=work.now,
        by=principal.user,
        is_unit_own=is_own,
        is_unit_central=org_unit == HEAD_OFFICE,
    )
    work.begin(DECIDER, id_, command)
    return id_


def end(work: Work, id_: UUID, reason: str) -> UUID:
    work.subject(DECIDER, id_, lambda delegation: delegation.org_unit)
    work.decide(DECIDER, id_, EndDelegation(work.now, reason, work.principal.user))
    return id_


def acting(
    principal: Principal, org_unit: str, delegations: Iterable[Delegation], now: datetime
) -> Principal | None:
    """The principal as he acts for the unit; None where nothing that holds lets him.

    He reads and changes what is the unit's, and may do what was delegated, nothing of his own. Who acts for
    head office does so for his own unit only.
    """
    found = [
        each
        for each in delegations
        if each.delegate == principal.user and each.org_unit == org_unit and each.holds(now)
    ]
    if not found:
        return None
    units = frozenset({org_unit})
    if org_unit == HEAD_OFFICE:
        units = frozenset({principal.org_unit})
    ends = [each.ends_at.timestamp() for each in found if each.ends_at is not None]
    if principal.expires_at_s is not None:
        ends.append(principal.expires_at_s)
    tasks = [task for each in found for task in each.tasks]
    allowed = frozenset({Permission.RECORDS_READ}).union(*(DELEGABLE[task] for task in tasks))
    return replace(
        principal,
        roles=frozenset(),
        org_unit=org_unit,
        units=units,
        data_units=units,
        acts_in=units,
        on_behalf_of=org_unit,
        system_permissions=allowed,
        expires_at_s=min(ends),
    )
