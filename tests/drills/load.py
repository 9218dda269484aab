"""A load of real commands: clients that send them under keys until they are acknowledged, and keep what was.

Each client is a person with one thing at a time to do. Whatever becomes of a request, he sends the command
again, under the same key and to the next API, until he has an answer.
"""

import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID, uuid4

import httpx

from application.shared.records import Position
from projections.shared.ids import shown_id
from tests.api.house import INPUTS
from tests.drills.world import CUSTOMERS, World

PATIENCE_S = 120.0
"""How long one command may stay without an answer before that is a fault of its own."""
ANSWER_S = 15.0
PAUSE_S = 0.05
AWAY = frozenset({"UNAVAILABLE", "TOO_SLOW", "BEHIND"})
"""Codes that say: later. Anything else a sound command may not be told."""


@dataclass(frozen=True)
class Command:
    user: str
    mutation: str
    key: str
    given: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        name = INPUTS.get(self.mutation, f"{self.mutation[0].upper()}{self.mutation[1:]}Input")
        document = (
            f"mutation ($input: {name}!) {{ {self.mutation}(input: $input) {{ position"
            " userErrors { code path message } } }"
        )
        return {"query": document, "variables": {"input": self.given}}


@dataclass(frozen=True)
class Acknowledged:
    command: Command
    position: Position
    attempts: int


class Unanswerable(AssertionError):
    """An answer that a sound command must not get, or none at all."""


