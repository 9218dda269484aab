"""The product as the demo runs it: started as a user starts it, asked through GraphQL over HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

READY_WITHIN_S = 120.0
STOP_WITHIN_S = 15.0
ANSWER_WITHIN_S = 60.0
ENDED_WITHIN_S = 300.0
LOOK_EVERY_S = 0.1


class DemoFailed(Exception):
    """A step did not come to what it must come to; the text says which, and what was answered."""


def cardinal(home: Path, *arguments: str) -> str:
    """What a command of `cardinal` prints. Raise DemoFailed with its complaint."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "api.main", *arguments],
        env=_environment(home),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise DemoFailed(f"cardinal {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _environment(home: Path) -> dict[str, str]:
    root = Path(__file__).resolve().parent.parent
    return {**os.environ, "CARDINAL_HOME": str(home), "PYTHONPATH": str(root), "CARDINAL_LOG_FORMAT": "json"}


@contextmanager
def running(home: Path, *arguments: str) -> Iterator["Started"]:
    """A command of `cardinal` that runs until the block ends. Its log goes to a file in its home."""
    name = arguments[0]
    with Path(home, f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "api.main", *arguments],
            env=_environment(home),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        started = Started(process, Path(log.name))
        started.listen()
        try:
            yield started
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(slots=True)
class Started:
    process: "subprocess.Popen[str]"
    log: Path
    _lines: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Read what it prints, so that it never waits for a reader."""

        def read() -> None:
            assert self.process.stdout is not None
            self._lines.extend(self.process.stdout)

        threading.Thread(target=read, daemon=True).start()

    def url(self) -> str:
        """The address in its line `ready http://…`, waited for."""
        deadline_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline_s:
            for line in list(self._lines):
                if found := re.search(r"ready (http://\S+)", line):
                    return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(LOOK_EVERY_S)
        raise DemoFailed(f"the product did not become ready; its log is {self.log}")


@dataclass(frozen=True, slots=True)
class User:
    """One sample user with his token."""

    name: str
    token: str
    url: str

    def ask(self, document: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = json.loads(self._send("POST", "/graphql", {"query": document, "variables": variables}))
        if answer.get("errors"):
            raise DemoFailed(f"{self.name}: {answer['errors'][0]['message']} in {document.strip()[:200]}")
        return answer["data"]

    def do(self, mutation: str, selection: str, **given: Any) -> Any:
        """The entity of a mutation that was not refused."""
        payload = self.attempt(mutation, selection, **given)
        if payload["userErrors"]:
            raise DemoFailed(f"{self.name}, {mutation}: {payload['userErrors']}")
        return payload[re.split(r"[\s{]", selection, maxsplit=1)[0]]

    def attempt(self, mutation: str, selection: str, **given: Any) -> Any:
        """The payload of a mutation, refused or not."""
        name = INPUTS.get(mutation, f"{mutation[0].upper()}{mutation[1:]}Input")
        document = (
            f"mutation ($input: {name}!) {{ {mutation}(input: $input)"
            f" {{ {selection} position userErrors {{ code path message }} }} }}"
        )
        return self.ask(document, input=given)[mutation]

    def download(self, path: str) -> bytes:
        return self._send("GET", path)

    def until(
        self, what: str, look: Callable[[], Any], fails: Callable[[Any], bool] = lambda _: False
    ) -> Any:
        """Look again and again until something is found."""
        deadline_s = time.monotonic() + ENDED_WITHIN_S
        while time.monotonic() < deadline_s:
            found = look()
            if found:
                if fails(found):
                    raise DemoFailed(f"{what}: {found}")
                return found
            time.sleep(LOOK_EVERY_S)
        raise DemoFailed(f"{what} did not come about within {ENDED_WITHIN_S:.0f} s")

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_WITHIN_S)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise DemoFailed(f"{self.name}, {method} {path}: {response.status} {text[:300]!r}")
        return text


INPUTS = {
    "submitActivity": "ActivityInput",
    "launchActivity": "ActivityInput",
    "submitWorkOrder": "WorkOrderInput",
    "submitSegmentDefinition": "SegmentDefinitionInput",
}
"""Mutations whose input is not named after them."""


def users(home: Path, url: str, names: Sequence[str]) -> dict[str, User]:
    return {name: User(name, cardinal(home, "token", name).strip(), url) for name in names}
