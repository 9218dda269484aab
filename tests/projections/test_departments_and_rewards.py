"""Rows of departments, reward types and downloads, and what activities' rows have of them."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from domain.activities import ActivityRevised
from domain.activity_plans import Goal, GroupLink, GroupRole
from domain.catalogues import Details, EntryAdded, EntryDisabled, EntryMoved, EntryRemoved, EntryRevised
from domain.downloads import DownloadRecorded
from domain.reward_details import Reward
from domain.shared.references import Reference
from domain.timeframes import Frequency, FrequencyKind, Timeframe, TimeframeKind
from projections.departments import DEPARTMENTS
from projections.downloads import DOWNLOADS, DownloadRow
from projections.reward_types import REWARD_TYPES, RewardTypeRow
from projections.timeline import TimelineRow
from tests.projections.folding import MORNING, History, entries, id_of, row_of
from tests.projections.test_activities import DRAFTED, PLAN, activity, row

FRAME = {
    "unit": "times", "minimum": "1", "maximum": "10.5", "cap_per_customer": "", "route": "cash_back",
    "cost_type": str(id_of("points")), "unit_cost": "0.002", "currency": "CNY",
}  # fmt: skip
OWNED = replace(
    PLAN,
    department=Reference(id_of("marketing"), 2),
    co_departments=(Reference(id_of("risk"), 1),),
    responsible="wu",
    goal=Goal.USE,
    rewards=(
        Reward(Reference(id_of("times"), 6), "8.5", "300", None, "Fridays", {"b": "2", "a": "1"}),
        Reward(Reference(id_of("times"), 6), "2"),
    ),
    groups=(
        GroupLink(
            Reference(id_of("diners"), 3),
            GroupRole.TARGET,
            Frequency(FrequencyKind.CRON, "0 6 * * 1"),
            Timeframe(TimeframeKind.FIXED, date(2026, 3, 1), date(2026, 3, 31)),
        ),
        GroupLink(
            Reference(id_of("diners"), 3),
            GroupRole.REWARDED,
            Frequency(FrequencyKind.ONCE),
            Timeframe(TimeframeKind.ROLLING, days=30),
        ),
    ),
)


def last_changes(history: History) -> dict[str, tuple[Any, Any]]:
    told: TimelineRow = entries(history.records)[-1]
    return {change["field"]: (change["before"], change["after"]) for change in told.changes}


def department(*events: Any) -> History:
    return History().happens("department", "entry", *events)


def reward_type(*events: Any) -> History:
    return History().happens("reward_type", "entry", *events)


def test_a_department_has_contact_and_role_and_moves() -> None:
    """PAR-09, PAR-11"""
    details = Details("Retention", attributes={"role": "business"})
    added = EntryAdded("RET", details, None)
    found = row_of(DEPARTMENTS, department(added), "entry")
    assert (found.role, found.contact, found.parent_id, found.status) == ("business", "", None, "enabled")
    revised = EntryRevised(2, replace(details, attributes={"role": "research", "contact": "Li"}))
    history = department(added, revised, EntryMoved(3, id_of("centre")), EntryDisabled())
    found = row_of(DEPARTMENTS, history, "entry")
    assert (found.role, found.contact, found.parent_id) == ("research", "Li", id_of("centre"))
    assert (found.status, found.revision, found.version) == ("disabled", 3, 4)
    assert row_of(DEPARTMENTS, department(added, EntryRemoved()), "entry") is None


def test_a_move_of_a_department_is_told_with_ids_of_departments() -> None:
    """PAR-25: the parent of a department is a department."""
    history = department(
        EntryAdded("RET", Details("R", attributes={"role": "business"}), None), EntryMoved(2, id_of("centre"))
    )
    assert last_changes(history)["parentId"] == (None, f"dp_{id_of('centre').hex}")


def test_a_reward_type_has_its_frame_in_columns() -> None:
    """PAR-19, PAR-20"""
    at = MORNING + timedelta(minutes=1)
    history = reward_type(EntryAdded("TIMES", Details("Points", attributes=FRAME), None))
    assert row_of(REWARD_TYPES, history, "entry") == RewardTypeRow(
        id=id_of("entry"),
        version=1,
        revision=1,
        code="TIMES",
        name="Points",
        description="",
        sort_order=0,
        status="enabled",
        unit="times",
        minimum=Decimal(1),
        maximum=Decimal("10.5"),
        cap_per_customer=None,
        cap_per_activity=None,
        route="cash_back",
        cost_type_id=id_of("points"),
        unit_cost=Decimal("0.002"),
        currency="CNY",
        fields=[],
        created_at=at,
        created_by="lin",
        changed_at=at,
        changed_by="lin",
    )
    narrowed = Details("Points", attributes={**FRAME, "maximum": "5", "cap_per_customer": "100"})
    reward = reward_type(
        EntryAdded("TIMES", Details("Points", attributes=FRAME), None), EntryRevised(2, narrowed)
    )
    assert last_changes(reward) == {
        "maximum": ("10.5", "5"),
        "capPerCustomer": (None, "100"),
        "revision": (1, 2),
    }


def test_an_activity_has_owner_rewards_and_groups_in_columns() -> None:
    """PAR-14, ACT-04"""
    history = activity(ActivityRevised(2, OWNED, "wu"), history=activity(DRAFTED))
    found = row(history)
    assert (found.department_id, found.department_revision) == (id_of("marketing"), 2)
    assert (found.co_department_ids, found.responsible, found.goal) == ((id_of("risk"),), "wu", "use")
    assert found.rewards == [
        {
            "reward_type_id": str(id_of("times")),
            "reward_type_revision": 6,
            "value": "8.5",
            "cap_per_customer": "300",
            "cap_total": None,
            "remark": "Fridays",
            "field_values": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}],
        },
        {
            "reward_type_id": str(id_of("times")),
            "reward_type_revision": 6,
            "value": "2",
            "cap_per_customer": None,
            "cap_total": None,
            "remark": "",
            "field_values": [],
        },
    ]
    assert (found.reward_type_ids, found.customer_group_ids) == ((id_of("times"),), (id_of("diners"),))
    assert [link["timeframe"] for link in found.groups] == [
        {"kind": "fixed", "starts_on": "2026-03-01", "ends_on": "2026-03-31", "days": None},
        {"kind": "rolling", "starts_on": None, "ends_on": None, "days": 30},
    ]
    told = last_changes(history)
    assert told["departmentId"] == (None, f"dp_{id_of('marketing').hex}")
    assert told["goal"] == (None, "USE")
    assert told["coDepartmentIds"][1] == [f"dp_{id_of('risk').hex}"]
    assert told["rewards"][1][0]["rewardTypeId"] == f"rt_{id_of('times').hex}"
    assert told["groups"][1][0]["customerGroupId"] == f"cg_{id_of('diners').hex}"
    frequency = {"kind": "CRON", "cron": "0 6 * * 1", "at": None, "calendarId": None}
    assert told["groups"][1][0]["frequency"] == frequency


def test_a_plan_of_before_has_no_owner_and_no_rewards() -> None:
    found = row(activity(DRAFTED))
    assert (found.department_id, found.responsible, found.goal) == (None, "", None)
    assert (found.rewards, found.groups, found.reward_type_ids) == ([], [], ())


def test_a_download_is_listed_and_told() -> None:
    """ACT-05"""
    history = History().happens(
        "download", "file", DownloadRecorded("activities", "{}", 37, "203.0.113.9", "SH", "hu"), by="hu"
    )
    assert row_of(DOWNLOADS, history, "file") == DownloadRow(
        id=id_of("file"),
        version=1,
        org_unit="SH",
        subject="activities",
        filter="{}",
        rows=37,
        address="203.0.113.9",
        recorded_at=MORNING + timedelta(minutes=1),
        recorded_by="hu",
    )
    assert (entries(history.records)[-1].org_unit, entries(history.records)[-1].actor) == ("SH", "hu")
