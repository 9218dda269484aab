"""Source grants: which columns of which warehouse tables an organisation unit may use in its SQL.

What is not granted can't be used. A grant is one stream, whose id follows from unit, source and table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from domain.shared.decider import Decider
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any

# --- Values ---------------------------------------------------------------

GRANTS = UUID("3e9d7c44-51a0-5a8e-8a56-0b8f6f2f8d21")
"""The namespace of grant ids: for ever."""

COLUMNS_MAX = 500


def grant_id(org_unit: str, source: str, table: str) -> UUID:
    return uuid5(GRANTS, f"{org_unit}/{source}/{table}")


class GrantRefusal(StrEnum):
    UNKNOWN_SOURCE = "unknown_source"
    UNKNOWN_TABLE = "unknown_table"
    UNKNOWN_COLUMN = "unknown_column"
    SOURCE_NOT_GRANTED = "source_not_granted"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GrantSource:
    """The whole grant: `columns` replaces what was granted before.

    `known` are the columns that the table has, empty when there is no such table; `is_unit_known` and
    `is_source_known` say whether there are such a unit and such a source.
    """

    org_unit: str
    source: str
    table: str
    columns: tuple[str, ...]
    known: tuple[str, ...]
    by: str
    is_unit_known: bool = True
    is_source_known: bool = True


@dataclass(frozen=True, slots=True)
class RevokeSource:
    by: str


Command = GrantSource | RevokeSource

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class SourceGranted:
    """All that the unit may use of the table from here on; columns in the table's order."""

    revision: int
    org_unit: str
    source: str
    table: str
    columns: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class SourceRevoked:
    revision: int
    by: str


Event = SourceGranted | SourceRevoked

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    GRANTED = "granted"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class SourceGrant:
    """`columns` are empty when nothing is granted."""

    status: Status = Status.UNKNOWN
    revision: int = 0
    org_unit: str = ""
    source: str = ""
    table: str = ""
    columns: tuple[str, ...] = ()


def evolve(grant: SourceGrant, event: Event) -> SourceGrant:
    match event:
        case SourceGranted():
            return SourceGrant(
                Status.GRANTED, event.revision, event.org_unit, event.source, event.table, event.columns
            )
        case SourceRevoked(revision=revision):
            return replace(grant, status=Status.REVOKED, revision=revision, columns=())
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, grant: SourceGrant) -> Sequence[Event]:
    match command:
        case GrantSource():
            return _grant(command, grant)
        case RevokeSource(by=by):
            if grant.status is Status.UNKNOWN:
                raise Refused.because(CommonRefusal.NOT_FOUND, "id")
            return [] if grant.status is Status.REVOKED else [SourceRevoked(grant.revision + 1, by)]
        case _:
            assert_never(command)


def _grant(command: GrantSource, grant: SourceGrant) -> Sequence[Event]:
    refuse_any(_grant_faults(command))
    columns = tuple(column for column in command.known if column in command.columns)
    if grant.columns == columns:
        return []
    return [
        SourceGranted(
            grant.revision + 1, command.org_unit, command.source, command.table, columns, command.by
        )
    ]


# --- Rules ----------------------------------------------------------------


def _grant_faults(command: GrantSource) -> Iterator[Fault]:
    if not command.is_unit_known:
        yield Fault(CommonRefusal.NOT_FOUND, ("org_unit",))
    if not command.is_source_known:
        yield Fault(GrantRefusal.UNKNOWN_SOURCE, ("source",), {"source": command.source})
        return
    if not command.known:
        yield Fault(GrantRefusal.UNKNOWN_TABLE, ("table",), {"table": command.table})
        return
    if not command.columns:
        yield Fault(CommonRefusal.REQUIRED, ("columns",))
    if len(command.columns) > COLUMNS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("columns",), {"most": str(COLUMNS_MAX)})
        return
    for index, column in enumerate(command.columns):
        if column not in command.known:
            yield Fault(GrantRefusal.UNKNOWN_COLUMN, ("columns", index), {"column": column})
        elif column in command.columns[:index]:
            yield Fault(CommonRefusal.DUPLICATE, ("columns", index))


DECIDER: Decider[Command, SourceGrant, Event] = Decider("source_grant", SourceGrant(), decide, evolve)
