"""Service accounts: programs that act in their own name, with a few permissions and two secrets at most.

The stream's id follows from the account's code. Of a secret only the id is known here; its hash lies in a
table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from domain.shared.decider import Decider
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import code_faults, name_faults

# --- Values ---------------------------------------------------------------

SERVICE_ACCOUNTS = UUID("0d5a2f7e-3c67-5d0a-8c5e-41b9a7f7f6d3")
"""The namespace of service accounts' ids: for ever."""

NAME_CHARACTERS_MAX = 100
REASON_CHARACTERS_MAX = 500
SCOPES_MAX = 100
SECRETS_MAX = 2
REQUESTS_PER_MINUTE_MAX = 60_000


def service_account_id(code: str) -> UUID:
    return uuid5(SERVICE_ACCOUNTS, code)


@dataclass(frozen=True, slots=True)
class ServiceTerms:
    """What a program may do: permissions by name, for a unit, so often a minute, until an instant or ever."""

    name: str
    org_unit: str
    scopes: tuple[str, ...]
    requests_per_minute: int
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GrantableScopes:
    """What the one who decides may give: permissions, and the units that he answers for."""

    scopes: frozenset[str]
    units: frozenset[str]


class ServiceAccountRefusal(StrEnum):
    UNKNOWN_SCOPE = "unknown_scope"
    SERVICE_UNIT_NOT_YOURS = "service_unit_not_yours"
    SERVICE_ACCOUNT_DISABLED = "service_account_disabled"
    ALREADY_EXPIRED = "already_expired"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateServiceAccount:
    """`secret` is the id of its first secret."""

    code: str
    terms: ServiceTerms
    secret: UUID
    grantable: GrantableScopes
    now: datetime
    by: str


@dataclass(frozen=True, slots=True)
class ReviseServiceAccount:
    terms: ServiceTerms
    grantable: GrantableScopes
    now: datetime
    by: str


@dataclass(frozen=True, slots=True)
class DisableServiceAccount:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class EnableServiceAccount:
    by: str


@dataclass(frozen=True, slots=True)
class RotateSecret:
    """A new secret beside the last one; one that is older than these two is good no more."""

    secret: UUID
    by: str


@dataclass(frozen=True, slots=True)
class EndOldSecret:
    """Only the newest secret is good from now on."""

    by: str


