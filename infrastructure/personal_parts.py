"""The personal part of events: what tells who somebody is, enciphered under his key, apart from the data.

Here stands which fields of which event are personal, and whose. They are taken out of the data before it is
stored, and put back as it is read. The hash of an event covers the ciphertext: proofs hold after an erasure,
when there is only the mark of one in the fields' place. Events from before, without a personal part, are
read as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from application.shared.key_keepers import KeysUnavailable
from domain import erasures, users
from domain.shared.persons import ERASED
from infrastructure.person_keys import PersonKeys


class Person(NamedTuple):
    """A kind of person, and what names him in it."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Personal:
    """Whose `fields` are, paths with dots, all of them text. `person` gets the event and its stream's id."""

    person: Callable[[Any, UUID], Person]
    fields: tuple[str, ...]


def _user(_: object, stream_id: UUID) -> Person:
    return Person("user", str(stream_id))


def _to_be_erased(event: erasures.ErasureRequested, _: UUID) -> Person:
    return Person(event.kind.value, event.person if event.user is None else str(event.user))


PERSONAL: Mapping[type, Personal] = {
    users.UserCreated: Personal(_user, ("profile.name",)),
    users.UserRevised: Personal(_user, ("profile.name",)),
    erasures.ErasureRequested: Personal(_to_be_erased, ("person",)),
}
"""By class. What a user is called here, `username`, is his account's name and not his own; a customer's
number in a ledger is the bank's name of an account (docs/adr/0013)."""

_keys: PersonKeys | None = None


class Sealed(NamedTuple):
    """An event without what is personal, and that, enciphered."""

    event: Any
    personal: bytes | None
    key_id: UUID | None


def use(keys: PersonKeys) -> None:
    """From now on this process enciphers and deciphers with these keys."""
    global _keys
    _keys = keys


def in_use() -> PersonKeys | None:
    return _keys


def keys() -> PersonKeys:
    """Raise KeysUnavailable where none are in use: nothing personal is stored in clear."""
    if _keys is None:
        raise KeysUnavailable("this process has no keys of persons")
    return _keys


def sealed(event: Any, stream_id: UUID, event_id: UUID) -> Sealed:
    """Raise KeysUnavailable, PersonErased."""
    declared = PERSONAL.get(type(event))
    if declared is None:
        return Sealed(event, None, None)
    kept = keys()
    key_id = kept.key_id(*declared.person(event, stream_id))
    values = {path: _read(event, path) for path in declared.fields}
    personal = kept.encipher(key_id, msgspec.json.encode(values), event_id.bytes)
    for path in declared.fields:
        event = _with(event, path, ERASED)
    return Sealed(event, personal, key_id)


def opened(event: Any, personal: bytes | None, key_id: UUID | None, event_id: UUID) -> Any:
    """The event with what is personal, as far as the person was not erased. Raise KeysUnavailable."""
    if personal is None or key_id is None:
        return event
    clear = keys().decipher(key_id, bytes(personal), event_id.bytes)
    if clear is None:
        return event
    for path, value in msgspec.json.decode(clear, type=dict[str, str]).items():
        event = _with(event, path, value)
    return event


def _read(event: Any, path: str) -> str:
    for name in path.split("."):
        event = getattr(event, name)
    assert isinstance(event, str), f"{path} is text"
    return event


def _with(event: Any, path: str, value: str) -> Any:
    name, _, rest = path.partition(".")
    return replace(event, **{name: _with(getattr(event, name), rest, value) if rest else value})
