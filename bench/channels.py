"""What channels and back-office pages wait for, with everything on, against the second that is promised."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import orjson

from bench.graphql import ONE, ORDERS, Connection, Served, api_and_bare, first_order
from bench.rounds import Figure

CHANNELS = 50
LOAD_S = 10.0
REPEATS = 20
PROMISED_MS = 1_000.0


def figures(url: str) -> Iterator[Figure]:
    with api_and_bare(url) as (ours, _):
        asked = ours.request({"query": ONE, "variables": {"id": f"wo_{first_order(url).hex}"}})
        waits = _under_load(ours, asked)
        name = f"p99 of one object by id, {CHANNELS} callers at once, {len(waits):,} calls"
        yield _within_a_second(name, statistics.quantiles(waits, n=100)[98])
        lists = [each for each in _lists() if _is_answered(ours, each)]
        waits = [_wait_ms(Connection(ours.port), ours.request({"query": each})) for each in lists * REPEATS]
        name = f"p95 of {len(lists)} lists of the back office, 50 rows each, {ORDERS:,} work orders"
        yield _within_a_second(name, statistics.quantiles(waits, n=20)[18])


def _within_a_second(name: str, ms: float) -> Figure:
    ratio = PROMISED_MS / ms
    return Figure(name, ms, PROMISED_MS, ratio, ratio, ratio, 1.00, "ms")


def _under_load(ours: Served, asked: bytes) -> list[float]:
    """Each caller asks again as soon as he is answered; milliseconds of each call."""
    end_s = time.perf_counter() + LOAD_S

    def call(_: int) -> list[float]:
        connection, found = Connection(ours.port), list[float]()
        while time.perf_counter() < end_s:
            found.append(_wait_ms(connection, asked))
        connection.close()
        return found

    with ThreadPoolExecutor(CHANNELS) as callers:
        return [wait for waits in callers.map(call, range(CHANNELS)) for wait in waits]


def _wait_ms(connection: Connection, asked: bytes) -> float:
    begun = time.perf_counter()
    answer = orjson.loads(connection.ask(asked))
    took_ms = (time.perf_counter() - begun) * 1_000
    assert answer.get("data"), answer
    return took_ms


def _is_answered(ours: Served, query: str) -> bool:
    """Not what the caller's role may not see, such as accounts."""
    answer = orjson.loads(Connection(ours.port).ask(ours.request({"query": query})))
    codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
    assert codes <= {"FORBIDDEN"}, answer
    return not codes


def _lists() -> list[str]:
    """Every list that the root offers to who names nothing."""
    from api.schema import schema

    query = schema._schema.query_type
    assert query is not None
    found = []
    for name, field in query.fields.items():
        needed = [key for key, argument in field.args.items() if str(argument.type).endswith("!")]
        if str(field.type).removesuffix("!").endswith("Connection") and not needed:
            found.append(f"{{ {name}(first: 50) {{ totalCount nodes {{ __typename }} }} }}")
    return found
