"""Delegations: one unit lets a person of another do some of its work for a time, in its name.

What is done so bears the unit's name beside the person's. A delegation ends by itself at its time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from domain.shared.decider import Decider
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import name_faults, text_faults

# --- Values ---------------------------------------------------------------

DAYS_MAX = 366
REASON_CHARACTERS_MAX = 500
USERNAME_CHARACTERS_MAX = 255


class Task(StrEnum):
    """What can be delegated; approvals can't, for two departments decide them in person."""

    ACTIVITIES = "activities"
    CUSTOMER_GROUPS = "customer_groups"
    WORK_ORDERS = "work_orders"
    SEGMENTS = "segments"
    POINTS = "points"
    ACCOUNTS = "accounts"


class DelegationRefusal(StrEnum):
    DELEGATION_ENDED = "delegation_ended"
    DELEGATION_TOO_LONG = "delegation_too_long"
    DELEGATION_UNIT_NOT_YOURS = "delegation_unit_not_yours"
    DELEGATE_SAME_UNIT = "delegate_same_unit"
    ACCOUNTS_ARE_HEAD_OFFICES = "accounts_are_head_offices"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delegate:
    """`delegate_unit` is that of the delegate where he is a user of this house, else None.

    `is_unit_own` tells whether he who decides answers for the unit, `is_unit_central` whether it is the one
    that keeps all accounts.
    """

    org_unit: str
    delegate: str
    delegate_unit: str | None
    tasks: tuple[Task, ...]
    ends_at: datetime
    reason: str
    now: datetime
    by: str
    is_unit_own: bool
    is_unit_central: bool


@dataclass(frozen=True, slots=True)
class EndDelegation:
    now: datetime
    reason: str
    by: str


Command = Delegate | EndDelegation

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class WorkDelegated:
    """From `starts_at` until `ends_at`, which is not part of it."""

    org_unit: str
    delegate: str
    tasks: tuple[Task, ...]
    starts_at: datetime
    ends_at: datetime
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class DelegationEnded:
    """Before its time."""

    ended_at: datetime
    reason: str
    by: str


Event = WorkDelegated | DelegationEnded

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delegation:
    """`ends_at` is the end as it stands; `is_ended` tells that somebody ended it before its time."""

    org_unit: str = ""
    delegate: str = ""
    tasks: tuple[Task, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    is_ended: bool = False

    def holds(self, now: datetime) -> bool:
        """Whether it is in force at the instant."""
        if self.starts_at is None or self.ends_at is None:
            return False
        return self.starts_at <= now < self.ends_at


def evolve(delegation: Delegation, event: Event) -> Delegation:
    match event:
        case WorkDelegated():
            return Delegation(event.org_unit, event.delegate, event.tasks, event.starts_at, event.ends_at)
        case DelegationEnded(ended_at=ended_at):
            return replace(delegation, ends_at=ended_at, is_ended=True)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, delegation: Delegation) -> Sequence[Event]:
    match command:
        case Delegate():
            refuse_any(_faults(command))
            tasks = tuple(task for task in Task if task in command.tasks)
            return [
                WorkDelegated(
                    command.org_unit,
                    command.delegate,
                    tasks,
                    command.now,
                    command.ends_at,
                    command.reason,
                    command.by,
                )
            ]
        case EndDelegation(now=now, reason=reason, by=by):
            if delegation.ends_at is None:
                raise Refused.because(CommonRefusal.NOT_FOUND, "id")
            refuse_any(text_faults(reason, REASON_CHARACTERS_MAX, "reason"))
            if delegation.is_ended:
                return []
            if not delegation.holds(now):
                raise Refused.because(DelegationRefusal.DELEGATION_ENDED, "id")
            return [DelegationEnded(now, reason, by)]
        case _:
            assert_never(command)


# --- Rules ----------------------------------------------------------------


def _faults(command: Delegate) -> Iterator[Fault]:
    if not command.is_unit_own:
        yield Fault(DelegationRefusal.DELEGATION_UNIT_NOT_YOURS, ("org_unit",), {"unit": command.org_unit})
    yield from name_faults(command.delegate, USERNAME_CHARACTERS_MAX, "delegate")
    if command.delegate_unit == command.org_unit:
        yield Fault(DelegationRefusal.DELEGATE_SAME_UNIT, ("delegate",))
    yield from name_faults(command.reason, REASON_CHARACTERS_MAX, "reason")
    if not command.tasks:
        yield Fault(CommonRefusal.REQUIRED, ("tasks",))
    if len(set(command.tasks)) < len(command.tasks):
        yield Fault(CommonRefusal.DUPLICATE, ("tasks",))
    if Task.ACCOUNTS in command.tasks and not command.is_unit_central:
        yield Fault(DelegationRefusal.ACCOUNTS_ARE_HEAD_OFFICES, ("tasks",))
    if command.ends_at <= command.now:
        yield Fault(CommonRefusal.END_NOT_AFTER_START, ("ends_at",))
    elif command.ends_at > command.now + timedelta(days=DAYS_MAX):
        yield Fault(DelegationRefusal.DELEGATION_TOO_LONG, ("ends_at",), {"days": str(DAYS_MAX)})


DECIDER: Decider[Command, Delegation, Event] = Decider("delegation", Delegation(), decide, evolve)
