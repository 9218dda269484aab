"""A PostgreSQL with TLS: what the addresses' sslmode=verify-full lets through."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from api.wiring import _read_pool
from infrastructure import database
from infrastructure.settings import Settings
from tests.certificates import Authority

HOME = Path("/usr/lib/postgresql")
PASSWORD = "of-the-running-login"
SILENCE = """select current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),
    current_setting('tcp_keepalives_count'), current_setting('tcp_user_timeout')"""


def binaries() -> Path:
    """Debian's server, for the embedded one knows no TLS. Raises CalledProcessError where it can't be had."""
    if not list(HOME.glob("*/bin/postgres")):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    return max(HOME.glob("*/bin/postgres")).parent


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Authority]]:
    """Port and authority of a server that lets nobody in without TLS."""
    programs, folder, authority = binaries(), tmp_path / "server", Authority(tmp_path / "authority")
    folder.mkdir()
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    files = authority.give("localhost")
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    for name, source in (("server.pem", files.certificate), ("server.key", files.key)):
        shutil.copy(source, folder / name)
        os.chown(folder / name, user.pw_uid, user.pw_gid)
        (folder / name).chmod(0o600)
    (folder / "password").write_text(PASSWORD)
    os.chown(folder, user.pw_uid, user.pw_gid)
    (folder / "password").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run = {"user": user.pw_uid, "group": user.pw_gid, "cwd": folder} if os.geteuid() == 0 else {"cwd": folder}
    initdb = [
        programs / "initdb",
        "-D",
        "data",
        "-U",
        "cardinal_app",
        "-A",
        "scram-sha-256",
        "--pwfile=password",
    ]
    subprocess.run([*initdb, "-N"], check=True, capture_output=True, **run)
    data = folder / "data"
    (data / "pg_hba.conf").write_text("hostssl all all all scram-sha-256\n")
    given = {
        "port": port,
        "ssl": "on",
        "ssl_cert_file": folder / "server.pem",
        "ssl_key_file": folder / "server.key",
        "unix_socket_directories": "",
        "listen_addresses": "127.0.0.1",
        "fsync": "off",
    }
    options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen([programs / "postgres", "-D", "data", *options], stderr=log, **run)
    try:
        deadline_s = time.monotonic() + 30
        while "ready to accept" not in (folder / "log").read_text():
            assert time.monotonic() < deadline_s, (folder / "log").read_text()
            time.sleep(0.05)
        yield port, authority
    finally:
        started.terminate()
        started.wait(20)


def address(port: int, host: str, **more: str) -> str:
    """As the setting DATABASE_URL has it."""
    options = "&".join(f"{name}={quote(value, safe='')}" for name, value in more.items())
    text = f"postgresql://cardinal_app:{PASSWORD}@{host}:{port}/postgres?{options}"
    url = Settings.read({"DATABASE_URL": text}).database_url
    assert url is not None
    return url.get_secret_value()


@pytest.mark.drill
def test_a_connection_is_made_only_to_the_server_whose_certificate_is_right(
    server: tuple[int, Authority], tmp_path: Path
) -> None:
    """SEC-01, NFR-08: sslmode verify-full on every way to the database: single, pooled, awaited, listening;
    and on each a peer that the network has swallowed is given up in time, by both sides.
    """
    port, authority = server
    good = address(port, "localhost", sslmode="verify-full", sslrootcert=str(authority.file))
    with database.connect(good) as connection:
        assert connection.pgconn.ssl_in_use
        told = connection.execute("select version from pg_stat_ssl where pid = pg_backend_pid()").fetchone()
        assert told in (("TLSv1.2",), ("TLSv1.3",))
        given_up = connection.execute(SILENCE).fetchone()
        assert given_up == ("10", "5", "3", "25000")
        assert_gives_up(connection)
    with database.pool(good, 2) as pool, pool.connection() as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute(SILENCE).fetchone() == given_up
        assert_gives_up(connection)
    asyncio.run(_reads(good))

    stranger = Authority(tmp_path / "stranger")
    for refused in (
        address(port, "127.0.0.1", sslmode="verify-full", sslrootcert=str(authority.file)),
        address(port, "localhost", sslmode="verify-full", sslrootcert=str(stranger.file)),
        address(port, "localhost", sslmode="verify-full", sslrootcert="system"),
        address(port, "localhost", sslmode="disable"),
    ):
        with pytest.raises(psycopg.OperationalError, match=r"certificate|no encryption"):
            database.connect(refused)
    with database.connect(address(port, "127.0.0.1", sslmode="require")) as connection:
        assert connection.pgconn.ssl_in_use, "it is the name that verify-full refuses, and nothing else"


async def _reads(url: str) -> None:
    """As the planner's pool does."""
    async with _read_pool(url) as reads, reads.connection() as reading:
        assert reading.pgconn.ssl_in_use
        assert_gives_up(reading)


def assert_gives_up(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """The client's side, by what it was connected with."""
    told = connection.info.get_parameters()
    names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")
    assert [told.get(name) for name in names] == ["10", "5", "3", "25000"]
