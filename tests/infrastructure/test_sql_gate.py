"""The gate: lawful queries pass unchanged in meaning, and no disguise gets anything else through."""

import sys
import threading
from collections.abc import Callable
from datetime import date, datetime

import duckdb
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from api.messages import message
from application.shared.engines import DATABASE_TYPES, GrantedTable, Parameter, Query, SqlRefusal
from domain.shared.refusal import CommonRefusal, Refused
from domain.warehouse_schema import TABLES
from infrastructure import sql_allowed, sql_gate, sql_names, sql_order
from infrastructure.sql_gate import CheckedQuery, examine
from tests.infrastructure.queries import query

FROM_TO = (Parameter("data_from", date(2026, 4, 1)), Parameter("data_to", date(2026, 7, 1)))


def refusals(given: Query) -> list[str]:
    with pytest.raises(Refused) as refused:
        examine(given)
    return [fault.code.value for fault in refused.value.faults]


LAWFUL: tuple[tuple[str, str], ...] = (
    ("select customer_id from customers", "customer_id"),
    ("SELECT Customer_ID FROM Customers", "customer_id"),
    ('select "customer_id" as "客户号" from customers', "客户号"),
    ("select c.customer_id from customers as c where c.city in ('上海', '深圳')", "customer_id"),
    ("select customer_id, sum(amount_minor) as spend from transactions where booked_on >= :data_from and"
     " booked_on < :data_to group by customer_id having spend > 100 order by spend desc, 1 limit 10",
     "customer_id spend"),
    ("select c.customer_id, count(*) as n from customers c join transactions t using (customer_id)"
     " group by c.customer_id", "customer_id n"),
    ("select c.customer_id, coalesce(s.n, 0) as n from customers c left join (select customer_id,"
     " count(*) as n"
     " from transactions group by 1) as s on s.customer_id = c.customer_id", "customer_id n"),
    ("select customer_id from customers c where exists (select 1 from transactions t where t.customer_id ="
     " c.customer_id and t.amount_minor > 1000) and not is_overdue", "customer_id"),
    ("select customer_id from customers where customer_id not in (select customer_id from transactions)",
     "customer_id"),
    ("select customer_id, (select max(amount_minor) from transactions t where t.customer_id ="
     " c.customer_id) as top"
     " from customers c", "customer_id top"),
    ("with active as (select distinct customer_id from transactions), young as (select customer_id from"
     " customers"
     " where birth_year > 1990) select customer_id from active join young using"
      " (customer_id)", "customer_id"),
    ("with a(x, y) as (select customer_id, city from customers) select x as customer_id from a where y <> ''",
     "customer_id"),
    ("with a as (select * from cards) select distinct customer_id from a", "customer_id"),
    ("select t.customer_id from (select c.* from cards c) as t group by t.customer_id", "customer_id"),
    ("select customer_id from customers union select customer_id from cards order by"
     " customer_id", "customer_id"),
    ("select customer_id from customers except (select customer_id from cards intersect select customer_id"
     " from accounts)", "customer_id"),
    ("select customer_id, row_number() over (partition by city order by customer_id) as place from customers"
     " qualify place <= 3", "customer_id place"),
    ("select transaction_id, sum(amount_minor) over w as run from transactions window w as (partition by"
     " customer_id order by transaction_id rows between unbounded preceding and current row)",
     "transaction_id run"),
    ("select customer_id, count(*) filter (where channel = 'APP') as app, sum(distinct amount_minor) as s"
     " from transactions group by customer_id", "customer_id app s"),
    ("select city, level, count(*) as n from customers group by rollup (city, level)", "city level n"),
    ("select customer_id, case when birth_year < 1980 then 'old' when birth_year is null then '?' else"
     " 'new' end as age"
     " from customers", "customer_id age"),
    ("select date_trunc('month', booked_on) as month, median(amount_minor) as middle from transactions"
     " group by month",
     "month middle"),
    ("select customer_id from transactions where booked_on >= :business_date - interval 90 day and"
     " booked_on between date '2026-01-01' and cast('2026-12-31' as date) group by"
      " customer_id", "customer_id"),
    ("select customer_id from customers where md5_number_lower(customer_id || '/A1') % 10 <>"
     " 0", "customer_id"),
    ("select customer_id, upper(mobile) as phone from customers", "customer_id *phone"),
    ("select a.customer_id from cards a, cards b where a.customer_id = b.customer_id and a.card_token <"
     " b.card_token"
     " group by a.customer_id", "customer_id"),
    ("select customer_id from cards semi join transactions using (card_token)", "customer_id"),
    ("select customer_id from customers c anti join transactions t on t.customer_id = c.customer_id and"
     " t.amount_minor > 800", "customer_id"),
    ("select /* a comment ; drop table x */ customer_id -- and : another $\n from customers where city"
     " <> ':x $y'",
     "customer_id"),
    ("select customer_id from customers where gender = 'F' or city like '上%' escape '!' or level is"
     " distinct from 'GOLD'",
     "customer_id"),
    ("select customer_id from customers;", "customer_id"),
    ("select customer_id, :business_date::date as at, -1.50 as x, null as nothing from customers",
     "customer_id at x nothing"),
)  # fmt: skip


