"""Figures of an activity through the API: counted by the real worker, over a real warehouse, with lists."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from application.access import Principal
from infrastructure import actors
from infrastructure.process_runner import Processes
from infrastructure.segment_engine import segment_engine
from infrastructure.settings import Settings
from infrastructure.task_worker import PROCESSES, open_broker, working
from infrastructure.warehouse import Warehouse
from tests.api import campaigns, orders, segments
from tests.api import house as houses
from tests.api.house import UNITS, House, running_house

TARGET, OVERDUE, ELSEWHERE, QUALIFIED = 1_000, 60, 40, 120
OTHERS = 300
WAIT_S = 60

FIGURES = """figures { id status target applicable qualified excluded { exclusion count } countedNumber
    countedAt snapshot businessDate planRevision failure
    countedGroups { customerGroupId customerGroupRevision dataFrom dataTo }
    countedRuns { runId workOrderId } counts { nodes { number target applicable qualified targetHash } } }"""
LIST = """query ($id: ID!, $figure: ActivityFigure!, $first: Int!, $after: Cursor, $count: Int) {
    activityCustomers(id: $id, figure: $figure, first: $first, after: $after, count: $count) {
        count totalCount nodes { customer customerMasked excludedFor } edges { cursor node { customer } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } userErrors { code path } } }"""


def customer(number: int) -> str:
    """A row of customers.csv: the first thousand are gold, and of these 60 overdue and 40 of Shanghai."""
    is_gold, is_overdue = number <= TARGET, number <= OVERDUE
    unit = "SH" if OVERDUE < number <= OVERDUE + ELSEWHERE else "HO"
    city = "Q" if TARGET - QUALIFIED < number <= TARGET else "P"
    return (
        f"C{number:08d},{unit},{city},{'GOLD' if is_gold else 'NORMAL'},{str(is_overdue).lower()},2020-05-01"
    )


@pytest.fixture(scope="module")
def url(make_database: Callable[..., str], migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def settings(url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    own = home / "own"
    own.mkdir()
    rows = "\n".join(customer(number) for number in range(1, TARGET + OTHERS + 1))
    (own / "customers.csv").write_text(f"customer_id,org_unit,city,level,is_overdue,opened_on\n{rows}\n")
    (own / "transactions.csv").write_text("customer_id,booked_on,amount\nC00000001,2026-02-27,10.00\n")
    Warehouse(home / "warehouse", tuple(sorted(UNITS))).load_csv(own)
    units = ",".join(f"{unit}:{unit}" for unit in sorted(UNITS))
    return Settings.read({"DATABASE_URL": url, "CARDINAL_ORG_UNITS": units, "CARDINAL_HOME": str(home)})


@contextmanager
def at_work(settings: Settings, url: str) -> Iterator[None]:
    """The worker, and the processes that tell it what is owed."""
    stop = threading.Event()
    with working(settings, url), closing(open_broker(settings, url)) as broker:
        actors.declare_names(broker)
        thread = threading.Thread(target=Processes(url, broker, PROCESSES).run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.fixture(scope="module")
def house(url: str, settings: Settings) -> Iterator[House]:
    """`operator-scoped` reads the customers of Shanghai alone."""
    before = houses.verify

    def verify(token: str | None) -> Principal:
        principal = before(token)
        scoped = frozenset({"SH"}) if principal.user == "operator-scoped" else principal.data_units
        return replace(principal, data_units=scoped)

    houses.verify = verify
    try:
        with running_house(url, engine=segment_engine(settings)) as running, at_work(settings, url):
            segments.granted(running, columns=["customer_id", "city", "level", "org_unit"])
            yield running
    finally:
        houses.verify = before


def group(house: House, level: str) -> Any:
    rule = {"condition": {"dimension": "LEVEL", "comparison": "EQUAL", "values": [level]}}
    given = {"code": campaigns.code("CG"), "purpose": "TARGET", "name": level, "rule": rule}
    return house.done("operator", "defineCustomerGroup", orders.GROUP, **given)


def linked(group: Any, **given: Any) -> dict[str, Any]:
    return {
        "customerGroupId": group["id"],
        "role": "TARGET",
        "frequency": {"kind": "ONCE"},
        "timeframe": {"kind": "ROLLING", "days": 30},
        **given,
    }


def approved(house: House, *groups: Any, **given: Any) -> Any:
    """An activity for the groups' customers, but the overdue ones and those of other units."""
    coupon = campaigns.reward_type(house, unit="piece", route="COUPON")["id"]
    return campaigns.approved(
        house,
        rewards=[{"rewardTypeId": coupon, "value": "1"}],
        groups=[linked(each) for each in groups],
        **{"exclusions": ["OVERDUE", "OTHER_UNIT"], **given},
    )


