"""The master keys that wrap persons' keys: files in a folder, outside the database."""

import os
import re
from pathlib import Path
from secrets import token_bytes, token_hex

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from application.shared.key_keepers import KeysUnavailable
from infrastructure.durable_files import flush

KEY_BYTES = 32
NONCE_BYTES = 12
KEYS_MAX = 1_000
_NAME = re.compile(r"master-(\d{4})\.key")


class MasterKeyring:
    """One file a key, its owner's alone; the first is made only where `may_begin`. None is ever deleted here:
    what an old one wrapped may stand in a backup.
    """

    def __init__(self, folder: Path, *, may_begin: bool = False) -> None:
        self._folder, self._may_begin = folder, may_begin

    def newest(self) -> int:
        """The highest number; of two that begin at once, both get the one key. Raise KeysUnavailable."""
        numbers = self._numbers()
        if not numbers:
            if not self._may_begin:
                raise KeysUnavailable(f"{self._folder} holds no master key: bring back what was there")
            self._make(1)
            return 1
        return numbers[-1]

    def rotate(self) -> int:
        number = self.newest() + 1
        if number > KEYS_MAX:
            raise KeysUnavailable(f"{self._folder} has {KEYS_MAX} keys")
        self._make(number)
        return number

    def wrap(self, number: int, key: bytes, about: bytes) -> bytes:
        nonce = token_bytes(NONCE_BYTES)
        return nonce + self._key(number).encrypt(nonce, key, about)

    def unwrap(self, number: int, wrapped: bytes, about: bytes) -> bytes:
        try:
            return self._key(number).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], about)
        except (InvalidTag, ValueError):
            raise KeysUnavailable(f"{self._path(number)} is not the key that wrapped this") from None

    def _path(self, number: int) -> Path:
        return self._folder / f"master-{number:04}.key"

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KeysUnavailable(f"{self._folder}: {error.strerror}") from error
        return sorted(int(found[1]) for found in map(_NAME.fullmatch, names) if found)

    def _key(self, number: int) -> AESGCM:
        path = self._path(number)
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise KeysUnavailable(f"{path} can be read by others: chmod 600 it")
                raw = file.read(KEY_BYTES + 1)
        except OSError as error:
            raise KeysUnavailable(f"{path}: {error.strerror}") from error
        if len(raw) != KEY_BYTES:
            raise KeysUnavailable(f"{path} is damaged: it must hold {KEY_BYTES} bytes")
        return AESGCM(raw)

    def _make(self, number: int) -> None:
        """Whole or not at all; of two that make the same number, the first one wins."""
        path = self._path(number)
        fresh = path.with_name(f".{path.name}.{token_hex(8)}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with open(os.open(fresh, flags, 0o600), "wb") as file:
                file.write(token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, path)
            except FileExistsError:
                return
            finally:
                fresh.unlink()
            flush(self._folder)
        except OSError as error:
            raise KeysUnavailable(f"{self._folder}: {error.strerror}") from error
