"""Turns at a stream that many write to at once, such as a stock: who waits does not decide in vain."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID

WAIT_S = 5.0
_LOCKS = 64


def _locks() -> tuple[Lock, ...]:
    return tuple(Lock() for _ in range(_LOCKS))


@dataclass(frozen=True, slots=True)
class Turns:
    """Those of one process. Nothing relies on them to be right: versions decide, also between processes."""

    locks: tuple[Lock, ...] = field(default_factory=_locks)

    @contextmanager
    def at(self, stream: UUID | None) -> Iterator[None]:
        """The block is alone at the stream, or has waited for it long enough; None is nobody's turn."""
        if stream is None:
            yield
            return
        lock = self.locks[stream.int % _LOCKS]
        is_alone = lock.acquire(timeout=WAIT_S)
        try:
            yield
        finally:
            if is_alone:
                lock.release()
