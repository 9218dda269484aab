"""The timeline: every event in the order of the log, with who, when, why and what it changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from application.shared.records import Record
from projections.activities import ACTIVITIES, ActivityRow
from projections.activity_figures import ACTIVITY_FIGURES, ActivityFiguresRow
from projections.approval_inbox import APPROVALS, ApprovalRow
from projections.budgets import BUDGETS, BudgetRow
from projections.business_calendars import BUSINESS_CALENDARS, BusinessCalendarRow
from projections.cancellations import CANCELLATIONS, CancellationRow
from projections.catalogues import (
    ACTIVITY_FORMS,
    ACTIVITY_TYPES,
    COST_TYPES,
    ActivityFormRow,
    ActivityTypeRow,
    CostTypeRow,
)
from projections.customer_groups import CUSTOMER_GROUPS, CustomerGroupRow
from projections.delegations import DELEGATIONS, DelegationRow
from projections.departments import DEPARTMENTS, DepartmentRow
from projections.downloads import DOWNLOADS, DownloadRow
from projections.erasures import ERASURES, ErasureRow
from projections.group_extractions import GROUP_EXTRACTIONS, GroupExtractionRow
from projections.points_jobs import POINTS_JOBS, PointsJobRow
from projections.revocations import REVOCATIONS, RevocationRow
from projections.reward_types import REWARD_TYPES, RewardTypeRow
from projections.run_schedules import RUN_SCHEDULES, RunScheduleRow
from projections.segment_definitions import SEGMENT_DEFINITIONS, SegmentDefinitionRow
from projections.segment_runs import SEGMENT_RUNS, SegmentRunRow
from projections.service_accounts import SERVICE_ACCOUNTS, ServiceAccountRow
from projections.shared.ids import shown_id
from projections.shared.rows import RowProjection, instant_text
from projections.source_grants import SOURCE_GRANTS, SourceGrantRow
from projections.stocks import STOCKS, StockRow
from projections.users import USERS, UserRow
from projections.webhook_endpoints import WEBHOOK_ENDPOINTS, WebhookEndpointRow
from projections.work_orders import WORK_ORDERS, WorkOrderRow

TIMELINE = "timeline"
TABLE = "timeline"
STATES = "timeline_states"

BOOKKEEPING = frozenset({"id", "version", "created_at", "created_by", "changed_at", "changed_by"})
"""Columns that say again what an entry's envelope says."""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One event. `id` is the event's; `org_unit` the subject's unit, None for what the whole bank shares.

    `changes` hold {field, before, after} for each column of the subject's row that the event changed.
    """

    id: UUID
    epoch: int
    position: int
    stream_id: UUID
    stream_type: str
    subject_id: str
    version: int
    event_type: str
    recorded_at: datetime
    effective_at: datetime
    actor: str
    on_behalf_of: str | None
    org_unit: str | None
    command_id: UUID
    correlation_id: UUID
    causation_id: UUID | None
    reason: str | None
    revision: int | None
    related_ids: tuple[UUID, ...]
    changes: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Told:
    """How a kind of row is told of: its unit, its revision, and what else it concerns."""

    projection: RowProjection[Any]
    stream_type: str
    org_unit: Callable[[Any], str | None]
    revision: Callable[[Any], int]
    related: Callable[[Any], Iterable[UUID | None]]


def _shared_entry(projection: RowProjection[Any], stream_type: str) -> Told:
    def revision(
        row: ActivityTypeRow | CostTypeRow | ActivityFormRow | DepartmentRow | RewardTypeRow,
    ) -> int:
        return row.revision

    return Told(projection, stream_type, lambda _: None, revision, lambda _: ())


def _activity_unit(row: ActivityRow) -> str:
    return row.org_unit


def _activity_revision(row: ActivityRow) -> int:
    return row.revision


def _activity_related(row: ActivityRow) -> tuple[UUID | None, ...]:
    return (row.approval_id,)


def _figures_unit(row: ActivityFiguresRow) -> str:
    return row.org_unit


def _figures_related(row: ActivityFiguresRow) -> tuple[UUID | None, ...]:
    """The activity's timeline tells of it too."""
    return (row.activity_id,)


