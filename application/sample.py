"""The sample bank of a first start: a tree of activity types, cost types, and a few planned activities.

Everything goes through the handler as the sample operator, under fixed keys: loading it twice adds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from application import activities, catalogues
from application.access import HEAD_OFFICE, Principal, Role
from application.activities import Chosen, CostLineEntry, PlanEntry
from application.shared.handler import Handler, Request
from application.shared.work import Work
from domain.activity_plans import Channel
from domain.catalogues import Details, Kind
from domain.shared.money import Amount

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


@dataclass(frozen=True, slots=True)
class Campaign:
    code: str
    name: str
    activity_type: str
    org_unit: str
    budget: str
    costs: tuple[tuple[str, str], ...]


CAMPAIGNS = (
    Campaign("DINING-SPRING", "春季餐饮多倍积分 Spring dining points", "USE-DINING", HEAD_OFFICE, "200000",
             (("POINTS", "180000"), ("SMS", "6000.50"))),
    Campaign("WELCOME-2027", "新户迎新礼 Welcome gift 2027", "ACQUIRE-WELCOME", HEAD_OFFICE, "500000",
             (("POINTS", "350000"), ("MEDIA", "90000"))),
    Campaign("SH-METRO", "上海地铁出行 Shanghai metro", "USE-TRAVEL", "SH", "80000", (("POINTS", "60000"),)),
)  # fmt: skip


def load(handler: Handler, all_units: frozenset[str]) -> None:
    """Record the sample bank. A unit of the sample that the bank does not have is left out."""
    loader = _Loader(handler)
    types: dict[str, UUID] = {}
    for order, (code, name, parent) in enumerate(TYPES):
        details = Details(name, sort_order=order * 10)
        types[code] = loader.add(Kind.ACTIVITY_TYPE, code, details, types[parent] if parent else None)
    costs = {
        code: loader.add(
            Kind.COST_TYPE, code, Details(name, "", 0, {"accounting_subject": subject, "unit": "CNY"}), None
        )
        for code, name, subject in COSTS
    }
    for campaign in CAMPAIGNS:
        if campaign.org_unit in all_units:
            loader.draft(campaign, types, costs)


@dataclass(frozen=True, slots=True)
class _Loader:
    handler: Handler

    def add(self, kind: Kind, code: str, details: Details, parent: UUID | None) -> UUID:
        operation = "addActivityType" if kind is Kind.ACTIVITY_TYPE else "addCostType"
        return self._run(
            HEAD_OFFICE, operation, code, lambda work: catalogues.add(work, kind, code, details, parent)
        )

    def draft(self, campaign: Campaign, types: dict[str, UUID], costs: dict[str, UUID]) -> UUID:
        midnight = self.handler.clock().replace(hour=16, minute=0, second=0, microsecond=0)
        plan = PlanEntry(
            name=campaign.name,
            activity_type=Chosen(types[campaign.activity_type]),
            starts_at=midnight + timedelta(days=30),
            ends_at=midnight + timedelta(days=120),
            channels=(Channel.APP, Channel.WECHAT),
            budget=Amount(Decimal(campaign.budget), "CNY"),
            cost_lines=tuple(
                CostLineEntry(Chosen(costs[code]), Amount(Decimal(amount), "CNY"))
                for code, amount in campaign.costs
            ),
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
