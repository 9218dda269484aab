"""`cardinal counterpart`: the points system at the other end of an exchange folder, for drills."""

from pathlib import Path
from typing import Annotated

import typer

from api.processes import CHILD_LIMIT_S, Signals, run_until_stopped
from api.terminal import CommandFailed


def counterpart(
    folder: Annotated[Path, typer.Option(help="The exchange folder; it is made where it is missing.")],
    reject_every: Annotated[int, typer.Option(help="Reject each so many lines; 0 rejects none.")] = 0,
    reject_code: Annotated[str, typer.Option(help="The code of these rejections.")] = "51",
    drop_line: Annotated[int, typer.Option(help="Say nothing of the line with this number.")] = 0,
    lose_every: Annotated[int, typer.Option(help="Answer each so many files not at all.")] = 0,
    answer_after: Annotated[float, typer.Option(help="Wait so many seconds before an answer.")] = 0.0,
    answer_lost: Annotated[bool, typer.Option(help="First answer what was not answered.")] = False,
    once: Annotated[bool, typer.Option(help="End when everything that is there is answered.")] = False,
) -> None:
    """Be the points system at the other end of an exchange folder, for drills."""
    from infrastructure import logs
    from infrastructure.points_counterpart import Counterpart, CounterpartBusy, Rules
    from infrastructure.settings import Settings

    settings = Settings.read()
    logs.configure("counterpart", settings.log_level, settings.log_format)
    try:
        rules = Rules(reject_every, reject_code, drop_line, lose_every)
        with Signals(CHILD_LIMIT_S) as signals, Counterpart(folder, rules, answer_after).at_work() as at_work:
            if answer_lost:
                at_work.answer_lost()
            at_work.tick()
            signals.defer()
            if not once:
                run_until_stopped(signals, at_work.run)
    except ValueError as error:
        raise CommandFailed(
            f"It can't behave so: {error}.", "See `cardinal counterpart --help`.", 2
        ) from None
    except OSError as error:
        raise CommandFailed(
            f"The folder {folder} can't be used: {error.strerror}.", "Name one that can be written to."
        ) from error
    except CounterpartBusy as error:
        raise CommandFailed(f"{error}.", "End that one first.") from None
