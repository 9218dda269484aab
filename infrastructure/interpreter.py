"""Settings of the interpreter while much is worked on at once; both are the process's and are given back."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_EVERY = 500_000
SWITCH_EVERY_S = 0.000_5


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
def switching_often() -> Iterator[None]:
    """For a thread that sends in small pieces beside one that computes: it waits its turn after each piece."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_EVERY_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
