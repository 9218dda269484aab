"""The leaves of stored events, read by binary COPY: Python hashes, and parses next to nothing.

A row of a binary COPY is a count of fields in two bytes, and each field a length in four and its bytes: what
has a fixed length stands at a fixed place.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct
from typing import Any

import psycopg

from application.shared.records import Position
from infrastructure.seal_folder import MARK_BYTES

HASHED = "epoch::int4, position::int8, hash"
"""The first columns of each row that is read here."""
HASHED_BYTES = 58

STRETCH = "where (epoch, position) > (%s, %s) and (epoch, position) <= (%s, %s) order by epoch, position"
"""Above a position, up to another: for `leaves`."""

_HEADER_BYTES = 19
_OF_32 = (32).to_bytes(4)
_PLACE = Struct(">iq")
_PLACED = Struct(">6xi4xq")


@dataclass(frozen=True, slots=True)
class Leaves:
    """Events in the order of positions: where each stands, as 12 bytes, and its leaf."""

    places: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)

    def add(self, row: bytes) -> None:
        """Take in a row that begins with the columns of `HASHED`."""
        place = row[6:10] + row[14:22]
        self.places.append(place)
        self.hashes.append(sha256(b"\0" + place + row[26 : hash_end(row)]).digest())

    def __len__(self) -> int:
        return len(self.hashes)

    def __add__(self, other: "Leaves") -> "Leaves":
        return Leaves(self.places + other.places, self.hashes + other.hashes)

    def reversed(self) -> "Leaves":
        return Leaves(self.places[::-1], self.hashes[::-1])

    def last(self, count: int) -> "Leaves":
        begin = len(self) - count
        return Leaves(self.places[begin:], self.hashes[begin:])

    def position(self, index: int) -> Position:
        return Position(*_PLACE.unpack(self.places[index]))

    def marks(self) -> bytes:
        """As they are published: place and the leaf's first bytes, one after the other."""
        pairs = zip(self.places, self.hashes, strict=True)
        return b"".join([place + leaf[:MARK_BYTES] for place, leaf in pairs])


def leaves(connection: psycopg.Connection[Any], which: str, *given: int) -> Leaves:
    """Those of the events that the rest of the query, from its `where` on, gives."""
    found = Leaves()
    add = found.add
    for row in rows(connection, f"select {HASHED} from log.events {which}", *given):
        add(row)
    return found


def rows(connection: psycopg.Connection[Any], query: str, *given: object) -> Iterator[bytes]:
    """The query's rows as a binary COPY has them: PostgreSQL sends each in a message of its own."""
    command = f"copy ({query}) to stdout (format binary)".encode()
    with connection.cursor() as cursor, cursor.copy(command, given) as copy:
        header = _HEADER_BYTES
        for message in copy:
            row = bytes(message)[header:]
            header = 0
            if len(row) > 2:  # the end is a count of -1 alone
                yield row


def hash_end(row: bytes) -> int:
    """Where the hash ends and the fields after it begin: it has 32 bytes, unless somebody changed it."""
    if row[22:26] == _OF_32:
        return HASHED_BYTES
    return 26 + max(0, int.from_bytes(row[22:26], signed=True))


def position_of(row: bytes) -> Position:
    return Position(*_PLACED.unpack_from(row))
