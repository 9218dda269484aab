"""The sample bank of a first start: the parameters that plans are made of, and a few planned activities.

Everything goes through the handler as the sample operator, under fixed keys: loading it twice adds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from application import activities, catalogues, source_grants
from application.access import HEAD_OFFICE, Principal, Role
from application.activities import Chosen, CostLineEntry, PlanEntry, RewardLineEntry
from application.shared.handler import Handler, Request
from application.shared.work import Work
from domain.activity_plans import Channel, Goal
from domain.catalogues import Details, Kind
from domain.reward_details import RewardEntry
from domain.shared.field_rules import FieldRule, FieldType
from domain.shared.money import Amount
from domain.warehouse_schema import BANK, TABLES

TYPES: tuple[tuple[str, str, str | None], ...] = (
    ("ACQUIRE", "办卡 Card acquisition", None),
    ("ACQUIRE-WELCOME", "新户礼 Welcome gift", "ACQUIRE"),
    ("USE", "用卡 Card usage", None),
    ("USE-DINING", "餐饮 Dining", "USE"),
    ("USE-TRAVEL", "出行 Travel", "USE"),
    ("INSTALMENT", "分期 Instalments", None),
)
"""Code, name, and the parent's code."""

COSTS: tuple[tuple[str, str, str], ...] = (
    ("POINTS", "积分 Points", "6601.01"),
    ("SMS", "短信费 SMS fee", "6601.02"),
    ("MEDIA", "媒介 Media", "6601.03"),
)
"""Code, name, accounting subject."""


DEPARTMENTS: tuple[tuple[str, str, str, str | None], ...] = (
    ("CARD-CENTRE", "信用卡中心 Card centre", "business", None),
    ("MARKETING", "营销部 Marketing", "business", "CARD-CENTRE"),
    ("RETENTION", "存量经营 Retention", "business", "MARKETING"),
    ("RESEARCH-DEV", "研发部 Research", "research", "CARD-CENTRE"),
    ("TECHNOLOGY", "科技部 Technology", "technology", "CARD-CENTRE"),
)
"""Code, name, role, and the parent's code."""

DAYS_VALID = FieldRule("valid_days", "有效天数 Days valid", FieldType.INTEGER, least="1", most="365")
REWARDS: tuple[tuple[str, str, str, dict[str, str], tuple[FieldRule, ...]], ...] = (
    ("REWARD-POINTS", "积分倍数 Points times N", "POINTS",
     {"unit": "times", "minimum": "1", "maximum": "10", "cap_per_customer": "5000", "route": "points",
      "unit_cost": "0.002"}, ()),
    ("REWARD-COUPON", "优惠券 Coupon", "MEDIA",
     {"unit": "CNY", "minimum": "5", "maximum": "200", "cap_per_customer": "600", "route": "coupon",
      "unit_cost": "1"}, (DAYS_VALID,)),
    ("REWARD-CASH-BACK", "返现 Cash back", "MEDIA",
     {"unit": "CNY", "minimum": "1", "maximum": "500", "cap_per_customer": "500",
      "cap_per_activity": "100000", "route": "cash_back", "unit_cost": "1"}, ()),
    ("REWARD-GIFT", "礼品 Gift", "MEDIA",
     {"unit": "piece", "minimum": "1", "maximum": "1", "route": "gift", "unit_cost": "80"}, ()),
    ("REWARD-BENEFIT", "权益 Benefit", "MEDIA",
     {"unit": "use", "minimum": "1", "maximum": "12", "route": "benefit", "unit_cost": "25"}, (DAYS_VALID,)),
    ("REWARD-LOTTERY", "抽奖 Lottery draw", "MEDIA",
     {"unit": "draw", "minimum": "1", "maximum": "5", "route": "lottery", "unit_cost": "2"}, ()),
)  # fmt: skip
"""Code, name, the cost type's code, the frame, and the fields of details."""


@dataclass(frozen=True, slots=True)
class Campaign:
    code: str
    name: str
    activity_type: str
    org_unit: str
    budget: str
    department: str
    goal: Goal
    reward: tuple[str, str]
    costs: tuple[tuple[str, str], ...]


CAMPAIGNS = (
    Campaign("DINING-SPRING", "春季餐饮多倍积分 Spring dining points", "USE-DINING", HEAD_OFFICE, "200000",
             "RETENTION", Goal.USE, ("REWARD-POINTS", "5"), (("POINTS", "180000"), ("SMS", "6000.50"))),
    Campaign("WELCOME-2027", "新户迎新礼 Welcome gift 2027", "ACQUIRE-WELCOME", HEAD_OFFICE, "500000",
             "MARKETING", Goal.ACQUIRE, ("REWARD-GIFT", "1"), (("POINTS", "350000"), ("MEDIA", "90000"))),
    Campaign("SH-METRO", "上海地铁出行 Shanghai metro", "USE-TRAVEL", "SH", "80000",
             "MARKETING", Goal.USE, ("REWARD-POINTS", "3"), (("POINTS", "60000"),)),
)  # fmt: skip


