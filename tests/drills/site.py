"""Where installations are put up: a server that drills may kill, and a business to be copied for each."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from infrastructure.embedded_postgres import EmbeddedPostgres
from tests.drills.world import World


@dataclass(frozen=True)
class Site:
    server: EmbeddedPostgres
    template: str
    world: World
    warehouse: Path

    def database(self) -> str:
        """The address of a fresh copy."""
        name = f"d{uuid4().hex[:12]}"
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(f"create database {name} template {self.template}".encode())
        return self.server.url(database=name)
