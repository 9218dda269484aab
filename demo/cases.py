"""What the demo is played with: the sample bank, or the user's own purchases; and what must come of each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

POINTS_COST = "0.002"


@dataclass(frozen=True, slots=True)
class Expected:
    """How many customers, and how many points for all of them."""

    customers: int
    points: int


@dataclass(frozen=True, slots=True)
class Case:
    """Who spends `spend_minor` from `data_from` until `data_to` gets a point for each `minor_per_point`.

    `budget` is in units of the currency. `independent` counts the same without the product.
    """

    name: str
    currency: str
    data_from: date
    data_to: date
    spend_minor: int
    minor_per_point: int
    budget: str
    independent: Callable[[], Expected]

    @property
    def stock(self) -> str:
        """As many points as the budget pays for."""
        return f"{Decimal(self.budget) / Decimal(POINTS_COST):f}"

    @property
    def sql(self) -> str:
        return f"""
select t.customer_id as customer_id,
       min(k.card_masked) as card,
       sum(t.amount_minor) as spent_minor,
       cast(floor(sum(t.amount_minor) / {self.minor_per_point}) as bigint) as points
from transactions t
join customers c on c.customer_id = t.customer_id
join cards k on k.card_token = t.card_token
where t.booked_on >= :data_from
  and t.booked_on < :data_to
  and not c.is_overdue
group by t.customer_id
having sum(t.amount_minor) >= {self.spend_minor}
""".strip()


def month_before(day: date) -> tuple[date, date]:
    """The last whole month before the month of `day`, half-open."""
    first = day.replace(day=1)
    return (first - timedelta(days=1)).replace(day=1), first
