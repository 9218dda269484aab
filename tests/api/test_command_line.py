"""`cardinal`: what it prints, where, with which code, and how it says that something is wrong."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import jwt
import psycopg
import pytest

from application.access import HEAD_OFFICE
from application.sample import load
from application.shared.handler import Handler
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.projection_runner import Projector
from infrastructure.tokens import SAMPLE_USERS
from projections.registry import NAMES
from projections.shared.ids import shown_id
from tests.api.cardinal_process import COMMAND, ROOT, bare_environment, cardinal, eventually
from tests.infrastructure.projection_histories import catch_up
from tests.infrastructure.test_projection_parking import Damage, a_record


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def bank(cardinal_url: str) -> str:
    """A database with the sample bank in it."""
    with pool(cardinal_url, 4) as connections:
        load(Handler(EventLog(connections)), frozenset({HEAD_OFFICE, "SH"}))
    return cardinal_url


def wrong(result: "subprocess.CompletedProcess[str]", code: int) -> str:
    """What it said is wrong: a line for that, one for what to do, nothing on stdout, no traceback."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 2, result.stderr
    return lines[0]


# --- Tokens -------------------------------------------------------------------


@pytest.mark.parametrize("user", SAMPLE_USERS)
def test_token_prints_the_token_and_nothing_else(home: Path, user: str) -> None:
    result = cardinal(home, "token", user)
    assert (result.returncode, result.stderr) == (0, "")
    claims = jwt.decode(result.stdout.removesuffix("\n"), options={"verify_signature": False})
    assert claims["sub"] == user
    assert claims["exp"] - time.time() < 24 * 3600


def test_token_of_nobody_lists_who_there_is_and_makes_no_key(home: Path) -> None:
    result = cardinal(home, "token", "root")
    assert wrong(result, 2) == "There is no sample user 'root'."
    assert all(user in result.stderr for user in SAMPLE_USERS)
    assert not home.exists()


def test_a_sample_bank_that_is_there_already_is_told_as_it_is(home: Path) -> None:
    made = cardinal(home, "warehouse", "sample", "--customers", "20", "--transactions", "200")
    assert ": 20 customers, 200 transactions before " in made.stdout, made.stderr
    again = cardinal(home, "warehouse", "sample", "--customers", "30", "--transactions", "300")
    assert again.stdout == f"{made.stdout}There were data already, and they are left as they are.\n"


