"""An embedded PostgreSQL without a supervising process: those who use it hold kernel locks on its place.

Three locks, each let go of by the kernel when its holder dies, however that comes: `start.lock` is held by
who starts or stops the server, `clients.lock` is shared by all who use it, and `server.lock` is inherited by
initdb, the server and its backends, so that it is free only when none of them is left.
"""

import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from psycopg.pq import PGconn, Ping

from infrastructure.postgres_place import (
    PORT,
    Account,
    FileLock,
    Place,
    PostgresUnavailable,
    find_place,
    wheel_binaries,
)

__all__ = ["EmbeddedPostgres", "PostgresUnavailable"]

logger = logging.getLogger("cardinal.postgres")

POLL_S = 0.02
# Crash recovery after a busy time takes minutes, and cutting it short would only make it begin again.
RECOVERY_LIMIT_S = 600.0
# A server that says nothing at all: backends of a killed one that still finish their statement.
SILENCE_LIMIT_S = 60.0
INITDB_LIMIT_S = 300.0
INITDB_OPTIONS = (
    "--auth=trust",
    "--encoding=UTF8",
    "--locale-provider=libc",
    "--locale=C",
    "--lc-ctype=C.UTF-8",
    "--text-search-config=simple",
    "--no-instructions",
)
# SIGINT ends the sessions and writes a checkpoint; SIGQUIT leaves at once, and the next start recovers.
STOP_STEPS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 15.0))
# A process lets go of its locks a moment before it ends.
COLLECT_LIMIT_S = 5.0
LOG_LIMIT_BYTES = 8 * 1024 * 1024
LOG_TAIL_LINES = 15
LOG_TAIL_LIMIT_BYTES = 16 * 1024
SHARED_BUFFERS_LIMIT_MB = 256


