"""GraphQL: planned reads against a bare route with one hand-written statement; mutations against appends.

Work orders × 12 fields with 3 nested approvals × 6 fields, 4 connections, one API process with everything on.
"""

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg

from bench.graphql_servers import token
from bench.log import bare_append
from bench.rounds import Figure

CONNECTIONS = 4
ROUNDS = 5
ROUND_S = 2.0
CLIENTS = 8
COMMANDS = 100  # of each client
ORDERS = 2_000
RECEIVED_BYTES = 1 << 20
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ORDER_FIELDS = "id version number name kind orgUnit status priority requester executionAt createdAt remark"
PAGE = f"""query Page($first: Int!) {{ workOrders(first: $first) {{ nodes {{ {ORDER_FIELDS}
    approvals(first: 3) {{ nodes {{ id version status requestedBy requestedAt closedAt }} }} }} }} }}"""
ONE = f"query One($id: ID!) {{ workOrder(id: $id) {{ {ORDER_FIELDS} }} }}"
ADD = """mutation Add($input: AddCostTypeInput!) { addCostType(input: $input) {
    position userErrors { code path } } }"""
FIND = "query Find($code: String!) { costTypes(filter: { code: { eq: $code } }) { nodes { id } } }"
TURN = """mutation Turn($input: EntryInput!) { turned: %sCostType(input: $input) {
    costType { id status } position userErrors { code } } }"""
READ = "query Own($id: ID!) { costType(id: $id) { id status } }"

SEED = """
insert into read.work_orders (id, version, revision, number, kind, org_unit, status, status_since, name,
    activity_id, activity_revision, customer_group_id, customer_group_revision, segmentation_rules,
    execution_at, requester, department_id, department_revision, output_fields, priority, remark, executions,
    created_at, created_by, changed_at, changed_by)
select md5('o' || i)::uuid, 3, 1, 'WO-' || i, 'activity', (array['HO', 'SH', 'SZ'])[i % 3 + 1],
    'approved', at, 'Spring dining 春季 ' || i, md5('a' || i)::uuid, 1, md5('g' || i)::uuid, 1,
    'age > 30', at, 'operator', md5('d')::uuid, 1, array['customer_id'], 'normal', 'as discussed', 0,
    at, 'operator', at, 'operator'
from (select i, timestamptz '2026-01-01Z' + i * interval '1 minute' as at
    from generate_series(1, {orders}) i) n;
insert into read.approvals (id, version, subject_kind, subject_id, subject_label, subject_revision,
    content_hash, org_unit, status, requested_by, makers, requested_at, decide_by, decided_by, decisions,
    closed_at, changed_at)
select md5('p' || i || '.' || k)::uuid, 2, 'work_order', md5('o' || i)::uuid, 'WO-' || i, 1, md5('c' || i),
    (array['HO', 'SH', 'SZ'])[i % 3 + 1], 'approved', 'operator', array['operator'], at, at, array['x'], '[]',
    at, at
from (select i, k, timestamptz '2026-01-01Z' + i * interval '1 minute' + k * interval '1 second' as at
    from generate_series(1, {orders}) i, generate_series(1, 3) k) n
"""