def bank() -> duckdb.DuckDBPyConnection:
    """A few rows in each table, made of their position, so that results differ when queries do."""
    connection = duckdb.connect()
    for table in TABLES.values():
        columns = ", ".join(f"{column.name} {DATABASE_TYPES[column.type]}" for column in table.columns)
        connection.execute(f"create table {table.name} ({columns})")
    for n in range(1, 13):
        owner, day = f"C{n % 7}", f"2026-0{n % 6 + 1}-1{n % 9}"
        connection.execute(
            "insert into customers values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                f"C{n}",
                ("HO", "SH")[n % 2],
                1970 + 3 * n,
                "FM"[n % 2],
                ("上海", "北京")[n % 2],
                "GOLD",
                day,
                "1",
                "王",
                n > 9,
            ],
        )
        connection.execute("insert into cards values (?, ?, 'X', ?, 'ACTIVE', '')", [f"T{n}", owner, day])
        connection.execute("insert into accounts values (?, ?, 'CNY', 5, ?)", [f"A{n}", f"C{n}", day])
        connection.execute(
            "insert into transactions values (?, ?, ?, ?, 'CNY', ?, 'DINING', ?)",
            [n, f"T{n}", owner, 400 * n, day, ("APP", "POS")[n % 2]],
        )
    return connection


@pytest.mark.parametrize(("sql", "outputs"), LAWFUL)
def test_a_lawful_query_passes_and_means_the_same_when_written_anew(sql: str, outputs: str) -> None:
    """LOG-04: a valid SELECT passes; what runs is regenerated from the checked tree"""
    checked = examine(query(sql, outputs, parameters=FROM_TO))
    values = {**{each.name: each.value for each in FROM_TO}, "business_date": date(2026, 7, 1)}
    bound = {name: values[name] for name in checked.parameters}
    original = sql.replace(" :", " $").replace("', $x", "")
    with bank() as connection:
        ours = connection.execute(checked.sql, bound).fetchall()
        theirs = connection.execute(original, bound).fetchall()
    assert sorted(map(str, ours)) == sorted(map(str, theirs))
    assert {fold.lower() for fold in outputs.replace("*", "").split()} == {
        each.lower() for each in checked.columns
    }


FORBIDDEN = SqlRefusal.SQL_CONSTRUCT_FORBIDDEN
FUNCTION = SqlRefusal.SQL_FUNCTION_FORBIDDEN
TABLE = SqlRefusal.SQL_TABLE_NOT_GRANTED
COLUMN = SqlRefusal.SQL_COLUMN_NOT_GRANTED
WHOLE = SqlRefusal.SQL_ALL_COLUMNS
RANDOM = SqlRefusal.SQL_NOT_DETERMINISTIC
SELECT = SqlRefusal.SQL_NOT_ONE_SELECT
SYNTAX = SqlRefusal.SQL_SYNTAX
COMPLEX = SqlRefusal.SQL_TOO_COMPLEX
PARAMETER = SqlRefusal.SQL_PARAMETER_UNKNOWN
AMBIGUOUS = SqlRefusal.SQL_COLUMN_AMBIGUOUS