@dataclass
class Tallies:
    """What the clients were told has happened; changed by one client at a time."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    """Attempts that did not come to an answer, by what came of them."""
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, mutation: str) -> list[Acknowledged]:
        return [each for each in self.acknowledged if each.command.mutation == mutation]


@dataclass(frozen=True)
class Way:
    """How to ask: the APIs' addresses, each user's token, and how long one answer may take."""

    apis: Sequence[str]
    tokens: Mapping[str, str]
    answer_s: float = ANSWER_S
    verify: ssl.SSLContext | bool = True


class Asker:
    """Asks whichever API answers, as one user; belongs to one thread."""

    def __init__(self, way: "Way", tallies: Tallies) -> None:
        self._way, self._tallies, self._at = way, tallies, 0
        self._client = httpx.Client(timeout=way.answer_s, verify=way.verify)

    def close(self) -> None:
        self._client.close()

    def sent(self, command: Command) -> Acknowledged:
        """Its acknowledgement, once there is one. Raise Unanswerable."""
        answer, attempts = self._answered(command.user, command.body, command.key)
        payload = answer["data"][command.mutation]
        if payload["userErrors"]:
            raise Unanswerable(f"{command} was refused: {payload['userErrors']}")
        return Acknowledged(command, Position.parse(payload["position"]), attempts)

    def asked(self, user: str, document: str, at: Position | None = None, **variables: Any) -> Any:
        """The data of a query, as of a position at least."""
        extensions = {} if at is None else {"minPosition": str(at)}
        body = {"query": document, "variables": variables, "extensions": extensions}
        return self._answered(user, body, None)[0]["data"]

    def _answered(self, user: str, body: dict[str, Any], key: str | None) -> tuple[Any, int]:
        headers = {"authorization": f"Bearer {self._way.tokens[user]}"}
        if key is not None:
            headers["idempotency-key"] = key
        deadline_s, attempts = time.monotonic() + PATIENCE_S, 0
        while time.monotonic() < deadline_s:
            attempts += 1
            fault = None
            try:
                response = self._client.post(
                    f"{self._way.apis[self._at]}/graphql", json=body, headers=headers
                )
            except httpx.TransportError as error:
                fault = type(error).__name__
            else:
                if response.status_code in (502, 503, 504):
                    fault = f"{response.status_code} {response.text[:80]}"
                else:
                    answer = response.json()
                    codes = {each["extensions"]["code"] for each in answer.get("errors", ())}
                    if not codes:
                        return answer, attempts
                    if codes - AWAY:
                        raise Unanswerable(f"{body} got {response.status_code} {answer['errors']}")
                    fault = " ".join(sorted(codes))
            with self._tallies.lock:
                self._tallies.faults[fault] += 1
            self._at = (self._at + 1) % len(self._way.apis)
            time.sleep(PAUSE_S)
        raise Unanswerable(f"{body} got no answer within {PATIENCE_S:.0f} s")


class Load:
    """Clients in threads of their own, between `start` and `pause`, any number of times."""

    def __init__(self, way: Way, world: World, clients: int = 4) -> None:
        self.tallies, self.world, self.way = Tallies(), world, way
        self._orders: SimpleQueue[tuple[UUID, UUID]] = SimpleQueue()
        for pair in world.orders:
            self._orders.put(pair)
        self._clients = [self._client(number) for number in range(clients)]
        self._threads: list[threading.Thread] = []
        self._going_on = threading.Event()

    def asker(self) -> Asker:
        return Asker(self.way, self.tallies)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Within the block the clients are at work; after it each has the answer to his last command."""
        self._going_on.set()
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in self._clients]
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._going_on.clear()
            for thread in self._threads:
                thread.join(2 * PATIENCE_S)
        assert self.tallies.wrong == []

    def grown(self, by: int) -> Callable[[], bool]:
        """Whether so many more commands have been acknowledged than there are now."""
        goal = len(self.tallies.acknowledged) + by
        return lambda: len(self.tallies.acknowledged) >= goal or bool(self.tallies.wrong)

    def _run(self, deeds: Iterator[Command]) -> None:
        asker = self.asker()
        try:
            while self._going_on.is_set():
                command = next(deeds)
                done = asker.sent(command)
                with self.tallies.lock:
                    self.tallies.acknowledged.append(done)
                if command.mutation == "addCostType":
                    self._require_seen(asker, command.given["code"], done.position)
        except Exception as error:
            with self.tallies.lock:
                self.tallies.wrong.append(repr(error))
        finally:
            asker.close()

    def _require_seen(self, asker: Asker, code: str, position: Position) -> None:
        """Who has written something reads it, wherever he asks."""
        document = "query ($code: String!) { costTypes(filter: { code: { eq: $code } }) { nodes { code } } }"
        found = asker.asked("operator", document, position, code=code)["costTypes"]["nodes"]
        if found != [{"code": code}]:
            raise Unanswerable(f"{code} was written at {position}, and {found} was read")

    def _client(self, number: int) -> Iterator[Command]:
        dice = random.Random(number)
        name, count, held = uuid4().hex[:8].upper(), 0, list[str]()
        stock = shown_id("stock", self.world.stock)
        while True:
            count += 1
            key = f"{name}-{count}"
            match dice.choices(("entry", "reserve", "settle", "points", "order"), (6, 6, 6, 6, 1))[0]:
                case "entry":
                    yield Command("operator", "addCostType", key, {"code": key, "name": key, **ACCOUNTED})
                case "reserve":
                    held.append(key)
                    given = {"id": stock, "key": key, "quantity": str(dice.randint(1, 5))}
                    yield Command("operator", "reserveStock", key, given)
                case "settle" if held:
                    award = held.pop(dice.randrange(len(held)))
                    verb = dice.choice(("consumeStock", "releaseStock"))
                    yield Command("operator", verb, key, {"id": stock, "key": award})
                case "points":
                    customer = f"C{dice.randint(1, CUSTOMERS):08}"
                    given = {"customer": customer, "points": str(dice.randint(1, 9)), "name": key}
                    yield Command("operator", "adjustPoints", key, {**GOODWILL, **given})
                case "order":
                    try:
                        order, definition = self._orders.get_nowait()
                    except Empty:
                        continue
                    ids = {"id": shown_id("work_order", order)}
                    ids["definitionId"] = shown_id("segment_definition", definition)
                    yield Command("technologist", "scheduleWorkOrder", key, ids)


ACCOUNTED = {"accountingSubject": "6601", "unit": "CNY"}
GOODWILL = {"programme": "CC", "businessType": "GOODWILL", "reason": "drill"}
