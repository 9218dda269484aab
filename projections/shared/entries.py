"""What a table of entries is: each event of a stream makes one row that never changes, or none."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from application.shared.records import Record
from projections.shared.stretches import StretchStatement

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Share:
    """What a row adds to a sum: the sum's id, the columns that name it, and the amount."""

    id: UUID
    columns: Mapping[str, Any]
    amount: int


@dataclass(frozen=True, slots=True)
class EntryProjection(Generic[Row]):
    """One table of entries, folded from the log.

    `row` is a frozen dataclass whose fields are the columns; `id` is the event's. `stream` is the column that
    holds the stream's id. Where the entries are summed, `sums` is the table of the sums, whose column
    `balance` is kept, and `shares` tells what a row adds to which.

    `stretch` adds the rows of a stretch; what it gives, `share` makes shares of, a row each.
    """

    name: str
    table: str
    row: type[Row]
    stream_types: frozenset[str]
    stream: str
    project: Callable[[Record[Any]], Row | None]
    sums: str | None = None
    shares: Callable[[Row], Iterable[Share]] = lambda _: ()
    stretch: StretchStatement | None = None
    share: Callable[..., Share] | None = None
