"""The use cases of an activity's figures: a count is asked for, its lists are shown in pages."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from application.access import Permission, Principal, queries_customers
from application.figures_sql import EXCLUDED_FOR
from application.group_sql import CUSTOMER_ID
from application.shared.engines import Engine
from application.shared.handler import Handler
from application.shared.work import Work
from domain.activities import DECIDER as ACTIVITY
from domain.activities import Activity
from domain.activity_figures import (
    DECIDER,
    ActivityFigures,
    CountedRun,
    Exclusion,
    Figure,
    FiguresRefusal,
    RequestCount,
    figures_id,
    result_id,
)
from domain.activity_plans import GroupRole
from domain.shared.refusal import CommonRefusal, Refused

CUSTOMERS_AT_ONCE_MAX = 500


# --- Asking for a count ---------------------------------------------------


def request(work: Work, activity_id: UUID) -> UUID:
    """Count the activity in sight anew; refused where there is nothing to count."""
    activity = work.subject(ACTIVITY, activity_id, lambda known: known.org_unit)
    if activity.plan is None:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    _request(work, activity_id, activity)
    return figures_id(activity_id)


def request_at_launch(work: Work, activity_id: UUID) -> None:
    """Within the append that launches it: an activity with target groups is counted."""
    activity = work.state(ACTIVITY, activity_id)
    if _has_groups(activity):
        _request(work, activity_id, activity)


def request_for_run(work: Work, activity_id: UUID, run: CountedRun) -> None:
    """Within the append that hands the run over: whom it has found are counted with the others."""
    _request(work, activity_id, work.state(ACTIVITY, activity_id), run)


def _request(work: Work, activity_id: UUID, activity: Activity, run: CountedRun | None = None) -> None:
    by = work.principal.user
    command = RequestCount(activity_id, activity.org_unit, activity.code, _has_groups(activity), by, run)
    work.decide(DECIDER, figures_id(activity_id), command)


def _has_groups(activity: Activity) -> bool:
    return activity.plan is not None and any(link.role is GroupRole.TARGET for link in activity.plan.groups)


def subject(work: Work, figures: UUID) -> ActivityFigures:
    """The figures in sight."""
    return work.subject(DECIDER, figures, lambda state: state.org_unit)


# --- The lists behind the figures -----------------------------------------


class Masked(StrEnum):
    """Why who sees a list does not see whom it is of."""

    NO_PERMISSION = "no_permission"
    OTHER_UNITS = "other_units"


@dataclass(frozen=True, slots=True)
class ListedCustomer:
    customer: str | None
    excluded_for: Exclusion | None = None


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """Customers by id from the one at `first` on, of `total` in the list of that count."""

    number: int
    total: int
    first: int
    customers: tuple[ListedCustomer, ...]
    masked: Masked | None


def reading(handler: Handler, principal: Principal) -> Work:
    """A work to read with."""
    return Work(handler.log, principal, handler.clock(), handler.policy)


def page(
    work: Work, engine: Engine, activity_id: UUID, figure: Figure, number: int | None, first: int, most: int
) -> CustomerPage:
    """Some of the customers behind a figure of the newest count in sight, or of the one of that number.

    Who may not read customers, or does not see those of the unit, gets none of their ids. Refuse what was not
    counted. Raise RunFailed.
    """
    state = subject(work, figures_id(activity_id))
    counted = state.counts.get(state.counted if number is None else number)
    total = None if counted is None else getattr(counted, figure.value)
    if counted is None or total is None:
        raise Refused.because(FiguresRefusal.NOT_COUNTED, "figure")
    number = state.counted if number is None else number
    run_id = result_id(figures_id(activity_id), number, figure)
    columns = (CUSTOMER_ID,) if figure is Figure.QUALIFIED else (CUSTOMER_ID, EXCLUDED_FOR)
    only = EXCLUDED_FOR if figure is Figure.APPLICABLE else None
    rows = engine.page(run_id, columns, first, min(most, CUSTOMERS_AT_ONCE_MAX), only)
    masked = None
    if Permission.CUSTOMERS_READ not in work.principal.permissions:
        masked = Masked.NO_PERMISSION
    elif not queries_customers(work.principal, state.org_unit):
        masked = Masked.OTHER_UNITS
    customers = tuple(_listed(row, masked) for row in rows)
    return CustomerPage(number, total, first, customers, masked)


def _listed(row: tuple[str, ...] | tuple[str, str | None], masked: Masked | None) -> ListedCustomer:
    reason = row[1] if len(row) > 1 else None
    return ListedCustomer(None if masked else row[0], None if reason is None else Exclusion(reason))
