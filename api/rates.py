"""How much each principal may ask for: a bucket of points that fills again by time, and requests at once.

Belongs to one event loop: nothing here waits, so what one request sees and takes no other sees in between.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from graphql import OperationType

from api.planner.reads import Document

REQUEST_POINTS = 1
FIELDS_A_POINT = 100
MUTATION_POINTS = 10  # for each of its root fields
SUBSCRIPTION_POINTS = 10
EXPORT_POINTS = 100  # for a file of whatever size: not many are made at once
REFUSED_POINTS = 10  # of a document that is not valid
DEAREST_POINTS = 1_000
"""More than any one document can cost within its limits."""
BUCKETS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class RateRules:
    """What one principal may have of one process. `capacity` in points, at least DEAREST_POINTS."""

    capacity: int = 10_000
    restored_per_s: int = 500
    at_once_max: int = 100
    sockets_max: int = 100


class RateLimited(Exception):
    """The bucket does not hold that much; it will in `retry_after_s`, at least 1."""

    def __init__(self, shown: Mapping[str, int], retry_after_s: int) -> None:
        super().__init__(f"again in {retry_after_s} s")
        self.shown, self.retry_after_s = shown, retry_after_s


class TooManyAtOnce(Exception):
    """As many of the principal's requests, or sockets, are under way as may be."""


@dataclass(slots=True)
class _Bucket:
    points: float
    filled_at_s: float


class Rates:
    """The buckets of one process; the one that was left alone longest is forgotten beyond 10,000."""

    def __init__(self, rules: RateRules, now_s: Callable[[], float] = time.monotonic) -> None:
        self._rules, self._now_s = rules, now_s
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._requests: Counter[str] = Counter()
        self._sockets: Counter[str] = Counter()

    def require_some(self, user: str) -> None:
        """Raise RateLimited where not even the cheapest request could be paid: before anything is parsed."""
        bucket = self._bucket(user)
        if bucket.points < REQUEST_POINTS:
            raise self._limited(bucket, REQUEST_POINTS)

    def charge(self, user: str, points: int) -> Mapping[str, int]:
        """Take the points; `extensions.cost` as clients see it. Raise RateLimited and take none."""
        bucket = self._bucket(user)
        if bucket.points < points:
            raise self._limited(bucket, points)
        bucket.points -= points
        return self._shown(bucket, points)

    def request(self, user: str) -> AbstractContextManager[None]:
        """Held, by `with`, while a request is answered. Raise TooManyAtOnce."""
        return _held(self._requests, user, self._rules.at_once_max)

    def socket(self, user: str) -> AbstractContextManager[None]:
        """Held while a WebSocket of his, or another stream, is open. Raise TooManyAtOnce."""
        return _held(self._sockets, user, self._rules.sockets_max)

    def _bucket(self, user: str) -> _Bucket:
        """His bucket, filled up to now."""
        now_s, rules = self._now_s(), self._rules
        bucket = self._buckets.get(user)
        if bucket is None:
            bucket = self._buckets[user] = _Bucket(rules.capacity, now_s)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(user)
            restored = (now_s - bucket.filled_at_s) * rules.restored_per_s
            bucket.points, bucket.filled_at_s = min(rules.capacity, bucket.points + restored), now_s
        return bucket

    def _limited(self, bucket: _Bucket, points: int) -> RateLimited:
        wait_s = math.ceil((points - bucket.points) / self._rules.restored_per_s)
        return RateLimited(self._shown(bucket, points), max(1, wait_s))

    def _shown(self, bucket: _Bucket, points: int) -> Mapping[str, int]:
        available, rate = int(bucket.points), self._rules.restored_per_s
        return {"requested": points, "available": available, "restoreRate": rate}


def price(document: Document, name: str | None) -> int:
    """The points of the operation that `name` chooses, by the largest answer that it may have."""
    operation, cost = document.operations.get(name), document.cost(name)
    if document.errors or operation is None or cost is None:
        return REFUSED_POINTS
    points = REQUEST_POINTS + cost.fields // FIELDS_A_POINT
    if operation.operation is OperationType.MUTATION:
        points += MUTATION_POINTS * cost.roots
    elif operation.operation is OperationType.SUBSCRIPTION:
        points += SUBSCRIPTION_POINTS
    return points


@contextmanager
def _held(counts: Counter[str], user: str, most: int) -> Iterator[None]:
    if counts[user] >= most:
        raise TooManyAtOnce
    counts[user] += 1
    try:
        yield
    finally:
        counts[user] -= 1
        if not counts[user]:
            del counts[user]
