"""A database from its backups: recovered and judged beside its empty place, put there when all is well."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from infrastructure.backup_folder import Backup, BackupFolder, BackupUnusable, Segment, number_of
from infrastructure.backups import verify
from infrastructure.durable_files import flush
from infrastructure.embedded_database import DATABASE, OWNER_LOGIN
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.migrate import migrate, open_epoch
from infrastructure.postgres_place import Account, PostgresUnavailable, wheel_binaries
from infrastructure.seal_folder import PublishedSeals
from infrastructure.seals import SealInvalid

RECOVERY_LIMIT_S = 24 * 3600.0
STAGING = "restoring"
# What the backup brings of its server's own configuration gives way: another machine's paths and addresses.
CONFIGURATION: Mapping[str, str] = {
    "postgresql.conf": "",
    "postgresql.auto.conf": "",
    "pg_hba.conf": "local all all trust\nlocal replication all trust\n",
    "pg_ident.conf": "",
    "recovery.signal": "",
}
# All that is recovered lies in pg_wal already.
RECOVERY: Mapping[str, str] = {"restore_command": "false", "hot_standby": "off"}
ENDS_TOO_EARLY = "WAL ends before"
ENDS_EARLY = "recovery ended before configured recovery target was reached"

ENDED = "select epoch, position, recorded_at from log.events order by epoch desc, position desc limit 1"
SEALED = "select number, statement, signature from log.seals order by number desc limit 1"
LOG_ID = "select log_id from log.identity"
HAS_SEALS = "select to_regclass('log.seals') is not null"

Say = Callable[[str], None]
AfterRestore = Callable[[str], str]
"""What must be done again on a restored database, by its owner's address; tells in a sentence what it did."""


@dataclass(frozen=True, slots=True)
class Restored:
    """`recorded_at` is when the newest event that came back was recorded; `notes` tell what was lost."""

    backup: Backup
    recorded_at: datetime | None
    epoch: int
    notes: Sequence[str]


def restore(
    folder: BackupFolder,
    home: Path,
    to: datetime | None,
    seals: PublishedSeals,
    say: Say = lambda _: None,
    after: Sequence[AfterRestore] = (),
) -> Restored:
    """Recover up to the instant `to`, or all there is, into the embedded server's place in `home`.

    Raise BackupUnusable, PostgresUnavailable or MigrationRefused, with nothing in the place.
    """
    place = EmbeddedPostgres(home).data_directory
    if place.exists():
        raise BackupUnusable(f"there is a database at {place} already: restore into an empty place")
    backup = _chosen(folder, to)
    say(f"Checking the backup of {backup.taken_at:%Y-%m-%d %H:%M:%S} UTC …")
    _require_same_version(backup)
    verify(backup.path)
    segments, missing = _needed(folder, backup)
    if missing and to is None:
        raise BackupUnusable(missing)
    target = {} if to is None else {"recovery_target_time": to.astimezone(UTC).isoformat(sep=" ")}
    options = {**RECOVERY, **target, "recovery_target_action": "promote"}
    server = EmbeddedPostgres(home / STAGING, options=options, recovery_limit_s=RECOVERY_LIMIT_S)
    staged = server.data_directory
    try:
        say("Copying it …")
        _copy(backup, segments, folder.histories(), staged, server.account)
        say(f"Recovering what {len(segments)} files of the write-ahead log hold …")
        with server:
            _require_all_of(staged, segments if to is None else [])
            restored = _judged(server, backup, seals, after)
        staged.rename(place)
        flush(place.parent)
        return restored
    except PostgresUnavailable as fault:
        if ENDS_TOO_EARLY in str(fault):
            raise BackupUnusable(
                f"the write-ahead log is damaged before the end of the backup of {backup.taken_at}: remove"
                " that backup, and restore from the one before"
            ) from fault
        if ENDS_EARLY in str(fault):
            why = missing or "nothing recorded after it is in the backups: restore to `latest`"
            raise BackupUnusable(f"{to} is not reached: {why}") from fault
        raise
    finally:
        with suppress(PostgresUnavailable):
            server.stop()
        shutil.rmtree(staged.parent, ignore_errors=True)
        shutil.rmtree(home / STAGING, ignore_errors=True)


def _chosen(folder: BackupFolder, to: datetime | None) -> Backup:
    backups = folder.backups()
    if not backups:
        raise BackupUnusable(f"there is no backup in {folder.path}")
    before = [backup for backup in backups if to is None or backup.taken_at <= to]
    if not before:
        raise BackupUnusable(f"the oldest backup is of {backups[0].taken_at:%Y-%m-%d %H:%M:%S} UTC")
    return before[-1]


