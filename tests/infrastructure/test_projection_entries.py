"""Tables of entries: each event one row, the sums with them, folded anew without a trace."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from application.shared.records import BEGINNING
from infrastructure.event_log import EventLog
from infrastructure.projection_entries import EntryTables
from infrastructure.projection_rebuild import rebuild
from infrastructure.projection_registry import BY_NAME
from infrastructure.projection_runner import Runner
from infrastructure.projection_tables import open_session
from projections.points_ledgers import POINTS_ACCOUNTS, POINTS_ENTRIES
from tests.application.posting_process import lines, posting

CONTRA = "select account, balance from read.points_contra_accounts order by 1"
ACCOUNTS = "select count(*), sum(balance), sum(earned), sum(postings) from read.points_accounts"
ENTRIES = "select * from read.points_entries order by id"


@pytest.fixture
def session(cardinal_url: str) -> Iterator[psycopg.Connection[Any]]:
    with open_session(cardinal_url, "read") as connection:
        yield connection


def caught_up(session: psycopg.Connection[Any], log: EventLog, name: str = POINTS_ENTRIES.name) -> None:
    runner = Runner(session, log, BY_NAME[name], name)
    assert runner.lead()
    while runner.step():
        pass
    runner.close()


def test_every_posting_is_one_entry_and_the_contra_account_their_sum(
    log: EventLog, session: psycopg.Connection[Any]
) -> None:
    """PTS-12: balances of both sides come to zero."""
    posting(log, uuid4()).post(lines(30, 5))
    caught_up(session, log)
    posting(log, uuid4()).post(lines(1_500, 2))
    caught_up(session, log)
    rows = session.execute("select count(*), sum(points), count(distinct ledger_id) from read.points_entries")
    assert rows.fetchone() == (1_530, 3_150, 1_500)
    assert session.execute(CONTRA).fetchall() == [("issuance", -3_150)]
    caught_up(session, log, POINTS_ACCOUNTS.name)
    found = session.execute(ACCOUNTS)
    assert found.fetchone() == (1_500, 3_150, 3_150, 1_530)


def test_a_stream_folded_anew_leaves_rows_and_sums_as_they_were(
    log: EventLog, session: psycopg.Connection[Any]
) -> None:
    """What was parked is retried; nothing may count twice."""
    posting(log, uuid4()).post(lines(3, 5))
    posting(log, uuid4()).post(lines(3, 7))
    caught_up(session, log)
    before = session.execute(ENTRIES).fetchall(), session.execute(CONTRA).fetchall()
    newest = log.follow(BEGINNING, 100)[-1]
    tables = EntryTables(POINTS_ENTRIES)
    with session.transaction():
        tables.refold(session, log, newest.stream_id, newest.position)
    assert (session.execute(ENTRIES).fetchall(), session.execute(CONTRA).fetchall()) == before
    with session.transaction():  # up to a position before its last entry
        first = next(iter(log.records(newest.stream_id)))
        tables.refold(session, log, newest.stream_id, first.position)
    assert session.execute(CONTRA).fetchall() == [("issuance", -29)]


def test_a_rebuild_gives_the_same_tables(
    log: EventLog, session: psycopg.Connection[Any], cardinal_url: str
) -> None:
    """PTS-12: the balance rebuilt from events equals the projection."""
    posting(log, uuid4()).post(lines(50, 5))
    caught_up(session, log)
    report = rebuild(cardinal_url, POINTS_ENTRIES.name)
    assert report.is_equal
    assert [table.rows_rebuilt for table in report.tables] == [50, 1]