Command = (
    CreateServiceAccount
    | ReviseServiceAccount
    | DisableServiceAccount
    | EnableServiceAccount
    | RotateSecret
    | EndOldSecret
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class ServiceAccountCreated:
    code: str
    terms: ServiceTerms
    secret: UUID
    by: str


@dataclass(frozen=True, slots=True)
class ServiceAccountRevised:
    revision: int
    terms: ServiceTerms
    by: str


@dataclass(frozen=True, slots=True)
class ServiceAccountDisabled:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class ServiceAccountEnabled:
    by: str


@dataclass(frozen=True, slots=True)
class ServiceSecretRotated:
    secret: UUID
    by: str


@dataclass(frozen=True, slots=True)
class OldServiceSecretEnded:
    secret: UUID
    by: str


Event = (
    ServiceAccountCreated
    | ServiceAccountRevised
    | ServiceAccountDisabled
    | ServiceAccountEnabled
    | ServiceSecretRotated
    | OldServiceSecretEnded
)

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """`secrets` are those that are good, the newest last."""

    status: Status = Status.UNKNOWN
    revision: int = 0
    code: str = ""
    terms: ServiceTerms = ServiceTerms("", "", (), 0)
    secrets: tuple[UUID, ...] = ()

    @property
    def org_unit(self) -> str:
        return self.terms.org_unit

    def is_good(self, now: datetime) -> bool:
        """Whether it may act at the instant."""
        expires_at = self.terms.expires_at
        return self.status is Status.ACTIVE and (expires_at is None or now < expires_at)


def evolve(account: ServiceAccount, event: Event) -> ServiceAccount:
    match event:
        case ServiceAccountCreated(code=code, terms=terms, secret=secret):
            return ServiceAccount(Status.ACTIVE, 1, code, terms, (secret,))
        case ServiceAccountRevised(revision=revision, terms=terms):
            return replace(account, revision=revision, terms=terms)
        case ServiceAccountDisabled():
            return replace(account, status=Status.DISABLED)
        case ServiceAccountEnabled():
            return replace(account, status=Status.ACTIVE)
        case ServiceSecretRotated(secret=secret):
            return replace(account, secrets=(*account.secrets, secret)[-SECRETS_MAX:])
        case OldServiceSecretEnded(secret=secret):
            return replace(account, secrets=tuple(each for each in account.secrets if each != secret))
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, account: ServiceAccount) -> Sequence[Event]:
    if isinstance(command, CreateServiceAccount):
        return _create(command, account)
    if account.status is Status.UNKNOWN:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    match command:
        case ReviseServiceAccount(terms=terms, grantable=grantable, now=now, by=by):
            if terms == account.terms:
                return []
            refuse_any(_terms_faults(terms, grantable, now))
            return [ServiceAccountRevised(account.revision + 1, terms, by)]
        case DisableServiceAccount(reason=reason, by=by):
            refuse_any(name_faults(reason, REASON_CHARACTERS_MAX, "reason"))
            return [] if account.status is Status.DISABLED else [ServiceAccountDisabled(reason, by)]
        case EnableServiceAccount(by=by):
            return [ServiceAccountEnabled(by)] if account.status is Status.DISABLED else []
        case RotateSecret(secret=secret, by=by):
            if account.status is Status.DISABLED:
                raise Refused.because(ServiceAccountRefusal.SERVICE_ACCOUNT_DISABLED, "id")
            return [ServiceSecretRotated(secret, by)]
        case EndOldSecret(by=by):
            return [OldServiceSecretEnded(each, by) for each in account.secrets[:-1]]
        case _:
            assert_never(command)


def _create(command: CreateServiceAccount, account: ServiceAccount) -> Sequence[Event]:
    faults = [*code_faults(command.code, "code")]
    if not faults and account.status is not Status.UNKNOWN:
        faults.append(Fault(CommonRefusal.CODE_TAKEN, ("code",), {"code": command.code}))
    refuse_any([*faults, *_terms_faults(command.terms, command.grantable, command.now)])
    return [ServiceAccountCreated(command.code, command.terms, command.secret, command.by)]


# --- Rules ----------------------------------------------------------------


def _terms_faults(terms: ServiceTerms, grantable: GrantableScopes, now: datetime) -> Iterator[Fault]:
    yield from name_faults(terms.name, NAME_CHARACTERS_MAX, "name")
    if terms.org_unit not in grantable.units:
        yield Fault(ServiceAccountRefusal.SERVICE_UNIT_NOT_YOURS, ("org_unit",), {"unit": terms.org_unit})
    if not terms.scopes:
        yield Fault(CommonRefusal.REQUIRED, ("scopes",))
    if len(terms.scopes) > SCOPES_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("scopes",), {"most": str(SCOPES_MAX)})
    else:
        for index, scope in enumerate(terms.scopes):
            if scope not in grantable.scopes:
                yield Fault(ServiceAccountRefusal.UNKNOWN_SCOPE, ("scopes", index), {"scope": scope})
            elif scope in terms.scopes[:index]:
                yield Fault(CommonRefusal.DUPLICATE, ("scopes", index))
    if not 0 < terms.requests_per_minute <= REQUESTS_PER_MINUTE_MAX:
        limits = {"least": "1", "most": str(REQUESTS_PER_MINUTE_MAX)}
        yield Fault(CommonRefusal.OUT_OF_RANGE, ("requests_per_minute",), limits)
    if terms.expires_at is not None and terms.expires_at <= now:
        yield Fault(ServiceAccountRefusal.ALREADY_EXPIRED, ("expires_at",))


DECIDER: Decider[Command, ServiceAccount, Event] = Decider(
    "service_account", ServiceAccount(), decide, evolve
)
