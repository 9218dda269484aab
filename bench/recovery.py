"""A million events lost with their machine: how long until they are restored, and the server answers."""

import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg

from bench.log import BULK_EVENTS, bulk_context, bulk_writes
from bench.rounds import Figure
from infrastructure.backup_folder import BackupFolder
from infrastructure.backups import SLOT, Archiver
from infrastructure.database import pool
from infrastructure.embedded_database import DATABASE, OWNER_LOGIN, RUNNING_LOGIN, provide
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_log import EventLog
from infrastructure.migrate import migrate
from infrastructure.restores import restore
from infrastructure.seal_folder import SealFolder

EVENTS = 1_000_000
WITHIN_S = 300.0
POLL_S = 0.1
CONFIRMED = "select restart_lsn >= %s from pg_replication_slots where slot_name = %s"


def figures() -> Iterator[Figure]:
    """Two fifths of the events are in the base backup, the rest in the write-ahead log alone."""
    with tempfile.TemporaryDirectory(prefix="cardinal-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        backups = BackupFolder(home / "backups")
        with EmbeddedPostgres(home / "primary") as server:
            _fill(server, backups)
        begun = time.perf_counter()
        restored = restore(backups, home / "restored", None, SealFolder(home / "seals"))
        with EmbeddedPostgres(home / "restored") as server:
            with psycopg.connect(server.url(database=DATABASE)) as connection:
                row = connection.execute("select count(*) from log.events").fetchone()
            took_s = time.perf_counter() - begun
        assert row == (EVENTS,)
        assert restored.epoch > 1
        ratio = WITHIN_S / took_s
        name = f"{EVENTS:,} events restored, seconds"
        yield Figure(name, took_s, WITHIN_S, ratio, ratio, ratio, 1.0, "s")


def _fill(server: EmbeddedPostgres, backups: BackupFolder) -> None:
    provide(server)
    migrate(server.url(OWNER_LOGIN, DATABASE))
    url, stop = server.url(RUNNING_LOGIN, DATABASE), threading.Event()
    archiver = Archiver(server.url(), url, backups, timedelta(days=1), 1)
    receiving = threading.Thread(target=archiver.receive, args=(stop,))
    backing_up = threading.Thread(target=archiver.back_up, args=(stop,))
    receiving.start()
    try:
        with pool(url, 2) as connections:
            log = EventLog(connections)
            for number in range(EVENTS // BULK_EVENTS):
                if number == 2:
                    backing_up.start()
                    while not backups.backups():
                        time.sleep(POLL_S)
                log.append_bulk(bulk_writes(), bulk_context())
        with psycopg.connect(server.url(), autocommit=True) as connection:
            row = connection.execute("select pg_current_wal_lsn()").fetchone()
            assert row is not None
            while connection.execute(CONFIRMED, [row[0], SLOT]).fetchone() != (True,):
                time.sleep(POLL_S)
    finally:
        stop.set()
        receiving.join()
        backing_up.join()
