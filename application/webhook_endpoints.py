"""The use cases of webhook endpoints, and whose events an endpoint gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from application.access import HEAD_OFFICE, Permission, Principal, units_of, visible
from application.shared.approvable import Approvable, new_approval, open_approval, void_approval
from application.shared.identifiers import uuid7
from application.shared.records import BANK_WIDE, Position
from application.shared.webhooks import Delivery
from application.shared.work import Work
from domain.approvals import Subject
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import Claim, Release, claim_id
from domain.shared.refusal import CommonRefusal, Refused
from domain.webhook_contents import Disclosure, EndpointRules, WebhookContent
from domain.webhook_endpoints import (
    DECIDER,
    Command,
    DeleteEndpoint,
    DisableEndpoint,
    DraftEndpoint,
    EnableEndpoint,
    EndOldEndpointSecret,
    RecordApproval,
    RecordRejection,
    ReplayEvents,
    ResendDelivery,
    ReviseEndpoint,
    RotateEndpointSecret,
    SubmitEndpoint,
    WebhookEndpoint,
    WebhookEndpointSubmitted,
    WithdrawEndpoint,
    endpoint_hash,
)
from domain.webhook_statuses import DisablingCause

CODES = "webhook_endpoint.code"
SYSTEM_USER = "system:webhooks"

READ_BY: Mapping[Disclosure, Permission] = {
    Disclosure.BUDGET: Permission.BUDGET_READ,
    Disclosure.CUSTOMERS: Permission.CUSTOMERS_READ,
}
"""The permission that a person needs who has something disclosed, and that an endpoint has by it."""


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """What this house sends at all. `may_be_near` allows plain HTTP and private addresses."""

    known_types: frozenset[str]
    may_be_near: bool = False


def draft(work: Work, policy: WebhookPolicy, code: str, content: WebhookContent, secret: UUID) -> UUID:
    """A new endpoint of the principal's own unit; `secret` is the id of its first secret."""
    endpoint_id, claim = uuid7(), claim_id(CODES, code)
    command = DraftEndpoint(
        code=code,
        org_unit=work.principal.org_unit,
        content=content,
        secret=secret,
        rules=_rules(work, policy),
        by=work.principal.user,
        is_code_free=work.state(CLAIM, claim).is_free_for(endpoint_id),
    )
    work.begin(DECIDER, endpoint_id, command)
    work.decide(CLAIM, claim, Claim(endpoint_id))
    return endpoint_id


def revise(work: Work, policy: WebhookPolicy, endpoint_id: UUID, content: WebhookContent) -> UUID:
    """The whole content anew; an approval that is under way is void, what was approved stays in force."""
    endpoint = _subject(work, endpoint_id)
    command = ReviseEndpoint(content, _rules(work, policy), work.principal.user)
    if work.decide(DECIDER, endpoint_id, command):
        void_approval(work, endpoint.approval, "subject_revised")
    return endpoint_id


def submit(work: Work, policy: WebhookPolicy, endpoint_id: UUID) -> UUID:
    """Open the approval of the newest revision."""
    _subject(work, endpoint_id)
    level = work.policy.levels_of(DECIDER.stream_type)[0]
    command = SubmitEndpoint(new_approval(), level, _rules(work, policy), work.principal.user)
    for event in work.decide(DECIDER, endpoint_id, command):
        assert isinstance(event, WebhookEndpointSubmitted)
        endpoint = work.state(DECIDER, endpoint_id)
        subject = Subject(
            DECIDER.stream_type,
            endpoint_id,
            event.revision,
            event.content_hash,
            endpoint.code,
            endpoint.org_unit,
        )
        open_approval(work, event.approval, subject, endpoint.makers)
    return endpoint_id


def withdraw(work: Work, endpoint_id: UUID) -> UUID:
    """Back to draft; the approval that was asked for is void."""
    endpoint = _subject(work, endpoint_id)
    work.decide(DECIDER, endpoint_id, WithdrawEndpoint(work.principal.user))
    void_approval(work, endpoint.approval, "subject_withdrawn")
    return endpoint_id


def disable(work: Work, endpoint_id: UUID, reason: str) -> UUID:
    return _decided(work, endpoint_id, DisableEndpoint(DisablingCause.BY_HAND, reason, work.principal.user))


