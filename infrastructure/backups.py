"""Base backups and the write-ahead log, by PostgreSQL's own programs, into one folder.

pg_receivewal takes the write-ahead log as it is written and confirms it once it is on the folder's disk. A
slot keeps what was written while it was away. What is confirmed survives the loss of the database's machine;
named in the server's synchronous_standby_names (`cardinal_archive`), it lets no commit be told before that.
"""

import ctypes
import logging
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from infrastructure.backup_folder import Backup, BackupFolder, BackupUnusable
from infrastructure.database import connect
from infrastructure.durable_files import try_held
from infrastructure.postgres_place import wheel_binaries

SLOT = "cardinal_archive"
STATUS_S = 2
RETRY_S = 2.0
LOOK_S = 0.2
STOP_S = 5.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_PROGRESS = re.compile(rb"(\d+)/(\d+) kB")

Progress = Callable[[int, int], None]
"""Kilobytes done, and of how many."""

logger = logging.getLogger("cardinal.backups")


class BackupFailed(Exception):
    """No backup was taken; the message says what PostgreSQL's program said."""


def system_of(url: str) -> int:
    """What tells this cluster from every other, by its login for replication. Raise BackupUnusable."""
    with psycopg.connect(url, autocommit=True, replication="true", connect_timeout=10) as connection:
        row = connection.execute("IDENTIFY_SYSTEM").fetchone()
        size = connection.execute("SHOW wal_segment_size").fetchone()
    if size not in (("16MB",), (b"16MB",)):
        raise BackupUnusable("only clusters with WAL segments of 16 MB are backed up")
    assert row is not None
    return int(row[0])


def take(url: str, folder: BackupFolder, kept: int, shown: Progress = lambda _, __: None) -> Backup:
    """One base backup, verified, with what is needed to recover it; older ones than `kept` go.

    Raise BackupUnusable for a folder of another cluster, BackupFailed with nothing kept.
    """
    folder.claim(system_of(url))
    with try_held(folder.path / "lock") as lock:
        if lock is None:
            raise BackupFailed("another process is taking one")
        place = folder.fresh()
        _run(
            ["pg_basebackup", "--pgdata", place, "--wal-method", "stream", "--checkpoint", "fast",
             "--manifest-checksums", "SHA256", "--progress", "--no-password", "--dbname"],
            url, shown,
        )  # fmt: skip
        try:
            verify(place)
        except BackupUnusable as unusable:
            raise BackupFailed(str(unusable)) from unusable
        backup = folder.keep()
        _drop_older(folder, kept)
    return backup


def verify(place: Path) -> None:
    """Hold every file against the manifest. Raise BackupUnusable with the first that differs."""
    done = subprocess.run(
        [wheel_binaries() / "pg_verifybackup", "--quiet", "--exit-on-error", place],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason was given"]
        raise BackupUnusable(f"{place} is damaged: {said[0].removeprefix('pg_verifybackup: error: ')}")


def record(url: str, backup: Backup) -> None:
    """Let the database know when it was taken: the API tells its age."""
    size = sum(path.stat().st_size for path in backup.path.rglob("*") if path.is_file())
    with connect(url) as connection:
        connection.execute(
            "insert into public.backups (taken_at, bytes) values (%s, %s) on conflict do nothing",
            [backup.taken_at, size],
        )


def _drop_older(folder: BackupFolder, kept: int) -> None:
    """The backups before the newest `kept`, and what was written before the oldest of these."""
    backups = folder.backups()
    for backup in backups[:-kept]:
        gone = folder.fresh()
        backup.path.rename(gone)  # under its own name a backup is whole
        shutil.rmtree(gone)
    command: list[str | Path] = [
        wheel_binaries() / "pg_archivecleanup",
        folder.wal,
        backups[-kept:][0].first_segment,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        logger.warning("older files of the write-ahead log stay: %s", done.stderr.strip())


class Archiver:
    """Takes the write-ahead log without end, and a base backup whenever the newest is older than `every`.

    `url` is of a login with REPLICATION, `running_url` of the running one.
    """

    def __init__(self, url: str, running_url: str, folder: BackupFolder, every: timedelta, kept: int) -> None:
        self._url, self._running_url, self._folder = url, running_url, folder
        self._every, self._kept = every, kept

    def receive(self, stop: threading.Event) -> None:
        """Raise BackupUnusable for a folder of another cluster."""
        while not stop.is_set():
            try:
                self._folder.claim(system_of(self._url))
                self._received(stop)
            except psycopg.OperationalError as error:
                logger.warning("the archiver waits for the database: %s", error)
            stop.wait(RETRY_S)

    def back_up(self, stop: threading.Event) -> None:
        while not stop.is_set():
            newest = self._folder.backups()[-1:]
            if newest and datetime.now(UTC) - newest[0].taken_at < self._every:
                stop.wait(60)
                continue
            try:
                record(self._running_url, take(self._url, self._folder, self._kept))
                logger.info("a base backup was taken")
            except (BackupFailed, psycopg.Error) as error:
                logger.error("no base backup was taken: %s", error)
                stop.wait(60)

    def _received(self, stop: threading.Event) -> None:
        """Until it ends, by itself or by us; it goes on where its slot says."""
        command: list[str | Path] = ["pg_receivewal", "--directory", self._folder.wal, "--slot", SLOT]
        _run([*command, "--create-slot", "--if-not-exists", "--no-password", "--dbname"], self._url)
        options = ["--synchronous", "--no-loop", "--status-interval", str(STATUS_S), "--no-password"]
        process = _start([*command, *options, "--dbname"], self._url)
        try:
            while process.poll() is None and not stop.wait(LOOK_S):
                pass
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            process.kill()
        said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
        if not stop.is_set():
            logger.warning("the write-ahead log is not archived: %s", said)


def _run(command: list[str | Path], url: str, shown: Progress = lambda _, __: None) -> None:
    """Run one of PostgreSQL's programs to its end. Raise BackupFailed with what it said last."""
    process = _start(command, url)
    assert process.stderr is not None
    said = b""
    try:
        while chunk := os.read(process.stderr.fileno(), 4096):
            said = (said + chunk)[-4096:]
            if found := _PROGRESS.findall(said):
                shown(int(found[-1][0]), int(found[-1][1]))
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code:
        last = re.split(r"[\r\n]+", said.decode(errors="replace").strip())[-1]
        raise BackupFailed(f"{command[0]}: {last.split(': error: ')[-1]}")


def _start(command: list[str | Path], url: str) -> "subprocess.Popen[bytes]":
    """The password goes by the environment, where no other user sees it; it ends when we do."""
    given = psycopg.conninfo.conninfo_to_dict(url, application_name=SLOT)
    given.pop("dbname", None)
    environment = {name: value for name, value in os.environ.items() if name not in ("PGDATA", "PGOPTIONS")}
    if (password := given.pop("password", None)) is not None:
        environment["PGPASSWORD"] = str(password)
    return subprocess.Popen(
        [wheel_binaries() / command[0], *command[1:], psycopg.conninfo.make_conninfo("", **given)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
        start_new_session=True, preexec_fn=_end_with_us,
    )  # fmt: skip


def _end_with_us() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
