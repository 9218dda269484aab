"""Keys that personal data hangs on: who wraps a person's key, and who keeps it."""

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID


class MasterKeys(Protocol):
    """AES-256 keys that wrap nothing but other keys. They count from 1; the newest wraps, all unwrap."""

    def newest(self) -> int:
        """The number of the key that wraps. Raise KeysUnavailable."""
        ...

    def rotate(self) -> int:
        """Make another; its number. Raise KeysUnavailable."""
        ...

    def wrap(self, number: int, key: bytes, about: bytes) -> bytes:
        """The key, enciphered and bound to what it is about. Raise KeysUnavailable."""
        ...

    def unwrap(self, number: int, wrapped: bytes, about: bytes) -> bytes:
        """Raise KeysUnavailable where there is no such key, or it wrapped something else."""
        ...


class KeysUnavailable(Exception):
    """A key can't be had; the message says which and why. Nothing was changed."""


class PersonKeeper(Protocol):
    """What use cases ask of the keys of persons. A person is a kind and what names him in it."""

    def key_id(self, kind: str, name: str) -> UUID:
        """The id of his key, which is made when there is none. Raise KeysUnavailable."""
        ...

    def erase(self, key_id: UUID, also: Iterable[str]) -> None:
        """Destroy the key for good, and keep in mind what else names him. Once more changes nothing."""
        ...
