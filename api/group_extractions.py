"""Group extractions in GraphQL: an activity's group at each of its times, and who joined and who left."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import strawberry
from anyio import to_thread
from graphql import GraphQLError

from api.commands import key_of
from api.context import Info
from api.customer_groups import CustomerGroup
from api.history import HistoryEntry
from api.messages import message
from api.planner.values import Int64
from api.planner.views import Connection, Node, column, many, one, ref, view
from api.refusals import require
from application import group_extractions
from application.access import Permission
from application.shared.engines import RunFailed, RunFailure
from domain.activity_plans import GroupRole
from domain.group_extractions import ATTEMPTS_EXHAUSTED
from domain.group_memberships import Movement
from domain.shared.refusal import Refused

strawberry.enum(
    Movement, name="GroupMovement", description="Against the extraction before; LEFT is no member any more."
)
GroupExtractionFailure = StrEnum(  # type: ignore[misc]
    "GroupExtractionFailure",
    {**{code.name: code.value for code in RunFailure}, ATTEMPTS_EXHAUSTED.upper(): ATTEMPTS_EXHAUSTED},
)
strawberry.enum(GroupExtractionFailure, description="Why an extraction gave no members.")


@strawberry.enum(description="How far an extraction is; the last two are its ends.")
class GroupExtractionStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@view(
    "read.group_extractions",
    versions="read.group_extraction_versions",
    prefix="ge",
    scope="org_unit",
    permission="records.read",
    order=("due_at desc",),
    description="A customer group as it was at one of its times. Its members are never overwritten.",
)
class GroupExtraction(Node):
    version: int
    org_unit: str
    status: GroupExtractionStatus
    schedule_id: strawberry.ID = ref("schedule_id", "rs")
    activity_id: strawberry.ID = ref("activity_id", "act")
    customer_group_id: strawberry.ID = ref("customer_group_id", "cg")
    customer_group: CustomerGroup | None = one("customer_group_id")
    customer_group_revision: int = column(description="The revision that was extracted.")
    role: GroupRole
    due_at: datetime = column(description="The time that it was done for.")
    business_date: date
    data_from: date = column(description="The first day of the data.")
    data_to: date = column(description="The day after the last one.")
    previous_id: strawberry.ID | None = ref("previous_id", "ge")
    previous: Annotated["GroupExtraction", strawberry.lazy("api.group_extractions")] | None = one(
        "previous_id", description="The extraction that the movements are told against."
    )
    attempt: int
    member_count: Int64 | None
    joined_count: Int64 | None
    stayed_count: Int64 | None
    left_count: Int64 | None
    content_hash: str | None = column(description="SHA-256 of the members.")
    snapshot: str | None = column(description="The state of the warehouse that it is of.")
    failure: GroupExtractionFailure | None
    requested_at: datetime
    ended_at: datetime | None
    changed_at: datetime
    changed_by: str
    history: Connection[HistoryEntry] = many("stream_id", description="Every event, oldest first.")


@strawberry.type(description="A customer, and what became of him with the extraction.")
class GroupMember:
    customer_id: str
    movement: Movement


@strawberry.type
class GroupExtractionQueries:
    @strawberry.field(
        description="Who is in an extraction and who left with it, by customer id: at most 1,000, those after"
        " `after`; of the movements that are named, or of all."
    )
    async def group_members(
        self,
        info: Info,
        extraction_id: strawberry.ID,
        movements: list[Movement] | None = None,
        first: int = 100,
        after: str = "",
    ) -> list[GroupMember]:
        context = info.context
        require(Permission.CUSTOMERS_READ, context)
        engine = context.engine
        if engine is None:
            text = message("unavailable", {}, context.language)
            raise GraphQLError(text, extensions={"code": "UNAVAILABLE"})
        key, wanted = key_of("ge", extraction_id), frozenset(movements or Movement)

        def read() -> list[tuple[str, Movement]]:
            found = group_extractions.movements(context.handler, engine, context.principal, key, after)
            return group_extractions.page(found, wanted.__contains__, max(0, first))

        try:
            members = await to_thread.run_sync(read)
        except Refused:
            text = message("not_found", {}, context.language)
            raise GraphQLError(text, extensions={"code": "NOT_FOUND"}) from None
        except RunFailed as failed:
            text = message("preview_failed", {"reason": failed.code.value}, context.language)
            raise GraphQLError(text, extensions={"code": "PREVIEW_FAILED"}) from None
        return [GroupMember(customer_id=customer, movement=movement) for customer, movement in members]
