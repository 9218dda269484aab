"""Forward-only SQL migrations, each applied once, in order, under a lock, by the owner's role."""

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from infrastructure.database import APPLICATION_ROLE

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_203_514_226_110
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


# A restored or promoted cluster counts its transactions from lower down: positions go on in an epoch above.
NEW_EPOCH = b"""
    do $$ begin
        if to_regclass('log.events') is not null and exists (
            select from log.events
            where epoch = (select max(epoch) from log.epochs)
              and position >= pg_current_xact_id()::text::bigint << 20) then
            insert into log.epochs (epoch, reason)
            select max(epoch) + 1, 'the transaction ids of this cluster are lower' from log.epochs;
        end if;
    end $$"""


RESTORED = """
    insert into log.epochs (epoch, reason)
    select max(epoch) + 1, 'a restore' from log.epochs returning epoch"""


class MigrationRefused(Exception):
    """The database is not one that these migrations can bring forward; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """All migrations in order of their numbers; a gap or a misnamed file is an assertion error."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        assert match, f"{path.name} is no name of a migration"
        found.append(Migration(int(match[1]), match[2], path.read_text()))
    assert [m.number for m in found] == list(range(1, len(found) + 1)), "migrations have no gaps"
    return found


def open_epoch(url: str) -> int:
    """Positions go on above all that were told, for a restore has lost the newest; the epoch's number."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        row = connection.execute(RESTORED.encode()).fetchone()
    assert row is not None
    return int(row[0])


def migrate(url: str, folder: Path = MIGRATIONS) -> list[str]:
    """Bring the database forward; the names of what was applied. Raise MigrationRefused.

    `url` connects as the owner. Processes that come at once wait for each other and find it done.
    """
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute("select pg_advisory_lock(%s)", [_LOCK])
        try:
            return _apply_missing(connection, migrations(folder))
        finally:
            connection.execute("select pg_advisory_unlock(%s)", [_LOCK])


def _apply_missing(connection: psycopg.Connection, known: list[Migration]) -> list[str]:
    _require_usable(connection)
    connection.execute(
        "create table if not exists public.migrations (number integer primary key, name text not null,"
        " checksum text not null, applied_at timestamptz not null default now())"
    )
    connection.execute(f"grant select on public.migrations to {APPLICATION_ROLE}")
    rows = connection.execute("select number, checksum from public.migrations").fetchall()
    applied: dict[int, str] = dict(rows)
    by_number = {migration.number: migration for migration in known}
    if applied.keys() - by_number.keys():
        raise MigrationRefused("the database is newer than this version of Cardinal: install that version")
    for number, checksum in applied.items():
        if by_number[number].checksum != checksum:
            raise MigrationRefused(f"migration {number} was applied in another form than the one here")
    missing = [migration for migration in known if migration.number not in applied]
    for migration in missing:
        with connection.transaction():
            connection.execute(migration.sql.encode())
            connection.execute(
                "insert into public.migrations (number, name, checksum) values (%s, %s, %s)",
                [migration.number, migration.name, migration.checksum],
            )
    connection.execute(NEW_EPOCH)
    return [f"{migration.number:04} {migration.name}" for migration in missing]


def _require_usable(connection: psycopg.Connection) -> None:
    """A supported server and encoding, and the running role, which may be given by the bank's own hand."""
    if connection.info.server_version < 150000:
        raise MigrationRefused("PostgreSQL 15 or later is needed")
    encoding = connection.execute("show server_encoding").fetchone()
    if encoding != ("UTF8",):
        raise MigrationRefused("the database must be created with ENCODING 'UTF8'")
    role = connection.execute("select from pg_roles where rolname = %s", [APPLICATION_ROLE]).fetchone()
    if role is None:
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            connection.execute(f"create role {APPLICATION_ROLE} nologin")
    member = connection.execute("select pg_has_role(%s, 'member')", [APPLICATION_ROLE]).fetchone()
    if member != (True,):
        connection.execute(f"grant {APPLICATION_ROLE} to current_user")