def _download_unit(row: DownloadRow) -> str:
    return row.org_unit


def _approval_unit(row: ApprovalRow) -> str:
    return row.org_unit


def _approval_revision(row: ApprovalRow) -> int:
    return row.subject_revision


def _approval_related(row: ApprovalRow) -> tuple[UUID | None, ...]:
    return (row.subject_id,)


def _order_unit(row: WorkOrderRow | CancellationRow) -> str:
    return row.org_unit


def _order_revision(row: WorkOrderRow) -> int:
    return row.revision


def _order_related(row: WorkOrderRow) -> tuple[UUID | None, ...]:
    """Its activity's timeline tells of it too."""
    told = row.activity_id, row.approval_id, row.definition_id, row.run_id, row.points_job_id
    return (*told, row.cancellation_id)


def _cancellation_related(row: CancellationRow) -> tuple[UUID | None, ...]:
    return (row.work_order_id, row.approval_id)


def _segment_unit(row: SegmentDefinitionRow | SegmentRunRow | SourceGrantRow) -> str:
    return row.org_unit


def _segment_revision(row: SegmentDefinitionRow | SourceGrantRow) -> int:
    return row.revision


def _definition_related(row: SegmentDefinitionRow) -> tuple[UUID | None, ...]:
    return (row.approval_id, row.work_order_id, row.origin_id)


def _run_revision(row: SegmentRunRow) -> int:
    return row.definition_revision


def _run_related(row: SegmentRunRow) -> tuple[UUID | None, ...]:
    return (row.definition_id, row.work_order_id)


def _group_unit(row: CustomerGroupRow) -> str:
    return row.org_unit


def _group_revision(row: CustomerGroupRow) -> int:
    return row.revision


def _points_unit(row: BudgetRow | StockRow | PointsJobRow) -> str:
    return row.org_unit


def _job_revision(row: PointsJobRow) -> int:
    return row.attempt


def _job_related(row: PointsJobRow) -> tuple[UUID | None, ...]:
    return (row.work_order_id, row.run_id)


def _account_unit(_: UserRow | ServiceAccountRow | RevocationRow) -> str:
    """Head office keeps all accounts, so what changes them is its business."""
    return "HO"


def _account_revision(row: UserRow | ServiceAccountRow) -> int:
    return row.revision


def _delegation_unit(row: DelegationRow) -> str:
    return row.org_unit


def _calendar_revision(row: BusinessCalendarRow) -> int:
    return row.revision


def _scheduled_unit(row: RunScheduleRow | GroupExtractionRow) -> str:
    return row.org_unit


def _schedule_related(row: RunScheduleRow) -> tuple[UUID | None, ...]:
    return (row.definition_id, row.activity_id, row.last_run_id, row.last_extraction_id)


def _extraction_revision(row: GroupExtractionRow) -> int:
    return row.customer_group_revision


def _extraction_related(row: GroupExtractionRow) -> tuple[UUID | None, ...]:
    return (row.activity_id, row.customer_group_id, row.schedule_id)


def _webhook_unit(row: WebhookEndpointRow) -> str:
    return row.org_unit


def _webhook_revision(row: WebhookEndpointRow) -> int:
    return row.revision


def _erasure_related(row: ErasureRow) -> tuple[UUID | None, ...]:
    return (row.approval_id,)


def _webhook_related(row: WebhookEndpointRow) -> tuple[UUID | None, ...]:
    return (row.approval_id,)


