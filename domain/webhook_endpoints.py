"""Webhook endpoints: addresses of integrators that events are sent to, once two departments approved them.

The approved revision is what is sent by while a newer one is drafted or judged. Of a secret only the id is
known here; the secret itself lies enciphered in a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.activities import ActivityRefusal
from domain.shared.content import content_hash
from domain.shared.decider import Decider
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import code_faults, name_faults
from domain.webhook_contents import EndpointRules, WebhookContent, WebhookRefusal, content_faults
from domain.webhook_statuses import EDITABLE, DisablingCause, Status

# --- Values ---------------------------------------------------------------

REVISIONS_MAX = 1_000
REASON_CHARACTERS_MAX = 500
SECRETS_MAX = 2

# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DraftEndpoint:
    """`secret` is the id of its first secret; `rules` are those of the house and of who drafts."""

    code: str
    org_unit: str
    content: WebhookContent
    secret: UUID
    rules: EndpointRules
    by: str
    is_code_free: bool


@dataclass(frozen=True, slots=True)
class ReviseEndpoint:
    content: WebhookContent
    rules: EndpointRules
    by: str


@dataclass(frozen=True, slots=True)
class SubmitEndpoint:
    """Ask for approval, first of `level`; the rules are looked at once more."""

    approval: UUID
    level: str
    rules: EndpointRules
    by: str


@dataclass(frozen=True, slots=True)
class WithdrawEndpoint:
    by: str


@dataclass(frozen=True, slots=True)
class RecordApproval:
    approval: UUID


@dataclass(frozen=True, slots=True)
class RecordRejection:
    """`level` is the one that said no."""

    approval: UUID
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class DisableEndpoint:
    """Nothing is sent from now on. `event` is the one that could not be delivered, None by hand."""

    cause: DisablingCause
    reason: str
    by: str
    event: UUID | None = None


@dataclass(frozen=True, slots=True)
class EnableEndpoint:
    """Go on behind the last event that was looked at."""

    by: str


@dataclass(frozen=True, slots=True)
class RotateEndpointSecret:
    """A new secret beside the last one; one that is older than these two signs no more."""

    secret: UUID
    by: str


@dataclass(frozen=True, slots=True)
class EndOldEndpointSecret:
    """Only the newest secret signs from now on."""

    by: str


@dataclass(frozen=True, slots=True)
class ReplayEvents:
    """Send again all that was recorded after the position, 24 hexadecimal digits."""

    after: str
    by: str


@dataclass(frozen=True, slots=True)
class ResendDelivery:
    """Try one event again now, that was to be delivered to this endpoint."""

    event: UUID
    by: str


@dataclass(frozen=True, slots=True)
class DeleteEndpoint:
    by: str


Command = (
    DraftEndpoint
    | ReviseEndpoint
    | SubmitEndpoint
    | WithdrawEndpoint
    | RecordApproval
    | RecordRejection
    | DisableEndpoint
    | EnableEndpoint
    | RotateEndpointSecret
    | EndOldEndpointSecret
    | ReplayEvents
    | ResendDelivery
    | DeleteEndpoint
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class WebhookEndpointDrafted:
    code: str
    org_unit: str
    content: WebhookContent
    secret: UUID
    by: str


@dataclass(frozen=True, slots=True)
class WebhookEndpointRevised:
    """The content in its next revision; an approval that was asked for is void from here on."""

    revision: int
    content: WebhookContent
    by: str


@dataclass(frozen=True, slots=True)
class WebhookEndpointSubmitted:
    """`content_hash` is what approvers see; `level` is asked first."""

    revision: int
    approval: UUID
    content_hash: str
    level: str
    by: str


@dataclass(frozen=True, slots=True)
class WebhookEndpointWithdrawn:
    revision: int
    approval: UUID
    by: str


@dataclass(frozen=True, slots=True)
class WebhookEndpointApproved:
    """From here on events are sent by this revision."""

    revision: int
    approval: UUID
    content_hash: str


@dataclass(frozen=True, slots=True)
class WebhookEndpointRejected:
    revision: int
    approval: UUID
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class WebhookEndpointDisabled:
    cause: DisablingCause
    reason: str
    by: str
    event: UUID | None = None


@dataclass(frozen=True, slots=True)
class WebhookEndpointEnabled:
    by: str


@dataclass(frozen=True, slots=True)
class WebhookSecretRotated:
    secret: UUID
    by: str


@dataclass(frozen=True, slots=True)
class OldWebhookSecretEnded:
    secret: UUID
    by: str


@dataclass(frozen=True, slots=True)
class WebhookReplayRequested:
    after: str
    by: str


@dataclass(frozen=True, slots=True)
class WebhookResendRequested:
    event: UUID
    by: str


@dataclass(frozen=True, slots=True)
class WebhookEndpointDeleted:
    by: str


Event = (
    WebhookEndpointDrafted
    | WebhookEndpointRevised
    | WebhookEndpointSubmitted
    | WebhookEndpointWithdrawn
    | WebhookEndpointApproved
    | WebhookEndpointRejected
    | WebhookEndpointDisabled
    | WebhookEndpointEnabled
    | WebhookSecretRotated
    | OldWebhookSecretEnded
    | WebhookReplayRequested
    | WebhookResendRequested
    | WebhookEndpointDeleted
)

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """`status` and `content` are those of the newest revision; `approved` is what events are sent by, None as
    long as nothing was approved. `secrets` are those that sign, the newest last.
    """

    status: Status = Status.UNKNOWN
    revision: int = 0
    code: str = ""
    org_unit: str = ""
    content: WebhookContent | None = None
    approval: UUID | None = None
    submitted_hash: str = ""
    approved: WebhookContent | None = None
    is_disabled: bool = False
    secrets: tuple[UUID, ...] = ()
    makers: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        return self.status not in (Status.UNKNOWN, Status.DELETED)

    @property
    def is_sent_to(self) -> bool:
        return self.is_known and self.approved is not None and not self.is_disabled


def evolve(endpoint: WebhookEndpoint, event: Event) -> WebhookEndpoint:
    match event:
        case WebhookEndpointDrafted(code=code, org_unit=org_unit, content=content, secret=secret, by=by):
            return WebhookEndpoint(Status.DRAFT, 1, code, org_unit, content, secrets=(secret,), makers=(by,))
        case WebhookEndpointRevised(revision=revision, content=content, by=by):
            makers = endpoint.makers if by in endpoint.makers else (*endpoint.makers, by)
            return replace(
                endpoint,
                status=Status.DRAFT,
                revision=revision,
                content=content,
                approval=None,
                makers=makers,
            )
        case WebhookEndpointSubmitted(approval=approval, content_hash=hash_):
            return replace(endpoint, status=Status.IN_APPROVAL, approval=approval, submitted_hash=hash_)
        case WebhookEndpointWithdrawn():
            return replace(endpoint, status=Status.DRAFT, approval=None)
        case WebhookEndpointApproved():
            return replace(endpoint, status=Status.APPROVED, approval=None, approved=endpoint.content)
        case WebhookEndpointRejected():
            return replace(endpoint, status=Status.REJECTED, approval=None)
        case WebhookEndpointDisabled():
            return replace(endpoint, is_disabled=True)
        case WebhookEndpointEnabled():
            return replace(endpoint, is_disabled=False)
        case WebhookSecretRotated(secret=secret):
            return replace(endpoint, secrets=(*endpoint.secrets, secret)[-SECRETS_MAX:])
        case OldWebhookSecretEnded(secret=secret):
            return replace(endpoint, secrets=tuple(each for each in endpoint.secrets if each != secret))
        case WebhookReplayRequested() | WebhookResendRequested():
            return endpoint
        case WebhookEndpointDeleted():
            return replace(endpoint, status=Status.DELETED)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, endpoint: WebhookEndpoint) -> Sequence[Event]:
    match command:
        case DraftEndpoint():
            return _draft(command, endpoint)
        case ReviseEndpoint():
            return _revise(command, endpoint)
        case SubmitEndpoint():
            return _submit(command, endpoint)
        case WithdrawEndpoint(by=by):
            _require_status(endpoint, (Status.IN_APPROVAL,), ActivityRefusal.NOT_IN_APPROVAL)
            assert endpoint.approval is not None
            return [WebhookEndpointWithdrawn(endpoint.revision, endpoint.approval, by)]
        case RecordApproval() | RecordRejection():
            return _record_verdict(command, endpoint)
        case DisableEndpoint() | EnableEndpoint():
            return _switch(command, endpoint)
        case RotateEndpointSecret(secret=secret, by=by):
            _require_known(endpoint)
            return [WebhookSecretRotated(secret, by)]
        case EndOldEndpointSecret(by=by):
            _require_known(endpoint)
            return [OldWebhookSecretEnded(each, by) for each in endpoint.secrets[:-1]]
        case ReplayEvents(after=after, by=by):
            _require_approved(endpoint)
            return [WebhookReplayRequested(after, by)]
        case ResendDelivery(event=event, by=by):
            _require_approved(endpoint)
            return [WebhookResendRequested(event, by)]
        case DeleteEndpoint(by=by):
            if endpoint.status is Status.DELETED:
                return []
            _require_known(endpoint)
            return [WebhookEndpointDeleted(by)]
        case _:
            assert_never(command)


def _draft(command: DraftEndpoint, endpoint: WebhookEndpoint) -> Sequence[Event]:
    assert endpoint.status is Status.UNKNOWN, "the id of a new endpoint is new"
    faults = [*code_faults(command.code, "code")]
    if not command.is_code_free:
        faults.append(Fault(CommonRefusal.CODE_TAKEN, ("code",), {"code": command.code}))
    refuse_any([*faults, *content_faults(command.content, command.rules)])
    return [
        WebhookEndpointDrafted(command.code, command.org_unit, command.content, command.secret, command.by)
    ]


def _revise(command: ReviseEndpoint, endpoint: WebhookEndpoint) -> Sequence[Event]:
    _require_status(endpoint, EDITABLE, ActivityRefusal.NOT_EDITABLE)
    faults = [*content_faults(command.content, command.rules)]
    if endpoint.revision >= REVISIONS_MAX:
        faults.append(Fault(CommonRefusal.TOO_MANY, ("id",), {"most": str(REVISIONS_MAX)}))
    refuse_any(faults)
    if command.content == endpoint.content:
        return []
    return [WebhookEndpointRevised(endpoint.revision + 1, command.content, command.by)]


def _submit(command: SubmitEndpoint, endpoint: WebhookEndpoint) -> Sequence[Event]:
    if endpoint.status is Status.IN_APPROVAL:
        return []
    _require_status(endpoint, (Status.DRAFT,), ActivityRefusal.NOT_SUBMITTABLE)
    assert endpoint.content is not None
    refuse_any(content_faults(endpoint.content, command.rules))
    seen = endpoint_hash(endpoint)
    return [WebhookEndpointSubmitted(endpoint.revision, command.approval, seen, command.level, command.by)]


def _record_verdict(command: RecordApproval | RecordRejection, endpoint: WebhookEndpoint) -> Sequence[Event]:
    _require_status(endpoint, (Status.IN_APPROVAL,), ActivityRefusal.NOT_IN_APPROVAL)
    if endpoint.approval != command.approval:  # submitted anew while the verdict was on its way
        raise Refused.because(ActivityRefusal.NOT_IN_APPROVAL, status=endpoint.status)
    if isinstance(command, RecordRejection):
        return [WebhookEndpointRejected(endpoint.revision, command.approval, command.level, command.reason)]
    return [WebhookEndpointApproved(endpoint.revision, command.approval, endpoint.submitted_hash)]


def _switch(command: DisableEndpoint | EnableEndpoint, endpoint: WebhookEndpoint) -> Sequence[Event]:
    if isinstance(command, EnableEndpoint):
        _require_approved(endpoint)
        return [WebhookEndpointEnabled(command.by)] if endpoint.is_disabled else []
    _require_known(endpoint)
    refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
    if endpoint.is_disabled:
        return []
    return [WebhookEndpointDisabled(command.cause, command.reason, command.by, command.event)]


# --- Rules ----------------------------------------------------------------


def endpoint_hash(endpoint: WebhookEndpoint) -> str:
    """What an approver sees: whose events go where, and which."""
    return content_hash((endpoint.code, endpoint.org_unit, endpoint.revision, endpoint.content))


def _require_known(endpoint: WebhookEndpoint) -> None:
    if not endpoint.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")


def _require_approved(endpoint: WebhookEndpoint) -> None:
    _require_known(endpoint)
    if endpoint.approved is None:
        raise Refused.because(WebhookRefusal.ENDPOINT_NOT_APPROVED, "id")


def _require_status(endpoint: WebhookEndpoint, allowed: Sequence[Status], code: StrEnum) -> None:
    _require_known(endpoint)
    if endpoint.status not in allowed:
        raise Refused.because(code, status=endpoint.status)


DECIDER: Decider[Command, WebhookEndpoint, Event] = Decider(
    "webhook_endpoint", WebhookEndpoint(), decide, evolve
)
