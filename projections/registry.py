"""All projections that keep rows; the timeline is folded from the same functions."""

from typing import Any

from projections.activities import ACTIVITIES
from projections.approval_inbox import APPROVALS
from projections.catalogues import ACTIVITY_FORMS, ACTIVITY_TYPES, COST_TYPES
from projections.customer_groups import CUSTOMER_GROUPS
from projections.shared.rows import RowProjection
from projections.timeline import TIMELINE

PROJECTIONS: tuple[RowProjection[Any], ...] = (
    ACTIVITY_TYPES,
    COST_TYPES,
    ACTIVITY_FORMS,
    ACTIVITIES,
    APPROVALS,
    CUSTOMER_GROUPS,
)
NAMES: tuple[str, ...] = (*(projection.name for projection in PROJECTIONS), TIMELINE)
