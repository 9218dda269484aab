"""All projections that keep rows; the timeline is folded from the same functions."""

from typing import Any

from projections.activities import ACTIVITIES
from projections.approval_inbox import APPROVALS
from projections.catalogues import ACTIVITY_FORMS, ACTIVITY_TYPES, COST_TYPES
from projections.customer_groups import CUSTOMER_GROUPS
from projections.departments import DEPARTMENTS
from projections.downloads import DOWNLOADS
from projections.reward_types import REWARD_TYPES
from projections.shared.rows import RowProjection
from projections.timeline import TIMELINE

PROJECTIONS: tuple[RowProjection[Any], ...] = (
    ACTIVITY_TYPES,
    COST_TYPES,
    ACTIVITY_FORMS,
    DEPARTMENTS,
    REWARD_TYPES,
    ACTIVITIES,
    APPROVALS,
    CUSTOMER_GROUPS,
    DOWNLOADS,
)
NAMES: tuple[str, ...] = (*(projection.name for projection in PROJECTIONS), TIMELINE)
