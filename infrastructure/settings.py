"""All settings, read from the environment in one place; docs/settings.md is made from it."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import psycopg
from pydantic import SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from application.access import HEAD_OFFICE, Role
from application.shared.approvable import ApprovalPolicy
from domain.approvals import TWO_LEVELS, Level
from infrastructure.backup_settings import BackupSettings
from infrastructure.seal_settings import SealSettings
from infrastructure.settings_values import expected, listed, pairs, require, setting
from infrastructure.token_settings import TokenSettings
from infrastructure.transport_settings import TransportSettings
from infrastructure.vault_settings import VaultSettings
from infrastructure.webhook_settings import WebhookSettings

UNITS_MAX = 1_000
_UNIT = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,15}")
_KIND = re.compile(r"[a-z][a-z_]{0,39}")
_GATEWAY = re.compile(r"[a-z][a-z0-9+.-]*:[^\0]+")
"""A scheme, which an adapter has, and what that adapter makes of the rest."""


class SettingsFault(Exception):
    """One or more variables can't be used; the message has a line for each, and never a value."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Settings(
    BackupSettings, SealSettings, VaultSettings, WebhookSettings, TransportSettings, TokenSettings
):
    """What this deployment differs in from others. Addresses with passwords are `SecretStr`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    home: Path = setting(
        "CARDINAL_HOME",
        Path(".cardinal"),
        "a folder",
        "Where the embedded PostgreSQL and the development key are kept.",
    )
    environment: Literal["development", "production"] = setting(
        "CARDINAL_ENV",
        "development",
        "`development` or `production`",
        "In production there are no sample users and no development key, and the database is a given one.",
    )
    database_url: SecretStr | None = setting(
        "DATABASE_URL",
        None,
        "`postgresql://user:password@host:port/database`",
        "The database, as the login of the running processes. None: an embedded PostgreSQL in CARDINAL_HOME.",
    )
    database_owner_url: SecretStr | None = setting(
        "DATABASE_OWNER_URL",
        None,
        "`postgresql://user:password@host:port/database`",
        "The same database as its owner, for migrations only. None: DATABASE_URL.",
    )
    database_connections_max: int = setting(
        "CARDINAL_DATABASE_CONNECTIONS",
        16,
        "a number from 2 to 200",
        "The most connections that one process keeps to the database.",
        ge=2,
        le=200,
    )
    broker_url: SecretStr | None = setting(
        "BROKER_URL",
        None,
        "`amqp://…` or `amqps://…`, of RabbitMQ",
        "Who hands tasks to workers; they are enqueued in PostgreSQL and relayed. None: PostgreSQL itself.",
    )
    points_gateway: str | None = setting(
        "POINTS_GATEWAY",
        None,
        "`directory:/path`, the path absolute",
        "The way to the points system: an exchange folder. None: the folder `gateway` in CARDINAL_HOME.",
    )
    partner_keys: Path | None = setting(
        "CARDINAL_PARTNER_KEYS",
        None,
        "a folder",
        "Partners' RSA public keys, `<key id>.pem`: their signed messages are taken. None: nobody's are.",
    )
    worker_threads: int = setting(
        "CARDINAL_WORKER_THREADS",
        4,
        "a number from 1 to 64",
        "How many tasks one worker performs at once.",
        ge=1,
        le=64,
    )
    engine_memory_mb: int = setting(
        "CARDINAL_ENGINE_MEMORY_MB",
        2_048,
        "a number from 128 to 1048576",
        "How much memory one query of a segment may take; what it needs beyond that goes to the disk.",
        ge=128,
        le=1_048_576,
    )
    engine_disk_mb: int = setting(
        "CARDINAL_ENGINE_DISK_MB",
        16_384,
        "a number from 0 to 16777216",
        "How much one query may put into CARDINAL_HOME meanwhile.",
        ge=0,
        le=16_777_216,
    )
    engine_queries: int = setting(
        "CARDINAL_ENGINE_QUERIES",
        2,
        "a number from 1 to 64",
        "How many queries one process performs at once; others wait for their turn.",
        ge=1,
        le=64,
    )
    host: str = setting(
        "CARDINAL_HOST", "127.0.0.1", "an address of this machine", "Where the API listens.", min_length=1
    )
    port: int = setting(
        "CARDINAL_PORT",
        8000,
        "a number from 0 to 65535",
        "The API's port; 0 takes any that is free.",
        ge=0,
        le=65535,
    )
    org_units: Annotated[dict[str, str], NoDecode] = setting(
        "CARDINAL_ORG_UNITS",
        {"HO": "Head office", "SH": "Shanghai branch", "SZ": "Shenzhen branch"},
        "`CODE:name` pairs with commas between, codes in capitals and digits, `HO` among them",
        "The organisation units. `HO` is the head office, which sees all of them.",
    )
    business_time_zone: str = setting(
        "CARDINAL_TIME_ZONE",
        "Asia/Shanghai",
        "a name of the IANA time zone database",
        "The zone of business dates.",
    )
    approval_levels: Annotated[dict[str, tuple[Level, ...]], NoDecode] = setting(
        "CARDINAL_APPROVAL_LEVELS",
        {},
        "`kind:level` pairs with commas between, levels `research`, `technology` or `research+technology`",
        "Which levels approve a kind of subject, such as `activity`. Unnamed kinds pass both.",
    )
    approval_days: int = setting(
        "CARDINAL_APPROVAL_DAYS",
        14,
        "a number from 1 to 365",
        "Within how many days an approval must be decided.",
        ge=1,
        le=365,
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "CARDINAL_LOG_LEVEL",
        "info",
        "`debug`, `info`, `warning` or `error`",
        "The least important messages that are logged.",
    )
    log_format: Literal["auto", "json", "text"] = setting(
        "CARDINAL_LOG_FORMAT",
        "auto",
        "`auto`, `json` or `text`",
        "A JSON object or a readable line for each message; `auto` is text at a terminal.",
    )
    body_bytes_max: int = setting(
        "CARDINAL_BODY_BYTES_MAX",
        1_048_576,
        "a number from 1024 to 67108864",
        "The largest body of a request, and message of a WebSocket, in bytes.",
        ge=1_024,
        le=67_108_864,
    )
    requests_max: int = setting(
        "CARDINAL_REQUESTS_MAX",
        1_000,
        "a number from 10 to 65536",
        "How many connections one API process serves at once; those beyond get a 503.",
        ge=10,
        le=65_536,
    )
    page_size_max: int = setting(
        "CARDINAL_PAGE_SIZE_MAX",
        100,
        "a number from 1 to 1000",
        "The most nodes of a connection that one page may ask for.",
        ge=1,
        le=1_000,
    )
    page_size_integrator_max: int = setting(
        "CARDINAL_PAGE_SIZE_INTEGRATOR_MAX",
        500,
        "a number from 1 to 1000",
        "The same for integrators.",
        ge=1,
        le=1_000,
    )
    rate_capacity: int = setting(
        "CARDINAL_RATE_CAPACITY",
        10_000,
        "a number from 1000 to 1000000000",
        "How many points of cost one user may spend at once on one API process (docs/api.md).",
        ge=1_000,
        le=1_000_000_000,
    )
    rate_restored_per_s: int = setting(
        "CARDINAL_RATE_RESTORED_PER_S",
        500,
        "a number from 1 to 1000000000",
        "How many of these points come back each second.",
        ge=1,
        le=1_000_000_000,
    )
    user_requests_max: int = setting(
        "CARDINAL_USER_REQUESTS_MAX",
        100,
        "a number from 1 to 65536",
        "How many GraphQL requests of one user one API process answers at the same time.",
        ge=1,
        le=65_536,
    )
    user_sockets_max: int = setting(
        "CARDINAL_USER_SOCKETS_MAX",
        100,
        "a number from 1 to 65536",
        "How many WebSockets one user may keep open to one API process.",
        ge=1,
        le=65_536,
    )
    registered_only_roles: Annotated[frozenset[Role], NoDecode] = setting(
        "CARDINAL_REGISTERED_ONLY_ROLES",
        frozenset(),
        "roles such as `operator,researcher` with commas between",
        "Whose members run registered documents only, unless another role of theirs may ask for anything.",
    )
    lag_max_s: int = setting(
        "CARDINAL_LAG_MAX_S",
        60,
        "a number from 1 to 86400",
        "How many seconds a projection may be behind the log before the API says that it is not ready.",
        ge=1,
        le=86_400,
    )
    horizon_age_max_s: int = setting(
        "CARDINAL_HORIZON_AGE_MAX_S",
        300,
        "a number from 1 to 86400",
        "How many seconds an open transaction may hold readers of the log back before that is a fault.",
        ge=1,
        le=86_400,
    )

    @classmethod
    def read(cls, given: Mapping[str, Any] = {}) -> "Settings":
        """Read the environment; `given` variables come before it. Raise SettingsFault with all faults."""
        try:
            return cls(**given)
        except ValidationError as error:
            raise SettingsFault(*_faults(error)) from None

    @field_validator("home", "partner_keys")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else Path(path).expanduser().absolute()

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            text = url.get_secret_value()
            require(text.startswith(("postgresql://", "postgres://")))
            try:
                psycopg.conninfo.conninfo_to_dict(text)
            except psycopg.ProgrammingError:
                raise ValueError from None  # its message quotes the address, which holds a password
        return url

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, url: SecretStr | None) -> SecretStr | None:
        schemes = ("amqp://", "amqps://")
        require(url is None or url.get_secret_value().startswith(schemes))
        return url

    @field_validator("points_gateway")
    @classmethod
    def _gateway(cls, given: str | None) -> str | None:
        require(given is None or _GATEWAY.fullmatch(given) is not None)
        return given

    @field_validator("org_units", mode="before")
    @classmethod
    def _units(cls, given: str | dict[str, str]) -> dict[str, str]:
        units = pairs(given) if isinstance(given, str) else given
        require(all(_UNIT.fullmatch(code) and name for code, name in units.items()))
        require(HEAD_OFFICE in units and len(units) <= UNITS_MAX)
        return units

    @field_validator("registered_only_roles", mode="before")
    @classmethod
    def _roles(cls, given: str | frozenset[Role]) -> frozenset[Role]:
        return frozenset(map(Role, listed(given))) if isinstance(given, str) else given

    @field_validator("approval_levels", mode="before")
    @classmethod
    def _levels(cls, given: str | dict[str, tuple[Level, ...]]) -> dict[str, tuple[Level, ...]]:
        if not isinstance(given, str):
            return given
        policy = {}
        for kind, names in pairs(given).items():
            levels = tuple(Level(name) for name in names.split("+"))
            require(bool(_KIND.fullmatch(kind)) and levels == tuple(x for x in TWO_LEVELS if x in levels))
            policy[kind] = levels
        return policy

    @field_validator("business_time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError):
            raise ValueError from None
        return name

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def requires_https(self) -> bool:
        return self.is_production if self.https_required is None else self.https_required

    @property
    def has_login(self) -> bool:
        """Whether this house issues tokens of its own."""
        return not self.is_production if self.login is None else self.login

    @property
    def signing_keys_folder(self) -> Path:
        return self.home / "signing-keys" if self.signing_keys is None else self.signing_keys

    @property
    def seals_folder(self) -> Path:
        return self.home / "seals" if self.seals is None else self.seals

    @property
    def seal_keys_folder(self) -> Path:
        return self.home / "seal-keys" if self.seal_keys is None else self.seal_keys

    @property
    def units(self) -> frozenset[str]:
        """The codes of all organisation units."""
        return frozenset(self.org_units)

    @property
    def approval_policy(self) -> ApprovalPolicy:
        return ApprovalPolicy(self.approval_levels, timedelta(days=self.approval_days))

    @property
    def time_zone(self) -> ZoneInfo:
        return ZoneInfo(self.business_time_zone)

    def require_issuer(self) -> None:
        """Raise SettingsFault when this is production and nobody is named whose tokens are good."""
        address = self.key_address
        has_keys = address is not None or self.jwks_file is not None
        if not self.is_production or (self.has_login and not has_keys):
            return
        faults = []
        if not has_keys:
            faults.append(
                "CARDINAL_JWKS_URL or CARDINAL_JWKS_FILE must be set in production, "
                "unless CARDINAL_TOKEN_ISSUER is the https:// address of an OpenID provider"
            )
        if "token_issuer" not in self.model_fields_set:
            faults.append("CARDINAL_TOKEN_ISSUER must be set in production")
        if address is not None and not address.startswith("https://"):
            named = "CARDINAL_TOKEN_ISSUER" if self.jwks_url is None else "CARDINAL_JWKS_URL"
            faults.append(f"{named} must be an https:// address in production")
        if faults:
            raise SettingsFault(*faults)

    def require_whole_certificate(self) -> None:
        """Raise SettingsFault where there is a certificate without its key, or a key alone."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsFault("CARDINAL_TLS_CERTIFICATE and CARDINAL_TLS_KEY must be set both, or none")


def _faults(error: ValidationError) -> Iterable[str]:
    fields = {field.alias: field for field in Settings.model_fields.values()}
    for variable in dict.fromkeys(str(each["loc"][0]) for each in error.errors()):
        yield f"{variable} must be {expected(fields[variable])}"
