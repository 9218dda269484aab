"""Stocks in GraphQL: what of a reward is left, every movement, and awards that are given outside points."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.pasts import recorded
from api.planner.views import Connection, Node, column, many, one, payload, ref, view
from api.reward_types import RewardType
from application import stocks
from application.shared.work import Work
from domain.stocks import LIMITS

if TYPE_CHECKING:
    from api.activities import Activity
    from api.points_jobs import PointsJob

PROJECTIONS = ("stocks", "stock_movements", "timeline")


@strawberry.enum(
    description="Closed with its activity, or when the plan lost the line: nothing more is given."
)
class StockStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


@strawberry.enum(description="What a movement did. CONFIRMED: the reservation expires no more.")
class StockMovementKind(StrEnum):
    OPENED = "opened"
    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    CONSUMED = "consumed"
    RELEASED = "released"
    EXPIRED = "expired"
    RETURNED = "returned"
    CLOSED = "closed"


@view(
    "read.stock_movements",
    past=recorded("read.stock_movements", "stock_id"),
    prefix="sm",
    scope="org_unit",
    permission="records.read",
    order=("created_at", "version"),
    description="One movement of a stock; it never changes.",
)
class StockMovement(Node):
    version: int = column(description="The stock's version after it.")
    kind: StockMovementKind
    key: str = column(description="Names the award, or the points job's attempt; empty for the whole stock.")
    quantity: Decimal
    points_job_id: strawberry.ID | None = ref("reference_id", "pj")
    points_job: Annotated["PointsJob", strawberry.lazy("api.points_jobs")] | None = one("reference_id")
    expires_at: datetime | None
    created_at: datetime
    created_by: str


@view(
    "read.stocks",
    versions="read.stock_versions",
    prefix="sk",
    scope="org_unit",
    permission="records.read",
    order=("created_at", "line"),
    description="What an approved activity may give by one reward line that has a total cap:"
    " total = free + reserved + consumed, at every moment.",
)
class Stock(Node):
    version: int
    activity_id: strawberry.ID = ref("activity_id", "act")
    activity: Annotated["Activity", strawberry.lazy("api.activities")] | None = one("activity_id")
    org_unit: str
    code: str
    line: int = column(description="The line among the plan's rewards, from 0.")
    reward_type_id: strawberry.ID = ref("reward_type_id", "rt")
    reward_type_revision: int
    reward_type: RewardType | None = one("reward_type_id")
    unit: str = column(description="Points for a line that gives points, else the unit of the reward type.")
    status: StockStatus
    total: Decimal
    free: Decimal
    reserved: Decimal
    consumed: Decimal
    reservations: int = column(description="How many are open.")
    movements: Connection[StockMovement] = many("stock_id", description="Every movement, oldest first.")
    history: Connection[HistoryEntry] = many("stream_id", description="Its own events, oldest first.")
    created_at: datetime
    changed_at: datetime


# --- Inputs and payloads --------------------------------------------------


@strawberry.input(
    description="key: your name of the award, unique in the stock. Without expiresAt the reservation ends"
    " after a day, and after thirty days at the latest."
)
class ReserveStockInput:
    id: strawberry.ID
    key: str
    quantity: Decimal = Decimal(1)
    expires_at: datetime | None = None
    expected_version: int | None = strawberry.UNSET


@strawberry.input(description="Without quantity all that was reserved is consumed; the rest is free again.")
class ConsumeStockInput:
    id: strawberry.ID
    key: str
    quantity: Decimal | None = None
    expected_version: int | None = strawberry.UNSET


@strawberry.input(description="The award that is not given.")
class ReleaseStockInput:
    id: strawberry.ID
    key: str
    expected_version: int | None = strawberry.UNSET


@strawberry.input(
    description="name: your name of this return; an award may come back in parts, in"
    f" {LIMITS.refunds:,} at most."
)
class ReturnStockInput:
    id: strawberry.ID
    key: str
    name: str
    quantity: Decimal = Decimal(1)
    expected_version: int | None = strawberry.UNSET


@strawberry.type
class StockPayload(Payload):
    stock: Stock | None = payload("subject")


# --- Mutations ------------------------------------------------------------


@strawberry.type
class StockMutations:
    @strawberry.mutation(description="Hold some of the stock for an award.")
    async def reserve_stock(self, info: Info, input: ReserveStockInput) -> StockPayload:
        award = stocks.Award(input.key, input.quantity, input.expires_at)
        return await _on_stock(
            info, "reserveStock", input, lambda work, key: stocks.reserve(work, key, award)
        )

    @strawberry.mutation(description="The award was given.")
    async def consume_stock(self, info: Info, input: ConsumeStockInput) -> StockPayload:
        return await _on_stock(
            info,
            "consumeStock",
            input,
            lambda work, key: stocks.consume(work, key, input.key, input.quantity),
        )

    @strawberry.mutation(description="The award is not given: it is free again.")
    async def release_stock(self, info: Info, input: ReleaseStockInput) -> StockPayload:
        return await _on_stock(
            info, "releaseStock", input, lambda work, key: stocks.release(work, key, input.key)
        )

    @strawberry.mutation(description="An award that was given came back.")
    async def return_stock(self, info: Info, input: ReturnStockInput) -> StockPayload:
        return await _on_stock(
            info,
            "returnStock",
            input,
            lambda work, key: stocks.give_back(work, key, input.key, input.name, input.quantity),
        )


async def _on_stock(
    info: Info, operation: str, input: Any, use_case: Callable[[Work, UUID], UUID]
) -> StockPayload:
    stock = key_of("sk", input.id)
    return await execute(
        info,
        StockPayload,
        operation,
        input,
        lambda work: use_case(work, stock),
        PROJECTIONS,
        turn=stock,
    )
