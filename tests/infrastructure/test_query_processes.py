"""Processes of queries: they end when they must, take no more than they may, and nobody else with them."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.messages import message
from application.shared.engines import Parameter, Query, RunCancelled, RunFailed, RunFailure, SqlRefusal
from domain.shared.refusal import Refused
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.duckdb_session import EngineLimits
from infrastructure.durable_files import try_held
from infrastructure.query_processes import HOST, QueryProcesses, Tell
from infrastructure.warehouse import Warehouse
from tests.infrastructure.queries import query
from tests.infrastructure.test_duckdb_engine import ENDLESS, HEAVY, left, run, warehouse

__all__ = ["warehouse"]

MB = 2**20
STOP_S = 2.0

_context = multiprocessing.get_context("forkserver")


# --- What queries' processes do in these tests ------------------------------


def own_id(_: Tell) -> int:
    return os.getpid()


def sleep(seconds: float, tell: Tell) -> None:
    tell(1)
    time.sleep(seconds)


def compute(tell: Tell) -> None:
    """Holds the interpreter's lock, as the parser does."""
    tell(1)
    sum(range(10**12))


def die(_: Tell) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def grow(_: Tell) -> int:
    return len(bytearray(2**30))


def slip(_: Tell) -> None:
    raise AssertionError("a fault of ours")


def refuse(_: Tell) -> None:
    raise Refused.because(SqlRefusal.SQL_SYNTAX, "sql", line="3")


# --- Of any work ------------------------------------------------------------


def perform(call: Callable[..., Any], *arguments: object, **watched: Any) -> Any:
    limits = {"memory_bytes": 1024 * MB, "time_s": 60.0}
    return QueryProcesses(1).perform(call, *arguments, **{**limits, **watched})


def forks() -> list[str]:
    """The processes that the host has made and that are there yet."""
    host = HOST._process
    assert host is not None
    return Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()


def are_all_gone() -> bool:
    """Whether they are gone within two seconds."""
    until = time.monotonic() + STOP_S
    while forks() and time.monotonic() < until:
        time.sleep(0.01)
    return not forks()


def test_each_query_has_a_process_of_its_own() -> None:
    processes = {perform(own_id) for _ in range(3)}
    assert len(processes) == 3
    assert os.getpid() not in processes
    assert are_all_gone()


@pytest.mark.parametrize(("call", "given"), [(sleep, (60.0,)), (compute, ())])
def test_whoever_stops_waiting_ends_the_process_whatever_it_computes(
    call: Callable[..., Any], given: tuple[object, ...]
) -> None:
    """LOG-17: cancelled, or over its time, or given up by an exception in the thread that waits"""
    asked = threading.Event()
    for watched, reason in (
        ({"progress": lambda _: asked.set(), "is_cancelled": asked.is_set}, RunCancelled),
        ({"time_s": 0.3}, RunFailed),
        ({"progress": broken}, KeyboardInterrupt),
    ):
        begun = time.monotonic()
        with pytest.raises(reason):
            perform(call, *given, **watched)
        assert time.monotonic() - begun < STOP_S
        assert are_all_gone()


def broken(_: int) -> None:
    raise KeyboardInterrupt


def test_a_process_that_dies_takes_nobody_with_it() -> None:
    """LOG-17: ended by the kernel for want of memory, or by a fault of the engine: the run has failed."""
    with pytest.raises(RunFailed) as failed:
        perform(die)
    assert failed.value.code is RunFailure.ENGINE_DIED
    assert message(failed.value.code, failed.value.values, "zh")
    with pytest.raises(RunFailed):
        perform(slip)


def test_memory_beyond_what_it_may_have_fails_it_with_the_reason() -> None:
    with pytest.raises(RunFailed) as failed:
        perform(grow)
    assert failed.value.code is RunFailure.MEMORY_LIMIT
    assert perform(grow, memory_bytes=3 * 2**30) == 2**30


def test_refusals_come_back_as_they_were() -> None:
    with pytest.raises(Refused) as refused:
        perform(refuse)
    [fault] = refused.value.faults
    assert (fault.code, fault.path, fault.values) == (SqlRefusal.SQL_SYNTAX, ("sql",), {"line": "3"})


def test_a_host_that_was_killed_is_replaced() -> None:
    perform(own_id)
    assert HOST._process is not None
    HOST._process.kill()
    HOST._process.wait()
    assert perform(own_id) != os.getpid()