def _default_options() -> dict[str, str]:
    """Settings for a small machine; whatever makes commits durable stays as PostgreSQL has it."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return {
        "max_connections": "200",
        "shared_buffers": f"{max(16, min(SHARED_BUFFERS_LIMIT_MB, memory_mb // 8))}MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }


class EmbeddedPostgres:
    """One PostgreSQL server for one CARDINAL_HOME, shared by all who hold it; the last to leave stops it.

    `options` are server settings (`-c name=value`) over the defaults; those of the process that starts the
    server count, not those of who joins it. `notice` is told in a sentence what the operator should know.
    A holder that is killed has left; when the last one is killed the server goes on alone and the next
    `start` joins it. An instance belongs to one thread.
    """

    def __init__(
        self,
        home: Path,
        *,
        options: Mapping[str, str] = {},
        notice: Callable[[str], None] = logger.warning,
        recovery_limit_s: float = RECOVERY_LIMIT_S,
    ) -> None:
        self._home = home.resolve()
        self._options = {**_default_options(), **options}
        self._notice = notice
        self._recovery_limit_s = recovery_limit_s
        self._client: FileLock | None = None
        self._holder = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def data_directory(self) -> Path:
        """Where the data really lie; for root that may be outside `home`."""
        return self._place.data

    @property
    def account(self) -> Account:
        """Who must own them."""
        return self._place.account

    @property
    def binaries(self) -> Path:
        """The directory of `psql`, `pg_dump` and the like, for the caller to run."""
        return wheel_binaries()

    def url(self, role: str = "postgres", database: str = "postgres") -> str:
        """The libpq address of a database over the private unix socket, without a password."""
        host = quote(os.fspath(self._place.socket_directory), safe="")
        return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?host={host}&port={PORT}"

    def start(self) -> Self:
        """Start the server or join it, and return when it accepts connections. Makes the data on first use.

        A holder may call it again: that brings a server back which was killed.
        Raises PostgresUnavailable with the cause and what to do.
        """
        with self._faults_told(), self._alone():
            if self._client is not None and self._holder != os.getpid():
                self._client.close()  # inherited by fork: that hold is the parent's, we take our own
                self._client = None
            if self._client is None:
                self._client, self._holder = self._join(), os.getpid()
            else:
                self._await_server()
        return self

    def stop(self) -> None:
        """Leave; the last holder stops the server. Raises PostgresUnavailable if it does not stop."""
        client, self._client = self._client, None
        if client is None:
            return
        if self._holder != os.getpid():
            client.close()
            return
        client.release()
        with self._faults_told(), self._alone():
            self._stop_if_unused()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @cached_property
    def _place(self) -> Place:
        return find_place(self._home, self._notice)

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PostgresUnavailable(
                f"PostgreSQL for {self._home}: {error}. Mend that and start again, "
                "or set DATABASE_URL to another server."
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the start lock: nobody else starts or stops this server meanwhile."""
        lock = FileLock(self._place, "start.lock")
        try:
            deadline = time.monotonic() + RECOVERY_LIMIT_S
            while not lock.take():
                if time.monotonic() > deadline:
                    raise PostgresUnavailable(
                        f"Another process has been starting or stopping PostgreSQL in "
                        f"{self._place.directory} for {RECOVERY_LIMIT_S:.0f} s. See {self._place.log}, "
                        "end that process and start again."
                    )
                time.sleep(POLL_S)
            yield
        finally:
            lock.release()

    def _join(self) -> FileLock:
        client = FileLock(self._place, "clients.lock")
        taken = client.take(shared=True)
        assert taken, "only who holds the start lock takes the clients' lock for itself"
        try:
            self._await_server()
        except PostgresUnavailable:
            client.release()
            raise
        except BaseException:  # a Ctrl-C: nobody would ever stop the server that is coming up
            client.release()
            self._stop_if_unused()
            raise
        return client

    def _await_server(self) -> None:
        """Wait until the server accepts connections; launch it once no process of a former one is left."""
        self._place.private_directory(self._place.socket_directory)
        began = time.monotonic()
        launched: subprocess.Popen[bytes] | None = None
        while (answer := self._ping()) is not Ping.OK:
            if launched is None:
                launched = self._launch()
                self._child = launched or self._child
            elif (code := launched.poll()) is not None:
                raise self._failure(f"PostgreSQL ended with code {code} while starting.")
            limit_s = self._recovery_limit_s if answer is Ping.REJECT else SILENCE_LIMIT_S
            if time.monotonic() - began > limit_s:
                raise self._failure(
                    f"PostgreSQL in {self._place.directory} has not come up within {limit_s:.0f} s. "
                    "Processes of a killed server may still be at work: wait for them or end them."
                )
            time.sleep(POLL_S)

    def _ping(self) -> Ping:
        return Ping(PGconn.ping(f"{self.url()}&connect_timeout=2".encode()))

    def _launch(self) -> subprocess.Popen[bytes] | None:
        """Launch the server, which inherits the server lock; None while a former one's process holds that."""
        place = self._place
        lock = FileLock(place, "server.lock")
        try:
            if not lock.take():
                return None
            self._clear_remains()
            binaries = place.server_binaries()
            place.drop_copies_but(binaries)
            log = self._open_log()
            try:
                if not place.data.exists():
                    self._make_data(binaries, log, lock)
                settings = {**self._options, **self._address()}
                command: list[str | Path] = [binaries / "postgres", "-D", place.data]
                for name, value in settings.items():
                    command += ["-c", f"{name}={value}"]
                return place.account.spawn(command, log, [lock.descriptor])
            finally:
                os.close(log)
        finally:
            lock.close()

    def _address(self) -> dict[str, str]:
        """The settings that make the server listen where `url` points, and nowhere else."""
        socket_directory = os.fspath(self._place.socket_directory)
        return {"listen_addresses": "", "unix_socket_directories": socket_directory, "port": str(PORT)}

    def _clear_remains(self) -> None:
        """Remove what a killed server left; PostgreSQL balks if its number is another process's by now."""
        stranger = self._postmaster()
        if stranger is not None:
            raise PostgresUnavailable(
                f"A server that was started by other means (process {stranger}) runs on {self._place.data}. "
                "Stop it and start again."
            )
        socket = self._place.socket_directory / f".s.PGSQL.{PORT}"
        for path in (self._place.data / "postmaster.pid", socket, socket.with_name(f"{socket.name}.lock")):
            path.unlink(missing_ok=True)

    def _make_data(self, binaries: Path, log: int, lock: FileLock) -> None:
        """Run initdb beside the data's final directory, so that what stands under that name is always whole.

        Text sorts by code point, and ctype C.UTF-8 lets pg_trgm know Chinese characters as letters.
        """
        place = self._place
        fresh = place.directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        place.private_directory(fresh)
        command: list[str | Path] = [binaries / "initdb", "-D", fresh, "-U", "postgres", *INITDB_OPTIONS]
        initdb = place.account.spawn(command, log, [lock.descriptor])
        try:
            code = initdb.wait(INITDB_LIMIT_S)
        except BaseException:
            initdb.kill()
            initdb.wait()
            raise
        if code != 0:
            raise self._failure(f"The data of PostgreSQL could not be made (initdb ended with code {code}).")
        fresh.rename(place.data)
        directory = os.open(place.directory, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def _open_log(self) -> int:
        log = self._place.log
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
        descriptor = self._place.open(log.name, os.O_WRONLY | os.O_APPEND)
        self._log_start = os.fstat(descriptor).st_size
        return descriptor

    def _failure(self, what: str) -> PostgresUnavailable:
        """The fault with what the server said about it since its launch."""
        said = "\n".join(f"    {line}" for line in self._log_tail())
        return PostgresUnavailable(
            f"{what} The end of {self._place.log}:\n{said}\n"
            "Mend that and start again, or set DATABASE_URL to another server."
        )

    def _log_tail(self) -> list[str]:
        with open(self._place.open(self._place.log.name, os.O_RDONLY), "rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - LOG_TAIL_LIMIT_BYTES))
            return log.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]

    def _stop_if_unused(self) -> None:
        clients = FileLock(self._place, "clients.lock")
        try:
            if clients.take():
                self._shut_down()
                with suppress(
                    OSError
                ):  # gone already, or what PostgreSQL left in it is cleared by the next start
                    self._place.socket_directory.rmdir()
        finally:
            clients.release()

    def _shut_down(self) -> None:
        for number, limit_s in STOP_STEPS:
            deadline = time.monotonic() + limit_s
            told = False
            while not self._is_gone():
                if not told and (postmaster := self._postmaster()) is not None:
                    with suppress(ProcessLookupError):
                        os.kill(postmaster, number)
                    told = True
                if time.monotonic() > deadline:
                    break
                time.sleep(POLL_S)
            else:
                return
        raise self._failure(f"PostgreSQL in {self._place.directory} does not stop.")

    def _is_gone(self) -> bool:
        """Whether no process of the server is left; collects it if it is our child."""
        lock = FileLock(self._place, "server.lock")
        try:
            gone = lock.take()
        finally:
            lock.release()
        if gone and self._child is not None:
            self._child.wait(COLLECT_LIMIT_S)
        return gone

    def _postmaster(self) -> int | None:
        """The number of the server's first process: what its pid file says, if that one works in its data."""
        data = self._place.data
        with suppress(OSError, ValueError):
            number = int((data / "postmaster.pid").read_text().partition("\n")[0])
            process = Path("/proc", str(number))
            if (process / "comm").read_text() == "postgres\n" and (process / "cwd").samefile(data):
                return number
        return None
