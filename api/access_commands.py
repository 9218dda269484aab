"""`cardinal users` and `cardinal keys`: the first administrator of a house, and the keys it signs with."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from api.terminal import CommandFailed, table
from application.access import HEAD_OFFICE, Permission, Principal, Role

if TYPE_CHECKING:
    from application.shared.handler import UseCase
    from domain.shared.refusal import Refused
    from infrastructure.login_desk import LoginDesk
    from infrastructure.settings import Settings

users = typer.Typer(help="People who log in here.", no_args_is_help=True)
keys = typer.Typer(
    help="The keys by which this house signs its own tokens, and those that wrap persons' keys.",
    no_args_is_help=True,
)
COMMAND_LINE = "system:command-line"


def token(user: Annotated[str, typer.Argument(help="A sample user, such as operator.")]) -> None:
    """Print a token of a sample user, good for twelve hours."""
    settings = _settings()
    if settings.is_production:
        raise CommandFailed(
            "There are no sample users in production.", "Get tokens from the bank's own issuer.", 2
        )
    from infrastructure.token_keys import DevelopmentKey
    from infrastructure.tokens import SAMPLE_USERS, TokenRules, issue

    known = SAMPLE_USERS.get(user)
    if known is None:
        raise CommandFailed(f"There is no sample user {user!r}.", f"There are {', '.join(SAMPLE_USERS)}.", 2)
    key = DevelopmentKey.of(settings.home)
    print(issue(key, TokenRules.of(settings), known.name, known.roles, known.org_unit))


@users.command("create")
def create(
    username: Annotated[str, typer.Argument(help="At most 64 of a-z, 0-9, '.', '_' and '-'.")],
    name: Annotated[str, typer.Option(help="What people call him.")],
    role: Annotated[list[str], typer.Option(help="One or more roles.")] = ["administrator"],  # noqa: B006
    unit: Annotated[str, typer.Option(help="His organisation unit.")] = HEAD_OFFICE,
    password_stdin: Annotated[
        bool, typer.Option(help="Read the password from stdin; else one is made and printed.")
    ] = False,
) -> None:
    """Create a user, such as the first administrator; the others he creates through the API."""
    from application import users as use_cases
    from domain.users import Profile

    given = sys.stdin.readline().rstrip("\n") if password_stdin else None
    if given is not None:
        _judge(given, username, name)
    profile = Profile(name.strip(), unit, tuple(role))
    with _desk() as desk:
        _send(
            desk,
            "createUser",
            [username, name, unit, role],
            partial(use_cases.create, username=username, profile=profile),
        )
        if given is None:
            print(desk.new_password(username))
        else:
            desk.set_password(username, given)


@users.command("reset-password")
def reset_password(username: Annotated[str, typer.Argument(help="Whose.")]) -> None:
    """Print a new password, to be changed at the next login: for an administrator who lost his."""
    from application import users as use_cases
    from domain.users import user_id

    with _desk() as desk:
        _send(desk, "resetPassword", username, partial(use_cases.reset_password, id_=user_id(username)))
        print(desk.new_password(username))


@keys.command("rotate")
def rotate() -> None:
    """Make a key that signs from now on; the one before verifies until its tokens are over."""
    from infrastructure.signing_keys import SigningKeys

    print(SigningKeys(_settings().signing_keys_folder).rotate())


@keys.command("rotate-master")
def rotate_master() -> None:
    """Make a new master key and wrap all persons' keys by it, while all runs. Interrupted: do it again."""
    from infrastructure.vaults import person_keys

    kept = person_keys(_settings())
    count = kept.rotate()
    print(f"Master key {kept.status().newest} wraps; {count} persons' keys were wrapped anew.")


@keys.command("status")
def keys_status() -> None:
    """Show which master key wraps how many persons' keys, and how many persons were erased."""
    from infrastructure.vaults import person_keys

    found = person_keys(_settings()).status()
    rows = [
        (number, "wraps" if number == found.newest else "unwraps", found.by_master.get(number, 0))
        for number in sorted({*found.by_master, found.newest})
    ]
    table(("master key", "use", "persons' keys"), rows)
    print(f"erased persons: {found.erased}")


def _settings() -> "Settings":
    from infrastructure.settings import Settings

    return Settings.read()


@contextmanager
def _desk() -> "Iterator[LoginDesk]":
    from infrastructure.access_state import AccessState
    from infrastructure.access_store import AccessStore
    from infrastructure.database import pool
    from infrastructure.embedded_database import open_database
    from infrastructure.event_log import EventLog
    from infrastructure.login_desk import LoginDesk
    from infrastructure.own_tokens import OwnTokens
    from infrastructure.signing_keys import SigningKeys

    settings = _settings()
    with open_database(settings) as database, pool(database.url, 3) as connections:
        log, keys = EventLog(connections), SigningKeys(settings.signing_keys_folder)
        state = AccessState(database.url, connections, log)
        tokens = OwnTokens(keys, settings.token_audience)
        yield LoginDesk(log, AccessStore(connections), state, tokens, keys)


def _send(desk: "LoginDesk", operation: str, given: object, use_case: "UseCase") -> None:
    """One command in the name of the command line: who reaches the database may make accounts."""
    from application.shared.handler import Handler, Request
    from domain.shared.refusal import Refused

    units = _settings().units
    allowed = frozenset({Permission.ACCOUNTS_MAINTAIN})
    system = Principal(COMMAND_LINE, frozenset(), HEAD_OFFICE, units, system_permissions=allowed)
    try:
        Handler(desk.log)(Request(system, operation, given), use_case)
    except Refused as refused:
        raise CommandFailed(_in_words(refused), f"Roles are {', '.join(Role)}.", 2) from None


def _judge(password: str, username: str, name: str) -> None:
    from infrastructure.passwords import CHARACTERS_MIN, faults

    found = faults(password, (username, name), ())
    if found:
        told = ", ".join(fault.replace("_", " ") for fault in found)
        raise CommandFailed(
            f"The password is not taken: {told}.",
            f"Take {CHARACTERS_MIN} characters or more, hard to guess.",
            2,
        )


def _in_words(refused: "Refused") -> str:
    from api.messages import message

    return " ".join(message(fault.code, fault.values, "en") for fault in refused.faults)
