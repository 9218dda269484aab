"""Processes that hold an embedded server, and what tests want to know of it from outside."""

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from infrastructure.embedded_postgres import EmbeddedPostgres

CHECKOUT = Path(__file__).parents[2]
AS_ROOT = os.geteuid() == 0
# Under root the rules for an ordinary user are proved by a process that gives root up.
ORDINARY = os.geteuid()
if AS_ROOT:
    ORDINARY = next(user.pw_uid for user in pwd.getpwall() if user.pw_name not in ("root", "nobody"))
ROWS = itertools.count()

HOLDER = """
import os, sys
from pathlib import Path
import psycopg
from infrastructure.embedded_postgres import EmbeddedPostgres, PostgresUnavailable

home, user = Path(sys.argv[1]), int(sys.argv[2])
if os.geteuid() != user:
    os.setgroups([]), os.setgid(user), os.setuid(user)
try:
    server = EmbeddedPostgres(home).start()
except PostgresUnavailable as no:
    sys.exit(f"no: {no}")
with psycopg.connect(server.url()) as connection:
    connection.execute("select 1")
print("in", flush=True)
sys.stdin.readline()
server.stop()
"""


# A file that takes no more stands for a disk that takes no more: the faults come back at the same places.
WITH_FULL_DISK = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, 2**19))
{HOLDER}
"""


class Holder:
    """A process that holds the server of a home until it is told to leave, or killed."""

    def __init__(self, home: Path, user: int = os.geteuid(), program: str = HOLDER, path: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(home), str(user)],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([path, os.environ.get("PYTHONPATH", "")])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_until_in(self) -> None:
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said == "in\n", self.process.communicate()[1]

    def leave(self) -> None:
        _, complaint = self.process.communicate("leave\n")
        assert self.process.returncode == 0, complaint

    def kill(self) -> None:
        """Kill the process with its whole process group, as a closing terminal would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def refusal(self) -> str:
        _, complaint = self.process.communicate()
        assert self.process.returncode == 1, complaint
        return complaint


@contextmanager
def holders() -> Iterator[Callable[..., Holder]]:
    """Begin holders; those that still live at the end are killed."""
    begun: list[Holder] = []

    def hold(home: Path, user: int = os.geteuid(), program: str = HOLDER, path: str = "") -> Holder:
        begun.append(Holder(home, user, program, path))
        return begun[-1]

    yield hold
    for holder in begun:
        if holder.process.poll() is None:
            holder.kill()


@contextmanager
def open_folder() -> Iterator[Path]:
    """An empty folder that everybody may enter; whatever still works below it at the end is killed."""
    folder = Path(tempfile.mkdtemp(prefix="cardinal-place-"))
    folder.chmod(0o755)
    yield folder
    kill_below(folder)
    shutil.rmtree(folder)


def processes_in(directory: Path) -> list[int]:
    """The processes that work in `directory`, which for a data directory are those of its server."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == directory:
                found.append(int(process.name))
    return found


def initdbs_of(home: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"initdb" in command.split(b"\0")[0] and os.fsencode(home) in command:
                found.append(int(process.name))
    return found


def assert_stopped(data: Path) -> None:
    """No process of the server is left, but for the moment that a process takes to end."""
    eventually(lambda: not processes_in(data), "the server has stopped", within_s=0.5)


def eventually(condition: Callable[[], object], what: str, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"in vain waited until {what}"
        time.sleep(0.005)


def postmaster_of(server: EmbeddedPostgres) -> int:
    return int((server.data_directory / "postmaster.pid").read_text().split("\n")[0])


def kill_everything(server: EmbeddedPostgres) -> None:
    postmaster = postmaster_of(server)
    for process in (postmaster, *processes_in(server.data_directory)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    eventually(lambda: not processes_in(server.data_directory), "the killed are gone")


def write_row(server: EmbeddedPostgres) -> int:
    """Commit a row that no other test has, and tell which."""
    row = next(ROWS)
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table if not exists kept (row int)")
        connection.execute("insert into kept values (%s)", (row,))
    return row


def rows(server: EmbeddedPostgres) -> list[int]:
    with psycopg.connect(server.url()) as connection:
        return [row for (row,) in connection.execute("select row from kept")]


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def put_wheel_in(folder: Path, *parts: str) -> None:
    packages = Path(str(importlib.util.find_spec("psycopg").origin)).parents[1]  # type: ignore[union-attr]
    for part in [part for name in parts for part in packages.glob(name)]:
        shutil.copytree(part, folder / part.name, symlinks=True, copy_function=link_or_copy)


def kill_below(folder: Path) -> None:
    for data in (folder.rglob("data"), folder.rglob("data.new")):
        for process in [process for directory in data for process in processes_in(directory)]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    eventually(lambda: not initdbs_of(folder), "initdb has ended")