ATTACKS: tuple[tuple[str, SqlRefusal], ...] = (
    # Files, in every disguise.
    ("select customer_id from read_parquet('/data/customers.parquet')", FUNCTION),
    ("select customer_id from READ_PARQUET(['/a', '/b'])", FORBIDDEN),
    ("select customer_id from parquet_scan('/a')", FUNCTION),
    ("select customer_id from main.read_parquet('/a')", FUNCTION),
    ('select customer_id from "read_parquet"(\'/a\')', FUNCTION),
    ("select customer_id from read_csv('/etc/passwd')", FUNCTION),
    ("select customer_id from read_csv_auto('/etc/passwd')", FUNCTION),
    ("select customer_id from read_json('/etc/passwd')", FUNCTION),
    ("select content as customer_id from read_text('/etc/passwd')", FUNCTION),
    ("select content as customer_id from read_blob('/etc/passwd')", FUNCTION),
    ("select file as customer_id from glob('/etc/*')", FUNCTION),
    ("select customer_id from sniff_csv('/etc/passwd')", FUNCTION),
    ("select customer_id from parquet_metadata('/a')", FUNCTION),
    ("select customer_id from parquet_schema('/a')", FUNCTION),
    ("select customer_id from 'customers.parquet'", TABLE),
    ('select customer_id from "customers.parquet"', TABLE),
    ("select customer_id from 's3://bucket/customers.parquet'", TABLE),
    ("select customer_id from customers where city in (select city from 'x.csv')", TABLE),
    ("with a as (from 'x.parquet') select customer_id from a", TABLE),
    ("select customer_id from query('select 1')", FUNCTION),
    ("select customer_id from query_table('customers')", FUNCTION),
    ("select customer_id from sqlite_scan('/a', 'b')", FUNCTION),
    ("select customer_id from postgres_scan('host=x', 'a', 'b')", FUNCTION),
    # The environment and the engine's own tables.
    ("select getenv('HOME') as customer_id", FUNCTION),
    ("select customer_id from customers where current_setting('temp_directory') = ''", FUNCTION),
    ("select getvariable('x') as customer_id", FUNCTION),
    ("select customer_id from information_schema.tables", TABLE),
    ("select table_name as customer_id from information_schema.columns", TABLE),
    ("select customer_id from duckdb_tables()", FUNCTION),
    ("select customer_id from duckdb_settings", TABLE),
    ("select sql as customer_id from duckdb_views()", FUNCTION),
    ("select customer_id from pragma_table_info('customers')", FUNCTION),
    ("select customer_id from sqlite_master", TABLE),
    ("select customer_id from pg_catalog.pg_class", TABLE),
    ("select version() as customer_id", FUNCTION),
    ("select current_user as customer_id", FUNCTION),
    ("select current_schema() as customer_id", FUNCTION),
    # Statements that are no query, and more than one.
    ("select customer_id from customers; drop table customers", SELECT),
    ("select 1; select customer_id from customers", SELECT),
    ("drop table customers", SELECT),
    ("delete from customers", SELECT),
    ("insert into customers select * from customers", SELECT),
    ("update customers set city = ''", SELECT),
    ("create table x as select customer_id from customers", SELECT),
    ("copy customers to '/tmp/x'", SELECT),
    ("copy (select customer_id from customers) to '/tmp/x.parquet'", SELECT),
    ("attach '/tmp/x.db' as x", SELECT),
    ("pragma database_list", SELECT),
    ("set memory_limit = '100GB'", SELECT),
    ("install httpfs", SELECT),
    ("load httpfs", SELECT),
    ("call pragma_version()", SELECT),
    ("export database '/tmp/x'", SYNTAX),
    ("explain select customer_id from customers", SELECT),
    ("describe customers", SELECT),
    ("summarize customers", SELECT),
    ("pivot customers on city using count(*)", SELECT),
    ("with a as (delete from customers returning customer_id) select customer_id from a", FORBIDDEN),
    ("select customer_id into x from customers", FORBIDDEN),
    ("/* only a comment */", SELECT),
    ("", SELECT),
    # Columns and tables that are not granted.
    ("select name as customer_id from customers", COLUMN),
    ("select c.name as customer_id from customers c", COLUMN),
    ('select "NAME" as customer_id from customers', COLUMN),
    ("select customer_id from customers where name like '王%'", COLUMN),
    ("select customer_id from customers order by name", COLUMN),
    ("select customer_id from customers group by customer_id, name", COLUMN),
    ("select customer_id from customers having max(name) > 'a'", COLUMN),
    ("select customer_id from customers qualify row_number() over (order by name) = 1", COLUMN),
    ("select count(name) as customer_id from customers", COLUMN),
    ("select customer_id from cards where exists (select name from customers)", COLUMN),
    ("select customer_id from customers join cards using (customer_id, name)", COLUMN),
    ("select a.customer_id from customers a join customers b on a.name = b.name", COLUMN),
    ("select x as customer_id from (select name as x from customers) as t", COLUMN),
    ("with t(x) as (select name from customers) select x as customer_id from t", COLUMN),
    ("select x as customer_id from customers as t(a, b, c, d, e, f, g, h, x, i)", FORBIDDEN),
    ("select customer_id from customers t, lateral (select t.name) as l", FORBIDDEN),
    ("select l.n as customer_id from customers t, (select t.name as n) as l", COLUMN),
    ("select customer_id from customers union select name from customers", COLUMN),
    ("select rowid as customer_id from customers", COLUMN),
    ("select customer_id from secret_table", TABLE),
    ("select customer_id from main.customers", TABLE),
    ("select customer_id from bank.main.customers", TABLE),
    ("select customer_id from customers where customer_id in (select id from salaries)", TABLE),
    ("with customers as (select 'x' as customer_id) select customer_id from customers", AMBIGUOUS),
    # Whole rows, and columns without their names.
    ("select * from customers", WHOLE),
    ("select c.* from customers c", WHOLE),
    ("from customers", WHOLE),
    ("from customers select customer_id, customers", WHOLE),
    ("select c as customer_id from customers c", WHOLE),
    ("select customers as customer_id from customers", WHOLE),
    ("select customer_id from customers c where c::varchar like '%139%'", WHOLE),
    ("select (c).name as customer_id from customers c", FORBIDDEN),
    ("select customer_id from (select c from customers c) as t", WHOLE),
    ("select count(distinct c) as customer_id from customers c", WHOLE),
    ("select count(c.*) as customer_id from customers c", WHOLE),
    ("select * exclude (name) from customers", WHOLE),
    ("select * replace (1 as name) from customers", WHOLE),
    ("select * rename (name as customer_id) from customers", WHOLE),
    ("select columns(*) from customers", FUNCTION),
    ("select columns('n.*') as customer_id from customers", FUNCTION),
    ("select columns(c -> c = 'name') from customers", FUNCTION),
    ("select min(columns(*)) from customers", FUNCTION),
    ("select #9 as customer_id from customers", FORBIDDEN),
    ("select unnest(c) as customer_id from customers c", FUNCTION),
    ("select to_json(c) as customer_id from customers c", FUNCTION),
    ("select row(c.customer_id) as customer_id from customers c", FUNCTION),
    ("select struct_pack(a := customer_id) as customer_id from customers", FUNCTION),
    ("select {'a': customer_id} as customer_id from customers", FORBIDDEN),
    ("select [customer_id] as customer_id from customers", FORBIDDEN),
    ("select map {'a': customer_id} as customer_id from customers", FORBIDDEN),
    ("select customer_id from customers natural join cards", FORBIDDEN),
    ("select customer_id from cards positional join customers", FORBIDDEN),
    ("select a.customer_id from cards a asof join cards b on a.opened_on >= b.opened_on", FORBIDDEN),
    ("select customer_id from cards group by all", FORBIDDEN),
    ("select customer_id from cards order by all", FORBIDDEN),
    ("select customer_id from cards union all by name select customer_id from customers", FORBIDDEN),
    ("select customer_id from (pivot cards on product using count(*))", FORBIDDEN),
    ("select a.customer_id from cards a, cards a", AMBIGUOUS),
    ("select t.customer_id from cards c semi join transactions t using (customer_id)", COLUMN),
    ("select customer_id from cards, customers", AMBIGUOUS),
    # Bombs.
    ("with recursive r as (select 1 as n union all select n + 1 from r) select n as customer_id from"
     " r", FORBIDDEN),
    ("with recursive r(n) as (select 1 union all select n * 2 from r where n < 1e18) select n as"
     " customer_id from r",
     FORBIDDEN),
    ("select customer_id from customers, generate_series(1, 1000000000)", FUNCTION),
    ("select range as customer_id from range(1000000000)", FUNCTION),
    ("select unnest(generate_series(1, 1000000000)) as customer_id", FUNCTION),
    ("select repeat('x', 1000000000) as customer_id from customers", FUNCTION),
    ("select lpad(customer_id, 1000000000, 'x') as customer_id from customers", FUNCTION),
    ("select list_transform(range(9), x -> x) as customer_id from customers", FUNCTION),
    ("select customer_id from customers where " + "(" * 60 + "true" + ")" * 60, COMPLEX),
    ("select customer_id from customers where " + "(" * 40_000 + "true" + ")" * 40_000, COMPLEX),
    ("select customer_id from customers where " + "(" * 40_000, COMPLEX),
    ("select customer_id from customers where " + "not " * 20_000 + "true", COMPLEX),
    ("select customer_id from customers where 0 < " + "- " * 30_000 + "1", COMPLEX),
    ("select " + "case when true then " * 60 + "customer_id" + " end" * 60 + " as customer_id from"
     " customers", COMPLEX),
    ("select " + "lower(" * 51 + "customer_id" + ")" * 51 + " as customer_id from customers", COMPLEX),
    ("select customer_id from customers where birth_year > " + "1+" * 1_000 + "1", COMPLEX),
    ("select customer_id from customers where city in (" + "1," * 25_000 + "1)", COMPLEX),
    (" union all ".join(["select customer_id from customers"] * 250), COMPLEX),
    ("with a0 as (select customer_id from cards), "
     + ", ".join(f"a{n + 1} as (select x.customer_id from a{n} x, a{n} y)" for n in range(12))
     + " select customer_id from a12", COMPLEX),
    ("with a0 as (select birth_year as x from customers), "
     + ", ".join(f"a{n + 1} as (select x + x as x from a{n})" for n in range(30))
     + " select x as customer_id from a30 where x > 1", COMPLEX),
    ("select birth_year + birth_year as a, a + a as b, b + b as customer_id from customers", COLUMN),
    # What answers differently each time.
    ("select customer_id from customers where random() < 0.1", RANDOM),
    ("select customer_id from customers using sample 10", RANDOM),
    ("select customer_id from customers tablesample 10%", RANDOM),
    ("select customer_id from customers where opened_on < now()", RANDOM),
    ("select customer_id from customers where opened_on < current_date", RANDOM),
    ("select customer_id from customers where opened_on < today()", RANDOM),
    ("select uuid() as customer_id from customers", RANDOM),
    ("select gen_random_uuid() as customer_id from customers", RANDOM),
    ("select nextval('s') as customer_id", RANDOM),
    ("select customer_id from customers limit 10", RANDOM),
    ("select any_value(customer_id) as customer_id from customers", RANDOM),
    ("select first(customer_id) as customer_id from customers", RANDOM),
    ("select customer_id from customers qualify row_number() over (partition by city) = 1", RANDOM),
    ("select distinct on (city) customer_id from customers", FORBIDDEN),
    # Parameters, and strings in other clothes.
    ("select customer_id from customers where city = :town", PARAMETER),
    ("select customer_id from customers where city = $data_from", FORBIDDEN),
    ("select customer_id from customers where city = ?", FORBIDDEN),
    ("select customer_id from customers where city = $1", FORBIDDEN),
    ("select customer_id from customers where city = $$x$$", FORBIDDEN),
    ("select customer_id from customers where city = $a$x$a$", FORBIDDEN),
    ("select customer_id from customers where city = :data_from:data_to", FORBIDDEN),
    ("select customer_id from customers where city = : data_from", FORBIDDEN),
    ("select customer_id from :data_from", FORBIDDEN),
    ("select customer_id from customers where city = e'\\x41'", FORBIDDEN),
    ("select customer_id from customers where city = x'41'", SYNTAX),
    ("select customer_id from customers for update", FORBIDDEN),
    ("select customer_id from customers at (version => 1)", FORBIDDEN),
    ("select customer_id from only customers", TABLE),
    ("select cast(customer_id as json) as customer_id from customers", FORBIDDEN),
    ("select cast(customer_id as varchar[]) as customer_id from customers", FORBIDDEN),
    ("select customer_id from customers where city = 'x' collate nocase", FORBIDDEN),
    ("select customer_id from customers where", SYNTAX),
    ("select customer_id from customers where city = 'x", SYNTAX),
    ("select customer_id from customers \0 where true", SYNTAX),
    ("select customer_id from customers where city = '\ud800'", SYNTAX),
    ("selec customer_id from customers", SYNTAX),
    ("select customer_id from (values ('x')) as t(customer_id)", FORBIDDEN),
    ("(select customer_id from customers)", SELECT),
)  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "code"), ATTACKS, ids=[f"{n}-{sql[:60]!a}" for n, (sql, _) in enumerate(ATTACKS)]
)
def test_no_attack_passes_the_gate(sql: str, code: SqlRefusal) -> None:
    """LOG-04: DDL, DML, several statements, files, side effects and ungranted columns are refused"""
    frames = sys.getrecursionlimit()
    assert code in refusals(query(sql, parameters=FROM_TO))
    assert sys.getrecursionlimit() == frames
    assert threading.stack_size() == 0


