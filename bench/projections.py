"""Projections: how fast the handler catches up with the log, against only reading the log."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg

from application.shared.records import BEGINNING, GENESIS, Context, Write
from bench.rounds import Figure, interleaved
from domain.activities import (
    ActivityApproved,
    ActivityDrafted,
    ActivityLaunched,
    ActivityRevised,
    ActivitySubmitted,
)
from domain.activity_plans import Channel, CostLine, Plan
from domain.shared.money import Money
from domain.shared.period import Period
from domain.shared.references import Reference
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.projection_registry import ALL
from infrastructure.projection_runner import Projector

ACTIVITIES = 20_000
LIFE = 5
EVENTS = ACTIVITIES * LIFE
NAME = "activities"


def figures(url: str) -> Iterator[Figure]:
    with pool(url, 2) as connections:
        log = EventLog(connections)
        log.append_bulk(_writes(), _context())
        yield interleaved(
            f"lives of activities projected by handler, {EVENTS:,} events",
            lambda: _project(url),
            lambda: _read(log),
            rounds=3,
            target=0.15,
        )


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
