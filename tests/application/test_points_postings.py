"""Bulk posting: each accepted line stands in its ledger once, whoever is killed and whoever comes between."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from application import points_ledgers, points_postings
from application.points_ledgers import Adjustment
from application.points_postings import entry_id
from domain.points_files import PointsLine
from domain.points_job_terms import RefusedLine
from domain.points_ledgers import (
    DECIDER,
    Holder,
    LedgerRefusal,
    PointsCarriedForward,
    PointsPosted,
    Status,
    ledger_id,
)
from infrastructure.event_log import EventLog
from infrastructure.log_verification import verify
from tests.application.bank import LIN, Bank, at_once
from tests.application.points_world import PointsWorld, rows
from tests.application.posting_process import NOON, lines, posting
from tests.given import refused
from tests.repeats import repeats

ROOT = Path(__file__).parents[2]
CUSTOMERS, CHUNK, KILLS = 400, 25, repeats(20)


def balance(log: EventLog, customer: str, year: int = 2026) -> int:
    return log.load(DECIDER, ledger_id(Holder("CC", customer), year)).state.balance


def test_a_line_is_posted_with_job_and_number_under_an_id_that_follows_from_both(log: EventLog) -> None:
    """PTS-06, PTS-12"""
    job = uuid4()
    found = posting(log, job).post(lines(3, 70))
    assert (found.posted, found.points, found.refused) == (3, 210, 0)
    [record] = log.records(ledger_id(Holder("CC", "C00000002"), 2026))
    assert record.event_id == entry_id(job, 2)
    assert (record.event.job, record.event.line_number, record.event.balance) == (job, 2, 70)


def test_what_was_posted_is_found_posted_in_whatever_chunks(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PTS-10: the same answer, and nothing twice."""
    job, given = uuid4(), lines(50, 10)
    first = posting(log, job).post(given[:30])
    assert first.posted == 30
    monkeypatch.setattr(points_postings, "CHUNK_LINES", 7)
    again = posting(log, job).post(given)
    assert (again.posted, again.points) == (50, 500)
    assert [balance(log, line.customer) for line in given] == [10] * 50


def test_several_lines_of_one_customer_stand_in_their_order(log: EventLog) -> None:
    job = uuid4()
    given = [PointsLine(number, "C1", "", number, "REWARD") for number in range(1, 11)]
    assert posting(log, job).post(given).points == 55
    records = list(log.records(ledger_id(Holder("CC", "C1"), 2026)))
    assert [record.event.balance for record in records] == [1, 3, 6, 10, 15, 21, 28, 36, 45, 55]


def test_lines_of_one_customer_stand_in_their_order_across_chunks_that_are_stored_at_once(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points_postings, "CHUNK_LINES", 1)
    given = [PointsLine(number, f"C{number % 2}", "", 1, "REWARD") for number in range(1, 61)]
    begun: list[int] = []

    def clock() -> datetime:
        begun.append(1)
        return NOON

    assert replace(posting(log, uuid4()), clock=clock).post(given).posted == 60
    assert len(begun) == 60, "none came in another's way"
    for customer in range(2):
        records = list(log.records(ledger_id(Holder("CC", f"C{customer}"), 2026)))
        assert [record.event.line_number for record in records] == [
            line.number for line in given if line.customer == f"C{customer}"
        ]
        assert records[-1].event.balance == 30


def test_what_a_ledger_can_not_take_is_refused_by_line_and_the_others_are_posted(bank: Bank) -> None:
    """PTS-12: no overdraw, nothing to a closed ledger."""
    posting(bank.log, uuid4()).post(lines(3, 100))
    closed = ledger_id(Holder("CC", "C00000002"), 2026)
    bank.send(LIN, "closePointsAccount", {}, points_ledgers.close, closed, "left")
    asked = {1: -101, 2: 5, 3: -100, 4: -1}
    given = [PointsLine(n, f"C{n:08d}", "", points, "X") for n, points in asked.items()]
    found = posting(bank.log, uuid4()).post(given)
    assert (found.posted, found.points, found.refused) == (1, -100, 3)
    assert found.refused_lines == [
        RefusedLine(1, LedgerRefusal.OVERDRAWN),
        RefusedLine(2, LedgerRefusal.LEDGER_CLOSED),
        RefusedLine(4, LedgerRefusal.OVERDRAWN),
    ]
    assert [balance(bank.log, f"C{n:08d}") for n in (1, 2, 3, 4)] == [100, 100, 0, 0]


# --- The year's end -------------------------------------------------------


