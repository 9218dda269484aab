"""Points files through the API: downloaded as recorded; what is on its way; accounts and what differs."""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from application import cancellations
from application.points_copies import PointsShelf
from domain.points_job_statuses import Status
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.file_folder import DirectoryFolder
from projections.shared.ids import shown_id
from tests.api.house import House, running_house
from tests.api.test_exports import refusal
from tests.api.test_points_ledgers import adjusted, adjustment, caught_up
from tests.application.bank import LIN, Bank, at_once
from tests.application.points_world import PointsWorld, rows
from tests.application.small_warehouse import SmallEngine, customer, write_warehouse
from tests.domain.points_file_reader import seen

DOWNLOADS = """query ($f: DownloadFilter) { downloads(filter: $f) { nodes { subject filter rows recordedBy
    orgUnit } } }"""


class Noticed(DirectoryFolder):
    """A folder in which, once, somebody does something while a file is read."""

    meanwhile: Callable[[], object] | None = None

    def read(self, name: str) -> Iterator[bytes]:
        for piece in super().read(name):
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()
            yield piece


@pytest.fixture(scope="module")
def url(make_database: Any, migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def world(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PointsWorld]:
    with pool(url, 4) as connections:
        yield PointsWorld(Bank(EventLog(connections)), tmp_path_factory.mktemp("points"))


@pytest.fixture(scope="module")
def folder(world: PointsWorld) -> Noticed:
    return Noticed(world.folder)


@pytest.fixture(scope="module")
def house(
    url: str, world: PointsWorld, folder: Noticed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    bank = tmp_path_factory.mktemp("bank")
    write_warehouse(bank, [customer(907), customer(908, org_unit="SH"), customer(909), customer(910)], [])
    shelf = PointsShelf(world.results, world.system, folder)
    with running_house(url, engine=SmallEngine(bank), shelf=shelf) as running:
        yield running


def got(house: House, job: UUID, file: str = "file", user: str = "operator") -> httpx.Response:
    path = f"/exports/points-jobs/{shown_id('points_job', job)}/{file}"
    return house.client.get(path, headers={"authorization": f"Bearer {user}"})


def taken(house: House, world: PointsWorld, job: UUID) -> list[Any]:
    """The downloads of the job's files that were written down."""
    caught_up(world)
    found = house.data("auditor", DOWNLOADS, f={"subject": {"eq": "points_jobs"}})["downloads"]["nodes"]
    return [each for each in found if json.loads(each["filter"])["id"] == str(job)]


def test_a_points_file_is_downloaded_as_it_was_generated(house: House, world: PointsWorld) -> None:
    """PTS-04: same row count and checksum as recorded, and written down; no card in full."""
    job = world.settled(rows(10), rejected=[3])
    caught_up(world)
    query = "query ($id: ID!) { pointsJob(id: $id) { lines sha256 bytes accepted rejected answerSha256 } }"
    recorded = house.data("auditor", query, id=shown_id("points_job", job))["pointsJob"]
    for user, file, lines, checksum in (
        ("operator", "file", 10, recorded["sha256"]),
        ("auditor", "acknowledgement", 10, recorded["answerSha256"]),
    ):
        answer = got(house, job, file, user)
        assert answer.status_code == 200, answer.text
        assert hashlib.sha256(answer.content).hexdigest() == checksum == answer.headers["x-checksum-sha256"]
        assert sum(line.startswith(b"D|") for line in answer.content.splitlines()) == lines
        assert answer.headers["cache-control"] == "no-store"
    file = got(house, job)
    assert (str(len(file.content)), seen(file.content).count) == (str(recorded["bytes"]), recorded["lines"])
    assert {card for _, _, card, *_ in seen(file.content).rows} == {
        f"622588********{number:04d}" for number in range(1, 11)
    }
    assert world.name(job) in file.headers["content-disposition"]
    found = taken(house, world, job)
    assert [(each["rows"], each["recordedBy"]) for each in found] == [
        (10, "operator"), (10, "auditor"), (10, "operator"),
    ]  # fmt: skip
    assert json.loads(found[0]["filter"])["sha256"] == recorded["sha256"]


def test_who_may_not_or_sees_it_not_gets_nothing(house: House, world: PointsWorld) -> None:
    """SEC-03, PTS-04: and nothing is written down."""
    job = world.sent(rows(2))
    assert refusal(got(house, job, user="researcher")) == (403, "FORBIDDEN")
    assert refusal(got(house, job, user="integrator")) == (403, "FORBIDDEN")
    assert refusal(got(house, job, user="branch")) == (404, "NOT_FOUND")
    assert refusal(got(house, job, user="nobody")) == (401, "TOKEN_UNTRUSTED")
    assert refusal(got(house, job, "everything")) == (404, "NOT_FOUND")
    assert refusal(got(house, UUID(int=7))) == (404, "NOT_FOUND")
    assert taken(house, world, job) == []


def test_what_is_not_there_yet_is_not_downloaded(house: House, world: PointsWorld) -> None:
    """PTS-04"""
    job = world.opened(rows(2))
    world.step(job)
    assert refusal(got(house, job)) == (409, "NO_FILE")
    world.step(job, 2)
    assert got(house, job).status_code == 200
    assert refusal(got(house, job, "acknowledgement")) == (409, "NO_FILE")
    world.system.answers[world.name(job)] = b"nonsense"
    world.step(job)
    assert got(house, job, "acknowledgement").content == b"nonsense"


def test_a_lost_file_is_made_again_and_one_that_can_not_be_is_told(house: House, world: PointsWorld) -> None:
    """PTS-04"""
    job = world.sent(rows(4))
    before = got(house, job).content
    (world.folder / world.name(job)).unlink()
    assert got(house, job).content == before
    (world.folder / world.name(job)).write_bytes(b"changed")
    assert got(house, job).content == before
    world.results.found[world.job(job).has.cause.run] = rows(4, points=501)
    (world.folder / world.name(job)).unlink()
    assert refusal(got(house, job)) == (422, "FILE_LOST")
    assert len(taken(house, world, job)) == 3


def test_nothing_leaves_of_a_work_order_that_is_to_be_cancelled_not_even_meanwhile(
    house: House, world: PointsWorld, folder: Noticed
) -> None:
    """WO-16: asked for before the download, or while the file was being copied."""
    job = world.opened(rows(2))
    world.step(job, 2)
    order = world.job(job).has.cause.work_order
    assert got(house, job).status_code == 200

    def ask() -> None:
        world.bank.send(LIN, "requestCancellation", {}, cancellations.request, order, "wrong group")

    folder.meanwhile = ask
    assert refusal(got(house, job)) == (409, "NO_FILE")
    assert refusal(got(house, job)) == (409, "NO_FILE")
    assert len(taken(house, world, job)) == 1


# --- On their way ---------------------------------------------------------


def pending(house: House, world: PointsWorld, customer: str, user: str = "auditor") -> tuple[Any, Any]:
    """The pending points of the customer's account (None without one), and those by programme."""
    caught_up(world)
    query = """query ($c: String!) { pointsAccounts(filter: {customer: {eq: $c}}) { nodes { pending } }
        pendingPoints(customer: $c) { programme points jobs } }"""
    found = house.data(user, query, c=customer)
    accounts = found["pointsAccounts"]["nodes"]
    return (accounts[0]["pending"] if accounts else None), found["pendingPoints"]


def test_what_is_on_its_way_stands_beside_the_balance_until_it_is_posted(
    house: House, world: PointsWorld
) -> None:
    """PTS-11: from the reservation on; two lines of two jobs; nothing of what was rejected stays."""
    adjusted(house, "C00000907", 30)
    assert pending(house, world, "C00000907") == ("0", [])
    first = world.opened([("C00000907", "", 500), ("PENDNEW", "", 70), ("C00000907", "", 5)])
    assert pending(house, world, "C00000907") == ("0", [])
    world.step(first)
    assert pending(house, world, "C00000907") == ("505", [{"programme": "CC", "points": "505", "jobs": 1}])
    assert pending(house, world, "PENDNEW") == (None, [{"programme": "CC", "points": "70", "jobs": 1}])
    second = world.sent([("C00000907", "", 100)])
    assert pending(house, world, "C00000907")[1] == [{"programme": "CC", "points": "605", "jobs": 2}]
    assert pending(house, world, "C00000907", "branch") == (None, [])
    world.step(first, 2)
    world.system.answer(world.name(first), rejected=[3])
    world.step(first)
    assert pending(house, world, "C00000907")[0] == "605"
    world.step(first, 3)
    assert pending(house, world, "C00000907") == ("100", [{"programme": "CC", "points": "100", "jobs": 1}])
    query = '{ pointsAccounts(filter: {customer: {eq: "C00000907"}}) { nodes { balance } } }'
    assert house.data("auditor", query)["pointsAccounts"]["nodes"] == [{"balance": "530"}]
    world.system.answer(world.name(second))
    world.step(second, 4)
    assert pending(house, world, "C00000907") == ("0", [])
    assert kept(world, first) == kept(world, second) == 0


def test_what_came_to_nothing_is_not_on_its_way(house: House, world: PointsWorld) -> None:
    """PTS-11"""
    adjusted(house, "C00000909", 1)
    job = world.opened([("C00000909", "", 500)])
    world.system.waiting.add(world.name(job))
    world.step(job, 3)
    assert pending(house, world, "C00000909")[0] == "500"
    caught_up(world)
    given = {"id": shown_id("points_job", job), "reason": "wrong group"}
    house.done("operator", "recallPointsFile", "pointsJob { id }", **given)
    assert pending(house, world, "C00000909")[0] == "500"
    assert world.step(job).status is Status.WITHDRAWN
    assert pending(house, world, "C00000909") == ("0", [])
    world.step(world.opened([("OTHER", "", 5)]))
    assert kept(world, job) == 0


def kept(world: PointsWorld, job: UUID) -> int:
    with world.bank.log.log_recorder.pool.connection() as connection:
        row = connection.execute("select count(*) from points.under_way where job_id = %s", [job]).fetchone()
    assert row is not None
    return int(row[0])


def test_lines_are_kept_once_by_four_workers_at_once_and_again(world: PointsWorld) -> None:
    """PTS-11: the step taken twice."""
    job = world.opened(rows(2_000, start=5_000))
    lines = [(number, f"C{number}", 5) for number in range(1, 2_001)]
    at_once([lambda: world.desk.pending.keep(job, iter(lines))] * 4)
    assert kept(world, job) == 2_000
    world.desk.pending.forget(job)
    world.desk.pending.forget(job)
    assert kept(world, job) == 0


# --- Accounts -------------------------------------------------------------


def test_an_account_is_opened_for_customers_of_the_bank_alone(house: House, world: PointsWorld) -> None:
    """PTS-11, PTS-12: a slip of the pen makes no account; a branch reaches its own customers."""
    unknown = [("NO_SUCH_CUSTOMER", "input.customer")]
    before = world.bank.count_events()
    assert house.refused("operator", "adjustPoints", **adjustment("C00000077", 5)) == unknown
    assert house.refused("branch", "adjustPoints", **adjustment("C00000910", 5)) == unknown
    assert house.refused("operator", "adjustPoints", **adjustment("C77", 0)) == [
        ("ZERO_POINTS", "input.points")
    ]
    assert world.bank.count_events() == before
    done = house.done("branch", "adjustPoints", "pointsAccount { balance }", **adjustment("C00000908", 5))
    assert done == {"balance": "5"}
    assert adjusted(house, "C00000908", 5)["balance"] == "10"


def test_the_difference_of_an_account_is_what_was_posted_between(house: House) -> None:
    """PTS-12"""
    for points in (10, 20, -5):
        account = adjusted(house, "C00000907", points, programme="DIFF")
    query = (
        "query ($id: ID!, $s: Int!, $u: Int!) { diff(id: $id, since: $s, until: $u) { field before after } }"
    )

    def diff(since: int, until: int, user: str = "auditor") -> Any:
        found = house.data(user, query, id=account["id"], s=since, u=until)["diff"]
        return found and {each["field"]: (each["before"], each["after"]) for each in found}

    found = diff(1, 3)
    assert found["balance"] == ("10", "25")
    assert [entry["points"] for entry in found["entries"][1]] == ["20", "-5"]
    assert {entry["id"] for entry in found["entries"][1]} < {
        node["id"] for node in account["entries"]["nodes"]
    }
    assert diff(3, 3) == []
    assert diff(0, 3, "branch") is None
    given = {"id": account["id"], "reason": "left"}
    house.done("operator", "closePointsAccount", "pointsAccount { status }", **given)
    assert diff(3, 4) == {"status": ("OPEN", "CLOSED")}


def test_the_differences_of_a_budget_are_not_told_to_who_may_not_see_budgets(
    house: House, world: PointsWorld
) -> None:
    """SEC-03: neither of a budget nor of a job."""
    job = world.settled(rows(2))
    caught_up(world)
    activity = shown_id("activity", world.job(job).has.cause.activity.id)
    budgets = "query ($id: ID!) { budgets(filter: {activityId: {eq: $id}}) { nodes { id } } }"
    [budget] = house.data("auditor", budgets, id=activity)["budgets"]["nodes"]
    query = "query ($id: ID!) { diff(id: $id, since: 0, until: 9) { field } }"
    for id_ in (budget["id"], shown_id("points_job", job)):
        seen_fields, told = (
            {change["field"] for change in house.data(user, query, id=id_)["diff"]}
            for user in ("auditor", "integrator")
        )
        money = {field for field in seen_fields if field.endswith("Minor") or field == "unitCost"}
        assert money
        assert not told & money


def test_a_customer_whom_no_text_of_the_database_can_name_is_bad_input(house: House) -> None:
    question = "query ($c: String!) { pendingPoints(customer: $c) { points } }"
    assert house.answer("operator", question, c="C\0")["errors"][0]["extensions"]["code"] == "BAD_INPUT"
