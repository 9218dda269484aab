"""The use cases of work orders: what a content refers to is looked up and kept in use here."""

from uuid import UUID

from application.shared.work import Work
from domain.work_orders import DECIDER, may_be_defined


def is_open(work: Work, work_order_id: UUID) -> bool:
    """Whether it exists in the principal's sight and may still get a segment definition."""
    order = work.state(DECIDER, work_order_id)
    return may_be_defined(order) and work.principal.sees(order.org_unit)
