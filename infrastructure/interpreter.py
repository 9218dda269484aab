"""Settings of the interpreter while much is worked on at once; both are the process's and are given back."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_EVERY = 500_000


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """A batch's objects, some fifty thousand, die with it: to seek cycles among them took half the time."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def switching_every(seconds: float) -> Iterator[None]:
    """How long a thread that computes keeps one waiting that has sent or received something.

    Short where one sends in small pieces beside another that prepares the next; long where both have as much
    to do and gain nothing by turns.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
