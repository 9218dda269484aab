"""Sealing against the bulk append that it must keep up with; verifying against the rate that is promised."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.log import BULK_EVENTS, bulk_context, bulk_writes
from bench.rounds import Figure
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.log_sealer import Sealer
from infrastructure.log_verification import verify
from infrastructure.seal_folder import SealFolder
from infrastructure.seal_keys import SealKeys

ROUNDS = 3
PROMISED_PER_S = 90_000.0


def figures(url: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="cardinal-bench-") as folder, pool(url, 2) as connections:
        seals = SealFolder(Path(folder) / "seals")
        sealer = Sealer(url, SealKeys(Path(folder) / "keys"), seals, 1)
        log = EventLog(connections)
        rounds = [_round(log, sealer) for _ in range(ROUNDS)]
        bulk, sealed = (statistics.median(rates) for rates in zip(*rounds, strict=True))
        ratios = sorted(mine / theirs for theirs, mine in rounds)
        name = f"sealing, against the bulk append of {BULK_EVENTS:,} events"
        yield Figure(name, sealed, bulk, statistics.median(ratios), ratios[0], ratios[-1], 2.0, "per s")
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
