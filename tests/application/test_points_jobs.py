"""Points jobs from the result to the settled budget, with everything that stops or kills them on the way."""

from pathlib import Path

import pytest

from domain.points_jobs import Status
from tests.application.bank import Bank
from tests.application.points_world import PointsWorld, rows


@pytest.fixture
def world(bank: Bank, tmp_path: Path) -> PointsWorld:
    return PointsWorld(bank, tmp_path / "points")


def test_the_whole_way_from_a_result_to_a_settled_budget(world: PointsWorld) -> None:
    """PTS-07, PTS-09, PTS-10: what was accepted is posted, what was rejected is not, and the sums agree."""
    activity = world.activity("1000")
    job = world.settled(rows(10, points=500), activity, rejected=[3])
    state = world.job(job)
    assert state.status is Status.SETTLED
    assert (state.answered.accepted, state.answered.rejected) == (9, 1)
    assert (state.posted.posted, state.posted.points, state.posted.refused) == (9, 4_500, 0)
    assert [world.ledger(f"C{n:08d}").balance for n in (1, 2, 3, 4)] == [500, 500, 0, 500]
    budget = world.budget(activity)
    assert (budget.free_minor, budget.reserved_minor, budget.consumed_minor) == (955_00, 0, 45_00)
