"""Projections: by handler, against only reading the log; by statement; and how long an event waits."""

import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from application import catalogues
from application.shared.handler import Handler, Request
from application.shared.records import BEGINNING, GENESIS, Context, Position, Write
from bench.graphql import served
from bench.log import cost_types, principal
from bench.points import points_lines, posting
from bench.rounds import Figure, interleaved
from domain.activities import (
    ActivityApproved,
    ActivityDrafted,
    ActivityLaunched,
    ActivityRevised,
    ActivitySubmitted,
)
from domain.activity_plans import Channel, CostLine, Plan
from domain.catalogues import Kind
from domain.shared.money import Money
from domain.shared.period import Period
from domain.shared.references import Reference
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.log_recorder import NEWEST
from infrastructure.projection_registry import ALL, BY_NAME
from infrastructure.projection_runner import STRETCH_EVENTS, Projector, Runner
from infrastructure.projection_tables import open_session

ACTIVITIES = 20_000
LIFE = 5
EVENTS = ACTIVITIES * LIFE
NAME = "activities"
HANDLER_PER_S = 20_000.0
STATEMENT_PER_S = 60_000.0
POSTINGS = 200_000
COMMANDS_PER_S = 200
COMMANDS = 3_000
CALLERS = 8
WAIT_MS = 250.0
LOOK_EVERY_S = 0.004
TURNS = (("disableCostType", catalogues.disable), ("enableCostType", catalogues.enable))
BEFORE_POSTINGS = """
select epoch, position from log.events
where (epoch, position) < (select epoch, position from log.events where stream_type = 'points_ledger'
    order by epoch, position limit 1)
order by epoch desc, position desc limit 1"""
START_AT = "insert into projection.checkpoints (name, epoch, position) values (%s, %s, %s)"
LOWEST = "select epoch, position from projection.checkpoints order by epoch, position limit 1"


def figures(url: str) -> Iterator[Figure]:
    with pool(url, CALLERS) as connections:
        log = EventLog(connections)
        log.append_bulk(_writes(), _context())
        figure = interleaved(
            f"lives of activities projected by handler, {EVENTS:,} events",
            lambda: _project(url),
            lambda: _read(log),
            rounds=3,
            target=0.15,
        )
        yield figure
        yield _against("– the same, as a rate", figure.ours, HANDLER_PER_S, "per s")
        job = uuid4()
        assert posting(log, job).post(points_lines(POSTINGS, job)).posted == POSTINGS
        for name in ("points_entries", "points_accounts"):
            rates = sorted(_leap(url, log, name) for _ in range(3))
            yield _against(f"{name} by statement, {POSTINGS:,} postings", rates[1], STATEMENT_PER_S, "per s")
        waits = _waits(url, log)
        p99 = statistics.quantiles(waits, n=100)[98]
        name = f"p99 until all projections have an event, {COMMANDS_PER_S} commands per s"
        yield Figure(name, p99, WAIT_MS, WAIT_MS / p99, 0, 0, 1.0, "ms")


def _against(name: str, rate: float, limit: float, unit: str) -> Figure:
    return Figure(name, rate, limit, rate / limit, rate / limit, rate / limit, 1.0, unit)


def _leap(url: str, log: EventLog, name: str) -> float:
    """From the first posting to the last whole stretch, as a rebuild folds them."""
    with open_session(url, "read") as session:
        for table in BY_NAME[name].names:
            session.execute(f"truncate {table}".encode())
        session.execute("delete from projection.checkpoints where name = %s", [name])
        first = session.execute(BEFORE_POSTINGS.encode()).fetchone()
        newest = _newest(session)
        assert first is not None
        session.execute(START_AT.encode(), [name, *first])
        runner = Runner(session, log, BY_NAME[name], name)
        assert runner.lead()
        begun, stretches = time.perf_counter(), 0
        while runner.leap(newest):
            stretches += 1
        took = time.perf_counter() - begun
        runner.close()
    return stretches * STRETCH_EVENTS / took