def _require_same_version(backup: Backup) -> None:
    """The files of one major version are nothing to another."""
    said = subprocess.run(
        [wheel_binaries() / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    ours = said.stdout.split()[-1].partition(".")[0]
    try:
        theirs = (backup.path / "PG_VERSION").read_text().strip()
    except OSError:
        raise BackupUnusable(f"{backup.path} is damaged: it has no PG_VERSION") from None
    if ours != theirs:
        raise BackupUnusable(f"the backup is PostgreSQL {theirs}'s, and the server here is {ours}")


def _needed(folder: BackupFolder, backup: Backup) -> tuple[list[Segment], str | None]:
    """What was written since the backup began, up to the first gap, and what is missing there.

    Raise BackupUnusable for a file that is another cluster's or damaged.
    """
    system, first = backup.system, number_of(backup.first_segment)
    found = [segment for segment in folder.segments() if segment.number >= first]
    numbers = sorted({segment.number for segment in found} | {
        number_of(path.name) for path in (backup.path / "pg_wal").iterdir() if len(path.name) == 24
    })  # fmt: skip
    missing = None
    for due, number in enumerate(numbers, first):
        if number != due:
            name = f"{backup.first_segment[:8]}{due // 256:08X}{due % 256:08X}"
            missing = f"{number - due} files of the write-ahead log are missing in {folder.wal}, {name} first"
            found = [segment for segment in found if segment.number < due]
            break
    for segment in found:
        segment.require_of(system)
    return found, missing


def _copy(
    backup: Backup, segments: Sequence[Segment], histories: Sequence[Path], staged: Path, account: Account
) -> None:
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(backup.path, staged, symlinks=True)
    for name, content in CONFIGURATION.items():
        (staged / name).write_text(content)
    for segment in segments:
        shutil.copyfile(segment.path, staged / "pg_wal" / segment.name)
    for history in histories:
        shutil.copyfile(history, staged / "pg_wal" / history.name)
    for path in (staged, *staged.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        account.own(path)


def _require_all_of(data: Path, segments: Sequence[Segment]) -> None:
    """Recovery stops in silence where it can't read on: it must have come into the newest file."""
    newest = max(data.joinpath("pg_wal").glob("*.history")).read_text().strip().splitlines()[-1]
    high, _, low = newest.split()[1].partition("/")
    ended = (int(high, 16) << 32 | int(low, 16)) // (16 * 1024 * 1024)
    if segments and ended < segments[-1].number:
        raise BackupUnusable(
            f"the write-ahead log is damaged: it can be read up to {newest.split()[1]}, which is before"
            f" {segments[-1].path.name}. Restore to an instant before that"
        )


def _judged(
    server: EmbeddedPostgres, backup: Backup, seals: PublishedSeals, after: Sequence[AfterRestore]
) -> Restored:
    """What came back, brought forward and in a new epoch. Raise BackupUnusable or MigrationRefused."""
    owner = server.url(OWNER_LOGIN, DATABASE)
    try:
        with psycopg.connect(server.url(database=DATABASE), autocommit=True) as connection:
            newest = connection.execute(ENDED).fetchone()
            notes = _standing(connection, seals)
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        raise BackupUnusable("the backup holds no log of Cardinal's") from None
    migrate(owner)
    notes += [again(owner) for again in after]
    epoch = open_epoch(owner)
    return Restored(backup, None if newest is None else newest[2], epoch, notes)


def _standing(connection: psycopg.Connection[Any], seals: PublishedSeals) -> list[str]:
    """Where the log stands by what was published of it. Raise BackupUnusable where that is another log's."""
    published = seals.newest()
    if not published:
        return ["no seal is published, so nothing tells from outside what was lost"]
    if not _one(connection, HAS_SEALS):
        return ["the backup is from before the log was sealed"]
    try:
        newest = seals.read(published)
        row = connection.execute(SEALED).fetchone()
        kept = None if row is None else seals.read(row[0])
    except SealInvalid as invalid:
        raise BackupUnusable(f"the published seals can't be read: {invalid}") from invalid
    if newest is None or newest.seal.log != _one(connection, LOG_ID):
        raise BackupUnusable("the backup is of another log than the one that the published seals speak of")
    if row is None:
        return [f"the log ends before seal 1; what the seals 1 to {published} speak of was lost"]
    if kept is not None and (kept.statement, kept.signature) != (row[1], bytes(row[2])):
        raise BackupUnusable(f"the log holds another seal {row[0]} than the one that was published")
    if kept is None or row[0] >= published:
        return [f"the log holds all {published} published seals: nothing that was sealed is lost"]
    return [
        f"the log stands at seal {row[0]} of {published} ({kept.seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC):"
        f" of {newest.seal.size - kept.seal.size} events sealed since then, up to"
        f" {newest.seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC, it has {_after(connection, kept.seal.position)}"
    ]


def _after(connection: psycopg.Connection[Any], position: tuple[int, int]) -> int:
    row = connection.execute(
        "select count(*) from log.events where (epoch, position) > (%s, %s)", list(position)
    ).fetchone()
    assert row is not None
    return int(row[0])


def _one(connection: psycopg.Connection[Any], sql: str) -> Any:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def promote(owner_url: str, within_s: int = 60) -> int:
    """Make the standby the primary, in a new epoch; the epoch. Raise BackupUnusable where it is none."""
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=10) as connection:
        if not _one(connection, "select pg_is_in_recovery()"):
            raise BackupUnusable("this server is no standby: DATABASE_OWNER_URL must name the one to promote")
        if not _one(connection, f"select pg_promote(true, {within_s:d})"):
            raise BackupUnusable(f"the standby has not become the primary within {within_s} s")
    migrate(owner_url)
    return open_epoch(owner_url)
