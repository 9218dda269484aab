"""Membership from run to run: two result sets of a customer group, compared customer by customer."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from application.group_sql import CUSTOMER_ID
from application.shared.engines import Engine
from domain.group_memberships import Movement, movements


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """What one run changed. The lists are in ascending order; of those who stayed only the number is kept."""

    joined: tuple[str, ...]
    left: tuple[str, ...]
    stayed: int

    @property
    def count(self) -> int:
        """How many customers the later run found."""
        return len(self.joined) + self.stayed


def membership_change(engine: Engine, earlier: UUID | None, later: UUID) -> MembershipChange:
    """What the later run changed against the earlier one; all are new to the first run. Raise RunFailed."""
    joined, left, stayed = [], [], 0
    for customer, movement in members(engine, earlier, later):
        match movement:
            case Movement.JOINED:
                joined.append(customer)
            case Movement.LEFT:
                left.append(customer)
            case Movement.STAYED:
                stayed += 1
    return MembershipChange(tuple(joined), tuple(left), stayed)


def members(engine: Engine, earlier: UUID | None, later: UUID) -> Iterator[tuple[str, Movement]]:
    """Every customer of either run in ascending order, one by one: nothing is held in memory."""
    before = () if earlier is None else _customers(engine, earlier)
    return movements(before, _customers(engine, later))


def _customers(engine: Engine, run_id: UUID) -> Iterator[str]:
    return (customer for (customer,) in engine.rows(run_id, (CUSTOMER_ID,)))
