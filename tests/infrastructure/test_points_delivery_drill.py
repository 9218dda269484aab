"""The drill of points delivery: a worker killed at any step leaves the same file and the same ledgers."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from application import points_jobs
from application.points_pipeline import STEPS, PointsDesk
from application.processes.expired_reservations import expire_due
from application.processes.points_delivery import advance, next_step
from domain.budgets import DECIDER as BUDGET
from domain.budgets import budget_id
from domain.points_job_statuses import Status
from domain.points_jobs import DECIDER
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.file_folder import DirectoryFolder
from infrastructure.pending_points import PendingTable
from infrastructure.points_counterpart import Counterpart, Rules
from infrastructure.points_gateway import DirectoryGateway
from tests.application.bank import ALL_UNITS, DAY, LIN, NOW, Bank
from tests.application.points_world import PointsWorld, StoredResults, rows
from tests.application.test_points_job_recalls import recall, resend
from tests.repeats import repeats

FOUND = rows(120)
KILLS = repeats(20)
PAUSE_MAX_S = 0.03
STEPS_MAX = 1_000
RULES = Rules(reject_every=17, reject_code="51")
LEDGER = """select stream_id, version, event_type, data::text from log.events
    where stream_type = 'points_ledger' order by stream_id, version"""
REST = """select stream_type, event_type, count(*) from log.events
    where stream_type in ('points_job', 'budget', 'work_order') group by 1, 2 order by 1, 2"""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.infrastructure.test_points_delivery_drill"])


def deliver(url: str, home: str, job: UUID, run: UUID, told: Connection) -> None:
    """The worker: takes the job from step to step, and tells before each one which it is."""
    with pool(url, 2) as connections, Counterpart(Path(home, "gateway"), RULES).at_work() as counterpart:
        bank = Bank(EventLog(connections))
        gateway, folder = DirectoryGateway(Path(home, "gateway")), DirectoryFolder(Path(home, "points"))
        pending, results = PendingTable(connections), StoredResults({run: FOUND})
        desk = PointsDesk(bank.handler, results, gateway, folder, pending, ALL_UNITS)
        while next_step(desk.job(job)) is not None:
            told.send(desk.job(job).status)
            advance(desk, job)
            counterpart.tick()
        told.send(desk.job(job).status)


@contextmanager
def worker(url: str, home: Path, job: UUID, run: UUID) -> Iterator[tuple[int, Connection]]:
    hears, tells = _context.Pipe(duplex=False)
    process = _context.Process(target=deliver, args=(url, str(home), job, run, tells))
    process.start()
    tells.close()
    assert process.pid is not None
    try:
        yield process.pid, hears
    finally:
        hears.close()  # one that goes in circles ends with it
        process.join(60)


def until(hears: Connection, status: Status) -> bool:
    """Wait until the worker is at a step; False when it has ended before."""
    try:
        for _ in range(STEPS_MAX):
            if not hears.poll(60):
                break
            if hears.recv() is status:
                return True
    except EOFError:
        return False
    raise AssertionError("the worker stands still, or goes in circles")


def outcome(url: str, home: Path) -> tuple[bytes, list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The points file as it was taken, the ledgers' events, and what else was recorded, how often."""
    [file] = [path for path in Path(home, "points").iterdir() if path.name.startswith("POINTS_")]
    with psycopg.connect(url) as connection:
        return file.read_bytes(), connection.execute(LEDGER).fetchall(), connection.execute(REST).fetchall()


@pytest.fixture(scope="module")
def opened(
    make_database: Callable[..., str], migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, UUID, UUID]:
    """A database with an opened job, to be copied for each trial: its name, the job and the run."""
    url = make_database(migrated_template)
    with pool(url, 2) as connections:
        world = PointsWorld(Bank(EventLog(connections)), tmp_path_factory.mktemp("world"))
        run = world.run(FOUND)
        job = world.open(run)
    return psycopg.conninfo.conninfo_to_dict(url)["dbname"], job, run  # type: ignore[return-value]


