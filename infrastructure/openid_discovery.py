"""The keys of an OpenID provider, found from its issuer. Source: OpenID Connect Discovery 1.0, section 4."""

import json
from collections.abc import Sequence
from http.client import HTTPException

import jwt

from infrastructure.token_keys import FETCH_TIMEOUT_S, KeysUnavailable, fetched, published_keys
from infrastructure.token_settings import is_address

WELL_KNOWN = "/.well-known/openid-configuration"


def read_discovered(
    issuer: str, algorithms: Sequence[str], timeout_s: float = FETCH_TIMEOUT_S
) -> dict[str, jwt.PyJWK]:
    """The keys that the provider publishes now; each of its two answers is bounded as by `fetched`.

    The provider must name itself exactly as `issuer`. The address of its keys must be `https://`, unless
    its own is plain and on this machine. Raise KeysUnavailable.
    """
    try:
        return published_keys(fetched(_address_of_keys(issuer, timeout_s), timeout_s), algorithms)
    except (OSError, ValueError, HTTPException, KeysUnavailable) as error:
        raise KeysUnavailable(f"CARDINAL_TOKEN_ISSUER {issuer}: {error}") from error


def _address_of_keys(issuer: str, timeout_s: float) -> str:
    try:
        told = json.loads(fetched(issuer.rstrip("/") + WELL_KNOWN, timeout_s))
    except RecursionError:
        raise KeysUnavailable("its configuration is no JSON") from None
    if not isinstance(told, dict) or told.get("issuer") != issuer:
        raise KeysUnavailable("its configuration is that of another issuer")
    address = told.get("jwks_uri")
    if not isinstance(address, str) or not is_address(address, may_be_local=issuer.startswith("http://")):
        raise KeysUnavailable("its configuration names no https:// address of keys")
    return address
