"""The tables of customer data that analysts may ask for: columns, types, and which of them are personal.

They are not event-sourced but loaded; this page is what gate, grants, loader and API agree on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

BANK = "bank"
"""The code of the source that the sample bank and the user's own files are loaded as."""


class ColumnType(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    BIG_INTEGER = "big_integer"
    DATE = "date"
    BOOLEAN = "boolean"


class Sensitivity(StrEnum):
    """PERSONAL: tells who somebody is. What is made of such a column is personal too."""

    ORDINARY = "ordinary"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class TableColumn:
    name: str
    type: ColumnType
    sensitivity: Sensitivity = Sensitivity.ORDINARY

    @property
    def is_personal(self) -> bool:
        return self.sensitivity is Sensitivity.PERSONAL


@dataclass(frozen=True, slots=True)
class WarehouseTable:
    """One table; its first column is its key. Amounts are integer minor units (`…_minor`)."""

    name: str
    columns: tuple[TableColumn, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def key(self) -> str:
        return self.columns[0].name

    def column(self, name: str) -> TableColumn | None:
        return next((column for column in self.columns if column.name == name), None)


_TABLES = (
    WarehouseTable(
        "customers",
        (
            TableColumn("customer_id", ColumnType.TEXT),
            TableColumn("org_unit", ColumnType.TEXT),
            TableColumn("birth_year", ColumnType.INTEGER),
            TableColumn("gender", ColumnType.TEXT),
            TableColumn("city", ColumnType.TEXT),
            TableColumn("level", ColumnType.TEXT),
            TableColumn("opened_on", ColumnType.DATE),
            TableColumn("mobile", ColumnType.TEXT, Sensitivity.PERSONAL),
            TableColumn("name", ColumnType.TEXT, Sensitivity.PERSONAL),
            TableColumn("is_overdue", ColumnType.BOOLEAN),
        ),
    ),
    WarehouseTable(
        "cards",
        (
            TableColumn("card_token", ColumnType.TEXT),
            TableColumn("customer_id", ColumnType.TEXT),
            TableColumn("product", ColumnType.TEXT),
            TableColumn("opened_on", ColumnType.DATE),
            TableColumn("status", ColumnType.TEXT),
            TableColumn("card_masked", ColumnType.TEXT),
        ),
    ),
    WarehouseTable(
        "accounts",
        (
            TableColumn("account_id", ColumnType.TEXT),
            TableColumn("customer_id", ColumnType.TEXT),
            TableColumn("currency", ColumnType.TEXT),
            TableColumn("credit_limit_minor", ColumnType.BIG_INTEGER),
            TableColumn("opened_on", ColumnType.DATE),
        ),
    ),
    WarehouseTable(
        "transactions",
        (
            TableColumn("transaction_id", ColumnType.BIG_INTEGER),
            TableColumn("card_token", ColumnType.TEXT),
            TableColumn("customer_id", ColumnType.TEXT),
            TableColumn("amount_minor", ColumnType.BIG_INTEGER),
            TableColumn("currency", ColumnType.TEXT),
            TableColumn("booked_on", ColumnType.DATE),
            TableColumn("merchant_category", ColumnType.TEXT),
            TableColumn("channel", ColumnType.TEXT),
        ),
    ),
)

TABLES: Mapping[str, WarehouseTable] = {table.name: table for table in _TABLES}
"""By name. Names are lower case, as are those of the columns."""
