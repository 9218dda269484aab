"""Thousands of histories with faults, from seeds: whatever comes, points and money come out right."""

import pytest

from tests.simulation.world import Base, Simulation, made

SEEDS = 300


@pytest.fixture(scope="module")
def base() -> Base:
    return made()


def test_the_same_seed_gives_the_same_log(base: Base) -> None:
    digests = [Simulation(base, seed).run() for seed in (1, 2, 1, 2)]
    assert digests[:2] == digests[2:]
    assert digests[0] != digests[1]


def test_points_and_money_come_out_right_whatever_comes(base: Base) -> None:
    for seed in range(SEEDS):
        try:
            Simulation(base, seed).run()
        except BaseException as fault:
            fault.add_note(f"seed {seed}")
            raise
