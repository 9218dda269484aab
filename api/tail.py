"""The end of the log, watched once for all subscribers of a process, and only while there are any."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from application.shared.records import BEGINNING, Position

POLL_S = 0.05
NEWEST = (
    "select coalesce((select e.epoch::text || ' ' || e.position::text from log.events e"
    " where (e.epoch, e.position) < ((select max(epoch) from log.epochs),"
    " pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 20)"
    " order by e.epoch desc, e.position desc limit 1), '0 0')"
)


class Tail:
    """`mark` before reading, `wait` when there was nothing to read: no append between the two is missed."""

    def __init__(self, read: Callable[[str, Sequence[object]], Awaitable[bytes]]) -> None:
        """`read` gives the one text of a statement."""
        self._read = read
        self._seen = BEGINNING
        self._moved = asyncio.Condition()
        self._waiting = 0
        self._watcher: asyncio.Task[None] | None = None

    async def newest(self) -> Position:
        """The position of the newest event that readers may see."""
        epoch, offset = (await self._read(NEWEST, [])).split()
        return Position(int(epoch), int(offset))

    def mark(self) -> Position:
        return self._seen

    async def wait(self, marked: Position, timeout_s: float) -> None:
        """Return when something came after the mark, or after the time."""
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self._seen > marked)
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)

    async def _watch(self) -> None:
        while self._waiting:
            newest = await self.newest()
            if newest > self._seen:
                async with self._moved:
                    self._seen = newest
                    self._moved.notify_all()
            await asyncio.sleep(POLL_S)
