"""A reader of points files that shares nothing with the writer: split, add up, compare."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    programme: str
    business_date: str
    sequence: int
    job: str
    rows: list[tuple[int, str, str, int, str]]
    count: int
    total: int


def seen(content: bytes) -> Seen:
    """What the file says; AssertionError where it contradicts itself."""
    assert content.endswith(b"\n")
    assert b"\r" not in content
    head, *details, tail = content.decode("utf-8").splitlines()
    kind, name, layout, programme, day, sequence, job = head.split("|")
    assert (kind, name, layout) == ("H", "POINTS", "1")
    rows = []
    for number, detail in enumerate(details, start=1):
        mark, line, customer, card, points, business_type = detail.split("|")
        assert (mark, line) == ("D", str(number))
        rows.append((number, customer, card, int(points), business_type))
    mark, count, total, checksum = tail.split("|")
    assert mark == "T"
    assert int(count) == len(rows)
    assert int(total) == sum(row[3] for row in rows)
    assert hashlib.sha256(content[: -len(tail) - 1]).hexdigest() == checksum
    return Seen(programme, day, int(sequence), job, rows, int(count), int(total))
