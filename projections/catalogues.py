"""The catalogues as people browse them: activity types in their tree, cost types, activity forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, assert_never
from uuid import UUID

from application.shared.records import Record
from domain.catalogues import (
    Details,
    EntryAdded,
    EntryDisabled,
    EntryEnabled,
    EntryMoved,
    EntryRemoved,
    EntryRevised,
    Event,
    Kind,
)
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class ActivityTypeRow:
    """`status` is the entry's own: the table's effective_status also hangs on the ancestors."""

    id: UUID
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: str
    parent_id: UUID | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class CostTypeRow:
    id: UUID
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: str
    accounting_subject: str
    unit: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class ActivityFormRow:
    """`fields` hold {name, label, type, isRequired, least, most, choices}."""

    id: UUID
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: str
    fields: list[dict[str, Any]]
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


EntryRow = TypeVar("EntryRow")


def project_activity_type(row: ActivityTypeRow | None, record: Record[Event]) -> ActivityTypeRow | None:
    match record.event:
        case EntryAdded(code=code, details=details, parent=parent):
            return ActivityTypeRow(**added(record, code, details), parent_id=parent)
        case EntryRevised(revision=revision, details=details):
            return entry_changed(row, record, revision=revision, **columns_of(details))
        case EntryMoved(revision=revision, parent=parent):
            return entry_changed(row, record, revision=revision, parent_id=parent)
        case _:
            return standing(row, record, record.event)


def project_cost_type(row: CostTypeRow | None, record: Record[Event]) -> CostTypeRow | None:
    match record.event:
        case EntryAdded(code=code, details=details):
            return CostTypeRow(**added(record, code, details), **_accounting(details.attributes))
        case EntryRevised(revision=revision, details=details):
            accounting = _accounting(details.attributes)
            return entry_changed(row, record, revision=revision, **columns_of(details), **accounting)
        case EntryMoved(revision=revision):
            return entry_changed(row, record, revision=revision)
        case _:
            return standing(row, record, record.event)


def project_activity_form(row: ActivityFormRow | None, record: Record[Event]) -> ActivityFormRow | None:
    match record.event:
        case EntryAdded(code=code, details=details):
            return ActivityFormRow(**added(record, code, details), fields=fields_of(details))
        case EntryRevised(revision=revision, details=details):
            return entry_changed(
                row, record, revision=revision, **columns_of(details), fields=fields_of(details)
            )
        case EntryMoved(revision=revision):
            return entry_changed(row, record, revision=revision)
        case _:
            return standing(row, record, record.event)


def fields_of(details: Details) -> list[dict[str, Any]]:
    return [
        {
            "name": rule.name,
            "label": rule.label,
            "type": rule.type.value,
            "isRequired": rule.is_required,
            "least": rule.least,
            "most": rule.most,
            "choices": list(rule.choices),
        }
        for rule in details.fields
    ]


def standing(
    row: EntryRow | None, record: Record[Event], event: EntryEnabled | EntryDisabled | EntryRemoved
) -> EntryRow | None:
    """The row of any kind after an event that only tells whether the entry is there and enabled."""
    match event:
        case EntryEnabled():
            return entry_changed(row, record, status="enabled")
        case EntryDisabled():
            return entry_changed(row, record, status="disabled")
        case EntryRemoved():
            return None
        case _:
            assert_never(event)


def added(record: Record[Event], code: str, details: Details) -> dict[str, Any]:
    """The columns that every kind of entry begins with."""
    return {
        "id": record.stream_id,
        "version": record.version,
        "revision": 1,
        "code": code,
        "status": "enabled",
        **columns_of(details),
        **created(record),
        **changed(record),
    }


def entry_changed(row: EntryRow | None, record: Record[Event], **columns: Any) -> EntryRow:
    return altered(given(row), version=record.version, **changed(record), **columns)


def columns_of(details: Details) -> dict[str, Any]:
    return {"name": details.name, "description": details.description, "sort_order": details.sort_order}


def _accounting(attributes: Mapping[str, str]) -> dict[str, Any]:
    return {name: attributes.get(name, "") for name in ("accounting_subject", "unit")}


# An entry whose parent is not there (its stream is parked) stands as a root until the parent comes.
SETTLE_TREE = """
with recursive tree (id, path, ancestor_ids, effective_status, depth) as (
    select r.id, r.name, array[r.id], r.status, 0
    from {table} r
    where not exists (select from {table} p where p.id = r.parent_id)
    union all
    select c.id, t.path || '/' || c.name, t.ancestor_ids || c.id,
           case t.effective_status when 'enabled' then c.status else t.effective_status end, t.depth + 1
    from tree t join {table} c on c.parent_id = t.id
)
update {table} a
set path = t.path, ancestor_ids = t.ancestor_ids, effective_status = t.effective_status, depth = t.depth
from tree t
where a.id = t.id
  and (a.path, a.ancestor_ids, a.effective_status, a.depth)
      is distinct from (t.path, t.ancestor_ids, t.effective_status, t.depth)
"""
SETTLE_CLOSURE = """
with wanted as materialized (
    select above.id as ancestor_id, a.id as descendant_id, a.depth + 1 - above.place::integer as depth
    from {table} a, unnest(a.ancestor_ids) with ordinality as above (id, place)
), gone as (
    delete from {closure} c
    where not exists (
        select from wanted w where (w.ancestor_id, w.descendant_id) = (c.ancestor_id, c.descendant_id))
)
insert into {closure} as c (ancestor_id, descendant_id, depth)
select w.ancestor_id, w.descendant_id, w.depth
from wanted w
where not exists (
    select from {closure} c
    where (c.ancestor_id, c.descendant_id, c.depth) = (w.ancestor_id, w.descendant_id, w.depth))
on conflict (ancestor_id, descendant_id) do update set depth = excluded.depth
"""


def settling(table: str, closure: str) -> tuple[str, ...]:
    """Statements that keep paths, effective statuses and the closure of a tree's table."""
    return tuple(text.format(table=table, closure=closure) for text in (SETTLE_TREE, SETTLE_CLOSURE))


ACTIVITY_TYPES = RowProjection(
    name="activity_types",
    table="activity_types",
    versions="activity_type_versions",
    row=ActivityTypeRow,
    stream_types=frozenset({Kind.ACTIVITY_TYPE.value}),
    key=own_stream,
    project=project_activity_type,
    settle=settling("activity_types", "activity_type_closure"),
    settled=("activity_type_closure",),
)
COST_TYPES = RowProjection(
    name="cost_types",
    table="cost_types",
    versions="cost_type_versions",
    row=CostTypeRow,
    stream_types=frozenset({Kind.COST_TYPE.value}),
    key=own_stream,
    project=project_cost_type,
)
ACTIVITY_FORMS = RowProjection(
    name="activity_forms",
    table="activity_forms",
    versions="activity_form_versions",
    row=ActivityFormRow,
    stream_types=frozenset({Kind.ACTIVITY_FORM.value}),
    key=own_stream,
    project=project_activity_form,
)
