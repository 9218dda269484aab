"""Subscribers that follow every event, come back behind the last one, and keep what they were told."""

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from application.shared.records import Position

DOCUMENT = "subscription ($after: Position) { events(after: $after) { position id subjectId version } }"
SILENCE_S = 8.0
"""A stream says something at least every five seconds, or it is dead."""
BACK_S = 0.1


@dataclass(frozen=True)
class Told:
    position: Position
    id: str
    subject: str
    version: int


@dataclass
class Subscriber:
    """Follows from `at` on, in a thread of its own between `start` and `end`."""

    apis: Sequence[str]
    token: str
    at: Position
    told: list[Told] = field(default_factory=list)
    breaks: int = 0
    wrong: list[str] = field(default_factory=list)

    def start(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(2 * SILENCE_S)

    def _follow(self) -> None:
        headers = {"authorization": f"Bearer {self.token}", "accept": "text/event-stream"}
        for number in count():
            if self._ended.is_set():
                return
            api = self.apis[number % len(self.apis)]
            body = {"query": DOCUMENT, "variables": {"after": str(self.at)}}
            with (
                suppress(httpx.TransportError),
                httpx.Client(timeout=SILENCE_S) as client,
                client.stream("POST", f"{api}/graphql", json=body, headers=headers) as response,
            ):
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        self._hear(json.loads(line.removeprefix("data: ")))
                    if self._ended.is_set():
                        return
            self.breaks += 1
            self._ended.wait(BACK_S)

    def _hear(self, result: Any) -> None:
        if "errors" in result:
            if result["errors"][0]["extensions"]["code"] not in ("UNAVAILABLE", "SLOW_SUBSCRIBER"):
                self.wrong.append(str(result["errors"]))
            return
        event = result["data"]["events"]
        told = Told(Position.parse(event["position"]), event["id"], event["subjectId"], event["version"])
        self.told.append(told)
        self.at = told.position
