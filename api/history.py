"""History in GraphQL: what happened to a thing, who did it, and which fields changed how."""

from datetime import datetime

from strawberry.scalars import JSON

from api.planner.positions import Position
from api.planner.values import Int64
from api.planner.views import Node, column, computed, masked, struct, view
from application.access import ACCOUNT_KINDS


@struct
class FieldChange:
    """One field before and after."""

    field: str
    before: JSON | None
    after: JSON | None


@view(
    "read.timeline",
    prefix="ev",
    scope="org_unit",
    permission="records.read",
    kinds=(
        "stream_type",
        {**dict.fromkeys(sorted(ACCOUNT_KINDS), "accounts.read"), "erasure": "persons.read"},
    ),
    scope_nullable=True,
    order=("epoch", "sequence"),
    position=("epoch", "position"),
    description="One event: who did what, when, for whom and why, and what it changed.",
)
class HistoryEntry(Node):
    position: Position = computed(
        "lpad(to_hex({row}.epoch), 8, '0') || lpad(to_hex({row}.position), 16, '0')",
        description="Where in the log it stands: give it to asOf.",
    )
    epoch: int
    sequence: Int64 = column("position", description="The rank of its position within the epoch.")
    subject_kind: str = column("stream_type")
    subject_id: str = column(description="The global id of what it happened to, also when that is gone.")
    version: int
    revision: int | None
    event_type: str
    recorded_at: datetime
    effective_at: datetime
    actor: str
    on_behalf_of: str | None
    reason: str | None
    changes: list[FieldChange] | None = masked(
        "budget.read", description="Null for who may not see budgets, for they are among the changes."
    )
