"""All projections that keep rows; the timeline is folded from the same functions."""

from typing import Any

from projections.activities import ACTIVITIES
from projections.activity_figures import ACTIVITY_COUNTS, ACTIVITY_FIGURES
from projections.approval_inbox import APPROVALS
from projections.budgets import BUDGET_MOVEMENTS, BUDGETS
from projections.business_calendars import BUSINESS_CALENDARS
from projections.cancellations import CANCELLATIONS
from projections.catalogues import ACTIVITY_FORMS, ACTIVITY_TYPES, COST_TYPES
from projections.customer_groups import CUSTOMER_GROUPS
from projections.delegations import DELEGATIONS
from projections.departments import DEPARTMENTS
from projections.downloads import DOWNLOADS
from projections.erasures import ERASURES
from projections.group_extractions import GROUP_EXTRACTIONS
from projections.points_jobs import POINTS_JOBS
from projections.points_ledgers import POINTS_ACCOUNTS, POINTS_ENTRIES
from projections.revocations import REVOCATIONS
from projections.reward_types import REWARD_TYPES
from projections.run_schedules import RUN_SCHEDULES
from projections.segment_definitions import SEGMENT_DEFINITIONS
from projections.segment_runs import SEGMENT_RUNS
from projections.service_accounts import SERVICE_ACCOUNTS
from projections.shared.entries import EntryProjection
from projections.shared.rows import RowProjection
from projections.source_grants import SOURCE_GRANTS
from projections.stocks import STOCK_MOVEMENTS, STOCKS
from projections.timeline import TIMELINE
from projections.users import USERS
from projections.webhook_endpoints import WEBHOOK_ENDPOINTS
from projections.work_orders import WORK_ORDERS

PROJECTIONS: tuple[RowProjection[Any], ...] = (
    ACTIVITY_TYPES,
    COST_TYPES,
    ACTIVITY_FORMS,
    DEPARTMENTS,
    REWARD_TYPES,
    ACTIVITIES,
    ACTIVITY_FIGURES,
    APPROVALS,
    SEGMENT_DEFINITIONS,
    SEGMENT_RUNS,
    SOURCE_GRANTS,
    CUSTOMER_GROUPS,
    DOWNLOADS,
    WORK_ORDERS,
    CANCELLATIONS,
    BUDGETS,
    STOCKS,
    POINTS_JOBS,
    POINTS_ACCOUNTS,
    USERS,
    SERVICE_ACCOUNTS,
    DELEGATIONS,
    REVOCATIONS,
    ERASURES,
    BUSINESS_CALENDARS,
    RUN_SCHEDULES,
    GROUP_EXTRACTIONS,
    WEBHOOK_ENDPOINTS,
)
ENTRIES: tuple[EntryProjection[Any], ...] = (
    ACTIVITY_COUNTS,
    BUDGET_MOVEMENTS,
    STOCK_MOVEMENTS,
    POINTS_ENTRIES,
)
NAMES: tuple[str, ...] = (
    *(projection.name for projection in PROJECTIONS),
    *(projection.name for projection in ENTRIES),
    TIMELINE,
)
