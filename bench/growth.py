"""Growth: appends, loads, catch-up and lists on a log of 20,000,000 events, against one of 1,000,000.

Both logs lie on one server and are measured in turn. The small one comes by bulk append; the large one is a
copy of it with nineteen more of its kind: the same rows under other ids and positions, each chunk of 10,000 a
transaction as in a bulk. Ids are spread evenly, as those of ledgers are: the worst case for an index.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import psycopg

from application import catalogues
from application.access import Principal, Role
from application.shared.handler import Handler, Request
from application.shared.records import GENESIS, Position, Write
from bench.graphql import ORDER_FIELDS, SEED, Connection, Served, served
from bench.graphql_servers import token
from bench.log import bulk_context, rate_of
from bench.rounds import Figure, interleaved
from domain.catalogues import DECIDERS, Details, EntryAdded, EntryDisabled, EntryEnabled, Kind
from infrastructure.database import pool
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_log import EventLog
from infrastructure.migrate import migrate
from infrastructure.projection_registry import ALL
from infrastructure.projection_runner import Projector

SMALL = 1_000_000
TIMES = 20
LIFE = 4
STREAMS = SMALL // LIFE
ORDERS = SMALL // 20
"""A work order, with its approvals, for each twenty events."""

COMMANDS = 2_000
CLIENTS = 4
LOADS = 4_000
BATCHES = 20
PROJECTED = 50_000
PAGES = 150
ROUNDS = 3
PER_EVENT_MAX = 1.3
MEMORY = {"shared_buffers": "2GB", "max_wal_size": "8GB"}

CHUNK = "epoch = 1 and position between %(chunk)s::bigint << 20 and (%(chunk)s::bigint << 20) + 1048575"
PLACE = "(pg_current_xact_id()::text::bigint << 20) + (position & 1048575)"
COPY_HEADS = f"""
insert into log.heads
select md5(stream_id::text || %(copy)s)::uuid, stream_type, version, hash, epoch, {PLACE}
from log.events where version = {LIFE} and {CHUNK}"""
COPY_EVENTS = f"""
insert into log.events
select md5(stream_id::text || %(copy)s)::uuid, stream_type, version, epoch, {PLACE}, event_type,
       schema_version, md5(event_id::text || %(copy)s)::uuid, recorded_at, effective_at, actor, on_behalf_of,
       org_unit, command_id, correlation_id, causation_id, reason, data, personal, personal_key_id,
       previous_hash, hash
from log.events where {CHUNK}"""
CHUNKS = "select distinct position >> 20 from log.events order by 1"
ENTRIES = """
insert into read.cost_types
select stream_id, 4, 1, 'C' || stream_id, 'A fee of the bench', 'with a description of some length', 10,
       'disabled', '6601', 'CNY', now(), 'bench', now(), 'bench'
