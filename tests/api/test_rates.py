"""The bucket of points that each principal has, and what a document costs."""

import asyncio

import pytest

from api.admission import Admission
from api.persisted_documents import PersistedDocuments
from api.planner.limits import MAX_FIELDS, MAX_ROOTS
from api.planner.reads import Document, read_document
from api.rates import (
    BUCKETS_MAX,
    DEAREST_POINTS,
    FIELDS_A_POINT,
    MUTATION_POINTS,
    REFUSED_POINTS,
    RateLimited,
    RateRules,
    Rates,
    TooManyAtOnce,
    price,
)
from api.schema import schema
from tests.api.house import principal


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def rates(**rules: int) -> tuple[Rates, Clock]:
    clock = Clock()
    return Rates(RateRules(**rules), clock), clock


def document(text: str) -> Document:
    found = read_document(schema._schema, text)
    assert not found.errors, found.errors
    return found


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("{ __typename }", 1),
        ("{ costTypes(first: 1) { totalCount } }", 1),
        ("{ costTypes(first: 100) { nodes { id } } }", 1 + 2),  # the row counts too
        ("{ costTypes(first: 100) { nodes { id name } } }", 1 + 3),
        ("query ($n: Int) { costTypes(first: $n) { nodes { id name } } }", 1 + 3),
        ('mutation { removeCostType(input: {id: "x"}) { position } }', 1 + MUTATION_POINTS),
        ('mutation { a: removeCostType(input: {id: "x"}) { position }'
         ' b: removeCostType(input: {id: "x"}) { position } }', 1 + 2 * MUTATION_POINTS),
        ("subscription { events { id } }", 1 + 10),
    ],
)  # fmt: skip
def test_a_document_costs_one_point_and_one_for_each_100_fields_of_its_largest_answer(
    text: str, points: int
) -> None:
    """api.md 9"""
    assert price(document(text), None) == points


def test_what_is_refused_costs_too_and_nothing_costs_more_than_any_bucket_holds() -> None:
    assert price(read_document(schema._schema, "{"), None) == REFUSED_POINTS
    assert price(document("query a { __typename } query b { __typename }"), None) == REFUSED_POINTS
    assert 1 + MAX_FIELDS // FIELDS_A_POINT + MAX_ROOTS * MUTATION_POINTS <= DEAREST_POINTS


def test_the_bucket_gives_exactly_what_it_holds_and_says_when_there_is_more() -> None:
    """api.md 9"""
    given, clock = rates(capacity=1_000, restored_per_s=50)
    assert given.charge("li", 400) == {"requested": 400, "available": 600, "restoreRate": 50}
    assert given.charge("li", 600)["available"] == 0
    with pytest.raises(RateLimited) as refused:
        given.charge("li", 101)
    assert refused.value.retry_after_s == 3
    assert refused.value.shown == {"requested": 101, "available": 0, "restoreRate": 50}
    clock.now_s += 2.0
    with pytest.raises(RateLimited):
        given.charge("li", 101)
    assert given.charge("li", 100)["available"] == 0, "what is refused takes nothing"
    clock.now_s += 3_600
    assert given.charge("li", 1)["available"] == 999, "it never holds more than its capacity"


def test_nothing_is_parsed_on_credit() -> None:
    class Unread:
        def document(self, source: str) -> Document:
            raise AssertionError(f"{source} was parsed")

    given, _ = rates(capacity=1_000, restored_per_s=1)
    admission = Admission(Unread(), PersistedDocuments(None), given)  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        admission.admit("{", None, principal("auditor"))
    given.charge("auditor", 1_000)
    with pytest.raises(RateLimited):
        admission.admit("{", None, principal("auditor"))


def test_everybody_has_a_bucket_of_his_own() -> None:
    given, _ = rates(capacity=1_000, restored_per_s=1)
    given.charge("li", 1_000)
    with pytest.raises(RateLimited):
        given.require_some("li")
    given.require_some("wang")
    assert given.charge("wang", 1_000)["available"] == 0


def test_many_at_once_get_exactly_the_capacity() -> None:
    given, _ = rates(capacity=1_000, restored_per_s=1)

    async def ask() -> bool:
        await asyncio.sleep(0)
        try:
            given.charge("li", 7)
        except RateLimited:
            return False
        return True

    async def crowd() -> list[bool]:
        return await asyncio.gather(*(ask() for _ in range(500)))

    assert sum(asyncio.run(crowd())) == 1_000 // 7


def test_the_buckets_are_bounded() -> None:
    given, _ = rates()
    for number in range(BUCKETS_MAX + 10):
        given.charge(f"user-{number}", 1)
    assert len(given._buckets) == BUCKETS_MAX


def test_requests_and_sockets_of_one_user_at_the_same_time_are_counted_apart() -> None:
    given, _ = rates(at_once_max=2, sockets_max=1)
    with given.request("li"), given.request("li"), given.socket("li"), given.request("wang"):
        with pytest.raises(TooManyAtOnce), given.request("li"):
            pass
        with pytest.raises(TooManyAtOnce), given.socket("li"):
            pass
    with given.request("li"):
        assert given._requests == {"li": 1}
    assert not given._requests
    assert not given._sockets
