"""The API process at rest: its proportional set size after it has answered and then been left alone."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.rounds import Figure

LIMIT_MB = 120
REST_S = 5


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="cardinal-bench-") as home:
        Path(home).chmod(0o755)
        environment = {**os.environ, "CARDINAL_HOME": home}
        environment.pop("DATABASE_URL", None)
        program = Path(sys.prefix, "bin", "cardinal")
        up = subprocess.Popen(
            [program, "up", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert up.stdout is not None
        try:
            for line in up.stdout:
                if line.startswith("ready "):
                    break
            time.sleep(REST_S)
            used = max(_pss_mb(pid) for pid in _apis(up.pid))
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait()
    yield Figure("API process at rest, of 120 MB", used, LIMIT_MB, LIMIT_MB / used, 0, 0, 1.0, "MB (PSS)")


def _apis(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    named = [int(pid) for pid in children if " api " in _command(pid)]
    return named or [int(pid) for pid in children]


def _command(pid: str) -> str:
    return f" {Path(f'/proc/{pid}/cmdline').read_text().replace(chr(0), ' ')} "


def _pss_mb(pid: int) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1_000
