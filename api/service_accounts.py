"""Service accounts in GraphQL: programs that act in their own name, and the secrets they come in by."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import strawberry
from anyio import to_thread

from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.views import Connection, Node, column, many, payload, view
from api.users import told
from application import service_accounts
from application.shared.identifiers import uuid7
from application.shared.work import Work
from domain.service_accounts import ServiceTerms

PROJECTIONS = ("service_accounts", "timeline")


@strawberry.enum(description="Only what is ACTIVE, and not past its time, is let in.")
class ServiceAccountStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


@view(
    "read.service_accounts",
    versions="read.service_account_versions",
    prefix="sa",
    scope="org_unit",
    permission="accounts.read",
    order=("org_unit", "code"),
    description="A program that comes in by POST /token.",
)
class ServiceAccount(Node):
    version: int
    revision: int
    code: str = column(description="Its client id; events name it client:CODE.")
    name: str
    org_unit: str
    scopes: list[str] = column(description="Permissions by their names, such as events.read.")
    requests_per_minute: int
    expires_at: datetime | None
    secrets: int = column(description="How many secrets are good: one, or two while one is changed.")
    status: ServiceAccountStatus
    reason: str | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@strawberry.input(description="What a program may do from now on: what is left out is taken.")
class ServiceTermsInput:
    name: str
    org_unit: str
    scopes: list[str]
    requests_per_minute: int = 600
    expires_at: datetime | None = None


@strawberry.input(description="A new program.")
class CreateServiceAccountInput:
    code: str
    terms: ServiceTermsInput


@strawberry.input(description="The program that is meant, and what it may do from now on.")
class ReviseServiceAccountInput:
    id: strawberry.ID
    terms: ServiceTermsInput
    expected_version: int | None = None


@strawberry.input(description="The service account that is meant.")
class ServiceAccountInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.input(description="The service account that is meant, and why.")
class ServiceAccountReasonInput:
    id: strawberry.ID
    reason: str
    expected_version: int | None = None


@strawberry.type
class ServiceAccountPayload(Payload):
    service_account: ServiceAccount | None = payload("subject")


@strawberry.type
class ServiceSecretPayload(ServiceAccountPayload):
    secret: str | None = strawberry.field(
        default=None, description="Told once. Null for a command that was sent before."
    )


def terms_of(given: ServiceTermsInput) -> ServiceTerms:
    return ServiceTerms(
        given.name.strip(), given.org_unit, tuple(given.scopes), given.requests_per_minute, given.expires_at
    )


async def _on_account(
    info: Info, operation: str, input: Any, use_case: Callable[[Work], UUID]
) -> ServiceAccountPayload:
    answered = await execute(info, ServiceAccountPayload, operation, input, use_case, PROJECTIONS)
    await told(info, answered)
    return answered


async def _with_secret(
    info: Info, operation: str, input: Any, use_case: Callable[[Work, UUID], UUID]
) -> ServiceSecretPayload:
    """A command sent again under its key makes no second secret: the use case does not run then."""
    secret, has_run = uuid7(), list[bool]()

    def noted(work: Work) -> UUID:
        subject = use_case(work, secret)
        has_run[:] = [True]
        return subject

    answered = await execute(info, ServiceSecretPayload, operation, input, noted, PROJECTIONS)
    accounts = info.context.accounts
    if answered.position is not None and has_run and accounts is not None:
        answered.secret = await to_thread.run_sync(accounts.new_secret, secret)
    await told(info, answered)
    return answered


@strawberry.type
class ServiceAccountMutations:
    @strawberry.mutation(description="Let a program in, with a first secret.")
    async def create_service_account(
        self, info: Info, input: CreateServiceAccountInput
    ) -> ServiceSecretPayload:
        terms = terms_of(input.terms)
        return await _with_secret(
            info,
            "createServiceAccount",
            input,
            lambda work, secret: service_accounts.create(work, input.code, terms, secret),
        )

    @strawberry.mutation(description="Other permissions, limits or an end: from the next call on.")
    async def revise_service_account(
        self, info: Info, input: ReviseServiceAccountInput
    ) -> ServiceAccountPayload:
        key, terms = key_of("sa", input.id), terms_of(input.terms)
        return await _on_account(
            info, "reviseServiceAccount", input, lambda work: service_accounts.revise(work, key, terms)
        )

    @strawberry.mutation(description="Let it in no more; its tokens are refused at the next call.")
    async def disable_service_account(
        self, info: Info, input: ServiceAccountReasonInput
    ) -> ServiceAccountPayload:
        key = key_of("sa", input.id)
        return await _on_account(
            info,
            "disableServiceAccount",
            input,
            lambda work: service_accounts.disable(work, key, input.reason),
        )

    @strawberry.mutation(description="Let it in again.")
    async def enable_service_account(self, info: Info, input: ServiceAccountInput) -> ServiceAccountPayload:
        key = key_of("sa", input.id)
        return await _on_account(
            info, "enableServiceAccount", input, lambda work: service_accounts.enable(work, key)
        )

    @strawberry.mutation(description="A new secret; the last one stays good beside it, older ones do not.")
    async def rotate_secret(self, info: Info, input: ServiceAccountInput) -> ServiceSecretPayload:
        key = key_of("sa", input.id)
        return await _with_secret(
            info,
            "rotateSecret",
            input,
            lambda work, secret: service_accounts.rotate_secret(work, key, secret),
        )

    @strawberry.mutation(description="Only the newest secret is good from now on.")
    async def end_old_secret(self, info: Info, input: ServiceAccountInput) -> ServiceAccountPayload:
        key = key_of("sa", input.id)
        return await _on_account(
            info, "endOldSecret", input, lambda work: service_accounts.end_old_secret(work, key)
        )