TOLD = (
    _shared_entry(ACTIVITY_TYPES, "activity_type"),
    _shared_entry(COST_TYPES, "cost_type"),
    _shared_entry(ACTIVITY_FORMS, "activity_form"),
    _shared_entry(DEPARTMENTS, "department"),
    _shared_entry(REWARD_TYPES, "reward_type"),
    Told(ACTIVITIES, "activity", _activity_unit, _activity_revision, _activity_related),
    Told(ACTIVITY_FIGURES, "activity_figures", _figures_unit, lambda _: 1, _figures_related),
    Told(APPROVALS, "approval", _approval_unit, _approval_revision, _approval_related),
    Told(WORK_ORDERS, "work_order", _order_unit, _order_revision, _order_related),
    Told(CANCELLATIONS, "cancellation", _order_unit, lambda _: 1, _cancellation_related),
    Told(SEGMENT_DEFINITIONS, "segment_definition", _segment_unit, _segment_revision, _definition_related),
    Told(SEGMENT_RUNS, "segment_run", _segment_unit, _run_revision, _run_related),
    Told(SOURCE_GRANTS, "source_grant", _segment_unit, _segment_revision, lambda _: ()),
    Told(BUDGETS, "budget", _points_unit, lambda _: 1, lambda _: ()),
    Told(STOCKS, "stock", _points_unit, lambda _: 1, lambda _: ()),
    Told(POINTS_JOBS, "points_job", _points_unit, _job_revision, _job_related),
    Told(DOWNLOADS, "download", _download_unit, lambda _: 1, lambda _: ()),
    Told(CUSTOMER_GROUPS, "customer_group", _group_unit, _group_revision, lambda _: ()),
    Told(USERS, "user", _account_unit, _account_revision, lambda _: ()),
    Told(SERVICE_ACCOUNTS, "service_account", _account_unit, _account_revision, lambda _: ()),
    Told(DELEGATIONS, "delegation", _delegation_unit, lambda _: 1, lambda _: ()),
    Told(REVOCATIONS, "revocation", _account_unit, lambda _: 1, lambda _: ()),
    Told(ERASURES, "erasure", lambda row: row.org_unit, lambda row: row.revision, _erasure_related),
    Told(BUSINESS_CALENDARS, "business_calendar", lambda _: None, _calendar_revision, lambda _: ()),
    Told(RUN_SCHEDULES, "run_schedule", _scheduled_unit, lambda _: 1, _schedule_related),
    Told(WEBHOOK_ENDPOINTS, "webhook_endpoint", _webhook_unit, _webhook_revision, _webhook_related),
    Told(GROUP_EXTRACTIONS, "group_extraction", _scheduled_unit, _extraction_revision, _extraction_related),
)
STREAM_TYPES = frozenset(told.stream_type for told in TOLD)


@dataclass(frozen=True, slots=True)
class Touched:
    """A row that a record concerns; it is told of where the record's own stream is the row's."""

    told: Told
    key: UUID
    is_own: bool


def touched(record: Record[Any]) -> Iterator[Touched]:
    """Every row that the record concerns: an approval's event also moves its subject's row."""
    for told in TOLD:
        if record.stream_type in told.projection.stream_types:
            key = told.projection.key(record)
            if key is not None:
                yield Touched(told, key, record.stream_type == told.stream_type)


def entry(told: Told, record: Record[Any], before: Any, after: Any) -> TimelineRow:
    """The record as the timeline shows it; `before` and `after` are the row of its own stream."""
    row = before if after is None else after
    context = record.context
    related = [record.stream_id]
    for known in (before, after):
        if known is not None:
            related += (id_ for id_ in told.related(known) if id_ is not None and id_ not in related)
    return TimelineRow(
        id=record.event_id,
        epoch=record.position.epoch,
        position=record.position.offset,
        stream_id=record.stream_id,
        stream_type=record.stream_type,
        subject_id=shown_id(record.stream_type, record.stream_id),
        version=record.version,
        event_type=record.event_type,
        recorded_at=record.recorded_at,
        effective_at=context.effective_at,
        actor=context.actor,
        on_behalf_of=context.on_behalf_of,
        org_unit=None if row is None else told.org_unit(row),
        command_id=context.command_id,
        correlation_id=context.correlation_id,
        causation_id=context.causation_id,
        reason=context.reason,
        revision=None if row is None else told.revision(row),
        related_ids=tuple(related),
        changes=changes(told, before, after),
    )


