"""The command line, and the one place where everything is wired. Heavy imports happen inside commands."""

import os
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.access_commands import keys, token, users
from api.audit_commands import audit, sealer
from api.backup_commands import archiving, backup, promote, restore
from api.counterpart_command import counterpart
from api.document_commands import documents
from api.erasure_commands import erasures
from api.opened import opened_database, read_settings
from api.processes import (
    CHILD_LIMIT_S,
    Child,
    ChildrenFail,
    Parent,
    Signals,
    Supervisor,
    run_until_stopped,
)
from api.projection_commands import projections
from api.terminal import CommandFailed, failed, say, say_ready
from api.warehouse_commands import warehouse

if TYPE_CHECKING:
    from infrastructure.embedded_database import Database
    from infrastructure.settings import Settings

DATABASE_REMEDY = "See that the server runs, and that DATABASE_URL names it (docs/settings.md)."

cardinal = typer.Typer(
    name="cardinal",
    help="Cardinal: the marketing decision platform of a card centre.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cardinal.add_typer(audit, name="audit")
cardinal.add_typer(projections, name="projections")
cardinal.add_typer(warehouse, name="warehouse")
cardinal.add_typer(users, name="users")
cardinal.add_typer(keys, name="keys")
cardinal.command()(token)
cardinal.add_typer(documents, name="documents")
cardinal.add_typer(erasures, name="erasures")
cardinal.command()(counterpart)
cardinal.command()(backup)
cardinal.command()(restore)
cardinal.command()(promote)

_parent: Parent | None = None


def run() -> None:
    """The entry point of `cardinal`: 0 when all is well, 1 for a failure, 2 for a wrong use or setting."""
    global _parent
    _parent = Parent.of(os.environ)
    try:
        cardinal()
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        problem, remedy, code = _explained(error)
        failed(problem, remedy)
        sys.exit(code)


@cardinal.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
) -> None:
    del debug  # read by `run`, which is there when a command is not


def _explained(error: Exception) -> tuple[str, str, int]:
    """What is wrong in a line, what to do about it in another, and the exit code."""
    import psycopg

    from application.shared.key_keepers import KeysUnavailable as PersonKeysUnavailable
    from infrastructure.migrate import MigrationRefused
    from infrastructure.postgres_place import PostgresUnavailable
    from infrastructure.seal_folder import SealsDiffer, SealsUnreachable
    from infrastructure.seal_keys import SealKeysUnavailable
    from infrastructure.seals import SealInvalid
    from infrastructure.settings import SettingsFault
    from infrastructure.token_keys import KeysUnavailable

    text = str(error).strip()
    match error:
        case CommandFailed(problem=problem, remedy=remedy, code=code):
            return problem, remedy, code
        case SettingsFault():
            return text, "Set it in the environment; docs/settings.md tells of every setting.", 2
        case PostgresUnavailable():
            return text, "The embedded PostgreSQL lies in CARDINAL_HOME (docs/settings.md).", 1
        case KeysUnavailable():
            return f"The token keys can't be used: {text}.", "Mend that and start again.", 1
        case PersonKeysUnavailable():
            return f"The keys of persons can't be used: {text}.", "docs/personal-data.md tells what to do.", 1
        case SealsUnreachable() | SealKeysUnavailable():
            return f"The seals can't be used: {text}.", "See CARDINAL_SEALS and CARDINAL_SEAL_KEYS.", 1
        case SealsDiffer() | SealInvalid():
            return f"Nothing is sealed: {text}.", "docs/log.md tells what to do.", 1
        case MigrationRefused():
            return f"The database can't be migrated: {text}.", "Nothing was changed.", 1
        case (
            psycopg.errors.UndefinedTable()
            | psycopg.errors.UndefinedFunction()
            | psycopg.errors.InvalidSchemaName()
        ):
            return "The database has not been migrated.", "Run `cardinal migrate`.", 1
        case psycopg.OperationalError():
            return f"The database can't be used: {text.splitlines()[0]}", DATABASE_REMEDY, 1
        case ChildrenFail():
            return f"{text}.", "Its own messages are above.", 1
        case _:
            return f"{type(error).__name__}: {text}", "Run it with `cardinal --debug …` for the traceback.", 1


# --- Commands for people ----------------------------------------------------


@cardinal.command()
def up(
    home: Annotated[Path | None, typer.Option(help="Where data are kept. [CARDINAL_HOME]")] = None,
    host: Annotated[str | None, typer.Option(help="Where the API listens. [CARDINAL_HOST]")] = None,
    port: Annotated[int | None, typer.Option(help="Its port; 0 takes a free one. [CARDINAL_PORT]")] = None,
) -> None:
    """Run everything on this machine until Ctrl-C."""
    given = {"CARDINAL_HOME": home, "CARDINAL_HOST": host, "CARDINAL_PORT": port}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    from api.listener import listen, url_of
    from api.watch import Watch
    from infrastructure.embedded_database import open_database
    from infrastructure.first_start import bring_forward, load_sample, load_sample_users
    from infrastructure.tokens import trusted_keys

    settings = read_settings("cardinal")
    settings.require_whole_certificate()
    trusted_keys(settings)  # a fault of theirs is told now, and not by the API again and again

    with ExitStack() as opened:
        signals = opened.enter_context(Signals())
        listener = opened.enter_context(listen(settings.host, settings.port))
        say("Cardinal: starting the database … 正在启动数据库")
        database = opened.enter_context(open_database(settings))
        say("Cardinal: preparing its tables, the first time with a sample bank … 正在准备数据表及样例银行")
        bring_forward(database)
        load_sample(settings, database)
        load_sample_users(settings, database)
        say("Cardinal: starting the API, projector, worker and scheduler … 正在启动各进程")
        descriptor = listener.fileno()
        children = [Child("api", ["api", "--fd", str(descriptor)], [descriptor])]
        roles = ("projector", "worker", "scheduler", *(("archiver",) if settings.backups else ()))
        children += [Child(role, [role]) for role in roles]
        url = url_of(listener, "http" if settings.tls_certificate is None else "https")
        Supervisor(children).run(signals, Watch(url, database.keep, partial(_announce, settings, url)))


