"""The settings of how requests reach the API: TLS here or at a proxy, and pages of which other origins."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode

from infrastructure.settings_values import listed, require, setting

ORIGINS_MAX = 100
PROXIES_MAX = 100


class TransportSettings(BaseSettings):
    """A part of `Settings`."""

    tls_certificate: Path | None = setting(
        "CARDINAL_TLS_CERTIFICATE",
        None,
        "a file",
        "The API's certificate with its chain (PEM), read again when it changes. None: plain HTTP.",
    )
    tls_key: Path | None = setting(
        "CARDINAL_TLS_KEY", None, "a file", "The certificate's key (PEM); both are set, or none."
    )
    https_required: bool | None = setting(
        "CARDINAL_HTTPS_REQUIRED",
        None,
        "`true` or `false`",
        "Whether requests over plain HTTP are refused, but for /healthz, /readyz and /metrics. None: in "
        "production.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = setting(
        "CARDINAL_TRUSTED_PROXIES",
        (),
        "addresses or networks such as `10.0.0.0/24` with commas between",
        "Whose X-Forwarded-For and X-Forwarded-Proto are believed; nobody else's are looked at.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = setting(
        "CARDINAL_CORS_ORIGINS",
        (),
        "exact origins such as `https://cards.bank.example` with commas between",
        "Pages of which other origins may use the API, also over WebSocket.",
    )

    @field_validator("tls_certificate", "tls_key")
    @classmethod
    def _whole_path_of_file(cls, path: Path | None) -> Path | None:
        return None if path is None else Path(path).expanduser().absolute()

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _proxies(cls, given: str | tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(listed(given)) if isinstance(given, str) else given
        require(len(names) <= PROXIES_MAX)
        for name in names:
            require(ip_network(name).prefixlen > 0)  # everybody's word is nobody's
        return names

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _origins(cls, given: str | tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(listed(given)) if isinstance(given, str) else given
        require(len(names) <= ORIGINS_MAX and all(_is_origin(name) for name in names))
        return names


def _is_origin(text: str) -> bool:
    """As browsers send it: a scheme, a host in small letters, a port where it is not the scheme's own."""
    parts = urlsplit(text)
    ports = {"https": 443, "http": 80}
    is_own = parts.port is not None and parts.port == ports.get(parts.scheme)
    whole = f"{parts.scheme}://{parts.netloc}"
    return parts.scheme in ports and bool(parts.hostname) and whole == text == text.lower() and not is_own
