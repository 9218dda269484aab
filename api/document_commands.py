"""`cardinal documents`: the GraphQL documents that clients may name by their sha256."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import orjson
import typer

from api.terminal import CommandFailed, table

DOCUMENTS_MAX = 10_000
FILE_BYTES_MAX = 64 * 1024 * 1024
FAULTS_SHOWN = 20
CHARACTERS_SHOWN = 60
MAP = "It is the JSON map {sha256: document} that relay-compiler or graphql-codegen writes (docs/api.md)."

documents = typer.Typer(help="The documents that front ends register.", no_args_is_help=True)


@documents.command()
def register(
    file: Annotated[Path, typer.Argument(help="A JSON map of documents by their sha256.")],
) -> None:
    """Register a front end's documents at its deploy: all, or none where one is not valid."""
    from infrastructure import registered_documents
    from infrastructure.embedded_database import open_database
    from infrastructure.settings import Settings

    found = _read(file)
    faults = list(_faults(found))
    if faults:
        told = "\n".join(faults[:FAULTS_SHOWN])
        raise CommandFailed(
            f"{len(faults)} documents can't be registered:\n{told}", "None was registered.", 2
        )
    with open_database(Settings.read()) as database:
        new = registered_documents.register(database.url, found)
    print(f"{new} new documents; {len(found) - new} were registered before.")


@documents.command("list")
def show() -> None:
    """Show what is registered."""
    from infrastructure import registered_documents
    from infrastructure.embedded_database import open_database
    from infrastructure.settings import Settings

    with open_database(Settings.read()) as database:
        found = registered_documents.listed(database.url)
    rows = [(each.digest, f"{each.registered_at:%Y-%m-%d}", _begin(each.source)) for each in found]
    table(("sha256", "registered", "document"), rows)


@documents.command()
def withdraw(digests: Annotated[list[str], typer.Argument(help="The sha256 of each, in hex.")]) -> None:
    """Take documents back. The API runs them for up to a minute more."""
    from infrastructure import registered_documents
    from infrastructure.embedded_database import open_database
    from infrastructure.settings import Settings

    wanted = {digest.lower() for digest in digests}
    with open_database(Settings.read()) as database:
        gone = registered_documents.withdraw(database.url, wanted)
    if gone < len(wanted):
        raise CommandFailed(f"{len(wanted) - gone} of them were not registered.", f"{gone} are withdrawn.")
    print(f"{gone} withdrawn.")


def _read(file: Path) -> dict[str, str]:
    """The map, its digests in lower case and without their algorithm's name. Raise CommandFailed."""
    try:
        data = file.read_bytes() if file.stat().st_size <= FILE_BYTES_MAX else b""
        found = orjson.loads(data)
    except OSError as error:
        raise CommandFailed(f"{file} can't be read: {error.strerror}.", MAP, 2) from error
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(source, str) for source in found.values()):
        raise CommandFailed(f"{file} is no map of documents.", MAP, 2)
    if len(found) > DOCUMENTS_MAX:
        raise CommandFailed(f"{file} has more than {DOCUMENTS_MAX:,} documents.", "Register fewer.", 2)
    return {name.lower().removeprefix("sha256:"): source for name, source in found.items()}


def _faults(found: Mapping[str, str]) -> Iterator[str]:
    """A line for each document whose digest is another, or that the API would refuse."""
    from api.persisted_documents import digest
    from api.planner.reads import read_document
    from api.schema import schema

    for named, source in found.items():
        if digest(source) != named:
            yield f"{named[:64]}: this is not the document's sha256"
        elif errors := read_document(schema._schema, source).errors:
            yield f"{named}: {errors[0].message}"


def _begin(source: str) -> str:
    return " ".join(source.split())[:CHARACTERS_SHOWN]
