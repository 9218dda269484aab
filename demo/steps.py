"""The demo's steps as they are done: what came of each, and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(slots=True)
class Step:
    """`figures` is what came of it, in a line."""

    name: str
    figures: str = ""
    duration_s: float = 0.0


@dataclass(slots=True)
class Steps:
    console: Console
    done: list[Step] = field(default_factory=list)
    begun_s: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """One step, shown while it is worked on and when it is done."""
        step, begun_s = Step(name), time.monotonic()
        with self.console.status(f"{len(self.done) + 1}. {name} …"):
            yield step
        step.duration_s = time.monotonic() - begun_s
        self.done.append(step)
        self.console.print(f"{len(self.done):>3}. {name}  [dim]{step.figures}  {step.duration_s:.1f} s[/dim]")

    def table(self) -> Table:
        table = Table(
            "", "step", "figures", "seconds", title="One campaign, from parameters to posted points"
        )
        for number, step in enumerate(self.done, start=1):
            table.add_row(str(number), step.name, step.figures, f"{step.duration_s:.1f}")
        table.add_row("", "all of it", "", f"{time.monotonic() - self.begun_s:.1f}", style="bold")
        return table
