"""Ties are broken: in whatever order rows lie, a query that passed the gate finds the same."""

import random
from collections.abc import Iterator
from contextlib import ExitStack

import duckdb
import pytest

from application.shared.engines import SqlRefusal
from domain.shared.refusal import Refused
from domain.warehouse_schema import TABLES
from infrastructure.sql_gate import examine
from tests.infrastructure.queries import query
from tests.infrastructure.test_sql_gate import bank

ORDERS = 12
FRAME = "rows between 1 preceding and current row"

TIED = (
    ("select customer_id from customers order by city limit 4", "customer_id"),
    ("select customer_id from customers order by city desc offset 7", "customer_id"),
    ("select customer_id, amount_minor from transactions order by channel limit 3",
     "customer_id amount_minor"),
    ("select customer_id, count(*) as n from transactions group by customer_id order by n limit 3",
     "customer_id n"),
    ("select customer_id, city as x from customers union all select customer_id, channel from transactions"
     " order by x limit 15", "customer_id x"),
    ("with b as (select customer_id, level from customers order by level limit 5)"
     " select customer_id from b", "customer_id"),
    ("select customer_id from cards where customer_id in (select customer_id from customers order by level"
     " limit 3)", "customer_id"),
    ("select customer_id, row_number() over (order by city) as x from customers", "customer_id x"),
    ("select customer_id, row_number() over (partition by city order by level desc) as x from customers"
     " qualify x <= 2", "customer_id x"),
    ("select customer_id from customers qualify row_number() over (partition by city order by level) = 1",
     "customer_id"),
    ("select customer_id, ntile(3) over (order by level) as x from customers", "customer_id x"),
    ("select transaction_id, lag(amount_minor) over (order by channel) as x from transactions",
     "transaction_id x"),
    ("select transaction_id, lead(amount_minor) over (partition by currency order by channel) as x from"
     " transactions", "transaction_id x"),
    ("select customer_id, first_value(birth_year) over (order by level) as x from customers",
     "customer_id x"),
    ("select customer_id, last_value(birth_year) over (order by level rows between unbounded preceding and"
     " unbounded following) as x from customers", "customer_id x"),
    ("select customer_id, nth_value(birth_year, 2) over (order by level) as x from customers",
     "customer_id x"),
    (f"select transaction_id, sum(amount_minor) over (order by channel {FRAME}) as x from transactions",
     "transaction_id x"),
    (f"select transaction_id, sum(amount_minor) filter (where amount_minor > 9) over (order by channel"
     f" {FRAME}) as x from transactions", "transaction_id x"),
    (f"select transaction_id, rank() over w as r, sum(amount_minor) over w as x from transactions window w as"
     f" (order by channel {FRAME})", "transaction_id r x"),
    ("select customer_id, row_number() over (order by count(*)) as x from transactions group by customer_id",
     "customer_id x"),
    ("select customer_id as c, row_number() over (order by count(*)) as x from transactions group by c",
     "c x"),
    ("select customer_id, row_number() over (order by count(*)) as x from transactions group by 1",
     "customer_id x"),
    ("select c.customer_id, t.transaction_id, row_number() over (order by t.channel) as x from customers c"
     " join transactions t using (customer_id)", "customer_id transaction_id x"),
    ("select customer_id, row_number() over (order by city) as x from customers semi join transactions using"
     " (customer_id)", "customer_id x"),
    ("select c.customer_id, row_number() over (order by c.level) as x, (select count(*) from cards k where"
     " k.customer_id = c.customer_id) as n from customers c", "customer_id x n"),
    ("select upper(mobile) as m, row_number() over (order by level) as x from customers", "*m x"),
)  # fmt: skip


@pytest.fixture(scope="module")
def banks() -> Iterator[list[duckdb.DuckDBPyConnection]]:
    """The same rows, in another order in each."""
    dice = random.Random(7)
    with ExitStack() as opened, bank() as original:
        tables = {table: original.execute(f"select * from {table}").fetchall() for table in TABLES}
        tables["customers"] = [
            (*row[:7], str(number), *row[8:]) for number, row in enumerate(tables["customers"])
        ]
        banks = []
        for _ in range(ORDERS):
            connection = opened.enter_context(bank())
            for table, rows in tables.items():
                slots = ", ".join("?" * len(TABLES[table].columns))
                shuffled = dice.sample(rows, len(rows))
                connection.execute(f"delete from {table}")
                if rows:
                    connection.executemany(f"insert into {table} values ({slots})", shuffled)
            banks.append(connection)
        yield banks


