"""What all drills share: a site, and the nursery of the product's processes."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.migrate import migrate
from tests.drills.nursery import Nursery
from tests.drills.site import Site
from tests.drills.world import furnish, made
from tests.repeats import IS_FULL

ORDERS = 150 if IS_FULL else 12


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("warehouse")
    furnish(folder)
    with tempfile.TemporaryDirectory(prefix="cardinal-drills-") as home:
        Path(home).chmod(0o755)
        with EmbeddedPostgres(Path(home), options={"fsync": "off", "max_connections": "300"}) as server:
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute("create database site template template0")
            url = server.url(database="site")
            migrate(url)
            yield Site(server, "site", made(url, ORDERS), folder / "warehouse")