def load(handler: Handler, all_units: frozenset[str]) -> None:
    """Record the sample bank. A unit of the sample that the bank does not have is left out."""
    loader = _Loader(handler)
    for order, (code, name, parent) in enumerate(TYPES):
        loader.add(Kind.ACTIVITY_TYPE, code, Details(name, sort_order=order * 10), parent)
    for code, name, subject in COSTS:
        attributes = {"accounting_subject": subject, "unit": "CNY"}
        loader.add(Kind.COST_TYPE, code, Details(name, attributes=attributes))
    for order, (code, name, role, parent) in enumerate(DEPARTMENTS):
        details = Details(name, sort_order=order * 10, attributes={"role": role})
        loader.add(Kind.DEPARTMENT, code, details, parent)
    for order, (code, name, cost, frame, fields) in enumerate(REWARDS):
        attributes = {**frame, "currency": "CNY", "cost_type": str(loader.found[cost])}
        loader.add(Kind.REWARD_TYPE, code, Details(name, "", order * 10, attributes, fields))
    for campaign in CAMPAIGNS:
        if campaign.org_unit in all_units:
            loader.draft(campaign)
    grant_sources(handler, all_units)


BRANCH_TABLES = ("customers", "cards", "transactions")


def grant_sources(handler: Handler, all_units: frozenset[str]) -> None:
    """What units may use of the warehouse: head office every table, branches three; nothing personal."""
    for unit in sorted(all_units):
        tables = tuple(TABLES) if unit == HEAD_OFFICE else BRANCH_TABLES
        for table in tables:
            _grant_source(handler, all_units, unit, table)


def _grant_source(handler: Handler, all_units: frozenset[str], unit: str, table: str) -> None:
    columns = tuple(column.name for column in TABLES[table].columns if not column.is_personal)
    principal = Principal("admin", frozenset({Role.ADMINISTRATOR}), HEAD_OFFICE, all_units)
    name = f"{unit}-{BANK}-{table}"
    request = Request(principal, "grantSource", {"sample": name}, key=f"sample-{name}")
    handler(request, lambda work: source_grants.grant(work, unit, BANK, table, columns))


@dataclass(frozen=True, slots=True)
class _Loader:
    """`found` are the entries by their codes."""

    handler: Handler
    found: dict[str, UUID] = field(default_factory=dict)

    def add(self, kind: Kind, code: str, details: Details, parent: str | None = None) -> None:
        above = None if parent is None else self.found[parent]
        operation = "add" + "".join(word.capitalize() for word in kind.split("_"))
        self.found[code] = self._run(
            HEAD_OFFICE, operation, code, lambda work: catalogues.add(work, kind, code, details, above)
        )

    def draft(self, campaign: Campaign) -> UUID:
        midnight = self.handler.clock().replace(hour=16, minute=0, second=0, microsecond=0)
        reward_type, value = campaign.reward
        plan = PlanEntry(
            name=campaign.name,
            activity_type=Chosen(self.found[campaign.activity_type]),
            starts_at=midnight + timedelta(days=30),
            ends_at=midnight + timedelta(days=120),
            channels=(Channel.APP, Channel.WECHAT),
            budget=Amount(Decimal(campaign.budget), "CNY"),
            cost_lines=tuple(
                CostLineEntry(Chosen(self.found[code]), Amount(Decimal(amount), "CNY"))
                for code, amount in campaign.costs
            ),
            department=Chosen(self.found[campaign.department]),
            goal=campaign.goal,
            rewards=(RewardLineEntry(Chosen(self.found[reward_type]), RewardEntry(value)),),
        )
        return self._run(
            campaign.org_unit,
            "draftActivity",
            campaign.code,
            lambda work: activities.draft(work, campaign.code, plan),
        )

    def _run(self, org_unit: str, operation: str, code: str, use_case: Callable[[Work], UUID]) -> UUID:
        user = "operator" if org_unit == HEAD_OFFICE else "branch"
        principal = Principal(user, frozenset({Role.OPERATOR}), org_unit, frozenset({org_unit}))
        request = Request(principal, operation, {"sample": code}, key=f"sample-{code}")
        return self.handler(request, use_case).subject
