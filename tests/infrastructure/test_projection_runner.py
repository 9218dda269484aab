"""The runner: every event taken in exactly once, whoever is killed, stopped or cut off, by one leader."""

import os
import random
import signal
import threading
import time

import psycopg
import pytest

from application.shared.records import Position
from infrastructure import projection_runner
from infrastructure.event_log import EventLog
from infrastructure.projection_runner import Projector, Runner, Superseded
from infrastructure.projection_tables import open_session
from projections.activities import ACTIVITIES
from projections.catalogues import ACTIVITY_TYPES
from projections.registry import NAMES
from tests.application.bank import Bank
from tests.infrastructure.projection_histories import (
    ACTIVITY_TABLES,
    all_records,
    assert_as_folded,
    catch_up,
    life,
    rows_of,
)
from tests.infrastructure.projection_processes import (
    all_reached,
    end,
    leaders,
    positions,
    project,
    projector,
    start,
    until,
)


def settled(url: str, log: EventLog) -> None:
    """Wait until everything that has happened is taken in."""
    last = all_records(log)[-1].position
    until(lambda: all_reached(url, last), "all is taken in")


def until_moved(url: str, before: dict[str, Position]) -> None:
    until(lambda: positions(url) != before, "the projector is at work")


def test_events_are_taken_in_exactly_once_whenever_the_projector_is_killed(
    cardinal_url: str, log: EventLog
) -> None:
    """ES-05. Twenty times kill -9 at random, in small batches, while commands go on."""
    drawn, going_on = random.Random(20), threading.Event()
    lived = life(log, 150, seed=20)

    def live() -> None:
        while not going_on.is_set():
            lived.goes_on(5)

    writer = threading.Thread(target=live)
    writer.start()
    try:
        for turn in range(20):
            before = positions(cardinal_url)
            process = start(project, cardinal_url, drawn.choice([1, 2, 5, 20]))
            if turn % 4:
                until_moved(cardinal_url, before)
            time.sleep(drawn.uniform(0, 0.15))
            process.kill()
            process.join(30)
            assert process.exitcode == -signal.SIGKILL
    finally:
        going_on.set()
        writer.join(60)
    with projector(cardinal_url):
        settled(cardinal_url, log)
    assert_as_folded(cardinal_url, all_records(log))


def test_one_process_leads_and_the_next_takes_over_when_it_is_killed(
    cardinal_url: str, log: EventLog
) -> None:
    first = start(project, cardinal_url, 1_000)
    until(lambda: leaders(cardinal_url) == len(NAMES), "the first leads")
    second = start(project, cardinal_url, 1_000)
    life(log, 20, seed=2)
    settled(cardinal_url, log)
    assert leaders(cardinal_url) == len(NAMES)
    first.kill()
    life(log, 20, seed=3)
    settled(cardinal_url, log)
    end(second)
    assert leaders(cardinal_url) == 0
    assert_as_folded(cardinal_url, all_records(log))


def test_a_leader_that_was_cut_off_while_it_slept_writes_nothing_when_it_wakes(
    cardinal_url: str, log: EventLog
) -> None:
    """It sleeps with a batch in hand; its sessions end; another takes its place and goes on."""
    life(log, 60, seed=4)
    first = start(project, cardinal_url, 1)
    until(lambda: len(positions(cardinal_url)) == len(NAMES), "the first leads")
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    with psycopg.connect(cardinal_url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
            " and database = (select oid from pg_database where datname = current_database())"
        )
    second = start(project, cardinal_url, 1_000)
    life(log, 20, seed=5)
    settled(cardinal_url, log)
    os.kill(first.pid, signal.SIGCONT)
    life(log, 20, seed=6)
    settled(cardinal_url, log)
    end(second)
    life(log, 20, seed=7)
    settled(cardinal_url, log)
    end(first)
    assert_as_folded(cardinal_url, all_records(log))


def test_a_batch_begun_before_somebody_else_moved_the_projection_is_not_written(
    cardinal_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock aside: the checkpoint alone keeps two writers from doubling anything, and no batch is lost."""
    monkeypatch.setattr(projection_runner, "BATCH_RECORDS_MAX", 4)
    life(log, 60, seed=8)
    last = all_records(log)[-1].position
    with open_session(cardinal_url, "read") as connection:
        runner = Runner(connection, log, ACTIVITY_TABLES, "activities")
        assert runner.lead()
        while runner.position < last:
            before = positions(cardinal_url)["activities"], rows_of(cardinal_url, ACTIVITIES)
            with psycopg.connect(cardinal_url) as other:
                other.execute("update projection.checkpoints set generation = generation + 1")
            with pytest.raises(Superseded):
                runner.step()
            assert (positions(cardinal_url)["activities"], rows_of(cardinal_url, ACTIVITIES)) == before
            runner.resume()
            assert runner.step()
        runner.close()
    catch_up(cardinal_url, log)
    assert_as_folded(cardinal_url, all_records(log))


def test_what_commits_late_below_what_was_seen_is_not_passed_over(cardinal_url: str, log: EventLog) -> None:
    """A writing transaction that is open holds the projector below it until it ends."""
    bank = Bank(log)
    with projector(cardinal_url), psycopg.connect(cardinal_url) as open_writer:
        open_writer.execute("select pg_current_xact_id()")
        bank.add_type("Above the horizon")
        until(lambda: leaders(cardinal_url) == len(NAMES), "the projector leads")
        time.sleep(0.3)
        assert not positions(cardinal_url)["activity_types"].offset
        open_writer.rollback()
        settled(cardinal_url, log)
        assert rows_of(cardinal_url, ACTIVITY_TYPES)


def test_a_notice_of_an_append_wakes_the_projector(
    cardinal_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look by itself only long after the test is over."""
    monkeypatch.setattr(projection_runner, "PAUSE_MIN_S", 200.0)
    monkeypatch.setattr(projection_runner, "PAUSE_MAX_S", 200.0)
    stop = threading.Event()
    thread = threading.Thread(target=Projector(cardinal_url).run, args=(stop,))
    with psycopg.connect(cardinal_url, autocommit=True) as connection:
        thread.start()
        until(lambda: leaders(cardinal_url) == len(NAMES), "the projector leads")
        Bank(log).add_type("New")
        last = all_records(log)[-1].position

        def is_there() -> bool:
            connection.execute("notify cardinal_appended")
            return all_reached(cardinal_url, last)

        until(is_there, "all is taken in")
        stop.set()
        connection.execute("notify cardinal_appended")
        thread.join(30)
    assert not thread.is_alive()


def test_readers_are_told_of_each_batch(cardinal_url: str, log: EventLog) -> None:
    with psycopg.connect(cardinal_url, autocommit=True) as listener:
        listener.execute("listen cardinal_projected")
        Bank(log).add_type("New")
        catch_up(cardinal_url, log)
        told = {notice.payload for notice in listener.notifies(timeout=10, stop_after=len(NAMES))}
    assert told == set(NAMES)


def test_a_projector_outlives_the_loss_of_its_connections(cardinal_url: str, log: EventLog) -> None:
    with projector(cardinal_url):
        life(log, 20, seed=9)
        settled(cardinal_url, log)
        with psycopg.connect(cardinal_url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
                " and database = (select oid from pg_database where datname = current_database())"
            )
        life(log, 20, seed=10)
        settled(cardinal_url, log)
    assert_as_folded(cardinal_url, all_records(log))
