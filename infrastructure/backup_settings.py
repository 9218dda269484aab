"""The settings of backups."""

from pathlib import Path

import psycopg
from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings

from infrastructure.settings_values import require, setting


class BackupSettings(BaseSettings):
    """A part of `Settings`."""

    backups: Path | None = setting(
        "CARDINAL_BACKUPS",
        None,
        "a folder",
        "Where base backups and the write-ahead log are kept: on another machine's disk. None: nowhere.",
    )
    database_backup_url: SecretStr | None = setting(
        "DATABASE_BACKUP_URL",
        None,
        "`postgresql://user:password@host:port`",
        "The server, as a login with REPLICATION; only the archiver needs it. None: the embedded one.",
    )
    backup_every_h: int = setting(
        "CARDINAL_BACKUP_EVERY_H",
        24,
        "a number from 1 to 720",
        "How many hours pass between two base backups.",
        ge=1,
        le=720,
    )
    backups_kept: int = setting(
        "CARDINAL_BACKUPS_KEPT",
        7,
        "a number from 1 to 1000",
        "How many base backups are kept, with all that was written since the oldest of them.",
        ge=1,
        le=1_000,
    )

    @field_validator("backups")
    @classmethod
    def _backups_from_here(cls, path: Path | None) -> Path | None:
        return None if path is None else Path(path).expanduser().absolute()

    @field_validator("database_backup_url")
    @classmethod
    def _server(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            require(url.get_secret_value().startswith(("postgresql://", "postgres://")))
            try:
                psycopg.conninfo.conninfo_to_dict(url.get_secret_value())
            except psycopg.ProgrammingError:
                raise ValueError from None  # its message quotes the address, which holds a password
        return url