def test_the_first_posting_of_a_year_carries_the_balance_of_the_one_before(bank: Bank) -> None:
    """PTS-12: by job and by hand alike, in the same append; the old year takes nothing any more."""
    log = bank.log
    posting(log, uuid4()).post(lines(2, 100))
    june = datetime(2027, 6, 1, tzinfo=UTC)
    posting(log, uuid4(), june).post(lines(1, 5))
    bank.now = june
    given = Adjustment("CC", "C00000002", 7, "GOODWILL", "Apology", "a late letter")
    bank.send(LIN, "adjustPoints", {}, points_ledgers.adjust, given)
    for customer, points in (("C00000001", 5), ("C00000002", 7)):
        old, new = (list(log.records(ledger_id(Holder("CC", customer), year))) for year in (2026, 2027))
        assert old[-1].event == PointsCarriedForward(100, 2027)
        [first] = new
        assert (first.event.opening, first.event.balance) == (100, 100 + points)
        assert old[-1].context.command_id == first.context.command_id
    assert list(log.records(ledger_id(Holder("CC", "C00000003"), 2026))) == []


def test_a_balance_is_carried_over_a_year_without_postings(log: EventLog) -> None:
    posting(log, uuid4()).post(lines(1, 100))
    posting(log, uuid4(), datetime(2029, 6, 1, tzinfo=UTC)).post(lines(1, 5))
    assert balance(log, "C00000001", 2029) == 105


def test_in_a_years_first_days_the_empty_year_before_is_sealed(log: EventLog) -> None:
    """Else who began before midnight could open it after its successor, and its points would be lost."""
    posting(log, uuid4(), datetime(2027, 1, 2, tzinfo=UTC)).post(lines(1, 5))
    sealed = log.load(DECIDER, ledger_id(Holder("CC", "C00000001"), 2026))
    assert (sealed.version, sealed.state.status) == (1, Status.CARRIED)
    assert balance(log, "C00000001", 2027) == 5


def test_a_posting_that_meets_the_years_end_is_made_in_the_new_year(log: EventLog) -> None:
    """It was decided before midnight; meanwhile another carried the balance over."""
    posting(log, uuid4()).post(lines(1, 100))
    new_year = datetime(2027, 1, 1, 1, tzinfo=UTC)
    posting(log, uuid4(), new_year).post(lines(1, 5))
    moments = iter([NOON, new_year, new_year])
    job = uuid4()
    late = posting(log, job)
    late = replace(late, clock=lambda: next(moments))
    assert late.post(lines(1, 3)).posted == 1
    assert balance(log, "C00000001", 2027) == 108


def test_a_job_that_was_cut_off_by_the_years_end_posts_no_line_in_both_years(log: EventLog) -> None:
    """PTS-10"""
    job = uuid4()
    posting(log, job).post(lines(3, 100)[:2])
    found = posting(log, job, datetime(2027, 2, 1, tzinfo=UTC)).post(lines(3, 100))
    assert (found.posted, found.points) == (3, 300)
    assert [balance(log, f"C{n:08d}", 2027) for n in (1, 2, 3)] == [0, 0, 100]


# --- Reversals ------------------------------------------------------------


def test_an_entry_is_reversed_once_in_its_year_or_in_a_later_one(bank: Bank, tmp_path: Path) -> None:
    """PTS-12"""
    job = PointsWorld(bank, tmp_path).settled(rows(2, 500))
    one, two = (ledger_id(Holder("CC", f"C{n:08d}"), 2026) for n in (1, 2))
    reverse = points_ledgers.reverse
    bank.send(LIN, "reversePointsEntry", {}, reverse, one, entry_id(job, 1), "wrong customer")
    assert balance(bank.log, "C00000001") == 0
    with refused((LedgerRefusal.ALREADY_REVERSED, "id")):
        bank.send(LIN, "reversePointsEntry", {}, reverse, one, entry_id(job, 1), "again")
    bank.now += timedelta(days=400)
    bank.send(LIN, "reversePointsEntry", {}, reverse, two, entry_id(job, 2), "wrong customer")
    assert (balance(bank.log, "C00000002"), balance(bank.log, "C00000002", 2027)) == (500, 0)
    with refused((LedgerRefusal.ALREADY_REVERSED, "id")):
        bank.send(LIN, "reversePointsEntry", {}, reverse, two, entry_id(job, 2), "again")
    bank.now += timedelta(days=400)
    with refused((LedgerRefusal.ALREADY_REVERSED, "id")):
        bank.send(LIN, "reversePointsEntry", {}, reverse, two, entry_id(job, 2), "again")
    with refused((LedgerRefusal.NO_SUCH_ENTRY, "id")):
        bank.send(LIN, "reversePointsEntry", {}, reverse, two, uuid4(), "never was")


