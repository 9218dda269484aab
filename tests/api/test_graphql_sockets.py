"""graphql-transport-ws to the letter: messages, close codes, limits, and the end of tokens and rights."""

import asyncio
import time
from dataclasses import replace
from hashlib import sha256
from typing import Any

import orjson
import pytest
import websockets

from api.rates import RateRules
from tests.api import house as houses
from tests.api.campaigns import code, cost_type
from tests.api.house import House, running_house
from tests.api.subscriber import opened, subscriber

EVENTS = "subscription { events { type subjectId } }"
INIT = {"type": "connection_init", "payload": {"authorization": "Bearer auditor"}}
SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": EVENTS}}


def payload(**given: Any) -> dict[str, Any]:
    return {"type": "subscribe", "id": "1", "payload": {"query": EVENTS, **given}}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([SUBSCRIBE], 4401),
        ([{"type": "subscribe"}], 4401),
        ([{"type": "connection_init", "payload": {"authorization": "Bearer nobody"}}], 4403),
        ([{"type": "connection_init", "payload": {"authorization": 7}}], 4403),
        ([{"type": "connection_init", "payload": {}}], 4403),
        ([{"type": "connection_init"}], 4403),
        ([INIT, INIT], 4429),
        ([INIT, SUBSCRIBE, SUBSCRIBE], 4409),
        ([INIT, {"type": "connection_init", "payload": []}], 4400),
        ([{"type": "nonsense"}], 4400),
        ([{"type": "ping", "payload": "x"}], 4400),
        (["not json"], 4400),
        (['{"type": "ping"'], 4400),
        ([b'{"type": "ping"}'], 4400),
        ([7], 4400),
        ([[None]], 4400),
        ([[INIT]], 4400),
        ([INIT, {"type": "subscribe"}], 4400),
        ([INIT, {**SUBSCRIBE, "id": ""}], 4400),
        ([INIT, {**SUBSCRIBE, "id": 1}], 4400),
        ([INIT, {**SUBSCRIBE, "id": "x" * 129}], 4400),
        ([INIT, {**SUBSCRIBE, "payload": [SUBSCRIBE["payload"]]}], 4400),
        ([INIT, payload(query=None)], 4400),
        ([INIT, payload(query=" ")], 4400),
        ([INIT, payload(variables=[])], 4400),
        ([INIT, payload(extensions=7)], 4400),
        ([INIT, payload(operationName=7)], 4400),
        ([INIT, {"type": "complete"}], 4400),
        (["x" * 70_000], 1009),
    ],
)
def test_a_socket_that_breaks_the_protocol_is_closed_with_its_code(house: House, messages, code) -> None:
    async def scenario() -> None:
        async with opened(house) as client:
            for message in messages:
                sent = message if isinstance(message, str | bytes) else orjson.dumps(message).decode()
                await client.socket.send(sent)
            assert (await client.closed(5))[0] == code

    asyncio.run(scenario())


def test_another_subprotocol_is_closed_4406(house: House) -> None:
    async def scenario() -> None:
        for protocols in (["graphql-ws"], None):
            async with websockets.connect(f"ws://{house.url}/graphql", subprotocols=protocols) as socket:  # type: ignore[arg-type]
                with pytest.raises(websockets.ConnectionClosed):
                    await asyncio.wait_for(socket.recv(), 5)
                assert socket.close_code == 4406

    asyncio.run(scenario())