def test_queries_beyond_the_number_at_once_wait_and_can_be_cancelled_meanwhile() -> None:
    one, enough = QueryProcesses(1), threading.Event()
    begun = threading.Event()

    def first() -> None:
        with pytest.raises(RunCancelled):
            one.perform(
                sleep, 60.0, memory_bytes=1024 * MB, time_s=60, progress=lambda _: begun.set(),
                is_cancelled=enough.is_set,
            )  # fmt: skip

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(20)
    with pytest.raises(RunCancelled):
        one.perform(own_id, memory_bytes=1024 * MB, time_s=60, is_cancelled=lambda: True)
    with pytest.raises(RunFailed):
        one.perform(own_id, memory_bytes=1024 * MB, time_s=0.1)
    enough.set()
    thread.join()
    assert one.perform(own_id, memory_bytes=1024 * MB, time_s=60)


def hold_and_sleep(lock: str, told: Connection) -> None:
    """A worker: performs a query that holds the lock, and tells its process's id."""
    with try_held(Path(lock)) as descriptor:
        QueryProcesses(1).perform(
            sleep, 60.0, memory_bytes=1024 * MB, time_s=60, progress=told.send, lock=descriptor
        )


def test_with_a_killed_worker_its_query_ends_and_holds_the_lock_until_then(tmp_path: Path) -> None:
    """LOG-17: the next attempt never works in the same folder as what the dead worker has left running."""
    lock = tmp_path / "lock"
    for _ in range(3):
        hears, tells = _context.Pipe(duplex=False)
        worker = _context.Process(target=hold_and_sleep, args=(str(lock), tells))
        worker.start()
        assert hears.poll(30)
        with try_held(lock) as held:
            assert held is None
        worker.kill()
        worker.join()
        until = time.monotonic() + STOP_S
        while True:
            with try_held(lock) as held:
                if held is not None:
                    break
            assert time.monotonic() < until, "the query outlives its worker"
        hears.close()


# --- Of the engine ----------------------------------------------------------


def grown(doublings: int, rest: str, outputs: str = "customer_id") -> Query:
    """A query over `x`, a text of each customer that is doubled so often."""
    steps = ["a0 as (select customer_id, customer_id || :text as x from customers)"]
    steps += [f"a{n + 1} as (select customer_id, x || x as x from a{n})" for n in range(doublings)]
    sql = f"with {', '.join(steps)} select {rest.format(f'a{doublings}')}"
    return query(sql, outputs, parameters=(Parameter("text", "y" * 1_000),))


LIKE = grown(10, "customer_id from {} where x like '%y%y%y%y%y%y%y%y%y%yz%'")
NASTY = {
    "cross join": ENDLESS,
    "sort": HEAVY,
    "like over long texts": LIKE,
    "regular expression": grown(8, "customer_id from {} where regexp_matches(x, '(.*)(.*)(y?){{900}}z$')"),
    "hashes of long texts": grown(12, "customer_id, md5(x) as m from {}", "customer_id m"),
    "join by inequality": query(
        "select a.customer_id, count(*) as n from transactions a join transactions b on a.amount_minor <"
        " b.amount_minor and a.booked_on > b.booked_on join transactions c on c.amount_minor <>"
        " a.amount_minor group by 1",
        "customer_id n",
    ),
    "anti join": query(
        "select customer_id from customers c where not exists (select 1 from transactions t join transactions"
        " u on md5(t.card_token) < md5(u.card_token) where t.customer_id <> c.customer_id and"
        " u.amount_minor + t.amount_minor < 0)"
    ),
    "windows": query(
        "select a.transaction_id as x, b.transaction_id as y, quantile_cont(a.amount_minor, 0.3) over (order"
        " by a.booked_on, a.transaction_id, b.transaction_id groups between 5000 preceding and 5000"
        " following) as q from transactions a, transactions b where b.transaction_id <= 100",
        "x y q",
        index="x y",
    ),
    "distinct": query(
        "select distinct md5(a.card_token || b.card_token) as x from transactions a, transactions b", "x"
    ),
    "cube": query(
        "select transaction_id as x, channel, card_token, amount_minor, booked_on, customer_id, count(*) as n"
        " from (select a.transaction_id, b.channel, b.card_token, b.amount_minor, b.booked_on, b.customer_id"
        " from transactions a, transactions b) as q group by cube (transaction_id, channel, card_token,"
        " amount_minor, booked_on, customer_id)",
        "x channel card_token amount_minor booked_on customer_id n",
    ),
}


