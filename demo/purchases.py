"""The data the demo is played with, and the same figures counted without the product."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb

from demo.cases import Case, Expected, month_before

KNOWN = {("customer_no", "purchased_on", "quantity", "amount_usd"): ("cdnow.toml", "purchases.csv")}
"""Sets of purchases that come without a mapping.toml, by their header: the mapping, and the file."""


def mapping_of(data: Path) -> Path | None:
    """The mapping of a set that the demo knows; None where the folder has its own, or needs none."""
    for header, (mapping, file) in KNOWN.items():
        path = data / file
        if path.is_file() and tuple(_header(path)) == header and not (data / "mapping.toml").exists():
            return Path(__file__).with_name(mapping)
    return None


def _header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def sample_case(home: Path) -> Case:
    """The last whole month of the sample bank: 3,000 yuan spent, a point for each 10."""
    tables = home / "warehouse" / "bank"
    business_date = date.fromisoformat(json.loads((tables / "snapshot.json").read_text())["business_date"])
    begins, ends = month_before(business_date)
    return Case(
        name="Points for a month's spend",
        currency="CNY",
        data_from=begins,
        data_to=ends,
        spend_minor=300_000,
        minor_per_point=1_000,
        budget="500000",
        independent=partial(_of_parquet, tables, begins, ends, 300_000, 1_000),
    )


def own_case(home: Path, data: Path) -> Case:
    """The first quarter of the first year of one's own purchases: 100 spent, a point for each unit."""
    tables = home / "warehouse" / "bank"
    with duckdb.connect() as connection:
        row = connection.execute(
            f"select min(booked_on), min(currency) from read_parquet('{tables}/transactions.parquet')"
        ).fetchone()
    assert row is not None
    first: date = row[0]
    begins, ends = first.replace(month=1, day=1), first.replace(month=4, day=1)
    file = data / "purchases.csv"
    independent = (
        partial(_of_csv, file, begins, ends, 10_000, 100)
        if mapping_of(data)
        else partial(_of_parquet, tables, begins, ends, 10_000, 100)
    )
    return Case(
        name="Points for a quarter's purchases",
        currency=row[1],
        data_from=begins,
        data_to=ends,
        spend_minor=10_000,
        minor_per_point=100,
        budget="500000",
        independent=independent,
    )


def _of_csv(file: Path, begins: date, ends: date, spend_minor: int, minor_per_point: int) -> Expected:
    spent: dict[str, int] = defaultdict(int)
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if begins <= date.fromisoformat(row["purchased_on"]) < ends:
                spent[row["customer_no"]] += int(Decimal(row["amount_usd"]) * 100)
    return _summed(spent.values(), spend_minor, minor_per_point)


def _of_parquet(tables: Path, begins: date, ends: date, spend_minor: int, minor_per_point: int) -> Expected:
    """Read row by row by DuckDB alone, and summed up here."""
    with duckdb.connect() as connection:
        overdue = {
            customer
            for (customer,) in connection.execute(
                f"select customer_id from read_parquet('{tables}/customers.parquet') where is_overdue"
            ).fetchall()
        }
        rows = connection.execute(
            f"select customer_id, amount_minor from read_parquet('{tables}/transactions.parquet')"
            " where booked_on >= ? and booked_on < ?",
            [begins, ends],
        ).fetchall()
    spent: dict[str, int] = defaultdict(int)
    for customer, amount_minor in rows:
        if customer not in overdue:
            spent[customer] += amount_minor
    return _summed(spent.values(), spend_minor, minor_per_point)


def _summed(spent: Iterable[int], spend_minor: int, minor_per_point: int) -> Expected:
    enough = [amount for amount in spent if amount >= spend_minor]
    return Expected(len(enough), sum(amount // minor_per_point for amount in enough))
