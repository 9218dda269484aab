"""The master keys in a hardware security module, by PKCS#11: they never leave it."""

import threading
from pathlib import Path
from typing import Any

from application.shared.key_keepers import KeysUnavailable

LABEL = "cardinal-master-{:04}"
KEYS_MAX = 1_000
KEY_BITS = 256
NONCE_BYTES = 12
TAG_BITS = 128


class Pkcs11Keys:
    """AES keys of one token, found by their labels. `module` is the vendor's library, `pin` the user's."""

    def __init__(self, module: Path, token: str, pin: str, *, may_begin: bool = False) -> None:
        self._module, self._token, self._pin, self._may_begin = module, token, pin, may_begin
        self._session: Any = None
        self._lock = threading.Lock()

    def newest(self) -> int:
        """The highest number; the first key is made only where `may_begin`. Raise KeysUnavailable."""
        with self._lock, _Told(self._token):
            number = self._newest()
            if number == 0:
                if not self._may_begin:
                    raise KeysUnavailable(f"the token {self._token!r} holds no master key of Cardinal")
                self._make(1)
            return max(number, 1)

    def rotate(self) -> int:
        with self._lock, _Told(self._token):
            number = self._newest() + 1
            if number > KEYS_MAX:
                raise KeysUnavailable(f"the token {self._token!r} has {KEYS_MAX} keys")
            self._make(number)
            return number

    def wrap(self, number: int, key: bytes, about: bytes) -> bytes:
        with self._lock, _Told(self._token):
            nonce = self._opened().generate_random(NONCE_BYTES * 8)
            wrapped: bytes = self._key(number).encrypt(key, **_gcm(nonce, about))
            return bytes(nonce) + wrapped

    def unwrap(self, number: int, wrapped: bytes, about: bytes) -> bytes:
        with self._lock, _Told(self._token):
            nonce, rest = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
            return bytes(self._key(number).decrypt(rest, **_gcm(nonce, about)))

    def _opened(self) -> Any:
        """The session, opened when it is first asked for. A process logs in to a token once."""
        if self._session is None:
            import pkcs11

            token = pkcs11.lib(str(self._module)).get_token(token_label=self._token)
            try:
                self._session = token.open(user_pin=self._pin, rw=True)
            except pkcs11.exceptions.UserAlreadyLoggedIn:
                self._session = token.open(rw=True)
        return self._session

    def _newest(self) -> int:
        import pkcs11

        found = self._opened().get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY})
        labels = {key.label for key in found}
        return max((number for number in range(1, KEYS_MAX + 1) if LABEL.format(number) in labels), default=0)

    def _key(self, number: int) -> Any:
        import pkcs11

        return self._opened().get_key(
            object_class=pkcs11.ObjectClass.SECRET_KEY,
            key_type=pkcs11.KeyType.AES,
            label=LABEL.format(number),
        )

    def _make(self, number: int) -> None:
        import pkcs11

        self._opened().generate_key(
            pkcs11.KeyType.AES,
            KEY_BITS,
            label=LABEL.format(number),
            store=True,
            template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
        )


class _Told:
    """What the library raises, in words of ours; the next call begins a session anew."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, KeysUnavailable):
            return
        import pkcs11

        if isinstance(error, pkcs11.PKCS11Error | RuntimeError):
            reason = " ".join(filter(None, (type(error).__name__, str(error))))
            raise KeysUnavailable(f"the token {self._token!r}: {reason}") from error


def _gcm(nonce: bytes, about: bytes) -> dict[str, Any]:
    from pkcs11 import GCMParams, Mechanism

    return {"mechanism": Mechanism.AES_GCM, "mechanism_param": GCMParams(nonce, about, TAG_BITS)}
