"""Schedules fire each time once, whatever dies, and keep to the clock of their zone."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dramatiq
import psycopg
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import Middleware, MiddlewareError
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.postgres_broker import PostgresBroker
from infrastructure.schedules import Schedule, Scheduler, latest_fire, next_fire

ROOT = Path(__file__).parents[2]
MIGRATIONS = sorted((ROOT / "infrastructure/migrations").glob("*_tasks*.sql"))
PATIENCE_S = 60.0
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
NIGHTLY = Schedule("nightly", "30 2 * * *", "Europe/Berlin", "report", {"kind": "cards"})
EACH_MINUTE = Schedule("each minute", "* * * * *", "UTC", "report", {"kind": "cards"})

ROLE = """
do $$ begin
    create role cardinal_app nologin;
exception when duplicate_object or unique_violation then null;
end $$
"""
CUT_OTHER_CONNECTIONS = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
CLOCK = "create table clock (reading timestamptz not null); grant select on clock to cardinal_app"


class Clock:
    def __init__(self) -> None:
        self.reading = START

    def __call__(self) -> datetime:
        return self.reading


@pytest.fixture
def url(database_url: str) -> str:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(ROLE)
        for migration in MIGRATIONS:
            owner.execute(migration.read_text().encode())
    return database_url


@pytest.fixture
def owner(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


@pytest.fixture
def broker(url: str) -> Iterator[PostgresBroker]:
    broker = PostgresBroker(url)
    dramatiq.actor(broker=broker)(report)
    yield broker
    broker.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scheduler(url: str, broker: PostgresBroker, clock: Clock) -> Iterator[Scheduler]:
    scheduler = Scheduler(url, broker, now=clock, poll_s=0.02)
    yield scheduler
    scheduler.close()


def report(kind: str) -> None:
    """The actor of all schedules here."""
    assert kind


def rows(owner: psycopg.Connection[Any], query: str) -> list[Any]:
    return owner.execute(query.encode()).fetchall()


def next_at(owner: psycopg.Connection[Any], name: str = "nightly") -> datetime:
    ((found,),) = owner.execute("select next_at from tasks.schedule where name = %s", [name]).fetchall()
    assert isinstance(found, datetime)
    return found


def fired(owner: psycopg.Connection[Any]) -> list[datetime]:
    return [row[0] for row in rows(owner, "select fire_at from tasks.schedule_run order by fire_at")]


def until(condition: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)


def local_times(cron: str, after: datetime, days: int) -> list[str]:
    """The fires of some days as the clocks of Berlin show them, with the offset from UTC."""
    times, end = [], after + timedelta(days=days)
    at = next_fire(cron, "Europe/Berlin", after)
    while at is not None and at < end:
        times.append(at.astimezone(BERLIN).strftime("%d %H:%M %z"))
        at = next_fire(cron, "Europe/Berlin", at)
    return times


def start_scheduler(url: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, __file__, url], env=environment, stderr=subprocess.DEVNULL)


def test_killed_schedulers_leave_no_gap_and_no_double(
    url: str, scheduler: Scheduler, owner: psycopg.Connection[Any]
) -> None:
    names, minutes, chance = [f"schedule {n}" for n in range(100)], 15, random.Random(20260302)
    owner.execute(CLOCK)
    owner.execute("insert into clock values (%s)", [START])
    scheduler.ensure([replace(EACH_MINUTE, name=name) for name in names])
    processes = [start_scheduler(url), start_scheduler(url)]
    try:
        for minute in range(1, minutes + 1):
            owner.execute("update clock set reading = %s", [START + timedelta(minutes=minute)])
            time.sleep(chance.random() / 8)
            victim = chance.randrange(len(processes))
            processes[victim].kill()
            processes[victim].wait()
            processes[victim] = start_scheduler(url)
            until(lambda: not rows(owner, "select from tasks.schedule, clock where next_at <= reading"))
    finally:
        for process in processes:
            process.kill()
            process.wait()

    runs = rows(owner, "select schedule, fire_at from tasks.schedule_run where fire_at = due_at")
    expected = {(name, START + timedelta(minutes=n + 1)) for name in names for n in range(minutes)}
    assert len(runs) == len(expected)
    assert set(runs) == expected
    sent = rows(owner, "select message_id from tasks.message order by 1")
    assert sent == rows(owner, "select message_id from tasks.schedule_run order by 1")


def test_run_task_and_next_time_are_one_transaction(
    broker: PostgresBroker, scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    seen_before_commit: list[int] = []

    class Full(Middleware):
        def before_enqueue(self, *_: Any) -> None:
            if full:
                raise MiddlewareError("no more today")

        def after_enqueue(self, *_: Any) -> None:
            seen_before_commit.append(len(rows(owner, "select from tasks.message")))

    full = True
    broker.add_middleware(Full())
    scheduler.ensure([EACH_MINUTE])
    clock.reading += timedelta(minutes=1)
    with pytest.raises(MiddlewareError):
        scheduler.tick()
    assert fired(owner) == []
    assert next_at(owner, EACH_MINUTE.name) == clock.reading

    full = False
    assert scheduler.tick() == 1
    assert fired(owner) == [clock.reading]
    assert next_at(owner, EACH_MINUTE.name) == clock.reading + timedelta(minutes=1)
    assert seen_before_commit == [0]
    assert len(rows(owner, "select from tasks.message")) == 1


def test_times_missed_fire_once_for_the_latest(
    scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    scheduler.ensure([NIGHTLY])
    first_due = next_at(owner)
    clock.reading += timedelta(days=10)
    assert scheduler.tick() == 1
    assert scheduler.tick() == 0

    latest = datetime(2026, 3, 12, 2, 30, tzinfo=BERLIN)
    assert rows(owner, "select due_at, fire_at, fired_at from tasks.schedule_run") == [
        (first_due, latest, clock.reading)
    ]
    assert next_at(owner) == latest + timedelta(days=1)


def test_the_actor_gets_payload_schedule_and_time(
    scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    scheduler.ensure([EACH_MINUTE])
    clock.reading += timedelta(minutes=1)
    scheduler.tick()
    ((body,),) = rows(owner, "select convert_from(body, 'UTF8') from tasks.message")
    message = json.loads(body)
    assert message["kwargs"] == {"kind": "cards"}
    assert message["options"] == {"schedule": "each minute", "fire_at": "2026-03-02T08:01:00+00:00"}


def test_ensuring_what_is_there_changes_nothing(
    scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    everything = "select s.*, s.xmin from tasks.schedule s order by name"
    scheduler.ensure([NIGHTLY, EACH_MINUTE])
    before = rows(owner, everything)
    clock.reading += timedelta(days=3)
    scheduler.ensure([EACH_MINUTE, NIGHTLY])
    assert rows(owner, everything) == before


def test_processes_that_start_together_may_ensure_the_same_schedules(
    url: str, broker: PostgresBroker, owner: psycopg.Connection[Any]
) -> None:
    schedules = [replace(EACH_MINUTE, name=f"schedule {n}") for n in range(50)]
    failures: list[Exception] = []

    def ensure(seed: int) -> None:
        scheduler = Scheduler(url, broker)
        try:
            scheduler.ensure(random.Random(seed).sample(schedules, len(schedules)))
        except Exception as error:
            failures.append(error)
        scheduler.close()

    threads = [threading.Thread(target=ensure, args=[seed]) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(rows(owner, "select from tasks.schedule")) == 50


def test_a_new_time_counts_from_now_and_a_new_payload_keeps_the_time(
    scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    scheduler.ensure([NIGHTLY])
    due = next_at(owner)
    clock.reading = due + timedelta(hours=1)
    scheduler.ensure([replace(NIGHTLY, payload={"kind": "points"})])
    assert next_at(owner) == due, "what is due stays due"

    scheduler.ensure([replace(NIGHTLY, cron="0 5 * * *")])
    assert next_at(owner) == datetime(2026, 3, 3, 5, 0, tzinfo=BERLIN)


def test_a_stopped_schedule_does_not_fire_and_starts_from_now(
    scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    scheduler.ensure([NIGHTLY])
    scheduler.ensure([replace(NIGHTLY, enabled=False)])
    clock.reading += timedelta(days=5)
    assert scheduler.tick() == 0
    scheduler.ensure([NIGHTLY])
    assert scheduler.tick() == 0
    assert next_at(owner) == datetime(2026, 3, 8, 2, 30, tzinfo=BERLIN)


def test_a_withdrawn_schedule_is_gone_and_its_runs_stay(
    scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    scheduler.ensure([EACH_MINUTE])
    clock.reading += timedelta(minutes=1)
    scheduler.tick()
    assert scheduler.withdraw(EACH_MINUTE.name)
    assert not scheduler.withdraw(EACH_MINUTE.name)
    clock.reading += timedelta(minutes=1)
    assert scheduler.tick() == 0
    assert len(fired(owner)) == 1


def test_a_schedule_that_cannot_fire_is_parked_and_holds_up_no_other(
    scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    foreign = replace(EACH_MINUTE, name="of another version")
    scheduler.ensure([NIGHTLY, EACH_MINUTE, foreign])
    owner.execute(
        "update tasks.schedule set time_zone = 'Europe/Atlantis', next_at = '2026-03-02'"
        " where name = 'nightly'"
    )
    owner.execute("update tasks.schedule set actor = 'unknown here' where name = 'of another version'")
    clock.reading += timedelta(minutes=1)
    assert scheduler.tick() == 2
    assert scheduler.tick() == 0
    assert rows(owner, "select schedule from tasks.schedule_run") == [("each minute",)]
    assert rows(owner, "select name from tasks.schedule where fault like '%Atlantis%'") == [("nightly",)]

    scheduler.ensure([NIGHTLY])
    assert rows(owner, "select name from tasks.schedule where fault is not null") == []


def test_schedules_need_a_known_actor(scheduler: Scheduler, owner: psycopg.Connection[Any]) -> None:
    with pytest.raises(ActorNotFound):
        scheduler.ensure([EACH_MINUTE, replace(EACH_MINUTE, name="other", actor="nobody")])
    assert rows(owner, "select from tasks.schedule") == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "n" * 201},
        {"cron": "* * * *"},
        {"cron": "0 30 2 * * *"},
        {"cron": "61 * * * *"},
        {"cron": "0 0 31 2 *"},
        {"cron": "1," * 200 + "1 * * * *"},
        {"time_zone": "Europe/Atlantis"},
        {"time_zone": "../etc/passwd"},
        {"time_zone": "Europe"},
        {"payload": {"when": START}},
        {"payload": {"rate": float("nan")}},
        {"payload": {"text": "\0"}},
        {"payload": {"text": "x" * 70_000}},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        replace(NIGHTLY, **change)


def test_the_loop_goes_on_when_its_connection_was_cut(
    scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    scheduler.ensure([EACH_MINUTE])
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run, args=[stop], daemon=True)
    thread.start()
    for minute in (1, 2):
        clock.reading = START + timedelta(minutes=minute)
        until(lambda: clock.reading in fired(owner))
        owner.execute(CUT_OTHER_CONNECTIONS)
    stop.set()
    thread.join()


def test_old_runs_are_forgotten_in_chunks(
    scheduler: Scheduler, clock: Clock, owner: psycopg.Connection[Any]
) -> None:
    owner.execute(
        "insert into tasks.schedule_run select 'old', t, t, t, gen_random_uuid()"
        " from (select %s::timestamptz - interval '80 days' - interval '1 hour' * n as t"
        " from generate_series(1, 1740) n) times",
        [clock.reading],
    )
    assert [scheduler.purge() for _ in range(3)] == [1000, 500, 0]
    assert min(fired(owner)) == START - timedelta(days=90)


def test_another_broker_gets_the_task_under_the_same_id(
    url: str,
    scheduler: Scheduler,
    clock: Clock,
    owner: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LOG-08: also when the commit fails after it was sent"""
    stub = StubBroker()
    dramatiq.actor(broker=stub)(report)
    scheduler.ensure([EACH_MINUTE])
    clock.reading += timedelta(minutes=1)
    other, enqueue = Scheduler(url, stub, now=clock), stub.enqueue

    def cut_off(message: dramatiq.Message[Any], **more: Any) -> None:
        enqueue(message, **more)
        raise ConnectionError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(stub, "enqueue", cut_off)
        with pytest.raises(ConnectionError):
            other.tick()
    assert fired(owner) == []
    assert other.tick() == 1
    other.close()
    sent = [dramatiq.Message.decode(stub.queues["default"].get()).message_id for _ in range(2)]
    assert [(sent[0],)] == [(sent[1],)] == rows(owner, "select message_id::text from tasks.schedule_run")


