"""`cardinal up`: from an empty folder to ready, and to nothing again, however that comes."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest

from infrastructure.settings import Settings
from infrastructure.token_keys import DevelopmentKey, TrustedKeys
from infrastructure.tokens import SAMPLE_USERS, TokenRules, Verifier
from tests.api.cardinal_process import cardinal, eventually, processes_of, running_up

CHILDREN = ("api", "projector", "worker", "scheduler")
ENDS_WITHIN_S = 10


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder that the server's account can reach, although those of the tests are their owner's alone."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    yield tmp_path / "home"
    assert processes_of(tmp_path / "home") == {}, "something is left"


def test_an_empty_folder_becomes_ready_and_sigterm_ends_all_of_it_in_time(home: Path) -> None:
    with running_up(home) as up:
        url = up.url()
        assert httpx.get(f"{url}/healthz").json() == {"status": "alive"}
        parts = {part["name"]: part["ready"] for part in httpx.get(f"{url}/readyz").json()["parts"]}
        assert parts["database"]
        assert parts["migrations"]
        assert parts["projection:activities"]
        assert all(parts.values())
        for user in SAMPLE_USERS:
            assert f"\n  {user} " in up.said
        assert up.said.splitlines()[0] == f"ready {url}", "the line is alone for machines to read"
        assert "token operator" in up.said

        began = time.monotonic()
        up.process.terminate()
        assert up.process.wait(ENDS_WITHIN_S) == 0
        eventually(
            lambda: processes_of(home) == {}, "nothing left", ENDS_WITHIN_S - (time.monotonic() - began)
        )
        assert "Traceback" not in up.logged


def test_the_token_command_lets_in_at_the_running_product(home: Path) -> None:
    with running_up(home) as up:
        up.url()
        token = cardinal(home, "token", "branch").stdout.strip()
        settings = Settings.read({"CARDINAL_HOME": str(home)})
        key = DevelopmentKey.of(home)
        with closing(TrustedKeys({key.kid: key.public})) as keys:
            principal = Verifier(keys, TokenRules.of(settings)).verify(token)
        assert (principal.user, principal.units) == ("branch", {"SH"})


def test_ctrl_c_ends_everything_with_code_0_also_when_it_is_not_ready_yet(home: Path) -> None:
    with running_up(home) as up:
        eventually(
            lambda: any("initdb" in command for command in processes_of(home).values()), "initdb at work"
        )
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(ENDS_WITHIN_S) == 0
        eventually(lambda: processes_of(home) == {}, "nothing left", ENDS_WITHIN_S)
        assert "Traceback" not in up.logged
    with running_up(home) as up:
        up.url()
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(ENDS_WITHIN_S) == 0


def test_a_killed_supervisor_leaves_nobody_and_the_next_one_starts(home: Path) -> None:
    with running_up(home) as up:
        up.url()
        assert any("postgres" in command for command in processes_of(home).values())
        up.process.kill()
        up.process.wait()
        eventually(lambda: processes_of(home) == {}, "nothing left", 15)
    with running_up(home) as up:
        assert httpx.get(f"{up.url()}/readyz").status_code == 200


@pytest.mark.parametrize("role", CHILDREN)
def test_a_killed_child_comes_back(home: Path, role: str) -> None:
    with running_up(home) as up:
        url = up.url()
        killed = up.child(role)
        others = {name: up.child(name) for name in CHILDREN if name != role}
        os.kill(killed, signal.SIGKILL)

        def is_back() -> bool:
            now = [n for n, command in processes_of(home).items() if f"api.main {role}" in command]
            return bool(now) and killed not in now

        eventually(is_back, f"{role} again")
        eventually(lambda: httpx.get(f"{url}/readyz", timeout=30).status_code == 200, "ready again")
        assert {name: up.child(name) for name in others} == others, "the others went on"


def test_a_killed_database_comes_back(home: Path) -> None:
    with running_up(home) as up:
        url = up.url()
        (server,) = [n for n, command in processes_of(home).items() if "bin/postgres -D" in command]
        os.kill(server, signal.SIGKILL)
        eventually(
            lambda: httpx.get(f"{url}/readyz", timeout=30).status_code == 503, "that it is gone is told"
        )
        eventually(lambda: httpx.get(f"{url}/readyz", timeout=30).status_code == 200, "ready again")
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_second_start_finds_what_the_first_one_kept_and_loads_no_sample_again(home: Path) -> None:
    counted = []
    for _ in range(2):
        with running_up(home) as up:
            up.url()
            address = f"postgresql://cardinal@/cardinal?host={home}/postgres/socket"
            with psycopg.connect(address, options="-c role=cardinal_app") as connection:
                counted.append(connection.execute("select count(*) from log.events").fetchone())
    assert counted[0] == counted[1]
    assert counted[0] is not None
    assert counted[0][0] > 0


def test_a_port_that_is_taken_is_said_before_anything_starts(home: Path, tmp_path: Path) -> None:
    with running_up(home) as up:
        port = up.url().rsplit(":", 1)[1]
        second = cardinal(tmp_path / "second", "up", "--port", port)
        assert second.returncode == 1
        assert second.stdout == ""
        problem, remedy = second.stderr.splitlines()
        assert problem == f"Port {port} on 127.0.0.1 is taken by another program."
        assert "--port" in remedy
        assert not (tmp_path / "second" / "postgres").exists()


def test_a_child_that_can_not_start_ends_it_all_with_a_reason(home: Path) -> None:
    with running_up(home, BROKER_URL="amqp://nobody@127.0.0.1:1/") as up:
        assert up.process.wait(120) == 1
        assert up.said == ""
        assert "Traceback" not in up.logged
        assert "dramatiq[rabbitmq]" in up.logged
        assert up.logged.splitlines()[-2].startswith(("worker ended 5 times", "scheduler ended 5 times"))
