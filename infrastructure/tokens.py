"""JSON Web Tokens: who is asking, by a signature that we trust; and tokens of sample users in development."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import uuid4

import jwt

from application.access import Credential, Principal, Role, units_of
from application.authentication import TokenCode, TokenRefused
from infrastructure.openid_discovery import read_discovered
from infrastructure.settings import Settings
from infrastructure.token_forms import head, require_access_token, require_single_names
from infrastructure.token_keys import (
    FILE_PERIOD_S,
    URL_PERIOD_S,
    DevelopmentKey,
    TrustedKeys,
    read_file,
    read_url,
)

USER_CHARACTERS_MAX = 255
LEEWAY_S = 30
REMEMBERED_MAX = 1_024
REMEMBERED_S = 5.0
SAMPLE_TOKEN_LIFE = timedelta(hours=12)
# Names that only the system itself acts under.
RESERVED_PREFIX = "system:"
CLAIMS = ("sub", "exp", "iat", "aud", "iss")


@dataclass(frozen=True, slots=True)
class SampleUser:
    """Somebody to try the product as; exists in development only."""

    name: str
    roles: tuple[Role, ...]
    org_unit: str
    about: str


SAMPLE_USERS: Mapping[str, SampleUser] = {
    user.name: user
    for user in (
        SampleUser("operator", (Role.OPERATOR,), "HO", "plans and runs activities"),
        SampleUser("researcher", (Role.RESEARCHER,), "HO", "approves at the first level"),
        SampleUser("technologist", (Role.TECHNOLOGIST,), "HO", "approves at the second level"),
        SampleUser("analyst", (Role.TECHNOLOGIST,), "HO", "writes segment definitions"),
        SampleUser("auditor", (Role.AUDITOR,), "HO", "reads everything, changes nothing"),
        SampleUser("branch", (Role.OPERATOR,), "SH", "an operator who sees the Shanghai branch only"),
        SampleUser("integrator", (Role.INTEGRATOR,), "HO", "follows the events"),
        SampleUser("admin", (Role.ADMINISTRATOR,), "HO", "keeps the parameters"),
    )
}


def sample_password(name: str) -> str:
    """By which a sample user logs in: known to everybody, and so in development only."""
    return f"{name}-tries-cardinal"


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say, and where it says who somebody is."""

    issuer: str
    audience: str
    units: frozenset[str]
    roles_claim: str = "roles"
    org_unit_claim: str = "org_unit"
    life_max: timedelta = timedelta(hours=24)
    nbf_required: bool = True
    token_type: str | None = None
    roles_named: Mapping[str, Role] = field(default_factory=dict)
    org_units_named: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "TokenRules":
        return cls(
            settings.token_issuer,
            settings.token_audience,
            settings.units,
            settings.roles_claim,
            settings.org_unit_claim,
            timedelta(hours=settings.token_life_max_h),
            settings.token_nbf_required,
            settings.token_type,
            settings.roles_named,
            settings.org_units_named,
        )


def trusted_keys(settings: Settings) -> TrustedKeys:
    """The keys by which this deployment lets people in, not yet started: the development key never in
    production. Raise KeysUnavailable, or SettingsFault in production without an issuer."""
    settings.require_issuer()
    own, algorithms = {}, settings.token_algorithms
    if not settings.is_production:
        key = DevelopmentKey.of(settings.home)
        own[key.kid] = key.public
    if settings.jwks_file is not None:
        read_file(settings.jwks_file, algorithms)  # an operator's slip is told at once, not by readiness
        read = partial(read_file, settings.jwks_file, algorithms)
        return TrustedKeys(own, read, FILE_PERIOD_S, FILE_PERIOD_S)
    if settings.jwks_url is not None:
        return TrustedKeys(own, partial(read_url, settings.jwks_url, algorithms), URL_PERIOD_S)
    if settings.key_address is not None:
        return TrustedKeys(own, partial(read_discovered, settings.token_issuer, algorithms), URL_PERIOD_S)
    return TrustedKeys(own)


