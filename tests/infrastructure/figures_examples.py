"""One full example of each event of the figures of activities, for the golden files."""

from datetime import date
from typing import Any
from uuid import UUID

from domain import activity_figures as f
from domain.shared.references import Reference

ACTIVITY = UUID("0195505a-0000-7000-8000-00000000000b")
RUN = UUID("0195505a-0000-7000-8000-00000000000c")
ORDER = UUID("0195505a-0000-7000-8000-00000000000d")
GROUP = UUID("0195505a-0000-7000-8000-00000000000e")
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
COUNTED = f.CountedRun(ORDER, RUN, "customer_id")
BASIS = f.Basis(
    revision=2,
    org_unit="HO",
    business_date=date(2026, 3, 1),
    groups=(f.CountedGroup(Reference(GROUP, 3), date(2026, 1, 30), date(2026, 3, 1)),),
    exclusions=(f.Exclusion.OVERDUE, f.Exclusion.OTHER_UNIT, f.Exclusion.NO_ACTIVE_CARD),
    runs=(COUNTED,),
)
FIGURES = f.Figures(
    1_000, 900, 120, {f.Exclusion.NO_ACTIVE_CARD: 40, f.Exclusion.OVERDUE: 60}, "bank-20260301", HASH, HASH
)

EXAMPLES: dict[tuple[str, int], Any] = {
    ("activity_figures.requested", 1): f.ActivityCountRequested(
        ACTIVITY, "HO", "SPRING-26", 4, COUNTED, "lin"
    ),
    ("activity_figures.started", 1): f.ActivityCountStarted(4, 2, BASIS),
    ("activity_figures.succeeded", 1): f.ActivityCountSucceeded(ACTIVITY, 4, BASIS, FIGURES),
    ("activity_figures.failed", 1): f.ActivityCountFailed(4, "warehouse_missing", {"name": "bank"}),
}
