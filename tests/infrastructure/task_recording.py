"""Tasks whose deliveries and effects are counted, and what tests of brokers ask of a database."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import dramatiq
import psycopg

from infrastructure import database

ROOT = Path(__file__).parents[2]
MIGRATIONS = sorted((ROOT / "infrastructure/migrations").glob("*_tasks*.sql"))
NAMESPACE = UUID("5f5de0a2-0f3c-4a53-8f0e-2d1b3b2a9a11")
PATIENCE_S = 60.0

ROLE = """
do $$ begin
    create role cardinal_app nologin;
exception when duplicate_object or unique_violation then null;
end $$
"""
SCORE = """
create table delivery (number integer not null);
create table effect (number integer primary key);
grant select, insert on delivery, effect to cardinal_app;
"""


def prepare(url: str) -> None:
    """The tables of tasks and those of the score, and nothing else."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(ROLE)
        for migration in MIGRATIONS:
            owner.execute(migration.read_text().encode())
        owner.execute(SCORE)


def recorder(broker: dramatiq.Broker, url: str, pause_s: float = 0.0) -> None:
    """Declare `record`; its effect is fenced by its number."""

    @dramatiq.actor(broker=broker, max_retries=0)
    def record(number: int) -> None:
        with database.connect(url) as connection:
            connection.execute("insert into delivery values (%s)", [number])
            time.sleep(pause_s)
            connection.execute("insert into effect values (%s) on conflict do nothing", [number])


def task(number: int, broker: dramatiq.Broker, actor: str = "record") -> dramatiq.Message[Any]:
    return broker.get_actor(actor).message(number).copy(message_id=str(uuid5(NAMESPACE, str(number))))


def working(broker: dramatiq.Broker, threads: int = 4) -> dramatiq.Worker:
    worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=threads)
    worker.start()
    return worker


def until(condition: Callable[[], Any]) -> Any:
    deadline_s = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)
    return value


def until_effects(owner: psycopg.Connection[Any], number: int) -> None:
    until(lambda: count(owner, "effect") >= number)


def count(owner: psycopg.Connection[Any], what: str) -> int:
    row = owner.execute(f"select count(*) from {what}").fetchone()
    assert row is not None
    return int(row[0])


def dead_error(owner: psycopg.Connection[Any]) -> str:
    ((error,),) = owner.execute("select error from tasks.dead_message").fetchall()
    return str(error)


def cut_connections(owner: psycopg.Connection[Any]) -> None:
    owner.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
