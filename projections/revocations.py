"""Revocations: whose tokens, or which, are good no more."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from application.shared.records import Record
from domain.revocations import DECIDER, TokensRevoked
from projections.shared.rows import RowProjection, altered, changed, created, own_stream


@dataclass(frozen=True)
class RevocationRow:
    """`value` is a user's name, a session's id or a token's `jti`, as `kind` says."""

    id: UUID
    version: int
    org_unit: str
    kind: str
    value: str
    revoked_at: datetime
    reason: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def project(row: RevocationRow | None, record: Record[TokensRevoked]) -> RevocationRow:
    event = record.event
    now: dict[str, Any] = {"version": record.version, "revoked_at": event.revoked_at, "reason": event.reason}
    if row is not None:
        return altered(row, **now, **changed(record))
    return RevocationRow(
        id=record.stream_id,
        org_unit=record.context.org_unit,
        kind=event.kind.value,
        value=event.value,
        **now,
        **created(record),
        **changed(record),
    )


REVOCATIONS = RowProjection(
    name="revocations",
    table="revocations",
    row=RevocationRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
