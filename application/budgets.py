"""The use cases of budgets: encumbered with the approval, closed with the activity, freed of what expired."""

from uuid import UUID

from application.shared.work import Work
from domain.budgets import DECIDER, Close, Encumber, Expire, budget_id
from domain.shared.money import Money


def encumber(work: Work, activity_id: UUID, code: str, org_unit: str, total: Money) -> None:
    """Within the approval's own append: what the plan may cost is set aside."""
    work.decide(DECIDER, budget_id(activity_id), Encumber(activity_id, org_unit, code, total))


def close(work: Work, activity_id: UUID) -> None:
    """Within the append that cancels or deletes the activity, or when its awards are over; one never approved
    has none.
    """
    budget = budget_id(activity_id)
    if work.state(DECIDER, budget).is_known:
        work.decide(DECIDER, budget, Close())


def is_reserved(work: Work, activity_id: UUID) -> bool:
    """Whether something is reserved in the activity's budget."""
    return bool(work.state(DECIDER, budget_id(activity_id)).amounts.open)


def expire(work: Work, budget: UUID) -> UUID:
    """For the scheduler: frees what was reserved past its time, and changes nothing when nothing was."""
    work.subject(DECIDER, budget, lambda state: state.org_unit)
    work.decide(DECIDER, budget, Expire(work.now))
    return budget
