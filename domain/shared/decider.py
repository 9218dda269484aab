"""A decider: the whole behaviour of one aggregate as three pure values."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Generic, TypeVar

Command = TypeVar("Command")
State = TypeVar("State")
Event = TypeVar("Event")


@dataclass(frozen=True, slots=True)
class Decider(Generic[Command, State, Event]):
    """What an aggregate starts as, how it answers a command, and how facts change it.

    `stream_type` is stored with every event and never changes. `decide` returns no events when the
    command would change nothing, and raises `Refused` for a no. `evolve` never judges: it must accept
    every event that was ever stored.
    """

    stream_type: str
    initial: State
    decide: Callable[[Command, State], Sequence[Event]]
    evolve: Callable[[State, Event], State]

    def fold(self, events: Iterable[Event], start: State | None = None) -> State:
        return reduce(self.evolve, events, self.initial if start is None else start)
