"""A sound plan as it was entered, as it is kept, and the people and things around it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from domain.activity_plans import Channel, Choice, CostLine, CostLineDraft, Plan, PlanDraft
from domain.shared.field_rules import FieldRule, FieldType
from domain.shared.money import Amount, Money
from domain.shared.period import Period
from domain.shared.references import Reference

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
)
RENAMED_DRAFT = replace(DRAFT, name="Spring dining, longer")
RENAMED_PLAN = replace(PLAN, name="Spring dining, longer")
