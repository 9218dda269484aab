"""Public keys of partners who send us signed messages, and the nonces of messages that were taken."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from psycopg_pool import ConnectionPool

from infrastructure.token_keys import RSA_BITS

KEY_BYTES_MAX = 16 * 1024
KEPT = "1 hour"
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

logger = structlog.get_logger("cardinal.partners")


@dataclass(frozen=True, slots=True)
class PartnerKeys:
    """`<key id>.pem` in a folder, read for each message: what is added or taken away counts at once."""

    folder: Path

    def find(self, key_id: str) -> RSAPublicKey | None:
        """None for whom there is no RSA key of 2048 to 8192 bits."""
        if not _KEY_ID.fullmatch(key_id):
            return None
        path = self.folder / f"{key_id}.pem"
        try:
            with path.open("rb") as file:
                key = load_pem_public_key(file.read(KEY_BYTES_MAX))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            logger.warning("a partner's key can't be used", key_id=key_id, reason=str(error))
            return None
        return key if isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS else None


@dataclass(frozen=True, slots=True)
class PartnerNonces:
    """One table for all processes, so that no message is taken twice by any two of them."""

    pool: ConnectionPool[psycopg.Connection[Any]]

    def take(self, key_id: str, nonce: str) -> bool:
        """Whether it comes for the first time; what is older than any message may be is forgotten."""
        with self.pool.connection() as connection:
            connection.execute(
                f"delete from access.partner_nonces where seen_at < now() - interval '{KEPT}'".encode()
            )
            taken = connection.execute(
                "insert into access.partner_nonces (key_id, nonce) values (%s, %s) on conflict do nothing",
                [key_id, nonce],
            )
            return taken.rowcount == 1
