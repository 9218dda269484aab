"""Given events, when a command comes, then events or a refusal; and grids of what every status answers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

import pytest
from hypothesis import settings

from domain.shared.decider import Decider
from domain.shared.refusal import Fault, Refused

C = TypeVar("C")
E = TypeVar("E")

ExpectedFault = StrEnum | tuple[StrEnum | str | int, ...]
"""A code, or a code and then the path: (TOO_LONG, "cost_lines", 0, "remark")."""

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=200)
"""Scripts are drawn from a fixed seed: a test that failed fails again."""


@dataclass(frozen=True)
class When(Generic[C, E]):
    decider: Decider[C, Any, E]
    history: Sequence[E]
    command: C

    def then(self, *expected: E) -> None:
        assert list(self._decided()) == list(expected)

    def then_nothing(self) -> None:
        self.then()

    def then_refused(self, *expected: ExpectedFault) -> tuple[Fault, ...]:
        """These faults in this order and no others."""
        with refused(*expected) as faults:
            self._decided()
        return tuple(faults)

    def then_defect(self) -> None:
        """The caller broke an invariant: no person can cause this."""
        state = self.decider.fold(self.history)
        with pytest.raises(AssertionError):
            self.decider.decide(self.command, state)

    def _decided(self) -> Sequence[E]:
        return self.decider.decide(self.command, self.decider.fold(self.history))


@dataclass(frozen=True)
class Given(Generic[C, E]):
    decider: Decider[C, Any, E]
    history: Sequence[E] = ()

    def given(self, *history: E) -> "Given[C, E]":
        return Given(self.decider, history)

    def when(self, command: C) -> When[C, E]:
        return When(self.decider, self.history, command)


@contextmanager
def refused(*expected: ExpectedFault) -> Iterator[list[Fault]]:
    """Whatever runs inside is refused with exactly these faults; they are in the list afterwards."""
    faults: list[Fault] = []
    with pytest.raises(Refused) as caught:
        yield faults
    faults += caught.value.faults
    found = [(fault.code, *fault.path) for fault in faults]
    assert len(found) == len(expected), f"refused with {found}"
    for wanted, one in zip(expected, found, strict=True):
        assert wanted == (one if isinstance(wanted, tuple) else one[0]), f"refused with {found}"


def grid(text: str) -> dict[tuple[str, str], str]:
    """What is in each cell, by (row, column).

    Blocks are parted by an empty line. A block's first line names its columns; every other line is a row's
    name and one cell for each column.
    """
    cells: dict[tuple[str, str], str] = {}
    for block in text.strip("\n").split("\n\n"):
        head, *rows = block.splitlines()
        for row in rows:
            name, *found = row.split()
            for column, cell in zip(head.split(), found, strict=True):
                assert (name, column) not in cells, f"{name}, {column} stands there twice"
                cells[name, column] = cell
    return cells


def outcome(decider: Decider[C, Any, E], history: Sequence[E], command: C) -> str:
    """In one word: the events' types, the refusal's codes, `nothing`, or `defect` for a broken invariant."""
    state = decider.fold(history)
    try:
        events = decider.decide(command, state)
    except Refused as refusal:
        return "+".join(fault.code for fault in refusal.faults)
    except AssertionError:
        return "defect"
    return "+".join(type(event).__name__ for event in events) or "nothing"


def all_pairs(statuses: Mapping[Any, Any], commands: Mapping[type, Any]) -> set[tuple[str, str]]:
    """The cells that a grid of commands by statuses must have."""
    return {(command.__name__, str(status)) for command in commands for status in statuses}
