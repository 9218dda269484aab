"""The log: single-event commands against bare INSERTs, bulk appends against a bare COPY."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import psycopg

from application import catalogues
from application.access import Principal, Role
from application.shared.handler import Handler, Request
from application.shared.records import GENESIS, Context, Write
from bench.rounds import Figure, interleaved
from domain.catalogues import Details, EntryAdded, Kind
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.stored_records import COLUMNS

THREADS = (1, 4, 16)
TARGETS = {1: 0.40, 4: 0.40, 16: 0.35}
COMMANDS = 2_000
BULK_EVENTS = 200_000
STREAMS_PER_THREAD = 20


def figures(url: str) -> Iterator[Figure]:
    yield from single_appends(url)
    yield bulk_append(url)


def single_appends(url: str) -> Iterator[Figure]:
    """Enabling and disabling cost types through the handler: authorised, decided, chained, idempotent."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create table bench_events (like log.events including all)")
        owner.execute("grant all on bench_events to cardinal_app")
    with pool(url, max(THREADS)) as connections:
        handler = Handler(EventLog(connections))
        for threads in THREADS:
            streams = [cost_types(handler) for _ in range(threads)]
            sample = _sample_row(url)
            yield interleaved(
                f"single-event commands, {threads} threads",
                partial(single_commands, handler, threads, streams),
                partial(_inserts, url, threads, sample),
                rounds=7,
                target=TARGETS[threads],
            )


def principal() -> Principal:
    return Principal("bench", frozenset({Role.OPERATOR}), "HO", frozenset({"HO"}))


def cost_types(handler: Handler) -> list[UUID]:
    return [_cost_type(handler, f"B{uuid4().hex[:12].upper()}") for _ in range(STREAMS_PER_THREAD)]


def _cost_type(handler: Handler, code: str) -> UUID:
    details = Details(code, attributes={"accounting_subject": "6601", "unit": "CNY"})
    request = Request(principal(), "addCostType", {"code": code})
    return handler(request, lambda work: catalogues.add(work, Kind.COST_TYPE, code, details, None)).subject


def single_commands(handler: Handler, threads: int, streams: list[list[UUID]]) -> float:
    each = COMMANDS // threads

    def run(mine: list[UUID]) -> None:
        for number in range(each):
            stream = mine[number % len(mine)]
            disable = (number // len(mine)) % 2 == 0
            operation = "disableCostType" if disable else "enableCostType"
            use_case = catalogues.disable if disable else catalogues.enable
            request = Request(principal(), operation, {"id": stream})
            handler(request, partial(use_case, kind=Kind.COST_TYPE, entry_id=stream))

    return rate_of(each * threads, threads, lambda number: run(streams[number]))


def _sample_row(url: str) -> tuple[object, ...]:
    with psycopg.connect(url) as connection:
        columns = ", ".join("data::text" if name == "data" else name for name in COLUMNS)
        row = connection.execute(
            f"select {columns} from log.events where event_type = 'entry.added' limit 1".encode()
        )
        found = row.fetchone()
        assert found is not None
        return found


def bare_append(url: str, clients: int, each: int) -> list[float]:
    """The seconds that each of `clients` × `each` bare INSERTs at once takes."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create table if not exists bench_events (like log.events including all)")
        owner.execute("grant all on bench_events to cardinal_app")
    sample, sql, took = _sample_row(url), _insert(), list[float]()
    counter = iter(range(time.time_ns(), 2**62))

    def run(_: int) -> None:
        row = list(sample)
        with psycopg.connect(url, autocommit=True) as connection:
            for _ in range(each):
                row[0], row[4] = uuid4(), next(counter)
                begun = time.perf_counter()
                connection.execute(sql, row, prepare=True)
                took.append(time.perf_counter() - begun)

    rate_of(clients * each, clients, run)
    return took


def _insert() -> bytes:
    places = ", ".join("%s::json" if name == "data" else "%s" for name in COLUMNS)
    return f"insert into bench_events ({', '.join(COLUMNS)}) values ({places})".encode()


def _inserts(url: str, threads: int, sample: tuple[object, ...]) -> float:
    """The same row over and over, under fresh keys, by psycopg alone."""
    sql, each = _insert(), COMMANDS // threads
    connections = [psycopg.connect(url, autocommit=True) for _ in range(threads)]
    counter = iter(range(time.time_ns(), 2**62))

    def run(number: int) -> None:
        connection, row = connections[number], list(sample)
        for _ in range(each):
            row[0], row[4] = uuid4(), next(counter)
            connection.execute(sql, row, prepare=True)

    rate = rate_of(each * threads, threads, run)
    for connection in connections:
        connection.close()
    return rate


def rate_of(total: int, threads: int, run: Callable[[int], None]) -> float:
    barrier = threading.Barrier(threads + 1)

    def started(number: int) -> None:
        barrier.wait()
        run(number)

    with ThreadPoolExecutor(threads) as workers:
        tasks = [workers.submit(started, number) for number in range(threads)]
        barrier.wait()
        begun = time.perf_counter()
        for task in tasks:
            task.result()
        return total / (time.perf_counter() - begun)


def bulk_append(url: str) -> Figure:
    """200,000 events of as many streams, against COPY of the same rows into a table with the same indexes."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create table bench_copy (like log.events including all)")
        owner.execute("grant all on bench_copy to cardinal_app")
    copied: list[bytes] = []
    with pool(url, 2) as connections:
        log = EventLog(connections)

        def ours() -> float:
            about = bulk_context()
            writes = bulk_writes()
            begun = time.perf_counter()
            log.append_bulk(writes, about)
            took = time.perf_counter() - begun
            copied[:] = [_exported(url, about.command_id)]
            return BULK_EVENTS / took

        return interleaved(
            "bulk append of 200,000 events",
            ours,
            lambda: _copy(url, copied[0]),
            rounds=3,
            target=0.30,
        )


def bulk_context() -> Context:
    id_ = uuid4()
    return Context("bench", None, "HO", id_, id_, None, datetime.now(UTC))


def bulk_writes() -> list[Write]:
    streams = sorted(uuid4() for _ in range(BULK_EVENTS))
    details = Details("A fee of the bench", "with a description of some length", 10, {"unit": "CNY"})
    return [
        Write(stream, "cost_type", 0, GENESIS, [EntryAdded(f"C{number}", replace(details), None)])
        for number, stream in enumerate(streams)
    ]


def _exported(url: str, command_id: UUID) -> bytes:
    parts = []
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        sql = f"copy (select * from log.events where command_id = '{command_id}' order by position) to stdout"
        with cursor.copy(sql.encode()) as copy:
            parts = [bytes(part) for part in copy]
    return b"".join(parts)


def _copy(url: str, text: bytes) -> float:
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("truncate bench_copy")
        begun = time.perf_counter()
        with cursor.copy("copy bench_copy from stdin") as copy:
            copy.write(text)
        return BULK_EVENTS / (time.perf_counter() - begun)