def test_an_entry_reversed_by_many_at_once_is_reversed_once_and_paid_back_once(
    bank: Bank, tmp_path: Path
) -> None:
    """PTS-12, BUD-04"""
    world = PointsWorld(bank, tmp_path)
    job = world.settled(rows(1, 500))
    ledger = ledger_id(Holder("CC", "C00000001"), 2026)
    call = lambda: bank.send(  # noqa: E731
        LIN, "reversePointsEntry", {}, points_ledgers.reverse, ledger, entry_id(job, 1), "wrong"
    )
    at_once([call] * 8)
    assert [record.version for record in bank.log.records(ledger)] == [1, 2]
    assert (world.budget_of(job).amounts.consumed, world.job(job).recall.reversed_points) == (0, 500)


# --- Killed, and met by others --------------------------------------------


def test_two_jobs_to_the_same_customers_at_once_both_post_everything(log: EventLog, module_url: str) -> None:
    """PTS-10"""
    jobs = [uuid4() for _ in range(4)]
    found = at_once([lambda job=job: posting(log, job).post(lines(200, 3)) for job in jobs])
    assert [each.posted for each in found] == [200] * 4  # type: ignore[union-attr]
    assert {balance(log, line.customer) for line in lines(200, 3)} == {12}
    assert verify(module_url).faults == []


class Poster(subprocess.Popen[str]):
    """The posting of one job in a process of its own, past its imports."""

    def __init__(self, url: str, job: UUID, points: int) -> None:
        arguments = [url, str(job), str(CUSTOMERS), str(points), str(CHUNK)]
        program = [sys.executable, "-m", "tests.application.posting_process", *arguments]
        super().__init__(program, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.stdout is not None
        assert self.stdout.readline() == "begins\n"


def test_a_posting_that_is_killed_again_and_again_posts_each_line_once(
    log: EventLog, module_url: str
) -> None:
    """PTS-07, PTS-10: kill -9 at twenty random points, while a second job posts to the same customers."""
    job, second, chance = uuid4(), uuid4(), random.Random(11)
    stop, between = threading.Event(), Counter[str]()

    def others() -> None:
        """Small postings of the second job, all the while; the last one is the whole of it."""
        given = lines(CUSTOMERS, 2)
        while not stop.is_set():
            start = chance.randrange(CUSTOMERS)
            between["lines"] += posting(log, second).post(given[start : start + 5]).posted
            time.sleep(0.002)
        posting(log, second).post(given)

    meanwhile = threading.Thread(target=others)
    meanwhile.start()
    killed = partly = 0
    try:
        while killed < KILLS:
            poster = Poster(module_url, job, 7)
            try:
                poster.wait(chance.uniform(0, 0.08))
            except subprocess.TimeoutExpired:
                poster.send_signal(signal.SIGKILL)
                killed += poster.wait() == -signal.SIGKILL
                partly += 0 < _standing(log, job) < CUSTOMERS
            else:
                job = _next_round(log, job)
        last = Poster(module_url, job, 7)
        assert last.stdout is not None
        assert last.stdout.readline() == f"posted {CUSTOMERS} {CUSTOMERS * 7} 0\n"
        last.wait()
    finally:
        stop.set()
        meanwhile.join()
    assert between["lines"] > 0
    assert partly > 0, "no knife fell in the middle"
    _each_line_stands_once(log, job, 7)
    _each_line_stands_once(log, second, 2)
    assert verify(module_url).faults == []


def _standing(log: EventLog, job: UUID) -> int:
    ids = [ledger_id(Holder("CC", line.customer), 2026) for line in lines(CUSTOMERS, 1)]
    return len(log.recorded(ids, [entry_id(job, number) for number in range(1, CUSTOMERS + 1)]))


def _next_round(log: EventLog, job: UUID) -> UUID:
    """The job came to its end before the knife; it is looked at, and another one begins."""
    _each_line_stands_once(log, job, 7)
    return uuid4()


def _each_line_stands_once(log: EventLog, job: UUID, points: int) -> None:
    for line in lines(CUSTOMERS, points):
        total, mine = 0, []
        for record in log.records(ledger_id(Holder("CC", line.customer), 2026)):
            assert isinstance(record.event, PointsPosted)
            total += record.event.points
            assert record.event.balance == total
            mine += [record.event.line_number] if record.event.job == job else []
        assert mine == [line.number]
