"""What customers will get of jobs under way: kept apart from the log, for nothing is theirs yet."""

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID


class PendingPoints(Protocol):
    """The lines of jobs that are not posted."""

    def keep(self, job_id: UUID, lines: Iterable[tuple[int, str, int]]) -> None:
        """Keep number, customer and points of each line of a job; what is kept already stays as it is."""
        ...

    def forget(self, job_id: UUID) -> None:
        """Forget a job's lines; a job without any is forgotten too."""
        ...
