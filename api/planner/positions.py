"""Positions in the log as clients see them: fixed-width hexadecimal, so that they sort as text; opaque
outside.
"""

import re
from typing import NamedTuple

_POSITION = re.compile(r"([0-9a-f]{8})([0-9a-f]{16})")


class Position(NamedTuple):
    """A place in the log: an epoch (32 bits, signed) and an offset within it (64 bits, signed), neither
    negative.
    """

    epoch: int
    offset: int


def encode(position: Position) -> str:
    return f"{position.epoch:08x}{position.offset:016x}"


def decode(text: str) -> Position:
    """Raises ValueError for anything that `encode` does not write."""
    found = _POSITION.fullmatch(text)
    position = Position(int(found[1], 16), int(found[2], 16)) if found else None
    if position is None or position.epoch >= 2**31 or position.offset >= 2**63:
        raise ValueError("not a position")
    return position
