"""The public clients of the streaming protocols, as they come from npm: graphql-ws, graphql-sse and urql."""

import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.api.campaigns import cost_type
from tests.api.house import House
from tests.npm import packages

CLIENTS = Path(__file__).parent / "clients"
PACKAGES = ("graphql@16.15.0", "graphql-ws@6.4.2", "graphql-sse@2.6.1", "@urql/core@6.0.3", "ws@8.23.0")
DOCUMENT = "subscription ($after: Position) { events(after: $after) { position subjectId } }"
PAGE = "query ($after: Position) { events(after: $after, first: 500) { events { subjectId } position } }"
BEFORE, MEANWHILE = 5, 5

pytestmark = pytest.mark.drill


@pytest.mark.parametrize(
    ("client", "address"),
    [("graphql_ws", "ws://{}/graphql"), ("graphql_sse", "http://{}/graphql"), ("urql", "http://{}/graphql")],
)
def test_the_public_client_asks_is_refused_and_follows_without_a_gap(
    house: House, client: str, address: str
) -> None:
    """INT-09, INT-10: from a position in the past on and live; graphql-ws also over a socket that broke."""
    start = house.data("auditor", PAGE)["events"]["position"]
    for _ in range(BEFORE):
        cost_type(house)
    folder = packages(*PACKAGES)
    script = shutil.copy(CLIENTS / f"{client}.mjs", folder)
    given = [address.format(house.url), "auditor", DOCUMENT, start, str(BEFORE + MEANWHILE)]
    with subprocess.Popen(["node", script, *given], stdout=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        try:
            answer, failure, *results = _lines(process, 2 + BEFORE)
            for _ in range(MEANWHILE):
                cost_type(house)
            results += _lines(process, MEANWHILE)
            assert process.wait() == 0
        finally:
            guard.cancel()
            process.kill()
    assert answer["data"]["__typename"] == "Query"
    (error,) = failure["errors"] if isinstance(failure, dict) else failure
    assert error["extensions"]["code"] == "BAD_INPUT"
    assert error["extensions"]["requestId"]
    page = house.data("auditor", PAGE, after=start)["events"]["events"]
    seen = [result["data"]["events"]["subjectId"] for result in results]
    assert seen == [event["subjectId"] for event in page]


def _lines(process: subprocess.Popen[str], count: int) -> list[Any]:
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]
