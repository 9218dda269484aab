"""Stocks through the API: what is left, what moved it, and awards that are given outside points."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from infrastructure import actors
from infrastructure.database import pool
from tests.api import campaigns
from tests.api.house import House, running_house

STOCK = "stock { id version status unit line total free reserved consumed reservations }"


@pytest.fixture(scope="module")
def url(make_database: Any, migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def house(url: str) -> Iterator[House]:
    with running_house(url) as running:
        yield running


def launched(house: House, cap: str = "100", user: str = "operator") -> Any:
    """A running activity whose coupons have this cap; its stock."""
    coupon = campaigns.reward_type(house, unit="piece", route="COUPON", maximum="10")["id"]
    rewards = [{"rewardTypeId": coupon, "value": "1", "capTotal": cap}]
    activity = campaigns.approved(house, user, rewards=rewards)
    house.done(user, "launchActivity", campaigns.ACTIVITY, id=activity["id"])
    return stocks(house, activity["id"])[0]


def stocks(house: House, activity: str, user: str = "auditor") -> Any:
    document = (
        f"query ($id: ID!) {{ activity(id: $id) {{ {STOCK.replace('stock', 'stocks { nodes', 1)} }} }} }}"
    )
    return house.data(user, document, id=activity)["activity"]["stocks"]["nodes"]


def do(house: House, mutation: str, stock: str, award: str, user: str = "integrator", **given: Any) -> Any:
    """One movement under an idempotency key of its own; the payload."""
    name = mutation[0].upper() + mutation[1:]
    document = (
        f"mutation ($input: {name}Input!) {{ {mutation}(input: $input)"
        f" {{ {STOCK} userErrors {{ code path message }} }} }}"
    )
    headers = {"idempotency-key": str(uuid4())}
    answer = house.answer(user, document, headers, input={"id": stock, "key": award, **given})
    assert "errors" not in answer, answer
    return answer["data"][mutation]


def quantities(stock: Any) -> tuple[str, str, str, str]:
    return stock["total"], stock["free"], stock["reserved"], stock["consumed"]


def test_150_requests_over_http_get_the_100_there_are(house: House) -> None:
    """ACT-10: exactly 100 succeed, 50 are told that it is out of stock; cancel 10, and 10 are free."""
    stock = launched(house)
    assert (quantities(stock), stock["unit"], stock["line"]) == (("100", "100", "0", "0"), "piece", 0)
    with ThreadPoolExecutor(150) as threads:
        calls = [
            threads.submit(do, house, "reserveStock", stock["id"], f"k{number}") for number in range(150)
        ]
        answers = [call.result(timeout=60) for call in calls]
    told = Counter(answer["userErrors"][0]["code"] if answer["userErrors"] else "" for answer in answers)
    assert told == {"": 100, "OUT_OF_STOCK": 50}
    won = [number for number, answer in enumerate(answers) if not answer["userErrors"]]
    for number in won[:10]:
        answer = do(house, "releaseStock", stock["id"], f"k{number}")
    assert quantities(answer["stock"]) == ("100", "10", "90", "0")
    for number in won[10:15]:
        answer = do(house, "consumeStock", stock["id"], f"k{number}")
    assert quantities(answer["stock"]) == ("100", "10", "85", "5")
    answer = do(house, "returnStock", stock["id"], f"k{won[10]}", name="broken")
    assert quantities(answer["stock"]) == ("100", "11", "85", "4")
    kinds = """query ($id: ID!) { stock(id: $id) { movements { totalCount }
        activity { code } rewardType { unit } history { totalCount } } }"""
    found = house.data("auditor", kinds, id=stock["id"])["stock"]
    assert found["movements"]["totalCount"] == found["history"]["totalCount"] == 1 + 100 + 10 + 5 + 1


def test_a_movement_needs_an_idempotency_key(house: House) -> None:
    """ACT-10"""
    stock = launched(house)["id"]
    for mutation, more in (("reserveStock", {}), ("consumeStock", {}), ("releaseStock", {}),
                           ("returnStock", {"name": "r"})):  # fmt: skip
        name = mutation[0].upper() + mutation[1:]
        document = f"mutation ($input: {name}Input!) {{ {mutation}(input: $input) {{ position }} }}"
        answer = house.answer("integrator", document, input={"id": stock, "key": "a", **more})
        assert answer["errors"][0]["extensions"]["code"] == "KEY_REQUIRED"
    assert stocks_of(house, stock)["reserved"] == "0"


def stocks_of(house: House, id_: str) -> Any:
    document = f"query ($id: ID!) {{ {STOCK.replace('stock', 'stock(id: $id)', 1)} }}"
    return house.data("auditor", document, id=id_)["stock"]


def test_the_same_key_gives_the_same_answer_and_another_input_is_refused(house: House) -> None:
    """ACT-10"""
    stock = launched(house)["id"]
    document = f"""mutation ($input: ReserveStockInput!) {{ reserveStock(input: $input) {{ {STOCK} position
        userErrors {{ code }} }} }}"""
    headers = {"idempotency-key": str(uuid4())}
    given = {"id": stock, "key": "a", "quantity": "2.5"}
    first, second = (
        house.answer("integrator", document, headers, input=given)["data"]["reserveStock"] for _ in range(2)
    )
    assert first == second
    assert quantities(first["stock"]) == ("100", "97.5", "2.5", "0")
    other = house.answer("integrator", document, headers, input={**given, "quantity": "3"})
    assert other["data"]["reserveStock"]["userErrors"] == [{"code": "KEY_REUSED"}]


def test_a_movement_may_hold_to_the_version_that_was_seen(house: House) -> None:
    """ACT-10, api.md 4"""
    stock = launched(house)
    reserved = do(house, "reserveStock", stock["id"], "a", expectedVersion=stock["version"])["stock"]
    for mutation, more in (("reserveStock", {}), ("consumeStock", {}), ("releaseStock", {}),
                           ("returnStock", {"name": "r"})):  # fmt: skip
        [fault] = do(house, mutation, stock["id"], "a", expectedVersion=stock["version"], **more)[
            "userErrors"
        ]
        assert (fault["code"], fault["path"]) == ("VERSION_CONFLICT", ["input", "expectedVersion"])
    done = do(house, "releaseStock", stock["id"], "a", expectedVersion=reserved["version"])
    assert done["stock"]["version"] == reserved["version"] + 1


def test_what_nobody_has_reserved_is_not_released(house: House) -> None:
    """ACT-10"""
    stock = launched(house)["id"]
    [fault] = do(house, "releaseStock", stock, "slip of the pen")["userErrors"]
    assert fault["code"] == "RESERVATION_GONE"


def test_who_may_not_award_gets_nothing(house: House) -> None:
    """SEC-03"""
    stock = launched(house)["id"]
    document = "mutation ($input: ReserveStockInput!) { reserveStock(input: $input) { position } }"
    answer = house.answer("auditor", document, {"idempotency-key": "x"}, input={"id": stock, "key": "a"})
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("award", "given", "fault"),
    [
        ("a", {"quantity": "0"}, ("BAD_QUANTITY", ["input", "quantity"])),
        ("a", {"quantity": "101"}, ("OUT_OF_STOCK", ["input", "quantity"])),
        ("", {}, ("REQUIRED", ["input", "key"])),
        ("a", {"expiresAt": "2020-01-01T00:00:00Z"}, ("BAD_EXPIRY", ["input", "expiresAt"])),
    ],
)
def test_a_refusal_names_the_fault_and_its_place(
    house: House, award: str, given: dict[str, Any], fault: tuple[str, list[str]]
) -> None:
    """ACT-10"""
    [found] = do(house, "reserveStock", launched(house)["id"], award, **given)["userErrors"]
    assert (found["code"], found["path"]) == fault


def test_a_branch_sees_its_own_stocks_only(house: House) -> None:
    """SEC-03"""
    stock = launched(house)["id"]
    document = "query ($id: ID!) { stock(id: $id) { id movements { totalCount } } }"
    assert house.data("branch", document, id=stock)["stock"] is None
    [fault] = do(house, "reserveStock", stock, "a", "branch")["userErrors"]
    assert (fault["code"], fault["path"]) == ("NOT_FOUND", ["input", "id"])


def test_the_scheduler_finds_stocks_with_reservations_that_are_over(house: House, url: str) -> None:
    """ACT-10: those that were consumed, released or confirmed are none."""
    stock = launched(house)["id"]
    key = UUID(stock.removeprefix("sk_"))
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    with pool(url, 2) as connections:
        holders = actors.expired_holders(connections)
        later = datetime.now(UTC) + timedelta(hours=2)
        do(house, "reserveStock", stock, "a", expiresAt=soon)
        do(house, "reserveStock", stock, "b")
        assert ("stock", key) in holders(later, 1_000)
        assert ("stock", key) not in holders(datetime.now(UTC), 1_000)
        do(house, "consumeStock", stock, "a")
        assert ("stock", key) not in holders(later, 1_000)


def test_integrators_follow_the_movements(house: House) -> None:
    """ACT-10"""
    stock = launched(house)["id"]
    do(house, "reserveStock", stock, "a", quantity="2")
    document = "query ($s: ID!) { events(select: { subject: $s }) { events { type data } } }"
    opened, reserved = house.data("integrator", document, s=stock)["events"]["events"]
    assert (opened["type"], opened["data"]["total"]) == ("stock.opened", "100")
    assert (reserved["type"], reserved["data"]["key"]) == ("stock.reserved", "a")
    assert reserved["data"]["quantity"] == "2"
