"""How events are mapped to what integrators see: the list of mappings, and the values that they share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from api.planner.ids import encode
from application.shared.records import Record
from domain.shared.references import Reference
from projections.shared.ids import PREFIXES

E = TypeVar("E")
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mapping:
    """`verb` is what happened to the subject; `version` rises when fields go or change their meaning."""

    verb: str
    data: Callable[[Record[Any]], Data]
    version: int = 1


MAPPINGS: dict[type, Mapping] = {}
"""By the class of the stored event."""


def mapping(verb: str, data: Callable[[Any], Data]) -> Mapping:
    """A mapping that looks at the event alone."""
    return Mapping(verb, lambda record: data(record.event))


def maps(event: type[E], verb: str, data: Callable[[E], Data]) -> None:
    MAPPINGS[event] = mapping(verb, data)


def public_id(kind: str, key: UUID | None) -> str | None:
    return None if key is None else encode(PREFIXES[kind], key)


def reference(kind: str, to: Reference) -> Data:
    return {"id": public_id(kind, to.id), "revision": to.revision}