def test_a_folder_that_cannot_be_loaded_is_told_in_a_sentence(home: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert wrong(cardinal(home, "warehouse", "load", str(missing)), 1) == f"There is no folder {missing}."
    (tmp_path / "transactions.csv").write_text("customer_id,booked_on,amount\nC1,2026-13-31,12\n")
    said = wrong(cardinal(home, "warehouse", "load", str(tmp_path)), 1)
    assert said == "transactions.csv has no good row: bad_date: 1"


def test_an_exchange_folder_that_cannot_be_used_is_told(home: Path) -> None:
    said = wrong(cardinal(home, "counterpart", "--folder", "/proc/exchange", "--once"), 1)
    assert said.startswith("The folder /proc/exchange can't be used: ")


def test_token_is_refused_in_production(home: Path) -> None:
    result = cardinal(home, "token", "operator", CARDINAL_ENV="production")
    assert wrong(result, 2) == "There are no sample users in production."
    assert not home.exists()


# --- What is wrong ------------------------------------------------------------


def test_faulty_settings_are_named_all_at_once(home: Path) -> None:
    result = cardinal(home, "up", CARDINAL_PORT="eighty", CARDINAL_ENV="testing")
    assert (result.returncode, result.stdout) == (2, "")
    first, second, remedy = result.stderr.splitlines()
    assert first.startswith("CARDINAL_ENV must be ")
    assert second.startswith("CARDINAL_PORT must be ")
    assert "docs/settings.md" in remedy


def test_production_without_an_issuer_or_a_database_does_not_start(home: Path) -> None:
    result = cardinal(home, "up", CARDINAL_ENV="production")
    assert result.returncode == 2
    assert "CARDINAL_JWKS_URL" in result.stderr
    assert "CARDINAL_TOKEN_ISSUER" in result.stderr
    assert (
        wrong(cardinal(home, "migrate", CARDINAL_ENV="production"), 2)
        == "DATABASE_URL must be set in production"
    )
    assert not home.exists()


def test_a_database_that_is_away_is_said_without_its_password(home: Path) -> None:
    away = "postgresql://cardinal:hunter2@127.0.0.1:1/cardinal"
    for command in (["migrate"], ["audit", "verify"], ["projections", "status"]):
        result = cardinal(home, *command, DATABASE_URL=away)
        assert wrong(result, 1).startswith("The database can't be used: ")
        assert "hunter2" not in result.stderr


def test_a_database_that_is_not_migrated_is_said(home: Path, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "do $$ begin create role cardinal_app nologin; exception when others then null; end $$"
        )
    for command in (["audit", "verify"], ["projections", "status"], ["scheduler"]):
        assert (
            wrong(cardinal(home, *command, DATABASE_URL=database_url), 1)
            == "The database has not been migrated."
        )


def test_debug_shows_the_traceback(home: Path) -> None:
    away = "postgresql://cardinal@127.0.0.1:1/cardinal"
    assert "Traceback" in cardinal(home, "--debug", "migrate", DATABASE_URL=away).stderr


def test_an_unknown_command_is_a_wrong_use(home: Path) -> None:
    assert cardinal(home, "fly").returncode == 2
    assert cardinal(home).returncode == 2
    assert "projections" in cardinal(home, "--help").stdout


# --- The schema ---------------------------------------------------------------


def test_schema_prints_the_schema_alone(home: Path) -> None:
    from graphql import build_schema

    result = cardinal(home, "schema")
    assert (result.returncode, result.stderr) == (0, "")
    assert build_schema(result.stdout).query_type is not None


# --- The database -------------------------------------------------------------


def test_migrate_says_what_it_applied_and_the_second_time_that_there_is_nothing(
    home: Path, database_url: str
) -> None:
    first = cardinal(home, "migrate", DATABASE_URL=database_url)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[0] == "0001 log"
    assert cardinal(home, "migrate", DATABASE_URL=database_url).stdout == "The database is up to date.\n"


def test_audit_verify_passes_an_untouched_log(home: Path, bank: str) -> None:
    result = cardinal(home, "audit", "verify", DATABASE_URL=bank)
    assert result.returncode == 0, result.stderr
    assert "all is as it was recorded" in result.stdout
    assert int(result.stdout.split()[0]) > 0


def test_audit_replay_tells_and_writes_what_happened_to_one_thing(home: Path, bank: str) -> None:
    """ES-06"""
    with psycopg.connect(bank) as connection:
        row = connection.execute(
            "select stream_id, version from log.heads where stream_type = 'cost_type' limit 1"
        ).fetchone()
    assert row is not None
    id_, out = shown_id("cost_type", row[0]), home.parent / "replay.jsonl"
    told = cardinal(home, "audit", "replay", id_, DATABASE_URL=bank)
    assert "entry.added" in told.stdout, told.stderr
    written = cardinal(home, "audit", "replay", id_, "--out", str(out), DATABASE_URL=bank)
    assert f"{row[1]} of {row[1]} steps" in written.stdout, written.stderr
    assert len(out.read_text().splitlines()) == row[1]
    assert cardinal(home, "audit", "replay", id_, "--out", str(out), DATABASE_URL=bank).returncode == 2
    assert cardinal(home, "audit", "replay", "ct_nothing", DATABASE_URL=bank).returncode == 2


def test_audit_verify_names_the_first_position_that_was_tampered_with(home: Path, bank: str) -> None:
    with psycopg.connect(bank) as connection:
        tampered = connection.execute(
            "update log.events set actor = 'nobody' where (epoch, position) in (select epoch, position"
            " from log.events order by epoch, position offset 2 limit 1) returning epoch, position"
        ).fetchone()
        connection.execute(
            "update log.events set actor = 'nobody' where (epoch, position) in"
            " (select epoch, position from log.events order by epoch, position offset 5 limit 1)"
        )
    assert tampered is not None
    result = cardinal(home, "audit", "verify", DATABASE_URL=bank)
    assert result.returncode == 1
    position = f"{tampered[0]:08x}{tampered[1]:016x}"
    assert f"the first bad position is {position}" in result.stderr
    rows = result.stdout.splitlines()[1:]
    assert len(rows) == 2
    assert rows[0].startswith(position)
    UUID(rows[0].split()[1])


def test_projections_are_shown_rebuilt_and_an_unknown_one_is_named(home: Path, bank: str) -> None:
    stop = threading.Event()
    projector = threading.Thread(target=Projector(bank).run, args=(stop,))
    projector.start()

    def behind() -> dict[str, int]:
        shown = cardinal(home, "projections", "status", DATABASE_URL=bank)
        assert shown.returncode == 0, shown.stderr
        head, *rows = shown.stdout.splitlines()
        assert head.split()[0] == "projection"
        return {row.split()[0]: int(row.split()[2]) for row in rows}

    try:
        assert set(behind()) == set(NAMES)
        eventually(lambda: not any(behind().values()), "caught up")
        one = cardinal(home, "projections", "rebuild", "activities", DATABASE_URL=bank)
        assert one.returncode == 0, one.stderr
        assert one.stdout.startswith("activities: rebuilt in ")
        assert "equal to the live rows" in one.stdout
        every = cardinal(home, "projections", "rebuild", DATABASE_URL=bank)
        assert [line.split(":")[0] for line in every.stdout.splitlines()] == list(NAMES)
    finally:
        stop.set()
        projector.join()
    unknown = cardinal(home, "projections", "rebuild", "nothing", DATABASE_URL=bank)
    assert wrong(unknown, 2) == "There is no projection 'nothing'."


def test_a_parked_stream_is_shown_with_its_reason_and_tried_again(home: Path, bank: str) -> None:
    """ES-05: shown with why it waits; tried again in vain, it is still there, and when it is mended, gone."""
    with pool(bank, 2) as connections:
        log = EventLog(connections)
        damage = Damage(bank, record := a_record(log, "activity.drafted"))
        catch_up(bank, log)

    def asked(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return cardinal(home, "projections", *arguments, DATABASE_URL=bank)

    head, *rows = asked("parked").stdout.splitlines()
    assert head.split() == ["projection", "stream", "position", "since", "tried", "why"]
    of_activities = [row.split() for row in rows if row.startswith("activities ")]
    assert [row[1:3] for row in of_activities] == [[str(record.stream_id), str(record.position)]]
    vain = asked("retry", "activities", str(record.stream_id))
    assert (vain.returncode, vain.stdout) == (1, "1 parked streams tried, 0 of them taken in\n")
    damage.mend()
    mended = asked("retry")
    assert (mended.returncode, mended.stdout) == (
        0,
        f"{len(rows)} parked streams tried, {len(rows)} of them taken in\n",
    )
    assert asked("parked").stdout.splitlines()[1:] == []
    assert wrong(asked("retry", "nothing"), 2) == "There is no projection 'nothing'."


# --- Single roles ---------------------------------------------------------------


@pytest.fixture
def started(home: Path, cardinal_url: str) -> Iterator["Starter"]:
    starter = Starter(home, cardinal_url)
    yield starter
    starter.kill()


class Starter:
    """Roles as processes of their own on one given database."""

    def __init__(self, home: Path, url: str) -> None:
        self._home, self.url = home, url
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        environment = bare_environment(self._home, {"DATABASE_URL": self.url, **more})
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.communicate()


def free_port() -> int:
    from api.listener import listen

    with listen("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_single_roles_make_an_api_ready_and_end_on_sigterm_with_code_0(
    started: "Starter", home: Path
) -> None:
    assert cardinal(home, "migrate", DATABASE_URL=started.url).returncode == 0
    url = f"http://127.0.0.1:{(port := free_port())}"
    api = started.start("api", CARDINAL_PORT=str(port), CARDINAL_LOG_LEVEL="debug")

    def parts() -> dict[str, bool]:
        try:
            answer = httpx.get(f"{url}/readyz", timeout=30)
        except httpx.TransportError:
            return {}
        told = {part["name"]: part["ready"] for part in answer.json()["parts"]}
        assert (answer.status_code == 200) == all(told.values())
        return told

    eventually(lambda: parts().get("projection:activities") is False, "that the projector is missed is told")
    assert parts()["database"]
    others = [started.start(role) for role in ("projector", "projector", "worker", "scheduler")]
    eventually(lambda: bool(parts()) and all(parts().values()), "ready")
    for process in (*others, api):
        process.send_signal(signal.SIGTERM)
    for process in (*others, api):
        assert process.wait(30) == 0, process.args
    _, logged = api.communicate()
    assert all(json.loads(line)["process"] == "api" for line in logged.splitlines())


def test_the_scheduler_enqueues_what_the_worker_performs(started: "Starter", cardinal_url: str) -> None:
    for role in ("worker", "scheduler"):
        started.start(role)

    def count(of: str) -> int:
        with psycopg.connect(cardinal_url) as connection:
            row = connection.execute(of.encode()).fetchone()
        assert row is not None
        return int(row[0])

    eventually(lambda: count("select count(*) from tasks.schedule") > 0, "the schedules are stored")
    with psycopg.connect(cardinal_url) as connection:
        connection.execute("update tasks.schedule set next_at = now()")  # not to wait for the full minute
    eventually(lambda: count("select count(*) from tasks.schedule_run") > 0, "it fires")
    eventually(lambda: count("select count(*) from tasks.message") == 0, "the worker has done it")
    assert count("select count(*) from tasks.dead_message") == 0


def test_the_first_administrator_of_a_house_is_created_by_the_command_line(
    home: Path, cardinal_url: str
) -> None:
    """SYS-02, SYS-07: with a password that is printed once."""

    def users(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return cardinal(home, "users", *arguments, DATABASE_URL=cardinal_url)

    made = users("create", "chen", "--name", "Chen Yu")
    assert (made.returncode, len(made.stdout.strip())) == (0, 23), made.stderr
    assert wrong(users("create", "chen", "--name", "Chen Yu"), 2).startswith("The user name chen is taken")
    reset = users("reset-password", "chen")
    assert reset.returncode == 0
    assert reset.stdout != made.stdout
    assert wrong(users("reset-password", "nobody"), 2)
    assert wrong(users("create", "king", "--name", "King", "--role", "king"), 2) == "There is no role king."


def test_keys_are_rotated_by_the_command_line(home: Path) -> None:
    """SEC-02"""
    kid = cardinal(home, "keys", "rotate").stdout.strip()
    assert (home / "signing-keys" / f"{kid}.pem").stat().st_mode & 0o777 == 0o600
