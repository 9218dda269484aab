"""Events to bytes and back: JSON of the event's fields, read by any later version of the code."""

from functools import cache
from typing import Any, NamedTuple

import msgspec

from infrastructure.event_types import BY_CLASS, BY_NAME, EventType

DATA_BYTES_MAX = 1_000_000


class UnknownEvent(Exception):
    """The log holds an event that this version of the code can't read: it was written by a later one."""


class Encoded(NamedTuple):
    event_type: str
    schema_version: int
    data: bytes


def encode(event: object) -> Encoded:
    """The bytes are kept and hashed as they are."""
    type_ = BY_CLASS[type(event)]
    data = _ENCODER.encode(event)
    assert len(data) <= DATA_BYTES_MAX, f"{type_.name} has {len(data)} bytes"
    return Encoded(type_.name, type_.schema_version, data)


def decode(event_type: str, schema_version: int, data: bytes | str) -> Any:
    """Raise UnknownEvent for a name or version of the future, ValueError for data that is damaged."""
    type_ = BY_NAME.get(event_type)
    if type_ is None or schema_version > type_.schema_version:
        raise UnknownEvent(f"{event_type} version {schema_version}")
    try:
        if schema_version == type_.schema_version:
            return _decoder(type_.event).decode(data)
        return msgspec.convert(_upcast(type_, schema_version, msgspec.json.decode(data)), type_.event)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{event_type}: {error}") from None


def _upcast(type_: EventType, schema_version: int, data: dict[str, Any]) -> dict[str, Any]:
    for version in range(schema_version, type_.schema_version):
        upcast = type_.upcasters.get(version)
        data = upcast(data) if upcast else data
    return data


_ENCODER = msgspec.json.Encoder()


@cache
def _decoder(event: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(event)
