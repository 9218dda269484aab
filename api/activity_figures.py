"""Figures of activities in GraphQL: whom each speaks to, whom it is for, who qualified; with the lists."""

import base64
import json
from datetime import date, datetime
from enum import StrEnum
from functools import partial

import strawberry
from anyio import to_thread
from graphql import GraphQLError

from api.commands import Payload, execute, key_of
from api.context import Context, Info
from api.history import HistoryEntry
from api.messages import message
from api.pasts import recorded
from api.planner.values import Cursor
from api.planner.views import Connection, Node, column, many, payload, ref, struct, view
from api.refusals import UserError, require, user_error
from application import activity_figures, downloads
from application.access import Permission
from application.activity_figures import CustomerPage
from application.shared.engines import Engine, RunFailed
from application.shared.handler import Request
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
    customer: str = strawberry.field(description="The id, masked in the middle where isMasked.")
    excluded_for: Exclusion | None = strawberry.field(description="Why a customer of the target is left out.")


@strawberry.type(description="Customers behind a figure, by id.")
class ActivityCustomerPage:
    count: int | None = strawberry.field(default=None, description="The number of the count.")
    total_count: int | None = strawberry.field(default=None, description="The figure.")
    is_masked: bool = strawberry.field(default=True, description="Whether the viewer sees ids masked only.")
    nodes: list[ActivityCustomer] = strawberry.field(default_factory=list)
    end_cursor: Cursor | None = strawberry.field(default=None, description="Give it as `after` to go on.")
    has_next_page: bool = False
    user_errors: list[UserError] = strawberry.field(default_factory=list)


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
        first: int = 20,
        after: Cursor | None = None,
    ) -> ActivityCustomerPage:
        context = info.context
        require(Permission.RECORDS_READ, context)
        if context.engine is None:
            raise _failed(context, "UNAVAILABLE", "unavailable")
        if not 1 <= first <= context.viewer.page_limit:
            raise _failed(
                context, "BAD_INPUT", "out_of_range", least="1", most=str(context.viewer.page_limit)
            )
        number, offset = (count, 0) if after is None else _position(context, after)
        shown = partial(_shown, context, context.engine, id, figure, number, offset, first)
        try:
            page = await to_thread.run_sync(shown)
        except Refused as refused:
            faults = [user_error(fault, context.language) for fault in refused.faults]
            return ActivityCustomerPage(user_errors=faults)
        except RunFailed as failed:
            raise _failed(context, "LIST_UNUSABLE", "list_unusable", reason=failed.code.value) from None
        end = page.first + len(page.customers)
        return ActivityCustomerPage(
            count=page.number,
            total_count=page.total,
            is_masked=page.is_masked,
            nodes=[
                ActivityCustomer(customer=each.customer, excluded_for=each.excluded_for)
                for each in page.customers
            ],
            end_cursor=_cursor(page.number, end) if page.customers else None,
            has_next_page=end < page.total,
        )


def _shown(
    context: Context, engine: Engine, id_: str, figure: Figure, number: int | None, offset: int, first: int
) -> CustomerPage:
    """The page; without the record of who reads them, no ids are shown in clear."""
    handler = context.handler
    work = activity_figures.reading(handler, context.principal)
    page = activity_figures.page(work, engine, key_of("act", id_), figure, number, offset, first)
    if not page.is_masked and page.customers:
        asked = {"id": id_, "figure": figure.name, "count": page.number, "from": page.first}
        rows, address = len(page.customers), context.address
        request = Request(context.principal, OPERATION, {**asked, "rows": rows, "address": address})
        chosen = json.dumps(asked, separators=(",", ":"))
        handler(request, lambda work: downloads.record(work, SUBJECT, chosen, rows, address))
    return page


def _cursor(number: int, offset: int) -> Cursor:
    """The lists never change, so a place in one is a number; a customer's id would tell the masked viewer."""
    return Cursor(base64.urlsafe_b64encode(f"{number}:{offset}".encode()).decode())


def _position(context: Context, cursor: str) -> tuple[int, int]:
    try:
        number, offset = base64.urlsafe_b64decode(cursor).decode().split(":")
        if not (0 < int(number) < 2**31 and 0 < int(offset) < 2**31):
            raise ValueError
        return int(number), int(offset)
    except ValueError:
        raise _failed(context, "BAD_CURSOR", "bad_cursor") from None


def _failed(context: Context, code: str, sentence: str, **values: str) -> GraphQLError:
    return GraphQLError(message(sentence, values, context.language), extensions={"code": code})