def suspend(work: Work, endpoint_id: UUID, cause: DisablingCause, reason: str, event: UUID) -> UUID:
    """Disabled by who delivers: the address is gone, or an event failed to the last."""
    return _decided(work, endpoint_id, DisableEndpoint(cause, reason, work.principal.user, event))


def enable(work: Work, endpoint_id: UUID) -> UUID:
    """Go on behind the last event that was looked at, with those first that were held back."""
    return _decided(work, endpoint_id, EnableEndpoint(work.principal.user))


def rotate_secret(work: Work, endpoint_id: UUID, secret: UUID) -> UUID:
    return _decided(work, endpoint_id, RotateEndpointSecret(secret, work.principal.user))


def end_old_secret(work: Work, endpoint_id: UUID) -> UUID:
    return _decided(work, endpoint_id, EndOldEndpointSecret(work.principal.user))


def replay(work: Work, endpoint_id: UUID, after: Position) -> UUID:
    """Send again what was recorded after the position, as far as the endpoint gets it."""
    return _decided(work, endpoint_id, ReplayEvents(str(after), work.principal.user))


def resend(work: Work, delivery: Delivery | None) -> UUID:
    """Try one event again, now. Refuse what was never to be delivered, or to whom the principal sees not."""
    if delivery is None:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    command = ResendDelivery(delivery.event, work.principal.user)
    return _decided(work, delivery.endpoint, command)


def delete(work: Work, endpoint_id: UUID) -> UUID:
    """Nothing is sent any more; what was sent stays to be seen."""
    endpoint = _subject(work, endpoint_id)
    if work.decide(DECIDER, endpoint_id, DeleteEndpoint(work.principal.user)):
        work.decide(CLAIM, claim_id(CODES, endpoint.code), Release(endpoint_id))
        void_approval(work, endpoint.approval, "subject_deleted")
    return endpoint_id


# --- Whose events ---------------------------------------------------------


def recipient(endpoint: WebhookEndpoint, units: frozenset[str]) -> Principal:
    """The endpoint as one who reads events: of its own unit, head office's of all, with the permissions that
    were approved. A content that is not approved reads nothing.
    """
    told = () if endpoint.approved is None else endpoint.approved.discloses
    return Principal(
        user=f"webhook:{endpoint.code}",
        roles=frozenset(),
        org_unit=endpoint.org_unit,
        units=units_of(endpoint.org_unit, units) if endpoint.is_sent_to else frozenset(),
        system_permissions=frozenset({Permission.EVENTS_READ, *(READ_BY[each] for each in told)}),
    )


def deliverer(units: frozenset[str]) -> Principal:
    """Who disables endpoints that can't be delivered to: no roles, all units, this one permission."""
    return Principal(
        user=SYSTEM_USER,
        roles=frozenset(),
        org_unit=HEAD_OFFICE,
        units=units,
        system_permissions=frozenset({Permission.WEBHOOKS_DELIVER}),
    )


def gets(recipient: Principal, stream_type: str, org_unit: str) -> bool:
    """Whether events of such a stream, and of such a unit's business, are the recipient's to see."""
    seen = visible(stream_type, recipient)
    return bool(seen) and (org_unit == BANK_WIDE or org_unit in seen)


# --- What the decisions are told --------------------------------------------


def _subject(work: Work, endpoint_id: UUID) -> WebhookEndpoint:
    return work.subject(DECIDER, endpoint_id, lambda endpoint: endpoint.org_unit)


def _decided(work: Work, endpoint_id: UUID, command: Command) -> UUID:
    _subject(work, endpoint_id)
    work.decide(DECIDER, endpoint_id, command)
    return endpoint_id


def _rules(work: Work, policy: WebhookPolicy) -> EndpointRules:
    permitted = work.principal.permissions
    may = frozenset(each for each, permission in READ_BY.items() if permission in permitted)
    return EndpointRules(policy.known_types, may, policy.may_be_near)


def _hash_now(work: Work, endpoint_id: UUID) -> str:
    return endpoint_hash(work.state(DECIDER, endpoint_id))


def _grant(work: Work, endpoint_id: UUID, approval: UUID) -> None:
    work.decide(DECIDER, endpoint_id, RecordApproval(approval))


def _reject(work: Work, endpoint_id: UUID, approval: UUID, level: str, reason: str) -> None:
    work.decide(DECIDER, endpoint_id, RecordRejection(approval, level, reason))


APPROVABLE = Approvable(_hash_now, _grant, _reject)
