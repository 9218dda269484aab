"""GraphQL documents that front ends registered, in PostgreSQL: written at deploy, read by the API."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from infrastructure import database

REGISTER = """
insert into documents.registered (digest, source)
select * from unnest(%s::text[], %s::text[]) on conflict do nothing
"""
WITHDRAW = "delete from documents.registered where digest = any(%s)"
LISTED = (
    "select digest, source, registered_at from documents.registered order by registered_at, digest limit %s"
)
LISTED_MAX = 10_000


class RegisteredDocument(NamedTuple):
    digest: str
    source: str
    registered_at: datetime


def register(url: str, documents: Mapping[str, str]) -> int:
    """Add documents by their sha256, all or none; how many were new."""
    with database.connect(url) as connection:
        return connection.execute(REGISTER, [list(documents), list(documents.values())]).rowcount


def withdraw(url: str, digests: Iterable[str]) -> int:
    """Take documents back; how many of them there were. APIs believe in them for up to 60 s more."""
    with database.connect(url) as connection:
        return connection.execute(WITHDRAW, [list(digests)]).rowcount


def listed(url: str) -> Sequence[RegisteredDocument]:
    """The oldest 10,000 of them."""
    with database.connect(url) as connection:
        return [RegisteredDocument(*row) for row in connection.execute(LISTED, [LISTED_MAX])]
