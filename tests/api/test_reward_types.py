"""Reward types through the API: frames, usage, what they allow, and that they are never removed."""

import pytest

from api.schema import schema
from tests.api.campaigns import activity_type, approved, code, cost_type, plan, reward_type
from tests.api.house import House

DAYS = {
    "name": "days",
    "label": "Days valid",
    "type": "INTEGER",
    "isRequired": True,
    "least": "1",
    "most": "30",
}


def test_a_reward_type_is_read_with_its_frame_fields_and_usage(house: House) -> None:
    """PAR-19, PAR-20, PAR-24"""
    fee = cost_type(house)
    made = reward_type(house, costTypeId=fee["id"], maximum="10.50", capPerCustomer="500", fields=[DAYS])
    line = {"rewardTypeId": made["id"], "value": "2", "fieldValues": [{"name": "days", "value": "7"}]}
    type_ = activity_type(house)
    for _ in range(2):
        given = plan(type_["id"], rewards=[line, {**line, "value": "3"}])
        house.done("operator", "draftActivity", "activity { id }", code=code(), **given)
    query = """query ($f: RewardTypeFilter) { rewardTypes(filter: $f) { nodes { unit minimum maximum
        capPerCustomer capPerActivity route unitCost currency usageCount costType { id } status
        fields { name label type isRequired least most } } } }"""
    chosen = {"name": {"contains": made["name"]}, "status": {"eq": "ENABLED"}}
    [found] = house.data("auditor", query, f=chosen)["rewardTypes"]["nodes"]
    assert found == {
        "unit": "times",
        "minimum": "1",
        "maximum": "10.50",
        "capPerCustomer": "500",
        "capPerActivity": None,
        "route": "POINTS",
        "unitCost": "0.002",
        "currency": "CNY",
        "usageCount": 2,
        "costType": {"id": fee["id"]},
        "status": "ENABLED",
        "fields": [DAYS],
    }


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"unit": ""}, ("REQUIRED", "input.unit")),
        ({"minimum": "11"}, ("MINIMUM_ABOVE_MAXIMUM", "input.minimum")),
        ({"maximum": "ten"}, ("BAD_NUMBER", "input.maximum")),
        ({"costTypeId": "ct_0"}, ("NOT_FOUND", "input.costTypeId")),
        ({"costTypeId": None}, ("REQUIRED", "input.costTypeId")),
        ({"currency": "XXX"}, ("UNKNOWN_CURRENCY", "input.currency")),
    ],
)
def test_an_unsound_frame_is_refused_in_its_place(house: House, given: dict, fault: tuple[str, str]) -> None:
    """PAR-20"""
    frame = {"unit": "times", "minimum": "1", "maximum": "10", "route": "POINTS", "unitCost": "0.002"}
    made = {"code": code(), "name": code(), "costTypeId": cost_type(house)["id"], **frame, **given}
    assert house.refused("operator", "addRewardType", **made) == [fault]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ({"value": "11"}, ("ABOVE_MAXIMUM", "input.rewards.0.value")),
        ({"value": "0.5"}, ("BELOW_MINIMUM", "input.rewards.0.value")),
        ({"value": "2", "capPerCustomer": "501"}, ("ABOVE_CUSTOMER_CAP", "input.rewards.0.capPerCustomer")),
        ({"value": "2", "fieldValues": []}, ("REQUIRED", "input.rewards.0.fieldValues.days")),
        ({"value": "2", "rewardTypeRevision": 2}, ("REFERENCE_CHANGED", "input.rewards.0.rewardTypeId")),
    ],
)
def test_a_detail_outside_the_frame_is_refused_and_names_the_rule(
    house: House, line: dict, fault: tuple[str, str]
) -> None:
    """PAR-23, PAR-24"""
    made = reward_type(house, capPerCustomer="500", fields=[DAYS])
    sound = {"rewardTypeId": made["id"], "fieldValues": [{"name": "days", "value": "7"}]}
    given = plan(activity_type(house)["id"], rewards=[{**sound, **line}])
    assert house.refused("operator", "draftActivity", code=code(), **given) == [fault]


def test_a_change_of_the_range_leaves_what_was_approved(house: House) -> None:
    """PAR-21: 1..10 becomes 1..5."""
    made = reward_type(house)
    eight = [{"rewardTypeId": made["id"], "value": "8"}]
    activity = approved(house, rewards=eight)
    house.done("operator", "reviseRewardType", "rewardType { id }", id=made["id"], maximum="5")
    given = plan(activity_type(house)["id"], rewards=eight)
    assert house.refused("operator", "draftActivity", code=code(), **given) == [
        ("ABOVE_MAXIMUM", "input.rewards.0.value")
    ]
    house.done("operator", "launchActivity", "activity { id }", id=activity["id"])
    query = """query ($id: ID!) { activity(id: $id) { status rewards { value rewardTypeRevision capPerCustomer
        rewardType { maximum } } } }"""
    assert house.data("auditor", query, id=activity["id"])["activity"] == {
        "status": "RUNNING",
        "rewards": [
            {"value": "8", "rewardTypeRevision": 1, "capPerCustomer": None, "rewardType": {"maximum": "5"}}
        ],
    }


def test_a_disabled_reward_type_is_not_chosen_and_there_is_no_way_to_remove_one(house: House) -> None:
    """PAR-22"""
    made = reward_type(house)
    house.done("operator", "disableRewardType", "rewardType { id }", id=made["id"])
    given = plan(activity_type(house)["id"], rewards=[{"rewardTypeId": made["id"], "value": "2"}])
    assert house.refused("operator", "draftActivity", code=code(), **given) == [
        ("REFERENCE_DISABLED", "input.rewards.0.rewardTypeId")
    ]
    assert "removeRewardType" not in schema.as_str()
    assert "removeCostType" in schema.as_str()


def test_a_link_to_a_group_that_does_not_exist_is_refused_with_its_other_faults(house: House) -> None:
    """SEG-06, SEG-07, SEG-08"""
    link = {
        "customerGroupId": "cg_" + "0" * 32,
        "role": "TARGET",
        "frequency": {"kind": "CRON", "cron": "daily"},
        "timeframe": {"kind": "FIXED", "startsOn": "2027-03-02", "endsOn": "2027-03-01"},
    }
    given = plan(activity_type(house)["id"], groups=[link])
    assert house.refused("operator", "draftActivity", code=code(), **given) == [
        ("BAD_CRON", "input.groups.0.frequency.cron"),
        ("END_NOT_AFTER_START", "input.groups.0.timeframe.endsOn"),
        ("NOT_FOUND", "input.groups.0.customerGroupId"),
    ]