@pytest.mark.drill
@pytest.mark.parametrize("given", NASTY.values(), ids=NASTY)
def test_from_the_wish_to_the_stop_it_takes_less_than_two_seconds_whatever_the_query_does(
    given: Query, warehouse: Warehouse, tmp_path: Path
) -> None:
    """LOG-17: interrupts alone left some of these running for more than 20 s."""
    engine = DuckDBEngine(warehouse, tmp_path / "results")
    assert engine.check(given) == ()
    begun, wished = time.monotonic(), list[float]()

    def is_cancelled() -> bool:
        if time.monotonic() - begun > 0.3:
            wished.append(time.monotonic())
        return bool(wished)

    with pytest.raises(RunCancelled):
        engine.run(uuid4(), given, lambda _: None, is_cancelled)
    assert time.monotonic() - wished[0] < STOP_S
    assert are_all_gone()
    assert left(tmp_path / "results") == []


def most_memory(stop: threading.Event, found: list[int]) -> None:
    """Watch what the host's processes have in memory, in bytes."""
    while not stop.wait(0.02):
        for process in forks():
            try:
                pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
            except OSError:
                continue
            found.append(pages * os.sysconf("SC_PAGE_SIZE"))


LITTLE = EngineLimits(memory_bytes=160 * MB, temporary_bytes=4096 * MB)
SORTED = query(
    "select a.transaction_id as x, b.transaction_id as y, row_number() over (order by md5(a.card_token"
    " || b.card_token), a.transaction_id, b.transaction_id) as place from transactions a, transactions b"
    " where b.transaction_id <= 60",
    "x y place",
    index="x y",
)


@pytest.mark.drill
def test_a_query_that_needs_more_memory_than_it_may_have_spills_and_finds_the_same(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    """LOG-18: in a container that has no more than that; the rest is spilled, and gone afterwards."""
    perform(own_id)
    stop, found = threading.Event(), list[int]()
    watch = threading.Thread(target=most_memory, args=(stop, found))
    watch.start()
    try:
        little = run(DuckDBEngine(warehouse, tmp_path / "little", LITTLE), SORTED)
    finally:
        stop.set()
        watch.join()
    assert max(found) < LITTLE.process_bytes // 2
    much = run(DuckDBEngine(warehouse, tmp_path / "much"), SORTED)
    assert little.content_hash == much.content_hash
    assert left(tmp_path / "little") == [str(little.run_id)]
    no_disk = replace(LITTLE, temporary_bytes=MB)
    with pytest.raises(RunFailed) as failed:
        run(DuckDBEngine(warehouse, tmp_path / "none", no_disk), SORTED)
    assert failed.value.code is RunFailure.DISK_FULL


@pytest.mark.drill
def test_texts_that_the_engine_does_not_count_fail_the_run_before_the_machine_is_full(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    """LOG-17, LOG-18: this took four times the limit; the worker itself takes nothing."""
    perform(own_id)
    stop, found = threading.Event(), list[int]()
    watch = threading.Thread(target=most_memory, args=(stop, found))
    watch.start()
    try:
        with pytest.raises(RunFailed) as failed:
            run(DuckDBEngine(warehouse, tmp_path / "results", LITTLE), LIKE)
    finally:
        stop.set()
        watch.join()
    assert failed.value.code is RunFailure.MEMORY_LIMIT
    assert max(found) < LITTLE.process_bytes
    assert left(tmp_path / "results") == []


def test_a_check_that_takes_too_long_or_too_much_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    """LOG-04: it goes on in a process of its own, so that no other request waits for it."""
    terms = ", ".join(f"count(*) over (partition by city order by level) as x{n}" for n in range(400))
    long = query(f"select customer_id, {terms} from customers", "customer_id")
    engine = DuckDBEngine(warehouse, tmp_path / "results", EngineLimits(check_s=0.05))
    [fault] = engine.check(long)
    assert (fault.code, fault.values["name"]) == (SqlRefusal.SQL_TOO_COMPLEX, "0.05 s")
    assert fault.path == ("sql",)
    assert message(fault.code, fault.values, "zh")
    assert are_all_gone()


def test_no_query_runs_on_when_another_attempt_has_its_result(warehouse: Warehouse, tmp_path: Path) -> None:
    """LOG-10: the folder of a result is made once, by whoever is first."""
    engine, id_ = DuckDBEngine(warehouse, tmp_path / "results"), UUID(int=7)
    assert run(engine, SORTED, id_) == run(engine, ENDLESS, id_)
