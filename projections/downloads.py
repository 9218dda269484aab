"""Downloads as auditors list them."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from application.shared.records import Record
from domain.downloads import DECIDER, DownloadRecorded, Event
from projections.shared.rows import RowProjection, own_stream


@dataclass(frozen=True)
class DownloadRow:
    """`rows` is how many were taken out, `filter` the JSON of what was asked for."""

    id: UUID
    version: int
    org_unit: str
    subject: str
    filter: str
    rows: int
    address: str
    recorded_at: datetime
    recorded_by: str


def project(row: DownloadRow | None, record: Record[Event]) -> DownloadRow | None:  # noqa: ARG001
    match record.event:
        case DownloadRecorded() as event:
            return DownloadRow(
                id=record.stream_id,
                version=record.version,
                org_unit=event.org_unit,
                subject=event.subject,
                filter=event.filter,
                rows=event.rows,
                address=event.address,
                recorded_at=record.recorded_at,
                recorded_by=event.by,
            )
        case _:
            assert_never(record.event)


DOWNLOADS = RowProjection(
    name="downloads",
    table="downloads",
    row=DownloadRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