def home_at(folder: Path) -> Path:
    for name in ("outbox", "inbox", "archive"):
        (folder / "gateway" / name).mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def reference(
    opened: tuple[str, UUID, UUID],
    make_database: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[bytes, list[tuple[object, ...]], list[tuple[object, ...]]]:
    """What comes of the job when nobody is killed."""
    name, job, run = opened
    url, home = make_database(name), home_at(tmp_path_factory.mktemp("reference"))
    with worker(url, home, job, run) as (_, hears):
        assert until(hears, Status.SETTLED)
    found = outcome(url, home)
    assert found[0].count(b"\n") == len(FOUND) + 2
    assert len(found[1]) == len(FOUND) - len(FOUND) // 17
    return found


@pytest.mark.drill
@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", [Status.RESERVED, Status.FILED])
def test_what_a_killed_worker_had_reserved_expires_and_its_job_sends_nothing_on_it(
    step: Status,
    opened: tuple[str, UUID, UUID],
    make_database: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """BUD-04: no leak, and no file on money that is free again; tried again, the job reserves anew.

    Who was killed after the release has confirmed his reservation: that one stays.
    """
    name, job, run = opened
    dice, expired = random.Random(f"expiry {step}"), 0
    for _ in range(KILLS // 2):
        url, home = make_database(name), home_at(tmp_path_factory.mktemp("expiry"))
        with worker(url, home, job, run) as (pid, hears):
            assert until(hears, step)
            time.sleep(PAUSE_MAX_S * dice.random() ** 6)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with pool(url, 2) as connections:
            bank = Bank(EventLog(connections), now=NOW + 4 * DAY)
            budget = budget_id(bank.log.load(DECIDER, job).state.has.cause.activity.id)
            expire_due(bank.handler, lambda *_: [("budget", budget)], ALL_UNITS)  # noqa: B023
            amounts = bank.log.load(BUDGET, budget).state.amounts
            assert amounts.total == amounts.free + amounts.reserved + amounts.consumed == 1_000_00
            is_free = amounts.free == 1_000_00
            expired += is_free
            with worker(url, home, job, run) as (_, hears):
                assert until(hears, Status.FAILED if is_free else Status.SETTLED)
            if is_free:
                assert bank.events(job)[-1].code == "reservation_expired"
                assert not list(Path(home, "gateway").rglob("POINTS_*"))
                bank.send(LIN, "retryPointsJob", {}, points_jobs.retry, job)
                with worker(url, home, job, run) as (_, hears):
                    assert until(hears, Status.SETTLED)
            amounts = bank.log.load(BUDGET, budget).state.amounts
            posted = bank.log.load(DECIDER, job).state.posted
            assert posted is not None
            assert (amounts.reserved, amounts.consumed) == (0, posted.points)
            assert amounts.total == 1_000_00
    assert expired >= KILLS / 8, "many were killed before the release"


@pytest.mark.drill
@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", [step for step in STEPS if step not in (Status.RELEASED, Status.RECALLING)])
def test_a_worker_killed_in_this_step_twenty_times_leaves_the_same_file_and_the_same_ledgers(
    step: Status,
    opened: tuple[str, UUID, UUID],
    reference: tuple[bytes, list[tuple[object, ...]], list[tuple[object, ...]]],
    make_database: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """PTS-07, PTS-10: byte for byte; each event of the job, its budget and its work order once.

    A file is released and handed over in one step, FILED; who is killed between finds it RELEASED.
    """
    name, job, run = opened
    dice, killed = random.Random(step), 0
    for _ in range(KILLS):
        url, home = make_database(name), home_at(tmp_path_factory.mktemp("drill"))
        with worker(url, home, job, run) as (pid, hears):
            assert until(hears, step)
            time.sleep(PAUSE_MAX_S * dice.random() ** 6)  # most steps take a few milliseconds
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with pool(url, 1) as connections:
            killed += EventLog(connections).load(DECIDER, job).state.status is not Status.SETTLED
        with worker(url, home, job, run) as (_, hears):
            assert until(hears, Status.SETTLED)
        file, ledgers, recorded = outcome(url, home)
        assert file == reference[0]
        assert ledgers == reference[1]
        assert recorded == reference[2]
    assert killed >= KILLS / 4, "many were killed on the way"


ENDS = {"recalled": Status.WITHDRAWN, "recalled too late": Status.SETTLED, "sent again": Status.SETTLED}


def taken_back(kind: str, url: str, home: Path, opened: tuple[str, UUID, UUID]) -> None:
    """The file is out: nobody has taken it, or it was taken and answered, or its answer got lost. Somebody
    has recalled it, or asked for another sending, and no worker has come to that yet.
    """
    _, job, run = opened
    with pool(url, 2) as connections:
        results, gateway = StoredResults({run: FOUND}), DirectoryGateway(home / "gateway")
        world = PointsWorld(Bank(EventLog(connections)), home / "points", results, gateway=gateway)
        world.step(job, 3)
        rules = replace(RULES, lose_every=1 if kind == "sent again" else 0)
        if kind != "recalled":
            with Counterpart(home / "gateway", rules).at_work() as counterpart:
                counterpart.tick()
        (resend if kind == "sent again" else recall)(world, job)


@pytest.mark.drill
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ENDS)
def test_a_worker_killed_while_it_takes_a_file_back_or_sends_it_again_leaves_the_same_outcome(
    kind: str,
    opened: tuple[str, UUID, UUID],
    make_database: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """PTS-07, PTS-10, BUD-04: whoever was killed half-way, a file that came back is never seen again, and its
    reservation is free once; one that was taken is booked once, to the byte.
    """
    name, job, run = opened
    out, before = make_database(name), home_at(tmp_path_factory.mktemp("out"))
    taken_back(kind, out, before, opened)
    out_name = psycopg.conninfo.conninfo_to_dict(out)["dbname"]
    dice, killed, expected = random.Random(kind), 0, None
    for number in range(KILLS // 2 + 1):
        url, home = make_database(out_name), tmp_path_factory.mktemp("drill") / "home"
        shutil.copytree(before, home)
        if number:
            with worker(url, home, job, run) as (pid, hears):
                assert hears.poll(60)
                time.sleep(PAUSE_MAX_S * dice.random() ** 6)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with pool(url, 1) as connections:
                killed += EventLog(connections).load(DECIDER, job).state.status is not ENDS[kind]
        with worker(url, home, job, run) as (_, hears):
            assert until(hears, ENDS[kind])
        found = outcome(url, home)
        expected = expected or found  # the first is killed by nobody
        assert found == expected
        seen = [path.name for path in (home / "gateway").glob("*/POINTS_*") if path.parent.name != "sent"]
        assert (seen == []) == (kind == "recalled"), seen
        with pool(url, 1) as connections:
            log = EventLog(connections)
            activity = log.load(DECIDER, job).state.has.cause.activity.id
            amounts = log.load(BUDGET, budget_id(activity)).state.amounts
        posted = len(expected[1])
        assert (amounts.free, amounts.reserved, amounts.consumed) == (
            1_000_00 - 5_00 * posted,
            0,
            5_00 * posted,
        )
    assert expected is not None
    assert len(expected[1]) == (0 if kind == "recalled" else len(FOUND) - len(FOUND) // 17)
    assert killed >= KILLS / 8, "many were killed on the way"
