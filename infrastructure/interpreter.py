"""The interpreter's settings while much is worked on at once; whoever leaves last gives them back."""

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

COLLECT_EVERY = 500_000

Value = TypeVar("Value", int, float)


class _Setting(Generic[Value]):
    """Who comes while others work within leaves it as they have set it."""

    def __init__(self, read: Callable[[], Value], write: Callable[[Value], object]) -> None:
        self._read: Callable[[], Value] = read
        self._write: Callable[[Value], object] = write
        self._before: Value = read()
        self._within, self._lock = 0, threading.Lock()

    @contextmanager
    def at(self, value: Value) -> Iterator[None]:
        with self._lock:
            if self._within == 0:
                self._before = self._read()
                self._write(value)
            self._within += 1
        try:
            yield
        finally:
            with self._lock:
                self._within -= 1
                if self._within == 0:
                    self._write(self._before)


_COLLECTING = _Setting(lambda: gc.get_threshold()[0], gc.set_threshold)
_SWITCHING = _Setting(sys.getswitchinterval, sys.setswitchinterval)


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """A batch's objects, some fifty thousand, die with it: to seek cycles among them took half the time."""
    with _COLLECTING.at(COLLECT_EVERY):
        yield


@contextmanager
def switching_every(seconds: float) -> Iterator[None]:
    """How long a thread that computes keeps one waiting that has sent or received something.

    Short where one sends in small pieces beside another that prepares the next; long where both have as much
    to do and gain nothing by turns.
    """
    with _SWITCHING.at(seconds):
        yield
