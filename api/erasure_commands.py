"""`cardinal erasures`: what was erased stays erased, also after a restore."""

import typer

from api.opened import opened_database, read_settings
from api.terminal import say

erasures = typer.Typer(help="Persons who were erased.", no_args_is_help=True)


@erasures.command("replay")
def replay() -> None:
    """After a restore: erase again, in what came back, everybody who was erased. It may be repeated."""
    with opened_database("erasures") as database:
        replayed(database.url)


def replayed(url: str) -> None:
    """Say what was done, for who restores too."""
    from infrastructure.database import pool
    from infrastructure.erasure_replay import replay
    from infrastructure.person_traces import HousePersonTraces
    from infrastructure.vaults import person_keys

    settings = read_settings()
    keys = person_keys(settings)
    with pool(url, 2) as connections:
        done = replay(url, keys, HousePersonTraces.of(settings, url, connections, keys))
    say(
        f"Erasures: {done.persons} persons are erased, {done.swept.rows} of their rows went again,"
        f" out of {done.swept.files} files."
    )
