"""Seals: what the log was at an instant, as a signed statement that holds the hash of the seal before."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Self
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from application.shared.records import BEGINNING, Position

KIND = "cardinal-seal-1"
GENESIS = bytes(32)
"""Stands for the seal before the first."""

SEALED_BYTES_MAX = 8_192


class SealInvalid(ValueError):
    """What was read is no seal of this form, or its signature is not that of the key which it names."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One statement about the log.

    `size` events were recorded up to `position`, and `root` is the Merkle root of them all; `stretch` is that
    of the `events` which came after the seal that this one `continues`: the one before, except after a
    restore, when the log goes on from an older one. `previous` is the hash of the seal before in any case.
    `key` signs it; `next_key`, where there is one, signs the next.
    """

    log: UUID
    number: int
    continues: int
    size: int
    events: int
    position: Position
    root: bytes
    stretch: bytes
    previous: bytes
    sealed_at: datetime
    key: bytes
    next_key: bytes | None = None

    def statement(self) -> str:
        """The canonical text: sorted members, no white space, hashes in hexadecimal, keys in base64."""
        return json.dumps(
            {
                "kind": KIND,
                "log": str(self.log),
                "number": self.number,
                "continues": self.continues,
                "size": self.size,
                "events": self.events,
                "position": str(self.position),
                "root": self.root.hex(),
                "stretch": self.stretch.hex(),
                "previous": self.previous.hex(),
                "sealedAt": self.sealed_at.astimezone(UTC).isoformat(timespec="microseconds"),
                "key": base64.b64encode(self.key).decode(),
                "nextKey": None if self.next_key is None else base64.b64encode(self.next_key).decode(),
            },
            sort_keys=True,
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, statement: str) -> Self:
        """Raise SealInvalid for anything but what `statement` gives."""
        try:
            told = json.loads(statement)
            if told["kind"] != KIND:
                raise SealInvalid(f"a statement of kind {told['kind']!r}")
            found = cls(
                UUID(told["log"]),
                int(told["number"]),
                int(told["continues"]),
                int(told["size"]),
                int(told["events"]),
                Position.parse(told["position"]),
                bytes.fromhex(told["root"]),
                bytes.fromhex(told["stretch"]),
                bytes.fromhex(told["previous"]),
                datetime.fromisoformat(told["sealedAt"]),
                base64.b64decode(told["key"], validate=True),
                None if told["nextKey"] is None else base64.b64decode(told["nextKey"], validate=True),
            )
        except SealInvalid:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise SealInvalid("no statement of a seal") from error
        if found.statement() != statement:
            raise SealInvalid("a statement that is not in its canonical form")
        return found


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal with its exact text and its signature."""

    seal: Seal
    statement: str
    signature: bytes

    @property
    def hash(self) -> bytes:
        return sha256(self.statement.encode()).digest()

    @classmethod
    def sign(cls, seal: Seal, key: Ed25519PrivateKey) -> Self:
        statement = seal.statement()
        return cls(seal, statement, key.sign(_signed(statement)))

    @classmethod
    def parse(cls, statement: str, signature: bytes) -> Self:
        """Raise SealInvalid, also when the key that the statement names has not signed it."""
        seal = Seal.parse(statement)
        try:
            Ed25519PublicKey.from_public_bytes(seal.key).verify(signature, _signed(statement))
        except (InvalidSignature, ValueError) as error:
            raise SealInvalid(f"seal {seal.number} is not signed by the key that it names") from error
        return cls(seal, statement, signature)

    def content(self) -> bytes:
        """As a file."""
        told = {"statement": self.statement, "signature": base64.b64encode(self.signature).decode()}
        return json.dumps(told, indent=1).encode() + b"\n"

    @classmethod
    def of_content(cls, content: bytes) -> Self:
        """Raise SealInvalid."""
        try:
            told: Mapping[str, Any] = json.loads(content)
            statement, signature = told["statement"], base64.b64decode(told["signature"], validate=True)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SealInvalid("no seal") from error
        return cls.parse(statement, signature)


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def follows(sealed: Sealed, before: Sealed | None, log: UUID) -> str | None:
    """Why the seal can't come after the one before, None when it can."""
    seal, prior = sealed.seal, before and before.seal
    number, key = (prior.number, prior.next_key or prior.key) if prior else (0, seal.key)
    if seal.log != log:
        return f"seal {seal.number} is one of another log, {seal.log}"
    if seal.number != number + 1:
        return f"seal {number + 1} is missing"
    if seal.previous != (before.hash if before else GENESIS):
        return f"seal {seal.number} does not follow from the one before"
    if seal.key != key:
        return f"seal {seal.number} is signed by a key that the seal before does not name"
    if not 0 <= seal.continues < seal.number or seal.events < 1 or seal.position <= BEGINNING:
        return f"seal {seal.number} contradicts itself"
    return None


def _signed(statement: str) -> bytes:
    return f"{KIND}\n{statement}".encode()
