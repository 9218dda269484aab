"""Points files through the API: overdue, sent again, recalled; cancellations that wait for a file."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from application.processes.closed_budgets import close_due
from domain.points_job_statuses import Status
from domain.shared.period import Period
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from projections.shared.ids import shown_id
from tests.api.campaigns import APPROVAL, verdict
from tests.api.house import House, running_house
from tests.api.orders import REQUEST
from tests.api.test_points_ledgers import caught_up
from tests.application.bank import ALL_UNITS, DAY, Bank
from tests.application.points_world import PointsWorld, rows

JOB = """pointsJob { id status sending isOverdue answerBy failure confirmation reason consumed { amount }
    reversedPoints refunded { amount } faults { code line } history { nodes { eventType } } }"""


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


def shown(house: House, world: PointsWorld, job: UUID) -> Any:
    caught_up(world)
    query = f"query ($id: ID!) {{ {JOB.replace('pointsJob {', 'pointsJob(id: $id) {')} }}"
    return house.data("auditor", query, id=shown_id("points_job", job))["pointsJob"]


def cancelling(house: House, world: PointsWorld, job: UUID) -> Any:
    """The request for the cancellation of the job's work order."""
    caught_up(world)
    order = shown_id("work_order", world.job(job).has.cause.work_order)
    given = {"workOrderId": order, "reason": "wrong group"}
    return house.done("operator", "requestCancellation", REQUEST, **given)


CANCELLATION = """query ($id: ID!) { cancellationRequest(id: $id) { status pointsFile refusal decidedBy
    workOrder { status } } }"""


def test_a_job_whose_answer_is_broken_is_overdue_and_sent_again(house: House, world: PointsWorld) -> None:
    """PTS-09: shown with the faults; the answer to the second sending is taken."""
    job = world.sent(rows(3))
    world.system.answers[world.name(job)] = b"nonsense"
    world.step(job)
    assert (shown(house, world, job)["status"], shown(house, world, job)["isOverdue"]) == (
        "ACKNOWLEDGEMENT_FAULTY",
        False,
    )
    world.bank.now += DAY
    world.step(job)
    late = shown(house, world, job)
    assert (late["status"], late["isOverdue"], late["sending"]) == ("AWAITING_ACKNOWLEDGEMENT", True, 1)
    assert late["faults"]
    query = "{ pointsJobs(filter: {isOverdue: {eq: true}}) { nodes { id } } }"
    assert [node["id"] for node in house.data("auditor", query)["pointsJobs"]["nodes"]] == [late["id"]]
    given = {"id": late["id"], "reason": "their answer is broken"}
    again = house.done("operator", "resendPointsFile", JOB, **given)
    assert (again["status"], again["sending"]) == ("RELEASED", 2)
    world.step(job)
    sent = shown(house, world, job)
    assert (sent["status"], sent["isOverdue"], sent["faults"]) == ("SENT", False, [])
    assert datetime.fromisoformat(sent["answerBy"]) == (world.bank.now + DAY).astimezone(UTC)
    world.system.answer(world.name(job))
    world.step(job, 4)
    assert shown(house, world, job)["status"] == "SETTLED"
    assert house.refused("operator", "resendPointsFile", **given) == [("NOT_AT_THIS_STEP", "input")]
    assert house.refused("branch", "resendPointsFile", **given) == [("NOT_FOUND", "input.id")]
    world.bank.now -= DAY


def test_a_file_is_recalled_or_given_up_with_a_confirmation(house: House, world: PointsWorld) -> None:
    """PTS-10"""
    job = world.sent(rows(3))
    given = {"id": shown(house, world, job)["id"], "reason": "wrong group"}
    assert house.done("operator", "recallPointsFile", JOB, **given)["status"] == "RECALLING"
    world.step(job)
    kept = shown(house, world, job)
    assert (kept["status"], kept["failure"]) == ("SENT", "points_file_taken")
    word = {**given, "confirmation": "letter 17"}
    alone = house.refused("operator", "recallPointsFile", **word)
    assert alone == [("SECOND_PERSON_NEEDED", "input.confirmation")]
    said = house.done("operator-2", "recallPointsFile", JOB, **word)
    assert (said["status"], said["confirmation"]) == ("RECALLING", "letter 17")
    world.step(job)
    gone = shown(house, world, job)
    assert (gone["status"], gone["confirmation"], gone["reason"]) == ("WITHDRAWN", "letter 17", "wrong group")
    assert [node["eventType"] for node in gone["history"]["nodes"]][-4:] == [
        f"points_job.{verb}" for verb in ("recall_begun", "recall_failed", "recall_begun", "recalled")
    ]
    document = "mutation ($i: RecallPointsFileInput!) { recallPointsFile(input: $i) { position } }"
    answer = house.answer("auditor", document, i=given)
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_a_cancellation_withdraws_the_file_that_waits_to_be_taken(house: House, world: PointsWorld) -> None:
    """WO-16"""
    job = world.opened(rows(3))
    world.system.waiting.add(world.name(job))
    world.step(job, 3)
    request = cancelling(house, world, job)
    house.done("technologist", "approve", APPROVAL, **verdict(request["approval"], "TECHNOLOGY"))
    waits = house.data("auditor", CANCELLATION, id=request["id"])["cancellationRequest"]
    assert (waits["status"], waits["workOrder"]["status"]) == ("RECALLING", "CANCELLATION_PENDING")
    assert world.step(job).status is Status.WITHDRAWN
    caught_up(world)
    done = house.data("auditor", CANCELLATION, id=request["id"])["cancellationRequest"]
    assert done == {
        "status": "APPROVED",
        "pointsFile": world.name(job),
        "refusal": None,
        "decidedBy": "technologist",
        "workOrder": {"status": "CANCELLED"},
    }


