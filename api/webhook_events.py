"""Events as they are sent to webhooks: CloudEvents 1.0 in JSON, structured mode."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args
from uuid import UUID

import orjson

from api.planner import ids
from api.public_disclosures import NEVER_SENT, sent
from api.public_events import public_event
from api.public_mappings import MAPPINGS
from application.shared.records import BANK_WIDE, Record
from domain import (
    activities,
    activity_figures,
    approvals,
    budgets,
    business_calendars,
    cancellations,
    catalogues,
    customer_groups,
    group_extractions,
    points_jobs,
    points_ledgers,
    run_schedules,
    segment_definitions,
    segment_runs,
    source_grants,
    stocks,
    work_orders,
)
from domain.webhook_contents import WebhookContent
from projections.shared.ids import PREFIXES
from projections.shared.rows import instant_text

CONTENT_TYPE = "application/cloudevents+json"
SOURCE = "urn:cardinal"

_CATALOGUES: Mapping[str, Any] = {kind.value: catalogues.Event for kind in catalogues.Kind}
SENT: Mapping[str, Any] = {
    "activity": activities.Event,
    "activity_figures": activity_figures.Event,
    "approval": approvals.Event,
    "budget": budgets.Event,
    "business_calendar": business_calendars.Event,
    "cancellation": cancellations.Event,
    "customer_group": customer_groups.Event,
    "group_extraction": group_extractions.Event,
    "points_job": points_jobs.Event,
    "points_ledger": points_ledgers.Event,
    "run_schedule": run_schedules.Event,
    "segment_definition": segment_definitions.Event,
    "segment_run": segment_runs.Event,
    "source_grant": source_grants.Event,
    "stock": stocks.Event,
    "work_order": work_orders.Event,
    **_CATALOGUES,
}
"""The kinds of subject whose events are sent, with the events that such a subject has."""


def sent_events() -> Iterator[tuple[str, str, type]]:
    """Each kind, each public type of it, and the stored event that it is made of."""
    for kind, union in sorted(SENT.items()):
        for event in get_args(union) or (union,):
            if event in MAPPINGS:
                yield kind, f"{kind}.{MAPPINGS[event].verb}", event


KNOWN_TYPES = frozenset(type_ for _, type_, _ in sent_events())
"""Every type that an endpoint can ask for."""


def type_of(record: Record[Any]) -> str | None:
    """The public type of an event that is sent; None for all others."""
    mapping = MAPPINGS.get(type(record.event))
    if mapping is None or record.stream_type not in SENT or record.stream_type in NEVER_SENT:
        return None
    return f"{record.stream_type}.{mapping.verb}"


def event_id(event: UUID) -> str:
    """The same for each attempt and each replay: the receiver knows by it what he has got already."""
    return ids.encode("ev", event)


def cloud_event(record: Record[Any], content: WebhookContent) -> dict[str, Any] | None:
    """The event as the endpoint's content lets it be told. Source: the CloudEvents specification, 1.0.2, with
    the extensions `sequence` (events sort by it) and `correlationid`.
    """
    shown = public_event(record) if type_of(record) is not None else None
    if shown is None:
        return None
    context = record.context
    attributes = {
        "specversion": "1.0",
        "id": event_id(record.event_id),
        "source": SOURCE,
        "type": shown.type,
        "subject": ids.encode(PREFIXES[record.stream_type], record.stream_id),
        "time": instant_text(record.recorded_at),
        "datacontenttype": "application/json",
        "dataschema": schema_id(shown.type, shown.schema_version),
        "sequence": str(record.position),
        "subjectversion": record.version,
        "effectivetime": instant_text(context.effective_at),
        "correlationid": str(context.correlation_id),
        "data": sent(record.stream_type, shown.data, content.discloses),
    }
    if context.org_unit != BANK_WIDE:
        attributes["orgunit"] = context.org_unit
    if context.causation_id is not None:
        attributes["causationid"] = str(context.causation_id)
    return attributes


def body(record: Record[Any], content: WebhookContent) -> bytes | None:
    """The bytes that are signed and sent; None for what is not sent."""
    event = cloud_event(record, content)
    return None if event is None else orjson.dumps(event)


def schema_id(type_: str, version: int) -> str:
    return f"urn:cardinal:event:{type_}:v{version}"
