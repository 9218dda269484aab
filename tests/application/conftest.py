"""A bank on an empty log for every test; the database is made once a module."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg_pool import ConnectionPool

from infrastructure.database import pool
from infrastructure.event_log import EventLog
from tests.application.bank import Bank


@pytest.fixture(scope="module")
def module_url(make_database: Callable[..., str], migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def connections(module_url: str) -> Iterator[ConnectionPool[psycopg.Connection[Any]]]:
    with pool(module_url, 24) as connections:
        yield connections


@pytest.fixture
def log(module_url: str, connections: ConnectionPool[psycopg.Connection[Any]]) -> EventLog:
    """The owner's hand empties it; the running role could not."""
    with psycopg.connect(module_url, autocommit=True) as owner:
        tables = owner.execute(
            "select tablename from pg_tables where schemaname = 'log' and tablename <> 'epochs'"
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier("log", name) for (name,) in tables)
        owner.execute(sql.SQL("truncate {}").format(names))
    return EventLog(connections)


@pytest.fixture
def bank(log: EventLog) -> Bank:
    return Bank(log)
