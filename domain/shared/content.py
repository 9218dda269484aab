"""What an approver saw, as one hash: a canonical form of plain values and SHA-256 over it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


def content_hash(content: object) -> str:
    """64 hexadecimal digits. Equal contents give equal hashes in every process and for ever.

    Canonical form: JSON with sorted keys, no spaces, UTF-8; dataclasses as objects by field name,
    fields that are None or have their default left out (so a field added later changes no old hash),
    instants in UTC.
    """
    text = json.dumps(_plain(content), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _is_default(field: Field[Any], member: object) -> bool:
    if member is None or member == field.default:
        return True
    return field.default_factory is not MISSING and member == field.default_factory()


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        members = {field: getattr(value, field.name) for field in fields(value)}
        return {f.name: _plain(member) for f, member in members.items() if not _is_default(f, member)}
    match value:
        case StrEnum():
            return value.value
        case datetime(tzinfo=None):
            raise TypeError("an instant without a zone has no canonical form")
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case Mapping():
            return {str(name): _plain(member) for name, member in value.items()}
        case tuple() | list():
            return [_plain(member) for member in value]
        case None | bool() | int() | str():
            return value
    raise TypeError(f"{type(value).__name__} has no canonical form")