def changes(told: Told, before: Any, after: Any) -> list[dict[str, Any]]:
    """{field, before, after} of each column that differs; a row that is not there has none."""
    row_type: Any = told.projection.row
    names, values = _shown(row_type)
    kinds = _kinds(told, before if after is None else after)
    old = [None] * len(names) if before is None else values(before)
    new = [None] * len(names) if after is None else values(after)
    return [
        {"field": camel(name), "before": _spoken(name, was, kinds), "after": _spoken(name, is_, kinds)}
        for name, was, is_ in zip(names, old, new, strict=True)
        if was != is_
    ]


def state(told: Told, row: Any) -> dict[str, Any]:
    """All columns of a row, as its changes speak of them."""
    row_type: Any = told.projection.row
    names, values = _shown(row_type)
    kinds = _kinds(told, row)
    return {camel(name): _spoken(name, value, kinds) for name, value in zip(names, values(row), strict=True)}


def _kinds(told: Told, row: Any) -> Mapping[str, str]:
    """What the ids in the row's columns are of."""
    subject = getattr(row, "subject_kind", "activity")
    return {**KIND_OF_ID, PARENT: told.stream_type, "subject_id": subject}


@cache
def _shown(row: Any) -> tuple[Sequence[str], Callable[[Any], tuple[Any, ...]]]:
    """The columns that people see, and what reads them off a row."""
    names = [field.name for field in fields(row) if field.name not in BOOKKEEPING]
    return names, attrgetter(*names)


IN_CAPITALS = frozenset({
    "status", "awaiting", "channels", "level", "verdict", "type", "role", "route", "goal", "frequency",
    "timeframe", "purpose", "membership", "kind", "format", "mask", "retention", "priority", "next_step",
    "former_status", "strategy", "exclusions", "exclusion", "tasks", "discloses", "disabled_cause",
})  # fmt: skip
"""Columns that hold names of an enumeration, which clients know in capitals."""

PARENT = "parent_id"
"""An entry of the row's own kind."""

KIND_OF_ID = {
    "activity_type_id": "activity_type",
    "form_id": "activity_form",
    "cost_type_id": "cost_type",
    "department_id": "department",
    "co_department_ids": "department",
    "reward_type_id": "reward_type",
    "reward_type_ids": "reward_type",
    "customer_group_id": "customer_group",
    "customer_group_ids": "customer_group",
    "approval_id": "approval",
    "activity_id": "activity",
    "work_order_id": "work_order",
    "cancellation_id": "cancellation",
    "run_id": "segment_run",
    "points_job_id": "points_job",
    "definition_id": "segment_definition",
    "origin_id": "segment_definition",
    "calendar_id": "business_calendar",
    "last_run_id": "segment_run",
    "last_extraction_id": "group_extraction",
    "previous_id": "group_extraction",
    "schedule_id": "run_schedule",
}
"""What the ids in a column are of; in `subject_id` that is the row's `subject_kind`."""


def camel(name: str) -> str:
    """A column's name as the API speaks of it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _spoken(name: str, value: Any, kinds: Mapping[str, str]) -> Any:
    """A column's value in JSON, as the API speaks of it."""
    match value:
        case UUID() if name in kinds:
            return shown_id(kinds[name], value)
        case UUID():
            return str(value)
        case str() if name in kinds:
            return shown_id(kinds[name], UUID(value))
        case str() if name in IN_CAPITALS:
            return value.upper()
        case datetime():
            return instant_text(value)
        case Decimal():
            return f"{value:f}"
        case dict():
            return {camel(key): _spoken(key, member, kinds) for key, member in value.items()}
        case list() | tuple():
            return [_spoken(name, member, kinds) for member in value]
    return value
