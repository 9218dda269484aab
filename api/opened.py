"""What most commands begin with: the settings, and the database for as long as the command takes."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

from api.processes import Signals
from api.terminal import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrastructure.embedded_database import Database
    from infrastructure.settings import Settings


def read_settings(process: str | None = None) -> "Settings":
    """The settings; with the name of a process, its logs begin too."""
    from infrastructure import logs
    from infrastructure.settings import Settings

    settings = Settings.read()
    if process is not None:
        logs.configure(process, settings.log_level, settings.log_format)
    return settings


@contextmanager
def opened_database(process: str) -> "Iterator[Database]":
    """The database for a command that ends by itself; a signal interrupts it."""
    from infrastructure.embedded_database import open_database

    with Signals() as signals, open_database(read_settings(process)) as database:
        yield database
    if signals.requested:
        raise CommandFailed("Interrupted.", "Start it again when you like.", 130)
