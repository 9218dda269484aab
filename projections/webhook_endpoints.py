"""Webhook endpoints as lists and pages show them: the newest revision, and what events are sent by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain import approvals
from domain import webhook_endpoints as we
from domain.webhook_contents import WebhookContent
from projections.shared.rows import RowProjection, altered, changed, created, given


@dataclass(frozen=True)
class WebhookEndpointRow:
    """`version` is the endpoint's own: an approval that moves `status` on leaves it.

    The content is that of `revision`; events are sent by `approved_revision`, to `approved_url`, unless there
    is a `disabled_cause`. `secrets` is how many of them sign. `reason` is why it was last rejected, until it
    is submitted again.
    """

    id: UUID
    version: int
    revision: int
    code: str
    org_unit: str
    status: str
    name: str
    url: str
    types: tuple[str, ...]
    discloses: tuple[str, ...]
    secrets: int
    approved_revision: int | None
    approved_hash: str | None
    approved_at: datetime | None
    approved_url: str | None
    approval_id: UUID | None
    disabled_cause: str | None
    disabled_at: datetime | None
    disabled_reason: str | None
    created_at: datetime
    created_by: str
    submitted_at: datetime | None
    submitted_by: str | None
    reason: str | None
    changed_at: datetime
    changed_by: str


NOT_SUBMITTED: dict[str, Any] = {
    "status": "draft",
    "approval_id": None,
    "submitted_at": None,
    "submitted_by": None,
}
ENABLED: dict[str, Any] = {"disabled_cause": None, "disabled_at": None, "disabled_reason": None}
OWN = we.DECIDER.stream_type


def key(record: Record[Any]) -> UUID | None:
    """The endpoint itself, or the one that the approval is about."""
    if record.stream_type == OWN:
        return record.stream_id
    subject: approvals.Subject = record.event.subject
    return subject.id if subject.kind == OWN else None


def sources(record: Record[Any]) -> tuple[UUID, ...]:
    """The approval that an endpoint was submitted to."""
    match record.event:
        case we.WebhookEndpointSubmitted(approval=approval):
            return (approval,)
    return ()


def project(
    row: WebhookEndpointRow | None, record: Record[we.Event | approvals.Event]
) -> WebhookEndpointRow | None:
    match record.event:
        case (
            approvals.ApprovalOpened()
            | approvals.ApprovalPassed()
            | approvals.ApprovalGranted()
            | approvals.ApprovalRejected()
            | approvals.ApprovalVoided()
        ):
            return _awaiting(row, record, record.event)
        case we.WebhookEndpointDrafted():
            return _drafted(record, record.event)
        case we.WebhookEndpointDeleted():
            return None
        case _:
            columns = _columns(given(row), record, record.event)
            return altered(given(row), version=record.version, **changed(record), **columns)


def _drafted(record: Record[Any], drafted: we.WebhookEndpointDrafted) -> WebhookEndpointRow:
    return WebhookEndpointRow(
        id=record.stream_id,
        version=record.version,
        revision=1,
        code=drafted.code,
        org_unit=drafted.org_unit,
        secrets=1,
        approved_revision=None,
        approved_hash=None,
        approved_at=None,
        approved_url=None,
        reason=None,
        **ENABLED,
        **NOT_SUBMITTED,
        **_content(drafted.content),
        **created(record),
        **changed(record),
    )


def _columns(
    row: WebhookEndpointRow,
    record: Record[Any],
    event: we.WebhookEndpointRevised
    | we.WebhookEndpointSubmitted
    | we.WebhookEndpointWithdrawn
    | we.WebhookEndpointApproved
    | we.WebhookEndpointRejected
    | we.WebhookEndpointDisabled
    | we.WebhookEndpointEnabled
    | we.WebhookSecretRotated
    | we.OldWebhookSecretEnded
    | we.WebhookReplayRequested
    | we.WebhookResendRequested,
) -> dict[str, Any]:
    """What the endpoint's own event changes."""
    match event:
        case we.WebhookEndpointRevised(revision=revision, content=content):
            return {"revision": revision, **NOT_SUBMITTED, **_content(content)}
        case we.WebhookEndpointSubmitted(approval=approval, by=by, level=level):
            submitted = {"submitted_at": record.recorded_at, "submitted_by": by}
            return {"status": f"pending_{level}", "approval_id": approval, "reason": None, **submitted}
        case we.WebhookEndpointWithdrawn():
            return NOT_SUBMITTED
        case we.WebhookEndpointApproved(revision=revision, content_hash=hash_):
            in_force = {"approved_revision": revision, "approved_hash": hash_, "approved_url": row.url}
            return {"status": "approved", "approved_at": record.recorded_at, **in_force}
        case we.WebhookEndpointRejected(level=level, reason=reason):
            return {"status": f"{level}_rejected", "reason": reason}
        case we.WebhookEndpointDisabled(cause=cause, reason=reason):
            disabled = {"disabled_cause": cause.value, "disabled_reason": reason}
            return {"disabled_at": record.recorded_at, **disabled}
        case we.WebhookEndpointEnabled():
            return ENABLED
        case we.WebhookSecretRotated():
            return {"secrets": min(we.SECRETS_MAX, row.secrets + 1)}
        case we.OldWebhookSecretEnded():
            return {"secrets": row.secrets - 1}
        case we.WebhookReplayRequested() | we.WebhookResendRequested():
            return {}
        case _:
            assert_never(event)


def _awaiting(
    row: WebhookEndpointRow | None, record: Record[Any], event: approvals.Event
) -> WebhookEndpointRow | None:
    """The level whose word is awaited; verdicts come as the endpoint's own events."""
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


def _content(content: WebhookContent) -> dict[str, Any]:
    return {
        "name": content.name,
        "url": content.url,
        "types": content.types,
        "discloses": tuple(each.value for each in content.discloses),
    }


WEBHOOK_ENDPOINTS = RowProjection(
    name="webhook_endpoints",
    table="webhook_endpoints",
    versions="webhook_endpoint_versions",
    row=WebhookEndpointRow,
    stream_types=frozenset({OWN, approvals.DECIDER.stream_type}),
    key=key,
    project=project,
    sources=sources,
)
