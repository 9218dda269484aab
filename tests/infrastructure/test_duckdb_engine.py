"""The engine: what it finds equals a hand count, what it writes stays, and it stops when it must."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

import duckdb
import pytest

from api.messages import message
from application.shared.engines import (
    Engine,
    Parameter,
    Query,
    ResultSet,
    RunCancelled,
    RunFailed,
    RunFailure,
    SqlRefusal,
)
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.duckdb_session import EngineLimits, failure_of, session
from infrastructure.warehouse import Snapshot, Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.infrastructure.queries import query

SIZE = SampleSize(2_000, 40_000)
FROM_TO = (Parameter("data_from", date(2026, 4, 1)), Parameter("data_to", date(2026, 7, 1)))
SPENDERS = query(
    "select c.customer_id as customer, c.mobile, sum(t.amount_minor) as spend, max(t.booked_on) as last_on"
    " from customers c join transactions t using (customer_id)"
    " where t.booked_on >= :data_from and t.booked_on < :data_to group by 1, 2 having spend > 100000",
    "CUSTOMER *mobile spend last_on",
    parameters=FROM_TO,
)
ENDLESS = query(
    "select a.customer_id, count(*) as n from transactions a, transactions b, transactions c"
    " where a.channel || b.channel || c.channel <> 'x' group by 1",
    "customer_id n",
)
HEAVY = query(
    "select a.transaction_id as x, b.transaction_id as y, row_number() over (order by md5(a.card_token"
    " || b.card_token),"
    " a.transaction_id, b.transaction_id) as place from transactions a, transactions b where"
    " b.transaction_id <= 400",
    "x y place",
    index="x y",
)


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    made = Warehouse(tmp_path_factory.mktemp("home") / "warehouse")
    made.generate(date(2026, 7, 1), SIZE)
    return made


@pytest.fixture
def engine(warehouse: Warehouse, tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine(warehouse, tmp_path / "results")


def run(engine: Engine, given: Query, run_id: UUID | None = None) -> ResultSet:
    return engine.run(run_id or uuid4(), given, lambda _: None, lambda: False)


def failure(engine: Engine, given: Query) -> RunFailed:
    with pytest.raises(RunFailed) as failed:
        run(engine, given)
    assert message(failed.value.code, failed.value.values, "zh")
    return failed.value


def left(results: Path) -> list[str]:
    """What lies in the folder besides locks."""
    return (
        sorted(path.name for path in results.iterdir() if path.name != ".locks") if results.exists() else []
    )


def by_hand(warehouse: Warehouse, sql: str) -> list[tuple[object, ...]]:
    """The answer of a bare DuckDB over the same files."""
    with duckdb.connect() as connection:
        for table in ("customers", "cards", "accounts", "transactions"):
            path = warehouse.folder / "bank" / f"{table}.parquet"
            connection.execute(f"create view {table} as from read_parquet('{path}')")
        return connection.execute(sql).fetchall()


def test_a_run_gives_what_a_bare_engine_gives_in_primary_index_order(
    engine: DuckDBEngine, warehouse: Warehouse
) -> None:
    """LOG-07, LOG-10, SEG-05: the preview's count is the executed count"""
    assert engine.check(SPENDERS) == ()
    counted = engine.count(SPENDERS)
    result = run(engine, SPENDERS)
    expected = by_hand(
        warehouse,
        "select customer_id, sum(amount_minor)::bigint, max(booked_on) from transactions"
        " where booked_on >= '2026-04-01' and booked_on < '2026-07-01' group by 1"
        " having sum(amount_minor) > 100000 order by 1",
    )
    assert list(engine.rows(result.run_id, ["CUSTOMER", "spend", "last_on"])) == expected
    assert result.rows == counted == len(expected) > 100
    assert [(column.name, column.type, column.is_personal) for column in result.columns] == [
        ("CUSTOMER", "VARCHAR", False), ("mobile", "VARCHAR", True), ("spend", "BIGINT", False),
        ("last_on", "DATE", False)]  # fmt: skip
    snapshot = warehouse.snapshot()
    assert snapshot is not None
    assert result.snapshot == snapshot.id


def test_a_look_at_the_first_rows_leaves_nothing(engine: DuckDBEngine, tmp_path: Path) -> None:
    """SEG-05, LOG-11"""
    first = engine.head(SPENDERS, 5)
    result = run(engine, SPENDERS)
    columns = [column.name for column in result.columns]
    assert first == list(engine.rows(result.run_id, columns))[:5]
    assert engine.count(SPENDERS) == result.rows
    assert left(tmp_path / "results") == [str(result.run_id)]


