"""Sealing against the bulk append that it must keep up with; verifying against the rate that is promised."""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from application.shared.handler import Handler
from bench.log import BULK_EVENTS, bulk_context, bulk_writes, cost_types, single_commands
from bench.rounds import Figure
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.log_sealer import Sealer
from infrastructure.log_verification import verify
from infrastructure.seal_folder import SealFolder
from infrastructure.seal_keys import SealKeys

ROUNDS = 3
PROMISED_PER_S = 90_000.0
CLIENTS = 4
"""With so many at once single appends are fastest."""
SHARES = 5
CORE_PERCENT = 10.0
LEADING = """
select pid from pg_locks where locktype = 'advisory' and granted
and (classid::bigint << 32 | objid::bigint) = hashtextextended('sealer', 0)
"""


def figures(url: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="cardinal-bench-") as folder, pool(url, CLIENTS) as connections:
        seals = SealFolder(Path(folder) / "seals")
        sealer = Sealer(url, SealKeys(Path(folder) / "keys"), seals, 1)
        log = EventLog(connections)
        rounds = [_round(log, sealer) for _ in range(ROUNDS)]
        bulk, sealed = (statistics.median(rates) for rates in zip(*rounds, strict=True))
        ratios = sorted(mine / theirs for theirs, mine in rounds)
        name = f"sealing, against the bulk append of {BULK_EVENTS:,} events"
        yield Figure(name, sealed, bulk, statistics.median(ratios), ratios[0], ratios[-1], 2.0, "per s")
        yield _beside_single_appends(url, log, sealer)
        begun = time.perf_counter()
        report = verify(url, publication=seals)
        rate = report.events / (time.perf_counter() - begun)
        assert report.faults == []
        ratio = rate / PROMISED_PER_S
        name = f"verifying {report.events:,} events: hashes, chains, heads and seals"
        yield Figure(name, rate, PROMISED_PER_S, ratio, ratio, ratio, 1.0, "per s")


def _round(log: EventLog, sealer: Sealer) -> tuple[float, float]:
    """Events a second of the bulk, and of their sealing."""
    writes, context = bulk_writes(), bulk_context()
    begun = time.perf_counter()
    log.append_bulk(writes, context)
    appended = time.perf_counter()
    found = sealer.seal_all()
    took = time.perf_counter() - appended
    assert sum(seal.events for seal in found) == BULK_EVENTS
    return BULK_EVENTS / (appended - begun), BULK_EVENTS / took


def _beside_single_appends(url: str, log: EventLog, sealer: Sealer) -> Figure:
    """The CPU of the sealer's thread and of its server process, while commands come as fast as they can."""
    handler, stop, took = Handler(log), threading.Event(), list[float]()
    streams = [cost_types(handler) for _ in range(CLIENTS)]
    sealer.seal_all()

    def seal() -> None:
        begun = time.thread_time()
        sealer.run(stop)
        took.append(time.thread_time() - begun)

    with psycopg.connect(url, autocommit=True) as owner:
        thread = threading.Thread(target=seal)
        thread.start()
        while (leading := owner.execute(LEADING.encode()).fetchone()) is None:
            time.sleep(0.05)
        before, begun = _cpu_s(leading[0]), time.perf_counter()
        rates = [single_commands(handler, CLIENTS, streams) for _ in range(SHARES)]
        passed, served = time.perf_counter() - begun, _cpu_s(leading[0]) - before
        stop.set()
        thread.join()
    percent = 100 * (took[0] + served) / passed
    ratio = CORE_PERCENT / percent
    name = f"sealing beside {statistics.median(rates):,.0f} single appends per s"
    return Figure(name, percent, CORE_PERCENT, ratio, ratio, ratio, 1.0, "% of a core")


def _cpu_s(process: int) -> float:
    with open(f"/proc/{process}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
