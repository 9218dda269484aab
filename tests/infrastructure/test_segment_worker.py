"""A run through the broker: the worker performs it with the real engine over a small warehouse."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from application.segment_definitions import content_of, query_of
from application.segment_runs import execute
from application.shared.engines import GrantedTable, Parameter, Query, RunFailure
from domain.segment_runs import ATTEMPTS_EXHAUSTED, SegmentRunCleanedUp, Status
from domain.warehouse_schema import TABLES
from infrastructure import actors, database
from infrastructure.database import pool
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.duckdb_session import EngineLimits
from infrastructure.event_log import EventLog
from infrastructure.segment_engine import segment_engine
from infrastructure.settings import Settings
from infrastructure.task_worker import open_broker, working
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.application.bank import ALL_UNITS, Bank
from tests.application.segments import CONTENT, VALUES, WORKER_UNITS, Desk
from tests.infrastructure.test_task_worker import eventually

BUSINESS_DATE = date(2026, 3, 1)
SLOW = replace(
    CONTENT,
    sql="select a.customer_id, max(a.level) as level from transactions t1 join transactions t2"
    " on t1.amount_minor <> t2.amount_minor join customers a on a.customer_id = t1.customer_id"
    " join transactions t3 on t3.amount_minor <> t2.amount_minor"
    " where t1.booked_on < :data_to group by a.customer_id",
)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.infrastructure.test_segment_worker"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    Warehouse(folder / "warehouse", sorted(ALL_UNITS)).generate(BUSINESS_DATE, SampleSize(2_000, 20_000))
    return folder


@pytest.fixture
def given(cardinal_url: str, home: Path) -> dict[str, str]:
    units = ",".join(f"{unit}:{unit}" for unit in sorted(ALL_UNITS))
    return {"DATABASE_URL": cardinal_url, "CARDINAL_ORG_UNITS": units, "CARDINAL_HOME": str(home)}


@pytest.fixture
def settings(given: dict[str, str]) -> Settings:
    return Settings.read(given)


@contextmanager
def opened(url: str) -> Iterator[Desk]:
    with pool(url, 6) as connections:
        desk = Desk(Bank(EventLog(connections), now=datetime.now(UTC)))
        desk.grant()
        yield desk


def perform(desk: Desk, settings: Settings, run: UUID) -> None:
    execute(desk.bank.handler, segment_engine(settings), run, WORKER_UNITS)


def test_a_run_that_is_enqueued_is_performed_by_the_worker(settings: Settings, cardinal_url: str) -> None:
    """LOG-07, LOG-10, LOG-17: the result and its figures, from the request to the clean-up."""
    with opened(cardinal_url) as desk:
        run = desk.request(desk.approved())
        with working(settings, cardinal_url), closing(open_broker(settings, cardinal_url)) as broker:
            actors.declare_names(broker)
            message = broker.get_actor(actors.EXECUTE_RUN).message(str(run))
            broker.enqueue(message.copy(message_id=str(uuid4())))
            eventually(lambda: desk.run(run).cleaned == 1)
        state = desk.run(run)
        assert state.status is Status.SUCCEEDED
        assert 0 < state.rows <= 2_000
        ids = [row[0] for row in segment_engine(settings).rows(run, ["customer_id"])]
        assert (len(ids), ids) == (state.rows, sorted(set(ids)))


def test_the_engine_is_given_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG-05: what one query may take of memory and disk, and how many go at once"""
    given: list[EngineLimits] = []

    class Noted(DuckDBEngine):
        def __init__(self, warehouse: Warehouse, results: Path, limits: EngineLimits | None = None) -> None:
            assert limits is not None
            given.append(limits)
            super().__init__(warehouse, results, limits)

    monkeypatch.setattr("infrastructure.duckdb_engine.DuckDBEngine", Noted)
    more = {"HOME": str(tmp_path), "ENGINE_MEMORY_MB": "300", "ENGINE_DISK_MB": "70", "ENGINE_QUERIES": "5"}
    engine = segment_engine(Settings.read({f"CARDINAL_{name}": value for name, value in more.items()}))
    assert engine.sweep() == 0
    [limits] = given
    found = limits.memory_bytes, limits.temporary_bytes, limits.at_once
    assert found == (300 * 2**20, 70 * 2**20, 5)


