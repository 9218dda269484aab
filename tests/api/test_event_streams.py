"""graphql-sse: one request a subscription, resumed by Last-Event-ID; who merely lists it gets JSON."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from api.event_streams import wants_events
from tests.api import house as houses
from tests.api.campaigns import cost_type
from tests.api.house import House, running_house

EVENTS = "subscription ($after: Position) { events(after: $after) { position subjectId } }"
SSE = "text/event-stream"
URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream,"
    " multipart/mixed"
)
NOWHERE = "0" * 24


def asked(house: House, user: str, document: str, accept: str = SSE, **headers: str) -> Any:
    sent = {"authorization": f"Bearer {user}", "accept": accept, **headers}
    return house.client.stream("POST", "/graphql", json={"query": document}, headers=sent)


class Events:
    """The events of a response, without the comments that keep the connection in use."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def __iter__(self) -> Iterator[dict[str, str]]:
        event: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(":")
            if line and name:
                event[name] = value.strip()
            elif not line and event:
                yield event
                event = {}

    def next(self) -> Any:
        event = next(iter(self))
        assert event["event"] == "next", event
        return event, json.loads(event["data"])


def test_events_come_as_they_are_recorded_and_are_resumed_by_their_id(house: House) -> None:
    """INT-10"""
    with asked(house, "auditor", EVENTS) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store, no-transform"
        assert "content-encoding" not in response.headers
        begun = [cost_type(house)["id"]]
        event, answer = Events(response).next()
        assert answer["data"]["events"] == {"position": event["id"], "subjectId": begun[0]}
    missed = [cost_type(house)["id"] for _ in range(3)]
    with asked(house, "auditor", EVENTS, **{"last-event-id": event["id"]}) as response:
        events = Events(response)
        found = [events.next()[1]["data"]["events"]["subjectId"] for _ in missed]
        assert found == missed
        more = cost_type(house)["id"]
        assert events.next()[1]["data"]["events"]["subjectId"] == more


def test_a_subscription_may_be_asked_for_by_get(house: House) -> None:
    parameters = {"query": EVENTS, "variables": json.dumps({"after": NOWHERE})}
    headers = {"authorization": "Bearer auditor", "accept": SSE}
    cost_type(house)
    with house.client.stream("GET", "/graphql", params=parameters, headers=headers) as response:
        assert Events(response).next()[1]["data"]["events"]["subjectId"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("subscription { events {", "BAD_INPUT"),
        ("subscription { events { nothing } }", "BAD_INPUT"),
        ("subscription ($after: Position!) { events(after: $after) { id } }", "BAD_INPUT"),
        ('subscription { activityChanged(id: "x") { id } }', "BAD_INPUT"),
        ("{ activities { nodes { nothing } } }", "BAD_INPUT"),
    ],
)
def test_what_can_not_be_executed_is_told_in_the_stream(house: House, document: str, code: str) -> None:
    with asked(house, "auditor", document, **{"x-request-id": "stream-7"}) as response:
        assert response.headers["content-type"].startswith(SSE)
        first, last = Events(response)
    (error, *_) = json.loads(first["data"])["errors"]
    assert (error["extensions"]["code"], error["extensions"]["requestId"]) == (code, "stream-7")
    assert (first["event"], last) == ("next", {"event": "complete", "data": ""})


def test_who_takes_streams_alone_gets_the_answer_of_a_query_in_one(house: House) -> None:
    with asked(house, "auditor", "{ __typename }") as response:
        first, last = Events(response)
    assert json.loads(first["data"])["data"] == {"__typename": "Query"}
    assert last["event"] == "complete"


def test_who_merely_lists_streams_gets_json(house: House) -> None:
    with asked(house, "auditor", "{ __typename }", URQL) as response:
        assert response.headers["content-type"].startswith("application/graphql-response+json")
        assert json.loads(response.read())["data"] == {"__typename": "Query"}


def test_a_subscription_without_a_stream_is_refused(house: House) -> None:
    with asked(house, "auditor", EVENTS, "application/json") as response:
        assert response.status_code == 400
        assert json.loads(response.read())["errors"][0]["extensions"]["code"] == "SUBSCRIBE_BY_WEBSOCKET"


@pytest.mark.parametrize(
    ("accept", "for_query", "for_subscription"),
    [
        (SSE, True, True),
        ("text/event-stream, multipart/mixed", True, True),
        (URQL, False, True),
        ("application/json, text/event-stream;q=0.5", False, True),
        ("text/event-stream, application/json;q=0.5", True, True),
        ("application/json, text/event-stream;q=0", False, False),
        ("*/*", False, False),
        ("", False, False),
        ("text/event-stream;q=x, */*", False, True),
    ],
)
def test_what_is_accepted_decides(accept: str, for_query: bool, for_subscription: bool) -> None:
    assert wants_events(accept, is_subscription=False) is for_query
    assert wants_events(accept, is_subscription=True) is for_subscription


def test_a_stream_needs_a_token(house: House) -> None:
    with asked(house, "nobody", EVENTS) as response:
        assert response.status_code == 401


def test_a_stream_ends_with_the_token_and_is_kept_in_use_till_then(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-03"""
    monkeypatch.setattr("api.event_streams.LOOK_EVERY_S", 0.2)
    known, expires_at_s = houses.principal, time.time() + 1.0
    monkeypatch.setattr(houses, "principal", lambda user: replace(known(user), expires_at_s=expires_at_s))
    with asked(house, "auditor-5", EVENTS) as response:
        text = "".join(response.iter_text())
    *comments, error, complete, rest = text.split("\n\n")
    assert len(comments) >= 3
    assert set(comments) == {":"}
    assert json.loads(error.split("data: ")[1])["errors"][0]["extensions"]["code"] == "TOKEN_EXPIRED"
    assert (complete, rest) == ("event: complete\ndata:", "")


def test_who_goes_away_leaves_nothing_behind(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.feeds.PER_USER_MAX", 1)
    for _ in range(3):
        with asked(house, "auditor-6", EVENTS) as response:
            cost_type(house)
            assert "data" in Events(response).next()[1]
        time.sleep(0.3)


def test_when_the_server_goes_streams_end_without_complete(cardinal_url: str) -> None:
    """So that clients come back, to another process."""
    ended, leaving = threading.Event(), threading.Event()
    found: list[House] = []

    def serve() -> None:
        with running_house(cardinal_url) as house:
            found.append(house)
            ended.set()
            leaving.wait(30)

    server = threading.Thread(target=serve)
    server.start()
    assert ended.wait(60)
    with httpx.Client(base_url=f"http://{found[0].url}", timeout=30) as client:
        house = House(found[0].url, client)
        with asked(house, "auditor", EVENTS) as response:
            cost_type(found[0])
            events = Events(response)
            events.next()
            began_s = time.monotonic()
            leaving.set()
            assert list(events) == []
    server.join()
    assert time.monotonic() - began_s < 5
