"""Where the product's processes are born: forked from one that has imported everything, in milliseconds.

A process of `cardinal` takes some three seconds of a core to import itself; a drill starts hundreds. What is
born here is the same program with its own arguments, environment and files, and dies with its nursery.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PR_SET_PDEATHSIG = 1
EVERYTHING = (
    "api.main",
    "api.schema",
    "api.serving",
    "api.webhook_events",
    "infrastructure.first_start",
    "infrastructure.points_counterpart",
    "infrastructure.process_runner",
    "infrastructure.projection_runner",
    "infrastructure.schedules",
    "infrastructure.task_worker",
    "infrastructure.webhooks",
)
"""What the roles import when they begin."""


class Nursery:
    """Bears processes for one owner, until `close`. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.drills.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def bear(self, arguments: Sequence[str], environment: Mapping[str, str], said: Path) -> int:
        """The number of a new `cardinal` with these arguments; what it says goes to the file's end."""
        order = {"arguments": list(arguments), "environment": dict(environment), "said": str(said)}
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{json.dumps(order)}\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        """All that were born here end with it."""
        self._process.kill()
        self._process.wait()


def serve() -> None:
    import_everything()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        order = json.loads(line)
        number = os.fork()
        if not number:
            be(order)
        answers.write(f"{number}\n")
        answers.flush()


def import_everything() -> None:
    for module in EVERYTHING:
        import_module(module)


def be(order: Mapping[str, Any]) -> None:
    """From here on it is `cardinal`, and never comes back."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, said), (2, said)):
            os.dup2(file, descriptor)
        os.closerange(3, 64)
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["cardinal", *order["arguments"]]
        from api.main import run

        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
