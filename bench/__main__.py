"""`make bench`: all figures, or those whose modules are named: python -m bench log projections."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from bench import (
    broker,
    channels,
    engine,
    fanout,
    graphql,
    growth,
    log,
    memory,
    points,
    projections,
    recovery,
    rivals,
    seals,
)
from bench.rounds import Figure
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.migrate import migrate


def _on_a_fresh_log(figures: Callable[[str], Iterator[Figure]]) -> Iterator[Figure]:
    """A server of its own, durable as in production."""
    with tempfile.TemporaryDirectory(prefix="cardinal-bench-") as home:
        Path(home).chmod(0o755)
        with EmbeddedPostgres(Path(home)) as server:
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute("create database bench template template0")
            migrate(server.url(database="bench"))
            yield from figures(server.url(database="bench"))


BENCHES: dict[str, Callable[[], Iterator[Figure]]] = {
    "log": lambda: _on_a_fresh_log(log.figures),
    "projections": lambda: _on_a_fresh_log(projections.figures),
    "points": lambda: _on_a_fresh_log(points.figures),
    "broker": lambda: _on_a_fresh_log(broker.figures),
    "graphql": lambda: _on_a_fresh_log(graphql.figures),
    "channels": lambda: _on_a_fresh_log(channels.figures),
    "fanout": lambda: _on_a_fresh_log(fanout.figures),
    "seals": lambda: _on_a_fresh_log(seals.figures),
    "memory": memory.figures,
    "engine": engine.figures,
}
OPTIONS: dict[str, Callable[[], Iterator[Figure]]] = {
    "rivals": lambda: _on_a_fresh_log(rivals.figures),
    "recovery": recovery.figures,
    "growth": growth.figures,
}
"""Only where they are named."""


def main(names: list[str]) -> None:
    console = Console(width=130)
    table = Table("figure", "ours", "limit", "unit", "ratio", "lowest", "highest", "target", "")
    for name in names or BENCHES:
        for figure in (BENCHES | OPTIONS)[name]():
            console.print(f"{figure.name}: {figure.ratio:.2f}", style="dim")
            table.add_row(
                figure.name,
                f"{figure.ours:,.0f}",
                f"{figure.limit:,.0f}",
                figure.unit,
                f"{figure.ratio:.2f}",
                f"{figure.lowest:.2f}",
                f"{figure.highest:.2f}",
                f"{figure.target:.2f}",
                "met" if figure.is_met else "missed",
            )
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
