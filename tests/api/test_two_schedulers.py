"""Two schedulers and two workers as `cardinal` starts them, on one database: each due time gives one run."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from application.activities import Chosen
from domain.run_schedules import RunScheduleFired, ScheduledTimeLeftOut
from domain.segment_definitions import DefinitionKind
from domain.timeframes import Frequency, FrequencyKind
from domain.work_order_contents import DataTimeframe
from domain.work_order_executions import ExecutionStarted
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.api.cardinal_process import ROOT, bare_environment, eventually
from tests.application.bank import ALL_UNITS, DAY, Bank
from tests.application.orders import Orders, orders_of
from tests.application.scheduled_world import ScheduledWorld
from tests.application.segments import Desk
from tests.application.small_warehouse import SmallEngine

ROUNDS = 3
DEFINITIONS, ORDERS, GROUPS, DAYS = 3, 3, 2, 3
FEBRUARY = DataTimeframe(date(2026, 2, 1), date(2026, 3, 1))


@dataclass
class Roles:
    """Processes of one installation, each ended with the block."""

    home: Path
    url: str
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, role: str) -> "subprocess.Popen[bytes]":
        units = ",".join(f"{unit}:{unit}" for unit in sorted(ALL_UNITS))
        given = {"DATABASE_URL": self.url, "CARDINAL_ORG_UNITS": units, "CARDINAL_LOG_LEVEL": "error"}
        process = subprocess.Popen(
            [sys.executable, "-m", "api.main", role],
            cwd=ROOT,
            env=bare_environment(self.home, given),
            stdin=subprocess.DEVNULL,
        )
        self.running.append(process)
        return process

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)


@contextmanager
def roles(home: Path, url: str) -> Iterator[Roles]:
    started = Roles(home, url)
    try:
        yield started
    finally:
        for process in started.running:
            process.kill()
        for process in started.running:
            process.wait(30)


@dataclass
class Business:
    """What falls due, made by people; `bank.now` is set back where something is to be due at once."""

    bank: Bank
    orders: Orders
    world: ScheduledWorld
    desk: Desk

    def ordered(self, due_at: datetime) -> UUID:
        """A work order that is scheduled for then."""
        given = {"execution_at": due_at, "data_timeframe": FEBRUARY}
        order = self.orders.approved(activity=Chosen(self.orders.activity), **given)
        definition = self.desk.approved(kind=DefinitionKind.ACTIVITY, work_order=order)
        self.orders.schedule(order, definition)
        return order

    def of(self, stream: UUID, event: type) -> list[Any]:
        return [each for each in self.bank.events(stream) if isinstance(each, event)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    warehouse = Warehouse(home / "warehouse", sorted(ALL_UNITS))
    warehouse.generate(date(2026, 3, 1), SampleSize(300, 1_000))
    return home


@pytest.fixture
def business(cardinal_url: str, tmp_path: Path) -> Iterator[Business]:
    with pool(cardinal_url, 4) as connections:
        bank = Bank(EventLog(connections), now=datetime.now(UTC))
        orders, desk = _orders(bank), Desk(bank)
        desk.grant()
        yield Business(bank, orders, ScheduledWorld(bank, SmallEngine(tmp_path)), desk)


def _orders(bank: Bank) -> Orders:
    """Of an activity that runs now."""
    began = bank.now
    plan = bank.plan

    def of_today(type_: UUID, *cost_types: UUID, **changes: Any) -> Any:
        return plan(type_, *cost_types, **{"starts_at": began, "ends_at": began + 30 * DAY, **changes})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bank, "plan", of_today, raising=False)
        return orders_of(bank)


@pytest.mark.drill
def test_each_due_time_of_orders_definitions_and_groups_gives_one_run(
    business: Business, home: Path, cardinal_url: str
) -> None:
    """WO-04, LOG-08, SEG-07: in several rounds, while schedulers are killed and come again."""
    with ExitStack() as opened:
        installation = opened.enter_context(roles(home, cardinal_url))
        schedulers = [installation.start("scheduler") for _ in range(2)]
        for _ in range(2):
            installation.start("worker")
        definitions = [business.desk.approved() for _ in range(DEFINITIONS)]
        orders: list[UUID] = []
        schedules: list[UUID] = []
        for number in range(ROUNDS):
            now = datetime.now(UTC)
            business.bank.now = now
            due_at = now + timedelta(seconds=4)
            orders += [business.ordered(due_at) for _ in range(ORDERS)]
            schedules = [_due(business, definition, number) for definition in definitions]
            groups = [_launched(business, now) for _ in range(GROUPS)]
            if number:  # the one that leads, or the one that waits
                installation.kill(schedulers.pop(number % 2))
                schedulers.append(installation.start("scheduler"))
            eventually(_done(business, orders, schedules, groups, number + 1), "all is done", 60)
            for group in groups:
                fired = business.of(group, RunScheduleFired)
                assert [each.due_at for each in fired] == sorted({each.due_at for each in fired})
        time.sleep(1)  # what would come twice has the time to
    for order in orders:
        assert len(business.of(order, ExecutionStarted)) == 1
    for schedule in schedules:
        fired = business.of(schedule, RunScheduleFired)
        assert len({each.due_at for each in fired}) == len(fired) == ROUNDS
        assert business.of(schedule, ScheduledTimeLeftOut) == []
    assert _requested(cardinal_url) == {
        "segment_run.requested": ORDERS * ROUNDS + DEFINITIONS * ROUNDS,
        "group_extraction.requested": GROUPS * DAYS * ROUNDS,
        "group_extraction.membership_recorded": GROUPS * DAYS * ROUNDS,
    }


def _due(business: Business, definition: UUID, number: int) -> UUID:
    """Set for a time of the last hour that nobody has done yet: another one in each round."""
    business.bank.now = datetime.now(UTC) - timedelta(hours=1)
    minute = (business.bank.now + timedelta(minutes=10 + number)).astimezone(business.bank.zone)
    schedule = business.world.set_schedule(definition, Frequency(FrequencyKind.DAILY, at=f"{minute:%H:%M}"))
    business.bank.now = datetime.now(UTC)
    return schedule


def _launched(business: Business, now: datetime) -> UUID:
    """The schedule of a group that was missed on the last three days."""
    business.bank.now = now - DAYS * DAY
    at = (now - timedelta(minutes=5)).astimezone(business.bank.zone)
    frequency = Frequency(FrequencyKind.DAILY, at=f"{at:%H:%M}")
    period = {"starts_at": business.bank.now, "ends_at": business.bank.now + 30 * DAY}
    schedule = business.world.schedule_of(business.world.launched(frequency, **period))
    business.bank.now = now
    return schedule


def _done(
    business: Business, orders: list[UUID], schedules: list[UUID], groups: list[UUID], rounds: int
) -> Callable[[], bool]:
    def all_done() -> bool:
        return (
            all(business.orders.state(order).run is not None for order in orders)
            and all(len(business.of(each, RunScheduleFired)) >= rounds for each in schedules)
            and all(not business.desk.run(each).is_live for each in _runs(business, schedules))
            and all(len(business.of(each, RunScheduleFired)) >= DAYS for each in groups)
            and all(business.world.schedule(each).live is None for each in groups)
        )

    return all_done


def _runs(business: Business, schedules: list[UUID]) -> list[UUID]:
    return [fired.run for each in schedules for fired in business.of(each, RunScheduleFired)]


def _requested(url: str) -> Counter[str]:
    """How often what was requested in the whole log."""
    sql = """select event_type from log.events where event_type in
        ('segment_run.requested', 'group_extraction.requested', 'group_extraction.membership_recorded')"""
    with psycopg.connect(url) as connection:
        return Counter(name for (name,) in connection.execute(sql).fetchall())
