"""The Makefile makes its environment on a bare machine, heals what was interrupted and passes signals on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
NOT_COPIED = (".venv", ".git", ".tools", ".cardinal", "__pycache__", ".*_cache", ".hypothesis")
BASE_PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
LOCKS = ("requirements.txt", "requirements-dev.txt")

pytestmark = pytest.mark.drill

# As Debian's python3 without python3-venv: `-m venv` leaves a beginning of an environment and fails.
PYTHON_WITHOUT_VENV = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin" && touch "$3/pyvenv.cfg"
    exit 1
fi
exec {python} "$@"
"""

# In the place of Cardinal: what matters here is who gets the signal.
LISTENER = """#!{python}
import signal, sys
def tell(number, frame):
    print(signal.Signals(number).name, flush=True)
    sys.exit(0)
signal.signal(signal.SIGINT, tell), signal.signal(signal.SIGTERM, tell)
print(*sys.argv[1:], flush=True)
signal.pause()
"""


class Copy:
    """A copy of the checkout in an empty folder, with its own HOME and a Python that can't make a venv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        shutil.copytree(CHECKOUT, self.folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
        (folder / "home").mkdir()
        self.python = folder / "python"
        self.python.write_text(PYTHON_WITHOUT_VENV.format(python=BASE_PYTHON))
        self.python.chmod(0o755)
        outside = {
            name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "VIRTUAL_ENV"))
        }
        self.environment = {**outside, "HOME": str(folder / "home"), "PYTHON": str(self.python)}

    def begin(self, *goals: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["make", *goals],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def make(self, *goals: str, **environment: str) -> tuple[int, str, str]:
        run = self.begin(*goals, **environment)
        said, complained = run.communicate()
        return run.returncode, said, complained

    def times(self) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (self.folder / ".venv").iterdir()}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def ready(bare: Copy) -> Copy:
    """A copy whose first set-up was killed while packages went in, and which was set up again."""
    first = bare.begin("setup")
    deadline = time.monotonic() + 240
    while not list(bare.folder.glob(".venv/lib/python3*/site-packages/*/*.py")):
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    code, _, complained = bare.make("setup")
    assert code == 0, complained
    return bare


def test_an_environment_is_made_without_venv_and_after_an_interruption(ready: Copy) -> None:
    python = ready.folder / ".venv/bin/python"
    whole = "import api, infrastructure.embedded_postgres, strawberry, pytest; print(api.__file__)"
    run = subprocess.run([python, "-c", whole], cwd="/", capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(ready.folder / "api/__init__.py")
    assert (ready.folder / ".venv/bin/cardinal").exists()
    checked = subprocess.run(
        [ready.python, "-m", "pip", "--python", python, "check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_a_second_set_up_does_nothing(ready: Copy) -> None:
    before = ready.times()
    # Not even a Python is asked for.
    assert ready.make("setup", "runtime", PYTHON="/nonexistent/python") == (0, "", "")
    assert ready.times() == before


@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM to make"])
def test_make_up_passes_signals_on(ready: Copy, way: str) -> None:
    cardinal = ready.folder / ".venv/bin/cardinal"
    original = cardinal.read_text()
    cardinal.write_text(LISTENER.format(python=BASE_PYTHON))
    try:
        run = ready.begin("up")
        assert run.stdout is not None
        assert run.stdout.readline() == "up\n"
        if way == "Ctrl-C":
            os.killpg(run.pid, signal.SIGINT)
        else:
            run.send_signal(signal.SIGTERM)
        said, _ = run.communicate(timeout=30)
        assert said == ("SIGINT\n" if way == "Ctrl-C" else "SIGTERM\n")
    finally:
        cardinal.write_text(original)


def test_an_old_python_is_refused_in_english_and_chinese(tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    code, _, complained = Copy(tmp_path).make("setup", PYTHON=str(old))
    assert code != 0
    assert f"Cardinal needs Python 3.11 or newer, but '{old}' is not" in complained
    assert f"Cardinal 需要 Python 3.11 或更高版本，而 “{old}” 不符合" in complained


def test_help_names_every_target_that_people_call() -> None:
    help = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    named = set(re.findall(r"^make (\S+)", help.stdout, re.MULTILINE))
    assert {"help", "setup", "up", "test", "test-all", "check", "bench", "lock"} <= named


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_with_hashes_and_names_no_address_and_no_path(lock: str) -> None:
    text = (CHECKOUT / lock).read_text()
    assert "://" not in text
    assert re.search(r"(^|\s)/\w|--(index|extra|find)", text) is None
    pins = re.split(r"\n(?=\S)", text.split("make lock\n")[1].rstrip())
    assert [
        pin for pin in pins if not re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+[^\n]* \\\n +--hash=sha256:", pin)
    ] == []


def test_the_locks_hold_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    runtime, development = (pinned(lock) for lock in LOCKS)
    groups = project["dependency-groups"]
    assert names([*project["project"]["dependencies"], *groups["build"]]) <= set(runtime)
    assert names(groups["dev"]) <= set(development)
    assert runtime.items() <= development.items()


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}


def pinned(lock: str) -> dict[str, str]:
    """The version of each package in a lock."""
    found = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", (CHECKOUT / lock).read_text(), re.MULTILINE)
    return dict(found)
