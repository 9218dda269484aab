"""`cardinal audit`: what an auditor asks of the log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.opened import opened_database, read_settings
from api.terminal import CommandFailed, progress, say, table

if TYPE_CHECKING:
    from infrastructure.embedded_database import Database
    from infrastructure.log_sealer import Sealer
    from infrastructure.settings import Settings

audit = typer.Typer(help="Questions of auditors to the log.", no_args_is_help=True)


@audit.command("verify")
def audit_verify(
    seals: Annotated[
        Path | None, typer.Option(help="The folder where seals are published. [CARDINAL_SEALS]")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The public key of the first seal, in hexadecimal, as you have it.")
    ] = None,
) -> None:
    """Check that the log is what was recorded: hashes, chains, heads, and what was sealed and published."""
    from infrastructure.log_verification import verify
    from infrastructure.seal_folder import SealFolder

    try:
        trusted = None if key is None else bytes.fromhex(key)
    except ValueError:
        raise CommandFailed("The key is not hexadecimal.", "Give the 64 digits of a public key.", 2) from None
    with opened_database("audit") as database, progress("events") as shown:
        folder = SealFolder(seals or read_settings().seals_folder)
        report = verify(database.url, lambda events: shown(events, None), folder, trusted)
    for note in report.notes:
        say(f"Note: {note}.")
    if report.faults:
        rows = [
            (fault.position, fault.stream_id or "", fault.version or "", fault.problem)
            for fault in report.faults
        ]
        table(("position", "stream", "version", "problem"), rows)
        raise CommandFailed(
            f"The log has been changed: the first bad position is {report.faults[0].position}.",
            "Stop what writes to it, keep this database as it is, and compare it with a backup.",
        )
    print(f"{report.events} events in {report.streams} streams: all is as it was recorded.")
    print(f"{report.sealed} of them are sealed; {report.events - report.sealed} are not sealed yet.")


@audit.command("seal")
def audit_seal() -> None:
    """Seal now what is not sealed yet; the scheduler does it by itself."""
    with opened_database("audit") as database:
        sealed = sealer(read_settings(), database).seal_all()
    print("\n".join(f"seal {seal.number}: {seal.size} events, {seal.root.hex()}" for seal in sealed)
          or "Nothing was sealed: all is, or another process is at it.")  # fmt: skip


@audit.command("rotate-key")
def audit_rotate_key() -> None:
    """Make a new key for seals; the next seal announces it, and the one after is signed by it."""
    from infrastructure.seal_keys import SealKeys

    print(SealKeys(read_settings("audit").seal_keys_folder).rotate().hex())


def sealer(settings: "Settings", database: "Database") -> "Sealer":
    """What seals the log, as the settings say."""
    from infrastructure.log_sealer import Sealer
    from infrastructure.seal_folder import SealFolder
    from infrastructure.seal_keys import SealKeys

    keys, folder = SealKeys(settings.seal_keys_folder), SealFolder(settings.seals_folder)
    return Sealer(database.url, keys, folder, settings.seal_every_s)
