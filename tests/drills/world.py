"""The business that a load is made on: a stock to award from, customers, and work orders to schedule."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from application import customer_groups
from domain.customer_groups import Purpose
from domain.segment_contents import MappedColumn, Output, SegmentContent
from domain.segment_definitions import DefinitionKind
from domain.shared.money import Amount
from domain.stocks import stock_ids
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.application.bank import ALL_UNITS, DAY, LIN, Bank
from tests.application.orders import ADULTS, Orders
from tests.application.segments import Desk

CUSTOMERS = 40
"""Whom each work order finds, with ten points each; the points system rejects every 17th line of a file."""
POINTS = 10
REJECTED = CUSTOMERS // 17
STOCK = 1_000_000
SETTINGS = {
    "CARDINAL_ORG_UNITS": ",".join(f"{unit}:{unit}" for unit in sorted(ALL_UNITS)),
    "CARDINAL_RATE_CAPACITY": "1000000000",
    "CARDINAL_RATE_RESTORED_PER_S": "1000000000",
    "CARDINAL_ENGINE_MEMORY_MB": "256",
    "CARDINAL_DATABASE_CONNECTIONS": "8",
    "CARDINAL_WORKER_THREADS": "2",
    "CARDINAL_SEAL_EVERY_S": "1",
}
CONTENT = SegmentContent(
    name="Customers",
    description="",
    sql=f"select customer_id, {POINTS} as points from customers where customer_id <= 'C{CUSTOMERS:08}'",
    source="bank",
    primary_index=("customer_id",),
    outputs=(Output("customer_id", False), Output("points", False)),
    mapping=(MappedColumn("CUSTOMER", "customer_id"), MappedColumn("POINTS", "points")),
)


@dataclass(frozen=True)
class World:
    """`orders` are approved, each with its definition, and are due as soon as somebody schedules them."""

    stock: UUID
    activity: UUID
    orders: tuple[tuple[UUID, UUID], ...]


def made(url: str, orders: int) -> World:
    """On a migrated database."""
    with pool(url, 4) as connections:
        bank = Bank(EventLog(connections), now=datetime.now(UTC))
        given = _running(bank)
        desk = Desk(bank)
        desk.grant("customers")
        found = []
        for _ in range(orders):
            order = given.approved(execution_at=bank.now + timedelta(seconds=1))
            found.append((order, desk.approved(CONTENT, kind=DefinitionKind.ACTIVITY, work_order=order)))
        plan = bank.activity(given.activity).plan
        assert plan is not None
        stock = next(
            id_
            for id_, line in zip(stock_ids(given.activity, plan.rewards), plan.rewards, strict=True)
            if line.reward_type.id != bank.reward_type()
        )
        return World(stock, given.activity, tuple(found))


def _running(bank: Bank) -> Orders:
    """An activity that runs now, rewards with points and with coupons of which there is a stock."""
    coupons = bank.add_reward_type("Coupon", route="coupon", unit="piece", maximum="1000000")
    plan = bank.plan(
        bank.add_type("Dining"),
        rewards=(bank.reward("2"), bank.reward("1", coupons, str(STOCK))),
        budget=Amount(Decimal(1_000_000), "CNY"),
        starts_at=bank.now - DAY,
        ends_at=bank.now + 30 * DAY,
    )
    activity = bank.running(bank.draft(plan))
    given = "EVERYBODY", Purpose.TARGET, ADULTS
    group = bank.send(LIN, "defineCustomerGroup", {}, customer_groups.define, *given).subject
    return Orders(bank, activity, group, bank.department())


def furnish(home: Path) -> None:
    """The warehouse of an installation."""
    warehouse = Warehouse(home / "warehouse", sorted(ALL_UNITS))
    warehouse.generate(date(2026, 3, 1), SampleSize(200, 500))
