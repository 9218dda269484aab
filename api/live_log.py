"""The newest stretch of the log in memory, read once for all subscribers of a process."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from anyio import to_thread

from application.shared.records import BEGINNING, Log, Position, Record

POLL_S = 0.05
RETRY_S = 0.5
BATCH = 200
KEPT_MAX = 1_000
RECENT = 500
"""Of the records before the first subscriber so many are read, for those who come back after a restart."""
NEWEST = (
    "select coalesce((select e.epoch::text || ' ' || e.position::text from log.events e"
    " where (e.epoch, e.position) < ((select max(epoch) from log.epochs),"
    " pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 20)"
    " order by e.epoch desc, e.position desc limit 1 offset $1::int), '0 0')"
)

T = TypeVar("T")
logger = structlog.get_logger("cardinal.live_log")


class Progress(Protocol):
    """How far the projections are."""

    async def reached(self, position: Position, names: Sequence[str], timeout_s: float) -> bool:
        """Whether all of these projections got to the position within the time."""
        ...

    def standing(self) -> tuple[Position, int]:
        """How far all projections are, and by how many milliseconds they are late."""
        ...


class LiveLog:
    """Between `open` and `release` it holds the newest records, without a gap; belongs to one event loop."""

    def __init__(self, log: Log, read: Callable[[str, Sequence[object]], Awaitable[bytes]]) -> None:
        """`read` gives the one text of a statement."""
        self._log, self._read = log, read
        self._records: list[Record[Any]] = []
        self._low = self._high = BEGINNING
        self._moved = asyncio.Event()
        self._opening = asyncio.Lock()
        self._users = 0
        self._reader: asyncio.Task[None] | None = None

    async def newest(self, offset: int = 0) -> Position:
        """The position of the newest event that readers may see, or of the one so many before it."""
        epoch, place = (await self._read(NEWEST, [offset])).split()
        return Position(int(epoch), int(place))

    async def open(self) -> None:
        """Hold the log from now on, until `release`. Errors of the database are raised as they come."""
        async with self._opening:
            if self._reader is None:
                self._low = self._high = await self.newest(RECENT)
                self._reader = asyncio.create_task(self._read_on(), name="live-log")
            self._users += 1

    def release(self) -> None:
        self._users -= 1
        if not self._users and self._reader is not None:
            self._reader.cancel()
            self._reader = None
            self._records.clear()

    def holds(self, position: Position) -> bool:
        """Whether all that came after the position is here."""
        return position >= self._low

    async def after(self, position: Position) -> Sequence[Record[Any]] | None:
        """What came after the position, as soon as there is something; None for what is not held any more."""
        while self.holds(position):
            if position < self._high:
                begin = bisect_right(self._records, position, key=_place)
                return self._records[begin : begin + BATCH]
            await self._moved.wait()
        return None

    async def _read_on(self) -> None:
        while True:
            try:
                full = await self.newest() > self._high and await self._read_batch()
                await asyncio.sleep(0 if full else POLL_S)
            except Exception as error:  # whoever follows goes on where he stands, when it can be read again
                logger.warning("the log can't be followed for now", error=repr(error))
                await asyncio.sleep(RETRY_S)

    async def _read_batch(self) -> bool:
        """Whether there may be more."""
        batch = await to_thread.run_sync(self._log.follow, self._high, BATCH)
        if batch:
            self._records += batch
            if (over := len(self._records) - KEPT_MAX) > 0:
                self._low = self._records[over - 1].position
                del self._records[:over]
            self._high = batch[-1].position
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
        return len(batch) == BATCH


class Stream:
    """The log as one execution of a subscription reads it.

    `at` is how far it has come; with `until` it ends as soon as it has come to that position.
    """

    def __init__(
        self,
        live_log: LiveLog,
        log: Log,
        progress: Progress,
        at: Position,
        until: Callable[[], Position] | None = None,
    ) -> None:
        self._live_log, self._log, self._progress, self._until = live_log, log, progress, until
        self.at = at

    async def told(
        self,
        tell: Callable[[Record[Any]], T | None],
        needed: Callable[[T], Sequence[str]],
        wait_s: float,
    ) -> AsyncIterator[T]:
        """What `tell` makes of each record, None being nothing, when the projections `needed` for it have
        come that far.

        A projection that stands still is waited for no longer than `wait_s` for a whole batch.
        """
        async for batch in self._batches():
            found = [(record, told) for record in batch if (told := tell(record)) is not None]
            names = {name for _, told in found for name in needed(told)}
            if names:
                await self._progress.reached(found[-1][0].position, sorted(names), wait_s)
            for record, told in found:
                self.at = record.position
                yield told
            self.at = batch[-1].position

    async def _batches(self) -> AsyncIterator[Sequence[Record[Any]]]:
        while self._until is None or self.at < self._until():
            batch = await self._live_log.after(self.at)
            if batch is None:
                batch = await to_thread.run_sync(self._log.follow, self.at, BATCH)
            if batch:
                yield batch
            else:
                await asyncio.sleep(POLL_S)


def _place(record: Record[Any]) -> Position:
    return record.position
