"""A running house for tests of the API: projector, HTTP server and sample users in one process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
from starlette.applications import Starlette

from api.application import create_app
from api.listener import listen, url_of
from api.processes import Signals
from api.server import Server, limited
from api.wiring import GraphQL
from application.access import MOVES_HOLDINGS, OPERATIONS, Principal, units_of
from application.authentication import TokenCode, TokenRefused
from application.shared.approvable import ApprovalPolicy
from application.shared.business_time import DEFAULT_ZONE
from application.shared.engines import Engine
from infrastructure.projection_runner import Projector
from infrastructure.tokens import SAMPLE_USERS

UNITS = frozenset({"HO", "SH", "SZ"})


def principal(user: str) -> Principal:
    """The sample user of that name; `operator-2` is a second operator."""
    sample = SAMPLE_USERS[user.split("-", maxsplit=1)[0]]
    return Principal(user, frozenset(sample.roles), sample.org_unit, units_of(sample.org_unit, UNITS))


def verify(token: str | None) -> Principal:
    """In these tests a token is the user's name."""
    if token is None:
        raise TokenRefused(TokenCode.TOKEN_MISSING, "none")
    if token.split("-")[0] not in SAMPLE_USERS:
        raise TokenRefused(TokenCode.TOKEN_UNTRUSTED, "nobody")
    return principal(token)


@dataclass(slots=True)
class House:
    """Ask it as a sample user. `data` of an answer that must have no errors, `answer` as it is."""

    url: str
    client: httpx.Client
    appended: list[None] = field(default_factory=list)
    paths: tuple[str, ...] = ()

    def answer(self, user: str, document: str, headers: dict[str, str] = {}, **variables: Any) -> Any:  # noqa: B006
        sent = {"authorization": f"Bearer {user}", **headers}
        body = {"query": document, "variables": variables}
        return self.client.post("/graphql", json=body, headers=sent).json()

    def data(self, user: str, document: str, **variables: Any) -> Any:
        answer = self.answer(user, document, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    def do(self, user: str, mutation: str, selection: str = "", key: str = "", **given: Any) -> Any:
        """One mutation with its input; the payload, whether it was refused or not."""
        name = mutation[0].upper() + mutation[1:]
        input_type = INPUTS.get(mutation, f"{name}Input")
        document = (
            f"mutation ($input: {input_type}!) {{ {mutation}(input: $input)"
            f" {{ {selection} position userErrors {{ code path message }} }} }}"
        )
        key = key or (uuid4().hex if mutation in KEYED else "")
        headers = {"idempotency-key": key} if key else {}
        answer = self.answer(user, document, headers, input=given)
        assert "errors" not in answer, answer
        return answer["data"][mutation]

    def done(self, user: str, mutation: str, selection: str, **given: Any) -> Any:
        """The entity of a mutation that must not be refused."""
        payload = self.do(user, mutation, selection, **given)
        assert payload["userErrors"] == [], payload
        return payload[selection.split(maxsplit=1)[0]]

    def refused(self, user: str, mutation: str, **given: Any) -> list[tuple[str, str]]:
        """Code and dotted path of each fault of a mutation that must be refused."""
        payload = self.do(user, mutation, **given)
        assert payload["userErrors"]
        assert payload["position"] is None
        return sorted((fault["code"], ".".join(fault["path"])) for fault in payload["userErrors"])


KEYED = frozenset(name for name, permission in OPERATIONS.items() if permission in MOVES_HOLDINGS)
"""Mutations that ask for a key: a new one, where a test has none of its own."""

INPUTS = {
    **{
        f"{verb}{kind}": "EntryInput"
        for verb in ("enable", "disable", "remove")
        for kind in ("ActivityType", "CostType", "ActivityForm", "Department", "RewardType")
    },
    **{f"{verb}Activity": "ActivityInput" for verb in ("submit", "withdraw", "launch", "resume", "delete")},
    **{f"{verb}WorkOrder": "WorkOrderInput" for verb in ("submit", "withdraw", "retry")},
    **{f"{verb}Activity": "ActivityReasonInput" for verb in ("pause", "cancel")},
    **{f"{verb}CustomerGroup": "CustomerGroupInput" for verb in ("retire", "delete")},
    **{f"{verb}SegmentDefinition": "SegmentDefinitionInput" for verb in ("submit", "withdraw", "delete")},
    "retrySegmentRun": "SegmentRunInput",
    **{f"{verb}User": "UserInput" for verb in ("enable", "unlock")},
    **{f"{verb}User": "UserReasonInput" for verb in ("disable", "lock")},
    "resetPassword": "UserInput",
    "disableServiceAccount": "ServiceAccountReasonInput",
    "enableServiceAccount": "ServiceAccountInput",
    **dict.fromkeys(("rotateSecret", "endOldSecret"), "ServiceAccountInput"),
    **{
        f"{verb}WebhookEndpoint": "WebhookEndpointInput"
        for verb in ("submit", "withdraw", "enable", "delete")
    },
    **dict.fromkeys(("rotateWebhookSecret", "endOldWebhookSecret"), "WebhookEndpointInput"),
    "retryPointsJob": "PointsJobInput",
    "withdrawPointsJob": "PointsJobReasonInput",
    "acceptPointsJobDifferences": "PointsJobReasonInput",
    "resendPointsFile": "PointsJobReasonInput",
}


@contextmanager
def running_house(
    url: str,
    policy: ApprovalPolicy | None = None,
    engine: Engine | None = None,
    time_zone: ZoneInfo = DEFAULT_ZONE,
    **options: Any,
) -> Iterator[House]:
    """The house on a migrated database; everything ends with the block. `options` are those of GraphQL."""
    stop = threading.Event()
    projector = threading.Thread(target=Projector(url).run, args=(stop,))
    projector.start()
    appended: list[None] = []
    options = {"graphiql": True, "engine": engine, "time_zone": time_zone, **options}
    graphql = GraphQL(url, verify, policy or ApprovalPolicy(), lambda: appended.append(None), **options)
    app = create_app(
        parts=lambda: (),
        metrics=lambda: b"",
        observe=lambda *_: None,
        body_bytes_max=1_000_000,
        graphql_app=graphql,
        lifespan=graphql.lifespan,
    )
    try:
        with (
            _served(app, graphql) as address,
            httpx.Client(base_url=f"http://{address}", timeout=30) as client,
        ):
            paths = tuple(dict.fromkeys(route.path for route in app.routes))  # type: ignore[attr-defined]
            yield House(address, client, appended, paths)
    finally:
        stop.set()
        projector.join()


@contextmanager
def _served(app: Starlette, graphql: GraphQL) -> Iterator[str]:
    """Served as in production."""
    listener = listen("127.0.0.1", 0)
    config = limited(app, connections_max=200, message_bytes_max=65_536)
    server = Server(config, Signals(), graphql.end_streams)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the application did not start"
        time.sleep(0.01)
    try:
        yield url_of(listener).removeprefix("http://")
    finally:
        server.should_exit = True
        thread.join()
