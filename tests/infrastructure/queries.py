"""Queries as tests write them: every table granted but the customers' names."""

from application.shared.engines import GrantedTable, OutputField, Parameter, Query
from domain.warehouse_schema import BANK, TABLES

UNITS = ("HO", "SH", "SZ")
GRANTED = tuple(
    GrantedTable(
        table.name, tuple(name for name in table.column_names if (table.name, name) != ("customers", "name"))
    )
    for table in TABLES.values()
)


def query(
    sql: str,
    outputs: str = "customer_id",
    *,
    index: str | None = None,
    parameters: tuple[Parameter, ...] = (),
    granted: tuple[GrantedTable, ...] = GRANTED,
    units: tuple[str, ...] = UNITS,
) -> Query:
    """`outputs` are names with blanks between, personal ones with a star before; the first one is the"
    " index."""
    fields = tuple(OutputField(name.lstrip("*"), name.startswith("*")) for name in outputs.split())
    primary = tuple(index.split()) if index is not None else tuple(field.name for field in fields[:1])
    return Query(sql, BANK, parameters, primary, fields, granted, units)
