"""Service accounts as administrators list them: how many secrets are good, and none of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain.service_accounts import (
    DECIDER,
    SECRETS_MAX,
    Event,
    OldServiceSecretEnded,
    ServiceAccountCreated,
    ServiceAccountDisabled,
    ServiceAccountEnabled,
    ServiceAccountRevised,
    ServiceSecretRotated,
    ServiceTerms,
)
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class ServiceAccountRow:
    """`secrets` is how many of them are good."""

    id: UUID
    version: int
    revision: int
    code: str
    name: str
    org_unit: str
    scopes: tuple[str, ...]
    requests_per_minute: int
    expires_at: datetime | None
    secrets: int
    status: str
    reason: str | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def project(row: ServiceAccountRow | None, record: Record[Event]) -> ServiceAccountRow:
    now = {"version": record.version, **changed(record)}
    match record.event:
        case ServiceAccountCreated(code=code, terms=terms):
            return ServiceAccountRow(
                id=record.stream_id,
                revision=1,
                code=code,
                secrets=1,
                status="active",
                reason=None,
                **_terms(terms),
                **created(record),
                **now,
            )
        case ServiceAccountRevised(revision=revision, terms=terms):
            return altered(given(row), revision=revision, **_terms(terms), **now)
        case ServiceAccountDisabled(reason=reason):
            return altered(given(row), status="disabled", reason=reason, **now)
        case ServiceAccountEnabled():
            return altered(given(row), status="active", reason=None, **now)
        case ServiceSecretRotated():
            return altered(given(row), secrets=min(SECRETS_MAX, given(row).secrets + 1), **now)
        case OldServiceSecretEnded():
            return altered(given(row), secrets=given(row).secrets - 1, **now)
        case _:
            assert_never(record.event)


def _terms(terms: ServiceTerms) -> dict[str, Any]:
    return {
        "name": terms.name,
        "org_unit": terms.org_unit,
        "scopes": terms.scopes,
        "requests_per_minute": terms.requests_per_minute,
        "expires_at": terms.expires_at,
    }


SERVICE_ACCOUNTS = RowProjection(
    name="service_accounts",
    table="service_accounts",
    versions="service_account_versions",
    row=ServiceAccountRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
