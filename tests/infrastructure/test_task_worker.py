"""The worker's tasks: what is over is ended, freed or closed by itself, and nothing else is."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from application import points_jobs
from application.processes.ended_activities import SYSTEM_USER
from domain.activities import ActivityEnded, Status
from domain.budgets import budget_id
from domain.segment_definitions import DefinitionKind
from infrastructure import actors
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.projection_runner import Projector
from infrastructure.settings import Settings
from infrastructure.task_worker import open_broker, working
from tests.application.bank import ALL_UNITS, DAY, LIN, Bank
from tests.application.orders import orders_of
from tests.application.points_world import PointsWorld, rows
from tests.application.segments import CONTENT, Desk

WAIT_S = 60


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.05)


@pytest.fixture
def settings(cardinal_url: str) -> Settings:
    units = ",".join(f"{unit}:{unit}" for unit in sorted(ALL_UNITS))
    return Settings.read({"DATABASE_URL": cardinal_url, "CARDINAL_ORG_UNITS": units})


def test_the_worker_ends_what_is_over_by_the_read_table_as_the_system(
    settings: Settings, cardinal_url: str
) -> None:
    stop = threading.Event()
    with pool(cardinal_url, 4) as connections:
        bank = Bank(EventLog(connections), now=datetime.now(UTC) - 30 * DAY - timedelta(minutes=5))
        type_ = bank.add_type("Dining")
        plan = bank.plan(type_, starts_at=bank.now, ends_at=bank.now + 30 * DAY)
        over, paused = (bank.running(bank.draft(plan)) for _ in range(2))
        bank.pause(paused)
        longer = bank.draft(bank.plan(type_, starts_at=bank.now, ends_at=bank.now + 31 * DAY))
        bank.running(longer)
        due_ids = actors.due_activities(connections)
        assert due_ids(datetime.now(UTC), 10) == [], "nobody has projected yet"
        projector = threading.Thread(target=Projector(cardinal_url).run, args=(stop,))
        projector.start()
        try:
            eventually(lambda: set(due_ids(datetime.now(UTC), 10)) == {over, paused})
            assert len(due_ids(datetime.now(UTC), 1)) == 1
            assert due_ids(datetime.now(UTC) - DAY, 10) == []
            with working(settings, cardinal_url), closing(open_broker(settings, cardinal_url)) as broker:
                actors.declare_names(broker)
                message = broker.get_actor(actors.END_DUE_ACTIVITIES).message()
                broker.enqueue(message.copy(message_id=str(uuid4())))
                eventually(lambda: bank.activity(paused).status is bank.activity(over).status is Status.ENDED)
            eventually(lambda: due_ids(datetime.now(UTC), 10) == [])
        finally:
            stop.set()
            projector.join()
        assert bank.activity(longer).status is Status.RUNNING
        record = list(bank.log.records(over))[-1]
        assert record.event == ActivityEnded()
        assert record.context.actor == SYSTEM_USER


def test_the_worker_frees_what_has_expired_and_closes_what_is_over_by_the_read_tables(
    settings: Settings, cardinal_url: str, tmp_path: Path
) -> None:
    """BUD-04: on a schedule; a confirmed reservation is not asked about, a budget in need not closed."""
    stop = threading.Event()
    with pool(cardinal_url, 4) as connections:
        bank = Bank(EventLog(connections), now=datetime.now(UTC) - 40 * DAY)
        world = PointsWorld(bank, tmp_path)
        plan = bank.plan(bank.add_type("Dining"), starts_at=bank.now, ends_at=bank.now + 30 * DAY)
        left, sent = (bank.running(bank.draft(plan)) for _ in range(2))
        unlaunched = {bank.draft(plan) for _ in range(3)}
        for activity in unlaunched:
            bank.approved(activity)
        revised, pending, _ = unlaunched
        for activity in (revised, pending):
            bank.revise(activity, replace(plan, name="Summer dining"))
        bank.submit(pending)
        job = world.opened(rows(2), left)
        world.step(job, 2)
        world.sent(rows(2), sent)
        bank.now += 30 * DAY
        for activity in (left, sent):
            bank.end(activity)
        expired, settled = actors.expired_holders(connections), actors.settled_activities(connections)
        projector = threading.Thread(target=Projector(cardinal_url).run, args=(stop,))
        projector.start()
        try:
            eventually(lambda: expired(datetime.now(UTC), 10) == [("budget", budget_id(left))])
            assert {*settled(datetime.now(UTC), 10)} == unlaunched
            with working(settings, cardinal_url), closing(open_broker(settings, cardinal_url)) as broker:
                actors.declare_names(broker)
                perform(broker, actors.EXPIRE_RESERVATIONS)
                eventually(lambda: world.budget(left).amounts.reserved == 0)
                assert left not in settled(datetime.now(UTC), 10), "its work order is still executing"
                bank.send(LIN, "withdrawPointsJob", {}, points_jobs.withdraw, job, "too late")
                eventually(lambda: {*settled(datetime.now(UTC), 10)} == {left, *unlaunched})
                assert settled(datetime.now(UTC) - 20 * DAY, 10) == []
                perform(broker, actors.CLOSE_BUDGETS)
                for each in (left, *unlaunched):
                    eventually(lambda each=each: world.budget(each).amounts.is_closed)
            eventually(lambda: settled(datetime.now(UTC), 10) == expired(datetime.now(UTC), 10) == [])
        finally:
            stop.set()
            projector.join()
        assert world.budget(sent).amounts.reserved == 10_00
        assert not world.budget(sent).amounts.is_closed


def perform(broker: Any, actor: str) -> None:
    message = broker.get_actor(actor).message()
    broker.enqueue(message.copy(message_id=str(uuid4())))


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_workers_business_dates_are_those_of_the_setting(cardinal_url: str, zone: str) -> None:
    """LOG-08: at every moment these two zones have different dates."""
    units = ",".join(f"{unit}:{unit}" for unit in sorted(ALL_UNITS))
    given = {"DATABASE_URL": cardinal_url, "CARDINAL_ORG_UNITS": units, "CARDINAL_TIME_ZONE": zone}
    settings = Settings.read(given)
    with pool(cardinal_url, 4) as connections:
        bank = Bank(EventLog(connections))
        desk, orders = Desk(bank), orders_of(bank)
        desk.grant()
        order = orders.approved()
        content = replace(CONTENT, sql=CONTENT.sql.replace(":data_to", ":business_date"))
        orders.schedule(order, desk.approved(content, kind=DefinitionKind.ACTIVITY, work_order=order))
        with working(settings, cardinal_url), closing(open_broker(settings, cardinal_url)) as broker:
            actors.declare_names(broker)
            before = datetime.now(ZoneInfo(zone)).date()
            message = broker.get_actor(actors.START_WORK_ORDER).message(str(order))
            broker.enqueue(message.copy(message_id=str(uuid4())))
            eventually(lambda: orders.state(order).run is not None)
            after = datetime.now(ZoneInfo(zone)).date()
        run = orders.state(order).run
        assert run is not None
        values = {each.name: each.text for each in orders.run(run).parameters}
    assert values["business_date"] in {before.isoformat(), after.isoformat()}


def test_a_process_that_only_enqueues_performs_nothing(settings: Settings, cardinal_url: str) -> None:
    with closing(open_broker(settings, cardinal_url)) as broker:
        actors.declare_names(broker)
        with pytest.raises(AssertionError, match="the worker performs tasks"):
            broker.get_actor(actors.END_DUE_ACTIVITIES).fn()


def test_every_schedule_names_a_task_that_exists(settings: Settings, cardinal_url: str) -> None:
    with closing(open_broker(settings, cardinal_url)) as broker:
        actors.declare_names(broker)
        for schedule in actors.schedules(settings.business_time_zone):
            assert broker.get_actor(schedule.actor)
