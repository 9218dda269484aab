"""A house with a warehouse, a result and customers who are erased; its processes may be killed anywhere."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import duckdb

from application import erasures
from application.access import Role
from application.processes.erasing import ErasureDesk
from application.shared.handler import Handler
from domain.erasures import DECIDER, Erasure, PersonKind
from infrastructure.database import pool
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.event_log import EventLog
from infrastructure.person_keys import PersonKeys
from infrastructure.person_traces import HousePersonTraces
from infrastructure.result_sets import ResultSets
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.application.bank import ALL_UNITS, TAN, Bank, person
from tests.infrastructure.queries import query

ADMIN = person("zhao", Role.ADMINISTRATOR)
TODAY = date(2026, 3, 1)
UNITS = tuple(sorted(ALL_UNITS))
GIVEN = "select customer_id, mobile, birth_year from customers"
BY_CARD = "select card_token, customer_id as holder from cards"


class World:
    """One process's view of it."""

    def __init__(self, url: str, home: Path, keys: PersonKeys, connections: Any) -> None:
        self.home, self.keys = home, keys
        self.bank = Bank(EventLog(connections))
        self.warehouse = Warehouse(home / "warehouse", UNITS, keys.erased_customers)
        self.results = ResultSets(home / "results")
        self.engine = DuckDBEngine(self.warehouse, home / "results")
        self.traces = HousePersonTraces(url, connections, keys, self.warehouse, self.results)
        self.desk = ErasureDesk(self.bank.handler, keys, self.traces, ALL_UNITS)

    def begin(self, customers: int = 60) -> UUID:
        """A warehouse, and the result of one run over it."""
        self.warehouse.generate(TODAY, SampleSize(customers, customers * 5))
        return self.run(GIVEN, "customer_id *mobile birth_year")

    def run(self, sql: str, outputs: str) -> UUID:
        run = uuid4()
        self.engine.run(run, query(sql, outputs, units=UNITS), lambda _: None, lambda: False)
        return run

    def asked(self, person: str, kind: PersonKind = PersonKind.CUSTOMER) -> UUID:
        return self.bank.send(
            ADMIN, "requestErasure", {}, erasures.request, self.keys, kind, person, "he asked for it"
        ).subject

    def allowed(self, person: str, kind: PersonKind = PersonKind.CUSTOMER) -> UUID:
        erasure = self.asked(person, kind)
        approval = self.state(erasure).approval
        assert approval is not None
        self.bank.approve(approval, by=TAN)
        return erasure

    def state(self, erasure: UUID) -> Erasure:
        return self.bank.log.load(DECIDER, erasure).state

    def found(self, *values: str) -> set[str]:
        """Those of the values that stand in any Parquet file or text below the home."""
        found = set()
        with duckdb.connect() as connection:
            for path in sorted(self.home.rglob("*")):
                if path.suffix == ".parquet":
                    text = str(connection.execute(f"select * from read_parquet('{path}')").fetchall())
                else:
                    text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
                found |= {value for value in values if value in text}
        return found


@contextmanager
def opened(url: str, home: Path, keys: PersonKeys) -> Iterator[World]:
    with pool(url, 4) as connections:
        yield World(url, home, keys, connections)


def customers(world: World, count: int) -> list[tuple[str, tuple[str, ...]]]:
    """Numbers of customers who have cards, with what else names each."""
    with duckdb.connect() as connection:
        place = world.warehouse.snapshot()
        assert place is not None
        rows = connection.execute(
            f"select distinct customer_id from read_parquet('{place.folder}/cards.parquet') order by 1"
        ).fetchmany(count)
    return [(number, world.warehouse.names_of(number)) for (number,) in rows]


def killed_at(step: int) -> Callable[[], None]:
    """Called, it has this process killed at the `step`th of the moments around what lasts."""
    seen = [0]

    def around(owner: Any, name: str) -> None:
        inner = getattr(owner, name)

        def outer(*given: Any, **named: Any) -> Any:
            _tick()
            done = inner(*given, **named)
            _tick()
            return done

        setattr(owner, name, outer)

    def _tick() -> None:
        if seen[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)
        seen[0] += 1

    def armed() -> None:
        for owner, name in (
            (os, "replace"),
            (os, "rename"),
            (shutil, "rmtree"),
            (PersonKeys, "erase"),
            (HousePersonTraces, "fold_anew"),
            (Handler, "__call__"),
        ):
            around(owner, name)

    return armed
