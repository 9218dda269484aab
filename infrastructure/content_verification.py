"""Whether each event's content is what was hashed, and what the Merkle tree over a stretch of them is.

PostgreSQL sends each event in the very bytes that are hashed: a field of a binary COPY is its length in four
bytes and its bytes, and -1 where it is absent, which is the envelope's canonical form.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import Position
from infrastructure.envelope import FIELDS
from infrastructure.log_faults import Fault, Faults
from infrastructure.merkle import Frontier, subtrees
from infrastructure.seals import Seal
from infrastructure.stored_leaves import HASHED, Leaves, hash_end, position_of, rows

LOWEST, HIGHEST = Position(-(2**31), -(2**63)), Position(2**31 - 1, 2**63 - 1)

_CAST = {
    **dict.fromkeys(
        ("stream_id", "version", "schema_version", "event_id", "command_id", "correlation_id",
         "causation_id", "personal_key_id", "data"),
        "{}::text",
    ),
    **dict.fromkeys(("recorded_at", "effective_at"), "trunc(extract(epoch from {}) * 1000000)::text"),
}  # fmt: skip
CANONICAL = ", ".join(_CAST.get(field, "{}").format(field) for field in FIELDS)
CONTENTS = (
    f"select {HASHED}, {CANONICAL} from log.events"
    " where (epoch, position) > (%s, %s) and (epoch, position) <= (%s, %s) and position is not null"
    " order by epoch, position"
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Events above a position, up to another, and the seals within, the last of which may end before it."""

    after: Position
    up_to: Position
    seals: tuple[Seal, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands where a seal saw its events: how many, their own root, and their part of the whole tree."""

    events: int
    root: bytes
    subtrees: list[tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class Contents:
    events: int
    seen: list[Seen]
    faults: list[Fault]


def recompute(connection: psycopg.Connection[Any], stretch: Stretch) -> Contents:
    """Hash each event of the stretch anew; `seen` has as many members as the stretch has seals."""
    faults, events, seen, found = Faults(), 0, list[Seen](), Leaves()
    seals = list(stretch.seals)
    end = seals[0].position if seals else None
    for row in rows(connection, CONTENTS, *stretch.after, *stretch.up_to):
        events += 1
        while end is not None and position_of(row) > end:
            seen.append(_seen(seals[len(seen)], found))
            end = seals[len(seen)].position if len(seen) < len(seals) else None
            found = Leaves()
        if end is not None:
            found.add(row)
        begin = hash_end(row)
        if sha256(row[begin:]).digest() != row[26:begin]:
            _note(faults, row, begin)
    for seal in seals[len(seen) :]:
        seen.append(_seen(seal, found))
        found = Leaves()
    return Contents(events, seen, faults.first())


def _seen(seal: Seal, found: Leaves) -> Seen:
    parts, own = subtrees(seal.size - seal.events, found.hashes), Frontier()
    for part in parts:
        own.add(*part)
    return Seen(len(found), own.root(), parts)


def _note(faults: Faults, row: bytes, begin: int) -> None:
    stream_id, _, version = (_field(row, begin, number) for number in range(3))
    faults.add(
        position_of(row),
        None if stream_id is None else UUID(stream_id),
        None if version is None else int(version),
        "its content is not what was hashed",
    )


def _field(row: bytes, at: int, number: int) -> str | None:
    """One of the fields that begin at a place of the row."""
    for _ in range(number):
        at += 4 + max(0, int.from_bytes(row[at : at + 4], signed=True))
    length = int.from_bytes(row[at : at + 4], signed=True)
    return None if length < 0 else row[at + 4 : at + 4 + length].decode()