def test_a_time_that_the_clock_jumps_over_fires_after_the_jump() -> None:
    eve = datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN)
    assert local_times("30 2 * * *", eve, 2) == ["29 03:00 +0200", "30 02:30 +0200"]
    assert local_times("0,30 2 * * *", eve, 1) == ["29 03:00 +0200"], "two that fall together are one"


def test_a_time_that_the_clock_shows_twice_fires_at_the_first() -> None:
    eve = datetime(2026, 10, 24, 12, 0, tzinfo=BERLIN)
    assert local_times("30 2 * * *", eve, 2) == ["25 02:30 +0200", "26 02:30 +0100"]


def test_within_the_repeated_hour_nothing_fires_again() -> None:
    second_pass = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)
    assert second_pass.astimezone(BERLIN).strftime("%H:%M %z") == "02:15 +0100"
    tonight, tomorrow = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert next_fire("30 2 * * *", "Europe/Berlin", second_pass) == tomorrow
    assert latest_fire("30 2 * * *", "Europe/Berlin", second_pass) == tonight


def test_what_runs_by_the_quarter_goes_by_elapsed_time_through_both_changes() -> None:
    for change in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        assert len(local_times("*/15 * * * *", change - timedelta(seconds=1), 1)) == 96


def test_a_nightly_schedule_fires_once_on_every_date() -> None:
    times = local_times("30 2 * * *", datetime(2024, 1, 1, tzinfo=BERLIN), 3 * 365)
    assert len(times) == 3 * 365
    dates, at = [], datetime(2024, 1, 1, tzinfo=UTC)
    for _ in range(3 * 365):
        at = next_fire("30 2 * * *", "Europe/Berlin", at) or at
        dates.append(at.astimezone(BERLIN).date())
    assert dates == [date(2024, 1, 1) + timedelta(days=n) for n in range(3 * 365)]


