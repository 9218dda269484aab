"""Reward details: a reward type's frame is sound, and every detail stays within it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reward_details import (
    REMARK_CHARACTERS_MAX,
    Reward,
    RewardEntry,
    RewardFrame,
    RewardRefusal,
    Route,
    frame_faults,
    frame_of,
    kept_reward,
    reward_faults,
)
from domain.shared.field_rules import FieldRefusal
from domain.shared.refusal import CommonRefusal, Fault, refuse_any
from tests.domain.examples import CARD_NUMBER, DAY_OF_WEEK, FRAME, TIMES_POINTS
from tests.given import PROPERTY, ExpectedFault, refused

ATTRIBUTES = {
    "unit": "times",
    "minimum": "1",
    "maximum": "10.00",
    "cap_per_customer": "5000",
    "cap_per_activity": "1000000",
    "route": "points",
    "cost_type": "0195505a-0000-7000-8000-000000000001",
    "unit_cost": "0.002",
    "currency": "CNY",
}
ENTRY = RewardEntry("8")


def judged(entry: RewardEntry, frame: RewardFrame = FRAME) -> list[Fault]:
    return list(reward_faults(frame, (DAY_OF_WEEK,), entry, "rewards", 0))


def test_a_frame_is_read_from_the_attributes_of_its_type() -> None:
    """PAR-20"""
    assert list(frame_faults(ATTRIBUTES)) == []
    assert frame_of(ATTRIBUTES) == FRAME
    without = {name: text for name, text in ATTRIBUTES.items() if not name.startswith("cap")}
    assert list(frame_faults(without)) == []
    assert (frame_of(without).cap_per_customer, frame_of(without).cap_per_activity) == (None, None)
    assert frame_of({**ATTRIBUTES, "cap_per_customer": " "}).cap_per_customer is None


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"minimum": "10.01"}, (RewardRefusal.MINIMUM_ABOVE_MAXIMUM, "minimum")),
        ({"minimum": "one"}, (RewardRefusal.BAD_NUMBER, "minimum")),
        ({"maximum": "1e3"}, (RewardRefusal.BAD_NUMBER, "maximum")),
        ({"minimum": "-1"}, (RewardRefusal.BAD_NUMBER, "minimum")),
        ({"maximum": "NaN"}, (RewardRefusal.BAD_NUMBER, "maximum")),
        ({"unit_cost": "0.0000001"}, (RewardRefusal.BAD_NUMBER, "unit_cost")),
        ({"unit_cost": "1" * 13}, (RewardRefusal.BAD_NUMBER, "unit_cost")),
        ({"cap_per_activity": "4999"}, (RewardRefusal.CUSTOMER_CAP_ABOVE_ACTIVITY_CAP, "cap_per_customer")),
        ({"cap_per_customer": "many"}, (RewardRefusal.BAD_NUMBER, "cap_per_customer")),
        ({"currency": "XXX"}, (CommonRefusal.UNKNOWN_CURRENCY, "currency")),
    ],
)
def test_each_unsound_rule_of_a_frame_has_one_fault(changes: dict[str, str], fault: ExpectedFault) -> None:
    """PAR-20"""
    with refused(fault):
        refuse_any(frame_faults({**ATTRIBUTES, **changes}))


def test_a_frame_may_have_one_value_only_and_cost_nothing() -> None:
    assert list(frame_faults({**ATTRIBUTES, "minimum": "10", "unit_cost": "0"})) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"value": ""}, (CommonRefusal.REQUIRED, "rewards", 0, "value")),
        ({"value": "eight"}, (RewardRefusal.BAD_NUMBER, "rewards", 0, "value")),
        ({"value": "0.999999"}, (RewardRefusal.BELOW_MINIMUM, "rewards", 0, "value")),
        ({"value": "10.000001"}, (RewardRefusal.ABOVE_MAXIMUM, "rewards", 0, "value")),
        (
            {"cap_per_customer": "5000.5"},
            (RewardRefusal.ABOVE_CUSTOMER_CAP, "rewards", 0, "cap_per_customer"),
        ),
        ({"cap_per_customer": "-1"}, (RewardRefusal.BAD_NUMBER, "rewards", 0, "cap_per_customer")),
        ({"cap_total": "1000001"}, (RewardRefusal.ABOVE_ACTIVITY_CAP, "rewards", 0, "cap_total")),
        (
            {"remark": "x" * (REMARK_CHARACTERS_MAX + 1)},
            (CommonRefusal.TOO_LONG, "rewards", 0, "remark"),
        ),
        ({"remark": CARD_NUMBER}, (CommonRefusal.CARD_NUMBER_IN_TEXT, "rewards", 0, "remark")),
        (
            {"field_values": {"day_of_week": "monday"}},
            (FieldRefusal.NOT_A_CHOICE, "rewards", 0, "field_values", "day_of_week"),
        ),
        (
            {"field_values": {"colour": "red"}},
            (FieldRefusal.UNKNOWN_FIELD, "rewards", 0, "field_values", "colour"),
        ),
    ],
)
def test_each_detail_outside_the_frame_is_refused_and_names_the_rule(
    changes: dict[str, Any], fault: ExpectedFault
) -> None:
    """PAR-23, PAR-24"""
    with refused(fault):
        refuse_any(judged(replace(ENTRY, **changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"value": "1"},
        {"value": "10.0"},
        {"cap_per_customer": "5000"},
        {"cap_total": "1000000"},
        {"field_values": {"day_of_week": "sunday"}},
    ],
)
def test_a_detail_may_go_up_to_each_limit_of_the_frame(changes: dict[str, Any]) -> None:
    """PAR-23"""
    assert judged(replace(ENTRY, **changes)) == []


def test_a_broken_rule_tells_its_limit() -> None:
    """PAR-23"""
    [fault] = judged(RewardEntry("11"))
    assert fault.values == {"maximum": "10", "unit": "times"}
    [fault] = judged(RewardEntry("8", cap_total="2000000"))
    assert fault.values == {"cap": "1000000"}


def test_a_kept_detail_has_the_caps_of_its_type_where_it_set_none() -> None:
    """PAR-21: so they stay when the type changes."""
    kept = kept_reward(TIMES_POINTS, FRAME, RewardEntry("08.50", cap_per_customer="300.0", remark="x"))
    assert kept == Reward(TIMES_POINTS, "8.5", "300", "1000000", "x")
    uncapped = replace(FRAME, cap_per_customer=None, cap_per_activity=None)
    assert kept_reward(TIMES_POINTS, uncapped, RewardEntry("100")) == Reward(TIMES_POINTS, "100")


numbers = st.decimals(0, 20, places=2).map(str)


@PROPERTY
@given(numbers, st.none() | numbers, st.sampled_from(list(Route)))
def test_what_is_kept_is_within_the_frame_and_stays_sound(value: str, cap: str | None, route: Route) -> None:
    """PAR-23: judged again as it was kept, it has no fault; and it keeps the same number."""
    frame = replace(FRAME, route=route, cap_per_customer=Decimal(5))
    entry = RewardEntry(value, cap)
    if any(judged(entry, frame)):
        return
    kept = kept_reward(TIMES_POINTS, frame, entry)
    assert frame.minimum <= Decimal(kept.value) == Decimal(value) <= frame.maximum
    assert kept.cap_per_customer is not None
    assert Decimal(kept.cap_per_customer) <= 5
    assert judged(kept.entry, frame) == []
    assert kept_reward(TIMES_POINTS, frame, kept.entry) == kept
