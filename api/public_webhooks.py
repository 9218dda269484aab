"""What integrators see of webhook endpoints: their host, never the address itself, which may hold a token."""

from urllib.parse import urlsplit

from api.public_mappings import Data, Mapping, mapping, public_id
from domain import webhook_endpoints as we
from domain.webhook_contents import WebhookContent


def _content(content: WebhookContent) -> Data:
    return {
        "name": content.name,
        "host": urlsplit(content.url).hostname or "",
        "types": list(content.types),
        "discloses": [each.name for each in content.discloses],
    }


WEBHOOK_MAPPINGS: dict[type, Mapping] = {
    we.WebhookEndpointDrafted: mapping(
        "drafted", lambda e: {"code": e.code, "orgUnit": e.org_unit, **_content(e.content)}
    ),
    we.WebhookEndpointRevised: mapping("revised", lambda e: {"revision": e.revision, **_content(e.content)}),
    we.WebhookEndpointSubmitted: mapping(
        "submitted",
        lambda e: {
            "revision": e.revision,
            "approvalId": public_id("approval", e.approval),
            "contentHash": e.content_hash,
        },
    ),
    we.WebhookEndpointWithdrawn: mapping(
        "withdrawn", lambda e: {"revision": e.revision, "approvalId": public_id("approval", e.approval)}
    ),
    we.WebhookEndpointApproved: mapping(
        "approved",
        lambda e: {
            "revision": e.revision,
            "approvalId": public_id("approval", e.approval),
            "contentHash": e.content_hash,
        },
    ),
    we.WebhookEndpointRejected: mapping(
        "rejected",
        lambda e: {
            "revision": e.revision,
            "approvalId": public_id("approval", e.approval),
            "level": e.level.upper(),
            "reason": e.reason,
        },
    ),
    we.WebhookEndpointDisabled: mapping("disabled", lambda e: {"cause": e.cause.name, "reason": e.reason}),
    we.WebhookEndpointEnabled: mapping("enabled", lambda _: {}),
    we.WebhookSecretRotated: mapping("secret_rotated", lambda _: {}),
    we.OldWebhookSecretEnded: mapping("old_secret_ended", lambda _: {}),
    we.WebhookReplayRequested: mapping("replay_requested", lambda e: {"after": e.after}),
    we.WebhookResendRequested: mapping("resend_requested", lambda _: {}),
    we.WebhookEndpointDeleted: mapping("deleted", lambda _: {}),
}
"""What happened, and what integrators are told of it, by event."""
