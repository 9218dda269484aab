"""Who joined a customer group, who stayed and who left, from one extraction to the next."""

from collections.abc import Iterable, Iterator
from enum import StrEnum


class Movement(StrEnum):
    JOINED = "joined"
    STAYED = "stayed"
    LEFT = "left"


def movements(before: Iterable[str], after: Iterable[str]) -> Iterator[tuple[str, Movement]]:
    """Every customer of either extraction, in ascending order, with what became of him.

    Both hold ids in ascending order by code point, each once; anything else is a broken invariant. Neither is
    held in memory.
    """
    earlier, later = _ascending(before), _ascending(after)
    was, is_ = next(earlier, None), next(later, None)
    while was is not None or is_ is not None:
        if was == is_:
            assert is_ is not None
            yield is_, Movement.STAYED
            was, is_ = next(earlier, None), next(later, None)
        elif was is None or (is_ is not None and is_ < was):
            assert is_ is not None
            yield is_, Movement.JOINED
            is_ = next(later, None)
        else:
            yield was, Movement.LEFT
            was = next(earlier, None)


def _ascending(ids: Iterable[str]) -> Iterator[str]:
    last: str | None = None
    for one in ids:
        assert last is None or last < one, "the ids of an extraction come in ascending order, each once"
        yield one
        last = one
