"""Records as the log's table keeps them: a mapper to and from stored events, and the chain of hashes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Mapper, StoredEvent

from application.shared.identifiers import uuid7
from application.shared.records import Context, Position, Record, Write
from infrastructure import event_codec, personal_parts
from infrastructure.envelope import chained_hash, instant

COLUMNS = (
    "stream_id", "stream_type", "version", "epoch", "position", "event_type", "schema_version", "event_id",
    "recorded_at", "effective_at", "actor", "on_behalf_of", "org_unit", "command_id", "correlation_id",
    "causation_id", "reason", "data", "personal", "personal_key_id", "previous_hash", "hash",
)  # fmt: skip
"""The columns of log.events in their order."""

SELECTED = ", ".join("data::text" if column == "data" else column for column in COLUMNS)
RECORDED = ", ".join("data::text" if column == "data" else column for column in COLUMNS[:20])
"""The columns of a record: without the chain."""


@dataclass(frozen=True)
class StoredRecord(StoredEvent):
    """A stored event with its whole envelope. `topic` is the event type's name, `state` the data's bytes."""

    stream_type: str
    schema_version: int
    event_id: UUID
    recorded_at: datetime
    context: Context
    personal: bytes | None
    personal_key_id: UUID | None
    previous_hash: bytes
    hash: bytes
    position: Position | None

    def recomputed_hash(self) -> bytes:
        """The hash that this envelope must have."""
        context = self.context
        return chained_hash(
            (
                str(self.originator_id),
                self.stream_type,
                str(self.originator_version),
                self.topic,
                str(self.schema_version),
                str(self.event_id),
                instant(self.recorded_at),
                instant(context.effective_at),
                context.actor,
                context.on_behalf_of,
                context.org_unit,
                str(context.command_id),
                str(context.correlation_id),
                None if context.causation_id is None else str(context.causation_id),
                context.reason,
                self.state,
                self.personal,
                None if self.personal_key_id is None else str(self.personal_key_id),
                self.previous_hash,
            )
        )

    def members(self, ordinal: int) -> dict[str, object]:
        """The event in the request of log.append; `ordinal` counts the events of the append from 0."""
        context = self.context
        return {
            "ordinal": ordinal,
            "stream_id": self.originator_id,
            "stream_type": self.stream_type,
            "version": self.originator_version,
            "event_type": self.topic,
            "schema_version": self.schema_version,
            "event_id": self.event_id,
            "recorded_at": self.recorded_at,
            "effective_at": context.effective_at,
            "actor": context.actor,
            "on_behalf_of": context.on_behalf_of,
            "org_unit": context.org_unit,
            "command_id": context.command_id,
            "correlation_id": context.correlation_id,
            "causation_id": context.causation_id,
            "reason": context.reason,
            "data": self.state.decode(),
            "personal": self.personal and self.personal.hex(),
            "personal_key_id": self.personal_key_id,
            "previous_hash": self.previous_hash.hex(),
            "hash": self.hash.hex(),
        }


def stored(row: Sequence[Any]) -> StoredRecord:
    """One row of `SELECTED`."""
    (
        stream_id, stream_type, version, epoch, position, event_type, schema_version, event_id, recorded_at,
        effective_at, actor, on_behalf_of, org_unit, command_id, correlation_id, causation_id, reason, data,
        personal, personal_key_id, previous_hash, hash_,
    ) = row  # fmt: skip
    return StoredRecord(
        stream_id,
        version,
        event_type,
        data.encode(),
        stream_type,
        schema_version,
        event_id,
        recorded_at,
        Context(
            actor, on_behalf_of, org_unit, command_id, correlation_id, causation_id, effective_at, reason
        ),
        personal,
        personal_key_id,
        previous_hash,
        hash_,
        Position(epoch, position),
    )


def chained(
    write: Write, context: Context, recorded_at: datetime, event_ids: Iterator[UUID] | None = None
) -> list[StoredRecord]:
    """The write's events as they will be stored, each holding the hash of the one before."""
    previous, found = write.previous_hash, list[StoredRecord]()
    event_ids = iter(write.event_ids) if write.event_ids else event_ids
    for version, event in enumerate(write.events, start=write.version + 1):
        event_id = next(event_ids) if event_ids else uuid7()
        plain, personal, key_id = personal_parts.sealed(event, write.stream_id, event_id)
        encoded = event_codec.encode(plain)
        unhashed = StoredRecord(
            write.stream_id,
            version,
            encoded.event_type,
            encoded.data,
            write.stream_type,
            encoded.schema_version,
            event_id,
            recorded_at,
            context,
            personal,
            key_id,
            previous,
            b"",
            None,
        )
        previous = unhashed.recomputed_hash()
        object.__setattr__(unhashed, "hash", previous)
        found.append(unhashed)
    return found


def record(row: Sequence[Any]) -> Record[Any]:
    """One row of `RECORDED`. Raise UnknownEvent, KeysUnavailable, or ValueError for data that is damaged."""
    (
        stream_id, stream_type, version, epoch, position, event_type, schema_version, event_id, recorded_at,
        effective_at, actor, on_behalf_of, org_unit, command_id, correlation_id, causation_id, reason, data,
        personal, personal_key_id,
    ) = row  # fmt: skip
    event = event_codec.decode(event_type, schema_version, data)
    if personal is not None:
        event = personal_parts.opened(event, personal, personal_key_id, event_id)
    return Record(
        stream_id,
        stream_type,
        version,
        Position(epoch, position),
        event_type,
        schema_version,
        event_id,
        recorded_at,
        Context(
            actor, on_behalf_of, org_unit, command_id, correlation_id, causation_id, effective_at, reason
        ),
        event,
    )


class RecordMapper(Mapper[UUID]):
    """Reads stored events as records. Events are made by `chained`, for a hash needs the one before."""

    def __init__(self) -> None:
        pass

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        assert isinstance(domain_event, StoredRecord), "the log stores chained events"
        return domain_event

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        assert isinstance(stored_event, StoredRecord)
        assert stored_event.position is not None
        assert isinstance(stored_event.originator_id, UUID)
        return Record(
            stored_event.originator_id,
            stored_event.stream_type,
            stored_event.originator_version,
            stored_event.position,
            stored_event.topic,
            stored_event.schema_version,
            stored_event.event_id,
            stored_event.recorded_at,
            stored_event.context,
            personal_parts.opened(
                event_codec.decode(stored_event.topic, stored_event.schema_version, stored_event.state),
                stored_event.personal,
                stored_event.personal_key_id,
                stored_event.event_id,
            ),
        )
