"""Access tokens of this house, for sessions of users and for programs. What they may do the log says."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import uuid4

import jwt

from application.access import Credential
from application.authentication import TokenCode, TokenRefused
from infrastructure.signing_keys import ALGORITHM, SigningKeys
from infrastructure.token_forms import (
    ACCESS_TOKEN,
    TOKEN_BYTES_MAX,
    head,
    require_access_token,
    require_single_names,
)

OWN_ISSUER = "cardinal"
ACCESS_LIFE_S = 600
LEEWAY_S = 30
REMEMBERED_MAX = 4_096
REMEMBERED_S = 5.0
CLIENT_PREFIX = "client:"
_REQUIRED = ["sub", "exp", "iat", "nbf", "aud", "iss", "jti"]


@dataclass(frozen=True, slots=True)
class OwnClaims:
    """Of a user, with his session; or of a program (`client:CODE`), with the scopes it asked for."""

    credential: Credential
    expires_at_s: float
    scopes: frozenset[str] = frozenset()


class OwnTokens:
    """Issues and verifies. Safe to share between threads; verifying never waits for the network."""

    def __init__(self, keys: SigningKeys, audience: str, now: Callable[[], float] = time.time) -> None:
        self._keys, self._audience, self._now = keys, audience, now
        self._remembered: OrderedDict[bytes, tuple[OwnClaims, float]] = OrderedDict()
        self._lock = threading.Lock()

    def issue(self, subject: str, session: str | None = None, scopes: frozenset[str] = frozenset()) -> str:
        now = self._now()
        claims: dict[str, Any] = {
            "iss": OWN_ISSUER,
            "aud": self._audience,
            "sub": subject,
            "iat": now,
            "nbf": int(now),
            "exp": int(now) + ACCESS_LIFE_S,
            "jti": str(uuid4()),
        }
        if session is not None:
            claims["sid"] = session
        if scopes:
            claims["scope"] = " ".join(sorted(scopes))
        return self._keys.newest().sign(claims)

    def is_own(self, token: str) -> bool:
        """Whether the token says that one of our keys signed it; nothing of it is believed yet."""
        if len(token) > TOKEN_BYTES_MAX or not token.isascii():
            return False
        try:
            return SigningKeys.is_ours(jwt.get_unverified_header(token).get("kid"))
        except jwt.PyJWTError:
            return False

    def verify(self, token: str) -> OwnClaims:
        """What is claimed, verified now or within the last 5 s. Raise TokenRefused."""
        digest, now = sha256(token.encode()).digest(), self._now()
        with self._lock:
            claims, until = self._remembered.get(digest, (None, 0.0))
        if claims is not None and now < until:
            return claims
        claims = self._verified(token)
        with self._lock:
            self._remembered[digest] = claims, min(now + REMEMBERED_S, claims.expires_at_s)
            self._remembered.move_to_end(digest)
            if len(self._remembered) > REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        return claims

    def _verified(self, token: str) -> OwnClaims:
        header = head(token)
        key = self._keys.find(header["kid"])
        if key is None:
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "its key is not known")
        try:
            claims = jwt.decode(
                token,
                key,
                [ALGORITHM],
                {"require": _REQUIRED},
                audience=self._audience,
                issuer=OWN_ISSUER,
                leeway=LEEWAY_S,
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenRefused(TokenCode.TOKEN_EXPIRED, str(error)) from error
        except jwt.PyJWTError as error:
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, str(error)) from error
        require_single_names(token.split(".")[1])
        require_access_token(header, claims, ACCESS_TOKEN)
        if not all(
            isinstance(claims[name], int | float) and math.isfinite(claims[name]) for name in ("exp", "iat")
        ):
            raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "its times are no numbers")
        scopes = frozenset(str(claims.get("scope", "")).split())
        session = claims.get("sid")
        credential = Credential(
            str(claims["jti"]), float(claims["iat"]), None if session is None else str(session), claims["sub"]
        )
        return OwnClaims(credential, float(claims["exp"]) + LEEWAY_S, scopes)