from log.heads where stream_type = 'cost_type'"""
START_AT = """
insert into projection.checkpoints (name, epoch, position)
select 'cost_types', epoch, position from log.events order by epoch desc, position desc offset %s limit 1
on conflict (name) do update set epoch = excluded.epoch, position = excluded.position,
    generation = projection.checkpoints.generation + 1"""
IS_DONE = """
select (c.epoch, c.position) >= (select epoch, position from log.events order by 1 desc, 2 desc limit 1)
from projection.checkpoints c where name = 'cost_types'"""
SOME = """
select stream_id from log.heads tablesample system (5) where stream_type = 'cost_type'
order by random() limit %s"""
PLACES = "select epoch, position from log.events tablesample system (1) order by random() limit %s"
COUNT = "select count(*) from log.events"


class World:
    """A log of so many events, its tables, and the API over them."""

    def __init__(self, url: str, api: Served, log: EventLog, orders: int) -> None:
        self._url, self._api, self._log, self._orders = url, api, log, orders
        self._handler = Handler(log)
        self._dice = Random(7)

    def appends(self) -> float:
        """Commands on streams that nobody has touched for long: each is loaded, judged and appended to."""
        each = COMMANDS // CLIENTS
        streams = self._some(SOME, COMMANDS)
        principal = Principal("bench", frozenset({Role.OPERATOR}), "HO", frozenset({"HO"}))

        def run(client: int) -> None:
            for (stream,) in streams[client * each : (client + 1) * each]:
                request = Request(principal, "enableCostType", {"id": stream})
                self._handler(request, partial(catalogues.enable, kind=Kind.COST_TYPE, entry_id=stream))

        return rate_of(COMMANDS, CLIENTS, run)

    def loads(self) -> float:
        """Streams folded from all their events."""
        decider, streams = DECIDERS[Kind.COST_TYPE], self._some(SOME, LOADS)
        begun = time.perf_counter()
        for (stream,) in streams:
            assert self._log.load(decider, stream).version >= LIFE
        return LOADS / (time.perf_counter() - begun)

    def reading(self) -> float:
        """Events a second, decoded, a thousand from each of some places anywhere in the log."""
        places, seen = self._some(PLACES, BATCHES), 0
        begun = time.perf_counter()
        for place in places:
            seen += len(self._log.follow(Position(*place), 1_000))
        return seen / (time.perf_counter() - begun)

    def projecting(self) -> float:
        """The newest events once more by the handler, into tables that have the rows of all."""
        with psycopg.connect(self._url, autocommit=True) as owner:
            owner.execute(START_AT.encode(), [PROJECTED])
            stop = threading.Event()
            projector = Projector(self._url, [tables for tables in ALL if tables.name == "cost_types"])
            thread = threading.Thread(target=projector.run, args=(stop,))
            begun = time.perf_counter()
            thread.start()
            while owner.execute(IS_DONE.encode()).fetchone() != (True,):
                time.sleep(0.02)
            took = time.perf_counter() - begun
            stop.set()
            thread.join()
        return PROJECTED / took

    def lists(self) -> float:
        """Pages of 50 work orders: the first, one from anywhere, and one found by its number."""
        connection = Connection(self._api.port)
        begun = time.perf_counter()
        for _ in range(PAGES):
            number = self._dice.randrange(self._orders)
            since = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
            for filter_ in (
                "",
                f', filter: {{ createdAt: {{ gte: "{since.isoformat()}" }} }}',
                f', filter: {{ number: {{ eq: "WO-{number + 1}" }} }}',
            ):
                query = f"{{ workOrders(first: 50{filter_}) {{ nodes {{ {ORDER_FIELDS} }} }} }}"
                assert b'"WO-' in connection.ask(self._api.request({"query": query}))
        took = time.perf_counter() - begun
        connection.close()
        return 3 * PAGES / took

    def _some(self, sql: str, count: int) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._url) as connection:
            return connection.execute(sql.encode(), [count]).fetchall()


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="cardinal-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with EmbeddedPostgres(home, options=MEMORY) as server:
            _prepare(server)
            with _world(server, home, "small", 1) as small, _world(server, home, "large", TIMES) as large:
                yield from _compared(small, large)


def _compared(small: World, large: World) -> Iterator[Figure]:
    for name, mine, theirs in (
        ("appends to streams anywhere, 4 callers", large.appends, small.appends),
        ("loads of streams anywhere", large.loads, small.loads),
        ("catch-up: events read from anywhere", large.reading, small.reading),
        ("catch-up: events projected by handler", large.projecting, small.projecting),
        ("lists of work orders", large.lists, small.lists),
    ):
        told = f"{name}, {TIMES * SMALL:,} events against {SMALL:,}"
        yield interleaved(told, mine, theirs, rounds=ROUNDS, target=1 / PER_EVENT_MAX)


@contextmanager
def _world(server: EmbeddedPostgres, home: Path, name: str, times: int) -> Iterator[World]:
    url, place = server.url(database=name), home / name
    place.mkdir()
    headers = f"authorization: Bearer {token(place)}\r\n"
    with pool(url, CLIENTS) as connections, served("ours", url, place) as api:
        yield World(url, Served(*api, headers), EventLog(connections), times * ORDERS)


def _prepare(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url(), autocommit=True) as owner:
        owner.execute("create database small template template0")
        migrate(server.url(database="small"))
        with pool(server.url(database="small"), 2) as connections:
            EventLog(connections).append_bulk(_writes(), bulk_context())
        owner.execute("create database large template small")
    with psycopg.connect(server.url(database="large"), autocommit=True) as large:
        large.execute("set synchronous_commit = off")
        chunks = large.execute(CHUNKS).fetchall()
        for copy in range(1, TIMES):
            for (chunk,) in chunks:
                with large.transaction():
                    large.execute(COPY_HEADS.encode(), {"copy": copy, "chunk": chunk}, prepare=True)
                    large.execute(COPY_EVENTS.encode(), {"copy": copy, "chunk": chunk}, prepare=True)
    for name, times in (("small", 1), ("large", TIMES)):
        with psycopg.connect(server.url(database=name), autocommit=True) as owner:
            assert owner.execute(COUNT).fetchone() == (times * SMALL,)
            for statement in (ENTRIES, *SEED.format(orders=times * ORDERS).split(";")):
                owner.execute(statement.encode())
            owner.execute("vacuum analyze")
            owner.execute("checkpoint")


def _writes() -> Iterator[Write]:
    details = Details("A fee of the bench", "with a description of some length", 10, {"unit": "CNY"})
    for number, stream in enumerate(sorted(uuid4() for _ in range(STREAMS))):
        life = [EntryAdded(f"C{number}", details, None), EntryDisabled(), EntryEnabled(), EntryDisabled()]
        yield Write(stream, Kind.COST_TYPE, 0, GENESIS, life)
