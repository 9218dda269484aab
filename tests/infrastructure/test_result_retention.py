"""Results past their time: the sweep deletes these and tells of it, and what killed processes left, too."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from application.processes.expired_results import Deleted, delete_due
from application.segment_runs import execute, mapping_for_export
from application.shared.engines import Engine
from domain.result_retention import KEPT_FOR, Retention, RetentionRefusal, SegmentRunResultDeleted
from domain.segment_runs import RunRefusal, Status
from infrastructure import actors
from infrastructure.database import pool
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.durable_files import try_held
from infrastructure.event_log import EventLog
from infrastructure.projection_runner import Projector
from infrastructure.result_sets import ABANDONED_S
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.application.bank import ALL_UNITS, LIN, Bank
from tests.application.segments import WORKER_UNITS, Desk
from tests.given import refused
from tests.infrastructure.test_task_worker import eventually

SOON = timedelta(minutes=5)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    made = Warehouse(tmp_path_factory.mktemp("home") / "warehouse", sorted(ALL_UNITS))
    made.generate(date(2026, 3, 1), SampleSize(200, 1_000))
    return made


class Archive:
    """A desk whose clock can be set, the engine, and who tells whose time is over."""

    def __init__(self, connections: ConnectionPool[psycopg.Connection[Any]], engine: Engine) -> None:
        self.desk = Desk(Bank(EventLog(connections), now=datetime.now(UTC)))
        self.engine = engine
        self.due = actors.results_kept_no_longer(connections)

    def performed(self, run: UUID) -> UUID:
        execute(self.desk.bank.handler, self.engine, run, WORKER_UNITS)
        assert self.desk.run(run).status is Status.SUCCEEDED
        return run

    def sweep(self) -> Deleted:
        return delete_due(self.desk.bank.handler, self.engine, self.due, WORKER_UNITS)

    def after(self, by: timedelta) -> datetime:
        self.desk.bank.now = datetime.now(UTC) + by
        return self.desk.bank.now


@contextmanager
def opened(url: str, warehouse: Warehouse, results: Path) -> Iterator[Archive]:
    stop = threading.Event()
    with pool(url, 6) as connections:
        archive = Archive(connections, DuckDBEngine(warehouse, results))
        archive.desk.grant()
        projector = threading.Thread(target=Projector(url).run, args=(stop,))
        projector.start()
        try:
            yield archive
        finally:
            stop.set()
            projector.join()


def test_results_past_their_time_are_deleted_and_nothing_else(
    cardinal_url: str, warehouse: Warehouse, tmp_path: Path
) -> None:
    """LOG-10, LOG-11: first the trial's, years later the result; the figures stay, and no file leaves."""
    results = tmp_path / "results"
    with opened(cardinal_url, warehouse, results) as archive:
        desk = archive.desk
        definition = desk.approved()
        trial = archive.performed(desk.try_out(definition))
        result = archive.performed(desk.request(definition))
        eventually(lambda: len(archive.due(archive.after(KEPT_FOR[Retention.RESULT]), 10)) == 2)

        archive.after(KEPT_FOR[Retention.TRIAL] - SOON)
        assert archive.sweep().told == 0
        assert {path.name for path in results.iterdir()} == {".locks", str(trial), str(result)}

        archive.after(KEPT_FOR[Retention.TRIAL] + SOON)
        assert archive.sweep() == Deleted(1, (), 0)
        assert {path.name for path in results.iterdir()} == {".locks", str(result)}
        assert desk.bank.events(trial)[-1] == SegmentRunResultDeleted(Retention.TRIAL)
        assert list(archive.engine.rows(result, ["customer_id"]))
        with refused(RunRefusal.NO_RESULT):
            mapping_for_export(desk.bank.handler, LIN, trial)
        assert mapping_for_export(desk.bank.handler, LIN, result)

        eventually(lambda: archive.due(desk.bank.now, 10) == [])
        events = desk.bank.count_events()
        assert archive.sweep() == Deleted(0, (), 0)
        assert desk.bank.count_events() == events

        archive.after(KEPT_FOR[Retention.RESULT] + SOON)
        assert archive.sweep().told == 1
        assert {path.name for path in results.iterdir()} == {".locks"}
        assert desk.run(result).rows > 0


def test_the_log_decides_not_the_read_table(cardinal_url: str, warehouse: Warehouse, tmp_path: Path) -> None:
    """LOG-11: never a result inside its period, whoever is named"""
    with opened(cardinal_url, warehouse, tmp_path / "results") as archive:
        run = archive.performed(archive.desk.request(archive.desk.approved()))
        waiting = archive.desk.request(archive.desk.approved())
        archive.due = lambda *_: [run, waiting]
        deleted = archive.sweep()
        assert deleted.told == 0
        whys = dict(deleted.refused)
        assert RetentionRefusal.RESULT_KEPT in whys[run]
        assert RunRefusal.NO_RESULT in whys[waiting]
        assert list(archive.engine.rows(run, ["customer_id"]))


def test_who_was_killed_between_the_deletion_and_its_record_is_asked_again(
    cardinal_url: str, warehouse: Warehouse, tmp_path: Path
) -> None:
    with opened(cardinal_url, warehouse, tmp_path / "results") as archive:
        run = archive.performed(archive.desk.try_out(archive.desk.approved()))
        archive.engine.discard(run)
        archive.due = lambda *_: [run]
        archive.after(KEPT_FOR[Retention.TRIAL] + SOON)
        assert archive.sweep().told == 1
        assert archive.desk.run(run).is_result_deleted


def test_what_killed_processes_left_is_swept_after_a_day(warehouse: Warehouse, tmp_path: Path) -> None:
    """LOG-11: of previews as well; what is under way stays."""
    results = tmp_path / "results"
    for name in (".run-count-1", ".run-2", ".run-3"):
        (results / name / "temp").mkdir(parents=True)
    long_ago = time.time() - ABANDONED_S - 60
    for name in (".run-count-1", ".run-2"):
        os.utime(results / name, (long_ago, long_ago))
    locks = [results / ".locks" / name for name in ("over", "held", "new")]
    for lock in locks:
        with try_held(lock):
            pass
    for lock in locks[:2]:
        os.utime(lock, (long_ago, long_ago))
    with try_held(locks[1]) as held:
        assert held is not None
        assert DuckDBEngine(warehouse, results).sweep() == 2
    assert {path.name for path in results.iterdir()} == {".run-3", ".locks"}
    assert {path.name for path in (results / ".locks").iterdir()} == {"held", "new"}


def test_a_lock_that_was_removed_while_somebody_opened_it_is_held_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else he and who makes it anew would both hold it."""
    lock = tmp_path / "lock"
    flock = fcntl.flock

    def swept_before(descriptor: int, operation: int) -> None:
        lock.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", swept_before)
    with try_held(lock) as held:
        assert held is None
    monkeypatch.undo()
    with try_held(lock) as held:
        assert held is not None