def test_a_cancellation_that_comes_too_late_names_the_file(house: House, world: PointsWorld) -> None:
    """WO-16: told to the approver where it is answered already, else shown on the request."""
    taken, answered = world.sent(rows(3)), world.sent(rows(3, start=50))
    request = cancelling(house, world, taken)
    house.done("technologist", "approve", APPROVAL, **verdict(request["approval"], "TECHNOLOGY"))
    world.step(taken)
    caught_up(world)
    found = house.data("auditor", CANCELLATION, id=request["id"])["cancellationRequest"]
    assert (found["status"], found["refusal"], found["pointsFile"]) == (
        "REFUSED", "points_file_taken", world.name(taken),
    )  # fmt: skip
    assert found["workOrder"] == {"status": "EXECUTING"}
    request = cancelling(house, world, answered)
    world.system.answer(world.name(answered))
    world.step(answered)
    payload = house.do("technologist", "approve", **verdict(request["approval"], "TECHNOLOGY"))
    [error] = payload["userErrors"]
    assert (error["code"], world.name(answered) in error["message"]) == ("POINTS_FILE_TAKEN", True)


def test_a_reversal_shows_what_came_back_to_the_budget(house: House, world: PointsWorld) -> None:
    """BUD-04, PTS-12"""
    job = world.settled([("REV1", "", 500), ("REV2", "", 70)])
    caught_up(world)
    query = """query ($c: String!) { pointsEntries(filter: {customer: {eq: $c}}) { nodes { id } } }"""
    [entry] = house.data("operator", query, c="REV1")["pointsEntries"]["nodes"]
    given = {"id": entry["id"], "reason": "wrong customer"}
    account = house.done("operator", "reversePointsEntry", "pointsAccount { balance }", **given)
    assert account == {"balance": "0"}
    found = shown(house, world, job)
    assert (found["reversedPoints"], found["consumed"], found["refunded"]) == (
        "500", {"amount": "5.70"}, {"amount": "5.00"},
    )  # fmt: skip
    moved = """query ($id: ID!) { budgets(filter: {activityId: {eq: $id}}) { nodes { consumed { amount }
        movements { nodes { kind amount { amount } pointsJobId } } } } }"""
    activity = shown_id("activity", world.job(job).has.cause.activity.id)
    [budget] = house.data("auditor", moved, id=activity)["budgets"]["nodes"]
    assert budget["consumed"] == {"amount": "0.70"}
    assert budget["movements"]["nodes"][-1] == {
        "kind": "REFUNDED", "amount": {"amount": "5.00"}, "pointsJobId": found["id"],
    }  # fmt: skip


def test_a_budget_stays_open_after_the_end_and_is_closed_when_its_awards_are_over(
    house: House, world: PointsWorld
) -> None:
    """BUD-04: seen in the budget, with what went back."""
    bank, began = world.bank, world.bank.now
    type_ = bank.add_type(f"Dining {next(bank.numbers)}")
    award = Period(began, began + 60 * DAY)
    activity = bank.running(bank.draft(bank.plan(type_, award=award)))
    query = """query ($id: ID!) { budgets(filter: {activityId: {eq: $id}}) { nodes { status free { amount }
        activity { status } movements { nodes { kind amount { amount } } } } } }"""

    def budget() -> Any:
        caught_up(world)
        id_ = shown_id("activity", activity)
        return house.data("auditor", query, id=id_)["budgets"]["nodes"][0]

    bank.now = began + 30 * DAY
    bank.end(activity)
    close_due(bank.handler, lambda *_: [activity], ALL_UNITS)
    assert (budget()["status"], budget()["activity"]) == ("OPEN", {"status": "ENDED"})
    world.settled([("LATE1", "", 500)], activity)
    bank.now = began + 60 * DAY
    close_due(bank.handler, lambda *_: [activity], ALL_UNITS)
    bank.now = began
    closed = budget()
    assert (closed["status"], closed["free"]) == ("CLOSED", {"amount": "0.00"})
    assert closed["movements"]["nodes"][-1] == {"kind": "RETURNED", "amount": {"amount": "995.00"}}
