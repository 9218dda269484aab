"""Global ids as clients see them: the type's prefix and the key, `act_<32 hex digits>`; opaque outside."""

import re
from uuid import UUID

_ID = re.compile(r"([a-z][a-z0-9]*)_([0-9a-f]{32})")


def encode(prefix: str, key: UUID) -> str:
    return f"{prefix}_{key.hex}"


def decode(text: str) -> tuple[str, UUID]:
    """Prefix and key of an id. Raises ValueError for anything that `encode` does not write."""
    if (found := _ID.fullmatch(text)) is None:
        raise ValueError("not an id")
    return found[1], UUID(found[2])


def parsed(text: str) -> tuple[str, UUID | None]:
    """Prefix and key; for what is no id, the prefix of no type."""
    try:
        return decode(text)
    except ValueError:
        return "", None
