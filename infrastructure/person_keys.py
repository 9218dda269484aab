"""The keys of persons: one random AES-256 key each, wrapped by the master key, outside the database.

    <folder>/persons.sqlite     one row a person: key id, blind index of his name, wrapped key, erased when
    <folder>/persons.sqlite-…   SQLite's own, while it writes

A person is found by a blind index (HMAC-SHA-256) of kind and name, so the file tells nobody's name. To erase
him overwrites his key; the row stays as an entry of the list of erasures. Nothing is cached, so a key that is
gone is gone in every process at once. Backups of the folder live short: a key in one of them is not gone yet.
"""

import hmac
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from application.shared.key_keepers import KeysUnavailable, MasterKeys

KEY_BYTES = 32
NONCE_BYTES = 12
BUSY_S = 20.0
REWRAPPED_AT_ONCE = 500
INDEX_ABOUT = b"index key"

SCHEMA = """
begin immediate;
create table if not exists secret (
    name text primary key, wrapped blob not null, master integer not null) strict;
create table if not exists persons (
    key_id blob primary key, name_index blob not null unique, wrapped blob, master integer,
    made_at text not null, erased_at text,
    check ((erased_at is null) = (wrapped is not null))) strict;
create table if not exists also_named (name_index blob primary key, key_id blob not null) strict;
commit;
"""
NAMED = "select key_id from persons where name_index = ?"
KEPT = "select wrapped, master from persons where key_id = ?"
DESTROYED = """
update persons set wrapped = null, master = null, erased_at = ? where key_id = ? and erased_at is null"""
ERASED = "select name_index from persons where erased_at is not null union select name_index from also_named"
BEHIND = "select key_id, wrapped, master from persons where master < ? limit ?"


class PersonErased(Exception):
    """The person's key was destroyed: nothing more is written about him."""


@dataclass(frozen=True, slots=True)
class KeysStatus:
    """How many keys each master key wraps, how many persons were erased, which master key wraps now."""

    by_master: dict[int, int]
    erased: int
    newest: int


