"""Whom a token lets in now, ours or the bank issuer's: judged by what the log says of its holder."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from application.access import GRANTABLE, Credential, Permission, Principal, Role, units_of
from application.authentication import TokenCode, TokenRefused
from application.delegations import acting
from domain.users import Profile, Status
from infrastructure.access_state import AccessState, Directory
from infrastructure.own_tokens import CLIENT_PREFIX, OwnClaims, OwnTokens

BUCKETS_MAX = 10_000


class TokenGate:
    """Safe to share between threads; waits for nothing. `foreign` verifies what we did not sign ourselves."""

    def __init__(
        self,
        own: OwnTokens | None,
        foreign: Callable[[str | None], Principal],
        state: AccessState,
        units: frozenset[str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._own, self._foreign, self._state, self._units, self._now = own, foreign, state, units, now
        self._buckets = Buckets()

    def verify(self, token: str | None) -> Principal:
        """The principal as he stands now. Raise TokenRefused."""
        directory = self._directory()
        if token and self._own is not None and self._own.is_own(token):
            claims = self._own.verify(token)
            require_unrevoked(claims.credential, directory)
            if claims.credential.subject.startswith(CLIENT_PREFIX):
                return self._program(claims, directory)
            return self._user(claims, directory)
        principal = self._foreign(token)
        if principal.user.startswith(CLIENT_PREFIX):
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "sub is a program's of ours")
        if principal.credential is not None:
            require_unrevoked(principal.credential, directory)
        return self._known(principal, directory)

    def acting(self, principal: Principal, org_unit: str) -> Principal:
        """The principal as he acts for a unit that delegated work to him. Raise TokenRefused."""
        mine = self._directory().delegations.get(principal.user, ())
        now = datetime.fromtimestamp(self._now(), UTC)
        found = acting(principal, org_unit, mine, now) if org_unit in self._units else None
        if found is None:
            raise TokenRefused(TokenCode.NOT_DELEGATED, f"{principal.user} does not act for that unit")
        return found

    def still(self, principal: Principal) -> bool:
        """Whether what was found of him when he came in holds yet: for connections that stay open."""
        credential = principal.credential
        if credential is None:
            return True
        try:
            directory = self._directory()
            require_unrevoked(credential, directory)
            if principal.on_behalf_of is not None:
                self.acting(replace(principal, expires_at_s=None), principal.on_behalf_of)
        except TokenRefused:
            return False
        if credential.subject.startswith(CLIENT_PREFIX):
            account = directory.clients.get(credential.subject.removeprefix(CLIENT_PREFIX))
            is_good = account is not None and account.is_good(datetime.fromtimestamp(self._now(), UTC))
            return is_good and account is not None and account.revision == credential.revision
        user = directory.users.get(credential.subject)
        if user is None:
            return credential.revision == 0
        return user.status is Status.ACTIVE and user.revision == credential.revision

    def _directory(self) -> Directory:
        directory = self._state.directory
        if directory is None:
            raise TokenRefused(TokenCode.UNAVAILABLE, "what is revoked could not be looked up for too long")
        return directory

    def _user(self, claims: OwnClaims, directory: Directory) -> Principal:
        credential = claims.credential
        user = directory.users.get(credential.subject)
        if user is None or user.status is not Status.ACTIVE:
            raise TokenRefused(TokenCode.ACCOUNT_CLOSED, f"{credential.subject} is not active")
        home = units_of(user.org_unit, self._units)
        roles = frozenset(role for role in Role if role.value in user.profile.roles)
        principal = Principal(
            user=user.username,
            roles=roles if home else frozenset(),
            org_unit=user.org_unit if home else "",
            units=home,
            expires_at_s=claims.expires_at_s,
            credential=replace(credential, revision=user.revision),
        )
        return narrowed(principal, user.profile, self._units)

    def _program(self, claims: OwnClaims, directory: Directory) -> Principal:
        credential = claims.credential
        account = directory.clients.get(credential.subject.removeprefix(CLIENT_PREFIX))
        if account is None or not account.is_good(datetime.fromtimestamp(self._now(), UTC)):
            raise TokenRefused(TokenCode.ACCOUNT_CLOSED, f"{credential.subject} is not active")
        if not self._buckets.take(credential.subject, account.terms.requests_per_minute, self._now()):
            raise TokenRefused(TokenCode.TOO_MANY_REQUESTS, f"{credential.subject} asks too often")
        scopes = claims.scopes & frozenset(account.terms.scopes)
        home = units_of(account.org_unit, self._units)
        return Principal(
            user=credential.subject,
            roles=frozenset(),
            org_unit=account.org_unit if home else "",
            units=home,
            system_permissions=frozenset(each for each in GRANTABLE if each.value in scopes)
            if home
            else frozenset[Permission](),
            expires_at_s=claims.expires_at_s,
            credential=replace(credential, revision=account.revision),
        )

    def _known(self, principal: Principal, directory: Directory) -> Principal:
        """The holder of a foreign token, who may be a user here too: closed or narrowed for any token."""
        user = directory.users.get(principal.user)
        if user is None:
            return principal
        if user.status is not Status.ACTIVE:
            raise TokenRefused(TokenCode.ACCOUNT_CLOSED, f"{principal.user} is not active")
        if principal.credential is not None:
            principal = replace(principal, credential=replace(principal.credential, revision=user.revision))
        return narrowed(principal, user.profile, self._units)


def require_unrevoked(credential: Credential, directory: Directory) -> None:
    """Raise TokenRefused for a token that was revoked, by itself, with its session or with its holder."""
    is_revoked = (
        credential.token_id in directory.tokens
        or credential.session in directory.sessions
        or credential.issued_at_s <= directory.subjects.get(credential.subject, float("-inf"))
    )
    if is_revoked:
        raise TokenRefused(TokenCode.TOKEN_REVOKED, f"a token of {credential.subject}")


def narrowed(principal: Principal, profile: Profile, all_units: frozenset[str]) -> Principal:
    """With the data and activity rights that were set for him; what he changes is his unit's as ever."""
    if profile.data_units is None and profile.activity_units is None:
        return principal
    home = principal.units
    activity = home if profile.activity_units is None else all_units.intersection(profile.activity_units)
    data = home if profile.data_units is None else all_units.intersection(profile.data_units)
    return replace(principal, units=activity, data_units=data, acts_in=home)


class Buckets:
    """How often each program may ask: its requests a minute, a sixth of them at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str, per_minute: int, now: float) -> bool:
        most = max(1.0, per_minute / 6)
        with self._lock:
            left, at = self._left.get(name, (most, now))
            left = min(most, left + max(0.0, now - at) * per_minute / 60)
            if len(self._left) >= BUCKETS_MAX and name not in self._left:
                self._left.clear()
            self._left[name] = (left - 1 if left >= 1 else left), now
            return left >= 1