def test_who_does_not_say_who_he_is_is_closed_4408(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.graphql_sockets.INIT_TIMEOUT_S", 0.3)

    async def scenario() -> None:
        async with opened(house) as silent, subscriber(house, "auditor") as known:
            assert (await silent.closed(5))[0] == 4408
            await known.send(type="ping")
            assert await known.receive() == {"type": "pong"}

    asyncio.run(scenario())


def test_a_ping_is_answered_with_its_payload_and_a_pong_is_nothing(house: House) -> None:
    async def scenario() -> None:
        async with opened(house) as client:
            await client.send(type="pong")
            await client.send(type="ping", payload={"at": 1})
            assert await client.receive() == {"type": "pong", "payload": {"at": 1}}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("subscription { events {", "BAD_INPUT"),
        ("subscription { events { nothing } }", "BAD_INPUT"),
        ("subscription { nothing }", "BAD_INPUT"),
        ("subscription { events { id } activityChanged { id } }", "BAD_INPUT"),
        ("subscription ($after: Position!) { events(after: $after) { id } }", "BAD_INPUT"),
        ('subscription { events(after: "x") { id } }', "BAD_INPUT"),
        ('subscription { activityChanged(id: "wo_00000000000000000000000000000000") { id } }', "BAD_INPUT"),
        ("subscription { " + "".join(f"a{n}: events {{ id }} " for n in range(30)) + "}", "LIMIT_EXCEEDED"),
        ("subscription { events(select: {types: [" + '"a", ' * 51 + "]}) { id } }", "LIMIT_EXCEEDED"),
        ("subscription A { events { id } } subscription B { events { id } }", "OPERATION_UNCLEAR"),
        ("{ activities { nodes { nothing } } }", "BAD_INPUT"),
    ],
)  # fmt: skip
def test_what_can_not_be_executed_ends_with_error_and_the_socket_lives_on(
    house: House, document: str, code: str
) -> None:
    """Each error with its code and the request's id."""

    async def scenario() -> None:
        headers = {"x-request-id": "socket-7"}
        async with subscriber(house, "auditor", additional_headers=headers) as client:
            await client.send(id="9", type="subscribe", payload={"query": document})
            answer = await client.receive()
            assert (answer["type"], answer["id"]) == ("error", "9")
            assert {error["extensions"]["code"] for error in answer["payload"]} == {code}
            assert {error["extensions"]["requestId"] for error in answer["payload"]} == {"socket-7"}
            await client.nothing(0.1)
            await client.send(id="9", type="subscribe", payload={"query": "{ __typename }"})
            assert (await client.receive())["payload"]["data"] == {"__typename": "Query"}

    asyncio.run(scenario())


def test_queries_and_mutations_are_answered_and_completed(house: House) -> None:
    added = cost_type(house)
    mutation = """mutation ($input: AddCostTypeInput!) {
        addCostType(input: $input) { costType { code } userErrors { code } } }"""

    async def scenario() -> None:
        async with subscriber(house, "operator") as client:
            query = {
                "query": "query ($id: ID!) { costType(id: $id) { code } }",
                "variables": {"id": added["id"]},
            }
            await client.send(id="q", type="subscribe", payload=query)
            data = {"costType": {"code": added["code"]}}
            answer = await client.receive()
            assert (answer["id"], answer["type"], answer["payload"]["data"]) == ("q", "next", data)
            assert await client.receive() == {"id": "q", "type": "complete"}
            given = {"code": code(), "name": code(), "accountingSubject": "6601", "unit": "CNY"}
            payload = {"query": mutation, "variables": {"input": given}}
            await client.send(id="m", type="subscribe", payload=payload)
            answer = await client.receive()
            assert answer["payload"]["data"]["addCostType"]["costType"] == {"code": given["code"]}
            assert await client.receive() == {"id": "m", "type": "complete"}

    asyncio.run(scenario())


def test_who_may_not_gets_an_error_with_its_path_in_the_result(house: House) -> None:
    mutation = 'mutation { enableCostType(input: {id: "ct_x"}) { position } }'

    async def scenario() -> None:
        async with subscriber(house, "auditor") as client:
            await client.send(id="m", type="subscribe", payload={"query": mutation})
            (error,) = (await client.receive())["payload"]["errors"]
            assert (error["path"], error["extensions"]["code"]) == (["enableCostType"], "FORBIDDEN")
            assert error["extensions"]["requestId"]

    asyncio.run(scenario())


