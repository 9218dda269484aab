"""The settings of the keys that personal data hangs on."""

import re
from pathlib import Path

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings

from infrastructure.settings_values import require, setting

MASTER_KEYS = re.compile(r"keyring:(?P<folder>/.+)|pkcs11:(?P<module>/[^?]+)\?token=(?P<token>[^&]{1,32})")


class VaultSettings(BaseSettings):
    """A part of `Settings`."""

    master_keys: str | None = setting(
        "CARDINAL_MASTER_KEYS",
        None,
        "`keyring:/path` or `pkcs11:/path/of/module.so?token=LABEL`",
        "Where the master keys are that wrap persons' keys. None: the folder `master-keys` in CARDINAL_HOME.",
    )
    pkcs11_pin: SecretStr | None = setting(
        "CARDINAL_PKCS11_PIN", None, "the PIN of the token's user", "Opens the token of CARDINAL_MASTER_KEYS."
    )
    person_keys: Path | None = setting(
        "CARDINAL_PERSON_KEYS",
        None,
        "a folder",
        "Persons' keys, wrapped; all processes share it, and its backups live short."
        " None: `person-keys` in CARDINAL_HOME.",
    )

    @field_validator("master_keys")
    @classmethod
    def _known(cls, given: str | None) -> str | None:
        require(given is None or MASTER_KEYS.fullmatch(given) is not None)
        return given

    @field_validator("person_keys")
    @classmethod
    def _from_here(cls, path: Path | None) -> Path | None:
        return None if path is None else Path(path).expanduser().absolute()