class PersonKeys:
    """Safe to share between threads and processes: each call is a transaction of its own."""

    def __init__(self, folder: Path, master_keys: Callable[[bool], MasterKeys]) -> None:
        """`master_keys` is told whether it may make the first key: only where there are no persons yet."""
        self._file, self._master_keys = folder / "persons.sqlite", master_keys
        self._master: MasterKeys | None = None
        self._index_key = b""

    # --- One person ---

    def key_id(self, kind: str, name: str) -> UUID:
        """The id of the person's key, which is made when there is none. Raise KeysUnavailable."""
        master, index = self._opened(), self._index(f"{kind}:{name}")
        with self._transaction() as connection:
            row = connection.execute(NAMED, [index]).fetchone()
            if row is not None:
                return UUID(bytes=row[0])
            id_, number = uuid4(), master.newest()
            wrapped = master.wrap(number, token_bytes(KEY_BYTES), id_.bytes)
            connection.execute(
                "insert into persons (key_id, name_index, wrapped, master, made_at) values (?, ?, ?, ?, ?)",
                [id_.bytes, index, wrapped, number, _now()],
            )
        return id_

    def encipher(self, key_id: UUID, clear: bytes, about: bytes) -> bytes:
        """Nonce and ciphertext, bound to what it is `about`. Raise PersonErased, KeysUnavailable."""
        key = self._key(key_id)
        if key is None:
            raise PersonErased(str(key_id))
        nonce = token_bytes(NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, clear, about)

    def decipher(self, key_id: UUID, enciphered: bytes, about: bytes) -> bytes | None:
        """None when the person was erased. Raise KeysUnavailable, ValueError for what is damaged."""
        key = self._key(key_id)
        if key is None:
            return None
        try:
            return AESGCM(key).decrypt(enciphered[:NONCE_BYTES], enciphered[NONCE_BYTES:], about)
        except InvalidTag:
            raise ValueError(f"what the person key {key_id} enciphered was changed") from None

    def erase(self, key_id: UUID, also: Iterable[str]) -> None:
        """Overwrite the key; from now on `also` names an erased customer too. Once more changes nothing."""
        self._opened()
        indexes = {self._index(f"customer:{name}") for name in also}
        with self._transaction() as connection:
            if connection.execute(KEPT, [key_id.bytes]).fetchone() is None:
                raise KeysUnavailable(f"{self._file} has no person key {key_id}")
            connection.execute(DESTROYED, [_now(), key_id.bytes])
            connection.executemany(
                "insert or ignore into also_named (name_index, key_id) values (?, ?)",
                [(index, key_id.bytes) for index in sorted(indexes)],
            )

    # --- All of them ---

    def erased_keys(self) -> frozenset[UUID]:
        """The ids of all keys that were destroyed. Does not begin a file that there is not."""
        if not self.has_erasures():
            return frozenset()
        with self._connected() as connection:
            rows = connection.execute("select key_id from persons where erased_at is not null").fetchall()
        return frozenset(UUID(bytes=key_id) for (key_id,) in rows)

    def has_erasures(self) -> bool:
        """Whether anybody was ever erased. Does not begin a file that there is not."""
        return self._file.exists() and self.status().erased > 0

    def erased_customers(self, names: Iterable[str]) -> Iterator[str]:
        """Those of the names that name an erased customer: his number, or what else named him."""
        self._opened()
        with self._connected() as connection:
            erased = {index for (index,) in connection.execute(ERASED)}
        return (name for name in names if erased and self._index(f"customer:{name}") in erased)

    def rotate(self) -> int:
        """Make a new master key and wrap all keys by it, a few at a time; how many. A crash leaves some under
        the old one, which still unwraps: do it again.
        """
        self._opened().rotate()
        return self.rewrap()

    def rewrap(self) -> int:
        """Wrap by the newest master key what an older one wraps; how many keys."""
        master, count = self._opened(), 0
        newest = master.newest()
        with self._transaction() as connection:
            wrapped, number = connection.execute("select wrapped, master from secret").fetchone()
            if number < newest:
                fresh = master.wrap(newest, master.unwrap(number, wrapped, INDEX_ABOUT), INDEX_ABOUT)
                connection.execute("update secret set wrapped = ?, master = ?", [fresh, newest])
        while True:
            with self._transaction() as connection:
                rows = connection.execute(BEHIND, [newest, REWRAPPED_AT_ONCE]).fetchall()
                for key_id, wrapped, number in rows:
                    fresh = master.wrap(newest, master.unwrap(number, wrapped, key_id), key_id)
                    connection.execute(
                        "update persons set wrapped = ?, master = ? where key_id = ?", [fresh, newest, key_id]
                    )
            count += len(rows)
            if not rows:
                return count

    def status(self) -> KeysStatus:
        """Raise KeysUnavailable."""
        newest = self._opened().newest()
        with self._connected() as connection:
            rows = connection.execute("select master, count(*) from persons group by master").fetchall()
        counts: dict[int | None, int] = dict(rows)
        erased = counts.pop(None, 0)
        return KeysStatus({number: counts[number] for number in sorted(filter(None, counts))}, erased, newest)

    # --- Within ---

    def _key(self, key_id: UUID) -> bytes | None:
        master = self._opened()
        with self._connected() as connection:
            row = connection.execute(KEPT, [key_id.bytes]).fetchone()
        if row is None:
            raise KeysUnavailable(
                f"{self._file} has no person key {key_id}: it is of another house, or older"
            )
        wrapped, number = row
        return None if wrapped is None else master.unwrap(number, wrapped, key_id.bytes)

    def _index(self, named: str) -> bytes:
        return hmac.digest(self._index_key, named.encode(), "sha256")

    def _opened(self) -> MasterKeys:
        """The master keys, when they are those that wrapped what lies here; begun where nothing does."""
        if self._master is None:
            is_new = not self._file.exists()
            master = self._master_keys(is_new)
            if is_new:
                master.newest()
            self._begin()
            with self._transaction() as connection:
                row = connection.execute("select wrapped, master from secret").fetchone()
                if row is None:
                    number = master.newest()
                    row = master.wrap(number, token_bytes(KEY_BYTES), INDEX_ABOUT), number
                    connection.execute("insert into secret values ('index', ?, ?)", row)
            self._index_key = master.unwrap(row[1], row[0], INDEX_ABOUT)
            self._master = master
        return self._master

    def _begin(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        except OSError as error:
            raise KeysUnavailable(f"{self._file}: {error.strerror}") from error
        with self._connected() as connection:
            connection.executescript(SCHEMA)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One that writes from its beginning on: who looks and then writes sees what he looked at."""
        with self._connected() as connection:
            connection.execute("begin immediate")
            yield connection
            connection.execute("commit")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """`secure_delete` overwrites what is deleted or updated."""
        try:
            connection = sqlite3.connect(
                f"{self._file.absolute().as_uri()}?mode=rw", timeout=BUSY_S, isolation_level=None, uri=True
            )
            try:
                connection.execute("pragma secure_delete = on")
                connection.execute("pragma synchronous = full")
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise KeysUnavailable(f"{self._file}: {error}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
