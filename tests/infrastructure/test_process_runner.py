"""Processes: what is owed is enqueued once with the checkpoint, and again only when it stays owed."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import dramatiq
import psycopg
import pytest

from application.processes.process import UNHEARD_MAX, Process, Step
from application.shared.records import BEGINNING, GENESIS, Context, Write
from domain.activities import DECIDER, Activity, ActivityApproved, ActivityDrafted, ActivitySubmitted, Status
from infrastructure import database
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.postgres_broker import PostgresBroker
from infrastructure.process_runner import LOOK_AFTER, Processes, ProcessRunner, Superseded
from tests.domain.examples import PLAN
from tests.infrastructure.task_recording import until

NAME = "drafts"


def next_step(activity: Activity) -> Step | None:
    """A draft is owed a look at once, what is in approval one in an hour."""
    if activity.status is Status.DRAFT:
        return Step("look")
    if activity.status is Status.IN_APPROVAL:
        return Step("look", datetime.now(UTC) + timedelta(hours=1))
    return None


PROCESS = Process(NAME, {DECIDER.stream_type: DECIDER}, next_step)


def broker_at(url: str) -> PostgresBroker:
    broker = PostgresBroker(url)

    @dramatiq.actor(actor_name="look", broker=broker)
    def look(_: str) -> None: ...

    return broker


@pytest.fixture
def broker(cardinal_url: str) -> Iterator[PostgresBroker]:
    with closing(broker_at(cardinal_url)) as broker:
        yield broker


@pytest.fixture
def session(cardinal_url: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(database.connect(cardinal_url)) as connection:
        yield connection


@pytest.fixture
def runner(log: EventLog, broker: PostgresBroker, session: psycopg.Connection[Any]) -> ProcessRunner:
    runner = ProcessRunner(session, log, broker, PROCESS)
    assert runner.lead()
    return runner


def context() -> Context:
    id_ = uuid4()
    return Context("tests", None, "HO", id_, id_, None, datetime.now(UTC))


def drafted(log: EventLog, count: int = 1) -> list[UUID]:
    streams = sorted(uuid4() for _ in range(count))
    events = [[ActivityDrafted(f"P{stream.hex[:8]}", "HO", PLAN, "operator")] for stream in streams]
    writes = [Write(s, "activity", 0, GENESIS, e) for s, e in zip(streams, events, strict=True)]
    log.append_bulk(writes, context())
    return streams


def go_on(log: EventLog, stream: UUID, *events: object) -> None:
    loaded = log.load(DECIDER, stream)
    log.append_bulk([Write(stream, "activity", loaded.version, loaded.hash, list(events))], context())


def follow(runner: ProcessRunner) -> None:
    while runner.step():
        pass


def messages(connection: psycopg.Connection[Any]) -> list[tuple[UUID, str]]:
    return connection.execute("select message_id, state from tasks.message order by arrival").fetchall()


def owed(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select stream_id, version, task, driven from process.owed order by stream_id"
    ).fetchall()


def test_a_step_is_enqueued_once_with_the_checkpoint_and_settled_when_nothing_is_owed(
    runner: ProcessRunner, log: EventLog, session: psycopg.Connection[Any]
) -> None:
    """LOG-17"""
    [stream] = drafted(log)
    follow(runner)
    assert owed(session) == [(stream, 1, "look", 1)]
    assert [state for _, state in messages(session)] == ["ready"]
    approval = uuid4()
    go_on(log, stream, ActivitySubmitted(1, approval, "0" * 64, "operator", "research"))
    follow(runner)
    assert owed(session) == [(stream, 2, "look", 1)]
    assert [state for _, state in messages(session)] == ["ready", "delayed"], "it is due in an hour"
    go_on(log, stream, ActivityApproved(1, approval))
    follow(runner)
    assert owed(session) == []


def test_following_the_log_again_enqueues_nothing_twice(
    runner: ProcessRunner, log: EventLog, session: psycopg.Connection[Any]
) -> None:
    drafted(log, 20)
    follow(runner)
    before = messages(session)
    session.execute("update process.checkpoints set epoch = 0, position = 0")
    runner.resume()
    follow(runner)
    assert len(before) == 20
    assert messages(session) == before


def test_a_batch_whose_checkpoint_another_moved_enqueues_nothing(
    runner: ProcessRunner, log: EventLog, session: psycopg.Connection[Any]
) -> None:
    drafted(log)
    session.execute("update process.checkpoints set position = 5")
    with pytest.raises(Superseded):
        runner.step()
    assert messages(session) == []
    assert owed(session) == []


def test_what_is_enqueued_goes_with_the_checkpoint_or_not_at_all(
    runner: ProcessRunner,
    broker: PostgresBroker,
    log: EventLog,
    session: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LOG-17: one transaction; cut off after the enqueue, nothing of it is there, and it is done anew."""
    drafted(log)
    enqueue = broker.enqueue

    def cut_off(*given: Any, **more: Any) -> None:
        enqueue(*given, **more)
        raise ConnectionError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(broker, "enqueue", cut_off)
        with pytest.raises(ConnectionError):
            follow(runner)
    assert (messages(session), owed(session)) == ([], [])
    follow(runner)
    assert (len(messages(session)), len(owed(session))) == (1, 1)


