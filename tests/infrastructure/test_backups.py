"""Backups: what comes back of a database, where it then stands, and what is refused with nothing changed."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from infrastructure.backup_folder import SEGMENT_BYTES, BackupFolder, BackupUnusable
from infrastructure.backups import BackupFailed, system_of, take
from infrastructure.embedded_database import DATABASE
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.log_verification import verify
from infrastructure.migrate import MigrationRefused
from infrastructure.restores import restore
from infrastructure.seal_folder import SealFolder
from tests.infrastructure.backup_world import recorded, site

pytestmark = pytest.mark.drill


class Kept:
    """A site that is gone. `first` were recorded before the instant `between`, `last` after it; so many bytes
    of the write-ahead log were written by then.
    """

    def __init__(
        self, home: Path, first: list[UUID], last: list[UUID], between: datetime, written: int
    ) -> None:
        self.home, self.first, self.last, self.between, self.written = home, first, last, between, written

    def copy(self, to: Path) -> BackupFolder:
        """The backups, for who is about to spoil them by `spoil`."""
        shutil.copytree(self.home / "backups", to, copy_function=os.link)
        return BackupFolder(to)


def spoil(path: Path, at: int, content: bytes) -> None:
    """Write over a file that is linked elsewhere too."""
    spoilt = bytearray(path.read_bytes())
    spoilt[at : at + len(content)] = content
    path.unlink()
    path.write_bytes(spoilt)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    home = tmp_path_factory.mktemp("site")
    for each in (home.parent, home.parent.parent):
        each.chmod(0o755)
    with site(home, fsync="off") as primary:
        primary.archive()
        first = primary.record(20)
        primary.sealer.seal_all()
        with psycopg.connect(primary.server.url()) as connection:
            row = connection.execute(
                "select clock_timestamp(), pg_current_wal_lsn() - '0/0'::pg_lsn"
            ).fetchone()
        assert row is not None
        last = primary.record(20)
        primary.sealer.seal_all()
        with psycopg.connect(primary.server.url(), autocommit=True) as connection:
            connection.execute("select pg_switch_wal()")
        last += primary.record(5)
        primary.archived()
        with psycopg.connect(primary.url) as connection:
            taken = connection.execute("select taken_at from public.backups").fetchall()
        assert [when for (when,) in taken] == [b.taken_at for b in primary.folder.backups()]
        primary.destroy()
        primary.close()
    return Kept(home, first, last, row[0].astimezone(UTC), int(row[1]))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty place; no refusal leaves anything in it."""
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    return tmp_path / "restored"


def nothing_in(place: Path) -> bool:
    return not EmbeddedPostgres(place).data_directory.exists() and not (place / "restoring").exists()


def test_all_that_was_archived_comes_back_in_a_new_epoch(kept: Kept, place: Path) -> None:
    """SEC-05: the published seals show where the restored log stands."""
    seals = SealFolder(kept.home / "seals")
    restored = restore(BackupFolder(kept.home / "backups"), place, None, seals)
    assert restored.epoch == 2
    assert restored.notes == ["the log holds all 2 published seals: nothing that was sealed is lost"]
    with EmbeddedPostgres(place) as server:
        back = recorded(server)
        report = verify(server.url(database=DATABASE), publication=seals)
    assert back.keys() == set(kept.first + kept.last)
    assert (report.faults, report.events) == ([], 45)
    assert restored.recorded_at == max(back.values())
    with pytest.raises(BackupUnusable, match=r"there is a database at .* already"):
        restore(BackupFolder(kept.home / "backups"), place, None, seals)


def test_a_restore_to_an_instant_holds_what_was_recorded_before_it(kept: Kept, place: Path) -> None:
    """SEC-05"""
    seals, folder = SealFolder(kept.home / "seals"), BackupFolder(kept.home / "backups")
    restored = restore(folder, place, kept.between, seals)
    with EmbeddedPostgres(place) as server:
        assert recorded(server).keys() == set(kept.first)
    (note,) = restored.notes
    assert note.startswith("the log stands at seal 1 of 2 ")
    assert "of 20 events sealed since then" in note
    assert note.endswith("it has 0")


def test_what_can_not_be_restored_is_refused_and_nothing_is_there(kept: Kept, place: Path) -> None:
    """SEC-05: a damaged or a foreign backup, a gap, an instant that is not covered."""
    seals, number = SealFolder(kept.home / "seals"), iter(range(100))

    def refused(folder: BackupFolder, match: str, to: datetime | None = None) -> None:
        with pytest.raises(BackupUnusable, match=match):
            restore(folder, place, to, seals)
        assert nothing_in(place)

    def copy() -> BackupFolder:
        return kept.copy(place.parent / f"backups{next(number)}")

    refused(BackupFolder(place.parent / "nowhere"), "there is no backup in")
    whole = BackupFolder(kept.home / "backups")
    refused(whole, "the oldest backup is of", datetime(2020, 1, 1, tzinfo=UTC))
    refused(whole, "nothing recorded after it", datetime.now(UTC) + timedelta(hours=1))

    damaged = copy()
    file = next(f for f in damaged.backups()[0].path.rglob("base/*/*") if f.stat().st_size > 8_192)
    spoil(file, 8_000, b"?")
    refused(damaged, r"is damaged: .*checksum mismatch")

    gap = copy()
    first, last = gap.segments()[0], gap.segments()[-1]
    assert last.number - first.number >= 1
    last.path.rename(gap.wal / f"{first.name[:16]}{last.number + 1:08X}.partial")
    refused(gap, "1 files of the write-ahead log are missing")

    foreign = copy()
    spoil(foreign.segments()[-1].path, 24, b"elsewhere"[:8])
    refused(foreign, "is of another database cluster")

    torn = copy()
    (holed,) = (s for s in torn.segments() if s.number == kept.written // SEGMENT_BYTES)
    spoil(holed.path, kept.written % SEGMENT_BYTES, bytes(4_096))
    refused(torn, "the write-ahead log is damaged: it can be read up to")

    of_another_version = copy()
    (of_another_version.backups()[0].path / "PG_VERSION").write_text("12\n")
    refused(of_another_version, "the backup is PostgreSQL 12's, and the server here is")


def test_a_backup_of_another_log_than_the_seals_speak_of_is_refused(
    kept: Kept, place: Path, tmp_path: Path
) -> None:
    """SEC-05, and one whose tables are a newer version's."""
    with site(tmp_path, fsync="off") as other:
        other.record(3)
        other.sealer.seal_all()
        take(other.server.url(), other.folder, 1)
        with pytest.raises(BackupUnusable, match="of another log than the one"):
            restore(other.folder, place, None, SealFolder(kept.home / "seals"))
        assert nothing_in(place)
        with pytest.raises(BackupUnusable, match="keeps the backups of another database cluster"):
            take(other.server.url(), BackupFolder(kept.home / "backups"), 1)

        with psycopg.connect(other.server.url(database=DATABASE), autocommit=True) as connection:
            connection.execute("insert into public.migrations values (9999, 'future', 'x')")
        take(other.server.url(), other.folder, 1)
        with pytest.raises(MigrationRefused, match="newer than this version"):
            restore(other.folder, place, None, other.seals)
        assert nothing_in(place)
        assert len(other.folder.backups()) == 1, "older backups go"
        assert other.folder.backups()[0].system == system_of(other.server.url())


def test_what_is_no_server_is_told_and_no_backup_is_kept(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path / str(uuid4()))
    with pytest.raises((BackupFailed, psycopg.OperationalError)):
        take("postgresql://nobody@127.0.0.1:1", folder, 1)
    assert folder.backups() == []
