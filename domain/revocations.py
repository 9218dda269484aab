"""Revocations: tokens that are good no more before their time, by holder, by session, or one by one.

What is revoked is one stream, whose id follows from kind and value; it can be revoked again later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

from domain.shared.decider import Decider
from domain.shared.refusal import refuse_any
from domain.shared.text import name_faults

# --- Values ---------------------------------------------------------------

REVOCATIONS = UUID("b7a4d7b6-9c6e-5a8f-90a1-2f4f5e2f4c11")
"""The namespace of revocations' ids: for ever."""

VALUE_CHARACTERS_MAX = 255
REASON_CHARACTERS_MAX = 500


class Kind(StrEnum):
    """SUBJECT: all that were issued to somebody until now. TOKEN: the one with this `jti`."""

    SUBJECT = "subject"
    SESSION = "session"
    TOKEN = "token"


def revocation_id(kind: Kind, value: str) -> UUID:
    return uuid5(REVOCATIONS, f"{kind}/{value}")


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Revoke:
    kind: Kind
    value: str
    reason: str
    now: datetime
    by: str


# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class TokensRevoked:
    """Every token that fits and was issued until `revoked_at`."""

    kind: Kind
    value: str
    revoked_at: datetime
    reason: str
    by: str


# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Revocation:
    kind: Kind = Kind.TOKEN
    value: str = ""
    revoked_at: datetime | None = None


def evolve(_: Revocation, event: TokensRevoked) -> Revocation:
    return Revocation(event.kind, event.value, event.revoked_at)


# --- Decisions ------------------------------------------------------------


def decide(command: Revoke, revocation: Revocation) -> Sequence[TokensRevoked]:
    refuse_any(
        [
            *name_faults(command.value, VALUE_CHARACTERS_MAX, "value"),
            *name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"),
        ]
    )
    if revocation.revoked_at is not None and command.kind is not Kind.SUBJECT:
        return []
    return [TokensRevoked(command.kind, command.value, command.now, command.reason, command.by)]


DECIDER: Decider[Revoke, Revocation, TokensRevoked] = Decider("revocation", Revocation(), decide, evolve)
