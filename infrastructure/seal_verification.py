"""Whether the log is what its published seals say: signatures, their chain, and the root of each stretch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import BEGINNING, Position
from infrastructure.content_verification import LOWEST, Seen
from infrastructure.merkle import Frontier
from infrastructure.seal_folder import MARK_BYTES, Mark, PublishedSeals
from infrastructure.seals import Seal, Sealed, SealInvalid, follows
from infrastructure.stored_leaves import STRETCH, Leaves, leaves

FAULTS_MAX = 1_000

LOG_ID = "select log_id from log.identity"
OWN = "select number, statement, signature from log.seals order by number"


@dataclass(slots=True)
class SealReport:
    sealed: int = 0
    faults: list[tuple[Position, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, position: Position, problem: str) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append((position, problem))


def line_of_seals(
    connection: psycopg.Connection[Any],
    publication: PublishedSeals,
    trusted: bytes | None,
    report: SealReport,
) -> list[Seal]:
    """The published seals that speak of this log, each continuing the one before it here.

    Raise SealsUnreachable. `trusted` is the key that has to have signed the first seal.
    """
    row = connection.execute(LOG_ID).fetchone()
    assert row is not None
    published = _published(publication, row[0], trusted, report)
    _compare_own(connection, published, report)
    return _line(published, report)


def hold_against(
    connection: psycopg.Connection[Any],
    line: Sequence[Seal],
    seen: Iterable[Seen],
    publication: PublishedSeals,
    report: SealReport,
) -> None:
    """Judge what stands in each seal's stretch by the seal.

    Where its marks are published too, the very event is named, else its stretch.
    """
    frontier, is_whole, before, after = Frontier(), True, BEGINNING, LOWEST
    for seal, found in zip(line, seen, strict=True):
        report.sealed += found.events
        if found.root != seal.stretch or found.events != seal.events:
            is_whole = False
            standing = leaves(connection, STRETCH, *after, *seal.position)
            _name(standing, seal, before, publication.marks(seal.number), report)
        elif is_whole:
            is_whole = frontier.size == seal.size - seal.events
            if is_whole:
                for root, count in found.subtrees:
                    frontier.add(root, count)
                is_whole = frontier.root() == seal.root
            if not is_whole:
                report.fault(before, f"seal {seal.number} does not extend the tree of seal {seal.continues}")
        before = after = seal.position


def _published(
    publication: PublishedSeals, log: UUID, trusted: bytes | None, report: SealReport
) -> list[Sealed]:
    """All seals whose chain holds, in the order of their numbers; the first fault ends it."""
    found: list[Sealed] = []
    for number in range(1, publication.newest() + 1):
        here = found[-1].seal.position if found else BEGINNING
        try:
            sealed = publication.read(number)
        except SealInvalid as invalid:
            report.fault(here, f"seal {number}: {invalid}")
            break
        if sealed is None:
            report.fault(here, f"seal {number} is not where it was published")
            break
        if (why := follows(sealed, found[-1] if found else None, log)) is not None:
            report.fault(here, why)
            break
        if number == 1 and trusted is not None and sealed.seal.key != trusted:
            report.fault(here, "seal 1 is not signed by the key that was given")
            break
        found.append(sealed)
    if not found:
        report.notes.append("no seal is published: only the chains were checked")
    elif trusted is None:
        report.notes.append(f"the key of seal 1 was believed: {found[0].seal.key.hex()}")
    return found


def _compare_own(
    connection: psycopg.Connection[Any], published: Sequence[Sealed], report: SealReport
) -> None:
    """The database's working copy says the same; it may be ahead by one that is being published."""
    own = connection.execute(OWN).fetchall()
    for (number, statement, signature), sealed in zip(own, published, strict=False):
        if (number, statement, bytes(signature)) != (sealed.seal.number, sealed.statement, sealed.signature):
            report.fault(sealed.seal.position, f"the database holds another seal {sealed.seal.number}")
            return
    if len(own) < len(published):
        first = published[len(own)].seal
        report.fault(first.position, f"the database does not know seal {first.number}, which is published")


def _line(published: Sequence[Sealed], report: SealReport) -> list[Seal]:
    """The seals that speak of this log: those that a restore made void are passed over."""
    found: list[Seal] = []
    number = len(published)
    while number:
        seal = published[number - 1].seal
        found.append(seal)
        if seal.continues < number - 1:
            report.notes.append(
                f"seal {seal.number} goes on from seal {seal.continues} after a restore: what the seals"
                f" {seal.continues + 1} to {seal.number - 1} speak of was lost"
            )
        number = seal.continues
    return found[::-1]


def _name(
    found: Leaves,
    seal: Seal,
    before: Position,
    marks: Sequence[Mark] | None,
    report: SealReport,
) -> None:
    """Which of the events is not what was sealed."""
    known = len(report.faults)
    if marks is not None and len(marks) == seal.events:
        sealed, standing = dict(marks), dict[Position, bytes]()
        for index, leaf in enumerate(found.hashes):
            position = found.position(index)
            if position in standing:
                report.fault(position, "two events stand here")
            standing[position] = leaf[:MARK_BYTES]
        for position in sorted(sealed.keys() | standing.keys()):
            if position not in standing:
                report.fault(position, f"the event that seal {seal.number} saw here is gone")
            elif position not in sealed:
                report.fault(position, f"seal {seal.number} saw no event here")
            elif sealed[position] != standing[position]:
                report.fault(position, f"the event is not the one that seal {seal.number} saw")
    if len(report.faults) == known:
        first = found.position(0) if found else seal.position
        report.fault(first, f"after {before}, up to {seal.position}: not what seal {seal.number} saw")
