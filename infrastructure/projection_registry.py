"""Every projection with its tables, by name."""

from collections.abc import Mapping

from infrastructure.projection_entries import EntryTables
from infrastructure.projection_tables import RowTables, Tables
from infrastructure.projection_timeline import TimelineTables
from projections.registry import ENTRIES, PROJECTIONS

ALL: tuple[Tables, ...] = (
    *(RowTables(projection) for projection in PROJECTIONS),
    *(EntryTables(projection) for projection in ENTRIES),
    TimelineTables(),
)
BY_NAME: Mapping[str, Tables] = {tables.name: tables for tables in ALL}

PROJECTION_OF: Mapping[str, str] = {table: tables.name for tables in ALL for table in tables.names}
"""Which projection keeps a table of the schema `read`."""
