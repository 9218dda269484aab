"""The keys that seal the log: files in a folder, each announced by a seal of the one before."""

import os
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from infrastructure.durable_files import flush
from infrastructure.seals import public_bytes

KEYS_MAX = 1_000
KEY_BYTES_MAX = 4_096
_NAME = re.compile(r"seal-(\d{4})\.pem")


class SealKeysUnavailable(Exception):
    """The folder or a key in it can't be used."""


class SealKeys:
    """Keys are never deleted: one that sealed last must announce the next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Ed25519PrivateKey]:
        """The oldest first; the first is made when there is none. Raise SealKeysUnavailable."""
        names = self._names()
        if not names:
            self.rotate()
            names = self._names()
        return [_read(self._folder / name) for name in names]

    def rotate(self) -> bytes:
        """Make the key that the next seal announces; its public half. Raise SealKeysUnavailable."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            names = self._names()
            if len(names) >= KEYS_MAX:
                raise SealKeysUnavailable(f"{self._folder} has {KEYS_MAX} keys")
            number = int(names[-1][5:9]) + 1 if names else 1
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            place = self._folder / f"seal-{number:04}.pem"
            fresh = place.with_name(f".{place.name}.{os.getpid()}")
            with open(
                os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb"
            ) as file:
                file.write(pem)
            flush(fresh)
            try:
                os.link(fresh, place)  # of two that make the same number, the first one wins
            finally:
                fresh.unlink()
            flush(self._folder)
        except FileExistsError:
            return public_bytes(_read(place))
        except OSError as error:
            raise SealKeysUnavailable(f"{self._folder}: {error.strerror}") from error
        return public_bytes(key)

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._folder) if _NAME.fullmatch(name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SealKeysUnavailable(f"{self._folder}: {error.strerror}") from error


def _read(path: Path) -> Ed25519PrivateKey:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise SealKeysUnavailable(f"{path} can be read by others: chmod 600 it")
            key = load_pem_private_key(file.read(KEY_BYTES_MAX), None)
    except OSError as error:
        raise SealKeysUnavailable(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise SealKeysUnavailable(f"{path} is damaged") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SealKeysUnavailable(f"{path} is no Ed25519 key")
    return key
