"""The use cases of catalogues: what an entry's decision has to know of its neighbours is read here."""

from dataclasses import dataclass
from uuid import UUID

from application.shared.identifiers import uuid7
from application.shared.records import BANK_WIDE, Log
from application.shared.work import Work
from domain.activity_plans import Choice
from domain.catalogues import (
    DECIDERS,
    RULES,
    AddEntry,
    Ancestor,
    Details,
    DisableEntry,
    EnableEntry,
    Entry,
    Kind,
    Place,
    RemoveEntry,
    ReviseEntry,
)
from domain.reward_details import RewardFrame, frame_of
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import Claim, Release, claim_id
from domain.shared.field_rules import FieldRule
from domain.shared.references import Reference, User

ANCESTORS_MAX = 10_000
COST_TYPE = "cost_type"
"""The attribute that names a cost type by its key."""


@dataclass(frozen=True, slots=True)
class Change:
    """A revision as it was asked for: None leaves a part as it is; `moves` says that `parent` is meant."""

    name: str | None = None
    description: str | None = None
    sort_order: int | None = None
    attributes: dict[str, str] | None = None
    fields: tuple[FieldRule, ...] | None = None
    moves: bool = False
    parent: UUID | None = None


def add(work: Work, kind: Kind, code: str, details: Details, parent: UUID | None) -> UUID:
    """A new entry under `parent`, or as a root. Refuse with all that is wrong."""
    work.org_unit = BANK_WIDE
    entry_id = uuid7()
    code_claim, name_claim = _code_claim(kind, code), _name_claim(kind, parent, details.name)
    place = _place(work, kind, entry_id, parent, details.name)
    is_code_free = work.state(CLAIM, code_claim).is_free_for(entry_id)
    cost_type = _cost_type(work, kind, details)
    command = AddEntry(entry_id, kind, code, details, place, is_code_free, cost_type)
    work.begin(DECIDERS[kind], entry_id, command)
    work.decide(CLAIM, code_claim, Claim(entry_id))
    work.decide(CLAIM, name_claim, Claim(entry_id))
    if used := _used(kind, details, parent):
        work.link(User(entry_id, kind, code), used)
    return entry_id


def revise(work: Work, kind: Kind, entry_id: UUID, change: Change) -> UUID:
    """Name, description, order, attributes, and with `moves` the place in the tree."""
    before = _subject(work, kind, entry_id)
    details = _changed(before, change)
    parent = change.parent if change.moves else before.parent
    place = _place(work, kind, entry_id, parent, details.name)
    users = work.users(entry_id) if RULES[kind].is_frozen_in_use and before.is_known else ()
    is_same_cost = details.attributes.get(COST_TYPE) == before.details.attributes.get(COST_TYPE)
    cost_type = None if is_same_cost else _cost_type(work, kind, details)
    work.decide(DECIDERS[kind], entry_id, ReviseEntry(entry_id, kind, details, place, users, cost_type))
    after = work.state(DECIDERS[kind], entry_id)
    old, new = _name_claim(kind, before.parent, before.details.name), _name_claim(kind, parent, details.name)
    if old != new:
        work.decide(CLAIM, old, Release(entry_id))
        work.decide(CLAIM, new, Claim(entry_id))
    used = _used(kind, after.details, after.parent)
    if used != _used(kind, before.details, before.parent):
        work.link(User(entry_id, kind, before.code), used)
    return entry_id


def enable(work: Work, kind: Kind, entry_id: UUID) -> UUID:
    entry = _subject(work, kind, entry_id)
    ancestors = _ancestors(work, kind, entry.parent)
    work.decide(DECIDERS[kind], entry_id, EnableEntry(ancestors))
    return entry_id


def disable(work: Work, kind: Kind, entry_id: UUID) -> UUID:
    _subject(work, kind, entry_id)
    work.decide(DECIDERS[kind], entry_id, DisableEntry())
    return entry_id


