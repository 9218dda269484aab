"""Staged rows of the user's files become the warehouse's tables; what is doubled or nobody's is told."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from domain.warehouse_schema import TABLES, ColumnType
from infrastructure.warehouse_mapping import Mapped

REJECTS_MAX = 100_000
"""Rejected rows that are listed; all are counted."""


@dataclass(slots=True)
class Rejects:
    counts: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, file: str, line: int, reason: str) -> None:
        self.counts[reason] += 1
        if len(self.listed) < REJECTS_MAX:
            self.listed.append((file, line, reason))


def stage_table(connection: duckdb.DuckDBPyConnection, table: str, scratch: Path) -> None:
    types = {
        ColumnType.TEXT: "varchar",
        ColumnType.INTEGER: "bigint",
        ColumnType.BIG_INTEGER: "bigint",
        ColumnType.DATE: "date",
        ColumnType.BOOLEAN: "boolean",
    }
    columns = ", ".join(f"'{column.name}': '{types[column.type]}'" for column in TABLES[table].columns)
    path = str(scratch / f"{table}.staged").replace("'", "''")
    connection.execute(
        f"create table staged_{table} as select * from read_csv('{path}', header = false,"
        f" auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = '',"
        f" columns = {{{columns}, 'line': 'bigint'}})"
    )


_FROM_CUSTOMERS = """
create table customers as
select customer_id, org_unit, birth_year::int as birth_year, coalesce(gender, '') as gender,
       coalesce(city, '') as city, coalesce(level, '') as level, opened_on, mobile, name, is_overdue
from staged_customers qualify row_number() over (partition by customer_id order by line) = 1
"""

_FROM_TRANSACTIONS = """
create table customers as
select customer_id, 'HO' as org_unit, null::int as birth_year, '' as gender, '' as city, '' as level,
       min(booked_on) as opened_on, null::varchar as mobile, null::varchar as name, false as is_overdue
from staged_transactions group by customer_id
"""

_TRANSACTIONS = """
create table transactions as
select coalesce(transaction_id, line) as transaction_id,
       coalesce(card_token, 'T' || customer_id) as card_token, customer_id, amount_minor, currency, booked_on,
       coalesce(merchant_category, '') as merchant_category, coalesce(channel, '') as channel, line
from staged_transactions semi join customers using (customer_id)
qualify row_number() over (partition by coalesce(transaction_id, line) order by line) = 1
"""

_CARDS = """
create table cards as
select card_token, min_by(customer_id, booked_on) as customer_id, '' as product, min(booked_on) as opened_on,
       'ACTIVE' as status, '' as card_masked
from transactions group by card_token
union all
select 'T' || customer_id, customer_id, '', opened_on, 'ACTIVE', ''
from customers anti join transactions using (customer_id)
"""

_DOUBLED_CUSTOMERS = """
select line from staged_customers
qualify row_number() over (partition by customer_id order by line) > 1 order by line
"""

_ACCOUNTS = """
create table accounts as
select 'A' || customer_id as account_id, customer_id, $currency as currency,
       null::bigint as credit_limit_minor, opened_on
from customers
"""


def settle(
    connection: duckdb.DuckDBPyConnection, has_customers: bool, mapped: Mapped, rejects: Rejects
) -> None:
    """The tables out of what is staged; what is doubled or belongs to nobody is rejected."""
    connection.execute(_FROM_CUSTOMERS if has_customers else _FROM_TRANSACTIONS)
    connection.execute(_TRANSACTIONS)
    if has_customers:
        _reject(
            connection,
            _DOUBLED_CUSTOMERS,
            mapped.customers.file,
            "duplicate",
            rejects,
        )
    _reject(
        connection,
        "select line from staged_transactions anti join customers using (customer_id) order by line",
        mapped.transactions.file,
        "unknown_customer",
        rejects,
    )
    _reject(
        connection,
        "select line from staged_transactions semi join customers using (customer_id)"
        " anti join transactions using (line) order by line",
        mapped.transactions.file,
        "duplicate",
        rejects,
    )
    connection.execute("alter table transactions drop column line")
    connection.execute(_CARDS)
    connection.execute(_ACCOUNTS, {"currency": mapped.currency})


def _reject(
    connection: duckdb.DuckDBPyConnection, sql: str, file: str, reason: str, rejects: Rejects
) -> None:
    cursor = connection.execute(sql)
    while lines := cursor.fetchmany(10_000):
        for (line,) in lines:
            rejects.add(file, line, reason)
