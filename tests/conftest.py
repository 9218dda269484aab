"""A real PostgreSQL for every test that needs one: one server a session, one database a test."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from infrastructure import personal_parts
from infrastructure.database import pool
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_log import EventLog
from infrastructure.master_keys import MasterKeyring
from infrastructure.migrate import migrate
from infrastructure.person_keys import PersonKeys


@pytest.fixture(scope="session")
def persons(tmp_path_factory: pytest.TempPathFactory) -> PersonKeys:
    """The keys of persons for what tests record in this process."""
    home = tmp_path_factory.mktemp("keys")
    return PersonKeys(
        home / "person-keys", lambda begins: MasterKeyring(home / "master-keys", may_begin=begins)
    )


@pytest.fixture(scope="session", autouse=True)
def _kept_from_the_first(persons: PersonKeys) -> None:
    """Fixtures of modules record, too."""
    personal_parts.use(persons)


@pytest.fixture(autouse=True)
def _kept(persons: PersonKeys) -> None:
    """A test that opened a house of its own has left that one's keys in use."""
    personal_parts.use(persons)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server that forgets on power loss only: what tests kill is processes, not machines."""
    with tempfile.TemporaryDirectory(prefix="cardinal-tests-") as home:
        Path(home).chmod(0o755)
        with EmbeddedPostgres(Path(home), options={"fsync": "off", "max_connections": "300"}) as server:
            yield server
            # Without a checkpoint of all the databases that were made: they go with the folder.
            os.kill(int((server.data_directory / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


@pytest.fixture(scope="session")
def make_database(postgres: EmbeddedPostgres) -> Callable[..., str]:
    """Make a database, perhaps as a copy of another; it ends with the server. The URL is a superuser's."""

    def make(template: str = "template0") -> str:
        name = f"t{uuid4().hex[:12]}"
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(f"create database {name} template {template}")
        return postgres.url(database=name)

    return make


@pytest.fixture
def database_url(make_database: Callable[..., str]) -> str:
    """A fresh, empty database."""
    return make_database()


@pytest.fixture(scope="session")
def migrated_template(make_database: Callable[..., str]) -> str:
    url = make_database()
    migrate(url)
    return psycopg.conninfo.conninfo_to_dict(url)["dbname"]  # type: ignore[return-value]


@pytest.fixture
def cardinal_url(make_database: Callable[..., str], migrated_template: str) -> str:
    """A fresh database with everything migrated and nothing recorded."""
    return make_database(migrated_template)


@pytest.fixture
def log(cardinal_url: str) -> Iterator[EventLog]:
    with pool(cardinal_url, 24) as connections:
        yield EventLog(connections)