def issue(
    key: DevelopmentKey,
    rules: TokenRules,
    user: str,
    roles: Iterable[Role],
    org_unit: str,
    ttl: timedelta = SAMPLE_TOKEN_LIFE,
) -> str:
    """A token that `Verifier` accepts for `ttl` from now where the development key is trusted."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": rules.issuer,
        "aud": rules.audience,
        "sub": user,
        "iat": now,
        "nbf": now,
        "exp": now + int(ttl.total_seconds()),
        "jti": str(uuid4()),
    }
    # A path such as realm_access.roles is written as one claim of that name: it is looked up first.
    return key.sign({**claims, rules.roles_claim: [*roles], rules.org_unit_claim: org_unit})


class Verifier:
    """Tells the principal by his token. Safe to share between threads; never waits for anything."""

    def __init__(self, keys: TrustedKeys, rules: TokenRules, now: Callable[[], float] = time.time) -> None:
        self._keys, self._rules, self._now = keys, rules, now
        self._required = [*CLAIMS, "nbf"] if rules.nbf_required else [*CLAIMS]
        self._remembered: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, token: str | None) -> Principal:
        """The principal that the token speaks for. Raise TokenRefused.

        What was verified is believed for up to 5 s more without looking at it again.
        """
        if not token:
            raise TokenRefused(TokenCode.TOKEN_MISSING)
        digest, now = sha256(token.encode()).digest(), self._now()
        with self._lock:
            principal, until = self._remembered.get(digest, (None, 0.0))
        if principal is not None and now < until:
            return principal
        claims = self._claims(token, head(token))
        principal = self._principal(claims)
        with self._lock:
            self._remembered[digest] = principal, min(now + REMEMBERED_S, claims["exp"] + LEEWAY_S)
            self._remembered.move_to_end(digest)
            if len(self._remembered) > REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        return principal

    def _claims(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """The verified claims: the signature first, so that a forger learns nothing of our checks."""
        key = self._key(header)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                [key.algorithm_name],
                {"require": self._required},
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=LEEWAY_S,
            )
        except jwt.PyJWTError as error:
            is_over = isinstance(error, jwt.ExpiredSignatureError)
            code = TokenCode.TOKEN_EXPIRED if is_over else TokenCode.TOKEN_UNTRUSTED
            raise TokenRefused(code, str(error)) from error
        require_single_names(token.split(".")[1])
        require_access_token(header, claims, self._rules.token_type)
        for name in ("exp", "iat", "nbf"):
            if name in claims and not _is_time(claims[name]):
                raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, f"{name} is no number of seconds")
        if claims["exp"] > self._now() + self._rules.life_max.total_seconds() + LEEWAY_S:
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "it lives too long")
        return claims

    def _key(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        """The key that the header names among those we know; keys and addresses in it are never used."""
        kid = header.get("kid")
        key = self._keys.find(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "its key is not known")
        return key

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        user = claims["sub"]
        if not isinstance(user, str) or not user.isprintable() or not 0 < len(user) <= USER_CHARACTERS_MAX:
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "sub is no name")
        if user.startswith(RESERVED_PREFIX):
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "sub is the system's own")
        named = _found(claims, self._rules.roles_claim)
        listed = named.split() if isinstance(named, str) else named if isinstance(named, list) else []
        names = self._rules.roles_named or {role.value: role for role in Role}
        roles = frozenset(names[name] for name in listed if isinstance(name, str) and name in names)
        unit = _found(claims, self._rules.org_unit_claim)
        if self._rules.org_units_named:
            unit = self._rules.org_units_named.get(unit if isinstance(unit, str) else "")
        if not isinstance(unit, str) or unit not in self._rules.units:
            # Rights are held within a unit: who belongs to none could else plan what nobody sees.
            return Principal(user=user, roles=frozenset(), org_unit="", units=frozenset())
        return Principal(
            user=user,
            roles=roles,
            org_unit=unit,
            units=units_of(unit, self._rules.units),
            expires_at_s=float(claims["exp"]) + LEEWAY_S,
            credential=Credential(str(claims.get("jti", "")), float(claims["iat"]), subject=user),
        )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _found(claims: Mapping[str, Any], name: str) -> object:
    """The claim of that name; where there is none, what lies at that path of names with dots between."""
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