def found(sql: str, banks: list[duckdb.DuckDBPyConnection]) -> set[str]:
    """What the query finds in the banks: each answer once, its rows sorted."""
    return {str(sorted(map(str, bank.execute(sql).fetchall()))) for bank in banks}


@pytest.mark.parametrize(("sql", "outputs"), TIED)
def test_a_query_with_ties_finds_the_same_in_whatever_order_rows_lie(
    sql: str, outputs: str, banks: list[duckdb.DuckDBPyConnection]
) -> None:
    """LOG-10, PTS-07: executed again after a worker's death it gives the same result set, to the byte"""
    assert len(found(sql, banks)) > 1, "nothing is tied here"
    assert len(found(examine(query(sql, outputs)).sql, banks)) == 1


@pytest.mark.parametrize(
    ("sql", "outputs"),
    [("select customer_id, rank() over (order by city) as x from customers", "customer_id x"),
     ("select customer_id, sum(birth_year) over (partition by city order by level) as x from customers",
      "customer_id x"),
     ("select customer_id, count(*) over w as x from customers window w as (partition by city)",
      "customer_id x"),
     ("select customer_id, sum(birth_year) over (order by birth_year range between 3 preceding and current"
      " row) as x from customers", "customer_id x"),
     ("select city, row_number() over (order by city) as x, count(*) as n from customers group by city",
      "city x n")],
)  # fmt: skip
def test_what_has_no_ties_means_what_it_meant(
    sql: str, outputs: str, banks: list[duckdb.DuckDBPyConnection]
) -> None:
    """Peers have the same rank, and the same sum of all up to them."""
    assert found(examine(query(sql, outputs)).sql, banks) == found(sql, banks)


@pytest.mark.parametrize(
    ("sql", "place"),
    [("select customer_id, row_number() over w as x\nfrom customers window w as (partition by city)", 1),
     (f"select customer_id, sum(birth_year) over ({FRAME}) as x from customers", 1),
     ("select customer_id,\nrow_number() over (w order by city) as x from customers window v as (partition by"
      " city), w as (v)", 2),
     ("select city as customer_id,\nlevel, row_number() over (order by count(*)) as x from customers group by"
      " rollup (city, level)", 2)],
)  # fmt: skip
def test_an_order_that_cannot_be_made_total_is_refused_with_its_place(sql: str, place: int) -> None:
    outputs = "customer_id level x" if "level" in sql else "customer_id x"
    with pytest.raises(Refused) as refused:
        examine(query(sql, outputs))
    [fault] = refused.value.faults
    assert (fault.code, fault.values["line"]) == (SqlRefusal.SQL_NOT_DETERMINISTIC, str(place))


def test_no_personal_column_breaks_ties_behind_what_is_not_personal() -> None:
    """LOG-19: numbers in the order of telephones, with known ones between them, would spell them out."""
    sql = "select customer_id, row_number() over (order by city) as x, mobile as m from customers"
    checked = examine(query(sql, "customer_id x *m"))
    assert '"mobile"' not in checked.sql.partition("OVER")[2].partition(")")[0]
    derived = f"select t.customer_id, t.m, row_number() over (order by t.x) as y from ({sql}) as t"
    with pytest.raises(Refused) as refused:
        examine(query(derived, "customer_id *m y"))
    assert {fault.code for fault in refused.value.faults} == {SqlRefusal.SQL_OUTPUT_PERSONAL}
    examine(query(derived, "*customer_id *m *y"))


@pytest.mark.parametrize(
    ("made", "is_exact"),
    [("sum(amount_minor)", True), ("avg(amount_minor)", True), ("median(amount_minor)", True),
     ("max(amount_minor / 7)", True), ("sum(amount_minor // 7)", True), ("sum(amount_minor / 7)", False),
     ("avg(sqrt(amount_minor))", False), ("sum(cast(amount_minor as double))", False),
     ("stddev(amount_minor)", False), ("var_pop(amount_minor)", False), ("sum(amount_minor ** 2)", False),
     ("sum(s)", False)],
)  # fmt: skip
def test_sums_of_what_was_rounded_are_known_for_what_they_are(made: str, is_exact: bool) -> None:
    source = (
        "(select channel, avg(amount_minor) as s from transactions group by 1)" if made == "sum(s)" else ""
    )
    sql = f"select channel, {made} as x from {source or 'transactions'} as t group by channel"
    assert examine(query(sql, "channel x")).is_exact is is_exact
