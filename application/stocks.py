"""The use cases of stocks: opened with the approval, reserved for awards, closed with the activity."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from application.catalogues import frame_of_revision
from application.shared.work import Work
from domain.activities import DECIDER as ACTIVITY
from domain.activities import ActivityDrafted, ActivityRefusal, ActivityRevised, Status
from domain.activity_plans import Plan
from domain.reward_details import RewardFrame, Route
from domain.shared.refusal import Refused
from domain.stocks import (
    DECIDER,
    CloseStock,
    ConsumeStock,
    ExpireReservations,
    OpenStock,
    ReleaseStock,
    ReserveStock,
    ReturnStock,
    Stock,
    stock_ids,
)

POINTS = "points"
"""The unit of a points line, whatever its reward type counts in."""


@dataclass(frozen=True, slots=True)
class Award:
    """What somebody is to get outside points: its name in the stock, how much, and until when it is held."""

    key: str
    quantity: Decimal = Decimal(1)
    expires_at: datetime | None = None


def open_stocks(work: Work, activity_id: UUID, code: str, org_unit: str, plan: Plan) -> None:
    """Within the approval's own append: each capped line has its stock; those that went are closed."""
    opened = set()
    for line, (stock, reward) in enumerate(
        zip(stock_ids(activity_id, plan.rewards), plan.rewards, strict=True)
    ):
        if reward.cap_total is not None:
            frame = frame_of_revision(work.log, reward.reward_type)
            total, unit = Decimal(reward.cap_total), _unit(frame)
            work.decide(
                DECIDER, stock, OpenStock(activity_id, org_unit, code, line, reward.reward_type, unit, total)
            )
            opened.add(stock)
    for stock in sorted(_all_of(work, activity_id) - opened):
        _close(work, stock)


def close_stocks(work: Work, activity_id: UUID) -> None:
    """Within the append that closes the activity's budget."""
    for stock in sorted(_all_of(work, activity_id)):
        _close(work, stock)


def of_points(work: Work, activity_id: UUID) -> UUID | None:
    """The stock of the line that the activity's points are of: its first of that route; None without cap."""
    plan = work.state(ACTIVITY, activity_id).plan
    assert plan is not None, "what gives points has a plan"
    for stock, reward in zip(stock_ids(activity_id, plan.rewards), plan.rewards, strict=True):
        if frame_of_revision(work.log, reward.reward_type).route is Route.POINTS:
            return stock if work.state(DECIDER, stock).is_known else None
    return None


def reserve(work: Work, stock_id: UUID, award: Award) -> UUID:
    """Hold some of the stock for an award; refused unless the activity is running and there is enough."""
    stock = _subject(work, stock_id)
    assert stock.activity is not None
    status = work.state(ACTIVITY, stock.activity).status
    if status is not Status.RUNNING:
        raise Refused.because(ActivityRefusal.NOT_RUNNING, status=status)
    user = work.principal.user
    work.decide(DECIDER, stock_id, ReserveStock(award.key, award.quantity, award.expires_at, user, work.now))
    return stock_id


def consume(work: Work, stock_id: UUID, key: str, quantity: Decimal | None) -> UUID:
    """The award was given; without `quantity` all that was reserved for it."""
    _subject(work, stock_id)
    work.decide(DECIDER, stock_id, ConsumeStock(key, quantity))
    return stock_id


def release(work: Work, stock_id: UUID, key: str) -> UUID:
    """The award is not given: what was reserved for it is free again."""
    _subject(work, stock_id)
    work.decide(DECIDER, stock_id, ReleaseStock(key))
    return stock_id


def give_back(work: Work, stock_id: UUID, key: str, name: str, quantity: Decimal) -> UUID:
    """Of an award that was given some came back, and is free again."""
    _subject(work, stock_id)
    work.decide(DECIDER, stock_id, ReturnStock(key, name, quantity))
    return stock_id


def expire(work: Work, stock_id: UUID) -> UUID:
    """For the scheduler: frees what was reserved past its time, and changes nothing when nothing was."""
    _subject(work, stock_id)
    work.decide(DECIDER, stock_id, ExpireReservations(work.now))
    return stock_id


def _subject(work: Work, stock_id: UUID) -> Stock:
    return work.subject(DECIDER, stock_id, lambda stock: stock.org_unit)


def _unit(frame: RewardFrame) -> str:
    return POINTS if frame.route is Route.POINTS else frame.unit


def _close(work: Work, stock: UUID) -> None:
    if work.state(DECIDER, stock).is_known:
        work.decide(DECIDER, stock, CloseStock())


def _all_of(work: Work, activity_id: UUID) -> set[UUID]:
    """The stocks that the capped lines of any of its plans had, or would have had."""
    found: set[UUID] = set()
    for record in work.log.records(activity_id):
        if isinstance(record.event, ActivityDrafted | ActivityRevised):
            rewards = record.event.plan.rewards
            stocks = zip(stock_ids(activity_id, rewards), rewards, strict=True)
            found.update(stock for stock, reward in stocks if reward.cap_total is not None)
    return found
