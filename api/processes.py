"""Processes under one signal tree: a supervisor that keeps children running, and a child's side of that."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import structlog

PARENT_VARIABLE = "CARDINAL_PARENT"
STARTED_VARIABLE = "CARDINAL_STARTED"
ROOT = Path(__file__).resolve().parent.parent

# All of it ends within 10 s: children have this long, then they are killed, and then the database stops.
CHILD_GRACE_S = 7.0
# A child that still runs so long after it was told to stop ends itself: its parent may be gone by then.
CHILD_LIMIT_S = 9.0
LOOP_S = 0.2
BACKOFF_FIRST_S = 0.25
BACKOFF_MAX_S = 30.0
# A child that ran so long was well, and the next fault of its counts as its first.
WELL_AFTER_S = 60.0
FAILED_STARTS_MAX = 5
_PR_SET_PDEATHSIG = 1

logger = structlog.get_logger("cardinal.processes")


class StopRequested(BaseException):
    """SIGINT or SIGTERM came while it was allowed to interrupt."""


class ChildrenFail(Exception):
    """A child ended again and again before everything had come up once."""


class Signals:
    """SIGINT and SIGTERM of this process, to be entered by its main thread.

    They raise StopRequested, which ends the block, until `defer` is called; then they only set `requested`.
    With `limit_s`, the process ends by force so long after the first one.
    """

    def __init__(self, limit_s: float | None = None) -> None:
        self.count = 0
        self._limit_s = limit_s
        self._may_raise = True
        self._former: dict[int, signal.Handlers | Callable[[int, FrameType | None], object] | int | None] = {}

    @property
    def requested(self) -> bool:
        return self.count > 0

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        return kind is not None and issubclass(kind, StopRequested)

    def defer(self) -> None:
        """From now on signals don't interrupt, so that what is stopped is stopped in order."""
        self._may_raise = False

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within the block they raise StopRequested again, as one that came before does."""
        self._may_raise = True
        try:
            if self.requested:
                raise StopRequested
            yield
        finally:
            self._may_raise = False

    def wait(self) -> None:
        """Sleep until one has come."""
        while not self.requested:
            time.sleep(LOOP_S)

    def arm(self) -> None:
        """Start the time after which the process ends by force."""
        if self._limit_s is not None:
            timer = threading.Timer(self._limit_s, os._exit, [1])
            timer.daemon = True
            timer.start()

    def _handle(self, _: int, __: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            self.arm()
        if self._may_raise:
            self._may_raise = False
            raise StopRequested


class Parent:
    """The supervisor as its child sees it."""

    def __init__(self, started: int) -> None:
        self._started = started

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> "Parent | None":
        """For a child, first of all: be told by SIGTERM when the supervisor dies, however that comes.

        None when no supervisor started this process. Exits when it is gone already.
        """
        number = environment.pop(PARENT_VARIABLE, None)
        if number is None:
            return None
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(number):
            sys.exit(0)
        return cls(int(environment.pop(STARTED_VARIABLE)))

    def tell_started(self) -> None:
        """Say, once, that this process is at its work."""
        os.write(self._started, b"1")
        os.close(self._started)


def run_until_stopped(signals: Signals, *works: Callable[[threading.Event], None]) -> None:
    """Run each of `works` in a thread until a signal comes or one ends; what one raises is raised here.

    In threads, because an event that a signal handler sets can block a main thread that waits for it.
    """
    stop, faults = threading.Event(), list[BaseException]()

    def guarded(work: Callable[[threading.Event], None]) -> None:
        try:
            work(stop)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    while all(thread.is_alive() for thread in threads) and not signals.requested:
        threads[0].join(LOOP_S)
    stop.set()
    deadline_s = time.monotonic() + CHILD_GRACE_S
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    if faults:
        raise faults[0]


@dataclass(slots=True)
class Child:
    """One supervised process: `arguments` of `cardinal`, and the open files that it inherits."""

    name: str
    arguments: Sequence[str]
    inherits: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    is_started: bool = False
    failures: int = 0
    started_s: float = field(default=float("-inf"))
    due_s: float = field(default=float("-inf"))
    _told: int = -1

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it in a process group of its own, so that a Ctrl-C reaches the supervisor alone."""
        self.started_s = time.monotonic()
        self._told, tells = os.pipe()
        os.set_blocking(self._told, False)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "api.main", *self.arguments],
                stdin=subprocess.DEVNULL,
                env={**environment, STARTED_VARIABLE: str(tells)},
                pass_fds=(*self.inherits, tells),
                process_group=0,
            )
        finally:
            os.close(tells)

    def look(self) -> int | None:
        """See whether it is at its work, or has ended: then its code, and it is due again some time later."""
        if self.process is None:
            return None
        code = self.process.poll()
        if not self.is_started:
            with suppress(BlockingIOError):
                self.is_started = os.read(self._told, 1) == b"1"
        if code is None:
            return None
        os.close(self._told)
        now_s, self.process, self.is_started = time.monotonic(), None, False
        self.failures = 1 if now_s - self.started_s > WELL_AFTER_S else self.failures + 1
        self.due_s = now_s + min(BACKOFF_FIRST_S * 2 ** (self.failures - 1), BACKOFF_MAX_S)
        return code


class Supervisor:
    """Keeps children running until a signal comes, then ends them all."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment = {
            **os.environ,
            PARENT_VARIABLE: str(os.getpid()),
            "PYTHONPATH": os.pathsep.join(paths),
        }

    def run(self, signals: Signals, watch: Callable[[bool], bool]) -> None:
        """Supervise. `watch` is told a few times a second whether all children are at their work, and says
        whether everything has come up.

        Raise ChildrenFail when a child keeps ending before it has.
        """
        is_up = False
        signals.defer()
        try:
            while not signals.requested:
                self._mind(is_up)
                with signals.interrupting():
                    is_up = watch(all(child.is_started for child in self._children))
                time.sleep(LOOP_S)
        except StopRequested:
            pass
        finally:
            self._end(signals)

    def _mind(self, is_up: bool) -> None:
        for child in self._children:
            code = child.look()
            if code is not None:
                logger.warning(
                    "a process ended by itself", child=child.name, code=code, failures=child.failures
                )
                if not is_up and child.failures >= FAILED_STARTS_MAX:
                    raise ChildrenFail(f"{child.name} ended {child.failures} times with code {code}")
            if child.process is None and time.monotonic() >= child.due_s:
                child.start(self._environment)

    def _end(self, signals: Signals) -> None:
        """Tell all to stop, kill who does not in time; a second signal means at once."""
        deadline_s = time.monotonic() + CHILD_GRACE_S
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        while any(process.poll() is None for process in running) and time.monotonic() < deadline_s:
            if signals.count > 1:
                break
            time.sleep(LOOP_S / 10)
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
