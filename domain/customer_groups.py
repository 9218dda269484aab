"""Customer groups: whom to reach or whom to award, by a rule over customer data or by a list of customers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import assert_never

from domain.catalogues import CatalogueRefusal
from domain.group_rules import Rule, rule_faults
from domain.shared.content import content_hash
from domain.shared.decider import Decider
from domain.shared.references import User
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import code_faults, holds_card_number, name_faults, text_faults

# --- Values ---------------------------------------------------------------

NAME_CHARACTERS_MAX = 80
DESCRIPTION_CHARACTERS_MAX = 1_000
MEMBERS_MAX = 20_000
"""A list lies in the event; that many of the longest ids are within what one event may hold."""
MEMBER_FAULTS_MAX = 20
_CUSTOMER_ID = re.compile(r"[A-Za-z0-9_-]{1,20}")


class Purpose(StrEnum):
    """TARGET: whom to reach. REWARDED: whom to award."""

    TARGET = "target"
    REWARDED = "rewarded"


@dataclass(frozen=True, slots=True)
class Definition:
    """Who belongs to the group: those for whom the rule holds, or the customers of the list; one of both."""

    name: str
    description: str = ""
    rule: Rule | None = None
    members: tuple[str, ...] | None = None


class GroupRefusal(StrEnum):
    MEMBERSHIP_UNCLEAR = "membership_unclear"
    BAD_CUSTOMER_ID = "bad_customer_id"
    PURPOSE_FIXED = "purpose_fixed"
    GROUP_RETIRED = "group_retired"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DefineCustomerGroup:
    code: str
    org_unit: str
    purpose: Purpose | None
    definition: Definition
    by: str
    is_code_free: bool


@dataclass(frozen=True, slots=True)
class ReviseCustomerGroup:
    """`users` are all who refer to the group, over or not; None for `purpose` leaves it."""

    purpose: Purpose | None
    definition: Definition
    by: str
    users: tuple[User, ...] = ()


@dataclass(frozen=True, slots=True)
class RetireCustomerGroup:
    """`users` are those who still need the group: activities that are not over."""

    by: str
    users: tuple[User, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteCustomerGroup:
    """`users` are those who still need the group: activities that are not over."""

    by: str
    users: tuple[User, ...] = ()


Command = DefineCustomerGroup | ReviseCustomerGroup | RetireCustomerGroup | DeleteCustomerGroup

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class CustomerGroupDefined:
    """A list's members are in ascending order, each once. `content_hash` covers purpose and definition."""

    code: str
    org_unit: str
    purpose: Purpose
    definition: Definition
    content_hash: str
    by: str


@dataclass(frozen=True, slots=True)
class CustomerGroupRevised:
    """Who refers to an earlier revision goes on with that one."""

    revision: int
    purpose: Purpose
    definition: Definition
    content_hash: str
    by: str


@dataclass(frozen=True, slots=True)
class CustomerGroupRetired:
    by: str


@dataclass(frozen=True, slots=True)
class CustomerGroupDeleted:
    by: str


Event = CustomerGroupDefined | CustomerGroupRevised | CustomerGroupRetired | CustomerGroupDeleted

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    ACTIVE = "active"
    RETIRED = "retired"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class CustomerGroup:
    """Only what decisions need: what the group consists of stays in the log, for lists are long."""

    status: Status = Status.UNKNOWN
    revision: int = 0
    code: str = ""
    org_unit: str = ""
    purpose: Purpose = Purpose.TARGET
    content_hash: str = ""

    @property
    def is_known(self) -> bool:
        return self.status in (Status.ACTIVE, Status.RETIRED)


def evolve(group: CustomerGroup, event: Event) -> CustomerGroup:
    match event:
        case CustomerGroupDefined(code=code, org_unit=org_unit, purpose=purpose, content_hash=hash_):
            return CustomerGroup(Status.ACTIVE, 1, code, org_unit, purpose, hash_)
        case CustomerGroupRevised(revision=revision, purpose=purpose, content_hash=hash_):
            return replace(group, revision=revision, purpose=purpose, content_hash=hash_)
        case CustomerGroupRetired():
            return replace(group, status=Status.RETIRED)
        case CustomerGroupDeleted():
            return replace(group, status=Status.DELETED)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, group: CustomerGroup) -> Sequence[Event]:
    match command:
        case DefineCustomerGroup():
            return _define(command, group)
        case ReviseCustomerGroup():
            return _revise(command, group)
        case RetireCustomerGroup():
            return _retire(command, group)
        case DeleteCustomerGroup():
            return _delete(command, group)
        case _:
            assert_never(command)


