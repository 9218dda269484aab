"""A database server with an archiver, which can be destroyed, and what comes back of it."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from infrastructure.backup_folder import BackupFolder
from infrastructure.backups import Archiver
from infrastructure.database import pool
from infrastructure.embedded_database import DATABASE, OWNER_LOGIN, RUNNING_LOGIN, _provide
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_log import EventLog
from infrastructure.log_sealer import Sealer
from infrastructure.migrate import migrate
from infrastructure.restores import Restored, restore
from infrastructure.seal_folder import SealFolder
from infrastructure.seal_keys import SealKeys
from tests.infrastructure.log_writing import append, write

WAIT_S = 60


class Site:
    """The primary in `home/primary`; backups and seals are elsewhere."""

    def __init__(self, home: Path, **options: str) -> None:
        home.chmod(0o755)
        self.home = home
        self.server = EmbeddedPostgres(home / "primary", options=options)
        self.folder = BackupFolder(home / "backups")
        self.seals = SealFolder(home / "seals")
        self._stop, self._threads = threading.Event(), list[threading.Thread]()

    @property
    def url(self) -> str:
        return self.server.url(RUNNING_LOGIN, DATABASE)

    @property
    def sealer(self) -> Sealer:
        return Sealer(self.url, SealKeys(self.home / "keys"), self.seals, 1)

    def start(self) -> None:
        self.server.start()
        _provide(self.server)
        migrate(self.server.url(OWNER_LOGIN, DATABASE))

    def archive(self) -> None:
        """Archive from now on, with a base backup."""
        archiver = Archiver(self.server.url(), self.url, self.folder, timedelta(days=1), 2)
        for work in (archiver.receive, archiver.back_up):
            self._threads.append(threading.Thread(target=work, args=(self._stop,)))
            self._threads[-1].start()
        eventually(lambda: bool(self.folder.backups()) and is_archiving(self.server))

    def record(self, count: int) -> list[UUID]:
        """Streams whose append was acknowledged."""
        streams = [uuid4() for _ in range(count)]
        with pool(self.url, 2) as connections:
            log = EventLog(connections)
            for stream in streams:
                log.append(append(write(stream)))
        return streams

    def archived(self) -> None:
        """Return when all that was committed is in the archive."""
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            row = connection.execute("select pg_current_wal_lsn()").fetchone()
            confirmed = (
                "select restart_lsn >= %s from pg_replication_slots where slot_name = 'cardinal_archive'"
            )
            eventually(lambda: connection.execute(confirmed, row).fetchone() == (True,))

    def destroy(self) -> None:
        """The machine is gone with its disk."""
        postmaster = self.server._postmaster()
        assert postmaster is not None
        os.killpg(postmaster, signal.SIGKILL)
        eventually(lambda: self.server._is_gone())
        shutil.rmtree(self.server.data_directory)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self.server.stop()

    def restored(self, name: str, to: datetime | None = None) -> Restored:
        return restore(self.folder, self.home / name, to, self.seals)


@contextmanager
def site(home: Path, **options: str) -> Iterator[Site]:
    found = Site(home, **options)
    try:
        found.start()
        yield found
    finally:
        found.close()


def is_archiving(server: EmbeddedPostgres) -> bool:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_replication where application_name = 'cardinal_archive'"
            " and state = 'streaming'"
        ).fetchone()
    return row == (1,)


def recorded(server: EmbeddedPostgres) -> dict[UUID, datetime]:
    """Every stream, and when its newest event was recorded."""
    with psycopg.connect(server.url(database=DATABASE), autocommit=True) as connection:
        sql = "select stream_id, max(recorded_at) from log.events group by 1"
        return dict(connection.execute(sql).fetchall())


def eventually(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
