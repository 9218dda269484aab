"""Fan-out: what one event costs the API process for each of 500 subscribers of the same document."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from websockets.asyncio.client import ClientConnection, connect

from application import catalogues
from application.access import Principal, Role, units_of
from application.shared.approvable import ApprovalPolicy
from application.shared.handler import Handler, Request
from bench.rounds import Figure
from domain.catalogues import Details, Kind
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.projection_runner import Projector

SUBSCRIBERS = 500
EVENTS_PER_S = 20
WARMING_EVENTS = 40
EVENTS = 400
LIMIT_US = 40.0
CONNECTING_AT_ONCE = 50
PATIENCE_S = 60.0
DOCUMENT = "subscription { events { position id type subjectId version actor recordedAt data } }"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def figures(url: str) -> Iterator[Figure]:
    with _projecting(url), _serving(url) as (process, port), pool(url, 2) as connections:
        handler = Handler(EventLog(connections))
        cost_type = _cost_type(handler)
        seconds, is_whole = asyncio.run(_fan_out(handler, cost_type, process.pid, port))
    each_us = seconds * 1e6 / (EVENTS * SUBSCRIBERS)
    name = f"CPU of the API per event and subscriber, {SUBSCRIBERS} subscribers, {EVENTS_PER_S} events/s"
    yield Figure(name, each_us, LIMIT_US, LIMIT_US / each_us, 0, 0, 1.00, "µs")
    yield Figure(
        "of these, who got each event once and in order",
        is_whole,
        SUBSCRIBERS,
        is_whole / SUBSCRIBERS,
        0,
        0,
        1.00,
        "",
    )


async def _fan_out(handler: Handler, cost_type: UUID, pid: int, port: int) -> tuple[float, int]:
    """The CPU seconds of the API process, and how many subscribers got all there was, once and in order."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
    readers = await asyncio.gather(*(_subscribed(port, number, gate) for number in range(SUBSCRIBERS)))
    received = [asyncio.create_task(_received(reader)) for reader in readers]
    await asyncio.to_thread(_write, handler, cost_type, WARMING_EVENTS)
    began = _cpu_s(pid)
    await asyncio.to_thread(_write, handler, cost_type, EVENTS)
    async with asyncio.timeout(PATIENCE_S):
        versions = await asyncio.gather(*received)
    spent = _cpu_s(pid) - began
    for reader in readers:
        await reader.close()
    first = 2  # the cost type was added before
    whole = list(range(first, first + WARMING_EVENTS + EVENTS))
    return spent, sum(each == whole for each in versions)


async def _subscribed(port: int, number: int, gate: asyncio.Semaphore) -> ClientConnection:
    async with gate:
        url = f"ws://127.0.0.1:{port}/graphql"
        socket = await connect(url, subprotocols=["graphql-transport-ws"], compression=None)  # type: ignore[list-item]
        payload = {"authorization": f"Bearer subscriber-{number}"}
        await socket.send(orjson.dumps({"type": "connection_init", "payload": payload}).decode())
        assert orjson.loads(await socket.recv())["type"] == "connection_ack"
        subscribe = {"id": f"s{number}", "type": "subscribe", "payload": {"query": DOCUMENT}}
        await socket.send(orjson.dumps(subscribe).decode())
        await socket.send('{"type":"ping"}')  # whose answer tells that the other was taken
        assert orjson.loads(await socket.recv())["type"] == "pong"
        return socket


async def _received(socket: ClientConnection) -> list[int]:
    versions: list[int] = []
    while len(versions) < WARMING_EVENTS + EVENTS:
        message: dict[str, Any] = orjson.loads(await socket.recv())
        versions.append(message["payload"]["data"]["events"]["version"])
    return versions


def _write(handler: Handler, cost_type: UUID, count: int) -> None:
    begun = time.monotonic()
    for number in range(count):
        operation, use_case = (
            ("disableCostType", catalogues.disable)
            if number % 2 == 0
            else ("enableCostType", catalogues.enable)
        )
        request = Request(_principal("bench"), operation, {"id": cost_type})
        handler(request, partial(use_case, kind=Kind.COST_TYPE, entry_id=cost_type))
        time.sleep(max(0.0, begun + (number + 1) / EVENTS_PER_S - time.monotonic()))


def _cost_type(handler: Handler) -> UUID:
    details = Details("Fee", attributes={"accounting_subject": "6601", "unit": "CNY"})
    request = Request(_principal("bench"), "addCostType", {"code": "FEE"})
    return handler(request, lambda work: catalogues.add(work, Kind.COST_TYPE, "FEE", details, None)).subject


def _principal(user: str) -> Principal:
    roles = frozenset({Role.OPERATOR})
    return Principal(user, roles, "HO", units_of("HO", frozenset({"HO"})))


def _cpu_s(pid: int) -> float:
    """User and system time of a process, in s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


@contextmanager
def _projecting(url: str) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=Projector(url).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _serving(url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The API in a process of its own, with its port."""
    program = [sys.executable, "-m", "bench.fanout", url]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.terminate()


def main(url: str) -> None:
    """Serve the API as in production, but that a token is a name."""
    from api.application import create_app
    from api.listener import listen
    from api.processes import Signals
    from api.server import limited, serve
    from api.wiring import GraphQL
    from infrastructure import logs

    logs.configure("api", "error", "json")
    graphql = GraphQL(url, lambda token: _principal(token or "nobody"), ApprovalPolicy(), lambda: None)
    app = create_app(
        parts=lambda: (),
        metrics=lambda: b"",
        observe=lambda *_: None,
        body_bytes_max=65_536,
        graphql_app=graphql,
        lifespan=graphql.lifespan,
    )
    with Signals() as signals, listen("127.0.0.1", 0) as listener:
        signals.defer()
        print(listener.getsockname()[1], flush=True)
        config = limited(app, connections_max=2 * SUBSCRIBERS, message_bytes_max=65_536)
        serve(config, listener, signals, graphql.end_streams)


if __name__ == "__main__":
    main(*sys.argv[1:])
