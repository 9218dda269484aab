"""Figures of activities in GraphQL: whom each speaks to, whom it is for, who qualified; with the lists."""

from datetime import date, datetime
from enum import StrEnum
from functools import partial

import strawberry
from anyio import to_thread
from graphql import GraphQLError

from api.commands import Payload, execute, key_of
from api.context import Context, Info
from api.graphql_errors import refused
from api.history import HistoryEntry
from api.listed_customers import parts, place_of, record, require_page_size
from api.messages import message
from api.pasts import recorded
from api.planner.masks import MaskReason
from api.planner.requests import DEFAULT_PAGE_SIZE
from api.planner.values import Cursor
from api.planner.views import Connection, Node, column, many, payload, ref, struct, view
from api.refusals import UserError, require, user_error
from application import activity_figures
from application.access import Permission
from application.activity_figures import CustomerPage, ListedCustomer
from application.shared.engines import Engine, RunFailed
from domain.activity_figures import Exclusion, Figure
from domain.shared.refusal import Refused

PROJECTIONS = ("activity_figures", "activity_counts", "timeline")
OPERATION = "listActivityCustomers"
SUBJECT = "activity_customers"

strawberry.enum(
    Figure,
    name="ActivityFigure",
    description="TARGET: members of its target groups. APPLICABLE: those whom no exclusion leaves out."
    " QUALIFIED: whom the runs of its work orders have found.",
)


@strawberry.enum(description="How the newest count stands; a failed one leaves the figures as they are.")
class ActivityFiguresStatus(StrEnum):
    QUEUED = "queued"
    COUNTING = "counting"
    COUNTED = "counted"
    FAILED = "failed"


@struct
class ExcludedCustomers:
    """How many of the target an exclusion leaves out; each customer counts for the first that he meets."""

    exclusion: Exclusion
    count: int


@struct
class CountedGroup:
    """A target group as it was counted: in the plan's revision of it, with its data of these days."""

    customer_group_id: strawberry.ID = ref("customer_group_id", "cg")
    customer_group_revision: int = column("customer_group_revision")
    data_from: date = column("data_from")
    data_to: date = column("data_to", description="Not among the days.")


@struct
class CountedRun:
    """A run whose result was counted."""

    run_id: strawberry.ID = ref("run_id", "sr")
    work_order_id: strawberry.ID = ref("work_order_id", "wo")


@view(
    "read.activity_counts",
    past=recorded("read.activity_counts", "figures_id"),
    prefix="ac",
    scope="org_unit",
    permission="records.read",
    order=("counted_at", "number"),
    description="One count of an activity; it never changes.",
)
class ActivityCount(Node):
    number: int
    target: int | None
    applicable: int | None
    qualified: int | None
    excluded: list[ExcludedCustomers]
    plan_revision: int
    business_date: date
    snapshot: str | None = column(description="The state of the warehouse that target and applicable are of.")
    counted_groups: list[CountedGroup]
    counted_runs: list[CountedRun]
    target_hash: str | None = column(description="SHA-256 of the list behind target and applicable.")
    qualified_hash: str | None = column(description="SHA-256 of the list behind qualified.")
    counted_at: datetime


@view(
    "read.activity_figures",
    versions="read.activity_figure_versions",
    prefix="fg",
    scope="org_unit",
    permission="records.read",
    order=("changed_at",),
    description="The figures of an activity as they were last counted, by the worker and never by hand.",
)
class ActivityFigures(Node):
    version: int
    activity_id: strawberry.ID = ref("activity_id", "act")
    org_unit: str
    code: str
    status: ActivityFiguresStatus
    number: int = column(description="The count that was asked for last.")
    requested_at: datetime
    requested_by: str
    failure: str | None = column(description="Why the newest count failed.")
    counted_number: int | None = column(description="The count that the figures are of.")
    counted_at: datetime | None
    target: int | None = column(description="Target head-count; null without target groups.")
    applicable: int | None = column(description="Applicable head-count; null without target groups.")
    qualified: int | None = column(description="Null as long as no run of a work order has succeeded.")
    excluded: list[ExcludedCustomers]
    plan_revision: int | None
    business_date: date | None
    snapshot: str | None = column(description="The state of the warehouse that target and applicable are of.")
    counted_groups: list[CountedGroup]
    counted_runs: list[CountedRun]
    counts: Connection[ActivityCount] = many("figures_id", description="Every count, oldest first.")
    history: Connection[HistoryEntry] = many("stream_id", description="Its own events, oldest first.")
    changed_at: datetime