CRONS = ["30 2 * * *", "0 3 * * *", "0,30 1-3 * * *", "*/20 * * * *", "30 * * * *", "0 2 * * 0", "15 2 L * *"]
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Asia/Shanghai",
    "UTC",
]
CHANGES_UTC = ["03-29 01:00", "10-25 01:00", "03-08 07:00", "11-01 06:00", "04-04 15:00", "10-03 15:30"]
near_a_change = st.builds(
    lambda change, seconds: datetime.fromisoformat(f"2026-{change}:00+00:00") + timedelta(seconds=seconds),
    st.sampled_from(CHANGES_UTC),
    st.integers(-5 * 3600, 5 * 3600),
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(CRONS), st.sampled_from(ZONES), near_a_change)
def test_next_and_latest_agree_around_every_change_of_the_clock(cron: str, zone: str, now: datetime) -> None:
    coming, gone = next_fire(cron, zone, now), latest_fire(cron, zone, now)
    assert coming is not None
    assert gone is not None
    assert gone <= now < coming
    assert next_fire(cron, zone, gone) == coming
    assert latest_fire(cron, zone, coming) == coming


def serve(url: str) -> None:
    """The scheduler process that the drill kills; its time is in the table ``clock``."""
    broker = PostgresBroker(url)
    dramatiq.actor(broker=broker)(report)
    clock = psycopg.connect(url, autocommit=True)

    def now() -> datetime:
        ((reading,),) = clock.execute("select reading from clock").fetchall()
        assert isinstance(reading, datetime)
        return reading

    Scheduler(url, broker, now=now, poll_s=0.02).run(threading.Event())


if __name__ == "__main__":
    serve(sys.argv[1])
