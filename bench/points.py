"""Points: 200,000 customers granted by postings in ledgers, against a COPY of the same bytes; and memory."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from application.points_postings import Posting
from application.shared.business_time import DEFAULT_ZONE
from application.shared.records import Context
from bench.rounds import Figure, interleaved
from domain.points_files import PointsHeader, PointsLine
from domain.points_job_terms import Cause, Columns, Terms
from domain.points_jobs import PointsJobOpened
from domain.shared.references import Reference
from infrastructure.database import pool
from infrastructure.event_log import EventLog

CUSTOMERS = 200_000
FEW = 20_000
NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
NOTHING = UUID(int=0)
EXPORTED = "copy (select * from log.events where correlation_id = '{}' order by position) to stdout"


def figures(url: str) -> Iterator[Figure]:
    yield granting(url)
    yield memory(url)


def granting(url: str) -> Figure:
    """Each round grants other customers: new ledgers, as after a campaign of new cards."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create table bench_copy (like log.events including all)")
        owner.execute("grant all on bench_copy to cardinal_app")
    copied: list[bytes] = []
    with pool(url, 3) as connections:
        log = EventLog(connections)

        def ours() -> float:
            job = uuid4()
            begun = time.perf_counter()
            assert posting(log, job).post(points_lines(CUSTOMERS, job)).posted == CUSTOMERS
            took = time.perf_counter() - begun
            copied[:] = _exported(url, job)
            return CUSTOMERS / took

        return interleaved(
            f"points granted to {CUSTOMERS:,} customers",
            ours,
            lambda: _copy(url, copied),
            rounds=3,
            target=0.30,
        )


def memory(url: str) -> Figure:
    """The peak of a process that grants 20,000, against that of one that grants ten times as many."""
    few, many = (_peak_mb(url, count) for count in (FEW, CUSTOMERS))
    name = f"memory of granting {FEW:,} against {CUSTOMERS:,}"
    return Figure(name, few, many, few / many, 0, 0, 0.80, "MB (peak)")


def posting(log: EventLog, job: UUID) -> Posting:
    cause = Cause(NOTHING, "", Reference(NOTHING, 1), "", None, Reference(NOTHING, 1), ())
    terms = Terms("Spring dining", "CAMPAIGN_REWARD", "0.002", "CNY", Columns("customer", "card", "points"))
    opened = PointsJobOpened("HO", PointsHeader("CC", date(2026, 3, 1), 1, job), cause, terms, "bench")

    def context(command_id: UUID) -> Context:
        return Context("bench", None, "HO", command_id, job, None, NOON)

    return Posting(log, job, opened, context, lambda: NOON, DEFAULT_ZONE)


def points_lines(count: int, job: UUID) -> Iterator[PointsLine]:
    prefix = job.hex[:6]
    for number in range(1, count + 1):
        yield PointsLine(number, f"C{prefix}{number:08d}", "622588********1234", 500, "CAMPAIGN_REWARD")


def _exported(url: str, job: UUID) -> list[bytes]:
    sql = EXPORTED.format(job).encode()
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(sql) as copy:
        return [b"".join(bytes(part) for part in copy)]


def _copy(url: str, text: list[bytes]) -> float:
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("truncate bench_copy")
        begun = time.perf_counter()
        with cursor.copy("copy bench_copy from stdin") as copy:
            copy.write(text[0])
        return CUSTOMERS / (time.perf_counter() - begun)


def _peak_mb(url: str, count: int) -> float:
    program = [sys.executable, "-m", "bench.points", url, str(count)]
    return float(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def main(url: str, count: str) -> None:
    """Grant in a process of its own, and tell its peak memory in MB."""
    job = uuid4()
    with pool(url, 2) as connections:
        posting(EventLog(connections), job).post(points_lines(int(count), job))
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    print(int(found[1]) / 1_000)


if __name__ == "__main__":
    main(*sys.argv[1:])
