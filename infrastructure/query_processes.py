"""A process of its own for each query: it can be ended at any moment, and can't take the worker with it.

DuckDB heeds an interrupt between two batches of rows, and does not count in its limit of memory the texts
that functions make. A LIKE over texts of a megabyte went on for more than 20 s after the interrupt and took
8 GB where 2 were allowed; an anti-join without equality took 2.5 s to stop. So a query that nobody wants any
more is ended by the kernel, in a tenth of a second, and its memory is bounded by the kernel as well.

A host that has imported the engine forks for each query: some 10 ms, where a fresh interpreter takes 280.
What an ended query leaves on the disk is removed by whoever asked for it.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from application.shared.engines import RunCancelled, RunFailed, RunFailure
from domain.shared.refusal import Refused

Made = TypeVar("Made")
Tell = Callable[[int], None]
"""Told per cents, rising."""

GLANCE_S = 0.05
"""How often a running query is looked at."""
ASK_S = 0.5
"""How often somebody is asked whether it is cancelled."""
STOP_S = 1.0
"""How long an ended process may take to be gone; longer only where a disk does not answer."""
ROOT = Path(__file__).resolve().parent.parent


class QueryProcesses:
    """Performs at most `at_once` queries at a time, others wait. Shared by threads."""

    def __init__(self, at_once: int) -> None:
        self._turns = threading.BoundedSemaphore(at_once)

    def perform(
        self,
        call: Callable[..., Made],
        *arguments: object,
        memory_bytes: int,
        time_s: float,
        progress: Tell = lambda _: None,
        is_cancelled: Callable[[], bool] = lambda: False,
        lock: int | None = None,
    ) -> Made:
        """What `call(*arguments, tell)` gives in a process with `memory_bytes` of memory within `time_s`.

        `call` is a function of a module. `lock` is a descriptor that stays open as long as the process is
        there. Raise RunCancelled, RunFailed, Refused; whatever is raised meanwhile ends the process, too.
        """
        begun = time.monotonic()
        while not self._turns.acquire(timeout=ASK_S):
            _go_on(begun, time_s, is_cancelled)
        try:
            with _process(lock) as conversation:
                conversation.send((memory_bytes, call, arguments))
                made: Made = _answered(conversation, time_s, progress, is_cancelled)
                return made
        finally:
            self._turns.release()


@contextmanager
def _process(lock: int | None) -> Iterator[Connection]:
    """A conversation with a new process, which is ended with the block, and gone when that has failed."""
    ours, theirs = socket.socketpair()
    conversation = Connection(ours.detach())
    line_end, line = os.pipe()
    try:
        with theirs:
            HOST.fork([theirs.fileno(), line_end] if lock is None else [theirs.fileno(), line_end, lock])
        yield conversation
    except BaseException:
        os.close(line)
        _await_end(conversation)
        raise
    else:
        os.close(line)
    finally:
        os.close(line_end)
        conversation.close()


class Host:
    """The host of this process's queries, started when it is first needed and whenever it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, descriptors: Sequence[int]) -> None:
        """Have a process begin that holds these descriptors."""
        with self._lock:
            if self._control is not None:
                with suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(self._control, [b"q"], descriptors)
                    return
            self._end()
            self._control = self._begin()
            socket.send_fds(self._control, [b"q"], descriptors)

    def close(self) -> None:
        """Have the host end; queries under way are not its own and go on."""
        with self._lock:
            self._end()

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        path = os.pathsep.join((str(ROOT), *filter(None, sys.path)))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infrastructure.query_host", str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        return ours

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.wait()
            self._process = None


HOST = Host()
atexit.register(HOST.close)


def _answered(
    conversation: Connection, time_s: float, progress: Tell, is_cancelled: Callable[[], bool]
) -> Any:
    begun = time.monotonic()
    asked, told = begun - ASK_S, 0
    while True:
        if conversation.poll(GLANCE_S):
            try:
                answer = conversation.recv()
            except (EOFError, ConnectionResetError):
                raise RunFailed(RunFailure.ENGINE_DIED) from None
            if not isinstance(answer, int):
                return _given(*answer)
            if answer > told:
                told = answer
                progress(told)
        if time.monotonic() - asked >= ASK_S:
            asked = time.monotonic()
            _go_on(begun, time_s, is_cancelled)


def _go_on(begun: float, time_s: float, is_cancelled: Callable[[], bool]) -> None:
    if is_cancelled():
        raise RunCancelled
    if time.monotonic() - begun > time_s:
        raise RunFailed(RunFailure.TIME_LIMIT, {"seconds": f"{time_s:g}"})


def _given(word: str, value: Any) -> Any:
    match word:
        case "done":
            return value
        case "failed":
            raise RunFailed(*value)
        case "refused":
            raise Refused(*value)
    raise value


def _await_end(conversation: Connection) -> None:
    """Its end of the conversation closes when the process is gone."""
    until = time.monotonic() + STOP_S
    with suppress(EOFError, OSError):
        while conversation.poll(max(until - time.monotonic(), 0)):
            conversation.recv_bytes()
