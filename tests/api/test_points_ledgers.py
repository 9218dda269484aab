"""Points through the API: jobs with their steps, entries with why they were made, accounts, corrections."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure.database import pool
from infrastructure.event_log import EventLog
from projections.shared.ids import shown_id
from tests.api.house import House, running_house
from tests.application.bank import Bank
from tests.application.points_world import PointsWorld, rows

JOB = """pointsJob(id: $id) { id status fileName lines points amount { amount } consumed { amount } accepted rejected
    posted postedPoints differing workOrderId workOrder { number } activity { code } runId definitionId
    definitionRevision definitionHash approvalIds sha256
    history { nodes { eventType } } budgetMovements { nodes { kind amount { amount } } } }"""


@pytest.fixture(scope="module")
def url(make_database: Any, migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def house(url: str) -> Iterator[House]:
    with running_house(url) as running:
        yield running


@pytest.fixture(scope="module")
def world(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PointsWorld]:
    with pool(url, 4) as connections:
        folder: Path = tmp_path_factory.mktemp("points")
        yield PointsWorld(Bank(EventLog(connections)), folder)


def caught_up(house: House, world: PointsWorld) -> None:
    """Wait until the read tables show everything: a command that changes them does."""
    house.done("operator", "adjustPoints", "pointsAccount { id }", **adjustment("SEEN", 1))


def adjustment(customer: str, points: int, **given: Any) -> dict[str, Any]:
    return {
        "programme": "CC",
        "customer": customer,
        "points": points,
        "businessType": "GOODWILL",
        "name": "Apology",
        "reason": "late statement",
        **given,
    }


def test_a_job_shows_what_each_step_counted(house: House, world: PointsWorld) -> None:
    """PTS-05, PTS-07, PTS-08, BUD-06"""
    job = world.settled(rows(3), rejected=[2])
    caught_up(house, world)
    id_ = shown_id("points_job", job)
    found = house.data("auditor", f"query ($id: ID!) {{ {JOB} }}", id=id_)["pointsJob"]
    assert found["status"] == "SETTLED"
    assert (found["lines"], found["points"], found["accepted"], found["rejected"]) == (3, "1500", 2, 1)
    assert (found["posted"], found["postedPoints"], found["differing"]) == (2, "1000", 0)
    assert (found["amount"], found["consumed"]) == ({"amount": "15.00"}, {"amount": "10.00"})
    assert [node["eventType"].split(".")[1] for node in found["history"]["nodes"]] == [
        "opened", "reserved", "filed", "released", "sent", "acknowledged", "posted", "reconciled", "settled",
    ]  # fmt: skip
    assert [node["kind"] for node in found["budgetMovements"]["nodes"]] == ["RESERVED", "CONSUMED"]
