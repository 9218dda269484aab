"""Webhook endpoints in GraphQL: where events are sent, what was sent, and how it went."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import strawberry
from anyio import to_thread
from graphql import GraphQLError

from api.approvals import Approval
from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.messages import message
from api.planner.positions import Position
from api.planner.views import Connection, Node, choice, column, many, one, payload, ref, view
from api.refusals import require
from api.webhook_events import KNOWN_TYPES
from application import webhook_endpoints
from application.access import Permission
from application.shared import records
from application.shared.identifiers import uuid7
from application.shared.webhooks import WebhookDesk
from application.shared.work import Work
from application.webhook_endpoints import WebhookPolicy
from domain.webhook_contents import Disclosure, WebhookContent
from domain.webhook_statuses import DisablingCause

PROJECTIONS = ("webhook_endpoints", "approvals", "timeline")

strawberry.enum(
    Disclosure,
    name="WebhookDisclosure",
    description="What events tell only where it was asked for and approved; who asks must read it himself.",
)
strawberry.enum(
    DisablingCause,
    name="WebhookDisablingCause",
    description="GONE: it answered 410. EXHAUSTED: an event failed at each of its times, over days.",
)


@strawberry.enum(description="Where the newest revision is; approvedRevision tells what events are sent by.")
class WebhookEndpointStatus(StrEnum):
    DRAFT = "draft"
    PENDING_RESEARCH = "pending_research"
    PENDING_TECHNOLOGY = "pending_technology"
    RESEARCH_REJECTED = "research_rejected"
    TECHNOLOGY_REJECTED = "technology_rejected"
    APPROVED = "approved"


@strawberry.enum(description="DROPPED: the endpoint was deleted, or the event is not its to see any more.")
class WebhookDeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DROPPED = "dropped"


@strawberry.enum(description="DELIVERED: 200 to 299. No redirect is followed, no private address called.")
class WebhookOutcome(StrEnum):
    DELIVERED = "delivered"
    REFUSED = "refused"
    GONE = "gone"
    REDIRECTED = "redirected"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    BAD_ANSWER = "bad_answer"
    PRIVATE_ADDRESS = "private_address"
    NOT_SIGNED = "not_signed"


@strawberry.enum(description="Which endpoints need somebody.")
class WebhookBox(StrEnum):
    DISABLED = "disabled"
    MINE = "mine"


BOX = choice(
    WebhookBox,
    {
        WebhookBox.DISABLED: "{row}.disabled_cause in ('gone', 'exhausted')",
        WebhookBox.MINE: "{row}.created_by = {viewer.user}",
    },
)


@view(
    "webhook.attempts",
    prefix="wa",
    scope="org_unit",
    permission="records.read",
    order=("number",),
    description="One attempt to deliver an event.",
)
class WebhookAttempt(Node):
    number: int
    started_at: datetime
    duration_ms: int
    outcome: WebhookOutcome
    status_code: int | None = column(description="Null where there was no answer.")
    response: str = column(description="The beginning of the answer, or what went wrong: at most 1 kB.")


@view(
    "webhook.deliveries",
    prefix="wd",
    scope="org_unit",
    permission="records.read",
    order=("queued_at desc",),
    description="An event that an endpoint gets. What ended is kept for 30 days.",
)
class WebhookDelivery(Node):
    event_id: strawberry.ID = ref("event_id", "ev")
    event_type: str
    version: int = column(description="The subject's version after the event: of one subject in its order.")
    status: WebhookDeliveryStatus
    queued_at: datetime
    retry_at: datetime | None = column(description="After a failure: when it is tried again.")
    ended_at: datetime | None
    attempt_count: int
    attempts: Connection[WebhookAttempt] = many("delivery_id", description="The oldest first.")


@view(
    "read.webhook_endpoints",
    versions="read.webhook_endpoint_versions",
    prefix="we",
    scope="org_unit",
    permission="records.read",
    order=("org_unit", "code"),
    description="An address that events of its unit are sent to, head office's of all units.",
)
class WebhookEndpoint(Node):
    version: int
    revision: int
    code: str
    org_unit: str
    status: WebhookEndpointStatus
    name: str
    url: str
    types: list[str] = column(description="Public types, or every one of a kind: activity.*.")
    discloses: list[Disclosure]
    secrets: int = column(description="How many secrets sign: one, or two while one is changed.")
    approved_revision: int | None = column(description="What events are sent by; null: nothing is sent yet.")
    approved_hash: str | None
    approved_at: datetime | None
    approved_url: str | None
    approval_id: strawberry.ID | None = ref("approval_id", "apr")
    approval: Approval | None = one("approval_id")
    approvals: Connection[Approval] = many(
        "subject_id", description="Every approval that was ever asked for."
    )
    disabled_cause: DisablingCause | None = column(description="Null: events are sent.")
    disabled_at: datetime | None
    disabled_reason: str | None
    created_at: datetime
    created_by: str
    submitted_at: datetime | None
    submitted_by: str | None
    reason: str | None
    changed_at: datetime
    changed_by: str
    deliveries: Connection[WebhookDelivery] = many("endpoint_id", description="The newest first.")
    history: Connection[HistoryEntry] = many("stream_id", description="Its own events, oldest first.")


# --- Inputs and payloads --------------------------------------------------


@strawberry.input(description="The whole content.")
class WebhookContentInput:
    name: str = ""
    url: str = ""
    types: list[str] = strawberry.field(default_factory=list)
    discloses: list[Disclosure] = strawberry.field(default_factory=list)


@strawberry.input(description="A new endpoint of one's own unit.")
class DraftWebhookEndpointInput(WebhookContentInput):
    code: str = ""


@strawberry.input(description="The whole content anew.")
class ReviseWebhookEndpointInput(WebhookContentInput):
    id: strawberry.ID = strawberry.ID("")
    expected_version: int | None = None


@strawberry.input(description="One endpoint, optionally at the version that the caller has seen.")
class WebhookEndpointInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.input(description="The endpoint that is meant, and why.")
class DisableWebhookEndpointInput:
    id: strawberry.ID
    reason: str
    expected_version: int | None = None


@strawberry.input(description="Where to begin again: a position, or the beginning of the log when left out.")
class ReplayWebhookEndpointInput:
    id: strawberry.ID
    after: Position | None = None
    expected_version: int | None = None


@strawberry.input(description="The delivery that is meant.")
class ResendWebhookDeliveryInput:
    id: strawberry.ID
    expected_version: int | None = strawberry.field(
        default=strawberry.UNSET, description="The version that you saw of the endpoint."
    )


@strawberry.type
class WebhookEndpointPayload(Payload):
    webhook_endpoint: WebhookEndpoint | None = payload("subject")


@strawberry.type
class WebhookSecretPayload(WebhookEndpointPayload):
    secret: str | None = strawberry.field(
        default=None, description="Told once. Null for a command that was sent before."
    )


# --- Mutations ------------------------------------------------------------


async def _on_endpoint(
    info: Info, operation: str, input: Any, use_case: Callable[[Work], UUID]
) -> WebhookEndpointPayload:
    return await execute(info, WebhookEndpointPayload, operation, input, use_case, PROJECTIONS)


async def _with_secret(
    info: Info, operation: str, input: Any, use_case: Callable[[Work, UUID], UUID]
) -> WebhookSecretPayload:
    """A command sent again under its key makes no second secret: the use case does not run then."""
    desk, secret, has_run = _desk(info), uuid7(), list[bool]()

    def noted(work: Work) -> UUID:
        subject = use_case(work, secret)
        has_run[:] = [True]
        return subject

    answered = await execute(info, WebhookSecretPayload, operation, input, noted, PROJECTIONS)
    if answered.position is not None and has_run:
        answered.secret = await to_thread.run_sync(desk.new_secret, secret)
    return answered


@strawberry.type
class WebhookEndpointMutations:
    @strawberry.mutation(description="Draft an endpoint of one's own unit, with a first secret.")
    async def draft_webhook_endpoint(
        self, info: Info, input: DraftWebhookEndpointInput
    ) -> WebhookSecretPayload:
        policy, content = _policy(info), _content(input)
        return await _with_secret(
            info,
            "draftWebhookEndpoint",
            input,
            lambda work, secret: webhook_endpoints.draft(work, policy, input.code, content, secret),
        )

    @strawberry.mutation(
        description="Give the whole content anew. An approval under way is void; events are sent by what was"
        " approved until the new revision is."
    )
    async def revise_webhook_endpoint(
        self, info: Info, input: ReviseWebhookEndpointInput
    ) -> WebhookEndpointPayload:
        policy, key, content = _policy(info), key_of("we", input.id), _content(input)
        return await _on_endpoint(
            info,
            "reviseWebhookEndpoint",
            input,
            lambda work: webhook_endpoints.revise(work, policy, key, content),
        )

    @strawberry.mutation(description="Ask for the approval of the newest revision.")
    async def submit_webhook_endpoint(
        self, info: Info, input: WebhookEndpointInput
    ) -> WebhookEndpointPayload:
        policy, key = _policy(info), key_of("we", input.id)
        return await _on_endpoint(
            info, "submitWebhookEndpoint", input, lambda work: webhook_endpoints.submit(work, policy, key)
        )

    @strawberry.mutation(description="Take a submission back; its approval is void.")
    async def withdraw_webhook_endpoint(
        self, info: Info, input: WebhookEndpointInput
    ) -> WebhookEndpointPayload:
        key = key_of("we", input.id)
        return await _on_endpoint(
            info, "withdrawWebhookEndpoint", input, lambda work: webhook_endpoints.withdraw(work, key)
        )

    @strawberry.mutation(description="Send nothing for now; what comes meanwhile is sent when it is enabled.")
    async def disable_webhook_endpoint(
        self, info: Info, input: DisableWebhookEndpointInput
    ) -> WebhookEndpointPayload:
        key = key_of("we", input.id)
        return await _on_endpoint(
            info,
            "disableWebhookEndpoint",
            input,
            lambda work: webhook_endpoints.disable(work, key, input.reason),
        )

    @strawberry.mutation(description="Go on where it stood, with what was held back first.")
    async def enable_webhook_endpoint(
        self, info: Info, input: WebhookEndpointInput
    ) -> WebhookEndpointPayload:
        key = key_of("we", input.id)
        return await _on_endpoint(
            info, "enableWebhookEndpoint", input, lambda work: webhook_endpoints.enable(work, key)
        )

    @strawberry.mutation(description="A new secret; the last one signs beside it until it is ended.")
    async def rotate_webhook_secret(self, info: Info, input: WebhookEndpointInput) -> WebhookSecretPayload:
        key = key_of("we", input.id)
        return await _with_secret(
            info,
            "rotateWebhookSecret",
            input,
            lambda work, secret: webhook_endpoints.rotate_secret(work, key, secret),
        )

    @strawberry.mutation(description="Only the newest secret signs from now on.")
    async def end_old_webhook_secret(self, info: Info, input: WebhookEndpointInput) -> WebhookEndpointPayload:
        key = key_of("we", input.id)
        return await _on_endpoint(
            info, "endOldWebhookSecret", input, lambda work: webhook_endpoints.end_old_secret(work, key)
        )

    @strawberry.mutation(description="Send again, under the same ids, what was recorded after a position.")
    async def replay_webhook_endpoint(
        self, info: Info, input: ReplayWebhookEndpointInput
    ) -> WebhookEndpointPayload:
        key = key_of("we", input.id)
        after = records.Position(*input.after) if input.after else records.BEGINNING
        return await _on_endpoint(
            info, "replayWebhookEndpoint", input, lambda work: webhook_endpoints.replay(work, key, after)
        )

    @strawberry.mutation(description="Try one event again now, whatever became of it.")
    async def resend_webhook_delivery(
        self, info: Info, input: ResendWebhookDeliveryInput
    ) -> WebhookEndpointPayload:
        desk, key = _desk(info), key_of("wd", input.id)
        return await _on_endpoint(
            info,
            "resendWebhookDelivery",
            input,
            lambda work: webhook_endpoints.resend(work, desk.delivery(key)),
        )

    @strawberry.mutation(description="Send nothing any more; its history stays.")
    async def delete_webhook_endpoint(
        self, info: Info, input: WebhookEndpointInput
    ) -> WebhookEndpointPayload:
        key = key_of("we", input.id)
        return await _on_endpoint(
            info, "deleteWebhookEndpoint", input, lambda work: webhook_endpoints.delete(work, key)
        )


def _desk(info: Info) -> WebhookDesk:
    """Raise GraphQLError for who may not keep endpoints, and where this process keeps no secrets."""
    context = info.context
    require(Permission.WEBHOOKS_MAINTAIN, context)
    if context.webhooks is None:
        text = message("unavailable", {}, context.language)
        raise GraphQLError(text, extensions={"code": "UNAVAILABLE"})
    return context.webhooks


def _policy(info: Info) -> WebhookPolicy:
    return WebhookPolicy(KNOWN_TYPES, _desk(info).may_be_near)


def _content(input: WebhookContentInput) -> WebhookContent:
    return WebhookContent(input.name.strip(), input.url, tuple(input.types), tuple(input.discloses))