def _define(command: DefineCustomerGroup, group: CustomerGroup) -> Sequence[Event]:
    assert group.status is Status.UNKNOWN, "the id of a new group is new"
    faults = [*code_faults(command.code, "code")]
    if not command.is_code_free:
        faults.append(Fault(CommonRefusal.CODE_TAKEN, ("code",), {"code": command.code}))
    if command.purpose is None:
        faults.append(Fault(CommonRefusal.REQUIRED, ("purpose",)))
    definition = _sound_definition(command.definition, faults)
    assert command.purpose is not None
    seen = _hash(command.purpose, definition)
    return [
        CustomerGroupDefined(command.code, command.org_unit, command.purpose, definition, seen, command.by)
    ]


def _revise(command: ReviseCustomerGroup, group: CustomerGroup) -> Sequence[Event]:
    _require_known(group)
    if group.status is Status.RETIRED:
        raise Refused.because(GroupRefusal.GROUP_RETIRED)
    purpose = command.purpose or group.purpose
    faults = []
    if purpose != group.purpose and command.users:
        faults.append(Fault(GroupRefusal.PURPOSE_FIXED, ("purpose",), {"users": _named(command.users)}))
    definition = _sound_definition(command.definition, faults)
    seen = _hash(purpose, definition)
    if seen == group.content_hash:
        return []
    return [CustomerGroupRevised(group.revision + 1, purpose, definition, seen, command.by)]


def _retire(command: RetireCustomerGroup, group: CustomerGroup) -> Sequence[Event]:
    _require_known(group)
    if group.status is Status.RETIRED:
        return []
    _require_unused(command.users)
    return [CustomerGroupRetired(command.by)]


def _delete(command: DeleteCustomerGroup, group: CustomerGroup) -> Sequence[Event]:
    if group.status is Status.DELETED:
        return []
    _require_known(group)
    _require_unused(command.users)
    return [CustomerGroupDeleted(command.by)]


# --- Rules ----------------------------------------------------------------


def sound_definition(definition: Definition) -> Definition:
    """The definition as it is recorded, or `Refused` with everything that is wrong with it."""
    return _sound_definition(definition, ())


def membership_faults(rule: Rule | None, members: Sequence[str] | None) -> Iterator[Fault]:
    """What is wrong with who belongs to a group."""
    if (rule is None) == (members is None):
        yield Fault(GroupRefusal.MEMBERSHIP_UNCLEAR)
    if rule is not None:
        yield from rule_faults(rule, "rule")
    if members is not None:
        yield from _member_faults(members)


def _sound_definition(definition: Definition, faults: Sequence[Fault]) -> Definition:
    refuse_any(
        [
            *faults,
            *name_faults(definition.name, NAME_CHARACTERS_MAX, "name"),
            *text_faults(definition.description, DESCRIPTION_CHARACTERS_MAX, "description"),
            *membership_faults(definition.rule, definition.members),
        ]
    )
    if definition.members is None:
        return definition
    return replace(definition, members=tuple(sorted(definition.members)))


def _member_faults(members: Sequence[str]) -> Iterator[Fault]:
    """Of bad ids only the first are told: a file of the wrong kind has thousands."""
    if not members:
        yield Fault(CommonRefusal.REQUIRED, ("members",))
    elif len(members) > MEMBERS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("members",), {"most": str(MEMBERS_MAX)})
    else:
        yield from islice(_id_faults(members), MEMBER_FAULTS_MAX)


def _id_faults(members: Sequence[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, member in enumerate(members):
        if not _CUSTOMER_ID.fullmatch(member):
            yield Fault(GroupRefusal.BAD_CUSTOMER_ID, ("members", index))
        elif holds_card_number(member):
            yield Fault(CommonRefusal.CARD_NUMBER_IN_TEXT, ("members", index))
        elif member in seen:
            yield Fault(CommonRefusal.DUPLICATE, ("members", index))
        seen.add(member)


def _hash(purpose: Purpose, definition: Definition) -> str:
    return content_hash({"purpose": purpose, "definition": definition})


def _require_known(group: CustomerGroup) -> None:
    if not group.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")


def _require_unused(users: Sequence[User]) -> None:
    if users:
        raise Refused.because(CatalogueRefusal.IN_USE, users=_named(users))


def _named(users: Sequence[User]) -> str:
    return ", ".join(f"{user.kind} {user.label}" for user in users)


DECIDER: Decider[Command, CustomerGroup, Event] = Decider("customer_group", CustomerGroup(), decide, evolve)
