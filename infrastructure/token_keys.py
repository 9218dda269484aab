"""The keys that tokens are signed with: a development key of our own, and an issuer's published set."""

import json
import os
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

DEVELOPMENT_ALGORITHM = "EdDSA"
SET_BYTES_MAX = 256 * 1024
SET_KEYS_MAX = 100
FETCH_TIMEOUT_S = 5.0
URL_PERIOD_S = 300.0
FILE_PERIOD_S = 5.0
# A token with a key that nobody knows makes us look for new keys, but no oftener than this.
ASKED_GAP_S = 10.0
# Keys that could not be confirmed for so long may have been withdrawn: then nobody is let in by them.
UNCONFIRMED_MAX_S = 24 * 3600.0
RSA_BITS = range(2048, 8193)

# Only these members of a published key are read, so that nothing private ever gets in by mistake.
_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
_ALGORITHM = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}

logger = structlog.get_logger("cardinal.keys")


class KeysUnavailable(Exception):
    """The keys can't be had; the message says from where and why."""


class DevelopmentKey:
    """The Ed25519 key that signs the tokens of sample users, made once for each CARDINAL_HOME."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        published = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
        self.kid = f"development-{sha256(published['x'].encode()).hexdigest()[:16]}"
        self.public = jwt.PyJWK({**published, "kid": self.kid}, DEVELOPMENT_ALGORITHM)

    @classmethod
    def of(cls, home: Path) -> "DevelopmentKey":
        """The home's key, made if there is none; processes that come at once get the same one.

        Raise KeysUnavailable when it can't be read, or when others than its owner could read it.
        """
        path = home / "development_key.pem"
        try:
            if not path.exists():
                _make_key(path)
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise KeysUnavailable(
                        f"{path} can be read by others: chmod 600 it, or delete it for a new one"
                    )
                private = load_pem_private_key(file.read(SET_BYTES_MAX), None)
        except OSError as error:
            raise KeysUnavailable(f"{path}: {error.strerror}; start as the user who owns it") from error
        except ValueError as error:
            raise KeysUnavailable(f"{path} is damaged: delete it, and a new one is made") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise KeysUnavailable(f"{path} is no Ed25519 key: delete it, and a new one is made")
        return cls(private)

    def sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(dict(claims), self._private, DEVELOPMENT_ALGORITHM, headers={"kid": self.kid})


def _make_key(path: Path) -> None:
    """Write a whole key beside `path` and link it there, which succeeds for one process only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fresh = path.with_name(f".{path.name}.{token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()


def published_keys(document: bytes, algorithms: Sequence[str]) -> dict[str, jwt.PyJWK]:
    """The usable keys of a JSON Web Key Set by `kid`, each bound to its one algorithm. Source: RFC 7517.

    Keys that are symmetric, for encryption, too weak, without a `kid` or of an algorithm that is not
    allowed are passed over. Raise KeysUnavailable when the document is no set or has no usable key.
    """
    try:
        listed = json.loads(document)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise KeysUnavailable("it is no JSON Web Key Set") from None
    if not isinstance(listed, list) or len(listed) > SET_KEYS_MAX:
        raise KeysUnavailable(f"it is no JSON Web Key Set with at most {SET_KEYS_MAX} keys")
    usable: dict[str, jwt.PyJWK] = {}
    for entry in listed:
        key = _usable(entry, algorithms) if isinstance(entry, dict) else None
        if key is not None:
            usable.setdefault(entry["kid"], key)
    if not usable:
        raise KeysUnavailable(f"it has no key with a kid for {', '.join(algorithms)}")
    return usable


def _usable(entry: dict[str, Any], algorithms: Sequence[str]) -> jwt.PyJWK | None:
    kind, curve = entry.get("kty"), entry.get("crv")
    if (
        not isinstance(kind, str)
        or not isinstance(curve, str | None)
        or not isinstance(entry.get("kid"), str)
    ):
        return None
    algorithm = _ALGORITHM.get((kind, curve))
    if (
        algorithm not in algorithms
        or entry.get("alg", algorithm) != algorithm
        or entry.get("use", "sig") != "sig"
    ):
        return None
    try:
        key = jwt.PyJWK({name: entry[name] for name in _MEMBERS[kind]}, algorithm)
    except (jwt.PyJWTError, KeyError, ValueError, TypeError):
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size not in RSA_BITS:
        return None
    return key


class TrustedKeys:
    """The keys by `kid` that tokens may be signed with; never waits for the network when asked for one.

    `own` are always trusted. Those of `read` are read again every `period_s` in a thread, and soon after
    somebody asked for a key that is not known.
    """

    def __init__(
        self,
        own: Mapping[str, jwt.PyJWK],
        read: Callable[[], dict[str, jwt.PyJWK]] | None = None,
        period_s: float = URL_PERIOD_S,
        asked_gap_s: float = ASKED_GAP_S,
    ) -> None:
        self._own, self._read, self._period_s, self._asked_gap_s = dict(own), read, period_s, asked_gap_s
        self._published: dict[str, jwt.PyJWK] = {}
        self._read_s = self._confirmed_s = float("-inf")
        self._fault: str | None = None
        self._asked, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="token-keys", daemon=True)

    def start(self) -> None:
        """Read the published keys and keep them fresh; when they can't be had now, `fault` tells."""
        if self._read is not None:
            self._refresh()
            self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._asked.set()

    @property
    def fault(self) -> str | None:
        """Why no published key is trusted now, or None."""
        if self._read is None or time.monotonic() - self._confirmed_s < UNCONFIRMED_MAX_S:
            return None
        return self._fault or "the token issuer's keys have not been read yet"

    def find(self, kid: str) -> jwt.PyJWK | None:
        key = self._own.get(kid) or self._published.get(kid)
        if key is None:
            self._asked.set()
        elif kid not in self._own and self.fault is not None:
            return None
        return key

    def _follow(self) -> None:
        while not self._stopped.is_set():
            self._asked.wait(self._period_s if self._fault is None else self._asked_gap_s)
            self._stopped.wait(self._read_s + self._asked_gap_s - time.monotonic())
            self._asked.clear()
            if not self._stopped.is_set():
                self._refresh()

    def _refresh(self) -> None:
        assert self._read is not None
        self._read_s = time.monotonic()
        try:
            self._published = self._read()
        except KeysUnavailable as error:
            if self._fault is None:
                logger.warning("the token issuer's keys can't be read", reason=str(error))
            self._fault = str(error)
        else:
            self._confirmed_s, self._fault = self._read_s, None