def _waits(url: str, log: EventLog) -> list[float]:
    """Milliseconds from each command's answer until every projection stands at its event or beyond.

    Commands come by the clock, whether earlier ones are answered or not; the projector is a process.
    """
    handler, streams = Handler(log), list[UUID]()
    answered: list[tuple[Position, float]] = []
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("delete from projection.checkpoints")
        for name in BY_NAME:  # what was before is not what is measured
            owner.execute(START_AT.encode(), [name, *_newest(owner)])
    for _ in range(CALLERS):
        streams += cost_types(handler)

    def command(number: int) -> None:
        stream, turns = streams[number % len(streams)], number // len(streams)
        operation, use_case = TURNS[turns % 2]
        request = Request(principal(), operation, {"id": stream})
        answer = handler(request, partial(use_case, kind=Kind.COST_TYPE, entry_id=stream))
        answered.append((answer.position, time.perf_counter()))

    waits, asked = list[float](), deque[Future[None]]()
    with (
        tempfile.TemporaryDirectory(prefix="cardinal-bench-") as folder,
        served("projector", url, Path(folder)),
        psycopg.connect(url, autocommit=True) as owner,
        ThreadPoolExecutor(CALLERS) as callers,
    ):
        _reached(owner, _newest(owner))
        begun, sent = time.perf_counter(), 0
        while sent < COMMANDS or len(waits) < COMMANDS:
            due = min(COMMANDS, int((time.perf_counter() - begun) * COMMANDS_PER_S))
            asked += [callers.submit(command, number) for number in range(sent, due)]
            sent = max(sent, due)
            while asked and asked[0].done():
                asked.popleft().result()
            row = owner.execute(LOWEST.encode(), prepare=True).fetchone()
            assert row is not None
            now, lowest = time.perf_counter(), Position(*row)
            there = [each for each in answered if each[0] <= lowest]
            waits += [max(0.0, now - at) * 1_000 for _, at in there]
            answered[:] = [each for each in answered if each[0] > lowest]
            time.sleep(LOOK_EVERY_S)
    return waits


def _newest(connection: psycopg.Connection[Any]) -> Position:
    row = connection.execute(NEWEST.encode()).fetchone()
    assert row is not None
    return Position(*row)


def _reached(owner: psycopg.Connection, position: Position) -> None:
    while True:
        row = owner.execute(LOWEST.encode()).fetchone()
        if row is not None and Position(*row) >= position:
            return
        time.sleep(0.1)


def _plan(name: str) -> Plan:
    begins = datetime(2027, 1, 1, tzinfo=UTC)
    line = CostLine(Reference(UUID(int=2), 1), Money(100_00, "CNY"), "points")
    return Plan(
        name=name,
        description="An activity of the bench, with a description of some length.",
        activity_type=Reference(UUID(int=1), 1),
        period=Period(begins, begins + timedelta(days=30)),
        registration=None,
        award=None,
        channels=(Channel.APP, Channel.SMS),
        budget=Money(90_000_00, "CNY"),
        cost_lines=(line, line),
    )


def _writes() -> Iterator[Write]:
    for number, stream in enumerate(sorted(uuid4() for _ in range(ACTIVITIES))):
        approval = uuid4()
        events: list[object] = [
            ActivityDrafted(f"B{number}", "HO", _plan("draft"), "operator"),
            ActivityRevised(2, _plan("as planned"), "operator"),
            ActivitySubmitted(2, approval, "0" * 64, "operator", "research"),
            ActivityApproved(2, approval),
            ActivityLaunched("operator"),
        ]
        assert len(events) == LIFE
        yield Write(stream, "activity", 0, GENESIS, events)


def _context() -> Context:
    id_ = uuid4()
    return Context("bench", None, "HO", id_, id_, None, datetime.now(UTC))


def _project(url: str) -> float:
    """From nothing to the end of the log, in the projector's own thread."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("truncate read.activities, read.activity_versions")
        owner.execute("delete from projection.checkpoints where name = %s", [NAME])
        stop = threading.Event()
        projector = Projector(url, [tables for tables in ALL if tables.name == NAME])
        thread = threading.Thread(target=projector.run, args=(stop,))
        begun = time.perf_counter()
        thread.start()
        while not _is_done(owner):
            time.sleep(0.05)
        took = time.perf_counter() - begun
        stop.set()
        thread.join()
    return EVENTS / took


def _is_done(owner: psycopg.Connection) -> bool:
    row = owner.execute(
        "select (c.epoch, c.position) >= (select epoch, position from log.events"
        " order by epoch desc, position desc limit 1) from projection.checkpoints c where name = %s",
        [NAME],
    ).fetchone()
    return row == (True,)


def _read(log: EventLog) -> float:
    """The same records, decoded, and nothing else done with them."""
    begun, at, seen = time.perf_counter(), BEGINNING, 0
    while batch := log.follow(at, 1_000):
        at, seen = batch[-1].position, seen + len(batch)
    return seen / (time.perf_counter() - begun)
