"""The keys of persons that the settings name."""

from collections.abc import Callable, Iterable
from pathlib import Path

from application.shared.key_keepers import MasterKeys
from infrastructure.master_keys import MasterKeyring
from infrastructure.person_keys import PersonKeys
from infrastructure.settings import Settings
from infrastructure.vault_settings import MASTER_KEYS


def erased_customers(settings: Settings) -> Callable[[Iterable[str]], Iterable[str]]:
    """For who loads a warehouse: those of the numbers whose customer was erased. Where nobody ever was, no
    key is opened.
    """

    def found(names: Iterable[str]) -> Iterable[str]:
        keys = person_keys(settings)
        return keys.erased_customers(names) if keys.has_erasures() else ()

    return found


def person_keys(settings: Settings) -> PersonKeys:
    """Nothing is opened before it is needed."""
    given = MASTER_KEYS.fullmatch(settings.master_keys or f"keyring:{settings.home / 'master-keys'}")
    assert given is not None, "the settings were judged"

    def master_keys(may_begin: bool) -> MasterKeys:
        if given["folder"] is not None:
            return MasterKeyring(Path(given["folder"]), may_begin=may_begin)
        from infrastructure.pkcs11_keys import Pkcs11Keys

        pin = "" if settings.pkcs11_pin is None else settings.pkcs11_pin.get_secret_value()
        return Pkcs11Keys(Path(given["module"]), given["token"], pin, may_begin=may_begin)

    return PersonKeys(settings.person_keys or settings.home / "person-keys", master_keys)
