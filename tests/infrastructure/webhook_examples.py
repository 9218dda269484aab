"""One full example of each event of webhook endpoints."""

from typing import Any
from uuid import UUID

from domain import webhook_endpoints as we
from domain.webhook_contents import Disclosure, WebhookContent
from domain.webhook_statuses import DisablingCause

ONE = UUID("0195505a-0000-7000-8000-000000000001")
OTHER = UUID("0195505a-0000-7000-8000-000000000002")
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
CONTENT = WebhookContent(
    "伙伴 Partner",
    "https://hooks.example.com/cardinal?from=bank",
    ("activity.approved", "points_job.*"),
    (Disclosure.BUDGET, Disclosure.CUSTOMERS),
)

EXAMPLES: dict[tuple[str, int], Any] = {
    ("webhook_endpoint.drafted", 1): we.WebhookEndpointDrafted("PARTNER", "SH", CONTENT, ONE, "lin"),
    ("webhook_endpoint.revised", 1): we.WebhookEndpointRevised(2, CONTENT, "lin"),
    ("webhook_endpoint.submitted", 1): we.WebhookEndpointSubmitted(2, OTHER, HASH, "research", "lin"),
    ("webhook_endpoint.withdrawn", 1): we.WebhookEndpointWithdrawn(2, OTHER, "lin"),
    ("webhook_endpoint.approved", 1): we.WebhookEndpointApproved(2, OTHER, HASH),
    ("webhook_endpoint.rejected", 1): we.WebhookEndpointRejected(2, OTHER, "technology", "谁的 whose?"),
    ("webhook_endpoint.disabled", 1): we.WebhookEndpointDisabled(
        DisablingCause.GONE, "HTTP 410", "system:webhooks", OTHER
    ),
    ("webhook_endpoint.enabled", 1): we.WebhookEndpointEnabled("lin"),
    ("webhook_endpoint.secret_rotated", 1): we.WebhookSecretRotated(OTHER, "lin"),
    ("webhook_endpoint.old_secret_ended", 1): we.OldWebhookSecretEnded(ONE, "lin"),
    ("webhook_endpoint.replay_requested", 1): we.WebhookReplayRequested("0" * 24, "lin"),
    ("webhook_endpoint.resend_requested", 1): we.WebhookResendRequested(OTHER, "lin"),
    ("webhook_endpoint.deleted", 1): we.WebhookEndpointDeleted("lin"),
}
