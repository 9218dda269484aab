"""Catalogues: the parameters that campaigns are described with, one decider for every kind of entry.

A kind says whether its entries form a tree, whether an entry in use is frozen, and which attributes it
has. An entry's own status is stored; whether it is effective also hangs on its ancestors. A revision of a
reward type holds for what is planned later: plans keep what was approved.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.activity_plans import Choice
from domain.reward_details import Route, frame_faults
from domain.shared.decider import Decider
from domain.shared.field_rules import FieldRefusal, FieldRule, rule_faults
from domain.shared.references import User
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import code_faults, name_faults, text_faults

# --- Values ---------------------------------------------------------------

NAME_CHARACTERS_MAX = 80
DESCRIPTION_CHARACTERS_MAX = 1_000
ATTRIBUTE_CHARACTERS_MAX = 120
SORT_ORDER_MAX = 1_000_000
DEPTH_MAX = 32


class Kind(StrEnum):
    """The value is the stream type and never changes."""

    ACTIVITY_TYPE = "activity_type"
    COST_TYPE = "cost_type"
    ACTIVITY_FORM = "activity_form"
    DEPARTMENT = "department"
    REWARD_TYPE = "reward_type"


class DepartmentRole(StrEnum):
    """What part a department takes in approvals and campaigns."""

    RESEARCH = "research"
    TECHNOLOGY = "technology"
    BUSINESS = "business"


@dataclass(frozen=True, slots=True)
class Attribute:
    """Text that entries of a kind have besides their details; one of `choices`, where there are any.

    `is_id`: it names another entry, so that its digits are nobody's card number.
    """

    is_required: bool = False
    choices: tuple[str, ...] = ()
    is_id: bool = False


NEEDED = Attribute(is_required=True)


@dataclass(frozen=True, slots=True)
class Rules:
    """What sets one kind apart; `attributes` by their names.

    `has_fields`: its entries define a form that others fill in. `has_frame`: its attributes are the frame of
    rewards, one of them a cost type. `is_removable`: an entry that nothing refers to can be removed.
    """

    is_tree: bool
    is_frozen_in_use: bool
    attributes: Mapping[str, Attribute]
    has_fields: bool = False
    has_frame: bool = False
    is_removable: bool = True


RULES: Mapping[Kind, Rules] = {
    Kind.ACTIVITY_TYPE: Rules(is_tree=True, is_frozen_in_use=False, attributes={}),
    Kind.COST_TYPE: Rules(
        is_tree=False, is_frozen_in_use=True, attributes={"accounting_subject": NEEDED, "unit": NEEDED}
    ),
    Kind.ACTIVITY_FORM: Rules(is_tree=False, is_frozen_in_use=False, attributes={}, has_fields=True),
    Kind.DEPARTMENT: Rules(
        is_tree=True,
        is_frozen_in_use=False,
        attributes={"contact": Attribute(), "role": Attribute(True, tuple(DepartmentRole))},
    ),
    Kind.REWARD_TYPE: Rules(
        is_tree=False,
        is_frozen_in_use=False,
        attributes={
            "unit": NEEDED,
            "minimum": NEEDED,
            "maximum": NEEDED,
            "cap_per_customer": Attribute(),
            "cap_per_activity": Attribute(),
            "route": Attribute(True, tuple(Route)),
            "cost_type": Attribute(True, is_id=True),
            "unit_cost": NEEDED,
            "currency": NEEDED,
        },
        has_fields=True,
        has_frame=True,
        is_removable=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Details:
    """What people read and edit. `sort_order` ranks siblings, smallest first."""

    name: str
    description: str = ""
    sort_order: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[FieldRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One entry on the way from a parent up to its root, as it stood when the command was decided."""

    id: UUID
    name: str
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a tree: under `ancestors[0]`, whose parent is `ancestors[1]` …; empty for a root.

    `is_name_free`: no sibling there bears the name that the command gives.
    """

    ancestors: tuple[Ancestor, ...] = ()
    is_name_free: bool = True
    is_parent_known: bool = True

    @property
    def parent(self) -> UUID | None:
        return self.ancestors[0].id if self.ancestors else None


class CatalogueRefusal(StrEnum):
    PARENT_NOT_FOUND = "parent_not_found"
    NOT_A_TREE = "not_a_tree"
    CYCLE = "cycle"
    TOO_DEEP = "too_deep"
    HAS_CHILDREN = "has_children"
    IN_USE = "in_use"
    ANCESTOR_DISABLED = "ancestor_disabled"
    UNKNOWN_ATTRIBUTE = "unknown_attribute"
    NOT_REMOVABLE = "not_removable"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddEntry:
    """`cost_type` is the entry's, where its kind has one and it is newly chosen."""

    id: UUID
    kind: Kind
    code: str
    details: Details
    place: Place
    is_code_free: bool
    cost_type: Choice | None = None