def test_there_are_attacks_enough() -> None:
    assert len(ATTACKS) >= 60
    assert {code for _, code in ATTACKS} >= {
        FORBIDDEN,
        FUNCTION,
        TABLE,
        COLUMN,
        WHOLE,
        RANDOM,
        SELECT,
        COMPLEX,
    }


def without_allow_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_gate, "_is_known", lambda _: True)


def without_places(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_gate, "_misuse", lambda _: None)


def without_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_order, "_depends_on_order", lambda _: False)


def without_tokens(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_gate, "TOKENS_MAX", 10**9)


def with_every_grant(patch: pytest.MonkeyPatch) -> None:
    everything = {table.name: frozenset(table.column_names) for table in TABLES.values()}
    patch.setattr(sql_gate, "_granted", lambda _: everything)


def without_modesty(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_gate, "_require_modest", lambda *_: None)


def without_nesting(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_gate, "NESTING_MAX", 10**6)


def without_scans(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_names, "SCANS_MAX", 10**9)


def without_weights(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_names, "WEIGHT_MAX", 10**18)


def without_tracing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_names.Output, "is_personal", property(lambda _: False))


def with_any_word(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_gate, "_is_fit", lambda *_: True)


def with_star_of_anything(patch: pytest.MonkeyPatch) -> None:
    base = sql_names.Names._base
    patch.setattr(
        sql_names.Names, "_base", lambda self, name: sql_names.Source(base(self, name).columns, 1, name, True)
    )


