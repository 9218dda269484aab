"""What is looked at in a compact token beside its signature and its claims. Source: RFC 8725, RFC 9068."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

import jwt

from application.authentication import TokenCode, TokenRefused

TOKEN_BYTES_MAX = 8 * 1024
ACCESS_TOKEN = "at+jwt"
# Where no type is demanded: what issuers write who follow no profile. Others, such as logout+jwt, are no key
# to this door.
_TYPES = {"", "jwt", ACCESS_TOKEN}
# What an id token or a logout token says and no access token does.
_FOREIGN_CLAIMS = frozenset({"at_hash", "c_hash", "s_hash", "events"})


def head(token: str) -> dict[str, Any]:
    """The header, of which nothing is believed yet. Raise TokenRefused.

    Keys and addresses that a header has (`jwk`, `jku`, `x5u`, `x5c`) are never looked at by anybody.
    """
    if len(token) > TOKEN_BYTES_MAX or not token.isascii() or "=" in token:
        raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, f"not {TOKEN_BYTES_MAX} characters of base64url")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, str(error)) from error
    require_single_names(token.partition(".")[0])
    if "crit" in header:
        raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "it has critical extensions")
    return header


def require_single_names(segment: str) -> None:
    """Raise TokenRefused where an object of this part of a token has a name twice: readers would differ."""
    try:
        json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)), object_pairs_hook=_single)
    except (ValueError, RecursionError) as error:
        raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, str(error)) from error


def _single(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a name twice")
    return found


def require_access_token(header: Mapping[str, Any], claims: Mapping[str, Any], wanted: str | None) -> None:
    """Raise TokenRefused for a token that was made for something else, though by the same key.

    With `wanted` the header's `typ` must be that.
    """
    given = header.get("typ", "")
    told = given.lower().removeprefix("application/") if isinstance(given, str) else None
    if told != wanted.lower() if wanted is not None else told not in _TYPES:
        raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "it is of another type")
    is_id = claims.get("typ") == "ID" or claims.get("token_use") == "id"
    if is_id or not _FOREIGN_CLAIMS.isdisjoint(claims):
        raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "it is no access token")