def test_a_trial_of_a_draft_gives_its_first_rows(settings: Settings, cardinal_url: str) -> None:
    """LOG-03"""
    with opened(cardinal_url) as desk:
        run = desk.try_out(desk.draft(), 10)
        perform(desk, settings, run)
        assert (desk.run(run).status, desk.run(run).rows) == (Status.SUCCEEDED, 10)


def test_a_run_whose_primary_index_is_not_unique_has_failed_with_the_count(
    settings: Settings, cardinal_url: str
) -> None:
    """LOG-06, LOG-11"""
    content = replace(CONTENT, primary_index=("level",))
    with opened(cardinal_url) as desk:
        run = desk.request(desk.approved(content))
        perform(desk, settings, run)
        failed, cleaned = desk.bank.events(run)[-2:]
        assert failed.code == RunFailure.PRIMARY_INDEX_DUPLICATE
        assert int(failed.values["offenders"]) > 0
        assert isinstance(cleaned, SegmentRunCleanedUp)
        assert not (settings.home / "results" / str(run)).exists()


def test_a_running_query_stops_when_its_run_is_terminated(settings: Settings, cardinal_url: str) -> None:
    """LOG-17: cancel stops it within two seconds, of which the log is asked for one half, at most."""
    with opened(cardinal_url) as desk:
        desk.grant("transactions")
        run = desk.request(desk.approved(SLOW))
        worker = threading.Thread(target=perform, args=(desk, settings, run))
        worker.start()
        eventually(lambda: desk.run(run).status is Status.RUNNING)
        time.sleep(1)
        assert worker.is_alive(), "the query is too quick to be stopped"
        desk.terminate(run)
        worker.join(2)
        assert not worker.is_alive()
        assert desk.run(run).status is Status.TERMINATED


def be_a_worker(given: dict[str, str], url: str) -> None:
    with working(Settings.read(given), url):
        time.sleep(60)


@pytest.mark.drill
def test_a_run_whose_worker_is_killed_three_times_has_failed_and_left_nothing(
    given: dict[str, str], settings: Settings, cardinal_url: str
) -> None:
    """LOG-11, LOG-17: through the broker; a fourth worker finds the attempts used up, and clears away."""
    with opened(cardinal_url) as desk, closing(database.connect(cardinal_url)) as owner:
        desk.grant("transactions")
        run = desk.request(desk.approved(SLOW))
        results = settings.home / "results"
        with closing(open_broker(settings, cardinal_url)) as broker:
            actors.declare_names(broker)
            message = broker.get_actor(actors.EXECUTE_RUN).message(str(run))
            broker.enqueue(message.copy(message_id=str(uuid4())))
        for attempt in (1, 2, 3):
            worker = _context.Process(target=be_a_worker, args=(given, cardinal_url))
            worker.start()
            eventually(lambda: desk.run(run).attempt == attempt)  # noqa: B023
            eventually((results / f".run-{run}" / "result.parquet").exists)
            worker.kill()
            worker.join()
            assert desk.run(run).status is Status.RUNNING
            owner.execute("update tasks.message set leased_until = now() where state = 'leased'")
        assert (results / f".run-{run}").exists(), "nobody was there who could have removed it"
        with working(settings, cardinal_url):
            eventually(lambda: desk.run(run).cleaned == 3)
        assert (desk.run(run).status, desk.run(run).failure) == (Status.FAILED, ATTEMPTS_EXHAUSTED)
        assert [path.name for path in results.iterdir() if str(run) in path.name] == []
        assert owner.execute("select count(*) from tasks.message").fetchone() == (0,)


def test_every_unit_finds_its_own_customers(settings: Settings, cardinal_url: str) -> None:
    """LOG-05"""
    with opened(cardinal_url) as desk:
        run = desk.request(desk.approved())
        perform(desk, settings, run)
        engine, branch = segment_engine(settings), uuid4()
        query = replace(_query(desk, run), org_units=("SH",))
        found = engine.run(branch, query, lambda _: None, lambda: False)
        assert 0 < found.rows < desk.run(run).rows


def _query(desk: Desk, run: UUID) -> Query:
    definition = desk.run(run).definition
    assert definition is not None
    granted = (GrantedTable("customers", TABLES["customers"].column_names),)
    bound = [Parameter("data_to", date.fromisoformat(VALUES["data_to"]))]
    return query_of(content_of(desk.bank.log, definition), bound, granted, ALL_UNITS)
