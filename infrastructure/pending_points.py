"""Points under way in a table of PostgreSQL, written in chunks so that no transaction stays open for long."""

from collections.abc import Iterable
from itertools import islice
from typing import Any
from uuid import UUID

import psycopg
from psycopg_pool import ConnectionPool

CHUNK_LINES = 10_000

# The lines of a job never change, so whoever is killed, or comes second, writes the same ones.
KEEP = """
insert into points.under_way (job_id, line, customer, points)
select %s, * from unnest(%s::integer[], %s::text[], %s::bigint[]) on conflict do nothing
"""
# A job that was withdrawn takes no further step: what it left goes when the next one comes.
CLEAR = """
delete from points.under_way where (job_id, line) in (
    select u.job_id, u.line from read.points_jobs j join points.under_way u on u.job_id = j.id
    where j.status = 'withdrawn' and j.changed_at > now() - interval '30 days' limit %s)
"""
FORGET = """
delete from points.under_way
where (job_id, line) in (select job_id, line from points.under_way where job_id = %s limit %s)
"""


class PendingTable:
    """`PendingPoints` of one database."""

    def __init__(self, pool: ConnectionPool[psycopg.Connection[Any]]) -> None:
        self._pool = pool

    def keep(self, job_id: UUID, lines: Iterable[tuple[int, str, int]]) -> None:
        rest = iter(lines)
        with self._pool.connection() as connection:
            connection.execute(CLEAR, [CHUNK_LINES])
        while chunk := list(islice(rest, CHUNK_LINES)):
            numbers, customers, points = (list(column) for column in zip(*chunk, strict=True))
            with self._pool.connection() as connection:
                connection.execute(KEEP, [job_id, numbers, customers, points])

    def forget(self, job_id: UUID) -> None:
        gone = CHUNK_LINES
        while gone == CHUNK_LINES:
            with self._pool.connection() as connection:
                gone = connection.execute(FORGET, [job_id, CHUNK_LINES]).rowcount