@dataclass(frozen=True, slots=True)
class ReviseEntry:
    """`place` is where the entry shall stand afterwards; `users` are those who refer to it now;
    `cost_type` as in AddEntry.
    """

    id: UUID
    kind: Kind
    details: Details
    place: Place
    users: tuple[User, ...] = ()
    cost_type: Choice | None = None


@dataclass(frozen=True, slots=True)
class EnableEntry:
    ancestors: tuple[Ancestor, ...] = ()


@dataclass(frozen=True, slots=True)
class DisableEntry:
    pass


@dataclass(frozen=True, slots=True)
class RemoveEntry:
    kind: Kind
    users: tuple[User, ...] = ()


Command = AddEntry | ReviseEntry | EnableEntry | DisableEntry | RemoveEntry

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class EntryAdded:
    code: str
    details: Details
    parent: UUID | None


@dataclass(frozen=True, slots=True)
class EntryRevised:
    revision: int
    details: Details


@dataclass(frozen=True, slots=True)
class EntryMoved:
    revision: int
    parent: UUID | None


@dataclass(frozen=True, slots=True)
class EntryEnabled:
    pass


@dataclass(frozen=True, slots=True)
class EntryDisabled:
    pass


@dataclass(frozen=True, slots=True)
class EntryRemoved:
    pass


Event = EntryAdded | EntryRevised | EntryMoved | EntryEnabled | EntryDisabled | EntryRemoved

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    ENABLED = "enabled"
    DISABLED = "disabled"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Entry:
    status: Status = Status.UNKNOWN
    code: str = ""
    revision: int = 0
    details: Details = field(default_factory=lambda: Details(""))
    parent: UUID | None = None

    @property
    def is_known(self) -> bool:
        return self.status in (Status.ENABLED, Status.DISABLED)

    @property
    def is_enabled(self) -> bool:
        return self.status is Status.ENABLED


def evolve(entry: Entry, event: Event) -> Entry:
    match event:
        case EntryAdded(code=code, details=details, parent=parent):
            return Entry(Status.ENABLED, code, 1, details, parent)
        case EntryRevised(revision=revision, details=details):
            return replace(entry, revision=revision, details=details)
        case EntryMoved(revision=revision, parent=parent):
            return replace(entry, revision=revision, parent=parent)
        case EntryEnabled():
            return replace(entry, status=Status.ENABLED)
        case EntryDisabled():
            return replace(entry, status=Status.DISABLED)
        case EntryRemoved():
            return replace(entry, status=Status.REMOVED)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, entry: Entry) -> Sequence[Event]:
    match command:
        case AddEntry():
            return _add(command, entry)
        case ReviseEntry():
            return _revise(command, entry)
        case EnableEntry():
            return _enable(command, entry)
        case DisableEntry():
            _require_known(entry)
            return [EntryDisabled()] if entry.is_enabled else []
        case RemoveEntry():
            return _remove(command, entry)
        case _:
            assert_never(command)


def _add(command: AddEntry, entry: Entry) -> Sequence[Event]:
    assert entry.status is Status.UNKNOWN, "the id of a new entry is new"
    faults = [*code_faults(command.code, "code")]
    if not command.is_code_free:
        faults.append(Fault(CommonRefusal.CODE_TAKEN, ("code",), {"code": command.code}))
    faults += _detail_faults(command.kind, command.details)
    faults += _cost_type_faults(command.cost_type)
    faults += _place_faults(command.kind, command.place, command.id, command.details.name)
    faults += _disabled_faults(command.place.ancestors, "parent")
    refuse_any(faults)
    return [EntryAdded(command.code, command.details, command.place.parent)]


def _revise(command: ReviseEntry, entry: Entry) -> Sequence[Event]:
    _require_known(entry)
    revised = command.details != entry.details
    moved = command.place.parent != entry.parent or not command.place.is_parent_known
    if not (revised or moved):
        return []
    faults = [*_detail_faults(command.kind, command.details), *_cost_type_faults(command.cost_type)]
    if RULES[command.kind].is_frozen_in_use:
        faults += _use_faults(command.users)
    if moved or command.details.name != entry.details.name:
        faults += _place_faults(command.kind, command.place, command.id, command.details.name)
    if moved:
        faults += _disabled_faults(command.place.ancestors, "parent")
    refuse_any(faults)
    events: list[Event] = []
    if revised:
        events.append(EntryRevised(entry.revision + 1, command.details))
    if moved:
        events.append(EntryMoved(entry.revision + len(events) + 1, command.place.parent))
    return events


