"""Readiness: which part is not ready is told, without waiting and without telling strangers too much."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from application.access import HEAD_OFFICE
from application.authentication import TokenRefused
from application.sample import load
from application.shared.handler import Handler
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.log_sealer import Sealer
from infrastructure.metrics import Metrics
from infrastructure.projection_runner import Projector
from infrastructure.readiness import Horizon, Part, Readiness
from infrastructure.seal_folder import SealFolder
from infrastructure.seal_keys import SealKeys
from infrastructure.token_keys import TrustedKeys
from infrastructure.tokens import TokenRules, Verifier
from projections.registry import NAMES

WAIT_S = 60


@contextmanager
def looking(url: str, lag_max_s: float = 60, horizon_age_max_s: float = 60) -> Iterator[Readiness]:
    with closing(Readiness(url, NAMES, lag_max_s, horizon_age_max_s)) as readiness:
        readiness.start()
        yield readiness


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.05)


def fault(readiness: Readiness, name: str) -> str | None:
    """What is said of the part; where it is not told of, that."""
    found = {part.name: part.fault for part in readiness.parts()}
    return found.get(name, "not told of")


@pytest.fixture
def looked_at(cardinal_url: str) -> str:
    return cardinal_url


@contextmanager
def projecting(url: str) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=Projector(url).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_before_the_first_look_nothing_is_ready(looked_at: str) -> None:
    parts = Readiness(looked_at, NAMES, 60, 60).parts()
    assert [(part.name, part.fault is None) for part in parts] == [("database", False)]


def test_a_database_that_is_away_is_a_fault_that_names_neither_place_nor_login() -> None:
    with looking("postgresql://cardinal:hunter2@127.0.0.1:1/secret_name") as readiness:
        eventually(lambda: fault(readiness, "database") == "it can't be reached or doesn't answer")
        assert fault(readiness, "migrations") == "not told of"


def test_a_database_without_migrations_or_with_too_few_says_what_to_do(
    database_url: str, looked_at: str
) -> None:
    with looking(database_url) as readiness:
        eventually(lambda: "cardinal migrate" in (fault(readiness, "migrations") or ""))
    with psycopg.connect(looked_at) as connection:
        connection.execute("delete from public.migrations where number = 3")
    with looking(looked_at) as readiness:
        eventually(
            lambda: (fault(readiness, "migrations") or "").startswith("migration 3 has not been applied")
        )
    with psycopg.connect(looked_at) as connection:
        connection.execute("insert into public.migrations values (3, 'x', 'another form')")
    with looking(looked_at) as readiness:
        eventually(lambda: "another version" in (fault(readiness, "migrations") or ""))


def test_projections_are_ready_while_somebody_keeps_them(looked_at: str) -> None:
    with looking(looked_at) as readiness:
        eventually(lambda: "is a projector running?" in (fault(readiness, "projection:activities") or ""))
        with projecting(looked_at):
            eventually(lambda: all(part.fault is None for part in readiness.parts()))
            told = {part.name for part in readiness.parts()}
            projections = {f"projection:{name}" for name in NAMES}
            assert told == {"database", "migrations", "horizon", "seals", "tasks", "ledgers", *projections}
        eventually(lambda: "is a projector running?" in (fault(readiness, "projection:activities") or ""))


def test_a_projection_that_is_behind_is_a_fault_and_its_lag_is_measured(looked_at: str) -> None:
    with pool(looked_at, 2) as connections:
        load(Handler(EventLog(connections)), frozenset({HEAD_OFFICE}))
    with looking(looked_at, lag_max_s=0.5) as readiness, psycopg.connect(looked_at) as holder:
        # Somebody holds the lead and does nothing with it.
        for name in NAMES:
            holder.execute("select pg_advisory_lock(hashtextextended('projection:' || %s, 0))", [name])
        eventually(lambda: "behind the log" in (fault(readiness, "projection:activities") or ""))
        lag_s = {part.name: part.measures.get("lag_s", 0) for part in readiness.parts()}
        assert lag_s["projection:activities"] > 0.5
        assert lag_s["projection:timeline"] > 0.5


def test_what_is_not_sealed_ages_until_it_is(looked_at: str, tmp_path: Path) -> None:
    def unsealed_s() -> float:
        return {part.name: part.measures for part in readiness.parts()}.get("seals", {}).get("unsealed_s", -1)

    with looking(looked_at) as readiness:
        eventually(lambda: unsealed_s() == 0)
        with pool(looked_at, 2) as connections:
            load(Handler(EventLog(connections)), frozenset({HEAD_OFFICE}))
        eventually(lambda: unsealed_s() > 0.2)
        Sealer(looked_at, SealKeys(tmp_path / "keys"), SealFolder(tmp_path / "seals"), 1).seal_all()
        eventually(lambda: unsealed_s() == 0)


def test_a_transaction_that_stays_open_ages_the_horizon(looked_at: str) -> None:
    with looking(looked_at, horizon_age_max_s=1) as readiness, psycopg.connect(looked_at) as holder:
        eventually(lambda: fault(readiness, "horizon") is None)
        holder.execute("select pg_current_xact_id()")
        with psycopg.connect(looked_at) as later:  # without one that ends later nothing is held back
            later.execute("select pg_current_xact_id()")
        eventually(lambda: "has been open for" in (fault(readiness, "horizon") or ""))
        holder.rollback()
        eventually(lambda: fault(readiness, "horizon") is None)


def test_the_horizons_age_is_that_of_the_oldest_open_transaction() -> None:
    horizon = Horizon()
    assert horizon.age_s(100, 100, 0) == 0
    assert horizon.age_s(100, 101, 5) == 5
    assert horizon.age_s(100, 140, 9) == 9
    assert horizon.age_s(120, 150, 11) == 0, "the oldest has ended, the next one is seen for the first time"
    assert horizon.age_s(120, 160, 14) == 3
    assert horizon.age_s(200, 200, 20) == 0


def test_a_database_that_hangs_is_told_after_a_while(looked_at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.readiness.STALE_AFTER_S", 0.5)
    readiness = Readiness(looked_at, NAMES, 60, 60)
    readiness._saw([Part("database")])
    assert fault(readiness, "database") is None
    eventually(lambda: "has not answered" in (fault(readiness, "database") or ""))


def test_metrics_tell_of_requests_appends_lag_and_the_horizon() -> None:
    parts = [
        Part("database"),
        Part("projection:activities", "it is 70 s behind the log", {"lag_s": 70.5, "parked": 2}),
        Part("horizon", None, {"age_s": 1.25}),
        Part("seals", None, {"unsealed_s": 4.5}),
    ]
    metrics = Metrics({"/graphql"}, lambda: parts)
    metrics.observe_request("POST", "/graphql", 200, 0.02)
    metrics.observe_request("BREW", "/made/up", 404, 0.001)
    metrics.observe_request("WEBSOCKET", "/graphql", 0, 3600)
    metrics.count_append()
    verify = metrics.counting(
        Verifier(TrustedKeys({}), TokenRules("the-bank", "cardinal", frozenset())).verify
    )
    for token in (None, "rubbish", None):
        with pytest.raises(TokenRefused):
            verify(token)
    lines = metrics.render().decode().splitlines()
    for expected in (
        'cardinal_http_requests_total{method="POST",path="/graphql",status="200"} 1.0',
        'cardinal_http_requests_total{method="other",path="other",status="404"} 1.0',
        'cardinal_http_requests_total{method="WEBSOCKET",path="/graphql",status="0"} 1.0',
        'cardinal_http_request_duration_seconds_count{path="/graphql"} 1.0',
        "cardinal_appends_total 1.0",
        'cardinal_tokens_refused_total{code="TOKEN_MISSING"} 2.0',
        'cardinal_tokens_refused_total{code="TOKEN_UNTRUSTED"} 1.0',
        'cardinal_ready{part="database"} 1.0',
        'cardinal_ready{part="projection:activities"} 0.0',
        'cardinal_projection_lag_seconds{projection="activities"} 70.5',
        'cardinal_projection_parked_streams{projection="activities"} 2.0',
        "cardinal_log_horizon_age_seconds 1.25",
        "cardinal_log_unsealed_seconds 4.5",
    ):
        assert expected in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
