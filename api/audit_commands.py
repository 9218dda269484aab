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
    pack: Annotated[
        Path | None, typer.Option(help="Judge this pack instead of the log; no database is needed.")
    ] = None,
) -> None:
    """Check that the log is what was recorded: hashes, chains, heads, and what was sealed and published."""
    from infrastructure.log_verification import verify
    from infrastructure.seal_folder import SealFolder

    try:
        trusted = None if key is None else bytes.fromhex(key)
    except ValueError:
        raise CommandFailed("The key is not hexadecimal.", "Give the 64 digits of a public key.", 2) from None
    if pack is not None:
        _verify_pack(pack, trusted)
        return
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


def _verify_pack(path: Path, trusted: bytes | None) -> None:
    from infrastructure.audit_packs import PackInvalid, verify_pack

    try:
        report = verify_pack(path, trusted)
    except PackInvalid as invalid:
        raise CommandFailed(f"{invalid}.", "Ask for it again, and compare its checksum.") from None
    except OSError as error:
        remedy = "Name a file that is there."
        raise CommandFailed(f"{path} can't be read: {error.strerror}.", remedy, 2) from None
    for note in report.notes:
        say(f"Note: {note}.")
    if report.faults:
        table(("position", "problem"), report.faults)
        raise CommandFailed("The pack is not what was recorded.", "Ask who gave it to you for another.")
    print(f"{report.events} events in {report.streams} streams: all is as it was recorded.")
    print(f"{report.sealed} of them are proved by the seal.")


@audit.command("pack")
def audit_pack(
    subjects: Annotated[list[str], typer.Argument(help="Ids such as act_…, with all that belongs to them.")],
    out: Annotated[Path, typer.Option(help="The file to write; it must not be there.")],
) -> None:
    """Write what was recorded of a subject, with proofs and a timeline, as one file for auditors."""
    from api.planner.ids import decode
    from infrastructure.audit_packs import NothingToPack, pack
    from infrastructure.seal_folder import SealFolder

    try:
        keys = [decode(each)[1] for each in subjects]
    except ValueError:
        remedy = "Give ids as the API shows them, such as act_…"
        raise CommandFailed("One of these is no id.", remedy, 2) from None
    if out.exists():
        raise CommandFailed(f"{out} is there already.", "Name another file.", 2)
    with opened_database("audit") as database:
        try:
            report = pack(database.url, SealFolder(read_settings().seals_folder), keys, out)
        except NothingToPack as nothing:
            raise CommandFailed(f"There is nothing to pack: {nothing}.", "Look at the ids again.") from None
    for note in report.notes:
        say(f"Note: {note}.")
    print(f"{report.events} events in {report.streams} streams, {report.sealed} of them proved: {out}")


@audit.command("replay")
def audit_replay(
    subject: Annotated[str, typer.Argument(help="The id of one thing, such as act_…")],
    out: Annotated[
        Path | None, typer.Option(help="Write the steps to this file, .jsonl or .xlsx; it must not be there.")
    ] = None,
    types: Annotated[str, typer.Option(help="Only these types of events, separated by commas.")] = "",
    actor: Annotated[str, typer.Option(help="Only what this user did.")] = "",
    since: Annotated[str, typer.Option(help="Only from this time on, such as 2026-03-01T00:00:00Z.")] = "",
    until: Annotated[str, typer.Option(help="Only before this time.")] = "",
) -> None:
    """Tell one thing's history event by event: who, when, and what it changed; with --out also its states."""
    from api.replay_files import chosen_of, write
    from api.replays import kind_and_key
    from infrastructure.database import pool
    from infrastructure.event_log import EventLog
    from infrastructure.workbooks import Workbook
    from projections.replays import line, replay

    kind, key = kind_and_key(subject)
    chosen = chosen_of({"types": types, "actor": actor, "since": since, "until": until})
    if key is None or chosen is None:
        raise CommandFailed("The id or a time is no good.", "Give them as the API shows them.", 2)
    is_good = out is None or (out.suffix in (".jsonl", ".xlsx") and out.parent.is_dir() and not out.exists())
    if not is_good:
        remedy = "Name a new .jsonl or .xlsx in a folder that is there."
        raise CommandFailed(f"{out} can't be written.", remedy, 2)
    with opened_database("audit") as database, pool(database.url, 1) as connections:
        found = replay(EventLog(connections), kind, key, most=None)
    if not found.steps:
        raise CommandFailed("Nothing happened to this thing.", "Look at the id again.")
    lines = [line(found, step) for step in found.steps if chosen.includes(step.record)]
    if out is not None:
        write(out, lines, Workbook)
        print(f"{len(lines)} of {len(found.steps)} steps: {out}")
        return
    rows = [
        (each["version"], each["recordedAt"], each["eventType"], each["actor"],
         ", ".join(change["field"] for change in each["changes"]))
        for each in lines
    ]  # fmt: skip
    table(("version", "recorded at", "event", "actor", "changed"), rows)


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
