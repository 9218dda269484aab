"""A process that posts one job's lines, to be killed: python -m … URL JOB PROGRAMME LINES POINTS CHUNK."""

import sys
from datetime import UTC, date, datetime
from uuid import UUID

from application import points_postings
from application.points_postings import Posting
from application.shared.business_time import DEFAULT_ZONE
from application.shared.records import Context
from domain.points_files import PointsHeader, PointsLine
from domain.points_job_terms import Cause, Columns, Terms
from domain.points_jobs import PointsJobOpened
from domain.shared.references import Reference
from infrastructure.database import pool
from infrastructure.event_log import EventLog

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
NOTHING = UUID(int=0)


def opened(job: UUID, programme: str = "CC") -> PointsJobOpened:
    """What of a job's opening a posting looks at."""
    cause = Cause(NOTHING, "", Reference(NOTHING, 1), "", None, Reference(NOTHING, 1), ())
    terms = Terms("Spring", "REWARD", "0.01", "CNY", Columns("customer", "card", "points"))
    return PointsJobOpened("HO", PointsHeader(programme, date(2026, 3, 1), 1, job), cause, terms, "lin")


def posting(log: EventLog, job: UUID, now: datetime = NOON) -> Posting:
    """The posting of a job, as a step makes it."""

    def context(command_id: UUID) -> Context:
        return Context("poster", None, "HO", command_id, job, None, now)

    return Posting(log, job, opened(job), context, lambda: now, DEFAULT_ZONE)


def lines(count: int, points: int) -> list[PointsLine]:
    """So many lines to as many customers."""
    return [PointsLine(n, f"C{n:08d}", "", points, "REWARD") for n in range(1, count + 1)]


def main(url: str, job: str, count: str, points: str, chunk: str) -> None:
    points_postings.CHUNK_LINES = int(chunk)
    with pool(url, 2) as connections:
        print("begins", flush=True)
        found = posting(EventLog(connections), UUID(job)).post(lines(int(count), int(points)))
        print(f"posted {found.posted} {found.points} {found.refused}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
