"""Hashes of passwords and secrets, sessions, and who came in from where: tables, never events."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg
from psycopg_pool import ConnectionPool

from application.accounts import Origin
from infrastructure.passwords import EARLIER_MAX

ADDRESS_CHARACTERS_MAX = 100
AGENT_CHARACTERS_MAX = 200
SUBJECT_CHARACTERS_MAX = 255
FREE_FAILURES = 5
LOCK_FIRST_S = 30
LOCK_DOUBLINGS_MAX = 7
FAILURES_KEPT = timedelta(days=1)

# The attempt counts before the password is looked at, so that attempts at once are not free.
ATTEMPT = b"""
    insert into access.failures as f (username, failures, last_at) values (%(username)s, 1, %(now)s)
    on conflict (username) do update set
        failures = case when f.last_at < %(now)s - %(kept)s::interval then 1 else f.failures + 1 end,
        last_at = %(now)s,
        locked_until = case when f.failures + 1 > %(free)s and f.last_at >= %(now)s - %(kept)s::interval
            then %(now)s + make_interval(
                secs => %(first)s * 2 ^ least(f.failures - %(free)s, %(doublings)s)) end
    where f.locked_until is null or f.locked_until <= %(now)s
    returning failures"""
LOCKED = b"select locked_until from access.failures where username = %s"
PURGE = b"delete from access.failures where last_at < %s"
PASSWORD = b"select hash, must_change, earlier from access.passwords where username = %s"
SET_PASSWORD = b"""
    insert into access.passwords as p (username, hash, must_change, changed_at)
    values (%(username)s, %(hash)s, %(must_change)s, %(now)s)
    on conflict (username) do update set
        hash = excluded.hash, must_change = excluded.must_change, changed_at = excluded.changed_at,
        earlier = (array_prepend(p.hash, p.earlier))[1:%(kept)s]"""
RENEW = b"""
    update access.refresh_tokens r set used_at = %(now)s, salt = %(salt)s, used_from = %(address)s
    from access.sessions s
    where r.hash = %(hash)s and r.used_at is null and s.id = r.session_id
    returning s.id, s.username, s.started_at, s.renewed_at, s.expires_at, s.ended_at"""
RENEWED_AGAIN = b"""
    select r.salt, s.id, s.username, s.started_at, s.renewed_at, s.expires_at, s.ended_at
    from access.refresh_tokens r join access.sessions s on s.id = r.session_id
    where r.hash = %s and r.used_at > %s and r.used_from = %s and r.salt is not null"""
UNUSED = b"select from access.refresh_tokens where hash = %s and used_at is null"
FAMILY = b"""
    select s.id, s.username from access.refresh_tokens r join access.sessions s on s.id = r.session_id
    where r.hash = %s"""


@dataclass(frozen=True, slots=True)
class StoredPassword:
    hash: str
    must_change: bool
    earlier: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Session:
    id: UUID
    username: str
    started_at: datetime
    renewed_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccessStore:
    """Each method is one transaction."""

    pool: ConnectionPool[psycopg.Connection[Any]]

    # --- Attempts ---

    def begin_attempt(self, username: str, now: datetime) -> datetime | None:
        """Count an attempt; the instant until which there may be none, if it is not to be made."""
        values = {
            "username": username,
            "now": now,
            "kept": FAILURES_KEPT,
            "free": FREE_FAILURES,
            "first": LOCK_FIRST_S,
            "doublings": LOCK_DOUBLINGS_MAX,
        }
        with self.pool.connection() as connection:
            if connection.execute(ATTEMPT, values).fetchone() is not None:
                return None
            found = connection.execute(LOCKED, [username]).fetchone()
            return None if found is None else found[0]

    def forget_failures(self, username: str, now: datetime) -> None:
        with self.pool.connection() as connection, connection.transaction():
            connection.execute(b"delete from access.failures where username = %s", [username])
            connection.execute(PURGE, [now - FAILURES_KEPT])

    # --- Passwords and secrets ---

    def password(self, username: str) -> StoredPassword | None:
        with self.pool.connection() as connection:
            found = connection.execute(PASSWORD, [username]).fetchone()
        return None if found is None else StoredPassword(found[0], found[1], tuple(found[2]))

    def set_password(self, username: str, hash_: str, must_change: bool, now: datetime) -> None:
        values = {
            "username": username,
            "hash": hash_,
            "must_change": must_change,
            "now": now,
            "kept": EARLIER_MAX,
        }
        with self.pool.connection() as connection:
            connection.execute(SET_PASSWORD, values)

    def keep_secret(self, id_: UUID, secret: str, now: datetime) -> None:
        with self.pool.connection() as connection:
            connection.execute(
                b"insert into access.secrets (id, hash, made_at) values (%s, %s, %s)",
                [id_, digest(secret), now],
            )

    def secrets(self, ids: tuple[UUID, ...]) -> list[bytes]:
        with self.pool.connection() as connection:
            rows = connection.execute(b"select hash from access.secrets where id = any(%s)", [list(ids)])
            return [bytes(hash_) for (hash_,) in rows]

    # --- Sessions ---

    def begin_session(self, session: Session, org_unit: str, token: str, origin: Origin) -> None:
        with self.pool.connection() as connection, connection.transaction():
            connection.execute(
                b"insert into access.sessions (id, username, org_unit, started_at, renewed_at, expires_at,"
                b" address, agent) values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    session.id,
                    session.username,
                    org_unit,
                    session.started_at,
                    session.renewed_at,
                    session.expires_at,
                    origin.address[:ADDRESS_CHARACTERS_MAX],
                    origin.agent[:AGENT_CHARACTERS_MAX],
                ],
            )
            self._add_token(connection, session.id, token, session.started_at)

    def renew(self, token: str, salt: bytes, address: str, now: datetime) -> tuple[Session, str] | None:
        """Use the token up and put its successor in its place; None for one that is used up or was none."""
        values = {"hash": digest(token), "now": now, "salt": salt, "address": _short(address)}
        fresh = successor(token, salt)
        with self.pool.connection() as connection, connection.transaction():
            found = connection.execute(RENEW, values).fetchone()
            if found is None:
                return None
            session = Session(*found)
            if session.ended_at is None:
                self._add_token(connection, session.id, fresh, now)
                connection.execute(
                    b"update access.sessions set renewed_at = %s where id = %s", [now, session.id]
                )
            return session, fresh

    def renewed_again(self, token: str, address: str, since: datetime) -> tuple[Session, str] | None:
        """The same successor, for who used the token up later than `since` from the same address and has not
        used what he got.
        """
        with self.pool.connection() as connection:
            found = connection.execute(RENEWED_AGAIN, [digest(token), since, _short(address)]).fetchone()
            if found is None:
                return None
            fresh = successor(token, bytes(found[0]))
            is_unused = connection.execute(UNUSED, [digest(fresh)]).fetchone() is not None
        return (Session(*found[1:]), fresh) if is_unused else None

    def family(self, token: str) -> tuple[UUID, str] | None:
        """The session, and whose it is, that a token was given in, used up or not."""
        with self.pool.connection() as connection:
            return connection.execute(FAMILY, [digest(token)]).fetchone()

    def end_sessions(
        self, now: datetime, reason: str, *, session: UUID | None = None, username: str | None = None
    ) -> None:
        """End one session, or all of a user."""
        column, value = (b"id", session) if session is not None else (b"username", username)
        with self.pool.connection() as connection:
            connection.execute(
                b"update access.sessions set ended_at = %s, end_reason = %s where " + column + b" = %s"
                b" and ended_at is null",
                [now, reason, value],
            )

    @staticmethod
    def _add_token(connection: psycopg.Connection[Any], session: UUID, token: str, now: datetime) -> None:
        connection.execute(
            b"insert into access.refresh_tokens (hash, session_id, issued_at) values (%s, %s, %s)",
            [digest(token), session, now],
        )

    # --- Who came in ---

    def write_down(
        self, kind: str, subject: str, org_unit: str, origin: Origin, session: UUID | None = None
    ) -> None:
        with self.pool.connection() as connection:
            connection.execute(
                b"insert into access.entries (kind, subject, org_unit, address, agent, session_id)"
                b" values (%s, %s, %s, %s, %s, %s)",
                [
                    kind,
                    subject[:SUBJECT_CHARACTERS_MAX],
                    org_unit,
                    origin.address[:ADDRESS_CHARACTERS_MAX],
                    origin.agent[:AGENT_CHARACTERS_MAX],
                    session,
                ],
            )


def successor(token: str, salt: bytes) -> str:
    """The token that follows: nobody can tell it without the one before and the salt."""
    return urlsafe_b64encode(hmac.digest(token.encode(), salt, "sha256")).rstrip(b"=").decode()


def _short(address: str) -> str:
    return address[:ADDRESS_CHARACTERS_MAX]


def digest(secret: str) -> bytes:
    """Of 256 random bits nothing slower is needed."""
    return sha256(secret.encode()).digest()
