"""Group extractions in GraphQL: an activity's group at each of its times, and who joined and who left."""

from datetime import date, datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import strawberry
from anyio import to_thread
from graphql import GraphQLError

from api.commands import key_of
from api.context import Context, Info
from api.customer_groups import CustomerGroup
from api.graphql_errors import refused
from api.history import HistoryEntry
from api.listed_customers import parts, place_of, record, require_page_size
from api.messages import message
from api.planner import ids
from api.planner.requests import DEFAULT_PAGE_SIZE
from api.planner.values import Cursor, Int64
from api.planner.views import Connection, Node, column, many, one, ref, view
from api.refusals import require
from application import group_extractions
from application.access import Permission
from application.shared.engines import Engine, RunFailed, RunFailure
from domain.activity_plans import GroupRole
from domain.group_extractions import ATTEMPTS_EXHAUSTED
from domain.group_memberships import Movement
from domain.shared.refusal import Refused

OPERATION = "listGroupMembers"
SUBJECT = "group_members"

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
        description="Who is in an extraction and who left with it, by customer id; of the movements that are"
        " named, or of all. Each page is recorded among the downloads."
    )
    async def group_members(
        self,
        info: Info,
        extraction_id: strawberry.ID,
        movements: list[Movement] | None = None,
        first: int = DEFAULT_PAGE_SIZE,
        after: Cursor | None = None,
    ) -> Connection[GroupMember]:
        context = info.context
        require(Permission.CUSTOMERS_READ, context)
        if context.engine is None:
            raise refused("UNAVAILABLE", context.language)
        require_page_size(context, first)
        key, wanted = key_of("ge", extraction_id), frozenset(Movement if movements is None else movements)
        read = partial(_read, context, context.engine, key, wanted, first, after)
        try:
            return Connection(**await to_thread.run_sync(read))
        except Refused:
            raise refused("NOT_FOUND", context.language) from None
        except RunFailed as failed:
            text = message("preview_failed", {"reason": failed.code.value}, context.language)
            raise GraphQLError(text, extensions={"code": "PREVIEW_FAILED"}) from None


def _read(
    context: Context, engine: Engine, key: UUID, wanted: frozenset[Movement], first: int, after: str | None
) -> dict[str, Any]:
    list_, place = (key.hex, 0) if after is None else place_of(after)
    if list_ != key.hex:
        raise refused("BAD_CURSOR", context.language)
    page = group_extractions.page(context.handler, engine, context.principal, key, wanted, place, first)
    if page.rows:
        asked = {"id": ids.encode("ge", key), "movements": sorted(wanted), "from": page.rows[0][0]}
        record(context, OPERATION, SUBJECT, asked, len(page.rows))
    rows = [(at, GroupMember(customer_id=customer, movement=what)) for at, customer, what in page.rows]
    return parts(list_, rows, page.total, place, more=page.has_more)
