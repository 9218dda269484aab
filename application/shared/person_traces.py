"""Where persons have left traces outside the log: what erases them asks for it here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows went, and out of how many files."""

    rows: int = 0
    files: int = 0


class PersonTraces(Protocol):
    """Each call may come again after a crash, and then does what is missing."""

    def is_under_way(self, customer: str) -> bool:
        """Whether points are on their way to him: his rows are still needed."""
        ...

    def names(self, customer: str) -> Sequence[str]:
        """What else names the customer in the warehouse: tokens of cards, ids of accounts, his mobile."""
        ...

    def forget_user(self, username: str) -> None:
        """Remove his password and what is known of his attempts to log in."""
        ...

    def sweep(self) -> Swept:
        """Remove every erased customer from warehouse and results."""
        ...

    def fold_anew(self, stream_type: str, stream_id: UUID) -> None:
        """Make read tables anew of a stream of which less can be read than before."""
        ...
