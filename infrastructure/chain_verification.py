"""Whether each event follows from the one before in its stream, and each head tells the end of its stream."""

from dataclasses import dataclass
from struct import Struct
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import GENESIS, Position
from infrastructure.log_faults import Fault, Faults
from infrastructure.stored_leaves import rows

RANGE = "(%s::uuid is null or stream_id >= %s::uuid) and (%s::uuid is null or stream_id < %s::uuid)"
LINKS = f"""
select stream_id, false, coalesce(version, 0)::int4, coalesce(epoch, 0)::int4, coalesce(position, 0)::int8,
       previous_hash, hash
from log.events where {RANGE}
union all
select stream_id, true, coalesce(version, 0)::int4, coalesce(epoch, 0)::int4, coalesce(position, 0)::int8,
       hash, hash
from log.heads where {RANGE}
order by 1, 2, 3"""

_LINK = Struct(">6x16s4x?4xi4xi4xq")
_HASHES = Struct(">4x32s4x32s")
_WHOLE_BYTES = _LINK.size + _HASHES.size
_BELOW_ALL = (-(2**31) - 1, 0)

Streams = tuple[UUID | None, UUID | None]
"""From the first on, below the second; None is without an end."""


@dataclass(frozen=True, slots=True)
class Chains:
    """How many events of how many streams were followed."""

    events: int
    streams: int
    faults: list[Fault]


def follow(connection: psycopg.Connection[Any], streams: Streams) -> Chains:
    """The chains of a range of streams. Of each no more is kept at a time than its newest event."""
    faults, events, count = Faults(), 0, 0
    here, version, place, newest, is_headed = b"", 0, _BELOW_ALL, GENESIS, True
    begin, end = streams
    for row in rows(connection, LINKS, *(begin, begin, end, end) * 2):
        stream, is_head, number, *at = _LINK.unpack_from(row)
        # A hash of another length can't be right; it is told where contents are recomputed.
        previous, hash_ = _HASHES.unpack_from(row, _LINK.size) if len(row) == _WHOLE_BYTES else (b"", b"")
        if stream != here:
            if not is_headed:
                _head_differs(faults, here, 0, version, place)
            here, version, place, newest, is_headed = stream, 0, _BELOW_ALL, GENESIS, True
        where = (at[0], at[1])
        if is_head:
            is_headed = True
            if number != version or (number and hash_ != newest):
                _head_differs(faults, here, number, version, where if number > version else place)
            continue
        events += 1
        count += place is _BELOW_ALL
        if number != version + 1:
            faults.add(Position(*where), UUID(bytes=here), number, f"version {version + 1} is missing")
        elif previous != newest:
            faults.add(Position(*where), UUID(bytes=here), number, "it does not follow from the event before")
        if where <= place:
            faults.add(Position(*where), UUID(bytes=here), number, "it lies below the event before")
        version, place, newest, is_headed = number, where, hash_, False
    if not is_headed:
        _head_differs(faults, here, 0, version, place)
    return Chains(events, count, faults.first())


def _head_differs(faults: Faults, stream: bytes, head: int, newest: int, place: tuple[int, int]) -> None:
    problem = f"the head says version {head}, the newest event is version {newest}"
    faults.add(Position(*place), UUID(bytes=stream), newest, problem)