def read_file(path: Path, algorithms: Sequence[str]) -> dict[str, jwt.PyJWK]:
    """The keys in a file. Raise KeysUnavailable."""
    try:
        with path.open("rb") as file:
            return published_keys(file.read(SET_BYTES_MAX), algorithms)
    except (OSError, KeysUnavailable) as error:
        raise KeysUnavailable(f"CARDINAL_JWKS_FILE {path}: {error}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The keys come from the address that was set; a redirect could lead anywhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def read_url(url: str, algorithms: Sequence[str], timeout_s: float = FETCH_TIMEOUT_S) -> dict[str, jwt.PyJWK]:
    """The keys at an address; no redirects, at most 256 KiB. Raise KeysUnavailable."""
    try:
        return published_keys(fetched(url, timeout_s), algorithms)
    except (OSError, ValueError, HTTPException, KeysUnavailable) as error:
        raise KeysUnavailable(f"CARDINAL_JWKS_URL {url}: {error}") from error


def fetched(url: str, timeout_s: float) -> bytes:
    """What is at an address: 256 KiB and `timeout_s` at most.

    Raise OSError, HTTPException or KeysUnavailable.
    """
    document, deadline_s = b"", time.monotonic() + timeout_s
    with urllib.request.build_opener(_NoRedirect).open(url, timeout=timeout_s) as response:
        while part := response.read1(SET_BYTES_MAX):
            document += part
            if len(document) > SET_BYTES_MAX:
                raise KeysUnavailable(f"it is larger than {SET_BYTES_MAX} bytes")
            if time.monotonic() > deadline_s:  # a timeout of the socket is one of each part only
                raise KeysUnavailable(f"it takes longer than {timeout_s:g} s")
    return document