GUARDS: tuple[tuple[Callable[[pytest.MonkeyPatch], None], Query], ...] = (
    (without_allow_list, query("select repeat(customer_id, 9) as customer_id from customers")),
    (without_allow_list, query("select c.customer_id from customers c natural join cards")),
    (without_places, query("select customer_id from customers limit 10")),
    (without_order, query("select customer_id from customers qualify row_number() over () = 1")),
    (without_tokens, query("select customer_id from customers where birth_year in (" + "1," * 19_000 + "1)")),
    (with_every_grant, query("select customer_id from customers where name = '王'", "*customer_id")),
    (without_modesty, query("select customer_id from customers where birth_year > " + "1+" * 1_000 + "1")),
    (without_nesting, query("select customer_id from customers where " + "(" * 60 + "true" + ")" * 60)),
    (without_scans, query(" union all ".join(["select customer_id from customers"] * 250))),
    (without_weights, query("with " + ", ".join(f"a{n} as (select x + x as x from {source})" for n, source in
        enumerate(["(select birth_year as x from customers) as c", *(f"a{n}" for n in range(25))]))
        + " select x as customer_id from a25")),
    (without_tracing, query("select mobile as customer_id from customers")),
    (with_any_word, query("select trim(customer_id, 'x') as customer_id, 1::json as j from"
     " customers", "customer_id j")),
    (with_star_of_anything, query("select customer_id from (select * from customers) as c")),
)  # fmt: skip


