"""The settings of seals."""

from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings

from infrastructure.settings_values import setting


class SealSettings(BaseSettings):
    """A part of `Settings`."""

    seals: Path | None = setting(
        "CARDINAL_SEALS",
        None,
        "a folder",
        "Where the log's seals are published: best where nobody can change a file once it is there."
        " None: `seals` in CARDINAL_HOME.",
    )
    seal_keys: Path | None = setting(
        "CARDINAL_SEAL_KEYS",
        None,
        "a folder",
        "The keys that sign seals; only the scheduler needs them. None: `seal-keys` in CARDINAL_HOME.",
    )
    seal_every_s: int = setting(
        "CARDINAL_SEAL_EVERY_S",
        10,
        "a number from 1 to 86400",
        "How many seconds pass between two looks for events that are not sealed.",
        ge=1,
        le=86_400,
    )

    @field_validator("seals", "seal_keys")
    @classmethod
    def _from_here(cls, path: Path | None) -> Path | None:
        return None if path is None else Path(path).expanduser().absolute()
