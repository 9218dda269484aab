"""`cardinal projections`: how far the read tables are, what is parked, and how they are made anew."""

from typing import Annotated
from uuid import UUID

import typer

from api.opened import opened_database
from api.terminal import CommandFailed, progress, table

projections = typer.Typer(help="The read tables and how far they are.", no_args_is_help=True)


@projections.command("status")
def projections_status() -> None:
    """Show how far each projection has come."""
    from infrastructure.projection_status import status

    with opened_database("projections") as database:
        found = status(database.url)
    rows = [(p.name, p.position, p.lag_events, f"{p.lag_s:.1f}", p.parked, p.rows) for p in found]
    table(("projection", "position", "events behind", "seconds behind", "parked", "rows"), rows)


@projections.command("rebuild")
def projections_rebuild(
    name: Annotated[str | None, typer.Argument(help="Its name; all of them when none is given.")] = None,
) -> None:
    """Fold projections anew from the log beside the live ones, compare, and put them in place."""
    from infrastructure.projection_rebuild import RebuildRefused, rebuild
    from projections.registry import NAMES

    _require_known(name)
    with opened_database("projections") as database:
        for chosen in NAMES if name is None else (name,):
            with progress(chosen) as shown:
                try:
                    report = rebuild(
                        database.url, chosen, lambda p: shown(p.position.offset, p.target.offset)
                    )
                except RebuildRefused as refused:
                    raise CommandFailed(
                        f"{chosen} was not rebuilt: {refused}.", "Try again later."
                    ) from refused
            differing = sum(compared.differing for compared in report.tables)
            outcome = (
                "equal to the live rows" if report.is_equal else f"{differing} rows differed and are mended"
            )
            print(
                f"{chosen}: rebuilt in {report.duration_s:.1f} s, {outcome}, {report.parked} streams parked"
            )


@projections.command("parked")
def projections_parked() -> None:
    """Show the streams that a projection could not take in, and why; they are tried again by themselves."""
    from infrastructure.projection_parking import parked

    with opened_database("projections") as database:
        found = parked(database.url)
    rows = [(p.projection, p.stream_id, p.position, f"{p.first_seen:%Y-%m-%d %H:%M}", p.attempts, p.error)
            for p in found]  # fmt: skip
    table(("projection", "stream", "position", "since", "tried", "why"), rows)


@projections.command("retry")
def projections_retry(
    name: Annotated[str | None, typer.Argument(help="Of one projection; of all when none is given.")] = None,
    stream: Annotated[UUID | None, typer.Argument(help="One stream; all when none is given.")] = None,
) -> None:
    """Try parked streams again, now."""
    from infrastructure.projection_parking import parked, retry

    _require_known(name)
    with opened_database("projections") as database:
        waiting = [
            each
            for each in parked(database.url)
            if name in (None, each.projection) and stream in (None, each.stream_id)
        ]
        mended = sum(retry(database.url, each.projection, each.stream_id) for each in waiting)
    print(f"{len(waiting)} parked streams tried, {mended} of them taken in")
    if mended < len(waiting):
        raise typer.Exit(1)


def _require_known(name: str | None) -> None:
    from projections.registry import NAMES

    if name is not None and name not in NAMES:
        raise CommandFailed(f"There is no projection {name!r}.", f"There are {', '.join(NAMES)}.", 2)
