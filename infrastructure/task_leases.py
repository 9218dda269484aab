"""What a process holds of a queue: leases of messages at work, and those that ended but are not told yet."""

import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from dramatiq import Message, MessageProxy


class Lease(NamedTuple):
    """The right to run a message: void as soon as a later attempt is leased."""

    message_id: UUID
    attempt: int


class Leases:
    """What this process holds of one queue; outlives a consumer that lost its connection.

    `settling` is held by the thread that tells the database which leases have ended.
    """

    def __init__(self) -> None:
        self._held: set[Lease] = set()
        self._ended: set[Lease] = set()
        self._changed = threading.Condition()
        self._held_max = 0
        self.settling = threading.Lock()

    def add(self, leases: Iterable[Lease]) -> None:
        with self._changed:
            self._held.update(leases)

    def drop(self, leases: Iterable[Lease], *, ended: bool = False) -> None:
        """They are not held any more; those that have `ended` are kept until `told`."""
        with self._changed:
            self._held.difference_update(leases)
            if ended:
                self._ended.update(leases)
            if len(self._held) <= self._held_max:
                self._changed.notify_all()

    def ended(self) -> list[Lease]:
        with self._changed:
            return list(self._ended)

    def told(self, leases: Iterable[Lease]) -> None:
        with self._changed:
            self._ended.difference_update(leases)

    def held(self) -> list[Lease]:
        with self._changed:
            return list(self._held)

    def room(self, limit: int, timeout_s: float) -> int:
        """Wait at most ``timeout_s`` for a quarter of ``limit`` to be free; return how many are free."""
        with self._changed:
            self._held_max = limit - max(1, limit // 4)
            self._changed.wait_for(lambda: len(self._held) <= self._held_max, timeout_s)
            return max(0, limit - len(self._held))


class LeasedMessage(MessageProxy):
    """A message at work; enqueued again, as dramatiq's Retries does, it goes back when it is acknowledged."""

    def __init__(self, message: Message[Any], lease: Lease) -> None:
        super().__init__(message)
        self.lease = lease
        self.retry_delay: timedelta | None = None


def arrays(leases: Iterable[Lease]) -> list[list[Any]]:
    """Ids and attempts, as the functions of the queue take them."""
    pairs = list(leases)
    return [[lease.message_id for lease in pairs], [lease.attempt for lease in pairs]]
