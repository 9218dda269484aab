"""Activity plans: every fault of what was entered, each at its place, all at once."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.activity_plans import (
    CO_DEPARTMENTS_MAX,
    COST_LINES_MAX,
    DESCRIPTION_CHARACTERS_MAX,
    GROUPS_MAX,
    NAME_CHARACTERS_MAX,
    RESPONSIBLE_CHARACTERS_MAX,
    REWARDS_MAX,
    Channel,
    Choice,
    CostLineDraft,
    GroupLinkDraft,
    GroupRole,
    PlanDraft,
    PlanRefusal,
    RewardDraft,
    sound_plan,
    standing_faults,
)
from domain.reward_details import RewardEntry, RewardRefusal
from domain.shared.money import MINOR_DIGITS, Amount
from domain.shared.period import Period
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Fault, Refused
from domain.timeframes import Frequency, FrequencyKind, Timeframe, TimeframeKind, TimeframeRefusal
from tests.domain.examples import (
    CARD_NUMBER,
    CHOICES,
    DAY,
    DINING,
    DRAFT,
    FRAME,
    MARKETING,
    NOW,
    PLAN,
    POINTS,
    RISK,
    SMS_FEE,
)
from tests.given import PROPERTY, ExpectedFault, refused

REQUIRED = CommonRefusal.REQUIRED


def line(amount: str, currency: str = "CNY", **changes: Any) -> CostLineDraft:
    made = CostLineDraft(Choice(SMS_FEE, is_enabled=True), Amount(Decimal(amount), currency))
    return replace(made, **changes)


def budget(amount: str, currency: str = "CNY") -> Amount:
    return Amount(Decimal(amount), currency)


OWNER, PARTNER = Choice(MARKETING, is_enabled=True), Choice(RISK, is_enabled=True)
REWARD, GROUP = DRAFT.rewards[0], DRAFT.groups[0]
LAST_WEEK = Timeframe(TimeframeKind.ROLLING, days=7)


def partner(number: int) -> Choice:
    return Choice(Reference(UUID(int=1_000 + number), 1), is_enabled=True)


def groups(number: int) -> tuple[GroupLinkDraft, ...]:
    return tuple(replace(GROUP, group=partner(each)) for each in range(number))


def test_a_sound_plan_is_kept_as_it_was_entered() -> None:
    """ACT-04: all key details, amounts in minor units, references pinned at their revision."""
    assert sound_plan(DRAFT) == PLAN


def test_windows_channels_and_cost_lines_may_be_left_out() -> None:
    """ACT-04: registration and award windows are optional."""
    short = replace(
        DRAFT, description="", registration=None, award=None, channels=(), cost_lines=(), groups=(),
        goal=None, co_departments=(),
    )  # fmt: skip
    kept = sound_plan(short)
    assert (kept.registration, kept.award, kept.channels, kept.cost_lines) == (None, None, (), ())
    assert (kept.groups, kept.goal, kept.co_departments) == ((), None, ())


MANDATORY: dict[str, Any] = {
    "name": "",
    "activity_type": None,
    "starts_at": None,
    "ends_at": None,
    "budget": None,
    "department": None,
    "responsible": " ",
    "rewards": (),
}


@pytest.mark.parametrize("field", [*MANDATORY])
def test_each_missing_detail_has_one_fault(field: str) -> None:
    """ACT-01, ACT-04, PAR-14: each missing mandatory field yields one field-level error."""
    with refused((REQUIRED, field)):
        sound_plan(replace(DRAFT, **{field: MANDATORY[field]}))


@pytest.mark.parametrize("field", ["cost_type", "amount"])
def test_each_missing_part_of_a_cost_line_has_one_fault(field: str) -> None:
    """PAR-18: every cost amount carries a cost type."""
    lines = (line("1"), replace(line("1"), **{field: None}))
    with refused((REQUIRED, "cost_lines", 1, field)):
        sound_plan(replace(DRAFT, cost_lines=lines))


def test_all_that_is_missing_is_said_at_once() -> None:
    """ACT-01"""
    with refused(
        (REQUIRED, "name"),
        (REQUIRED, "activity_type"),
        (REQUIRED, "starts_at"),
        (REQUIRED, "ends_at"),
        (REQUIRED, "budget"),
        (REQUIRED, "cost_lines", 0, "cost_type"),
        (REQUIRED, "cost_lines", 0, "amount"),
        (REQUIRED, "department"),
        (REQUIRED, "responsible"),
        (REQUIRED, "rewards", 0, "reward_type"),
        (REQUIRED, "groups", 0, "group"),
        (REQUIRED, "groups", 0, "role"),
        (REQUIRED, "groups", 0, "frequency"),
        (REQUIRED, "groups", 0, "timeframe"),
    ):
        sound_plan(
            PlanDraft(
                cost_lines=(CostLineDraft(None, None),),
                rewards=(RewardDraft(None, RewardEntry()),),
                groups=(GroupLinkDraft(None, None, None, None),),
            )
        )


def test_faults_found_before_come_first() -> None:
    before = Fault(CommonRefusal.CODE_TAKEN, ("code",))
    with refused((CommonRefusal.CODE_TAKEN, "code"), (REQUIRED, "name")):
        sound_plan(replace(DRAFT, name=" "), [before])
    with refused((CommonRefusal.CODE_TAKEN, "code")):
        sound_plan(DRAFT, [before])


FAULTY: list[tuple[dict[str, Any], ExpectedFault]] = [
    ({"name": "x" * (NAME_CHARACTERS_MAX + 1)}, (CommonRefusal.TOO_LONG, "name")),
    ({"name": "a\u202eb"}, (CommonRefusal.BAD_CHARACTERS, "name")),
    ({"name": CARD_NUMBER}, (CommonRefusal.CARD_NUMBER_IN_TEXT, "name")),
    ({"description": "x" * (DESCRIPTION_CHARACTERS_MAX + 1)}, (CommonRefusal.TOO_LONG, "description")),
    ({"description": CARD_NUMBER}, (CommonRefusal.CARD_NUMBER_IN_TEXT, "description")),
    ({"activity_type": Choice(None)}, (CommonRefusal.NOT_FOUND, "activity_type")),
    ({"activity_type": Choice(DINING, is_enabled=False)}, (PlanRefusal.REFERENCE_DISABLED, "activity_type")),
    ({"activity_type": Choice(DINING, True, 2)}, (PlanRefusal.REFERENCE_CHANGED, "activity_type")),
    ({"activity_type": Choice(DINING, False, 2)}, (PlanRefusal.REFERENCE_CHANGED, "activity_type")),
    ({"ends_at": NOW, "registration": None}, (CommonRefusal.END_NOT_AFTER_START, "ends_at")),
    ({"registration": Period(NOW, NOW)}, (CommonRefusal.END_NOT_AFTER_START, "registration", "ends_at")),
    ({"award": Period(NOW + DAY, NOW)}, (CommonRefusal.END_NOT_AFTER_START, "award", "ends_at")),
    (
        {"registration": Period(NOW, NOW + 31 * DAY)},
        (PlanRefusal.OUTSIDE_PERIOD, "registration", "ends_at"),
    ),
    ({"award": Period(NOW - DAY, NOW + DAY)}, (PlanRefusal.AWARD_BEFORE_START, "award", "starts_at")),
    ({"channels": (Channel.APP, Channel.SMS, Channel.APP)}, (CommonRefusal.DUPLICATE, "channels")),
    ({"budget": budget("0"), "cost_lines": ()}, (CommonRefusal.AMOUNT_NOT_POSITIVE, "budget", "amount")),
    ({"budget": budget("1", "XXX")}, (CommonRefusal.UNKNOWN_CURRENCY, "budget", "currency")),
    (
        {"cost_lines": (line("1"), line("0"))},
        (CommonRefusal.AMOUNT_NOT_POSITIVE, "cost_lines", 1, "amount", "amount"),
    ),
    (
        {"cost_lines": (line("1"), line("1", "USD"))},
        (CommonRefusal.CURRENCY_MISMATCH, "cost_lines", 1, "amount"),
    ),
    ({"cost_lines": (line("1", remark="\x00"),)}, (CommonRefusal.BAD_CHARACTERS, "cost_lines", 0, "remark")),
    (
        {"cost_lines": (line("1", cost_type=Choice(None)),)},
        (CommonRefusal.NOT_FOUND, "cost_lines", 0, "cost_type"),
    ),
    (
        {"cost_lines": (line("1", cost_type=Choice(SMS_FEE, True, 7)),)},
        (PlanRefusal.REFERENCE_CHANGED, "cost_lines", 0, "cost_type"),
    ),
    (
        {"cost_lines": (line("1", cost_type=Choice(SMS_FEE)),)},
        (PlanRefusal.REFERENCE_DISABLED, "cost_lines", 0, "cost_type"),
    ),
    ({"cost_lines": (line("600"), line("400.01"))}, (PlanRefusal.COSTS_EXCEED_BUDGET, "cost_lines")),
    ({"cost_lines": (line("1"),) * (COST_LINES_MAX + 1)}, (CommonRefusal.TOO_MANY, "cost_lines")),
    ({"department": Choice(None)}, (CommonRefusal.NOT_FOUND, "department")),
    ({"department": Choice(MARKETING)}, (PlanRefusal.REFERENCE_DISABLED, "department")),
    ({"department": Choice(MARKETING, True, 1)}, (PlanRefusal.REFERENCE_CHANGED, "department")),
    ({"co_departments": (OWNER,)}, (CommonRefusal.DUPLICATE, "co_departments", 0)),
    ({"co_departments": (PARTNER, PARTNER)}, (CommonRefusal.DUPLICATE, "co_departments", 1)),
    (
        {"co_departments": tuple(partner(number) for number in range(CO_DEPARTMENTS_MAX + 1))},
        (CommonRefusal.TOO_MANY, "co_departments"),
    ),
    (
        {"responsible": "x" * (RESPONSIBLE_CHARACTERS_MAX + 1)},
        (CommonRefusal.TOO_LONG, "responsible"),
    ),
    ({"rewards": (REWARD,) * (REWARDS_MAX + 1)}, (CommonRefusal.TOO_MANY, "rewards")),
    (
        {"rewards": (replace(REWARD, reward_type=Choice(None)),)},
        (CommonRefusal.NOT_FOUND, "rewards", 0, "reward_type"),
    ),
    (
        {"rewards": (REWARD, replace(REWARD, reward_type=replace(POINTS, is_enabled=False)))},
        (PlanRefusal.REFERENCE_DISABLED, "rewards", 1, "reward_type"),
    ),
    (
        {"rewards": (replace(REWARD, reward_type=replace(POINTS, revision_seen=5)),)},
        (PlanRefusal.REFERENCE_CHANGED, "rewards", 0, "reward_type"),
    ),
    (
        {"rewards": (replace(REWARD, entry=RewardEntry("11")),)},
        (RewardRefusal.ABOVE_MAXIMUM, "rewards", 0, "value"),
    ),
    (
        {"rewards": (replace(REWARD, reward_type=replace(POINTS, frame=replace(FRAME, currency="USD"))),)},
        (CommonRefusal.CURRENCY_MISMATCH, "rewards", 0, "reward_type"),
    ),
    (
        {
            "groups": (GROUP, replace(GROUP, timeframe=LAST_WEEK)),
        },
        (CommonRefusal.DUPLICATE, "groups", 1, "group"),
    ),
    ({"groups": (replace(GROUP, group=Choice(None)),)}, (CommonRefusal.NOT_FOUND, "groups", 0, "group")),
    ({"groups": groups(GROUPS_MAX + 1)}, (CommonRefusal.TOO_MANY, "groups")),
    (
        {"groups": (replace(GROUP, frequency=Frequency(FrequencyKind.CRON, "every day")),)},
        (TimeframeRefusal.BAD_CRON, "groups", 0, "frequency", "cron"),
    ),
    (
        {"groups": (replace(GROUP, frequency=Frequency(FrequencyKind.CRON, "0 2 30 2 *")),)},
        (TimeframeRefusal.NO_SUCH_DAY, "groups", 0, "frequency", "cron"),
    ),
    (
        {"groups": (replace(GROUP, timeframe=Timeframe(TimeframeKind.ROLLING, days=0)),)},
        (CommonRefusal.OUT_OF_RANGE, "groups", 0, "timeframe", "days"),
    ),
]


@pytest.mark.parametrize(("changes", "fault"), FAULTY, ids=[".".join(map(str, fault)) for _, fault in FAULTY])
def test_each_unsound_detail_has_one_fault_at_its_place(
    changes: dict[str, Any], fault: ExpectedFault
) -> None:
    """ACT-04, PAR-08, PAR-17, PAR-18"""
    with refused(fault):
        sound_plan(replace(DRAFT, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * NAME_CHARACTERS_MAX},
        {"description": "x" * DESCRIPTION_CHARACTERS_MAX},
        {"registration": Period(NOW - 99 * DAY, NOW + 30 * DAY)},
        {"award": Period(NOW, NOW + 999 * DAY)},
        {"activity_type": Choice(DINING, True, 3)},
        {"cost_lines": (line("600"), line("400"))},
        {"cost_lines": (line("10"),) * COST_LINES_MAX},
        {"channels": tuple(Channel)},
        {"co_departments": tuple(partner(number) for number in range(CO_DEPARTMENTS_MAX))},
        {"rewards": (REWARD,) * REWARDS_MAX},
        {"groups": groups(GROUPS_MAX)},
        {"responsible": "x" * RESPONSIBLE_CHARACTERS_MAX},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_plan_may_go_up_to_each_limit(changes: dict[str, Any]) -> None:
    """ACT-04: registration may begin early, awards may be given late."""
    sound_plan(replace(DRAFT, **changes))


def test_a_group_is_linked_in_the_role_that_it_is_for() -> None:
    """SEG-01, SEG-06"""
    assert GROUP.group is not None
    for_awards = replace(GROUP.group, role=GroupRole.REWARDED)
    wrong, right = replace(GROUP, group=for_awards), replace(GROUP, group=for_awards, role=GroupRole.REWARDED)
    with refused((PlanRefusal.ROLE_NOT_OF_GROUP, "groups", 0, "role")) as faults:
        sound_plan(replace(DRAFT, groups=(wrong,)))
    assert faults[0].values == {"purpose": "rewarded"}
    [link] = sound_plan(replace(DRAFT, groups=(right,))).groups
    assert link.role is GroupRole.REWARDED
    choices = replace(CHOICES, groups=(for_awards, replace(for_awards, role=GroupRole.REWARDED)))
    assert [(fault.code, fault.path) for fault in standing_faults(PLAN, choices)] == [
        (PlanRefusal.ROLE_NOT_OF_GROUP, ("groups", 0, "role"))
    ]


def test_a_changed_reference_tells_its_current_revision() -> None:
    """PAR-17: who attached what he saw is told that it is another now."""
    with refused(PlanRefusal.REFERENCE_CHANGED) as faults:
        sound_plan(replace(DRAFT, activity_type=Choice(DINING, True, 2)))
    assert faults[0].values == {"revision": "3"}


amounts = st.integers(1, 400).map(lambda amount_minor: Decimal(amount_minor).scaleb(-2)) | st.sampled_from(
    [Decimal(text) for text in ("0", "-1", "NaN", "1E+9", "0.001")]
)
entered = st.builds(Amount, amounts, st.sampled_from(["CNY"] * 8 + ["JPY", "XXX"]))
lines = st.builds(CostLineDraft, st.just(Choice(SMS_FEE, True)), entered)


@PROPERTY
@given(entered, st.lists(lines, max_size=4))
def test_a_kept_plan_never_promises_more_than_its_budget_nor_a_negative_amount(
    total: Amount, costs: list[CostLineDraft]
) -> None:
    """PAR-18: one currency, every amount positive, and the lines within the budget to the last minor unit."""
    try:
        plan = sound_plan(replace(DRAFT, budget=total, cost_lines=tuple(costs)))
    except Refused:
        return
    amounts_minor = [cost.amount.amount_minor for cost in plan.cost_lines]
    assert all(amount > 0 for amount in amounts_minor)
    assert {cost.amount.currency for cost in plan.cost_lines} <= {plan.budget.currency}
    assert sum(amounts_minor) <= plan.budget.amount_minor
    assert Decimal(plan.budget.amount_minor).scaleb(-MINOR_DIGITS[total.currency]) == total.amount


def test_costs_in_another_currency_are_not_added_to_the_budget() -> None:
    """PAR-18: 2,000 yen are not more than 100 yuan; the one fault is the currency."""
    with refused((CommonRefusal.CURRENCY_MISMATCH, "cost_lines", 0, "amount")):
        sound_plan(replace(DRAFT, budget=budget("100"), cost_lines=(line("2000", "JPY"),)))


def test_costs_beyond_the_budget_are_told_along_with_every_other_fault() -> None:
    """ACT-01: all faults at once: a bad remark does not hide that the money will not do."""
    costs = (line("2000", remark="\x00"),)
    with refused(
        (CommonRefusal.BAD_CHARACTERS, "cost_lines", 0, "remark"),
        (PlanRefusal.COSTS_EXCEED_BUDGET, "cost_lines"),
    ):
        sound_plan(replace(DRAFT, cost_lines=costs))


@pytest.mark.parametrize("amount", ["1E+999999", "9E+999999", "1" + "0" * 40, "-1E+999999"])
def test_amounts_beyond_all_bounds_are_refused_in_few_words(amount: str) -> None:
    """ACT-04: no amount is too large to be refused, and no answer grows with it."""
    costs = (line(amount), line(amount))
    with pytest.raises(Refused) as caught:
        sound_plan(replace(DRAFT, cost_lines=costs))
    found = {fault.path: fault.code for fault in caught.value.faults}
    expected = CommonRefusal.AMOUNT_NOT_POSITIVE if amount[0] == "-" else CommonRefusal.AMOUNT_TOO_LARGE
    assert {found["cost_lines", index, "amount", "amount"] for index in range(2)} == {expected}
    assert all(len(value) < 100 for fault in caught.value.faults for value in fault.values.values())
