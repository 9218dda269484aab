"""Several results made into one, and pages of a result, with the real engine."""

from datetime import date
from uuid import UUID, uuid4

import pytest

from application.shared.engines import RunFailed, RunFailure
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.infrastructure.queries import query


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DuckDBEngine:
    home = tmp_path_factory.mktemp("home")
    warehouse = Warehouse(home / "warehouse")
    warehouse.generate(date(2026, 3, 1), SampleSize(300, 1_000))
    return DuckDBEngine(warehouse, home / "results")


def run(engine: DuckDBEngine, sql: str, outputs: str = "customer_id") -> UUID:
    return engine.run(uuid4(), query(sql, outputs), lambda _: None, lambda: False).run_id


def first(engine: DuckDBEngine, most: str, least: str = "C00000000") -> UUID:
    return run(engine, f"select customer_id from customers where customer_id between '{least}' and '{most}'")


def test_merged_results_hold_each_value_once_and_ascending(engine: DuckDBEngine) -> None:
    """ACT-13: of results whose column bears another name, or has a value more than once or not at all."""
    one, two = first(engine, "C00000003"), first(engine, "C00000005", "C00000002")
    doubled = run(
        engine,
        "select c.card_token as card, case when c.customer_id < 'C00000008' then c.customer_id end as owner"
        " from cards c where c.customer_id >= 'C00000006'",
        "card owner",
    )
    merged = uuid4()
    result = engine.merged(
        merged, "customer_id", [(one, "customer_id"), (two, "customer_id"), (doubled, "owner")]
    )
    expected = [f"C0000000{number}" for number in range(1, 8)]
    assert [id_ for (id_,) in engine.rows(merged, ["customer_id"])] == expected
    assert (result.rows, [column.name for column in result.columns]) == (7, ["customer_id"])
    alone = uuid4()
    assert engine.merged(alone, "customer_id", [(doubled, "owner")]).rows == 2
    assert engine.merged(uuid4(), "customer_id", [(doubled, "owner")]).content_hash == (
        engine.merged(alone, "customer_id", []).content_hash
    )


def test_a_merge_is_made_once(engine: DuckDBEngine) -> None:
    """ACT-13: a worker that comes again finds what is there, whatever has been found since."""
    merged, one = uuid4(), first(engine, "C00000003")
    before = engine.merged(merged, "customer_id", [(one, "customer_id")])
    after = engine.merged(merged, "customer_id", [(first(engine, "C00000009"), "customer_id")])
    assert after == before


@pytest.mark.parametrize(
    ("column", "code"), [("salary", RunFailure.BAD_MAPPING), ("customer_id", RunFailure.RESULT_MISSING)]
)
def test_what_can_t_be_merged_fails_and_leaves_nothing(
    engine: DuckDBEngine, column: str, code: RunFailure
) -> None:
    merged = uuid4()
    part = first(engine, "C00000003") if code is RunFailure.BAD_MAPPING else uuid4()
    with pytest.raises(RunFailed) as failed:
        engine.merged(merged, "customer_id", [(part, column)])
    assert failed.value.code == code
    with pytest.raises(RunFailed):
        list(engine.rows(merged, ["customer_id"]))


def test_a_page_is_a_stretch_of_the_rows_in_order(engine: DuckDBEngine) -> None:
    """ACT-13"""
    found = first(engine, "C00000009")
    assert engine.page(found, ["customer_id"], 3, 2) == [("C00000004",), ("C00000005",)]
    assert engine.page(found, ["customer_id"], 8, 5) == [("C00000009",)]
    assert engine.page(found, ["customer_id"], 9, 5) == []
    with pytest.raises(RunFailed):
        engine.page(found, ["salary"], 0, 1)


def test_a_page_may_leave_out_rows_that_are_marked(engine: DuckDBEngine) -> None:
    """ACT-13"""
    sql = """select customer_id, case when customer_id < 'C00000004' then 'overdue' end as excluded_for
        from customers where customer_id < 'C00000008'"""
    found = run(engine, sql, "customer_id excluded_for")
    columns = ["customer_id", "excluded_for"]
    assert engine.page(found, columns, 2, 2) == [("C00000003", "overdue"), ("C00000004", None)]
    assert engine.page(found, columns, 1, 2, "excluded_for") == [("C00000005", None), ("C00000006", None)]
