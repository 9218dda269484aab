"""The settings of tokens: whose are good, what they must say, and where they say who somebody is."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode

from application.access import Role
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
        "The token issuer's public keys as a JSON Web Key Set; fetched every five minutes. None: found by "
        "OpenID Connect Discovery where CARDINAL_TOKEN_ISSUER is an `https://` address.",
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

    roles_named: Annotated[dict[str, Role], NoDecode] = setting(
        "CARDINAL_TOKEN_ROLES",
        {},
        "`theirs:ours` pairs with commas between, such as `CC_PLANNERS:operator`",
        "What the issuer calls our roles; once there is one, no other name counts. None: as we do.",
    )
    org_units_named: Annotated[dict[str, str], NoDecode] = setting(
        "CARDINAL_TOKEN_ORG_UNITS",
        {},
        "`theirs:ours` pairs with commas between, such as `3100:SH`",
        "The same for organisation units.",
    )

    @field_validator("jwks_file", "signing_keys")
    @classmethod
    def _whole_path(cls, path: Path | None) -> Path | None:
        return None if path is None else Path(path).expanduser().absolute()

    @field_validator("jwks_url")
    @classmethod
    def _https(cls, url: str | None) -> str | None:
        require(url is None or is_address(url))
        return url

    @field_validator("roles_named", mode="before")
    @classmethod
    def _their_roles(cls, given: str | dict[str, Role]) -> dict[str, Role]:
        return (
            {name: Role(role) for name, role in _renamed(given).items()} if isinstance(given, str) else given
        )

    @field_validator("org_units_named", mode="before")
    @classmethod
    def _their_units(cls, given: str | dict[str, str]) -> dict[str, str]:
        return _renamed(given) if isinstance(given, str) else given

    @field_validator("token_algorithms", mode="before")
    @classmethod
    def _algorithms(cls, given: str | tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(listed(given)) if isinstance(given, str) else given
        require(bool(names) and set(names) <= set(ALGORITHMS))
        return names

    @property
    def key_address(self) -> str | None:
        """Where the issuer's keys are asked for over the network, if they are."""
        if self.jwks_file is not None:
            return None
        if self.jwks_url is not None:
            return self.jwks_url
        return self.token_issuer if is_address(self.token_issuer) else None


def is_address(url: str, *, may_be_local: bool = True) -> bool:
    """Whether it is an `https://` address, or plain HTTP to this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_local = may_be_local and parts.scheme == "http" and parts.hostname in _LOOPBACK
    return bool(parts.hostname) and (parts.scheme == "https" or is_local)


def _renamed(text: str) -> dict[str, str]:
    """The pairs of "theirs:ours"; their names may have colons, as URNs do. None comes twice."""
    found: dict[str, str] = {}
    for theirs, colon, ours in (part.rpartition(":") for part in listed(text)):
        require(bool(colon and theirs.strip()) and theirs.strip() not in found)
        found[theirs.strip()] = ours.strip()
    return found
