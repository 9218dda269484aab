"""The segment engine that the settings name: DuckDB over the warehouse in CARDINAL_HOME."""

from application.shared.engines import Engine
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.settings import Settings
from infrastructure.warehouse import Warehouse


def segment_engine(settings: Settings) -> Engine:
    """The same warehouse and results for every process of this home."""
    warehouse = Warehouse(settings.home / "warehouse", tuple(sorted(settings.units)))
    return DuckDBEngine(warehouse, settings.home / "results")
