"""What is wrong with a log, and where: the earliest faults are kept, however many there are."""

from dataclasses import dataclass, field
from uuid import UUID

from application.shared.records import Position

FAULTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """`position` is where the stored event stands; a missing one has its own where it was sealed or a head
    knows it, else that of the next in its stream. What is said of a seal has no stream.
    """

    position: str
    stream_id: UUID | None
    version: int | None
    problem: str


@dataclass(slots=True)
class Faults:
    found: list[Fault] = field(default_factory=list)

    def add(self, position: Position, stream_id: UUID | None, version: int | None, problem: str) -> None:
        self.found.append(Fault(str(position), stream_id, version, problem))
        if len(self.found) > 100 * FAULTS_MAX:
            self.found = self.first()

    def first(self) -> list[Fault]:
        """Those of the lowest positions, at most `FAULTS_MAX`."""
        return sorted(self.found, key=lambda fault: fault.position)[:FAULTS_MAX]
