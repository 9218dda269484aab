"""The drill of a work order: whenever its worker is killed, result, file and ledgers come out the same."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest

from application.points_pipeline import PointsDesk
from application.processes import points_delivery, work_order_execution
from application.processes.work_order_execution import START_WORK_ORDER, ExecutionDesk
from application.segment_runs import execute
from application.shared.engines import Engine
from domain import segment_runs as runs
from domain.segment_contents import MappedColumn, Output, SegmentContent
from domain.segment_definitions import DefinitionKind
from domain.work_order_statuses import Status
from domain.work_orders import DECIDER as WORK_ORDER
from infrastructure.database import pool
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.event_log import EventLog
from infrastructure.file_folder import DirectoryFolder
from infrastructure.pending_points import PendingTable
from infrastructure.points_counterpart import Counterpart, Rules
from infrastructure.points_gateway import DirectoryGateway
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.application.bank import ALL_UNITS, Bank
from tests.application.orders import SOON, orders_of
from tests.application.segments import Desk
from tests.repeats import repeats

KILLS = repeats(20)
RULES = Rules(reject_every=17, reject_code="51")
STEPS = ("start", "query", "report", "hand over")
"""`query`: the engine is at it; `report`: the result lies there, and nobody has told of it."""
PAUSE_MAX_S = {"start": 0.03, "query": 0.15, "report": 0.03, "hand over": 0.03}
WAIT_S = 0.01
"""How long a worker that has told waits to be killed, or there would be nobody left on a busy machine."""

CONTENT = SegmentContent(
    name="Diners",
    description="",
    sql="select t.customer_id, t.points from (select a.customer_id, count(*) % 90 + 10 as points from"
    " transactions a join transactions b on b.amount_minor < a.amount_minor and b.channel <> a.channel"
    " where a.customer_id < 'C00000150' group by a.customer_id) as t order by points desc limit 60",
    source="bank",
    primary_index=("customer_id",),
    outputs=(Output("customer_id", False), Output("points", False)),
    mapping=(MappedColumn("CUSTOMER", "customer_id"), MappedColumn("POINTS", "points")),
)
LEDGER = """select stream_id, version, event_type, data::text from log.events
    where stream_type = 'points_ledger' order by stream_id, version"""
REST = """select stream_type, event_type, count(*) from log.events
    where event_type not in ('segment_run.started', 'segment_run.progressed') group by 1, 2 order by 1, 2"""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.infrastructure.test_work_order_drill"])


@dataclass
class Watched:
    """The engine, which tells when it begins a run and when it has its result."""

    engine: Engine
    tell: Callable[[str], None]

    def run(self, *given: Any) -> Any:
        self.tell("query")
        found = self.engine.run(*given)
        self.tell("report")
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


@dataclass(frozen=True)
class Place:
    """Where it happens: the database, the warehouse, and a folder for everything else."""

    url: str
    warehouse: Path
    home: Path

    def perform(self, order_id: UUID, tell: Callable[[str], None] = lambda _: None) -> None:
        """The worker: takes the order from step to step, to its end; `tell` hears before each which it is."""
        counterpart = Counterpart(self.home / "gateway", RULES)
        with pool(self.url, 4) as connections, counterpart.at_work():
            bank = Bank(EventLog(connections), now=SOON)
            stored = DuckDBEngine(Warehouse(self.warehouse, sorted(ALL_UNITS)), self.home / "results")
            engine = cast(Engine, Watched(stored, tell))
            desk = ExecutionDesk(bank.handler, ALL_UNITS)
            gateway, folder = DirectoryGateway(self.home / "gateway"), DirectoryFolder(self.home / "points")
            pending = PendingTable(connections)
            points = PointsDesk(bank.handler, engine, gateway, folder, pending, ALL_UNITS)
            while (order := bank.log.load(WORK_ORDER, order_id).state).status is not Status.COMPLETED:
                if (step := work_order_execution.next_step(order)) is not None:
                    assert step.task == START_WORK_ORDER
                    tell("start")
                    desk.start(order_id)
                elif order.run is not None and is_delivered(bank.log.load(runs.DECIDER, order.run).state):
                    execute(bank.handler, engine, order.run, ALL_UNITS)
                elif order.points_job is None:
                    assert order.run is not None
                    tell("hand over")
                    desk.hand_over(order.run)
                else:
                    points_delivery.advance(points, order.points_job)
                    counterpart.tick()

    def outcome(self, order_id: UUID) -> tuple[str, str, bytes, list[Any], list[Any]]:
        """The result's hash and its file's, the points file, the ledgers' events, and the rest, how often."""
        with pool(self.url, 1) as connections:
            log = EventLog(connections)
            run_id = log.load(WORK_ORDER, order_id).state.run
            assert run_id is not None
            run = log.load(runs.DECIDER, run_id).state
            assert run.status is runs.Status.SUCCEEDED
        results = self.home / "results"
        assert [path.name for path in results.iterdir() if path.name != ".locks"] == [str(run_id)]
        assert {path.name for path in (results / str(run_id)).iterdir()} == {"result.json", "result.parquet"}
        parquet = sha256((results / str(run_id) / "result.parquet").read_bytes()).hexdigest()
        files = [path for path in (self.home / "points").iterdir() if not path.name.startswith("ACK_")]
        assert [path.name[:7] for path in files] == ["POINTS_"]
        with psycopg.connect(self.url) as connection:
            ledgers, rest = connection.execute(LEDGER).fetchall(), connection.execute(REST).fetchall()
        return run.content_hash, parquet, files[0].read_bytes(), ledgers, rest