def figures(house: House, activity: Any, user: str = "auditor") -> Any:
    document = f"query ($id: ID!) {{ activity(id: $id) {{ exclusions {FIGURES} }} }}"
    return house.data(user, document, id=activity["id"])["activity"]["figures"]


def counted(house: House, activity: Any, number: int = 1) -> Any:
    """The figures, once they are those of that count or of a later one."""
    deadline_s = time.monotonic() + WAIT_S
    while not ((found := figures(house, activity)) and (found["countedNumber"] or 0) >= number):
        assert time.monotonic() < deadline_s, found
        time.sleep(0.05)
    return found


def launched(house: House, *groups: Any, **given: Any) -> Any:
    activity = approved(house, *groups, **given)
    house.done("operator", "launchActivity", campaigns.ACTIVITY, id=activity["id"])
    return activity


def qualifying(house: House, activity: Any, group: Any) -> str:
    """A work order whose run finds those of the city Q; it starts by itself."""
    due = datetime.now(UTC).isoformat()
    order = orders.submitted(house, activityId=activity["id"], customerGroupId=group["id"], executionAt=due)
    orders.decided(house, order["approval"])
    definition = segments.drafted(
        house,
        kind="ACTIVITY",
        workOrderId=order["id"],
        sql="select customer_id from customers where city = 'Q'",
        outputs=[{"name": "customer_id", "isPersonal": False}],
        mapping=[{"target": "CUSTOMER", "source": "customer_id"}],
    )
    definition = segments.approved(house, definition)
    house.done(
        "technologist", "scheduleWorkOrder", orders.ORDER, id=order["id"], definitionId=definition["id"]
    )
    return str(order["id"])


def listed(house: House, user: str, activity: Any, figure: str, first: int = 100, **given: Any) -> list[Any]:
    """The whole list, page by page."""
    found, after = [], None
    while True:
        asked = {"id": activity["id"], "figure": figure, "first": first, **given}
        page = house.data(user, LIST, **asked, after=after)["activityCustomers"]
        assert page["userErrors"] == []
        assert page["pageInfo"]["hasPreviousPage"] is bool(found)
        assert [edge["node"]["customer"] for edge in page["edges"]] == [
            each["customer"] for each in page["nodes"]
        ]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(found)
            return found
        assert len(page["nodes"]) == first
        after = page["pageInfo"]["endCursor"]
        assert [page["edges"][end]["cursor"] for end in (0, -1)] == [page["pageInfo"]["startCursor"], after]


@pytest.fixture(scope="module")
def gold(house: House) -> Any:
    return group(house, "GOLD")


@pytest.fixture(scope="module")
def activity(house: House, gold: Any) -> Any:
    """Launched, and its work order executed: counted at the launch and after the run."""
    made = launched(house, gold)
    counted(house, made)
    qualifying(house, made, gold)
    counted(house, made, 2)
    return made


