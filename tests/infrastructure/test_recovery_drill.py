"""The database's machine is lost during writes: how much is lost with it, and who goes on.

`pytest -s` shows what was measured; `make drills` does each as often as is promised.
"""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
import yaml

from infrastructure.database import pool
from infrastructure.embedded_database import DATABASE, OWNER_LOGIN
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_log import EventLog
from infrastructure.log_verification import verify
from tests.api.cardinal_process import ROOT, cardinal
from tests.infrastructure.backup_world import Site, eventually, recorded, site
from tests.infrastructure.log_writing import append, write
from tests.repeats import repeats

pytestmark = pytest.mark.drill

WRITERS = 3
LOSS_MAX = timedelta(seconds=60)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    return tmp_path


class Writing:
    """Clients that append one after the other; `acknowledged` are the streams, and when each was told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.acknowledged: dict[UUID, datetime] = {}
        self._threads = [threading.Thread(target=self._write, daemon=True) for _ in range(WRITERS)]
        self._stop = threading.Event()

    def __enter__(self) -> "Writing":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()  # one whose server is gone tries again for a while: nobody waits for that

    def _write(self) -> None:
        with pool(self._url, 1) as connections:
            log = EventLog(connections)
            while not self._stop.is_set():
                stream = uuid4()
                try:
                    log.append(append(write(stream)))
                except Exception:  # nothing was told, so nothing was promised
                    return
                self.acknowledged[stream] = datetime.now(UTC)


def destroyed_while_written(primary: Site, count: int) -> Writing:
    with Writing(primary.url) as writing:
        eventually(lambda: len(writing.acknowledged) >= count)
        primary.destroy()
    return writing


@pytest.mark.parametrize("is_synchronous", [False, True])
def test_what_is_lost_with_the_primary(home: Path, is_synchronous: bool) -> None:
    """SEC-05, NFR-08: at most 60 s, and nothing acknowledged where the archive must confirm each commit."""
    for round_ in range(max(1, repeats(5) // 2)):
        place = home / f"{round_}"
        place.mkdir()
        names = {"synchronous_standby_names": "cardinal_archive"} if is_synchronous else {}
        with site(place) as primary:
            if is_synchronous:
                with psycopg.connect(primary.server.url(), autocommit=True) as connection:
                    primary.archive()
                    for name, value in names.items():
                        connection.execute(f"alter system set {name} = '{value}'".encode())
                    connection.execute("select pg_reload_conf()")
            else:
                primary.archive()
            writing = destroyed_while_written(primary, 150)
            primary.close()
        began = time.monotonic()
        restored = primary.restored("restored")
        with EmbeddedPostgres(place / "restored") as server:
            took_s = time.monotonic() - began
            back = recorded(server)
            assert verify(server.url(database=DATABASE)).faults == []
        lost = writing.acknowledged.keys() - back.keys()
        last = max(writing.acknowledged.values())
        loss = last - min((writing.acknowledged[stream] for stream in lost), default=last)
        print(
            f"{len(writing.acknowledged)} acknowledged, {len(lost)} lost, of {loss}; back in {took_s:.1f} s"
        )
        assert restored.epoch == 2
        assert loss <= LOSS_MAX
        assert not (is_synchronous and lost)


@contextmanager
def standby_of(primary: EmbeddedPostgres, home: Path) -> Iterator[str]:
    """The compose file's standby as a process of this machine; its address without a database."""
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["standby"]
    source = psycopg.conninfo.conninfo_to_dict(primary.url())["host"]
    account = primary.account
    place = home / "standby"
    place.mkdir(mode=0o700)
    account.own(place)
    script = service["entrypoint"][-1].replace("$$", "$").replace("host=postgres", f"host={source}")
    script = script.replace(
        "exec postgres",
        f"exec postgres -c listen_addresses= -c unix_socket_directories={place} -c max_connections=200",
    )
    (home / "standby.log").touch()
    process = subprocess.Popen(
        ["bash", "-euc", script],
        env={"PATH": f"{account_binaries(primary)}:{os.environ['PATH']}", "PGDATA": str(place / "data")},
        stdout=(home / "standby.log").open("wb"),
        stderr=subprocess.STDOUT,
        user=None if account.is_ours else account.uid,
        group=None if account.is_ours else account.gid,
        extra_groups=None if account.is_ours else [],
        cwd="/",
    )
    try:
        yield f"host={place} port=5432"
    finally:
        process.terminate()
        process.wait(30)


def account_binaries(server: EmbeddedPostgres) -> Path:
    return server._place.server_binaries()


def test_a_standby_takes_over_and_nothing_acknowledged_is_lost(home: Path) -> None:
    """NFR-09, NFR-10, SEC-05: promoted by `cardinal promote`, it goes on in a new epoch."""
    with site(home) as primary, psycopg.connect(primary.server.url(), autocommit=True) as owner:
        owner.execute("create role cardinal_replica login replication")
        with psycopg.connect(primary.server.url(database=DATABASE), autocommit=True) as database:
            database.execute(f"grant execute on function pg_promote to {OWNER_LOGIN}".encode())
        with standby_of(primary.server, home) as standby:
            streaming = (
                "select count(*) from pg_stat_replication where application_name = 'cardinal_standby'"
                " and state = 'streaming'"
            )
            url = f"postgresql://{OWNER_LOGIN}@/{DATABASE}?{standby.replace(' ', '&')}"
            eventually(lambda: is_there(url))
            eventually(lambda: owner.execute(streaming).fetchone() == (1,))
            owner.execute("alter system set synchronous_standby_names = 'cardinal_standby'")
            owner.execute("select pg_reload_conf()")
            refused = cardinal(home / "nowhere", "promote", DATABASE_OWNER_URL=of_primary(primary))
            assert (refused.returncode, "is no standby" in refused.stderr) == (1, True), refused.stderr
            writing = destroyed_while_written(primary, 150)
            promoted = cardinal(home / "nowhere", "promote", DATABASE_OWNER_URL=url)
            assert promoted.returncode == 0, promoted.stderr
            assert "epoch 2" in promoted.stdout
            both = f"postgresql://{OWNER_LOGIN}@/{DATABASE}?host={primary.home},{standby[5:-10]}&port=5432"
            after = f"{both}&target_session_attrs=read-write"
            with pool(after, 1) as connections:
                log = EventLog(connections)
                assert log.append(append(write(uuid4()))).position.epoch == 2
            with psycopg.connect(after) as connection:
                back = {row[0] for row in connection.execute("select stream_id from log.events")}
            assert writing.acknowledged.keys() <= back


def is_there(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def of_primary(primary: Site) -> str:
    return primary.server.url(OWNER_LOGIN, DATABASE)
