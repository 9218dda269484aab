"""Points through the API: jobs with their steps, entries with why they were made, accounts, corrections."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from infrastructure.database import pool
from infrastructure.event_log import EventLog
from projections.shared.ids import shown_id
from tests.api.house import House, running_house
from tests.application.bank import Bank
from tests.application.points_world import PointsWorld, rows

JOB = """pointsJob(id: $id) { id status fileName lines points amount { amount } consumed { amount }
    accepted rejected posted postedPoints differing workOrderId workOrder { number } activity { code }
    runId definitionId
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


BEHIND = """select exists (select from projection.checkpoints c
    where (epoch, position) < (select max(epoch), max(position) from log.events))"""


def caught_up(world: PointsWorld) -> None:
    """Wait until every read table shows everything."""
    deadline_s = time.monotonic() + 20
    with world.bank.log.log_recorder.pool.connection() as connection:
        while connection.execute(BEHIND).fetchone() == (True,):
            assert time.monotonic() < deadline_s, "the projector stands still"
            time.sleep(0.01)


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
    caught_up(world)
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


ENTRIES = """query ($f: PointsEntryFilter) { pointsEntries(filter: $f) { totalCount nodes {
    id points balance card businessType name origin customer isReversed reversesId accountId debit credit
    why { lineNumber job { id fileName runId definitionId definitionRevision definitionHash approvalIds
          workOrder { number } activity { code approvals { nodes { id } } } } } } } }"""


def entries(house: House, **given: Any) -> list[Any]:
    found = house.data("auditor", ENTRIES, f=given)["pointsEntries"]
    assert found["totalCount"] == len(found["nodes"])
    return found["nodes"]


def adjusted(house: House, customer: str, points: int, **given: Any) -> Any:
    selection = "pointsAccount { id balance earned used expired postings entries { nodes { id points } } }"
    return house.done("operator", "adjustPoints", selection, **adjustment(customer, points, **given))


def test_an_entry_tells_why_it_was_made_down_to_the_approvals(house: House, world: PointsWorld) -> None:
    """PTS-06, PTS-03: to file line, job, run, definition, work order, activity and approvals."""
    run = world.run([("WHY1", "622588********1234", 500), ("WHY2", "", 70)])
    job = world.open(run)
    world.step(job, 3)
    world.system.answer(world.name(job))
    world.step(job, 4)
    caught_up(world)
    [entry] = entries(house, customer={"eq": "WHY1"})
    assert (entry["points"], entry["card"], entry["businessType"]) == (
        "500",
        "622588********1234",
        "CAMPAIGN_REWARD",
    )
    opened, why = world.job(job).has, entry["why"]
    assert why["lineNumber"] == 1
    assert world.system.lines(why["job"]["fileName"])[0].customer == "WHY1"
    assert why["job"]["id"] == shown_id("points_job", job)
    assert why["job"]["runId"] == shown_id("segment_run", run)
    assert why["job"]["definitionId"] == shown_id("segment_definition", opened.cause.definition.id)
    assert (why["job"]["definitionRevision"], why["job"]["definitionHash"]) == (
        1,
        opened.cause.definition_hash,
    )
    activity = why["job"]["activity"]
    assert {node["id"] for node in activity["approvals"]["nodes"]} < set(why["job"]["approvalIds"])
    assert len(why["job"]["approvalIds"]) == 3


def test_one_query_gives_points_of_segmentations_and_general_ones(house: House, world: PointsWorld) -> None:
    """PTS-01: the origin tells them apart, and totals add up."""
    adjusted(house, "BOTH", 30)
    world.settled([("BOTH", "", 500)])
    caught_up(world)
    found = entries(house, customer={"eq": "BOTH"})
    assert [(entry["origin"], entry["points"]) for entry in found] == [
        ("GENERAL", "30"),
        ("SEGMENTATION", "500"),
    ]
    assert sum(int(entry["points"]) for entry in found) == int(found[-1]["balance"]) == 530
    assert found[0]["why"] is None
    assert len(entries(house, customer={"eq": "BOTH"}, origin={"eq": "SEGMENTATION"})) == 1


def test_entries_are_found_by_type_by_name_by_date_and_by_all_together(house: House) -> None:
    """PTS-02"""
    adjusted(house, "FIND", 1, businessType="GOODWILL", name="Apology")
    adjusted(house, "FIND", 2, businessType="GOODWILL", name="Present")
    adjusted(house, "FIND", 3, businessType="CORRECTION", name="Apology")
    mine = {"customer": {"eq": "FIND"}}

    def points(**given: Any) -> list[int]:
        return [int(entry["points"]) for entry in entries(house, **mine, **given)]

    today = {"gte": "2020-01-01T00:00:00Z"}
    assert points(businessType={"eq": "GOODWILL"}) == [1, 2]
    assert points(name={"eq": "Apology"}) == [1, 3]
    assert points(createdAt=today) == [1, 2, 3]
    assert points(createdAt={"lt": "2020-01-01T00:00:00Z"}) == []
    assert points(businessType={"eq": "GOODWILL"}, name={"eq": "Apology"}, createdAt=today) == [1]


def test_an_account_shows_balance_earned_used_and_expired(house: House) -> None:
    """PTS-11: the sum of the entries is the balance."""
    adjusted(house, "ACCT", 500)
    adjusted(house, "ACCT", -120, contra="REDEMPTION")
    account = adjusted(house, "ACCT", -30, contra="EXPIRY")
    assert (account["balance"], account["earned"], account["used"], account["expired"]) == (
        "350", "500", "120", "30",
    )  # fmt: skip
    assert sum(int(entry["points"]) for entry in account["entries"]["nodes"]) == 350


def test_an_entry_is_corrected_by_a_reversal_with_a_link_and_never_edited(house: House) -> None:
    """PTS-12"""
    [entry] = adjusted(house, "BACK", 500)["entries"]["nodes"]
    selection = "pointsAccount { balance earned postings }"
    account = house.done("operator", "reversePointsEntry", selection, id=entry["id"], reason="wrong customer")
    assert account == {"balance": "0", "earned": "0", "postings": 2}
    first, second = entries(house, customer={"eq": "BACK"})
    assert (second["points"], second["reversesId"], first["isReversed"]) == ("-500", entry["id"], True)
    assert (second["debit"], second["credit"]) == ("CUSTOMER", "ISSUANCE")
    again = {"id": entry["id"], "reason": "again"}
    assert house.refused("operator", "reversePointsEntry", **again) == [("ALREADY_REVERSED", "input.id")]
    unknown = {"id": "pe_" + "1" * 32, "reason": "none"}
    assert house.refused("operator", "reversePointsEntry", **unknown) == [("NO_SUCH_ENTRY", "input.id")]
    assert house.refused("operator", "reversePointsEntry", id="nonsense", reason="x") == [
        ("NO_SUCH_ENTRY", "input.id")
    ]
    fields = house.data("auditor", "{ __schema { mutationType { fields { name } } } }")
    names = {field["name"] for field in fields["__schema"]["mutationType"]["fields"]}
    assert {name for name in names if "PointsEntry" in name} == {"reversePointsEntry"}


def test_points_that_are_not_there_are_not_taken(house: House) -> None:
    """PTS-12"""
    assert house.refused("operator", "adjustPoints", **adjustment("POOR", -1)) == [
        ("OVERDRAWN", "input.points")
    ]
    assert house.refused(
        "operator", "adjustPoints", **adjustment("4111111111111111", 0, businessType="x")
    ) == [
        ("BAD_POSTING", "input.businessType"),
        ("BAD_POSTING", "input.customer"),
        ("ZERO_POINTS", "input.points"),
    ]


def test_a_closed_account_takes_no_points(house: House) -> None:
    account = adjusted(house, "GONE", 5)
    closed = house.done(
        "operator", "closePointsAccount", "pointsAccount { status }", id=account["id"], reason="left"
    )
    assert closed == {"status": "CLOSED"}
    assert house.refused("operator", "adjustPoints", **adjustment("GONE", 1)) == [("LEDGER_CLOSED", "input")]


def test_points_by_hand_hold_to_the_version_of_the_account_that_was_seen(house: House) -> None:
    """api.md 4, PTS-12: that of this year, 0 where there is none yet; for the close and a reversal, too."""
    stale = [("VERSION_CONFLICT", "input.expectedVersion")]
    given = adjustment("SEEN", 5)
    assert house.refused("operator", "adjustPoints", **given, expectedVersion=1) == stale
    account = adjusted(house, "SEEN", 5, expectedVersion=0)
    assert house.refused("operator", "adjustPoints", **given, expectedVersion=0) == stale
    entry = {"id": account["entries"]["nodes"][0]["id"], "reason": "wrong"}
    assert house.refused("operator", "reversePointsEntry", **entry, expectedVersion=0) == stale
    seen = house.done(
        "operator", "reversePointsEntry", "pointsAccount { version }", **entry, expectedVersion=1
    )
    closing = {"id": account["id"], "reason": "left"}
    assert house.refused("operator", "closePointsAccount", **closing, expectedVersion=1) == stale
    version = seen["version"]
    closed = house.done(
        "operator", "closePointsAccount", "pointsAccount { status }", **closing, expectedVersion=version
    )
    assert closed == {"status": "CLOSED"}


def test_points_are_posted_by_hand_with_a_key_and_then_once(house: House) -> None:
    """api.md 5: a request whose answer was lost gives nobody points twice."""
    document = "mutation ($i: AdjustPointsInput!) { adjustPoints(input: $i) { position } }"
    given = adjustment(f"C{uuid4().hex[:8].upper()}", 7)
    refused = house.answer("operator", document, i=given)
    assert refused["errors"][0]["extensions"]["code"] == "KEY_REQUIRED"
    key, selection = uuid4().hex, "pointsAccount { balance postings }"
    answers = [house.do("operator", "adjustPoints", selection, key=key, **given) for _ in range(2)]
    assert answers[0]["pointsAccount"] == answers[1]["pointsAccount"] == {"balance": "7", "postings": 1}


@pytest.mark.parametrize("user", ["auditor", "researcher", "integrator"])
def test_who_may_not_adjust_points_may_not(house: House, user: str) -> None:
    """SEC-03"""
    document = "mutation ($i: AdjustPointsInput!) { adjustPoints(input: $i) { position } }"
    answer = house.answer(user, document, i=adjustment("NO", 1))
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_another_units_points_are_not_seen(house: House) -> None:
    """SEC-03"""
    account = adjusted(house, "HEAD", 5)
    query = """query ($id: ID!) { node(id: $id) { id } pointsAccount(id: $id) { id }
        pointsEntries(filter: {customer: {eq: "HEAD"}}) { totalCount } }"""
    assert house.data("branch", query, id=account["id"]) == {
        "node": None,
        "pointsAccount": None,
        "pointsEntries": {"totalCount": 0},
    }


def test_another_units_account_is_neither_probed_nor_charged_nor_closed(house: House) -> None:
    """SEC-03: an account's id follows from its customer, so who can't see it could name it all the same."""
    account = adjusted(house, "OTHERS", 5)
    for points in (1, -1, -1_000):
        assert house.refused("branch", "adjustPoints", **adjustment("OTHERS", points)) == [
            ("NOT_FOUND", "input.customer")
        ]
    given = {"id": account["id"], "reason": "left"}
    assert house.refused("branch", "closePointsAccount", **given) == [("NOT_FOUND", "input.id")]
    assert adjusted(house, "OTHERS", 2)["balance"] == "7"
    own = house.done("branch", "adjustPoints", "pointsAccount { id balance }", **adjustment("SHANGHAI", 5))
    assert own["balance"] == "5"
    closed = {"id": own["id"], "reason": "left"}
    assert house.done("branch", "closePointsAccount", "pointsAccount { status }", **closed) == {
        "status": "CLOSED"
    }


def test_what_the_customers_have_stands_against_the_contra_accounts(house: House) -> None:
    """PTS-12: double entry: all accounts of a programme together are zero."""
    adjusted(house, "EVEN", 100, programme="VIP")
    adjusted(house, "EVEN", -40, programme="VIP", contra="REDEMPTION")
    adjusted(house, "ODD", 7, programme="VIP")
    query = """{ pointsContraAccounts(filter: {programme: {eq: "VIP"}}) { nodes { account balance } }
        pointsAccounts(filter: {programme: {eq: "VIP"}}) { nodes { balance } } }"""
    found = house.data("auditor", query)
    contra = {node["account"]: int(node["balance"]) for node in found["pointsContraAccounts"]["nodes"]}
    assert contra == {"ISSUANCE": -107, "REDEMPTION": 40}
    assert sum(int(node["balance"]) for node in found["pointsAccounts"]["nodes"]) + sum(contra.values()) == 0


def test_the_budget_of_an_activity_shows_its_four_amounts_and_every_movement(
    house: House, world: PointsWorld
) -> None:
    """BUD-02, BUD-06: replayed from events, the same balance."""
    activity = world.activity("100")
    world.settled([("B1", "", 6_000)], activity)
    world.step(world.opened([("B2", "", 2_500)], activity))
    caught_up(world)
    query = """query ($id: ID!) { budgets(filter: {activityId: {eq: $id}}) { nodes { status thresholdPercent
        total { amount } free { amount } reserved { amount } consumed { amount } reservations
        movements { nodes { kind amount { amount } pointsJob { status } } } } } }"""
    id_ = shown_id("activity", activity)
    [budget] = house.data("auditor", query, id=id_)["budgets"]["nodes"]
    amounts = [budget[name]["amount"] for name in ("total", "free", "reserved", "consumed")]
    assert amounts == ["100.00", "15.00", "25.00", "60.00"]
    assert (budget["status"], budget["reservations"], budget["thresholdPercent"]) == ("OPEN", 1, 80)
    moved = [(node["kind"], node["amount"]["amount"]) for node in budget["movements"]["nodes"]]
    assert moved == [
        ("ENCUMBERED", "100.00"),
        ("RESERVED", "60.00"),
        ("CONSUMED", "60.00"),
        ("RESERVED", "25.00"),
    ]
    state = world.budget(activity)
    assert (state.amounts.free, state.amounts.reserved, state.amounts.consumed) == (15_00, 25_00, 60_00)
    [masked] = house.data("integrator", query, id=id_)["budgets"]["nodes"]
    assert (masked["total"], masked["thresholdPercent"], masked["movements"]["nodes"][0]["amount"]) == (
        None,
        None,
        None,
    )


def test_a_job_is_opened_withdrawn_and_refused_through_the_api(house: House, world: PointsWorld) -> None:
    """PTS-07"""
    run = shown_id("segment_run", world.run([("J1", "", 5)]))
    terms = {"programme": "CC", "businessType": "REWARD", "unitCost": "0.01"}
    job = house.done("operator", "openPointsJob", "pointsJob { id status }", runId=run, **terms)
    assert job["status"] == "OPENED"
    assert house.done("operator", "openPointsJob", "pointsJob { id }", runId=run, **terms)["id"] == job["id"]
    assert house.refused("operator", "openPointsJob", runId="sr_" + "1" * 32, **terms) == [
        ("NOT_FOUND", "input.id")
    ]
    assert house.refused("operator", "retryPointsJob", id=job["id"]) == [("JOB_NOT_FAILED", "input")]
    given = {"id": job["id"], "reason": "wrong group"}
    assert house.refused("operator", "acceptPointsJobDifferences", **given) == [
        ("NOTHING_TO_ACCEPT", "input")
    ]
    withdrawn = house.done("operator", "withdrawPointsJob", "pointsJob { status reason }", **given)
    assert withdrawn == {"status": "WITHDRAWN", "reason": "wrong group"}


def test_integrators_hear_of_jobs_and_postings(house: House, world: PointsWorld) -> None:
    """SEC-03: of a posting not whose, and of a job not what it cost."""
    world.settled([("HEAR", "", 500)])
    query = """query ($types: [String!]) { events(first: 500, select: {types: $types}) {
        events { type data subjectId } } }"""
    heard = house.data("integrator", query, types=["points_ledger.posted", "points_job.settled"])["events"]
    posted = [event for event in heard["events"] if event["type"] == "points_ledger.posted"]
    assert {event["data"][name] for event in posted for name in ("customer", "card")} == {None}
    read = house.data("operator", query, types=["points_ledger.posted"])["events"]["events"]
    [mine] = [event for event in read if event["data"]["customer"] == "HEAR"]
    assert mine["data"]["points"] == 500
    assert [e["data"]["points"] for e in posted if e["subjectId"] == mine["subjectId"]] == [500]
    settled = [event for event in heard["events"] if event["type"] == "points_job.settled"]
    assert settled
    assert {event["data"]["consumed"] for event in settled} == {None}
    seen = house.data("auditor", query, types=["points_job.settled"])["events"]["events"]
    assert seen[-1]["data"]["consumed"] == {"amount": "5.00", "currency": "CNY"}


def test_what_a_budget_lacked_is_not_told_to_who_may_not_see_budgets(
    house: House, world: PointsWorld
) -> None:
    """SEC-03: neither by the failed job nor by events."""
    activity = world.activity("10")
    world.step(world.opened([("T1", "", 900)], activity))
    job = world.opened([("T2", "", 500)], activity)
    world.step(job)
    caught_up(world)
    query = """query ($id: ID!, $types: [String!]) {
        pointsJob(id: $id) { failure unitCost faults { name value } } rewardTypes { nodes { unitCost } }
        events(first: 500, select: {types: $types}) { events { type data } } }"""
    asked = {"id": shown_id("points_job", job), "types": ["points_job.failed", "budget.threshold_reached"]}
    seen = house.data("auditor", query, **asked)
    assert {fault["name"]: fault["value"] for fault in seen["pointsJob"]["faults"]} == {
        "free": "100", "needed": "500",
    }  # fmt: skip
    assert {"free": "100", "needed": "500"} in [e["data"].get("values") for e in seen["events"]["events"]]
    assert seen["pointsJob"]["unitCost"] == "0.01"
    assert "0.002" in [node["unitCost"] for node in seen["rewardTypes"]["nodes"]]
    hidden = house.data("integrator", query, **asked)
    failed = {"failure": seen["pointsJob"]["failure"], "unitCost": None, "faults": None}
    assert hidden["pointsJob"] == failed
    assert {node["unitCost"] for node in hidden["rewardTypes"]["nodes"]} == {None}
    assert len(hidden["events"]["events"]) >= 2
    for event in hidden["events"]["events"]:
        assert event["data"].get("values") is None
        assert event["data"].get("percent") is None
