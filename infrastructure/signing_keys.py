"""The keys by which this house signs its own tokens: files in a folder, the newest signs.

A key verifies until the last token that it can have signed is over. Whoever adds a file rotates the keys;
processes that share the folder find it by themselves.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from secrets import token_hex
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

from infrastructure.token_keys import KeysUnavailable

ALGORITHM = "EdDSA"
KEYS_MAX = 50
KEY_BYTES_MAX = 4_096
READ_GAP_S = 2.0
# Above the life of any token of ours, with the leeway for clocks.
OVERLAP_S = 2 * 3600.0
_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"own-(\d{8}T\d{6}Z)-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    made_at_s: float
    private: Ed25519PrivateKey
    public: jwt.PyJWK

    def sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(dict(claims), self.private, ALGORITHM, headers={"kid": self.kid, "typ": "at+jwt"})


class SigningKeys:
    """The keys of a folder, read again every few seconds, and when one is asked for that is not known."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder, self._now = folder, now
        self._lock = threading.Lock()
        self._keys: tuple[SigningKey, ...] = ()
        self._read_s = float("-inf")

    @staticmethod
    def is_ours(kid: object) -> bool:
        return isinstance(kid, str) and _NAME.fullmatch(kid) is not None

    def newest(self) -> SigningKey:
        """The key that signs; the first is made when it is asked for. Raise KeysUnavailable."""
        keys = self._current()
        if not keys:
            self.rotate()
            keys = self._current(fresh=True)
        return keys[-1]

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key that may have signed a token that still holds."""
        for fresh in (False, True):
            for key in self._current(fresh and self._is_due()):
                if key.kid == kid:
                    return key.public
        return None

    def published(self) -> dict[str, object]:
        """A JSON Web Key Set of all that verify. Source: RFC 7517."""
        keys = []
        for key in self._current():
            entry = OKPAlgorithm.to_jwk(key.private.public_key(), as_dict=True)
            keys.append({**entry, "kid": key.kid, "alg": ALGORITHM, "use": "sig"})
        return {"keys": keys}

    def rotate(self) -> str:
        """Make a key that signs from now on, and take away those that verify no more; its kid."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path, _ in self._over():
            path.unlink(missing_ok=True)
        kid = f"own-{datetime.fromtimestamp(self._now(), UTC).strftime(_STAMP)}-{token_hex(4)}"
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        fresh = self._folder / f".{kid}.pem"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        fresh.rename(self._folder / f"{kid}.pem")
        self._current(fresh=True)
        return kid

    def _is_due(self) -> bool:
        return time.monotonic() - self._read_s > 0.2

    def _current(self, fresh: bool = False) -> tuple[SigningKey, ...]:
        """The keys that verify, the newest last."""
        with self._lock:
            if fresh or not self._keys or time.monotonic() - self._read_s > READ_GAP_S:
                known = {key.kid: key for key in self._keys}
                over = {path for path, _ in self._over()}
                paths = [path for path, _ in self._files() if path not in over]
                self._keys = tuple(known.get(path.stem) or _read(path) for path in paths)
                self._read_s = time.monotonic()
            return self._keys

    def _files(self) -> list[tuple[Path, float]]:
        """Files of keys with the instants they were made at, the oldest first."""
        try:
            found = sorted(path for path in self._folder.glob("own-*.pem") if _NAME.fullmatch(path.stem))
        except OSError as error:
            raise KeysUnavailable(f"{self._folder}: {error.strerror}") from error
        return [(path, _made_at_s(path)) for path in found][-KEYS_MAX:]

    def _over(self) -> list[tuple[Path, float]]:
        """Those whose successor was made so long ago that nothing they signed holds."""
        files = self._files()
        latest = self._now() - OVERLAP_S
        return [file for file, (_, next_s) in pairwise(files) if next_s < latest]


def _made_at_s(path: Path) -> float:
    match = _NAME.fullmatch(path.stem)
    assert match is not None
    return datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC).timestamp()


def _read(path: Path) -> SigningKey:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise KeysUnavailable(f"{path} can be read by others: chmod 600 it, or rotate the keys")
            private = load_pem_private_key(file.read(KEY_BYTES_MAX), None)
    except OSError as error:
        raise KeysUnavailable(f"{path}: {error.strerror}; start as the user who owns it") from error
    except ValueError as error:
        raise KeysUnavailable(f"{path} is damaged: delete it and rotate the keys") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeysUnavailable(f"{path} is no Ed25519 key")
    published = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    public = jwt.PyJWK({**published, "kid": path.stem}, ALGORITHM)
    return SigningKey(path.stem, _made_at_s(path), private, public)