def test_whoever_only_looks_does_not_wait_long(warehouse: Warehouse, tmp_path: Path) -> None:
    engine = limited(warehouse, tmp_path / "results", look_s=0.3)
    for look in (lambda: engine.head(ENDLESS, 5), lambda: engine.count(ENDLESS)):
        with pytest.raises(RunFailed) as failed:
            look()
        assert failed.value.values == {"seconds": "0.3"}
    assert left(tmp_path / "results") == []


def test_a_run_is_performed_once_and_its_result_never_changes(
    engine: DuckDBEngine, warehouse: Warehouse, tmp_path: Path
) -> None:
    """LOG-10, LOG-17: called again it answers what is there"""
    first = run(engine, SPENDERS)
    file = tmp_path / "results" / str(first.run_id) / "result.parquet"
    content = file.read_bytes()
    again = run(DuckDBEngine(warehouse, tmp_path / "results"), query("select 1 as x", "x"), first.run_id)
    assert again == first
    assert file.read_bytes() == content
    assert file.stat().st_mode & 0o222 == 0
    assert left(tmp_path / "results") == [str(first.run_id)]


def test_the_content_hash_is_that_of_the_rows_as_it_is_defined(engine: DuckDBEngine) -> None:
    """An auditor recomputes it from a copy of the rows; format and run make no difference."""
    odd = query(
        "select transaction_id, case when transaction_id % 3 = 0 then null else"
        " concat('\\', '\t', channel, '\n', '上海') end as odd from transactions",
        "transaction_id odd",
    )
    one, two = run(engine, odd), run(engine, odd)
    assert one.content_hash == two.content_hash
    assert run(engine, SPENDERS).content_hash != one.content_hash
    lines = [
        f"{number}\t"
        + ("\\N" if text is None else text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n"))
        for number, text in engine.rows(one.run_id, ["transaction_id", "odd"])
    ]
    content = "transaction_id\tBIGINT\nodd\tVARCHAR\n" + "".join(f"{line}\n" for line in lines)
    assert one.content_hash == hashlib.sha256(content.encode()).hexdigest()


@pytest.mark.parametrize(
    ("sql", "code", "by"),
    [("select customer_id from cards", RunFailure.PRIMARY_INDEX_DUPLICATE,
      "select sum(n) from (select count(*) as n from cards group by customer_id having n > 1)"),
     ("select nullif(customer_id, 'C00000007') as customer_id from customers", RunFailure.PRIMARY_INDEX_NULL,
      "select 1"),
     ("select case when city = '上海' then null else customer_id end as customer_id from customers",
      RunFailure.PRIMARY_INDEX_NULL, "select count(*) from customers where city = '上海'")],
)  # fmt: skip
def test_a_primary_index_that_does_not_hold_fails_the_run_with_the_count_of_offenders(
    sql: str, code: RunFailure, by: str, engine: DuckDBEngine, warehouse: Warehouse, tmp_path: Path
) -> None:
    """LOG-06, LOG-11: nothing of the failed run is left"""
    failed = failure(engine, query(sql))
    assert failed.code == code
    assert failed.values["offenders"] == str(by_hand(warehouse, by)[0][0])
    assert left(tmp_path / "results") == []


def test_a_primary_index_of_several_columns_holds_at_their_grain(engine: DuckDBEngine) -> None:
    sql = "select customer_id, card_token from cards"
    assert run(engine, query(sql, "customer_id card_token", index="customer_id card_token")).rows == 2_666
    assert failure(engine, query(sql, "customer_id card_token")).code == RunFailure.PRIMARY_INDEX_DUPLICATE


@pytest.mark.parametrize("units", [("SH",), ("SH", "SZ"), ("HO", "SH", "SZ"), (), ("'; drop", "XX")])
def test_rows_are_those_of_the_units_in_scope_in_every_table(
    units: tuple[str, ...], engine: DuckDBEngine, warehouse: Warehouse
) -> None:
    """SYS-03: data scopes"""
    inside = ", ".join(f"'{unit}'" for unit in units if unit.isalpha()) or "null"
    for table in ("customers", "cards", "accounts", "transactions"):
        ((expected,),) = by_hand(
            warehouse,
            f"select count(*) from {table} where customer_id in"
            f" (select customer_id from customers where org_unit in ({inside}))",
        )
        assert engine.count(query(f"select 1 as x from {table}", "x", units=units)) == expected
        filtered = f"select 1 as x from {table} where customer_id is not null"
        assert engine.count(query(filtered, "x", units=units)) == expected


def test_parameters_are_bound_by_type(engine: DuckDBEngine) -> None:
    given = query(
        "select customer_id, :note as note, :n as n, :data_from as since from customers where city = :town",
        "customer_id note n since",
        parameters=(*FROM_TO, Parameter("note", "' || 1"), Parameter("n", 7), Parameter("town", "上海")),
    )
    assert engine.check(given) == ()
    result = run(engine, given)
    assert [column.type for column in result.columns[1:]] == ["VARCHAR", "INTEGER", "DATE"]
    assert set(engine.rows(result.run_id, ["note", "n", "since"])) == {("' || 1", 7, date(2026, 4, 1))}


def test_a_check_knows_the_standard_dates_before_they_have_values(engine: DuckDBEngine) -> None:
    sql = "select customer_id from transactions where booked_on >= :data_from group by 1"
    assert engine.check(query(sql)) == ()
    failed = failure(engine, query(sql))
    assert (failed.code, failed.values["name"]) == (RunFailure.SQL_REFUSED, "data_from")


def test_a_check_finds_what_only_the_engine_can_tell(engine: DuckDBEngine) -> None:
    """LOG-04"""
    for sql, code in (
        ("select customer_id from customers where opened_on > birth_year", SqlRefusal.SQL_DOES_NOT_BIND),
        ("select customer_id from customers group by city", SqlRefusal.SQL_DOES_NOT_BIND),
        ("select customer_id, interval 1 day as x from customers", SqlRefusal.SQL_OUTPUT_TYPE),
        ("select customer_id, getenv('HOME') as x from customers", SqlRefusal.SQL_FUNCTION_FORBIDDEN),
    ):
        outputs = "customer_id x" if " as x" in sql else "customer_id"
        (fault,) = engine.check(query(sql, outputs))
        assert fault.code == code
        assert message(fault.code, fault.values, "zh")
        assert failure(engine, query(sql, outputs)).values["reason"] == code


def test_what_fails_on_the_data_tells_no_value_of_it(engine: DuckDBEngine, tmp_path: Path) -> None:
    """SEC: DuckDB's own words hold the value that could not be converted"""
    given = query("select customer_id, cast(mobile || 'x' as integer) as m from customers", "customer_id *m")
    failed = failure(engine, given)
    assert (failed.code, failed.values) == (RunFailure.SQL_FAILED, {"detail": "Conversion"})
    assert left(tmp_path / "results") == []


def test_sums_that_do_not_fit_fail_and_are_not_rounded(engine: DuckDBEngine) -> None:
    """§10: money is an integer"""
    sql = "select customer_id, sum(amount_minor * 9000000000000) as s from transactions group by 1"
    assert failure(engine, query(sql, "customer_id s")).code == RunFailure.SQL_FAILED


@pytest.mark.drill
@pytest.mark.parametrize("made", ["stddev(amount_minor)", "sum(amount_minor / 7)", "avg(sqrt(amount_minor))"])
def test_sums_of_fractions_are_the_same_each_time(made: str, tmp_path: Path) -> None:
    """LOG-10: two threads, adding in any order, gave twelve hashes in twelve runs."""
    large = Warehouse(tmp_path / "warehouse")
    large.generate(date(2026, 7, 1), SampleSize(5_000, 300_000))
    engine = DuckDBEngine(large, tmp_path / "results")
    given = query(f"select channel, {made} as x from transactions group by channel", "channel x")
    assert len({run(engine, given).content_hash for _ in range(6)}) == 1


def test_progress_rises_to_the_end(engine: DuckDBEngine) -> None:
    """LOG-17"""
    told: list[int] = []
    engine.run(uuid4(), SPENDERS, told.append, lambda: False)
    assert told == sorted(told)
    assert told[-1] == 100


def test_a_query_that_takes_long_tells_how_far_it_is(engine: DuckDBEngine) -> None:
    """LOG-17"""
    told: list[int] = []
    until = time.monotonic() + 20
    with pytest.raises(RunCancelled):
        engine.run(uuid4(), ENDLESS, told.append, lambda: bool(told) or time.monotonic() > until)
    assert 0 < told[0] < 100


def test_a_cancelled_run_stops_within_two_seconds_and_leaves_nothing(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    """LOG-17, LOG-11: cancel stops it"""
    asked = threading.Event()
    threading.Timer(0.7, asked.set).start()
    with pytest.raises(RunCancelled):
        engine.run(uuid4(), ENDLESS, lambda _: None, asked.is_set)
    stopped_at = time.monotonic()
    assert asked.is_set()
    assert left(tmp_path / "results") == []
    assert time.monotonic() - stopped_at < 2


def test_from_the_wish_to_the_stop_it_takes_less_than_two_seconds(engine: DuckDBEngine) -> None:
    """LOG-17: for work of several kinds, each of which would take minutes"""
    for given in (ENDLESS, HEAVY):
        wished: list[float] = []

        def is_cancelled(begun: float = time.monotonic(), wished: list[float] = wished) -> bool:
            if time.monotonic() - begun < 0.6:
                return False
            wished.append(time.monotonic())
            return True

        with pytest.raises(RunCancelled):
            engine.run(uuid4(), given, lambda _: None, is_cancelled)
        assert time.monotonic() - wished[0] < 2


def test_whatever_the_watcher_raises_stops_the_query_too(engine: DuckDBEngine, tmp_path: Path) -> None:
    """A worker's own time limit comes as an exception in its thread."""

    def broken() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run(uuid4(), ENDLESS, lambda _: None, broken)
    assert left(tmp_path / "results") == []


def limited(warehouse: Warehouse, folder: Path, **limits: float) -> DuckDBEngine:
    return DuckDBEngine(warehouse, folder, EngineLimits(**limits))  # type: ignore[arg-type]


def test_each_limit_fails_the_run_with_its_own_reason(warehouse: Warehouse, tmp_path: Path) -> None:
    """LOG-17, LOG-18: bounded in time, memory, disk and rows"""
    results = tmp_path / "results"
    assert failure(limited(warehouse, results, time_s=0.5), ENDLESS).values == {"seconds": "0.5"}
    little = 60 * 2**20
    spilling = limited(warehouse, results, memory_bytes=little, temporary_bytes=2**20)
    assert failure(spilling, HEAVY).code == RunFailure.DISK_FULL
    assert failure(limited(warehouse, results, memory_bytes=2**20), HEAVY).code == RunFailure.MEMORY_LIMIT
    assert failure(limited(warehouse, results, rows=100), SPENDERS).values == {"most": "100"}
    assert left(results) == []


def test_memory_and_disk_that_run_out_are_told_apart() -> None:
    for words, code in (
        ("Out of Memory Error: failed to allocate data of size 32.0 KiB (95.3 MiB/95.3 MiB"
         " used)", "memory_limit"),
        ("Out of Memory Error: failed to offload data block of size 256.0 KiB (1.0 MiB/1.0 MiB"
         " used).\nThis limit was"
         " set by the 'max_temp_directory_size' setting.", "disk_full"),
    ):  # fmt: skip
        failed = failure_of(duckdb.OutOfMemoryException(words))
        assert isinstance(failed, RunFailed)
        assert failed.code == code
    failed = failure_of(duckdb.IOException("IO Error: Could not write file: No space left on device"))
    assert isinstance(failed, RunFailed)
    assert failed.code == RunFailure.DISK_FULL


def test_there_must_be_data(tmp_path: Path) -> None:
    engine = DuckDBEngine(Warehouse(tmp_path / "warehouse"), tmp_path / "results")
    assert engine.check(SPENDERS) == ()
    assert failure(engine, SPENDERS).code == RunFailure.WAREHOUSE_MISSING


def test_a_result_that_was_tampered_with_is_not_read(engine: DuckDBEngine, tmp_path: Path) -> None:
    result = run(engine, SPENDERS)
    file = tmp_path / "results" / str(result.run_id) / "result.parquet"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"x")
    for read in (
        lambda: list(engine.rows(result.run_id, ["spend"])),
        lambda: list(engine.rows(uuid4(), ["spend"])),
    ):
        with pytest.raises(RunFailed) as failed:
            read()
        assert failed.value.code in (RunFailure.RESULT_DAMAGED, RunFailure.RESULT_MISSING)
        assert message(failed.value.code, failed.value.values, "en")


def test_should_the_gate_be_deceived_the_engine_still_shows_only_what_is_used(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    """§8: hardening beside the gate; each of these would pass a gate that let everything through"""
    snapshot = warehouse.snapshot()
    assert isinstance(snapshot, Snapshot)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    attempts = (
        "select name from customers",
        "select * from cards",
        f"select * from read_csv('{secret}')",
        f"select * from '{snapshot.folder / 'customers.personal.parquet'}'",
        f"select * from read_parquet('{snapshot.folder}/*.parquet')",
        f"copy (select 1) to '{tmp_path / 'out.csv'}'",
        f"attach '{tmp_path / 'x.db'}'",
        "install httpfs",
        "set enable_external_access = true",
        "set memory_limit = '100GB'",
        "select * from glob('/*')",
    )
    uses = {"customers": ("customer_id", "city")}
    with session(snapshot, uses, ("HO", "SH", "SZ"), EngineLimits(), tmp_path / "temp") as connection:
        described = connection.execute("describe select * from customers").fetchall()
        assert [column[0] for column in described] == ["customer_id", "city"]
        for sql in attempts:
            with pytest.raises(duckdb.Error):
                connection.execute(sql).fetchall()


def test_two_workers_with_the_same_run_perform_it_once(warehouse: Warehouse, tmp_path: Path) -> None:
    """LOG-17: a lease that ran out gives the run to a second worker while the first is still at it"""
    for _ in range(5):
        run_id, results, started = uuid4(), [], threading.Barrier(4)

        def work(
            run_id: UUID = run_id, results: list[ResultSet] = results, started: threading.Barrier = started
        ) -> None:
            engine = DuckDBEngine(warehouse, tmp_path / "results")
            started.wait()
            results.append(run(engine, SPENDERS, run_id))

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert len(results) == 4
        assert len(set(map(repr, results))) == 1


def test_who_waits_for_another_worker_can_be_cancelled(warehouse: Warehouse, tmp_path: Path) -> None:
    run_id, enough = uuid4(), threading.Event()
    engine = DuckDBEngine(warehouse, tmp_path / "results")

    def first() -> None:
        with pytest.raises(RunCancelled):
            engine.run(run_id, ENDLESS, lambda _: None, enough.is_set)

    worker = threading.Thread(target=first)
    worker.start()
    while not (tmp_path / "results" / f".run-{run_id}").exists():
        time.sleep(0.01)
    with pytest.raises(RunCancelled):
        engine.run(run_id, SPENDERS, lambda _: None, lambda: True)
    enough.set()
    worker.join()


RUN = """
import sys
from pathlib import Path
from uuid import UUID
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.duckdb_session import EngineLimits
from infrastructure.warehouse import Warehouse
from tests.infrastructure.test_duckdb_engine import HEAVY
engine = DuckDBEngine(Warehouse(Path(sys.argv[1])), Path(sys.argv[2]), EngineLimits(memory_bytes=200 * 2**20))
print("begun", flush=True)
engine.run(UUID(sys.argv[3]), HEAVY, lambda percent: None, lambda: False)
"""


def test_a_killed_run_leaves_no_result_and_the_next_start_cleans_up(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    """LOG-11, LOG-17: after kill -9 in the middle the run is simply performed again"""
    results, run_id = tmp_path / "results", uuid4()
    lefts = 0
    for wait_s in (0.2, 0.6, 1.2, 2.0):
        arguments = [sys.executable, "-c", RUN, str(warehouse.folder), str(results), str(run_id)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait_s)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert not (results / str(run_id)).exists()
        lefts += (results / f".run-{run_id}").exists()
    assert lefts > 0
    engine = DuckDBEngine(warehouse, results)
    result = run(engine, SPENDERS, run_id)
    assert left(results) == [str(run_id)]
    assert result.rows == engine.count(SPENDERS)
    assert sorted(path.name for path in (results / str(run_id)).iterdir()) == [
        "result.json",
        "result.parquet",
    ]


def test_what_killed_attempts_have_left_is_discarded_with_the_result(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    """LOG-11: of this run alone"""
    results, run_id, other = tmp_path / "results", uuid4(), uuid4()
    run(engine, SPENDERS, run_id)
    for each in (run_id, other):
        (results / f".run-{each}" / "temp").mkdir(parents=True)
        (results / f".run-{each}" / "temp" / "spilled").write_bytes(b"rows")
    engine.discard(run_id)
    assert left(results) == [f".run-{other}"]


def test_a_crash_before_the_rename_leaves_no_result(
    engine: DuckDBEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise OSError("no space left on device")

    run_id = uuid4()
    monkeypatch.setattr("infrastructure.result_sets.os.rename", crash)
    with pytest.raises(OSError):
        run(engine, SPENDERS, run_id)
    monkeypatch.undo()
    assert left(tmp_path / "results") == []
    assert run(engine, SPENDERS, run_id).rows > 0