def test_the_watchdog_is_at_work_beside_the_runner(
    cardinal_url: str, broker: PostgresBroker, log: EventLog, session: psycopg.Connection[Any]
) -> None:
    """LOG-17: what has been owed for too long is driven again by itself."""
    [stream] = drafted(log)
    with closing(database.connect(cardinal_url)) as connection:
        before = ProcessRunner(connection, log, broker, PROCESS)
        assert before.lead()
        follow(before)
    session.execute("update process.owed set look_at = now() - interval '1 second'")
    stop = threading.Event()
    processes = threading.Thread(target=Processes(cardinal_url, broker, [PROCESS]).run, args=(stop,))
    processes.start()
    try:
        until(lambda: owed(session) == [(stream, 1, "look", 2)])
        assert len(messages(session)) == 2
    finally:
        stop.set()
        processes.join()


def test_only_one_session_leads(
    runner: ProcessRunner, log: EventLog, broker: PostgresBroker, cardinal_url: str
) -> None:
    assert runner.position == BEGINNING
    with closing(database.connect(cardinal_url)) as other:
        assert not ProcessRunner(other, log, broker, PROCESS).lead()


def test_what_stays_owed_is_driven_again_under_another_id_and_ever_more_seldom(
    runner: ProcessRunner, log: EventLog, session: psycopg.Connection[Any]
) -> None:
    """LOG-17"""
    [stream] = drafted(log)
    follow(runner)
    now = datetime.now(UTC)
    assert runner.watch(now) == 0, "it was enqueued a moment ago"
    assert runner.watch(now + 2 * LOOK_AFTER) == 1
    assert runner.watch(now + 2 * LOOK_AFTER) == 0
    assert owed(session) == [(stream, 1, "look", 2)]
    assert len({id_ for id_, _ in messages(session)}) == 2
    assert runner.watch(now + 5 * LOOK_AFTER) == 1
    assert owed(session) == [(stream, 1, "look", 3)]


def test_what_is_begun_is_driven_again_only_when_nothing_was_heard_of_it_for_long(
    log: EventLog, broker: PostgresBroker, session: psycopg.Connection[Any]
) -> None:
    """LOG-17, NFR-08: a task that died with its worker and with the broker's queue is lost to nobody else."""
    [stream] = drafted(log)
    runner = ProcessRunner(
        session, log, broker, Process(NAME, PROCESS.deciders, lambda _: Step("look", is_begun=True))
    )
    assert runner.lead()
    follow(runner)
    now = datetime.now(UTC)
    assert owed(session) == [(stream, 1, "look", 1)]
    assert runner.watch(now + UNHEARD_MAX - LOOK_AFTER) == 0
    assert messages(session) == [], "its worker is at it"
    assert runner.watch(now + UNHEARD_MAX + LOOK_AFTER) == 1
    assert len(messages(session)) == 1
    go_on(log, stream, ActivitySubmitted(1, uuid4(), "0" * 64, "operator", "research"))
    follow(runner)
    assert owed(session) == [(stream, 2, "look", 1)], "it was heard of"
    assert len(messages(session)) == 1


