"""Progress: who has just changed something waits here, bounded, until he can read it."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import psycopg

from application.shared.records import BEGINNING, Position
from infrastructure import database
from infrastructure.log_recorder import NEWEST
from infrastructure.projection_registry import BY_NAME
from infrastructure.projection_status import LAG_S

POLL_S = 0.02
IDLE_S = 0.25
GAP_S = 0.004
RECONNECT_S = 0.5
WAITING_MAX = 10_000
UNHEARD_MAX_S = 1.0

POSITIONS = (
    "select c.name, c.epoch, c.position, n.epoch, n.position from projection.checkpoints c"
    f" left join ({NEWEST}) n on true where c.name not like '%:rebuild'"
)
LISTEN = "listen cardinal_projected"

logger = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    position: Position
    names: frozenset[str]
    reached: asyncio.Future[None]


class Progress:
    """How far the projections are, as one process knows it; an asynchronous context manager.

    It listens for their batches; while somebody waits it looks besides every 20 ms, so that a lost
    connection delays nobody for long. Belongs to one event loop.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._positions: dict[str, Position] = {}
        self._waiting: set[_Waiting] = set()
        self._lowest, self._lag_s, self._looked_s = BEGINNING, 0.0, time.monotonic()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name="projection-progress")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    def positions(self) -> Mapping[str, Position]:
        """Where each projection stands, by its name; one that never ran is not among them."""
        return dict(self._positions)

    def standing(self) -> tuple[Position, int]:
        """How far all of them are, and how late: the position of the last one, and milliseconds since the
        first event that it has not taken in was recorded. Known from the last look, without waiting.
        """
        unheard_s = time.monotonic() - self._looked_s
        lag_s = self._lag_s + unheard_s if self._lag_s or unheard_s > UNHEARD_MAX_S else 0.0
        return self._lowest, int(lag_s * 1000)

    async def reached(self, position: Position, names: Iterable[str], timeout_s: float) -> bool:
        """Wait until all the named projections have come to the position; False when they have not in time.

        False at once when 10,000 wait already.
        """
        waiting = _Waiting(position, frozenset(names), asyncio.get_running_loop().create_future())
        if self._is_reached(waiting):
            return True
        if len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting.add(waiting)
        try:
            await asyncio.wait_for(waiting.reached, timeout_s)
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(waiting)
        return True

    def _is_reached(self, waiting: _Waiting) -> bool:
        return all(self._positions.get(name, BEGINNING) >= waiting.position for name in waiting.names)

    async def _follow(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    options=database.connection_options(),
                    **database.CONNECTED,
                ) as connection:
                    await connection.execute(LISTEN)
                    while True:
                        await self._look(connection)
                        timeout_s = POLL_S if self._waiting else IDLE_S
                        async for _ in connection.notifies(timeout=timeout_s, stop_after=1):
                            pass
                        await asyncio.sleep(GAP_S)  # each event moves all projections: they are heard at once
                        async for _ in connection.notifies(timeout=0):
                            pass
            except psycopg.Error as error:
                logger.warning("Progress of the projections is unknown for now: %s", error)
                await asyncio.sleep(RECONNECT_S)

    async def _look(self, connection: psycopg.AsyncConnection[Any]) -> None:
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(POSITIONS, prepare=True)
            rows = await cursor.fetchall()
            positions = {name: Position(epoch, offset) for name, epoch, offset, *_ in rows}
            lowest = min(positions.get(name, BEGINNING) for name in BY_NAME)
            late = None
            if rows and rows[0][3] is not None and lowest < Position(*rows[0][3:]):
                await cursor.execute(LAG_S, lowest, prepare=True)
                late = await cursor.fetchone()
        self._positions, self._lowest, self._looked_s = positions, lowest, time.monotonic()
        self._lag_s = max(0.0, float(late[0])) if late else 0.0
        for waiting in self._waiting:
            if self._is_reached(waiting) and not waiting.reached.done():
                waiting.reached.set_result(None)
