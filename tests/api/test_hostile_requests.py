"""Whatever is sent: no 5xx, no reset, under a second of work, and errors that say what they are."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from api.application import create_app
from api.http_errors import PROBLEM
from api.rates import RateRules
from api.wiring import GraphQL
from application.shared.approvable import ApprovalPolicy
from infrastructure.projection_runner import Projector
from tests.api.hostile import KINDS, Hostile, hostile
from tests.api.house import verify
from tests.api.http_server import serving

SECOND = 1.0


class Measured:
    """Notes the CPU time that the server's thread spends on the request under way; one comes at a time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.last_s = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began_s = time.thread_time()
        try:
            await self._app(scope, receive, send)
        finally:
            self.last_s = time.thread_time() - began_s


@contextmanager
def served(url: str) -> Iterator[tuple[str, Measured]]:
    stop = threading.Event()
    projector = threading.Thread(target=Projector(url).run, args=(stop,))
    projector.start()
    rules = RateRules(capacity=1_000_000_000, restored_per_s=1_000_000_000)
    graphql = GraphQL(url, verify, ApprovalPolicy(), lambda: None, rates=rules)
    app = create_app(
        parts=lambda: (),
        metrics=lambda: b"",
        observe=lambda *_: None,
        body_bytes_max=1_048_576,
        graphql_app=graphql,
        lifespan=graphql.lifespan,
    )
    measured = Measured(app)
    try:
        with serving(measured) as address:
            yield address.removeprefix("http://"), measured
    finally:
        stop.set()
        projector.join()


def fault(sent: Hostile, connection: http.client.HTTPConnection) -> tuple[int, str]:
    """The status, and what is wrong with the answer; '' when all is well."""
    headers = {"authorization": "Bearer operator", **sent.headers}
    connection.request(sent.method, sent.target, sent.body or None, headers)
    response = connection.getresponse()
    body = response.read()
    if response.status >= 500:
        return response.status, body[:200].decode(errors="replace")
    if sent.method == "HEAD" or response.status in (204, 304):
        return response.status, ""
    if (response.status, body) == (400, b"Invalid HTTP request received."):
        return response.status, ""  # not even a request, so that it has no id
    told = response.headers["content-type"] or ""
    if "json" not in told:
        return response.status, f"{told}: {body[:200]!r}"
    if response.headers.get("content-encoding"):
        return response.status, ""
    answer = orjson.loads(body)
    if told == PROBLEM:
        return response.status, "" if is_problem(answer, response) else f"no problem: {body[:200]!r}"
    if response.status >= 400 and not answer.get("errors"):
        return response.status, f"no errors: {body[:200]!r}"
    for error in answer.get("errors", ()):
        own = error["extensions"]
        if not own.get("code") or own["code"] in ("INTERNAL", "UNAVAILABLE", "TOO_SLOW"):
            return response.status, f"its code: {error}"
        if own["requestId"] != response.headers["x-request-id"] or not error["message"]:
            return response.status, f"what it says: {error}"
        if "data" in answer and not error.get("path"):
            return response.status, f"no path: {error}"
        if len(error["message"]) > 600:
            return response.status, f"its length: {len(error['message'])}"
        if "Traceback" in error["message"] or 'File "' in error["message"]:
            return response.status, f"its internals: {error}"
    return response.status, ""


def is_problem(answer: Any, response: http.client.HTTPResponse) -> bool:
    """Whether it tells its code, the request, and each fault with its place, in few words."""
    faults = answer.get("errors", [])
    places = [each.get("pointer", each.get("parameter")) for each in faults]
    return (
        answer["status"] == response.status
        and answer["requestId"] == response.headers["x-request-id"]
        and answer["code"] not in ("INTERNAL", "UNAVAILABLE", "TOO_SLOW")
        and all(
            each["code"] and 0 < len(each["detail"]) < 600 for each in [*faults, {**answer, "detail": "x"}]
        )
        and None not in places
        and len(faults) <= 100
    )


def faults(url: str, seed: int, count: int) -> tuple[list[str], Counter[int]]:
    found: list[str] = []
    statuses: Counter[int] = Counter()
    with served(url) as (address, measured):
        connection = http.client.HTTPConnection(address, timeout=30)
        for number, sent in enumerate(hostile(seed, count)):
            try:
                status, wrong = fault(sent, connection)
            except (OSError, http.client.HTTPException) as error:
                status, wrong = 0, f"reset: {error!r}"
                connection.close()
            statuses[status] += 1
            if not wrong and measured.last_s > SECOND:  # the machine may have been at something else
                fault(sent, connection)
            if not wrong and measured.last_s > SECOND:
                wrong = f"it took {measured.last_s:.2f} s"
            if wrong:
                found.append(f"{number} {sent.kind} {status} {wrong}: {sent.target[:80]} {sent.body[:300]!r}")
    return found, statuses


def test_hostile_requests_are_refused_in_order(
    make_database: Callable[..., str], migrated_template: str
) -> None:
    """The first few hundred of the drill below."""
    found, statuses = faults(make_database(migrated_template), seed=1, count=25 * len(KINDS))
    assert found == []
    assert {200, 400, 405, 415} <= statuses.keys()


@pytest.mark.drill
def test_ten_thousand_hostile_requests_are_refused_in_order(
    make_database: Callable[..., str], migrated_template: str
) -> None:
    found, statuses = faults(make_database(migrated_template), seed=2, count=10_000)
    assert found == []
    assert sum(statuses.values()) == 10_000
