"""The hash of a stored event: SHA-256 over its whole envelope, its data and the hash before it.

Canonical form, for ever: each field in the order of `FIELDS`, as four bytes of big-endian length and
then its UTF-8 text; an absent field is the length 0xFFFFFFFF alone. Identifiers as 36 lower-case
characters, numbers in decimal, instants as microseconds since 1970 UTC, data and personal part as their
stored bytes, hashes as 32 bytes. The position is not hashed here: it is known only at commit, and seals
cover it.
"""

import hashlib
import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

FIELDS = (
    "stream_id", "stream_type", "version", "event_type", "schema_version", "event_id", "recorded_at",
    "effective_at", "actor", "on_behalf_of", "org_unit", "command_id", "correlation_id", "causation_id",
    "reason", "data", "personal", "personal_key_id", "previous_hash",
)  # fmt: skip

_ABSENT = b"\xff\xff\xff\xff"
_LENGTH = struct.Struct(">I").pack
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def canonical(fields: Iterable[bytes | str | None]) -> bytes:
    """The fields in their canonical form, one after the other."""
    parts = []
    for field in fields:
        if field is None:
            parts.append(_ABSENT)
            continue
        raw = field.encode() if isinstance(field, str) else field
        parts += _LENGTH(len(raw)), raw
    return b"".join(parts)


def canonical_field(raw: bytes) -> bytes:
    """One field that is there, in its canonical form."""
    return _LENGTH(len(raw)) + raw


def chained_hash(fields: Iterable[bytes | str | None]) -> bytes:
    """32 bytes. The fields in the order of `FIELDS`, each already in its canonical text or bytes."""
    return hashlib.sha256(canonical(fields)).digest()


def instant(moment: datetime) -> str:
    return str((moment - _UNIX_EPOCH) // _MICROSECOND)
