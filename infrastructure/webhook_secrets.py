"""The secrets that webhooks are signed with: enciphered in a table, under a key that is a file."""

import base64
import os
import secrets
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg_pool import ConnectionPool

from application.shared.webhooks import Delivery

PREFIX = "whsec_"
SECRET_BYTES = 32
KEY_BYTES = 32
NONCE_BYTES = 12

KEEP = b"insert into webhook.secrets (id, enciphered) values (%s, %s)"
KEPT = b"select id, enciphered from webhook.secrets where id = any(%s)"
DELIVERY = b"select endpoint_id, event_id from webhook.deliveries where id = %s"


class SecretsUnavailable(Exception):
    """The key is not there or not one, or a secret was enciphered under another."""


class WebhookSecrets:
    """The desk for commands, and the secrets for who signs. Safe to share between threads."""

    def __init__(
        self, pool: ConnectionPool[psycopg.Connection[Any]], key_file: Path, *, may_be_near: bool = False
    ) -> None:
        self._pool, self._key_file, self.may_be_near = pool, key_file, may_be_near

    def new_secret(self, secret: UUID) -> str:
        text = PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        nonce = os.urandom(NONCE_BYTES)
        enciphered = nonce + AESGCM(self._key()).encrypt(nonce, text.encode(), secret.bytes)
        with self._pool.connection() as connection:
            connection.execute(KEEP, [secret, enciphered])
        return text

    def secrets(self, ids: tuple[UUID, ...]) -> list[str]:
        """Those of the ids that there are, the newest first. Raise SecretsUnavailable."""
        with self._pool.connection() as connection:
            kept = dict(connection.execute(KEPT, [list(ids)]).fetchall())
        return [self._deciphered(id_, bytes(kept[id_])) for id_ in reversed(ids) if id_ in kept]

    def delivery(self, delivery: UUID) -> Delivery | None:
        with self._pool.connection() as connection:
            row = connection.execute(DELIVERY, [delivery]).fetchone()
        return None if row is None else Delivery(*row)

    def _deciphered(self, secret: UUID, enciphered: bytes) -> str:
        nonce, text = enciphered[:NONCE_BYTES], enciphered[NONCE_BYTES:]
        try:
            return AESGCM(self._key()).decrypt(nonce, text, secret.bytes).decode()
        except InvalidTag:
            raise SecretsUnavailable(f"{self._key_file} is not the key of the secret {secret}") from None

    def _key(self) -> bytes:
        """The key in the file, made when there is none: one of two that make it wins, and both use that."""
        try:
            text = self._key_file.read_bytes()
        except FileNotFoundError:
            _make(self._key_file)
            text = self._key_file.read_bytes()
        try:
            key = base64.b64decode(text, validate=False)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise SecretsUnavailable(f"{self._key_file} must hold {KEY_BYTES} bytes in base64")
        return key


def _make(key_file: Path) -> None:
    """Whole or not at all: written aside, then linked to its name unless that is taken."""
    key_file.parent.mkdir(parents=True, exist_ok=True)
    aside = key_file.with_name(f"{key_file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, key_file)
        except FileExistsError:
            return
    finally:
        aside.unlink()