@pytest.mark.parametrize(("without", "attack"), GUARDS, ids=[guard.__name__ for guard, _ in GUARDS])
def test_each_group_of_guards_matters(
    without: Callable[[pytest.MonkeyPatch], None], attack: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LOG-04: with one guard taken away, an attack passes that the gate refuses"""
    assert refusals(attack)
    without(monkeypatch)
    examine(attack)


def test_a_fault_says_where_it_lies_in_both_languages() -> None:
    """LOG-04: refused with position"""
    sql = "select customer_id\nfrom customers\nwhere city = '上海' and getenv('HOME') = 'x'\n  and name = 'y'"
    with pytest.raises(Refused) as refused:
        examine(query(sql))
    (fault,) = refused.value.faults
    assert (fault.code, fault.path) == (FUNCTION, ("sql",))
    assert {key: fault.values[key] for key in ("line", "column", "name", "reason")} == {
        "line": "3", "column": "23", "name": "getenv", "reason": "sql_function_forbidden"}  # fmt: skip
    assert fault.values["snippet"] == "getenv('HOME') = 'x'"
    assert "第 3 行第 23 列" in message(fault.code, fault.values, "zh")
    assert "line 3, column 23" in message(fault.code, fault.values, "en")


def test_all_faults_of_a_kind_are_told_at_once() -> None:
    sql = "select name as customer_id, salary from customers, wages"
    assert refusals(query(sql, "customer_id salary")) == [TABLE]
    assert refusals(query("select name as customer_id, salary from customers", "customer_id salary")) == [
        COLUMN,
        COLUMN,
    ]


@pytest.mark.parametrize(
    ("sql", "outputs", "index", "code"),
    [("select customer_id from customers", "customer_id city", None, SqlRefusal.SQL_OUTPUT_MISSING),
     ("select customer_id, city from customers", "customer_id", None, SqlRefusal.SQL_OUTPUT_UNDECLARED),
     ("select customer_id, lower(city) from customers", "customer_id"
      " city", None, SqlRefusal.SQL_OUTPUT_UNNAMED),
     ("select customer_id, 1 as Customer_ID from"
      " customers", "customer_id", None, SqlRefusal.SQL_OUTPUT_DUPLICATE),
     ("select customer_id from customers", "customer_id CUSTOMER_ID", None, SqlRefusal.SQL_OUTPUT_DUPLICATE),
     ("select customer_id from customers", "customer_id", "cust_id", SqlRefusal.SQL_PRIMARY_INDEX_MISSING),
     ("select customer_id from customers", "customer_id", "", SqlRefusal.SQL_PRIMARY_INDEX_MISSING),
     ("select customer_id, mobile from customers", "customer_id"
      " mobile", None, SqlRefusal.SQL_OUTPUT_PERSONAL)],
)  # fmt: skip
def test_outputs_and_primary_index_are_those_declared(
    sql: str, outputs: str, index: str | None, code: SqlRefusal
) -> None:
    """LOG-06, LOG-19: the index is among the outputs; an output that is not classified rightly is refused"""
    assert code in refusals(query(sql, outputs, index=index))


@pytest.mark.parametrize(
    "made",
    ["mobile", "upper(mobile)", "case when mobile like '199%' then 1 else 0 end", "count(mobile) over ()",
     "(select max(c.mobile) from customers c)", "(select count(*) from customers c where c.mobile ="
      " k.customer_id)",
     "rank() over (order by mobile)"],
)  # fmt: skip
def test_what_is_made_of_personal_columns_is_personal(made: str) -> None:
    """LOG-19"""
    for sql in (
        f"select k.customer_id, {made} as x from customers k",
        f"select customer_id, x from (select k.customer_id, {made} as x from customers k) as t",
        f"with t as (select k.customer_id, {made} as x from customers k) select customer_id, max(x) as x"
        " from t group by customer_id",
        f"select customer_id, null as x from cards union all select k.customer_id, {made} from customers k",
    ):
        assert refusals(query(sql, "customer_id x")) == [SqlRefusal.SQL_OUTPUT_PERSONAL]
        assert examine(query(sql, "customer_id *x")).uses["customers"] == ("customer_id", "mobile")


@pytest.mark.parametrize(
    "sql",
    ["select c.customer_id, d.x from customers c join d on substring(c.mobile, 1, 1) = d.x",
     "select c.customer_id, d.x from customers c, d where substring(c.mobile, 1, 1) = d.x",
     "select c.customer_id, d.x from (select customer_id, substring(mobile, 1, 1) as x from customers) c"
     " join d using (x)",
     "select c.customer_id, max(d.x) as x from customers c, d group by 1 having max(c.mobile) > max(d.x)",
     "select c.customer_id, d.x from customers c, d qualify rank() over (order by c.mobile) = d.x",
     "select customer_id, '1' as x from customers where mobile like '1%'",
     "select customer_id, '1' as x from customers where upper(mobile) is null",
     "select customer_id, '1' as x from customers where (mobile = '1') is null",
     "select customer_id, '1' as x from (select customer_id, nullif(mobile, '1') as m from customers) as t"
     " where m is null",
     "select k.customer_id, '1' as x from customers k, "
     "(select 1 as one from customers where mobile = '1') t",
     "select customer_id, '1' as x from customers semi join"
     " (select customer_id from customers where mobile = '1') as t using (customer_id)",
     "select customer_id, '1' as x from customers where exists (select 1 from customers where mobile = '1')",
     "select customer_id, x from (select customer_id, '1' as x from customers where mobile = '1'"
     " union all select customer_id, '2' from cards) as t",
     "select customer_id, x from (select customer_id, mobile as m, '1' as x from customers"
     " except select customer_id, '1', '1' from customers) as t"],
)  # fmt: skip
def test_what_a_personal_column_decides_is_personal(sql: str) -> None:
    """LOG-19: a join of each digit of a number with constants would spell it out in columns of its own."""
    text = f"with d as (select '0' as x union all select '1') {sql}"
    assert SqlRefusal.SQL_OUTPUT_PERSONAL in refusals(query(text, "customer_id x"))
    examine(query(text, "*customer_id *x"))


def test_whether_a_personal_column_is_known_may_be_asked_of_the_rows() -> None:
    sql = "select c.customer_id, city from customers c where c.mobile is not null and not (mobile is null)"
    assert examine(query(sql, "customer_id city")).uses["customers"] == ("city", "customer_id", "mobile")


@pytest.mark.parametrize(
    "made",
    ["replace(replace('aaa', 'a', 'aaaaaaaa'), 'a', 'aaaaaaaa')", "replace(city, 'a', customer_id)",
     "replace(city, customer_id, 'a')", "replace(city, 'a', 'a' || 'b')", "replace(city, 'a', :text)"],
)  # fmt: skip
def test_a_replacement_does_not_make_texts_grow(made: str) -> None:
    """LOG-04: of 3 kB, two such calls, one within the other, made 2 GB when the query was only checked."""
    text = Parameter("text", "x")
    sql = f"select customer_id, {made} as x from customers"
    found = refusals(query(sql, "customer_id x", parameters=(text,)))
    assert set(found) == {SqlRefusal.SQL_CONSTRUCT_FORBIDDEN}
    examine(query("select customer_id, replace(city, '-', '/') as x from customers", "customer_id x"))


def test_only_the_columns_that_are_read_are_named_as_used() -> None:
    checked = examine(query("select count(*) as n from cards k join customers c using (customer_id)", "n"))
    assert checked.uses == {"cards": ("customer_id",), "customers": ("customer_id",)}


def test_a_grant_of_what_does_not_exist_grants_nothing() -> None:
    granted = (GrantedTable("customers", ("customer_id", "salary")), GrantedTable("wages", ("customer_id",)))
    assert refusals(query("select salary as customer_id from customers", granted=granted)) == [COLUMN]
    assert refusals(query("select customer_id from wages", granted=granted)) == [TABLE]


@pytest.mark.parametrize(
    "parameter",
    [Parameter("Upper", 1), Parameter("a"
     " b", 1), Parameter("", 1), Parameter("x" * 41, 1), Parameter("a", 2**63),
     Parameter("a", True), Parameter("a", "x" * 1_001), Parameter("a", "\0"),
     Parameter("a", datetime(2026, 1, 1))],  # noqa: DTZ001 - no date, and that is the point
)  # fmt: skip
def test_parameters_are_names_with_bounded_values(parameter: Parameter) -> None:
    assert SqlRefusal.SQL_PARAMETER_BAD in refusals(
        query("select customer_id from customers", parameters=(parameter,))
    )


def test_a_value_never_becomes_part_of_the_text() -> None:
    evil = Parameter("town", "' or 1=1; drop table customers --")
    checked = examine(query("select customer_id from customers where city = :town", parameters=(evil,)))
    assert "drop" not in checked.sql
    assert checked.parameters == ("town",)
    with bank() as connection:
        assert connection.execute(checked.sql, {"town": evil.value}).fetchall() == []


def test_texts_are_bounded_and_hold_no_card_number() -> None:
    filler = "-- " + "x" * 100_000
    assert refusals(query(f"select customer_id from customers {filler}")) == [SqlRefusal.SQL_TOO_LONG]
    numbered = "select customer_id from cards where card_token = '4111111111111111'"
    assert refusals(query(numbered)) == [CommonRefusal.CARD_NUMBER_IN_TEXT]


def test_a_source_is_a_plain_name() -> None:
    """It becomes a folder's name."""
    given = query("select customer_id from customers")
    evil = Query(given.sql, "../x", (), given.primary_index, given.outputs, given.granted, given.org_units)
    assert refusals(evil) == [SqlRefusal.SQL_SOURCE_UNKNOWN]


@pytest.mark.parametrize(
    "call",
    ["count_if(is_overdue)", "avg(birth_year)", "stddev(birth_year)", "stddev_samp(birth_year)",
     "stddev_pop(birth_year)", "variance(birth_year)", "var_pop(birth_year)", "median(birth_year)",
     "quantile_cont(birth_year, 0.9)", "quantile_disc(birth_year, 0.9)", "bool_and(is_overdue)",
     "percentile_cont(0.5) within group (order by birth_year)", "bool_or(is_overdue)"],
)  # fmt: skip
def test_every_aggregate_that_is_allowed_runs(call: str) -> None:
    checked = examine(query(f"select city, {call} as x from customers group by city", "city x"))
    with bank() as connection:
        assert len(connection.execute(checked.sql).fetchall()) == 2


CALLS = (
    "dense_rank() over (order by city)", "percent_rank() over (order by"
     " city)", "cume_dist() over (order by city)",
    "ntile(3) over (order by customer_id)", "lag(city, 1, 'x') over (order by customer_id)",
    "lead(city) over (order by customer_id)", "first_value(city) over (order by customer_id)",
    "last_value(city) over (order by customer_id)", "nth_value(city, 2) over (order by customer_id)",
    "nullif(city, 'x')", "greatest(birth_year, 1)", "least(birth_year,"
     " 1)", "abs(birth_year)", "round(birth_year, 1)",
    "floor(birth_year)", "ceil(birth_year)", "sign(birth_year)", "sqrt(birth_year)", "pow(birth_year, 2)",
    "birth_year **"
     " 2", "ln(birth_year)", "log(birth_year)", "log2(birth_year)", "exp(1)", "mod(birth_year, 7)",
    "birth_year // 7", "lower(city)", "length(city)", "trim(city)", "ltrim(city)", "trim(both 'x' from city)",
    "substring(city, 1, 2)", "left(city, 1)", "right(city, 1)", "replace(city, 'a',"
     " 'b')", "concat(city, level)",
    "strpos(city, '上')", "position('上' in city)", "contains(city, '上')", "starts_with(city, '上')",
    "ends_with(city, '海')", "prefix(city, '上')", "suffix(city,"
     " '海')", "regexp_matches(city, '^上')", "md5(city)",
    "sha256(city)", "md5_number_lower(city)", "md5_number_upper(city)", "try_cast(city as integer)",
    "date_diff('day', opened_on, :business_date)", "date_add(opened_on, interval 1"
     " month)", "make_date(2026, 1, 2)",
    "year(opened_on)", "month(opened_on)", "day(opened_on)", "quarter(opened_on)", "week(opened_on)",
    "dayofweek(opened_on)", "isodow(opened_on)", "dayofmonth(opened_on)", "dayofyear(opened_on)",
    "weekday(opened_on)", "last_day(opened_on)", "strftime(opened_on, '%Y%m')", "strptime('2026', '%Y')",
    "opened_on + to_days(3)", "opened_on + to_months(3)", "date_part('year', opened_on)",
    "date_sub('month', opened_on, :business_date)", "extract(year from opened_on)", "if(is_overdue, 1, 2)",
    "city ilike '上%'", "birth_year <=> 1980", "cast(birth_year as decimal(18, 2))",
    "cast(opened_on as timestamp)", "opened_on - interval '1 year'",
)  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_every_function_that_is_allowed_runs(call: str) -> None:
    checked = examine(query(f"select customer_id, {call} as x from customers", "customer_id x"))
    with bank() as connection:
        values = {name: date(2026, 7, 1) for name in checked.parameters}
        assert len(connection.execute(checked.sql, values).fetchall()) == 12


def test_the_list_of_functions_holds_no_stranger() -> None:
    """What has no test that runs it does not belong to the list."""
    texts = [f"select {call}" for call in CALLS] + [sql for sql, _ in LAWFUL] + [
        "select count_if(a), sum(a), avg(a), min(a), max(a), stddev(a), stddev_samp(a), stddev_pop(a),"
         " variance(a),"
        " var_pop(a), median(a), quantile_cont(a, 0.5), quantile_disc(a, 0.5), bool_and(a), bool_or(a),"
         " rank(),"
        " grouping(a)"
    ]  # fmt: skip
    seen = {
        type(node)
        for text in texts
        for node in sqlglot.parse_one(
            text.replace(":business", "$business").replace(":data", "$data"), read="duckdb"
        ).walk()
    }
    assert {kind.__name__ for kind in sql_allowed.FUNCTIONS - seen} == set()


WORDS = st.sampled_from(
    [
        *("select", "from", "where", "customers", "cards", "customer_id", "name", "mobile", "city", "c", "t"),
        *(
            "*",
            ",",
            "(",
            ")",
            ".",
            "=",
            "'x'",
            "1",
            "and",
            "or",
            "not",
            "as",
            "join",
            "using",
            "on",
            "group by",
        ),
        *("order by", "having", "limit", "union all", "with a", "exists", "in", "over", "partition by"),
        *(
            ":data_from",
            ":x",
            "$",
            ";",
            "--",
            "/*",
            "*/",
            '"',
            "[",
            "]",
            "{",
            "}",
            "read_parquet",
            "count",
            "sum",
        ),
        *("random", "now", "case", "when", "then", "end", "interval", "day", "null", "distinct", "lateral"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=25))
def test_whatever_comes_is_either_refused_or_runs_over_granted_columns_only(words: list[str]) -> None:
    """No input makes the gate fall over, and what passes names no ungranted column."""
    try:
        checked: CheckedQuery = examine(query("select customer_id from " + " ".join(words)))
    except Refused:
        return
    assert "name" not in checked.uses.get("customers", ())
    assert isinstance(exp.maybe_parse(checked.sql, dialect="duckdb"), exp.Query)
