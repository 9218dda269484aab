"""A stretch of the log taken in by one statement: for rebuilding where rows are many."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StretchStatement:
    """It leaves the tables as the projection's function does, which keeps them current and is what counts.

    `sql` reads log.events with `IN_STRETCH`. `event_types` are those it understands, each with its highest
    version: where anything else stands in a stretch, the function takes it in.
    """

    sql: str
    event_types: Mapping[str, int]


IN_STRETCH = """(e.epoch, e.position) > (%(epoch)s, %(position)s)
    and (e.epoch, e.position) <= (%(end_epoch)s, %(end_position)s)"""