def test_the_figures_are_counted_at_the_launch_and_after_each_run(
    house: House, activity: Any, gold: Any
) -> None:
    """ACT-13: group 1,000, eligible after exclusions 900, qualified 120, with what they were counted from."""
    found = figures(house, activity)
    assert (found["target"], found["applicable"], found["qualified"]) == (1_000, 900, 120)
    assert found["excluded"] == [
        {"exclusion": "OTHER_UNIT", "count": ELSEWHERE},
        {"exclusion": "OVERDUE", "count": OVERDUE},
    ]
    assert (found["status"], found["planRevision"], found["failure"]) == ("COUNTED", 1, None)
    assert found["snapshot"].startswith("20260228-")
    assert found["countedAt"]
    [counted_group] = found["countedGroups"]
    assert (counted_group["customerGroupId"], counted_group["customerGroupRevision"]) == (gold["id"], 1)
    assert counted_group["dataTo"] == found["businessDate"]
    [run] = found["countedRuns"]
    document = "query ($id: ID!) { segmentRun(id: $id) { status rowCount workOrderId } }"
    told = house.data("auditor", document, id=run["runId"])["segmentRun"]
    assert told == {"status": "SUCCEEDED", "rowCount": "120", "workOrderId": run["workOrderId"]}
    first, second = found["counts"]["nodes"]
    assert (first["target"], first["qualified"], second["qualified"]) == (1_000, None, 120)
    assert first["targetHash"] == second["targetHash"]


def test_each_figure_has_its_list(house: House, activity: Any) -> None:
    """ACT-13: page by page, by id, as many as the figure says; the target tells why somebody is left out."""
    target = listed(house, "operator", activity, "TARGET")
    assert [each["customer"] for each in target] == [f"C{number:08d}" for number in range(1, TARGET + 1)]
    reasons = [each["excludedFor"] for each in target]
    assert reasons == ["OVERDUE"] * OVERDUE + ["OTHER_UNIT"] * ELSEWHERE + [None] * 900
    applicable = [each["customer"] for each in listed(house, "operator", activity, "APPLICABLE")]
    assert applicable == [f"C{number:08d}" for number in range(101, TARGET + 1)]
    qualified = [each["customer"] for each in listed(house, "operator", activity, "QUALIFIED", first=7)]
    assert qualified == [f"C{number:08d}" for number in range(881, TARGET + 1)]


def test_who_may_not_read_customers_is_told_why_he_sees_none_and_learns_none_from_a_cursor(
    house: House, activity: Any
) -> None:
    """ACT-13, SEC-05, api.md 11: also who may read customers of other units alone."""
    asked = {"id": activity["id"], "figure": "QUALIFIED", "first": 2, "after": None}
    masked = dict.fromkeys(("customer", "excludedFor"))
    for user, reason in (("auditor", "NO_PERMISSION"), ("operator-scoped", "OTHER_UNITS")):
        page = house.data(user, LIST, **asked)["activityCustomers"]
        assert page["nodes"] == [{**masked, "customerMasked": reason}] * 2
        assert page["totalCount"] == QUALIFIED
        cursor = base64.urlsafe_b64decode(page["pageInfo"]["endCursor"])
        assert cursor == b"2:2"
    clear = house.data("operator", LIST, **asked)["activityCustomers"]["nodes"]
    assert [(each["customer"], each["customerMasked"]) for each in clear] == [
        ("C00000881", None), ("C00000882", None),
    ]  # fmt: skip


def test_each_page_of_ids_in_clear_is_recorded(house: House, activity: Any) -> None:
    """ACT-13, SEC-10: who read which list, how many of it, from where."""
    document = """query { downloads(filter: {subject: {eq: "activity_customers"}, rows: {eq: 3}}, last: 1) {
        totalCount nodes { recordedBy rows address filter } } }"""
    asked = {"id": activity["id"], "figure": "APPLICABLE", "first": 3, "after": None}
    before = house.data("auditor", document)["downloads"]["totalCount"]
    house.data("auditor", LIST, **asked)
    house.data("operator", LIST, **asked)
    deadline_s = time.monotonic() + WAIT_S
    while (found := house.data("auditor", document)["downloads"])["totalCount"] <= before:
        assert time.monotonic() < deadline_s
    assert found["totalCount"] == before + 1
    [record] = found["nodes"]
    assert (record["recordedBy"], record["rows"], record["address"]) == ("operator", 3, "127.0.0.1")
    assert activity["id"] in record["filter"]


