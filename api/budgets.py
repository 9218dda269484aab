"""Budgets in GraphQL: what an activity may cost, what of it is reserved and consumed, and every movement."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.activities import Activity
from api.history import HistoryEntry
from api.pasts import recorded
from api.planner.views import Connection, Money, Node, column, many, masked, money, one, ref, view

if TYPE_CHECKING:
    from api.points_jobs import PointsJob

BUDGET = "budget.read"


@strawberry.enum(description="Closed when the awards of its activity are over: what was free has gone back.")
class BudgetStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


@strawberry.enum(description="What a movement did to the budget's amounts.")
class BudgetMovementKind(StrEnum):
    ENCUMBERED = "encumbered"
    RESERVED = "reserved"
    CONSUMED = "consumed"
    RELEASED = "released"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    RETURNED = "returned"


@view(
    "read.budget_movements",
    past=recorded("read.budget_movements", "budget_id"),
    prefix="bm",
    scope="org_unit",
    permission="records.read",
    order=("created_at", "version"),
    description="One movement of a budget; it never changes.",
)
class BudgetMovement(Node):
    version: int = column(description="The budget's version after it.")
    kind: BudgetMovementKind
    key: str = column(description="Names the reservation; empty where the whole budget is meant.")
    amount: Money | None = money("amount_minor", "currency", permission=BUDGET)
    points_job_id: strawberry.ID | None = ref("reference_id", "pj")
    points_job: Annotated["PointsJob", strawberry.lazy("api.points_jobs")] | None = one("reference_id")
    expires_at: datetime | None
    created_at: datetime
    created_by: str


@view(
    "read.budgets",
    versions="read.budget_versions",
    prefix="bd",
    scope="org_unit",
    permission="records.read",
    order=("created_at",),
    description="The budget of an approved activity: total = free + reserved + consumed, at every moment.",
)
class Budget(Node):
    version: int
    activity_id: strawberry.ID = ref("activity_id", "act")
    activity: Activity | None = one("activity_id")
    org_unit: str
    code: str
    status: BudgetStatus
    total: Money | None = money("total_minor", "currency", permission=BUDGET)
    free: Money | None = money("free_minor", "currency", permission=BUDGET)
    reserved: Money | None = money("reserved_minor", "currency", permission=BUDGET)
    consumed: Money | None = money("consumed_minor", "currency", permission=BUDGET)
    reservations: int = column(description="How many are open.")
    threshold_percent: int | None = masked(BUDGET, description="The highest threshold reached, or 0.")
    movements: Connection[BudgetMovement] = many("budget_id", description="Every movement, oldest first.")
    history: Connection[HistoryEntry] = many("stream_id", description="Its own events, oldest first.")
    created_at: datetime
    changed_at: datetime
