"""Source grants: which columns of which table a unit may use; what was revoked stays to be seen."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from application.shared.records import Record
from domain.source_grants import DECIDER, Event, SourceGranted, SourceRevoked
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class SourceGrantRow:
    id: UUID
    version: int
    revision: int
    org_unit: str
    source: str
    table_name: str
    columns: tuple[str, ...]
    status: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def project(row: SourceGrantRow | None, record: Record[Event]) -> SourceGrantRow:
    match record.event:
        case SourceGranted() as granted:
            now = {"version": record.version, "revision": granted.revision, "columns": granted.columns}
            if row is not None:
                return altered(row, status="granted", **now, **changed(record))
            return SourceGrantRow(
                id=record.stream_id,
                version=record.version,
                revision=granted.revision,
                org_unit=granted.org_unit,
                source=granted.source,
                table_name=granted.table,
                columns=granted.columns,
                status="granted",
                **created(record),
                **changed(record),
            )
        case SourceRevoked(revision=revision):
            now = {"version": record.version, "revision": revision, "columns": ()}
            return altered(given(row), status="revoked", **now, **changed(record))
        case _:
            assert_never(record.event)


SOURCE_GRANTS = RowProjection(
    name="source_grants",
    table="source_grants",
    versions="source_grant_versions",
    row=SourceGrantRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
