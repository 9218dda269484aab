"""The settings of tokens: whose are good, what they must say, and where they say who somebody is."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode

from infrastructure.settings_values import listed, require, setting

ALGORITHMS = ("RS256", "ES256", "EdDSA")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class TokenSettings(BaseSettings):
    """A part of `Settings`."""

    login: bool | None = setting(
        "CARDINAL_LOGIN", None, "`true` or `false`", "Whether people log in here. None: not in production."
    )
    signing_keys: Path | None = setting(
        "CARDINAL_SIGNING_KEYS", None, "a folder", "Our tokens' keys. None: `signing-keys` in CARDINAL_HOME."
    )
    jwks_url: str | None = setting(
        "CARDINAL_JWKS_URL",
        None,
        "an `https://` address",
        "The token issuer's public keys as a JSON Web Key Set; fetched every five minutes.",
    )
    jwks_file: Path | None = setting(
        "CARDINAL_JWKS_FILE",
        None,
        "a file",
        "The same from a file, which is read again when it changes.",
    )
    token_issuer: str = setting(
        "CARDINAL_TOKEN_ISSUER",
        "cardinal-development",
        "the exact `iss` of the tokens",
        "Who issues the tokens; must be set in production.",
        min_length=1,
    )
    token_audience: str = setting(
        "CARDINAL_TOKEN_AUDIENCE",
        "cardinal",
        "one of the tokens' `aud`",
        "Whom the tokens must be for.",
        min_length=1,
    )
    token_algorithms: Annotated[tuple[str, ...], NoDecode] = setting(
        "CARDINAL_TOKEN_ALGORITHMS",
        ALGORITHMS,
        "some of `RS256,ES256,EdDSA`",
        "The signatures that are accepted; a key is good for its own one only.",
    )
    token_life_max_h: int = setting(
        "CARDINAL_TOKEN_LIFE_MAX_H",
        24,
        "a number from 1 to 168",
        "How many hours ahead a token may expire at most.",
        ge=1,
        le=168,
    )
    token_nbf_required: bool = setting(
        "CARDINAL_TOKEN_NBF_REQUIRED",
        True,
        "`true` or `false`",
        "Whether a token must say from when on it holds (`nbf`); some issuers leave that out.",
    )
    token_type: str | None = setting(
        "CARDINAL_TOKEN_TYPE",
        None,
        "a `typ` such as `at+jwt`",
        "What the tokens' headers must say they are; set it where the issuer follows RFC 9068.",
        min_length=1,
    )
    roles_claim: str = setting(
        "CARDINAL_TOKEN_ROLES_CLAIM",
        "roles",
        "a claim's name, or a path such as `realm_access.roles`",
        "Where a token lists the roles.",
        min_length=1,
    )
    org_unit_claim: str = setting(
        "CARDINAL_TOKEN_ORG_UNIT_CLAIM",
        "org_unit",
        "a claim's name, or a path",
        "Where a token names the organisation unit.",
        min_length=1,
    )

    @field_validator("jwks_file", "signing_keys")
    @classmethod
    def _whole_path(cls, path: Path | None) -> Path | None:
        return None if path is None else Path(path).expanduser().absolute()

    @field_validator("jwks_url")
    @classmethod
    def _https(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
            require(bool(parts.hostname) and (parts.scheme == "https" or is_local))
        return url

    @field_validator("token_algorithms", mode="before")
    @classmethod
    def _algorithms(cls, given: str | tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(listed(given)) if isinstance(given, str) else given
        require(bool(names) and set(names) <= set(ALGORITHMS))
        return names
