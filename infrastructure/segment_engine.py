"""The segment engine that the settings name: DuckDB over the warehouse in CARDINAL_HOME."""

import threading
from collections.abc import Callable
from typing import Any, cast

from application.shared.engines import Engine
from infrastructure.settings import Settings


def segment_engine(settings: Settings) -> Engine:
    """The same warehouse and results for every process of this home."""

    def opened() -> Engine:
        from infrastructure.duckdb_engine import DuckDBEngine
        from infrastructure.duckdb_session import EngineLimits
        from infrastructure.warehouse import Warehouse

        warehouse = Warehouse(settings.home / "warehouse", tuple(sorted(settings.units)))
        limits = EngineLimits(
            memory_bytes=settings.engine_memory_mb * 2**20,
            temporary_bytes=settings.engine_disk_mb * 2**20,
            at_once=settings.engine_queries,
        )
        return DuckDBEngine(warehouse, settings.home / "results", limits)

    return cast(Engine, _OnFirstUse(opened))


class _OnFirstUse:
    """An engine that is opened when it is first asked: DuckDB and the gate take some 50 MB of a process."""

    def __init__(self, opened: Callable[[], Engine]) -> None:
        self._opened, self._lock = opened, threading.Lock()
        self._engine: Engine | None = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._engine is None:
                self._engine = self._opened()
        return getattr(self._engine, name)
