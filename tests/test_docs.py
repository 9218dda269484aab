"""The pages of docs, played from the first step to the last against the product as `make up` runs it."""

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from infrastructure.tokens import SAMPLE_USERS
from tests.api.cardinal_process import bare_environment, cardinal, processes_of, running_up
from tests.pages import PageFault, Step, filled, matched, same_text, steps

ROOT = Path(__file__).parents[1]
PATH = (
    "README", "docs/first-activity", "docs/audit", "docs/customer-groups", "docs/activity-figures",
    "docs/segments", "docs/work-orders", "docs/points", "docs/points-exchange", "docs/stocks",
    "docs/schedules", "docs/api", "docs/front-end", "docs/webhooks", "docs/own-data", "docs/access",
    "docs/personal-data", "docs/rest", "docs/log",
)  # fmt: skip
"""The order of a reader who follows the README."""

WITHOUT_STEPS = {
    *(
        "drills",
        "errors",
        "growth",
        "guards",
        "network",
        "performance",
        "planner",
        "requirements",
        "security",
        "settings",
    ),
    "way-of-the-data",
}
PLAYED_ELSEWHERE = {"runbook"}
"""test_runbook.py plays it."""
PROVED_ELSEWHERE = {"make up", "make demo", "make demo DATA=path/to/folder"}
"""test_up.py and test_demo.py do these."""

DOCUMENT = "query Codes { activities { nodes { code } } }"
DIGEST = hashlib.sha256(DOCUMENT.encode()).hexdigest()
"""What a front end was built with, for `documents register`."""

WAIT_S = 90


@dataclass
class Reader:
    """He copies from answers, types into GraphiQL and, where the page says so, into a shell."""

    url: str
    home: Path
    copied: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tokens = {user: cardinal(self.home, "token", user).stdout.strip() for user in SAMPLE_USERS}

    def play(self, step: Step) -> None:
        try:
            if step.kind == "console":
                self._run(step)
            elif step.answer is None:
                raise PageFault("the page does not show what is answered")
            else:
                self._ask_until_answered(step)
        except (PageFault, json.JSONDecodeError) as fault:
            raise PageFault(f"{step.where}: {fault}\n{step.text}") from None

    def _ask_until_answered(self, step: Step) -> None:
        deadline_s = time.monotonic() + WAIT_S
        expected = json.loads(step.answer or "")
        while True:
            answer = (
                self._follow(step) if re.search(r"^ *subscription\b", step.text, re.M) else self._ask(step)
            )
            errors = [
                {"code": error["extensions"]["code"], "message": error["message"]}
                for error in answer.get("errors", ())
            ]
            try:
                self.copied |= matched(expected, errors or answer.get("data"), self.copied)
                return
            except PageFault:
                if errors or not step.is_query or time.monotonic() > deadline_s:
                    raise
                time.sleep(0.3)

    def _ask(self, step: Step) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[step.user]}", **json.loads(step.headers)}
        sent = httpx.post(f"{self.url}/graphql", json=self._typed(step), headers=headers, timeout=60)
        return sent.json()

    def _follow(self, step: Step) -> Any:
        """The first answer of a subscription."""
        address = f"{self.url.replace('http', 'ws', 1)}/graphql"
        with connect(address, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            opening = {"authorization": f"Bearer {self.tokens[step.user]}"}
            socket.send(json.dumps({"type": "connection_init", "payload": opening}))
            assert json.loads(socket.recv(30))["type"] == "connection_ack"
            socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": self._typed(step)}))
            return json.loads(socket.recv(30))["payload"]

    def _typed(self, step: Step) -> dict[str, Any]:
        query, variables = (filled(text, self.copied) for text in (step.text, step.variables))
        return {"query": query, "variables": json.loads(variables)}

    def _run(self, step: Step) -> None:
        """Its commands one after the other, in one shell, and what they show altogether."""
        commands: list[str] = []
        shown: list[str] = []
        is_command = False
        for line in step.text.splitlines():
            is_command = line.startswith("$ ") or (is_command and commands[-1].endswith("\\"))
            (commands if is_command else shown).append(line.removeprefix("$ "))
        if PROVED_ELSEWHERE.intersection(commands):
            return
        script = filled("\n".join(commands), self.copied)
        for written, meant in (
            ("http://127.0.0.1:8000", self.url),
            (".venv/bin/cardinal", f"{sys.executable} -m api.main"),
            (str(ROOT / ".cardinal"), str(self.home)),
            (".cardinal/", f"{self.home}/"),
            ("path/to/folder", str(self.home.parent / "own")),
        ):
            script = script.replace(written, meant)
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=self.home.parent,
            env={**bare_environment(self.home), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        if done.returncode:
            raise PageFault(f"it ended with {done.returncode}: {done.stdout}{done.stderr}")
        if shown and not same_text(filled("\n".join(shown), self.copied).strip(), done.stdout.strip()):
            raise PageFault(f"it showed {done.stdout}")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    home = tmp_path / "home"
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "persisted.json").write_text(json.dumps({DIGEST: DOCUMENT}))
    (own / "transactions.csv").write_text("customer_id,booked_on,amount\nC1,2026-01-31,12.34\n")
    with running_up(home) as up:
        yield Reader(up.url(), home)
    assert processes_of(home) == {}


@pytest.mark.timeout(600)
def test_every_step_of_the_pages_does_what_they_say(reader: Reader) -> None:
    for page in PATH:
        for step in steps(ROOT / f"{page}.md"):
            reader.play(step)


def test_every_page_is_on_the_readers_path_or_has_no_steps() -> None:
    pages = {path.stem: path for path in (ROOT / "docs").glob("*.md")}
    assert pages.keys() - WITHOUT_STEPS - PLAYED_ELSEWHERE == {Path(page).name for page in PATH} - {"README"}
    assert [name for name in WITHOUT_STEPS if steps(pages[name])] == []
