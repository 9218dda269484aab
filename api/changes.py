"""What changed, as it changes: a thing's status, a run's progress, the inbox; for those who look at it.

Each subscription pushes what happens from now on, or with `after` first all that came since that position;
gap-free and in order. `after` is read where streams begin (`subscription_requests`), not by the resolvers.
"""

# ruff: noqa: ARG002

from collections.abc import AsyncGenerator
from typing import Any, Generic, TypeVar
from uuid import UUID

import strawberry
from graphql import GraphQLError

from api import activities, approvals, points_jobs, segment_definitions, segment_runs, work_orders
from api.activities import Activity
from api.approvals import Approval
from api.commands import NOWHERE
from api.context import Context, Info
from api.messages import message
from api.planner import ids
from api.planner.positions import Position
from api.planner.views import payload
from api.points_jobs import PointsJob
from api.public_events import public_event
from api.refusals import require
from api.segment_definitions import SegmentDefinition
from api.segment_runs import SegmentRun
from api.work_orders import WorkOrder
from application.access import Permission
from application.shared import records
from projections.activities import ACTIVITIES
from projections.approval_inbox import APPROVALS
from projections.points_jobs import POINTS_JOBS
from projections.segment_definitions import SEGMENT_DEFINITIONS
from projections.segment_runs import SEGMENT_RUNS
from projections.shared.ids import PREFIXES, shown_id
from projections.shared.rows import RowProjection
from projections.work_orders import WORK_ORDERS

PROJECTED_WAIT_S = 10.0
"""A status that is not projected yet is worth nothing: it is waited for, unless projections stand still."""
PERSONAL = frozenset({"approvalInboxChanged"})
"""The fields whose results hang on who asks."""
CONCERNED = (
    "select (exists (select from read.approvals a where a.id = $1::uuid"
    " and (a.requested_by = $2::text or $2::text = any(a.makers || a.decided_by))))::text"
)

T = TypeVar("T")


@strawberry.type(description="Something happened to a thing in sight.")
class Change(Generic[T]):
    position: Position = strawberry.field(description="Give it as `after` to go on behind this change.")
    type: str = strawberry.field(description="What happened, as in `events`: activity.approved.")
    id: strawberry.ID = strawberry.field(description="The thing's, also when it is gone or out of sight.")
    node: T | None = payload("key", description="The thing as it stands now; null when it is gone.")
    key: strawberry.Private[Any] = None


@strawberry.type
class ChangeSubscription:
    @strawberry.subscription(description="Activities in sight, or one of them: its status and its plan.")
    async def activity_changed(
        self, info: Info, id: strawberry.ID | None = None, after: Position | None = None
    ) -> AsyncGenerator[Change[Activity], None]:
        async for change in _changes(info, "activity", ACTIVITIES, activities.PROJECTIONS, id):
            yield change

    @strawberry.subscription(description="Work orders in sight, or one of them.")
    async def work_order_changed(
        self, info: Info, id: strawberry.ID | None = None, after: Position | None = None
    ) -> AsyncGenerator[Change[WorkOrder], None]:
        async for change in _changes(info, "work_order", WORK_ORDERS, work_orders.PROJECTIONS, id):
            yield change

    @strawberry.subscription(description="Approvals in sight, or one of them.")
    async def approval_changed(
        self, info: Info, id: strawberry.ID | None = None, after: Position | None = None
    ) -> AsyncGenerator[Change[Approval], None]:
        async for change in _changes(info, "approval", APPROVALS, approvals.PROJECTIONS, id):
            yield change

    @strawberry.subscription(description="Segment definitions in sight, or one of them.")
    async def segment_definition_changed(
        self, info: Info, id: strawberry.ID | None = None, after: Position | None = None
    ) -> AsyncGenerator[Change[SegmentDefinition], None]:
        async for change in _changes(
            info, "segment_definition", SEGMENT_DEFINITIONS, segment_definitions.PROJECTIONS, id
        ):
            yield change

    @strawberry.subscription(description="Runs in sight, or one of them: its status and percent.")
    async def segment_run_changed(
        self, info: Info, id: strawberry.ID | None = None, after: Position | None = None
    ) -> AsyncGenerator[Change[SegmentRun], None]:
        async for change in _changes(info, "segment_run", SEGMENT_RUNS, segment_runs.PROJECTIONS, id):
            yield change

    @strawberry.subscription(description="Points jobs in sight, or one of them, step by step.")
    async def points_job_changed(
        self, info: Info, id: strawberry.ID | None = None, after: Position | None = None
    ) -> AsyncGenerator[Change[PointsJob], None]:
        async for change in _changes(info, "points_job", POINTS_JOBS, points_jobs.PROJECTIONS, id):
            yield change

    @strawberry.subscription(
        description="Approvals that concern the viewer: all in sight if he decides, else those that he asked"
        " for or wrote. Ask for `approvalInbox` anew when one comes."
    )
    async def approval_inbox_changed(
        self, info: Info, after: Position | None = None
    ) -> AsyncGenerator[Change[Approval], None]:
        async for change in _changes(info, "approval", APPROVALS, approvals.PROJECTIONS, None):
            if await _is_concerned(info.context, change.key):
                yield change


async def _changes(
    info: Info, kind: str, projection: RowProjection[Any], projections: tuple[str, ...], id: str | None
) -> AsyncGenerator[Change[Any], None]:
    """What the log tells of rows of one kind; `after` is where the stream begins already."""
    context = info.context
    require(Permission.RECORDS_READ, context)
    wanted = None if id is None else _key(context, PREFIXES[kind], id)

    def tell(record: records.Record[Any]) -> Change[Any] | None:
        if record.stream_type not in projection.stream_types or not context.sees(record):
            return None
        key = projection.key(record)
        if key is None or (wanted is not None and key != wanted):
            return None
        event = public_event(record)
        if event is None:
            return None
        id_ = strawberry.ID(shown_id(kind, key))
        return Change(position=Position(*record.position), type=event.type, id=id_, key=key)

    assert context.stream is not None, "a subscription has a stream"
    async for change in context.stream.told(tell, lambda _: projections, PROJECTED_WAIT_S):
        yield change


def _key(context: Context, prefix: str, id: str) -> UUID:
    try:
        found, key = ids.decode(id)
    except ValueError:
        found, key = "", NOWHERE
    if found != prefix:
        text = message("not_of_kind", {}, context.language)
        raise GraphQLError(text, extensions={"code": "BAD_INPUT"})
    return key


async def _is_concerned(context: Context, approval: UUID) -> bool:
    if Permission.APPROVALS_DECIDE in context.principal.permissions:
        return True
    return await context.reads.one(CONCERNED, [approval, context.principal.user]) == b"true"
