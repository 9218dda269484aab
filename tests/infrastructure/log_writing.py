"""Small appends for the tests of the log: claims, for they are the smallest events there are."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from application.shared.records import (
    GENESIS,
    Append,
    CommandKey,
    Context,
    Guard,
    Links,
    Write,
)
from domain.shared.claims import DECIDER, TextClaimed, TextReleased
from infrastructure.event_log import EventLog

OWNER = UUID(int=1)


def context(command_id: UUID | None = None) -> Context:
    id_ = command_id or uuid4()
    return Context("tester", None, "HO", id_, id_, None, datetime.now(UTC))


def command(key: str | None = None, input_hash: bytes = b"i") -> CommandKey:
    return CommandKey("tester", "test", key or str(uuid4()), input_hash)


def write(stream_id: UUID, version: int = 0, previous: bytes = GENESIS, events: int = 1) -> Write:
    facts = [TextClaimed(OWNER) if n % 2 else TextReleased(OWNER) for n in range(version, version + events)]
    return Write(stream_id, "claim", version, previous, facts)


def next_write(log: EventLog, stream_id: UUID, events: int = 1) -> Write:
    loaded = log.load(DECIDER, stream_id)
    return write(stream_id, loaded.version, loaded.hash, events)


def append(
    *writes: Write,
    key: str | None = None,
    guards: tuple[Guard, ...] = (),
    links: tuple[Links, ...] = (),
    unused: tuple[UUID, ...] = (),
) -> Append:
    first = writes[0]
    version = first.version + len(first.events)
    return Append(command(key), context(), first.stream_id, version, writes, guards, links, unused)
