"""`cardinal up`: from an empty folder to ready, and to nothing again, however that comes."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.tokens import SAMPLE_USERS
from tests.api.cardinal_process import Up, cardinal, eventually, processes_of, running_up

CHILDREN = ("api", "projector", "worker", "scheduler")
ENDS_WITHIN_S = 10


def reachable(folder: Path) -> Path:
    """The folder, such that the database's account gets there: those of tests are their owner's alone."""
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield reachable(tmp_path) / "home"
    assert processes_of(tmp_path / "home") == {}, "something is left"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that runs; each test leaves it as it was."""
    with running_up(reachable(tmp_path_factory.mktemp("shared")) / "home") as up:
        up.url()
        yield up


def is_ready(up: Up) -> bool:
    return httpx.get(f"{up.url()}/readyz", timeout=30).status_code == 200


def events(home: Path) -> int:
    address = EmbeddedPostgres(home).url("cardinal", "cardinal")
    with psycopg.connect(address, options="-c role=cardinal_app") as connection:
        row = connection.execute("select count(*) from log.events").fetchone()
    assert row is not None
    return int(row[0])


# --- From an empty folder to ready, and to nothing again ---------------------


def test_an_empty_folder_becomes_ready_and_sigterm_ends_all_of_it_in_time(home: Path) -> None:
    with running_up(home) as up:
        url = up.url()
        assert httpx.get(f"{url}/healthz").json() == {"status": "alive"}
        parts = {part["name"]: part["ready"] for part in httpx.get(f"{url}/readyz").json()["parts"]}
        assert {"database", "migrations", "projection:activities", "horizon", "token keys"} <= parts.keys()
        assert all(parts.values())
        assert up.said.splitlines()[0] == f"ready {url}", "the line is alone, for machines to read"
        for user in SAMPLE_USERS:
            assert f"\n  {user} " in up.said
        assert "token operator" in up.said

        began = time.monotonic()
        up.process.terminate()
        assert up.process.wait(ENDS_WITHIN_S) == 0
        left_s = ENDS_WITHIN_S - (time.monotonic() - began)
        eventually(lambda: processes_of(home) == {}, "nothing left", left_s)
        assert "Traceback" not in up.logged
        assert up.logged.count("Cardinal: ") == 3, "it says what it is at, in time"


def test_ctrl_c_while_it_starts_ends_everything_with_code_0(home: Path) -> None:
    with running_up(home) as up:
        eventually(lambda: any("initdb" in each for each in processes_of(home).values()), "initdb at work")
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(ENDS_WITHIN_S) == 0
        eventually(lambda: processes_of(home) == {}, "nothing left", ENDS_WITHIN_S)
        assert up.said == ""
        assert "Traceback" not in up.logged


def test_a_child_that_does_not_end_is_killed_in_time(home: Path) -> None:
    with running_up(home) as up:
        up.url()
        os.kill(up.child("scheduler"), signal.SIGSTOP)
        up.process.terminate()
        assert up.process.wait(ENDS_WITHIN_S) == 0
        assert processes_of(home) == {}


def test_a_second_start_finds_what_the_first_one_kept_and_loads_no_sample_again(home: Path) -> None:
    counted = []
    for _ in range(2):
        with running_up(home) as up:
            up.url()
            counted.append(events(home))
            up.process.send_signal(signal.SIGINT)
            assert up.process.wait(ENDS_WITHIN_S) == 0
    assert counted[0] == counted[1] > 0


def test_a_killed_supervisor_leaves_nobody_and_the_next_one_starts(home: Path) -> None:
    with running_up(home) as up:
        up.url()
        assert any("bin/postgres" in each for each in processes_of(home).values())
        up.process.kill()
        up.process.wait()
        eventually(lambda: processes_of(home) == {}, "nothing left", 15)
    with running_up(home) as up:
        assert is_ready(up)


def test_a_child_that_can_not_start_ends_it_all_with_a_reason(home: Path, tmp_path: Path) -> None:
    (tmp_path / "dramatiq.py").write_text("raise RuntimeError('a broken installation')")
    with running_up(home, PYTHONPATH=str(tmp_path)) as up:
        assert up.process.wait(120) == 1
        assert up.said == "", "it was never ready"
        assert "a broken installation" in up.logged
        assert "Traceback" not in up.logged
        problem, remedy = up.logged.splitlines()[-2:]
        assert problem.endswith("ended 5 times with code 1.")
        assert remedy == "Its own messages are above."
        assert processes_of(home) == {}


# --- While it runs -----------------------------------------------------------


def test_the_token_command_lets_in_at_the_running_product(up: Up) -> None:
    token = cardinal(up.home, "token", "branch").stdout.strip()
    question = {"query": "{ __typename }"}
    stranger = httpx.post(f"{up.url()}/graphql", json=question)
    assert stranger.json()["errors"][0]["extensions"]["code"] == "TOKEN_MISSING"
    answer = httpx.post(
        f"{up.url()}/graphql",
        json=question,
        headers={"Authorization": f"Bearer {token}", "X-Request-Id": "asked-by-branch"},
    )
    assert (answer.status_code, answer.json()["data"]) == (200, {"__typename": "Query"})
    eventually(lambda: "asked-by-branch" in up.logged, "the request is logged")
    (line,) = [json.loads(each) for each in up.logged.splitlines() if "asked-by-branch" in each]
    assert (line["event"], line["user"], line["path"], line["status"]) == (
        "request",
        "branch",
        "/graphql",
        200,
    )
    assert token not in up.logged


def test_the_api_at_rest_takes_no_more_memory_than_it_may(up: Up) -> None:
    """120 MB, counting what it shares with other processes by its share."""
    rollup = Path(f"/proc/{up.child('api')}/smaps_rollup").read_text()
    (kilobytes,) = [int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")]
    assert kilobytes * 1024 <= 120_000_000


@pytest.mark.parametrize("role", CHILDREN)
def test_a_killed_child_comes_back_and_the_others_go_on(up: Up, role: str) -> None:
    killed = up.child(role)
    others = {name: up.child(name) for name in CHILDREN if name != role}
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        now = [n for n, command in processes_of(up.home).items() if f"api.main {role}" in command]
        return bool(now) and killed not in now

    eventually(is_back, f"{role} again")
    eventually(lambda: is_ready(up), "ready again")
    assert {name: up.child(name) for name in others} == others


def test_a_killed_database_comes_back(up: Up) -> None:
    children = {name: up.child(name) for name in CHILDREN}
    (server,) = [n for n, command in processes_of(up.home).items() if "bin/postgres -D" in command]
    os.kill(server, signal.SIGKILL)
    eventually(lambda: not is_ready(up), "that it is gone is told")
    assert httpx.get(f"{up.url()}/healthz").status_code == 200
    eventually(lambda: is_ready(up), "ready again")
    assert {name: up.child(name) for name in CHILDREN} == children


def test_a_port_that_is_taken_is_said_before_anything_starts(up: Up, tmp_path: Path) -> None:
    port = up.url().rsplit(":", 1)[1]
    second = cardinal(tmp_path / "second", "up", "--port", port)
    assert (second.returncode, second.stdout) == (1, "")
    problem, remedy = second.stderr.splitlines()
    assert problem == f"Port {port} on 127.0.0.1 is taken by another program."
    assert "--port" in remedy
    assert not (tmp_path / "second" / "postgres").exists()
