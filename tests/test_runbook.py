"""docs/runbook.md, played: what it says is done, and where it says that the database is lost, it is."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from infrastructure.backup_folder import BackupFolder
from tests.api.cardinal_process import ROOT, bare_environment, cardinal, eventually, processes_of, running_up
from tests.pages import Step, same_text, steps

PAGE = ROOT / "docs" / "runbook.md"
LOST = "## The database is lost"


def played(step: Step, home: Path, **more: str) -> None:
    """Its commands one after the other, each with what it shows."""
    for block in step.text.removeprefix("$ ").split("\n$ "):
        command, _, shown = block.partition("\n")
        done = subprocess.run(
            ["bash", "-euc", command.replace(".venv/bin/cardinal", f"{sys.executable} -m api.main")],
            cwd=home.parent,
            env={**bare_environment(home, more), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{step.where}: {done.stdout}{done.stderr}"
        assert same_text(shown.strip(), done.stdout.strip()), f"{step.where}: it showed {done.stdout}"


def activities(home: Path, url: str) -> list[object]:
    token = cardinal(home, "token", "auditor").stdout.strip()
    answer = httpx.post(
        f"{url}/graphql",
        json={"query": "{ activities { nodes { id code status } } }"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    found: list[object] = answer.json()["data"]["activities"]["nodes"]
    return found


@pytest.mark.drill
def test_the_runbook_brings_a_lost_database_back(tmp_path: Path) -> None:
    """SEC-05, NFR-08, NFR-18: by the page's own commands, with everything that was there."""
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    home, backups = tmp_path / "home", tmp_path / "backups"
    more = {"CARDINAL_BACKUPS": str(backups), "CARDINAL_SEALS": str(tmp_path / "seals")}
    lost_at = PAGE.read_text().partition(LOST)[0].count("\n")
    with running_up(home, **more) as up:
        before = activities(home, up.url())
        assert before
        eventually(lambda: bool(BackupFolder(backups).backups()), "a first backup")
        for step in steps(PAGE):
            if int(step.where.partition(":")[2]) < lost_at:
                played(step, home, **more)
        for number, command in processes_of(home).items():
            if "postgres" in command or number == up.process.pid:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
        up.process.wait()
    shutil.rmtree(home / "postgres")
    for step in steps(PAGE):
        if int(step.where.partition(":")[2]) > lost_at:
            played(step, home, **more)
    with running_up(home, **more) as up:
        assert activities(home, up.url()) == before