@dataclass(frozen=True)
class Served:
    """A process, where it listens, and the headers of requests to it."""

    pid: int
    port: int
    headers: str

    def request(self, body: Mapping[str, Any]) -> bytes:
        content = orjson.dumps(body)
        head = (
            f"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{self.headers}"
            f"content-length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    def cpu_s(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class Connection:
    """One that is kept alive; it costs the client little."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """The body of the answer, which must be a 200."""
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._some()
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert head.startswith(b"HTTP/1.1 200"), received
        assert length is not None, head
        parts, missing = [body], int(length[1]) - len(body)
        while missing:
            parts.append(self._some())
            missing -= len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        self._socket.close()

    def _some(self) -> bytes:
        received = self._socket.recv(RECEIVED_BYTES)
        assert received, "the server hung up"
        return received


@contextmanager
def api_and_bare(url: str, *statements: str) -> Iterator[tuple[Served, Served]]:
    """The rows, the API and the bare route; `statements` come before the processes start."""
    with psycopg.connect(url, autocommit=True) as owner:
        for statement in (*SEED.format(orders=ORDERS).split(";"), *statements):
            owner.execute(statement.encode())
        owner.execute("vacuum analyze read.work_orders")
        owner.execute("vacuum analyze read.approvals")
    with tempfile.TemporaryDirectory(prefix="cardinal-bench-") as folder:
        home = Path(folder)
        headers = f"authorization: Bearer {token(home)}\r\n"
        with served("ours", url, home) as ours, served("bare", url, home) as bare:
            yield Served(*ours, headers), Served(*bare, "")


def figures(url: str) -> Iterator[Figure]:
    with api_and_bare(url) as (ours, bare):
        for size, rate, cpu in ((50, 0.75, 1.7), (500, 0.60, 1.3)):
            asked = ours.request({"query": PAGE, "variables": {"first": size}})
            name = f"a page of {size} work orders with their approvals"
            yield from _compared(name, (ours, asked), (bare, bare.request({"first": size})), rate, cpu)
        key = first_order(url)
        asked = ours.request({"query": ONE, "variables": {"id": f"wo_{key.hex}"}})
        other = bare.request({"id": str(key)})
        yield from _compared("one work order by id", (ours, asked), (bare, other), 0.60, 1.9)
        with (
            tempfile.TemporaryDirectory(prefix="cardinal-bench-") as folder,
            served("projector", url, Path(folder)),
        ):
            yield from _writing(url, ours)


def _compared(
    name: str, ours: tuple[Served, bytes], bare: tuple[Served, bytes], rate: float, cpu: float
) -> Iterator[Figure]:
    """Requests/s of ours against the bare route's, and the CPU of the two server processes a request."""
    answers = [orjson.loads(Connection(served.port).ask(asked))["data"] for served, asked in (ours, bare)]
    assert answers[0] == answers[1], "the two do not answer the same"
    _loaded(*ours), _loaded(*bare)
    rounds = [(_loaded(*ours), _loaded(*bare)) for _ in range(ROUNDS)]
    rates = sorted(mine.rate / theirs.rate for mine, theirs in rounds)
    cpus = sorted(mine.cpu_us / theirs.cpu_us for mine, theirs in rounds)
    yield Figure(
        f"{name}, against a bare route",
        statistics.median(mine.rate for mine, _ in rounds),
        statistics.median(theirs.rate for _, theirs in rounds),
        statistics.median(rates),
        rates[0],
        rates[-1],
        rate,
        "per s",
    )
    spent = statistics.median(mine.cpu_us for mine, _ in rounds)
    allowed = cpu * statistics.median(theirs.cpu_us for _, theirs in rounds)
    yield Figure(
        f"its CPU a request, at most {cpu} times the bare route's",
        spent,
        allowed,
        cpu / statistics.median(cpus),
        cpu / cpus[-1],
        cpu / cpus[0],
        1.00,
        "µs",
    )


def median_of_rounds(ours: tuple[Served, bytes], other: tuple[Served, bytes]) -> tuple[float, float, float]:
    """Both rates, and the ratio of ours to the other's."""
    _loaded(*ours), _loaded(*other)
    rounds = [(_loaded(*ours).rate, _loaded(*other).rate) for _ in range(ROUNDS)]
    mine, theirs = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    return mine, theirs, statistics.median(one / another for one, another in rounds)


@dataclass(frozen=True)
class Load:
    rate: float
    cpu_us: float


def _loaded(served: Served, asked: bytes) -> Load:
    """One round: each connection asks again as soon as it is answered."""
    before, begun = served.cpu_s(), time.perf_counter()

    def run(_: int) -> int:
        connection, count = Connection(served.port), 0
        while time.perf_counter() - begun < ROUND_S:
            connection.ask(asked)
            count += 1
        connection.close()
        return count

    with ThreadPoolExecutor(CONNECTIONS) as clients:
        count = sum(clients.map(run, range(CONNECTIONS)))
    took = time.perf_counter() - begun
    return Load(count / took, (served.cpu_s() - before) / count * 1e6)


def _writing(url: str, ours: Served) -> Iterator[Figure]:
    """What people wait for: 8 clients, each with a cost type of his own."""
    writes: list[float] = []
    reads: list[float] = []

    def client(number: int) -> None:
        connection = Connection(ours.port)
        given = {
            "code": f"BENCH{number}",
            "name": f"Bench {number}",
            "accountingSubject": "6601",
            "unit": "CNY",
        }
        added = orjson.loads(connection.ask(ours.request({"query": ADD, "variables": {"input": given}})))
        payload = added["data"]["addCostType"]
        assert not payload["userErrors"], payload
        body = {"query": FIND, "variables": {"code": given["code"]}}
        least = {"extensions": {"minPosition": payload["position"]}}
        found = orjson.loads(connection.ask(ours.request({**body, **least})))
        key = found["data"]["costTypes"]["nodes"][0]["id"]
        for turn in range(COMMANDS):
            document = TURN % ("disable" if turn % 2 == 0 else "enable")
            body = {"query": document, "variables": {"input": {"id": key}}}
            answer, took = _timed(connection, ours.request(body))
            assert not answer["turned"]["userErrors"], answer
            writes.append(took)
            least = {"minPosition": answer["turned"]["position"]}
            asked = {"query": READ, "variables": {"id": key}, "extensions": least}
            read, took = _timed(connection, ours.request(asked))
            assert read["costType"]["status"] == ("DISABLED" if turn % 2 == 0 else "ENABLED"), read
            reads.append(took)
        connection.close()

    _at_once(client)
    bare = statistics.median(bare_append(url, CLIENTS, COMMANDS))
    write, read = statistics.median(writes) * 1e3, statistics.median(reads) * 1e3
    allowed = 8 * bare * 1e3
    name = f"p50 of a mutation at {CLIENTS} clients, at most 8 times a bare append's"
    yield Figure(name, write, allowed, allowed / write, 0, 0, 1.00, "ms")
    yield Figure("p50 of reading one's own write", read, 30, 30 / read, 0, 0, 1.00, "ms")


def _timed(connection: Connection, asked: bytes) -> tuple[Any, float]:
    begun = time.perf_counter()
    answer = connection.ask(asked)
    took = time.perf_counter() - begun
    return orjson.loads(answer)["data"], took


def _at_once(run: Callable[[int], None]) -> None:
    barrier = threading.Barrier(CLIENTS)

    def started(number: int) -> None:
        barrier.wait()
        run(number)

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(started, range(CLIENTS)))


def first_order(url: str) -> UUID:
    with psycopg.connect(url) as connection:
        row = connection.execute("select id from read.work_orders order by created_at limit 1").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


@contextmanager
def served(which: str, url: str, home: Path) -> Iterator[tuple[int, int]]:
    """The id and the port of a process that runs within the block; its log goes to a file."""
    program = [sys.executable, "-m", "bench.graphql_servers", which, url, str(home)]
    with (
        (home / f"{which}.log").open("w") as log,
        subprocess.Popen(program, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            assert told, (home / f"{which}.log").read_text()
            yield process.pid, int(told)
        finally:
            process.terminate()