def is_delivered(run: runs.SegmentRun) -> bool:
    """Whether the broker still has the task: it delivers again what a dead worker has not completed."""
    return run.is_live or run.cleaned < run.attempt


def be_a_worker(place: Place, order_id: UUID, told: Connection) -> None:
    def tell(step: str) -> None:
        told.send(step)
        time.sleep(WAIT_S)

    place.perform(order_id, tell)


@contextmanager
def worker(place: Place, order_id: UUID) -> Iterator[tuple[int, Connection]]:
    hears, tells = _context.Pipe(duplex=False)
    process = _context.Process(target=be_a_worker, args=(place, order_id, tells))
    process.start()
    tells.close()
    assert process.pid is not None
    try:
        yield process.pid, hears
    finally:
        process.kill()
        process.join()
        hears.close()


def until(hears: Connection, step: str) -> None:
    while hears.poll(60):
        if hears.recv() == step:
            return
    raise AssertionError("the worker stands still")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home") / "warehouse"
    Warehouse(folder, sorted(ALL_UNITS)).generate(date(2026, 3, 1), SampleSize(1_000, 8_000))
    return folder


@pytest.fixture(scope="module")
def scheduled(make_database: Callable[..., str], migrated_template: str) -> tuple[str, UUID]:
    """A database with a work order that is due, to be copied for each trial: its name, and the order."""
    url = make_database(migrated_template)
    with pool(url, 4) as connections:
        bank = Bank(EventLog(connections))
        orders, desk = orders_of(bank), Desk(bank)
        desk.grant("transactions")
        order = orders.approved()
        orders.schedule(order, desk.approved(CONTENT, kind=DefinitionKind.ACTIVITY, work_order=order))
    return cast(str, psycopg.conninfo.conninfo_to_dict(url)["dbname"]), order


class Reached(Exception):
    """The step that somebody waited for."""


@dataclass(frozen=True)
class Situation:
    """A database to be copied for each trial, and what lies in the folder then."""

    database: str
    files: Path
    order: UUID


@pytest.fixture(scope="module")
def situations(
    scheduled: tuple[str, UUID],
    warehouse: Path,
    make_database: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Situation]:
    """Where the worker of each step begins: an order that is due, or one whose run has succeeded."""
    name, order_id = scheduled
    home = home_at(tmp_path_factory.mktemp("situation") / "due")
    due = Situation(name, home, order_id)
    done = Situation("", home_at(home.with_name("executed")), order_id)
    place = Place(make_database(name), warehouse, done.files)

    def stop(step: str) -> None:
        if step == "hand over":
            raise Reached

    with suppress(Reached):
        place.perform(order_id, stop)
    done = replace(done, database=cast(str, psycopg.conninfo.conninfo_to_dict(place.url)["dbname"]))
    return {step: done if step == "hand over" else due for step in STEPS}


def home_at(folder: Path) -> Path:
    for name in ("outbox", "inbox", "archive"):
        (folder / "gateway" / name).mkdir(parents=True)
    return folder


@pytest.mark.drill
@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_in_this_step_twenty_times_leaves_the_same_result_file_and_ledgers(
    step: str,
    situations: dict[str, Situation],
    warehouse: Path,
    make_database: Callable[..., str],
    tmp_path: Path,
) -> None:
    """PTS-07, LOG-10, LOG-11, LOG-17: byte for byte; nothing temporary is left, and no run stays running."""
    situation = situations[step]
    order_id, dice, interrupted = situation.order, random.Random(step), 0

    def another(name: str) -> Place:
        home = tmp_path / name
        shutil.copytree(situation.files, home)
        return Place(make_database(situation.database), warehouse, home)

    undisturbed = another("undisturbed")
    undisturbed.perform(order_id)
    expected = undisturbed.outcome(order_id)
    assert len(expected[3]) == 60 - 60 // 17
    for number in range(KILLS):
        place = another(str(number))
        with worker(place, order_id) as (pid, hears):
            until(hears, step)
            time.sleep(PAUSE_MAX_S[step] * dice.random() ** 2)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        interrupted += is_at(step, place, order_id)
        place.perform(order_id)
        for found, wanted in zip(place.outcome(order_id), expected, strict=True):
            assert found == wanted
    assert interrupted >= KILLS / 4, "many were killed on the way"


def is_at(step: str, place: Place, order_id: UUID) -> bool:
    """Whether the step is still to be taken."""
    with pool(place.url, 1) as connections:
        log = EventLog(connections)
        order = log.load(WORK_ORDER, order_id).state
        run = None if order.run is None else log.load(runs.DECIDER, order.run).state
    has_result = order.run is not None and (place.home / "results" / str(order.run)).exists()
    match step:
        case "start":
            return order.status is Status.SCHEDULED
        case "query":
            return run is not None and run.status is runs.Status.RUNNING and not has_result
        case "report":
            return run is not None and run.status is runs.Status.RUNNING and has_result
        case _:
            return run is not None and not run.is_handed_over
