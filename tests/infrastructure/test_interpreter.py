"""Settings of the interpreter for bulks: shared by threads, and given back by the last of them."""

import gc
import sys
from contextlib import ExitStack

from infrastructure.interpreter import COLLECT_EVERY, collecting_seldom, switching_every


def test_whoever_leaves_last_gives_the_settings_back_in_whatever_order_they_came() -> None:
    before = gc.get_threshold(), sys.getswitchinterval()
    first, second = ExitStack(), ExitStack()
    for stack in (first, second):
        stack.enter_context(collecting_seldom())
        stack.enter_context(switching_every(0.000_5))
    first.close()
    assert gc.get_threshold()[0] == COLLECT_EVERY
    assert sys.getswitchinterval() < 0.001
    second.close()
    assert (gc.get_threshold(), sys.getswitchinterval()) == before