# --- A count --------------------------------------------------------------


@strawberry.input(description="The activity to be counted anew.")
class CountActivityInput:
    id: strawberry.ID
    expected_version: int | None = strawberry.field(
        default=strawberry.UNSET, description="The version that you saw of the activity."
    )


@strawberry.type
class ActivityFiguresPayload(Payload):
    activity_figures: ActivityFigures | None = payload("subject")


@strawberry.type
class ActivityFiguresMutations:
    @strawberry.mutation(description="Let the worker count target, applicable and qualified customers anew.")
    async def count_activity(self, info: Info, input: CountActivityInput) -> ActivityFiguresPayload:
        key = key_of("act", input.id)
        return await execute(
            info,
            ActivityFiguresPayload,
            "countActivity",
            input,
            lambda work: activity_figures.request(work, key),
            PROJECTIONS,
        )


# --- The lists ------------------------------------------------------------


@strawberry.type(description="A customer of a list.")
class ActivityCustomer:
    customer: str | None = strawberry.field(description="The id, for who reads the unit's customers.")
    customer_masked: MaskReason | None
    excluded_for: Exclusion | None = strawberry.field(description="Why a customer of the target is left out.")


@strawberry.type(description="Customers behind a figure, by id, and of which count they are.")
class ActivityCustomerConnection(Connection[ActivityCustomer]):
    count: int | None = strawberry.field(description="The number of the count; null where there is none.")
    user_errors: list[UserError] = strawberry.field(description="Why there is no such list.")


@strawberry.type
class ActivityFiguresQueries:
    @strawberry.field(
        description="The customers behind a figure of the newest count, or of the one of that number."
        " Each page of ids that are not masked is recorded among the downloads."
    )
    async def activity_customers(
        self,
        info: Info,
        id: strawberry.ID,
        figure: Figure,
        count: int | None = None,
        first: int = DEFAULT_PAGE_SIZE,
        after: Cursor | None = None,
    ) -> ActivityCustomerConnection:
        context = info.context
        require(Permission.RECORDS_READ, context)
        if context.engine is None:
            raise refused("UNAVAILABLE", context.language)
        require_page_size(context, first)
        number, offset = (count, 0) if after is None else _position(context, after)
        shown = partial(_shown, context, context.engine, id, figure, number, offset, first)
        try:
            page = await to_thread.run_sync(shown)
        except Refused as declined:
            faults = [user_error(fault, context.language) for fault in declined.faults]
            nothing = parts("", (), 0, 0, more=False)
            return ActivityCustomerConnection(**nothing, count=None, user_errors=faults)
        except RunFailed as failed:
            text = message("list_unusable", {"reason": failed.code.value}, context.language)
            raise GraphQLError(text, extensions={"code": "LIST_UNUSABLE"}) from None
        rows = [(place, _customer(each, page)) for place, each in enumerate(page.customers, page.first + 1)]
        more = page.first + len(rows) < page.total
        found = parts(str(page.number), rows, page.total, page.first, more=more)
        return ActivityCustomerConnection(**found, count=page.number, user_errors=[])


def _customer(listed: ListedCustomer, page: CustomerPage) -> ActivityCustomer:
    return ActivityCustomer(
        customer=listed.customer,
        customer_masked=None if page.masked is None else MaskReason(page.masked),
        excluded_for=listed.excluded_for,
    )


def _shown(
    context: Context, engine: Engine, id_: str, figure: Figure, number: int | None, offset: int, first: int
) -> CustomerPage:
    handler = context.handler
    work = activity_figures.reading(handler, context.principal)
    page = activity_figures.page(work, engine, key_of("act", id_), figure, number, offset, first)
    if page.masked is None and page.customers:
        asked = {"id": id_, "figure": figure.name, "count": page.number, "from": page.first}
        record(context, OPERATION, SUBJECT, asked, len(page.customers))
    return page


def _position(context: Context, cursor: str) -> tuple[int, int]:
    """The number of the count, and how many come before."""
    number, offset = place_of(cursor)
    if not (number.isascii() and number.isdigit() and 0 < int(number[:10]) < 2**31):
        raise refused("BAD_CURSOR", context.language)
    return int(number), offset
