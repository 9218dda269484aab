"""Claims: codes and unique names, each a stream of its own, so that two takers meet and one wins.

The stream's id follows from scope and text (`claim_id`), so a claim is found without looking it up.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID, uuid5

from domain.shared.decider import Decider

CLAIMS = UUID("7d1f6a52-6f0c-5f0e-9a39-2f6cf5b9a1c4")
"""The namespace of claim ids: for ever."""


def claim_id(scope: str, text: str) -> UUID:
    """`scope` says among whom the text is unique: "cost_type.code". Any text has a claim, sound or not."""
    return uuid5(CLAIMS, f"{scope}\n{json.dumps(text)}")


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    owner: UUID


@dataclass(frozen=True, slots=True)
class Release:
    owner: UUID


Command = Claim | Release

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class TextClaimed:
    owner: UUID


@dataclass(frozen=True, slots=True)
class TextReleased:
    owner: UUID


Event = TextClaimed | TextReleased

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holding:
    owner: UUID | None = None

    def is_free_for(self, owner: UUID) -> bool:
        return self.owner in (None, owner)


def evolve(_: Holding, event: Event) -> Holding:
    match event:
        case TextClaimed(owner=owner):
            return Holding(owner)
        case TextReleased():
            return Holding()
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, holding: Holding) -> Sequence[Event]:
    """Whoever claims asks `is_free_for` first and refuses in his own words; a foreign claim is a defect."""
    match command:
        case Claim(owner=owner):
            assert holding.is_free_for(owner)
            return [] if holding.owner == owner else [TextClaimed(owner)]
        case Release(owner=owner):
            return [TextReleased(owner)] if holding.owner == owner else []
        case _:
            assert_never(command)


DECIDER: Decider[Command, Holding, Event] = Decider("claim", Holding(), decide, evolve)