def test_a_client_that_completes_gets_no_more_and_may_use_the_id_again(house: House) -> None:
    async def scenario() -> None:
        async with subscriber(house, "auditor") as client:
            await client.subscribe(EVENTS)
            await client.send(type="complete", id="1")
            await client.send(type="complete", id="unknown")
            await asyncio.to_thread(cost_type, house)
            await client.nothing()
            await client.subscribe(EVENTS)
            added = await asyncio.to_thread(cost_type, house)
            assert await client.next() == {"type": "cost_type.added", "subjectId": added["id"]}

    asyncio.run(scenario())


def test_a_socket_takes_twenty_operations_at_a_time(house: House) -> None:
    async def scenario() -> None:
        async with subscriber(house, "auditor") as client:
            for number in range(20):
                await client.subscribe(EVENTS, str(number))
            await client.send(id="one more", type="subscribe", payload={"query": EVENTS})
            answer = await client.receive()
            assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "LIMIT_EXCEEDED")
            await client.send(type="complete", id="0")
            await client.subscribe(EVENTS, "one more")

    asyncio.run(scenario())


def test_a_user_has_so_many_sockets_and_subscriptions_and_no_more(
    cardinal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.feeds.PER_USER_MAX", 3)

    async def scenario(house: House) -> None:
        async with subscriber(house, "auditor") as one, subscriber(house, "auditor") as other:
            async with opened(house) as third, subscriber(house, "auditor-2"):
                await third.send(type="connection_init", payload={"authorization": "Bearer auditor"})
                assert await third.closed() == (1013, '{"code":"TOO_MANY_AT_ONCE"}')
            for client, id_ in ((one, "a"), (one, "b"), (other, "a")):
                await client.subscribe(EVENTS, id_)
            await other.send(id="b", type="subscribe", payload={"query": EVENTS})
            assert (await other.receive())["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        async with subscriber(house, "auditor") as again:
            for id_ in "abc":
                await again.subscribe(EVENTS, id_)
            await again.nothing(0.2)

    with running_house(cardinal_url, rates=RateRules(sockets_max=2)) as house:
        asyncio.run(scenario(house))


def test_operations_by_socket_are_paid_for_and_refused_as_by_http(cardinal_url: str) -> None:
    """One that can't be paid ends with RATE_LIMITED; a registered document is enough by its digest."""
    document = "{ __typename activities { nodes { id } } }"
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": sha256(document.encode()).hexdigest()}}

    async def scenario(house: House) -> None:
        async with subscriber(house, "auditor") as client:
            payload = {"query": document, "extensions": persisted}
            for given in (payload, {"extensions": persisted}):
                await client.send(id="1", type="subscribe", payload=given)
                answer = (await client.receive())["payload"]
                assert answer["data"]["__typename"] == "Query"
                assert answer["extensions"]["cost"]["requested"] == 1
                assert (await client.receive())["type"] == "complete"
            wanted = {"query": document, "extensions": {"minPosition": "x"}}
            await client.send(id="1", type="subscribe", payload=wanted)
            assert (await client.receive())["payload"][0]["extensions"]["code"] == "BAD_REQUEST"
            for _ in range(110):
                await client.send(id="1", type="subscribe", payload={"query": "{ nothing }"})
                (error,) = (await client.receive())["payload"]
            assert error["extensions"]["code"] == "RATE_LIMITED"
            assert error["extensions"]["retryAfter"] >= 1

    with running_house(cardinal_url, rates=RateRules(capacity=1_000, restored_per_s=1)) as house:
        asyncio.run(scenario(house))


def test_a_socket_ends_with_the_token_that_opened_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEC-03"""
    known = houses.principal
    expiring = {"auditor-5": time.time() + 1.0}
    monkeypatch.setattr(
        houses, "principal", lambda user: replace(known(user), expires_at_s=expiring.get(user))
    )

    async def scenario() -> None:
        async with subscriber(house, "auditor-5") as client, subscriber(house, "auditor-6") as other:
            await client.subscribe(EVENTS)
            assert await client.closed() == (4403, '{"code":"TOKEN_EXPIRED"}')
            await other.subscribe(EVENTS)

    asyncio.run(scenario())
