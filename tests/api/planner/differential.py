"""What differs between the planner's answers and ordinary resolvers', over seeded random documents."""

from random import Random

from psycopg import Error

from api.planner.requests import Viewer
from tests.api.planner.conftest import CHIEF, SOUTHERNER, STAFF, Bank
from tests.api.planner.documents import Document, write
from tests.api.planner.naive import normal

DOCUMENTS = 260


def differences(bank: Bank, seeds: range, stop_at_first: bool = False) -> tuple[list[str], int]:
    """What differs, and how many answers were planned ahead of strawberry."""
    found, planned = [], 0
    for seed in seeds:
        rng = Random(seed)
        document = write(rng, bank.naive.schema, bank.rows)
        for viewer in (STAFF, CHIEF, SOUTHERNER):
            for _ in range(2):
                rolled = {name: rng.random() < 0.5 for name in document.conditions}
                rolled |= {n: rng.randrange(8) for n, v in document.variables.items() if type(v) is int}
                try:
                    difference, ahead = _difference(bank, document, rolled, viewer)
                except Error as not_even_sql:
                    difference, ahead = str(not_even_sql), True
                planned += ahead
                if difference:
                    found.append(f"seed {seed}, {viewer.user}, {rolled}: {document.text}\n{difference}")
        if found and stop_at_first:
            break
    return found, planned


def _difference(
    bank: Bank, document: Document, rolled: dict[str, bool | int], viewer: Viewer
) -> tuple[str | None, bool]:
    own, others = document.variables | rolled, document.variables | rolled
    for name, probe in document.probes.items():
        used = {n: v for n, v in (document.variables | rolled).items() if f"${n}:" in probe}
        cursors = []
        for data in (bank.ask(probe, used, viewer).data, bank.naive.ask(probe, used, viewer).data):
            cursors.append(next(iter(data.values()))["pageInfo"]["endCursor"] if data else None)
        own, others = own | {name: cursors[0]}, others | {name: cursors[1]}
    answer, expected = bank.ask(document.text, own, viewer), bank.naive.ask(document.text, others, viewer)
    codes = sorted((error.extensions or {}).get("code", error.message) for error in expected.errors or [])
    one, other = (normal(answer.data), answer.codes), (normal(expected.data), codes)
    return (None if one == other else f"{one}\n{other}"), answer.planned
