"""Reward types as people browse them: each with the frame that rewards of its type keep within."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from application.shared.records import Record
from domain.catalogues import EntryAdded, EntryMoved, EntryRevised, Event, Kind
from domain.reward_details import frame_of
from projections.catalogues import added, columns_of, entry_changed, fields_of, standing
from projections.shared.rows import RowProjection, own_stream


@dataclass(frozen=True)
class RewardTypeRow:
    """`minimum`, `maximum` and the caps are in `unit`; one unit costs `unit_cost` of `currency`.

    `fields` hold {name, label, type, isRequired, least, most, choices}.
    """

    id: UUID
    version: int
    revision: int
    code: str
    name: str
    description: str
    sort_order: int
    status: str
    unit: str
    minimum: Decimal
    maximum: Decimal
    cap_per_customer: Decimal | None
    cap_per_activity: Decimal | None
    route: str
    cost_type_id: UUID
    unit_cost: Decimal
    currency: str
    fields: list[dict[str, Any]]
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def project(row: RewardTypeRow | None, record: Record[Event]) -> RewardTypeRow | None:
    match record.event:
        case EntryAdded(code=code, details=details):
            own = _own(details.attributes)
            return RewardTypeRow(**added(record, code, details), **own, fields=fields_of(details))
        case EntryRevised(revision=revision, details=details):
            own = {**_own(details.attributes), "fields": fields_of(details)}
            return entry_changed(row, record, revision=revision, **columns_of(details), **own)
        case EntryMoved(revision=revision):
            return entry_changed(row, record, revision=revision)
        case _:
            return standing(row, record, record.event)


def _own(attributes: Mapping[str, str]) -> dict[str, Any]:
    frame = frame_of(attributes)
    return {
        "unit": frame.unit,
        "minimum": frame.minimum,
        "maximum": frame.maximum,
        "cap_per_customer": frame.cap_per_customer,
        "cap_per_activity": frame.cap_per_activity,
        "route": frame.route.value,
        "cost_type_id": UUID(attributes["cost_type"]),
        "unit_cost": frame.unit_cost,
        "currency": frame.currency,
    }


REWARD_TYPES = RowProjection(
    name="reward_types",
    table="reward_types",
    versions="reward_type_versions",
    row=RewardTypeRow,
    stream_types=frozenset({Kind.REWARD_TYPE.value}),
    key=own_stream,
    project=project,
)
