"""A sound plan as it was entered, as it is kept, and the people and things around it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from domain.activity_plans import (
    Channel,
    Choice,
    CostLine,
    CostLineDraft,
    Goal,
    GroupLink,
    GroupLinkDraft,
    GroupRole,
    Plan,
    PlanChoices,
    PlanDraft,
    RewardDraft,
)
from domain.reward_details import Reward, RewardEntry, RewardFrame, Route
from domain.shared.field_rules import FieldRule, FieldType
from domain.shared.money import Amount, Money
from domain.shared.period import Period
from domain.shared.references import Reference
from domain.timeframes import Frequency, FrequencyKind, Timeframe, TimeframeKind

NOW = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
DAY = timedelta(days=1)
CARD_NUMBER = "4111111111111111"

ACTIVITY = UUID(int=0xAC)
APPROVAL = UUID(int=0xA0)
OTHER_APPROVAL = UUID(int=0xA1)
DINING = Reference(UUID(int=0x10), 3)
SMS_FEE = Reference(UUID(int=0x20), 1)
GIFTS = Reference(UUID(int=0x21), 2)
SPEND_AND_GET = Reference(UUID(int=0x30), 4)
MINIMUM = FieldRule("minimum_spend", "Minimum spend", FieldType.DECIMAL, is_required=True)
FORM = Choice(SPEND_AND_GET, is_enabled=True, fields=(MINIMUM,))
MARKETING = Reference(UUID(int=0x40), 2)
RISK = Reference(UUID(int=0x41), 1)
TIMES_POINTS = Reference(UUID(int=0x50), 6)
DINERS = Reference(UUID(int=0x60), 3)
DAY_OF_WEEK = FieldRule("day_of_week", "Day of the week", FieldType.CHOICE, choices=("friday", "sunday"))
FRAME = RewardFrame(
    unit="times",
    minimum=Decimal(1),
    maximum=Decimal(10),
    cap_per_customer=Decimal(5_000),
    cap_per_activity=Decimal(1_000_000),
    route=Route.POINTS,
    unit_cost=Decimal("0.002"),
    currency="CNY",
)
POINTS = Choice(TIMES_POINTS, is_enabled=True, fields=(DAY_OF_WEEK,), frame=FRAME)
LAST_MONTH = Timeframe(TimeframeKind.ROLLING, days=30)
EVERY_MONDAY = Frequency(FrequencyKind.CRON, "0 6 * * 1")

DRAFT = PlanDraft(
    name="Spring dining",
    description="5% back at restaurants",
    activity_type=Choice(DINING, is_enabled=True),
    starts_at=NOW,
    ends_at=NOW + 30 * DAY,
    registration=Period(NOW - 5 * DAY, NOW + 20 * DAY),
    award=Period(NOW + 2 * DAY, NOW + 60 * DAY),
    channels=(Channel.APP, Channel.SMS),
    budget=Amount(Decimal("1000.00"), "CNY"),
    cost_lines=(
        CostLineDraft(Choice(SMS_FEE, is_enabled=True), Amount(Decimal("250.50"), "CNY"), "two waves"),
        CostLineDraft(Choice(GIFTS, is_enabled=True), Amount(Decimal("749.5"), "CNY")),
    ),
    form=FORM,
    form_values={"minimum_spend": "200"},
    department=Choice(MARKETING, is_enabled=True),
    co_departments=(Choice(RISK, is_enabled=True),),
    responsible="wu",
    goal=Goal.USE,
    rewards=(RewardDraft(POINTS, RewardEntry("8.50", "3000", "", "Fridays", {"day_of_week": "friday"})),),
    groups=(
        GroupLinkDraft(Choice(DINERS, is_enabled=True), GroupRole.TARGET, EVERY_MONDAY, LAST_MONTH),
        GroupLinkDraft(
            Choice(DINERS, is_enabled=True),
            GroupRole.REWARDED,
            Frequency(FrequencyKind.ONCE),
            Timeframe(TimeframeKind.FIXED, date(2026, 3, 1), date(2026, 3, 31)),
        ),
    ),
)
PLAN = Plan(
    name="Spring dining",
    description="5% back at restaurants",
    activity_type=DINING,
    period=Period(NOW, NOW + 30 * DAY),
    registration=Period(NOW - 5 * DAY, NOW + 20 * DAY),
    award=Period(NOW + 2 * DAY, NOW + 60 * DAY),
    channels=(Channel.APP, Channel.SMS),
    budget=Money(100_000, "CNY"),
    cost_lines=(
        CostLine(SMS_FEE, Money(25_050, "CNY"), "two waves"),
        CostLine(GIFTS, Money(74_950, "CNY")),
    ),
    form=SPEND_AND_GET,
    form_values={"minimum_spend": "200"},
    department=MARKETING,
    co_departments=(RISK,),
    responsible="wu",
    goal=Goal.USE,
    rewards=(Reward(TIMES_POINTS, "8.5", "3000", "1000000", "Fridays", {"day_of_week": "friday"}),),
    groups=(
        GroupLink(DINERS, GroupRole.TARGET, EVERY_MONDAY, LAST_MONTH),
        GroupLink(
            DINERS,
            GroupRole.REWARDED,
            Frequency(FrequencyKind.ONCE),
            Timeframe(TimeframeKind.FIXED, date(2026, 3, 1), date(2026, 3, 31)),
        ),
    ),
)
BARE_PLAN = replace(
    PLAN, department=None, co_departments=(), responsible="", goal=None, rewards=(), groups=()
)
"""The same plan as it was kept before there were departments and reward types."""
CHOICES = PlanChoices(
    activity_type=Choice(DINING, is_enabled=True),
    cost_types=(Choice(SMS_FEE, is_enabled=True), Choice(GIFTS, is_enabled=True)),
    department=Choice(MARKETING, is_enabled=True),
    co_departments=(Choice(RISK, is_enabled=True),),
    reward_types=(POINTS,),
    groups=(Choice(DINERS, is_enabled=True), Choice(DINERS, is_enabled=True)),
)
RENAMED_DRAFT = replace(DRAFT, name="Spring dining, longer")
RENAMED_PLAN = replace(PLAN, name="Spring dining, longer")