@cardinal.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from api.schema import schema as graphql_schema

    print(graphql_schema.as_str())


@cardinal.command(hidden=True)
def settings() -> None:
    """Print docs/settings.md."""
    from infrastructure.settings_page import page

    print(page(), end="")


# --- Single roles -------------------------------------------------------------


@cardinal.command()
def migrate(
    restored: Annotated[
        bool, typer.Option("--restored", help="It was restored: open a new epoch, above all positions told.")
    ] = False,
) -> None:
    """Bring the database forward, as its owner."""
    from api.erasure_commands import replayed
    from infrastructure.first_start import bring_forward
    from infrastructure.migrate import open_epoch

    with opened_database("migrate") as database:
        applied = bring_forward(database)
        epoch = open_epoch(database.owner_url) if restored else None
        if restored:
            replayed(database.url)
    print("\n".join(applied) if applied else "The database is up to date.")
    if epoch is not None:
        print(f"Positions go on in epoch {epoch}; what was published of lost events is void.")


@cardinal.command()
def api(fd: Annotated[int | None, typer.Option(hidden=True)] = None) -> None:
    """Serve GraphQL over HTTP and WebSocket."""

    def serve(settings: "Settings", database: "Database", signals: Signals) -> None:
        from api.listener import listen
        from api.serving import serve_api

        taken = listen(settings.host, settings.port) if fd is None else socket.socket(fileno=fd)
        with taken as listener:
            serve_api(settings, database, signals, listener, _at_work)

    _role("api", serve)


@cardinal.command()
def projector() -> None:
    """Keep the read tables current."""

    def project(_: "Settings", database: "Database", signals: Signals) -> None:
        from infrastructure.projection_runner import Projector

        _at_work()
        run_until_stopped(signals, Projector(database.url).run)

    _role("projector", project)


@cardinal.command()
def worker(
    webhooks: Annotated[bool, typer.Option(help="Send webhooks too; without it, `deliverer` does.")] = True,
) -> None:
    """Perform tasks."""

    def work(settings: "Settings", database: "Database", signals: Signals) -> None:
        from infrastructure.task_worker import working

        with working(settings, database.url), _delivering(settings, database) if webhooks else nullcontext():
            _at_work()
            signals.wait()

    _role("worker", work)


@cardinal.command()
def deliverer() -> None:
    """Send webhooks: the one process that needs a way out of the house."""

    def deliver(settings: "Settings", database: "Database", signals: Signals) -> None:
        with _delivering(settings, database):
            _at_work()
            signals.wait()

    _role("deliverer", deliver)


def _delivering(settings: "Settings", database: "Database") -> AbstractContextManager[None]:
    from api import webhook_events
    from infrastructure.webhooks import Publication, delivering

    publication = Publication(webhook_events.type_of, webhook_events.body, webhook_events.event_id)
    return delivering(settings, database.url, publication)


@cardinal.command()
def scheduler() -> None:
    """Enqueue what falls due or is owed, hand it on where BROKER_URL names a broker; seal the log."""

    def schedule(settings: "Settings", database: "Database", signals: Signals) -> None:
        from infrastructure import actors
        from infrastructure.process_runner import Processes
        from infrastructure.schedules import Scheduler
        from infrastructure.task_worker import PROCESSES, open_broker, relaying

        with closing(open_broker(settings, database.url)) as broker, relaying(settings, database.url):
            actors.declare_names(broker)
            scheduler = Scheduler(database.url, broker)
            scheduler.ensure(actors.schedules(settings.business_time_zone))
            processes = Processes(database.url, broker, PROCESSES)
            _at_work()
            run_until_stopped(signals, scheduler.run, processes.run, sealer(settings, database).run)

    _role("scheduler", schedule)


@cardinal.command()
def archiver() -> None:
    """Keep the write-ahead log and base backups in CARDINAL_BACKUPS, without end."""

    def archive(settings: "Settings", database: "Database", signals: Signals) -> None:
        found = archiving(settings, database)
        _at_work()
        run_until_stopped(signals, found.receive, found.back_up)

    _role("archiver", archive)


# --- Wiring -------------------------------------------------------------------


def _role(name: str, work: "Callable[[Settings, Database, Signals], None]") -> None:
    """Run one role until a signal comes."""
    from infrastructure.embedded_database import open_database

    settings = read_settings(name)
    with Signals(CHILD_LIMIT_S) as signals, open_database(settings, quiet=_parent is not None) as database:
        signals.defer()
        work(settings, database, signals)


def _at_work() -> None:
    if _parent is not None:
        _parent.tell_started()


def _announce(settings: "Settings", url: str) -> None:
    from infrastructure.tokens import SAMPLE_USERS

    sample = () if settings.is_production else SAMPLE_USERS.values()
    program = Path(sys.prefix, "bin", "cardinal")
    shown = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    home = "" if settings.home == Path(".cardinal").absolute() else f"CARDINAL_HOME={settings.home} "
    say_ready(url, [(user.name, user.org_unit, user.about) for user in sample], f"{home}{shown} token")


if __name__ == "__main__":
    run()
