"""The database of this deployment: the one that was given, or one of our own in CARDINAL_HOME."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from infrastructure import personal_parts
from infrastructure.database import APPLICATION_ROLE
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.settings import Settings, SettingsFault
from infrastructure.vaults import person_keys

DATABASE = "cardinal"
OWNER_LOGIN = "cardinal_owner"
RUNNING_LOGIN = "cardinal"
_LOCK = 7_203_514_226_111


@dataclass(frozen=True, slots=True)
class Database:
    """Where to connect: `url` as the login of running processes, `owner_url` for migrations only.

    `keep` brings an embedded server back that was killed; for a given one it does nothing. `superuser_url`
    is an embedded server's alone.
    """

    url: str
    owner_url: str
    keep: Callable[[], object] = lambda: None
    superuser_url: str | None = None


@contextmanager
def open_database(settings: Settings, quiet: bool = False) -> Iterator[Database]:
    """The database, for as long as the block runs; the last process to leave an embedded one stops it.

    With it come the keys of what is personal in it, for the whole process.

    `quiet` for who only joins: what the operator should know has been said by the first.
    Raise SettingsFault in production without DATABASE_URL, PostgresUnavailable when ours doesn't start.
    """
    personal_parts.use(person_keys(settings))
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        owner = settings.database_owner_url
        yield Database(url, url if owner is None else owner.get_secret_value())
        return
    if settings.is_production:
        raise SettingsFault("DATABASE_URL must be set in production")
    home = settings.home
    with EmbeddedPostgres(home, notice=_unsaid) if quiet else EmbeddedPostgres(home) as server:
        _provide(server)
        yield Database(
            server.url(RUNNING_LOGIN, DATABASE),
            server.url(OWNER_LOGIN, DATABASE),
            keep=server.start,
            superuser_url=server.url(),
        )


def _unsaid(_: str) -> None:
    """Somebody else has said it."""


def _provide(server: EmbeddedPostgres) -> None:
    """Make the roles and the database where they are missing; whoever comes meanwhile waits."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", [_LOCK])
        existing = {name for (name,) in connection.execute("select rolname from pg_roles")}
        for role, options in (
            (APPLICATION_ROLE, "nologin"),
            (OWNER_LOGIN, "login"),
            (RUNNING_LOGIN, "login"),
        ):
            if role not in existing:
                connection.execute(f"create role {role} {options}".encode())
        connection.execute(f"grant {APPLICATION_ROLE} to {OWNER_LOGIN}, {RUNNING_LOGIN}".encode())
        if connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"create database {DATABASE} owner {OWNER_LOGIN} template template0".encode())
