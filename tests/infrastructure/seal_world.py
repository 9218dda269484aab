"""A log that is sealed in a few stretches, and what an attacker with the owner's rights can do to it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg

from infrastructure.event_log import EventLog
from infrastructure.log_sealer import Sealer
from infrastructure.seal_folder import SealFolder
from infrastructure.seal_keys import SealKeys
from infrastructure.stored_records import SELECTED, stored
from tests.infrastructure.log_writing import append, next_write, write


def record(log: EventLog, dice: Random, streams: list[UUID], appends: int) -> None:
    for _ in range(appends):
        if len(streams) < 4 or dice.random() < 0.1:
            streams.append(uuid4())
            log.append(append(write(streams[-1], events=2)))
        else:
            log.append(append(*[next_write(log, stream) for stream in sorted(dice.sample(streams, 2))]))


@dataclass(frozen=True)
class Sealing:
    url: str
    home: Path

    @property
    def keys(self) -> SealKeys:
        return SealKeys(self.home / "keys")

    @property
    def folder(self) -> SealFolder:
        return SealFolder(self.home / "seals")

    @property
    def sealer(self) -> Sealer:
        return Sealer(self.url, self.keys, self.folder, 0.05)


Owner = psycopg.Connection[Any]
Tamper = Callable[[Owner, Random, UUID, int], None]
"""What is done to the event of a stream and version."""


def _one(sql: str) -> Tamper:
    def tamper(owner: Owner, _: Random, stream: UUID, version: int) -> None:
        owner.execute(f"{sql} where stream_id = %s and version = %s".encode(), [stream, version])

    return tamper


def _bit(owner: Owner, dice: Random, stream: UUID, version: int) -> None:
    """One bit of the data, so that it is another text of as many bytes."""
    text = _data(owner, stream, version)
    place = dice.choice([i for i, c in enumerate(text) if c.isdigit()])
    changed = text[:place] + str(int(text[place]) ^ 1) + text[place + 1 :]
    owner.execute(
        "update log.events set data = %s where stream_id = %s and version = %s", [changed, stream, version]
    )


def _data(owner: Owner, stream: UUID, version: int) -> str:
    row = owner.execute(
        "select data::text from log.events where stream_id = %s and version = %s", [stream, version]
    ).fetchone()
    assert row is not None
    return str(row[0])


def _rechained(owner: Owner, stream: UUID, version: int) -> None:
    """The chain from that version on, and the head, as if nothing had happened."""
    rows = owner.execute(
        f"select {SELECTED} from log.events where stream_id = %s and version >= %s order by version".encode(),
        [stream, version],
        binary=True,
    ).fetchall()
    previous = None
    for row in rows:
        record = stored(row)
        if previous is not None:
            object.__setattr__(record, "previous_hash", previous)
        previous = record.recomputed_hash()
        owner.execute(
            "update log.events set previous_hash = %s, hash = %s where stream_id = %s and version = %s",
            [record.previous_hash, previous, stream, record.originator_version],
        )
    owner.execute("update log.heads set hash = %s where stream_id = %s", [previous, stream])


def _bit_and_chain(owner: Owner, dice: Random, stream: UUID, version: int) -> None:
    _bit(owner, dice, stream, version)
    _rechained(owner, stream, version)


def _backdated(owner: Owner, _: Random, stream: UUID, version: int) -> None:
    owner.execute(
        "update log.events set recorded_at = recorded_at - interval '1 day', actor = 'nobody'"
        " where stream_id = %s and version = %s",
        [stream, version],
    )
    _rechained(owner, stream, version)


def _inserted(owner: Owner, _: Random, stream: UUID, version: int) -> None:
    """An event of a stream that never was, right behind another, with its own chain and head."""
    made = uuid4()
    owner.execute(
        "insert into log.events select %s, stream_type, 1, epoch, position + 1, event_type, schema_version,"
        " %s, recorded_at, effective_at, actor, on_behalf_of, org_unit, command_id, correlation_id,"
        " causation_id, reason, data, personal, personal_key_id, %s, hash from log.events"
        " where stream_id = %s and version = %s",
        [made, uuid4(), bytes(32), stream, version],
    )
    owner.execute(
        "insert into log.heads select stream_id, stream_type, 1, hash, epoch, position from log.events"
        " where stream_id = %s",
        [made],
    )
    _rechained(owner, made, 1)


def _swapped(owner: Owner, _: Random, stream: UUID, version: int) -> None:
    """An event and the next in the log change their places."""
    owner.execute(
        "with one as (select epoch, position from log.events where stream_id = %s and version = %s),"
        " other as (select e.epoch, e.position from log.events e, one"
        " where (e.epoch, e.position) > (one.epoch, one.position) order by 1, 2 limit 1)"
        " update log.events e set position = case when e.position = one.position then -other.position"
        " else -one.position end from one, other where e.position in (one.position, other.position)",
        [stream, version],
    )
    owner.execute("update log.events set position = -position where position < 0")


def _cut(owner: Owner, _: Random, stream: UUID, version: int) -> None:
    """Everything from that event on is gone, heads and all, as after the rollback of a snapshot."""
    owner.execute(
        "delete from log.events e using log.events one where one.stream_id = %s and one.version = %s"
        " and (e.epoch, e.position) >= (one.epoch, one.position)",
        [stream, version],
    )
    _heads(owner)


def _rolled_back(owner: Owner, dice: Random, stream: UUID, version: int) -> None:
    """The same, and the seals that the database holds are those of then."""
    _cut(owner, dice, stream, version)
    owner.execute(
        "delete from log.seals where (epoch, position) > (select epoch, position from log.events"
        " order by 1 desc, 2 desc limit 1)"
    )
    owner.execute(
        "delete from log.seal_tiles where number >= (select coalesce(max(size), 0) / 256 from log.seals)"
    )


def _heads(owner: Owner) -> None:
    owner.execute("delete from log.heads")
    owner.execute(
        "insert into log.heads select distinct on (stream_id) stream_id, stream_type, version, hash, epoch,"
        " position from log.events order by stream_id, version desc"
    )


def _forgotten(owner: Owner, _: Random, stream: UUID, __: int) -> None:
    """A whole stream, with its head."""
    owner.execute("delete from log.events where stream_id = %s", [stream])
    owner.execute("delete from log.heads where stream_id = %s", [stream])


def _cut_and_chained(owner: Owner, _: Random, stream: UUID, version: int) -> None:
    """A stream's newest events, with the head set back."""
    owner.execute("delete from log.events where stream_id = %s and version >= %s", [stream, version])
    _heads(owner)


TAMPERS: dict[str, Tamper] = {
    "bit": _bit,
    "actor": _one("update log.events set actor = 'nobody'"),
    "time": _one("update log.events set recorded_at = recorded_at + interval '1 microsecond'"),
    "delete": _one("delete from log.events"),
    "insert": _inserted,
    "reorder": _swapped,
    "cut tail": _cut,
    "snapshot rolled back": _rolled_back,
    "chain recomputed": _bit_and_chain,
    "chain recomputed, backdated": _backdated,
    "stream forgotten": _forgotten,
    "stream cut": _cut_and_chained,
    "moved": _one("update log.events set position = position + 1"),
}