def remove(work: Work, kind: Kind, entry_id: UUID) -> UUID:
    """Refuse while the entry has children or anything refers to it. Code and name become free again."""
    entry = _subject(work, kind, entry_id)
    if not work.decide(DECIDERS[kind], entry_id, RemoveEntry(kind, work.users(entry_id))):
        return entry_id
    work.decide(CLAIM, _code_claim(kind, entry.code), Release(entry_id))
    work.decide(CLAIM, _name_claim(kind, entry.parent, entry.details.name), Release(entry_id))
    work.link(User(entry_id, kind, entry.code), [])
    return entry_id


def choice(work: Work, kind: Kind, entry_id: UUID, revision_seen: int | None = None) -> Choice:
    """The entry as somebody chooses it: effective only with all its ancestors enabled."""
    entry = work.state(DECIDERS[kind], entry_id)
    if not entry.is_known:
        return Choice(None)
    is_enabled = entry.is_enabled and all(a.is_enabled for a in _ancestors(work, kind, entry.parent))
    reference = Reference(entry_id, entry.revision)
    frame = frame_of(entry.details.attributes) if RULES[kind].has_frame else None
    return Choice(reference, is_enabled, revision_seen, entry.details.fields, frame)


def frame_of_revision(log: Log, reward_type: Reference) -> RewardFrame:
    """The rules of a reward type in the revision that was approved: later ones hold for later plans."""
    decider = DECIDERS[Kind.REWARD_TYPE]
    entry = decider.initial
    for record in log.records(reward_type.id):
        entry = decider.evolve(entry, record.event)
        if entry.revision == reward_type.revision:
            break
    return frame_of(entry.details.attributes)


def _subject(work: Work, kind: Kind, entry_id: UUID) -> Entry:
    work.org_unit = BANK_WIDE
    return work.subject(DECIDERS[kind], entry_id)


def _changed(before: Entry, change: Change) -> Details:
    """Attributes that were not given stay; one that was given as empty becomes empty."""
    return Details(
        name=before.details.name if change.name is None else change.name,
        description=before.details.description if change.description is None else change.description,
        sort_order=before.details.sort_order if change.sort_order is None else change.sort_order,
        attributes={**before.details.attributes, **(change.attributes or {})},
        fields=before.details.fields if change.fields is None else change.fields,
    )


def _cost_type(work: Work, kind: Kind, details: Details) -> Choice | None:
    """The cost type that the entry names; None for a kind without one, and where nothing is named."""
    named = details.attributes.get(COST_TYPE, "").strip() if RULES[kind].has_frame else ""
    if not named:
        return None
    found = _key(named)
    return Choice(None) if found is None else choice(work, Kind.COST_TYPE, found)


def _used(kind: Kind, details: Details, parent: UUID | None) -> frozenset[UUID]:
    """What the entry refers to: its parent in a tree, its cost type."""
    cost_type = _key(details.attributes.get(COST_TYPE, "")) if RULES[kind].has_frame else None
    return frozenset(each for each in (parent, cost_type) if each is not None)


def _key(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _place(work: Work, kind: Kind, entry_id: UUID, parent: UUID | None, name: str) -> Place:
    is_known = parent is None or work.state(DECIDERS[kind], parent).is_known
    claim = work.state(CLAIM, _name_claim(kind, parent, name))
    return Place(
        ancestors=_ancestors(work, kind, parent) if is_known else (),
        is_name_free=claim.is_free_for(entry_id),
        is_parent_known=is_known,
    )


def _ancestors(work: Work, kind: Kind, parent: UUID | None) -> tuple[Ancestor, ...]:
    """From the parent up to the root, however deep moves of whole branches have made the tree.

    States that were read at different moments may seem to form a ring: then their guards conflict.
    """
    found: list[Ancestor] = []
    seen: set[UUID] = set()
    while parent is not None and parent not in seen and len(found) < ANCESTORS_MAX:
        seen.add(parent)
        entry = work.state(DECIDERS[kind], parent)
        found.append(Ancestor(parent, entry.details.name, entry.is_enabled))
        parent = entry.parent
    return tuple(found)


def _code_claim(kind: Kind, code: str) -> UUID:
    return claim_id(f"{kind}.code", code)


def _name_claim(kind: Kind, parent: UUID | None, name: str) -> UUID:
    """Siblings may not differ by case or by surrounding space alone."""
    return claim_id(f"{kind}.name.{parent or 'root'}", name.strip().casefold())
