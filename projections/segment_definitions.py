"""Segment definitions as lists and pages show them: the newest revision, and which one is in force."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain import approvals, segment_definitions
from domain.segment_contents import MappedColumn, SegmentContent
from projections.shared.rows import RowProjection, altered, changed, created, given


@dataclass(frozen=True)
class SegmentDefinitionRow:
    """`version` is the definition's own: an approval that moves `status` on leaves it.

    The content is that of `revision`; `approved_revision` is the one that runs perform. `outputs` hold
    {name, isPersonal}, `parameters` {name, type}, `mapping` {target, source, constant, format, width,
    isZeroPadded, mask, translation: [{value, text}], exemption}. `approval_id` is the one that it was last
    submitted to, `origin_id` what it was copied from. `reason` is why it was last rejected, until it is
    submitted again.
    """

    id: UUID
    version: int
    revision: int
    code: str
    org_unit: str
    kind: str
    work_order_id: UUID | None
    status: str
    name: str
    description: str
    sql: str
    source: str
    primary_index: tuple[str, ...]
    outputs: list[dict[str, Any]]
    parameters: list[dict[str, Any]]
    mapping: list[dict[str, Any]]
    approval_id: UUID | None
    approved_revision: int | None
    approved_hash: str | None
    created_at: datetime
    created_by: str
    submitted_at: datetime | None
    submitted_by: str | None
    approved_at: datetime | None
    reason: str | None
    changed_at: datetime
    changed_by: str
    origin_id: UUID | None
    origin_revision: int | None


NOT_SUBMITTED: dict[str, Any] = {
    "status": "draft",
    "approval_id": None,
    "submitted_at": None,
    "submitted_by": None,
}
OWN = segment_definitions.DECIDER.stream_type


def key(record: Record[Any]) -> UUID | None:
    """The definition itself, or the one that the approval is about."""
    if record.stream_type == OWN:
        return record.stream_id
    subject: approvals.Subject = record.event.subject
    return subject.id if subject.kind == OWN else None


def sources(record: Record[Any]) -> tuple[UUID, ...]:
    """The approval that a definition was submitted to."""
    match record.event:
        case segment_definitions.DefinitionSubmitted(approval=approval):
            return (approval,)
    return ()


def project(
    row: SegmentDefinitionRow | None, record: Record[segment_definitions.Event | approvals.Event]
) -> SegmentDefinitionRow | None:
    match record.event:
        case (
            approvals.ApprovalOpened()
            | approvals.ApprovalPassed()
            | approvals.ApprovalGranted()
            | approvals.ApprovalRejected()
            | approvals.ApprovalVoided()
        ):
            return _awaiting(row, record, record.event)
        case segment_definitions.DefinitionDrafted():
            return _drafted(record, record.event)
        case segment_definitions.DefinitionDeleted():
            return None
        case _:
            columns = _columns(record, record.event)
            return altered(given(row), version=record.version, **changed(record), **columns)


def _drafted(record: Record[Any], drafted: segment_definitions.DefinitionDrafted) -> SegmentDefinitionRow:
    return SegmentDefinitionRow(
        id=record.stream_id,
        version=record.version,
        revision=1,
        code=drafted.code,
        org_unit=drafted.org_unit,
        kind=drafted.kind.value,
        work_order_id=drafted.work_order,
        approved_revision=None,
        approved_hash=None,
        approved_at=None,
        reason=None,
        origin_id=None if drafted.origin is None else drafted.origin.id,
        origin_revision=None if drafted.origin is None else drafted.origin.revision,
        **NOT_SUBMITTED,
        **_content(drafted.content),
        **created(record),
        **changed(record),
    )


def _columns(
    record: Record[Any],
    event: segment_definitions.DefinitionRevised
    | segment_definitions.DefinitionSubmitted
    | segment_definitions.DefinitionWithdrawn
    | segment_definitions.DefinitionApproved
    | segment_definitions.DefinitionSuperseded
    | segment_definitions.DefinitionRejected,
) -> dict[str, Any]:
    """What the definition's own event changes; what is in force changes by an approval alone."""
    match event:
        case segment_definitions.DefinitionRevised(revision=revision, content=content):
            return {"revision": revision, **NOT_SUBMITTED, **_content(content)}
        case segment_definitions.DefinitionSubmitted(approval=approval, by=by, level=level):
            submitted = {"submitted_at": record.recorded_at, "submitted_by": by}
            return {"status": f"pending_{level}", "approval_id": approval, "reason": None, **submitted}
        case segment_definitions.DefinitionWithdrawn():
            return NOT_SUBMITTED
        case segment_definitions.DefinitionApproved(revision=revision, content_hash=hash_):
            in_force = {"approved_revision": revision, "approved_hash": hash_}
            return {"status": "approved", "approved_at": record.recorded_at, **in_force}
        case segment_definitions.DefinitionSuperseded():
            return {}
        case segment_definitions.DefinitionRejected(level=level, reason=reason):
            return {"status": f"{level}_rejected", "reason": reason}
        case _:
            assert_never(event)


def _awaiting(
    row: SegmentDefinitionRow | None, record: Record[Any], event: approvals.Event
) -> SegmentDefinitionRow | None:
    """The level whose word is awaited; verdicts come as the definition's own events."""
    if row is None or row.approval_id != record.stream_id:
        return row
    match event:
        case approvals.ApprovalOpened(levels=levels):
            level: str = levels[0]
        case approvals.ApprovalPassed(next_level=approvals.Level() as next_level):
            level = next_level
        case _:
            return row
    return altered(row, status=f"pending_{level}", **changed(record))


def _content(content: SegmentContent) -> dict[str, Any]:
    return {
        "name": content.name,
        "description": content.description,
        "sql": content.sql,
        "source": content.source,
        "primary_index": content.primary_index,
        "outputs": [{"name": each.name, "isPersonal": each.is_personal} for each in content.outputs],
        "parameters": [{"name": each.name, "type": each.type.value} for each in content.parameters],
        "mapping": [_mapped(each) for each in content.mapping],
    }


def _mapped(column: MappedColumn) -> dict[str, Any]:
    return {
        "target": column.target,
        "source": column.source,
        "constant": column.constant,
        "format": column.format.value,
        "width": column.width,
        "isZeroPadded": column.is_zero_padded,
        "mask": column.mask.value,
        "translation": [{"value": value, "text": text} for value, text in sorted(column.translation.items())],
        "exemption": column.exemption,
    }


SEGMENT_DEFINITIONS = RowProjection(
    name="segment_definitions",
    table="segment_definitions",
    row=SegmentDefinitionRow,
    stream_types=frozenset({OWN, approvals.DECIDER.stream_type}),
    key=key,
    project=project,
    versions="segment_definition_versions",
    sources=sources,
)
