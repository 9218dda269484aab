"""`cardinal backup`, `archiver`, `restore` and `promote`: what comes back after a machine is lost."""

from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.opened import read_settings
from api.processes import Signals
from api.terminal import CommandFailed, progress, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrastructure.backup_folder import BackupFolder
    from infrastructure.backups import Archiver
    from infrastructure.embedded_database import Database
    from infrastructure.settings import Settings

MEND = "docs/runbook.md tells what to do."


def backup() -> None:
    """Take a base backup now, verify it, and drop those beyond CARDINAL_BACKUPS_KEPT."""
    from infrastructure.backups import record, take
    from infrastructure.embedded_database import open_database

    settings = read_settings("backup")
    folder = folder_of(settings)
    with Signals(), _told(), open_database(settings) as database, progress("kB") as shown:
        taken = take(_server(settings, database), folder, settings.backups_kept, shown)
        record(database.url, taken)
    print(f"{taken.path}: whole and verified. {len(folder.backups())} backups are kept.")


def restore(
    to: Annotated[str, typer.Option(help="An instant such as 2026-03-01T12:00:00+08:00, or `latest`.")],
    backups: Annotated[Path | None, typer.Option(help="Where backups lie. [CARDINAL_BACKUPS]")] = None,
) -> None:
    """Bring a database back from backups into an empty CARDINAL_HOME; `up` then serves it."""
    from api.erasure_commands import replayed
    from infrastructure.backup_folder import BackupFolder
    from infrastructure.restores import restore as restored_from
    from infrastructure.seal_folder import SealFolder

    settings = read_settings("restore")
    folder = folder_of(settings) if backups is None else BackupFolder(backups.absolute())
    with Signals(), _told():
        seals = SealFolder(settings.seals_folder)
        found = restored_from(folder, settings.home, _instant(to), seals, say, [replayed])
    newest = (
        "nothing was recorded" if found.recorded_at is None else f"up to {found.recorded_at:%F %T.%f} UTC"
    )
    for note in found.notes:
        say(f"Note: {note}.")
    say("Who was erased since that backup is in it again: run `cardinal erasures replay` before `up`.")
    print(f"Restored from the backup of {found.backup.taken_at:%F %T} UTC: {newest}.")
    print(f"Positions go on in epoch {found.epoch}; what was published of lost events is void.")


def promote() -> None:
    """Make the standby that DATABASE_OWNER_URL names the primary. The old one must be off for ever."""
    from infrastructure.restores import promote as promoted

    owner = read_settings("promote").database_owner_url
    if owner is None:
        raise CommandFailed("No standby is named.", "Set DATABASE_OWNER_URL to the standby's address.", 2)
    with _told():
        epoch = promoted(owner.get_secret_value())
    print(f"Promoted. Positions go on in epoch {epoch}.")


def archiving(settings: "Settings", database: "Database") -> "Archiver":
    """What archives, as the settings say."""
    from datetime import timedelta

    from infrastructure.backups import Archiver

    every = timedelta(hours=settings.backup_every_h)
    folder = folder_of(settings)
    return Archiver(_server(settings, database), database.url, folder, every, settings.backups_kept)


def folder_of(settings: "Settings") -> "BackupFolder":
    from infrastructure.backup_folder import BackupFolder

    if settings.backups is None:
        raise CommandFailed("No folder for backups is named.", "Set CARDINAL_BACKUPS (docs/settings.md).", 2)
    return BackupFolder(settings.backups)


def _server(settings: "Settings", database: "Database") -> str:
    """The address of the login for replication."""
    if settings.database_backup_url is not None:
        return settings.database_backup_url.get_secret_value()
    if database.superuser_url is None:
        remedy = "Set DATABASE_BACKUP_URL to a login of the server with REPLICATION."
        raise CommandFailed("The database server can't be backed up as the running login.", remedy, 2)
    return database.superuser_url


def _instant(text: str) -> datetime | None:
    if text == "latest":
        return None
    remedy = "Give an instant with its zone, such as 2026-03-01T12:00:00+08:00, or `latest`."
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(f"{text!r} is no instant.", remedy, 2) from None
    if found.tzinfo is None:
        raise CommandFailed(f"{text!r} has no zone.", remedy, 2)
    return found


@contextmanager
def _told() -> "Iterator[None]":
    from infrastructure.backup_folder import BackupUnusable
    from infrastructure.backups import BackupFailed

    try:
        yield
    except BackupUnusable as unusable:
        raise CommandFailed(f"Nothing was changed: {unusable}.", MEND) from unusable
    except BackupFailed as fault:
        raise CommandFailed(f"No backup was taken: {fault}.", MEND) from fault