def test_a_list_of_an_earlier_count_stays(house: House, activity: Any) -> None:
    """ACT-13"""
    assert len(listed(house, "operator", activity, "TARGET", count=1)) == TARGET
    asked = {"id": activity["id"], "figure": "QUALIFIED", "first": 3, "after": None, "count": 1}
    page = house.data("operator", LIST, **asked)["activityCustomers"]
    assert page["userErrors"] == [{"code": "NOT_COUNTED", "path": ["input", "figure"]}]


def test_two_groups_count_each_customer_once(house: House, gold: Any) -> None:
    """ACT-13: and a count is repeated when somebody asks for it."""
    everybody = group(house, "GOLD")
    made = launched(house, gold, everybody, group(house, "NORMAL"), exclusions=[])
    found = counted(house, made)
    assert (found["target"], found["applicable"], found["qualified"]) == (1_300, 1_300, None)
    assert house.refused("researcher", "countActivity", id=made["id"], expectedVersion=99) == [
        ("VERSION_CONFLICT", "input.expectedVersion")
    ]
    payload = house.do("researcher", "countActivity", "activityFigures { status number }", id=made["id"])
    assert payload["userErrors"] == []
    assert counted(house, made, 2)["target"] == 1_300


def test_an_activity_without_target_groups_has_nothing_to_count(house: House) -> None:
    """ACT-13"""
    made = launched(house)
    assert figures(house, made) is None
    assert house.refused("operator", "countActivity", id=made["id"]) == [("NOTHING_TO_COUNT", "input")]


def test_a_branch_learns_nothing_of_head_office_s_customers(house: House, activity: Any) -> None:
    """SEC-03"""
    asked = {"id": activity["id"], "figure": "TARGET", "first": 3, "after": None}
    page = house.data("branch", LIST, **asked)["activityCustomers"]
    assert [fault["code"] for fault in page["userErrors"]] == ["NOT_FOUND"]
    assert page["nodes"] == []
    document = "query ($id: ID!) { activityFigures(id: $id) { target } }"
    id_ = figures(house, activity)["id"]
    assert house.data("branch", document, id=id_)["activityFigures"] is None


@pytest.mark.parametrize(
    ("after", "code"), [("!", "BAD_CURSOR"), ("MQ==", "BAD_CURSOR"), ("LTE6LTE=", "BAD_CURSOR")]
)
def test_a_cursor_of_somewhere_else_is_refused(house: House, activity: Any, after: str, code: str) -> None:
    answer = house.answer("operator", LIST, id=activity["id"], figure="TARGET", first=3, after=after)
    assert answer["errors"][0]["extensions"]["code"] == code


@pytest.mark.parametrize("first", [-1, 101])
def test_a_page_has_a_limit(house: House, activity: Any, first: int) -> None:
    answer = house.answer("operator", LIST, id=activity["id"], figure="TARGET", first=first)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_PAGE_SIZE"
    many = LIST.replace("$first: Int!, ", "").replace("first: $first", "first: 1000000")
    answer = house.answer("operator", many, id=activity["id"], figure="TARGET")
    assert answer["errors"][0]["extensions"]["code"] in ("BAD_PAGE_SIZE", "LIMIT_EXCEEDED")


def test_exclusions_are_part_of_the_plan(house: House, gold: Any) -> None:
    """ACT-13: approvers see them, a revision changes them, the same twice is refused."""
    activity = approved(house, gold)
    document = "query ($id: ID!) { activity(id: $id) { exclusions revision } }"
    found = house.data("researcher", document, id=activity["id"])["activity"]
    assert found == {"exclusions": ["OVERDUE", "OTHER_UNIT"], "revision": 1}
    plan = campaigns.plan(campaigns.activity_type(house)["id"], exclusions=["OVERDUE", "OVERDUE"])
    assert ("DUPLICATE", "input.exclusions") in house.refused(
        "operator", "draftActivity", code=campaigns.code("ACT"), **plan
    )
