"""A process: what is owed next, seen from the state of one stream. Its steps are performed by tasks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.shared.decider import Decider

UNHEARD_MAX = timedelta(minutes=40)
"""Longer than any task may take: who has begun one and says nothing for so long is dead."""


@dataclass(frozen=True, slots=True)
class Step:
    """The task that is owed, by its name, and from when on; at once when no time is given.

    What `is_begun` is at work already, and another task would disturb it. Should its worker die, the broker
    delivers the same one again; only when nothing is heard of the stream for `UNHEARD_MAX` has that been
    lost, too, and another is enqueued.
    """

    task: str
    due_at: datetime | None = None
    is_begun: bool = False


@dataclass(frozen=True, slots=True)
class Process:
    """`name` is that of the checkpoint and never changes.

    `deciders` are the aggregates that it follows, by stream type; `next_step` is pure and tells what is
    owed in that state, None when nothing is. A step is performed by a task with the stream's id as its only
    argument, more than once if need be, and reports back by command; while it is owed nothing else is.
    """

    name: str
    deciders: Mapping[str, Decider[Any, Any, Any]]
    next_step: Callable[[Any], Step | None]
