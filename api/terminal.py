"""What the command line shows: tables, progress and panels at a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

ReadyUser = tuple[str, str, str]
"""Name, organisation unit, what he does."""


class CommandFailed(Exception):
    """A command can't do what it was asked: what is wrong, and what to do about it."""

    def __init__(self, problem: str, remedy: str, code: int = 1) -> None:
        super().__init__(problem)
        self.problem, self.remedy, self.code = problem, remedy, code


def say(text: str) -> None:
    """A line for the person who started this; never on stdout, which holds answers only."""
    print(text, file=sys.stderr, flush=True)


def failed(problem: str, remedy: str) -> None:
    """What is wrong, and what to do about it."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True)
        console.print(Text(problem, style="bold red"))
        console.print(Text(remedy))
    else:
        say(problem)
        say(remedy)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under their columns."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        drawn = Table(*columns)
        for row in rows:
            drawn.add_row(*map(str, row))
        Console().print(drawn)
        return
    cells = [tuple(map(str, row)) for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar at a terminal: call it with how far it has come and, where that is known, the total."""
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say_ready(url: str, users: Sequence[ReadyUser], token_command: str) -> None:
    """Say that everything is up, where, and as whom to try it; the first line is alone for machines."""
    print(f"ready {url}", flush=True)
    if not users:
        return
    token = f"{token_command} {users[0][0]}"
    lines = [f"{name:<14}{unit:<4}{about}" for name, unit, about in users]
    lines.append("Each logs in with the password <name>-tries-cardinal (POST /login).")
    if not sys.stdout.isatty():
        print("\n".join(["sample users:", *(f"  {line}" for line in lines), f"a token: {token}"]), flush=True)
        return
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    text = Text("\n").join(
        [Text("Sample users", style="bold"), *map(Text, lines), Text(), Text("A token for one of them:")]
    )
    text.append(f"\n{token}", style="bold green")
    text.append("\n\nCtrl-C stops everything.")
    Console().print(Panel(text, title="Cardinal", expand=False))
