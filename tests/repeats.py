"""How often a drill repeats what it does: half as often as is promised, unless all of it was asked for."""

import os

IS_FULL = os.environ.get("CARDINAL_DRILLS") == "full"
"""As `make drills` sets it."""


def repeats(promised: int) -> int:
    return promised if IS_FULL else promised // 2
