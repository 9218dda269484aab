"""Departments as people browse them: a tree of who answers for activities."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from application.shared.records import Record
from domain.catalogues import EntryAdded, EntryMoved, EntryRevised, Event, Kind
from projections.catalogues import added, columns_of, entry_changed, settling, standing
from projections.shared.rows import RowProjection, own_stream


@dataclass(frozen=True)
class DepartmentRow:
    """`status` is the department's own: the table's effective_status also hangs on the ancestors."""

    id: UUID
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: str
    parent_id: UUID | None
    contact: str
    role: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def project(row: DepartmentRow | None, record: Record[Event]) -> DepartmentRow | None:
    match record.event:
        case EntryAdded(code=code, details=details, parent=parent):
            own = _own(details.attributes)
            return DepartmentRow(**added(record, code, details), **own, parent_id=parent)
        case EntryRevised(revision=revision, details=details):
            own = _own(details.attributes)
            return entry_changed(row, record, revision=revision, **columns_of(details), **own)
        case EntryMoved(revision=revision, parent=parent):
            return entry_changed(row, record, revision=revision, parent_id=parent)
        case _:
            return standing(row, record, record.event)


def _own(attributes: Mapping[str, str]) -> dict[str, Any]:
    return {name: attributes.get(name, "") for name in ("contact", "role")}


DEPARTMENTS = RowProjection(
    name="departments",
    table="departments",
    versions="department_versions",
    row=DepartmentRow,
    stream_types=frozenset({Kind.DEPARTMENT.value}),
    key=own_stream,
    project=project,
    settle=settling("departments", "department_closure"),
    settled=("department_closure",),
)
