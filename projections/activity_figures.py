"""Figures of activities: the newest of each with how its count stands, and every count that succeeded."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain import activity_figures as f
from projections.shared.entries import EntryProjection
from projections.shared.rows import RowProjection, altered, changed, given, own_stream


@dataclass(frozen=True)
class ActivityFiguresRow:
    """`number` is the count that was asked for last, `counted_number` the one that the figures are of.

    `excluded` hold {exclusion, count}, `counted_groups` {customer_group_id, customer_group_revision,
    data_from, data_to}, `counted_runs` {run_id, work_order_id}.
    """

    id: UUID
    version: int
    activity_id: UUID
    org_unit: str
    code: str
    status: str
    number: int
    requested_at: datetime
    requested_by: str
    failure: str | None
    counted_number: int | None
    counted_at: datetime | None
    target: int | None
    applicable: int | None
    qualified: int | None
    excluded: list[dict[str, Any]]
    plan_revision: int | None
    business_date: date | None
    snapshot: str | None
    counted_groups: list[dict[str, Any]]
    counted_runs: list[dict[str, Any]]
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class ActivityCountRow:
    """One count that succeeded; it never changes. The hashes are those of the lists behind it."""

    id: UUID
    figures_id: UUID
    version: int
    activity_id: UUID
    org_unit: str
    number: int
    target: int | None
    applicable: int | None
    qualified: int | None
    excluded: list[dict[str, Any]]
    plan_revision: int
    business_date: date
    snapshot: str | None
    counted_groups: list[dict[str, Any]]
    counted_runs: list[dict[str, Any]]
    target_hash: str | None
    qualified_hash: str | None
    counted_at: datetime


NOT_COUNTED: dict[str, Any] = {
    "counted_number": None,
    "counted_at": None,
    "target": None,
    "applicable": None,
    "qualified": None,
    "excluded": [],
    "plan_revision": None,
    "business_date": None,
    "snapshot": None,
    "counted_groups": [],
    "counted_runs": [],
}


def project(row: ActivityFiguresRow | None, record: Record[f.Event]) -> ActivityFiguresRow | None:
    event = record.event
    match event:
        case f.ActivityCountRequested():
            return _requested(row, record, event)
        case f.ActivityCountStarted():
            columns: dict[str, Any] = {"status": "counting"}
        case f.ActivityCountSucceeded(number=number):
            status = "counted" if number == given(row).number else "queued"
            columns = {"status": status, "counted_number": number, "counted_at": record.recorded_at}
            columns |= _counted(event)
        case f.ActivityCountFailed(number=number, code=code):
            columns = {"status": "failed" if number == given(row).number else "queued", "failure": code}
        case _:
            assert_never(event)
    return altered(given(row), version=record.version, **columns, **changed(record))


def _requested(
    row: ActivityFiguresRow | None, record: Record[Any], event: f.ActivityCountRequested
) -> ActivityFiguresRow:
    asked: dict[str, Any] = {
        "version": record.version,
        "org_unit": event.org_unit,
        "code": event.code,
        "status": "queued",
        "number": event.number,
        "requested_at": record.recorded_at,
        "requested_by": event.by,
        "failure": None,
        **changed(record),
    }
    if row is not None:
        return altered(row, **asked)
    return ActivityFiguresRow(id=record.stream_id, activity_id=event.activity, **asked, **NOT_COUNTED)


def _counted(event: f.ActivityCountSucceeded) -> dict[str, Any]:
    figures, basis = event.figures, event.basis
    return {
        "target": figures.target,
        "applicable": figures.applicable,
        "qualified": figures.qualified,
        "excluded": [
            {"exclusion": exclusion.value, "count": count}
            for exclusion, count in sorted(figures.excluded.items())
        ],
        "plan_revision": basis.revision,
        "business_date": basis.business_date,
        "snapshot": figures.snapshot or None,
        "counted_groups": [
            {
                "customer_group_id": str(each.group.id),
                "customer_group_revision": each.group.revision,
                "data_from": each.data_from.isoformat(),
                "data_to": each.data_to.isoformat(),
            }
            for each in basis.groups
        ],
        "counted_runs": [
            {"run_id": str(each.run), "work_order_id": str(each.work_order)} for each in basis.runs
        ],
    }


def count(record: Record[f.Event]) -> ActivityCountRow | None:
    event = record.event
    if not isinstance(event, f.ActivityCountSucceeded):
        return None
    return ActivityCountRow(
        id=record.event_id,
        figures_id=record.stream_id,
        version=record.version,
        activity_id=event.activity,
        org_unit=record.context.org_unit,
        number=event.number,
        target_hash=event.figures.target_hash or None,
        qualified_hash=event.figures.qualified_hash or None,
        counted_at=record.recorded_at,
        **_counted(event),
    )


ACTIVITY_FIGURES = RowProjection(
    name="activity_figures",
    table="activity_figures",
    versions="activity_figure_versions",
    row=ActivityFiguresRow,
    stream_types=frozenset({f.DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
ACTIVITY_COUNTS = EntryProjection(
    name="activity_counts",
    table="activity_counts",
    row=ActivityCountRow,
    stream_types=frozenset({f.DECIDER.stream_type}),
    stream="figures_id",
    project=count,
)
