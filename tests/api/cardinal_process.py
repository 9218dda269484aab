"""`cardinal` as a process of its own, and what is left of it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "api.main")
WAIT_S = 120


def bare_environment(home: Path, more: Mapping[str, str] = {}) -> dict[str, str]:
    """Nothing of the caller's settings, and the folder's own home."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CARDINAL_")
        and name not in ("DATABASE_URL", "DATABASE_OWNER_URL", "BROKER_URL", "POINTS_GATEWAY")
    }
    return {**kept, "CARDINAL_HOME": str(home), **more}


def cardinal(home: Path, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=bare_environment(home, more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def eventually(holds: Callable[[], bool], what: str, within_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"it did not come to be: {what}"
        time.sleep(0.05)


def processes_of(home: Path) -> dict[int, str]:
    """Everything that runs with this home, by number: our processes and those of its PostgreSQL."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (entry / "environ").read_bytes()
                working = os.readlink(entry / "cwd")
            except OSError:
                continue
            is_ours = f"CARDINAL_HOME={home}".encode() in environment.split(b"\0")
            if is_ours or str(home) in command or working.startswith(str(home)):
                found[int(entry.name)] = command
    return found


class Up:
    """`cardinal up`, with what it has said so far on stdout and stderr."""

    def __init__(self, home: Path, process: "subprocess.Popen[bytes]", out: Path, errors: Path) -> None:
        self.home, self.process, self._out, self._errors = home, process, out, errors

    @property
    def said(self) -> str:
        return self._out.read_text()

    @property
    def logged(self) -> str:
        return self._errors.read_text()

    def url(self) -> str:
        """The address, when it is ready."""
        eventually(
            lambda: (
                self.process.poll() is not None
                or re.search(r"^ready http", self.said, re.MULTILINE) is not None
            ),
            f"ready. It said: {self.said}{self.logged}",
        )
        found = re.search(r"^ready (http://\S+)$", self.said, re.MULTILINE)
        assert found, f"{self.said}{self.logged}"
        return found[1]

    def child(self, role: str) -> int:
        """The number of the process of a role."""
        (number,) = [n for n, command in processes_of(self.home).items() if f"api.main {role}" in command]
        return number


@contextmanager
def running_up(home: Path, *arguments: str, **more: str) -> Iterator[Up]:
    """Whatever happens in the block, nothing of it is left."""
    out, errors = home.with_name(f"{home.name}.out"), home.with_name(f"{home.name}.err")
    with out.open("wb") as stdout, errors.open("wb") as stderr:
        process = _started(["up", "--port", "0", *arguments], bare_environment(home, more), stdout, stderr)
        try:
            yield Up(home, process, out, errors)
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                for number in processes_of(home):
                    os.kill(number, signal.SIGKILL)


def _started(
    arguments: list[str], environment: dict[str, str], stdout: IO[bytes], stderr: IO[bytes]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
    )
