"""The running product: two of every role, as processes, on a database of its own."""

import os
import random
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from infrastructure.settings import Settings
from infrastructure.token_keys import DevelopmentKey
from infrastructure.tokens import SAMPLE_USERS, TokenRules, issue
from tests.api.cardinal_process import bare_environment
from tests.drills.nursery import Nursery

ROLES = ("api", "projector", "worker", "scheduler")
OF_EACH = 2
READY_S = 240.0


@dataclass(eq=False)
class Process:
    """One process of the product; its number is not given anew as long as this is open."""

    role: str
    number: int
    place: int
    """Which of its role's: an API's place has an address of its own."""
    handle: int = field(init=False)

    def __post_init__(self) -> None:
        self.handle = os.pidfd_open(self.number)

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)

    def has_ended(self, within_s: float) -> bool:
        return bool(select.select([self.handle], [], [], within_s)[0])


class Product:
    """`url` is the database's, `home` the folder of the installation. Safe to share between threads."""

    def __init__(self, nursery: Nursery, home: Path, url: str, settings: Mapping[str, str]) -> None:
        self.home, self.url = home, url
        self._nursery = nursery
        self._settings = {"DATABASE_URL": url, "CARDINAL_LOG_LEVEL": "warning", **settings}
        self.ports = tuple(lasting_ports(OF_EACH))
        self.running: list[Process] = []

    @property
    def apis(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    @property
    def said(self) -> Path:
        """What all of them have logged."""
        return self.home / "said"

    def start(self, role: str, place: int, *arguments: str, **more: str) -> Process:
        environment = bare_environment(self.home, {**self._settings, **more})
        if role == "api":
            environment["CARDINAL_PORT"] = str(self.ports[place])
        number = self._nursery.bear([role, *arguments], environment, self.said)
        process = Process(role, number, place)
        self.running.append(process)
        return process

    def start_all(self) -> None:
        for place in range(OF_EACH):
            for role in ROLES:
                self.start(role, place)
        self.start("counterpart", 0, "--folder", str(self.home / "gateway"), "--reject-every", "17")

    def of(self, role: str) -> list[Process]:
        return [each for each in self.running if each.role == role]

    def kill(self, process: Process) -> None:
        """kill -9."""
        process.signal(signal.SIGKILL)
        self._gone(process, 30)

    def stop(self, process: Process, within_s: float = 30) -> None:
        """SIGTERM; it must end by itself."""
        process.signal(signal.SIGTERM)
        self._gone(process, within_s)

    def _gone(self, process: Process, within_s: float) -> None:
        assert process.has_ended(within_s), f"{process.role} does not end"
        os.close(process.handle)
        self.running.remove(process)

    def end(self) -> None:
        """Nothing is left of it."""
        for process in list(self.running):
            self.kill(process)

    def await_ready(self, within_s: float = READY_S) -> None:
        """Each API says that it is ready: somebody keeps each projection, and none is late."""
        until(self._are_ready, "all APIs are ready", within_s)

    def _are_ready(self) -> bool:
        ended = [each.role for each in self.running if each.has_ended(0)]
        assert ended == [], f"{ended} ended: {self.said.read_text()[-2_000:]}"
        return all(self.is_ready(api) for api in self.apis)

    def is_ready(self, api: str) -> bool:
        try:
            return httpx.get(f"{api}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def token(self, user: str) -> str:
        known = SAMPLE_USERS[user]
        rules = TokenRules.of(Settings())
        return issue(DevelopmentKey.of(self.home), rules, known.name, known.roles, known.org_unit)


def lasting_ports(count: int) -> list[int]:
    """Free ones that no outgoing connection is given while an API is away from its own for a moment."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found


def until(holds: Callable[[], bool], what: str, within_s: float = READY_S) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, f"it did not come to be within {within_s:.0f} s: {what}"
        time.sleep(0.05)
