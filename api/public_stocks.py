"""What integrators see of stocks."""

from datetime import datetime
from decimal import Decimal

from api.public_mappings import Data, Mapping, mapping
from api.public_mappings import public_id as _id
from api.public_mappings import reference as _reference
from domain import stocks as s


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _number(quantity: Decimal) -> str:
    return f"{quantity:f}"


def _opened(e: s.StockOpened) -> Data:
    return {
        "activityId": _id("activity", e.activity),
        "orgUnit": e.org_unit,
        "code": e.code,
        "line": e.line,
        "rewardType": _reference("reward_type", e.reward_type),
        "unit": e.unit,
        "total": _number(e.total),
    }


def _moved(
    e: s.StockReserved | s.StockConfirmed | s.StockConsumed | s.StockReleased | s.StockReturned,
) -> Data:
    return {
        "key": e.key,
        "quantity": _number(e.quantity),
        "pointsJobId": _id("points_job", e.reference),
    }


STOCK_MAPPINGS: dict[type, Mapping] = {
    s.StockOpened: mapping("opened", _opened),
    s.StockReserved: mapping("reserved", lambda e: {**_moved(e), "expiresAt": _instant(e.expires_at)}),
    s.StockConfirmed: mapping("confirmed", _moved),
    s.StockConsumed: mapping("consumed", lambda e: {**_moved(e), "released": _number(e.released)}),
    s.StockReleased: mapping("released", lambda e: {**_moved(e), "cause": e.cause.name}),
    s.StockReturned: mapping("returned", lambda e: {**_moved(e), "name": e.name}),
    s.StockClosed: mapping("closed", lambda e: {"left": _number(e.left)}),
}
"""What happened, and what integrators are told of it, by event."""
