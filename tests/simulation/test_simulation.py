"""Thousands of histories with faults, from seeds: whatever comes, points and money come out right."""

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.world import Base, Simulation, made

SEEDS, AT_ONCE = 2_000, 250
SEEDS_FOR_A_BUG = 400


@pytest.fixture(scope="module")
def base() -> Base:
    return made()


def play(base: Base, seed: int) -> bytes:
    try:
        return Simulation(base, seed).run()
    except Exception as fault:
        fault.add_note(f"seed {seed}")
        raise


def test_the_same_seed_gives_the_same_log(base: Base) -> None:
    digests = [play(base, seed) for seed in (1, 2, 1, 2)]
    assert digests[:2] == digests[2:]
    assert digests[0] != digests[1]


@pytest.mark.drill
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_points_and_money_come_out_right_whatever_comes(base: Base, first: int) -> None:
    """NFR-08, PTS-10, BUD-02, LOG-17: exactly once, within budget, and nothing is owed for ever."""
    for seed in range(first, first + AT_ONCE):
        play(base, seed)


def found(base: Base) -> str:
    """What the first seed that fails says; empty when none does."""
    for seed in range(SEEDS_FOR_A_BUG):
        try:
            Simulation(base, seed).run()
        except AssertionError as fault:
            return f"seed {seed}: {fault!r}"
    return ""


@pytest.mark.drill
@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found(base: Base, bug: str) -> None:
    """The simulation is worth what it finds."""
    with BUGS[bug]():
        assert found(base)
