"""Tables of entries: each event one row, the sums with them, folded anew without a trace."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from application.shared.records import BEGINNING, GENESIS, Write
from domain import points_ledgers as p
from infrastructure import projection_runner
from infrastructure.event_log import EventLog
from infrastructure.projection_entries import EntryTables
from infrastructure.projection_rebuild import rebuild
from infrastructure.projection_registry import BY_NAME
from infrastructure.projection_runner import Runner
from infrastructure.projection_tables import open_session
from projections.points_ledgers import POINTS_ACCOUNTS, POINTS_ENTRIES
from tests.application.posting_process import lines, posting
from tests.infrastructure.log_writing import context

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


def _life(dice: Random, customer: str) -> Iterator[p.Event]:
    """A ledger of a year: postings against each account, some of them taken back, at times its end."""
    balance = opening = dice.choice([0, 70])
    common: dict[str, Any] = {
        "programme": dice.choice("AB"), "customer": customer, "year": 2026, "opening": opening, "card": "",
        "lot": "2026", "value_date": date(2026, 3, 1), "business_type": "REWARD", "name": "春 \\ \"",
        "origin": p.Origin.GENERAL, "job": dice.choice([None, UUID(int=5)]), "by": "lin", "reason": "",
    }  # fmt: skip
    for number in range(dice.randint(1, 6)):
        contra = dice.choice([p.Account.ISSUANCE, p.Account.EXPIRY, p.Account.REDEMPTION])
        points, key = dice.randint(1, 99), f"{customer}:{number}"
        pair = [contra, p.Account.CUSTOMER][:: 1 if contra is p.Account.ISSUANCE else -1]
        for is_back in (False, True)[: 1 + (dice.random() < 0.3)]:
            debit, credit = pair[::-1] if is_back else pair
            balance += points if credit is p.Account.CUSTOMER else -points
            told = {**common, "debit": debit, "credit": credit, "points": points, "line_number": number}
            if is_back:
                back = {"entry": UUID(int=number), "reversed_key": key, "posting_key": f"{key}r"}
                yield p.PointsReversed(**told, **back, balance=balance)
            else:
                yield p.PointsPosted(**told, posting_key=key, balance=balance)
    if dice.random() < 0.2:
        yield p.PointsCarriedForward(balance, 2027)


@pytest.mark.parametrize("projection", [POINTS_ENTRIES, POINTS_ACCOUNTS])
def test_stretches_by_statement_are_what_the_function_makes_of_them(
    log: EventLog,
    session: psycopg.Connection[Any],
    cardinal_url: str,
    monkeypatch: pytest.MonkeyPatch,
    projection: Any,
) -> None:
    """PTS-12: also where the two take turns, for a statement knows postings alone."""
    dice, leaps = Random(4), list[bool]()
    for _ in range(12):
        writes = []
        for _ in range(8):
            stream = uuid4()
            writes.append(Write(stream, "points_ledger", 0, GENESIS, list(_life(dice, stream.hex))))
        log.append_bulk(
            sorted(writes, key=lambda write: write.stream_id),
            replace(context(), org_unit=dice.choice(["HO", "SH"])),
        )
    caught_up(session, log, projection.name)
    leap = Runner.leap
    monkeypatch.setattr(projection_runner, "STRETCH_EVENTS", 7)
    monkeypatch.setattr(Runner, "leap", lambda *given: leaps.append(leap(*given)) or leaps[-1])
    monkeypatch.setattr(projection_runner, "BATCH_RECORDS_MAX", 5)
    report = rebuild(cardinal_url, projection.name)
    assert report.is_equal
    assert report.tables[0].rows_rebuilt > 90
    assert {True, False} == set(leaps)