def test_a_stream_that_can_not_be_read_holds_up_no_other_and_is_looked_at_again(
    log: EventLog, broker: PostgresBroker, session: psycopg.Connection[Any]
) -> None:
    """LOG-17"""
    bad, good = drafted(log, 2)
    is_readable = False

    def unreadable(activity: Activity) -> Step | None:
        if not is_readable and activity.code == f"P{bad.hex[:8]}":
            raise ValueError("an event of another release")
        return next_step(activity)

    process = Process(NAME, PROCESS.deciders, unreadable)
    runner = ProcessRunner(session, log, broker, process)
    assert runner.lead()
    follow(runner)
    assert [row[0] for row in owed(session)] == [bad, good]
    assert len(messages(session)) == 1
    now = datetime.now(UTC)
    runner.watch(now + 2 * LOOK_AFTER)
    before = len(messages(session))
    is_readable = True
    runner.watch(now + 4 * LOOK_AFTER)
    assert len(messages(session)) > before
    assert (bad, 1, "", 2) in owed(session), (
        "it was driven once more than the first time, which drove nothing"
    )


def _run_for_ever(url: str) -> None:
    with closing(broker_at(url)) as broker, pool(url, 2) as connections:
        log = EventLog(connections)
        with closing(database.connect(url)) as connection:
            runner = ProcessRunner(connection, log, broker, PROCESS)
            while True:
                if runner.lead():
                    break
                time.sleep(0.005)
            while True:
                runner.step()


def test_runners_that_are_killed_lose_no_step_and_enqueue_none_twice(
    log: EventLog, session: psycopg.Connection[Any], cardinal_url: str
) -> None:
    """LOG-17"""
    context_ = multiprocessing.get_context("spawn")
    streams: list[UUID] = []
    dice = random.Random(7)
    for _ in range(6):
        children = [context_.Process(target=_run_for_ever, args=(cardinal_url,)) for _ in range(2)]
        for child in children:
            child.start()
        streams += drafted(log, 150)
        time.sleep(dice.uniform(0.6, 1.4))
        streams += drafted(log, 150)
        for child in children:
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            child.join()
    with closing(broker_at(cardinal_url)) as broker:
        last = ProcessRunner(session, log, broker, PROCESS)
        while not last.lead():
            time.sleep(0.05)
        follow(last)
    assert {row[0] for row in owed(session)} == set(streams)
    assert len(messages(session)) == len(streams)


def test_what_is_due_in_years_is_enqueued_a_day_before(
    log: EventLog, broker: PostgresBroker, session: psycopg.Connection[Any]
) -> None:
    """LOG-08: no broker keeps a task that long, and one such order must not hold up all others."""
    due_at = datetime.now(UTC) + timedelta(days=1_000)
    process = Process("years", {DECIDER.stream_type: DECIDER}, lambda _: Step("look", due_at))
    runner = ProcessRunner(session, log, broker, process)
    assert runner.lead()
    drafted(log)
    follow(runner)
    assert messages(session) == []
    assert runner.watch(due_at - timedelta(days=2)) == 0
    session.execute("update process.owed set look_at = now()")  # that day has come
    near = Process("years", process.deciders, lambda _: Step("look", datetime.now(UTC) + timedelta(hours=23)))
    runner = ProcessRunner(session, log, broker, near)
    assert runner.watch(datetime.now(UTC)) == 1
    assert [state for _, state in messages(session)] == ["delayed"]