def _enable(command: EnableEntry, entry: Entry) -> Sequence[Event]:
    _require_known(entry)
    refuse_any(_disabled_faults(command.ancestors))
    return [] if entry.is_enabled else [EntryEnabled()]


def _remove(command: RemoveEntry, entry: Entry) -> Sequence[Event]:
    if entry.status is Status.REMOVED:
        return []
    _require_known(entry)
    if not RULES[command.kind].is_removable:
        raise Refused.because(CatalogueRefusal.NOT_REMOVABLE)
    children = [user for user in command.users if user.kind == command.kind]
    if children:
        named = ", ".join(child.label for child in children)
        raise Refused.because(CatalogueRefusal.HAS_CHILDREN, children=named)
    refuse_any(_use_faults(command.users))
    return [EntryRemoved()]


# --- Rules ----------------------------------------------------------------


def _require_known(entry: Entry) -> None:
    if not entry.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")


def _detail_faults(kind: Kind, details: Details) -> Iterator[Fault]:
    yield from name_faults(details.name, NAME_CHARACTERS_MAX, "name")
    yield from text_faults(details.description, DESCRIPTION_CHARACTERS_MAX, "description")
    if not 0 <= details.sort_order <= SORT_ORDER_MAX:
        limits = {"least": "0", "most": str(SORT_ORDER_MAX)}
        yield Fault(CommonRefusal.OUT_OF_RANGE, ("sort_order",), limits)
    if details.fields and not RULES[kind].has_fields:
        yield Fault(CatalogueRefusal.UNKNOWN_ATTRIBUTE, ("fields",), {"name": "fields"})
    else:
        yield from rule_faults(details.fields, "fields")
    known = RULES[kind].attributes
    for name in details.attributes.keys() - known.keys():
        yield Fault(CatalogueRefusal.UNKNOWN_ATTRIBUTE, (name,), {"name": name})
    for name, attribute in known.items():
        value = details.attributes.get(name, "")
        if attribute.is_required and not value.strip():
            yield Fault(CommonRefusal.REQUIRED, (name,))
        elif attribute.choices and value not in attribute.choices:
            yield Fault(FieldRefusal.NOT_A_CHOICE, (name,), {"choices": ", ".join(attribute.choices)})
        elif not attribute.is_id:
            yield from text_faults(value, ATTRIBUTE_CHARACTERS_MAX, name)
    if RULES[kind].has_frame:
        yield from frame_faults(details.attributes)


def _cost_type_faults(cost_type: Choice | None) -> Iterator[Fault]:
    if cost_type is not None:
        yield from cost_type.faults("cost_type")


def _place_faults(kind: Kind, place: Place, id: UUID, name: str) -> Iterator[Fault]:
    if not place.is_parent_known:
        yield Fault(CatalogueRefusal.PARENT_NOT_FOUND, ("parent",))
    if place.ancestors and not RULES[kind].is_tree:
        yield Fault(CatalogueRefusal.NOT_A_TREE, ("parent",))
    if any(ancestor.id == id for ancestor in place.ancestors):
        yield Fault(CatalogueRefusal.CYCLE, ("parent",))
    if len(place.ancestors) >= DEPTH_MAX:
        yield Fault(CatalogueRefusal.TOO_DEEP, ("parent",), {"most": str(DEPTH_MAX)})
    if not place.is_name_free:
        yield Fault(CommonRefusal.NAME_TAKEN, ("name",), {"name": name})


def _disabled_faults(ancestors: Sequence[Ancestor], *path: str) -> Iterator[Fault]:
    for ancestor in ancestors:
        if not ancestor.is_enabled:
            yield Fault(CatalogueRefusal.ANCESTOR_DISABLED, path, {"ancestor": ancestor.name})


def _use_faults(users: Sequence[User]) -> Iterator[Fault]:
    if users:
        named = ", ".join(f"{user.kind} {user.label}" for user in users)
        yield Fault(CatalogueRefusal.IN_USE, (), {"users": named})


def decider(kind: Kind) -> Decider[Command, Entry, Event]:
    """The decider of one kind of entry: the same rules, another stream type."""
    return Decider(kind.value, Entry(), decide, evolve)


DECIDERS: Mapping[Kind, Decider[Command, Entry, Event]] = {kind: decider(kind) for kind in Kind}
