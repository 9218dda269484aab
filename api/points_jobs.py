"""Points jobs in GraphQL: where each stands, what every step counted, and where it comes from."""

from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from api.activities import Activity
from api.budgets import BudgetMovement
from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.values import Int64, Points
from api.planner.views import (
    Connection,
    Money,
    Node,
    column,
    computed,
    many,
    masked,
    money,
    one,
    payload,
    ref,
    struct,
    view,
)
from api.work_orders import WorkOrder
from application import points_jobs
from application.points_jobs import PointsTerms
from application.shared.work import Work
from domain.points_ledgers import Origin

if TYPE_CHECKING:
    from api.points_ledgers import PointsEntry
    from api.segment_definitions import SegmentDefinition
    from api.segment_runs import SegmentRun

PROJECTIONS = ("points_jobs", "budgets", "budget_movements", "timeline")
BUDGET = "budget.read"

PointsOrigin = strawberry.enum(
    Origin,
    name="PointsOrigin",
    description="SEGMENTATION: from a segmentation's result. GENERAL: from anything else.",
)


@strawberry.enum(
    description="Where a points job stands. In RELEASED its file goes out, in RECALLING it is taken back."
)
class PointsJobStatus(StrEnum):
    OPENED = "opened"
    RESERVED = "reserved"
    FILED = "filed"
    RELEASED = "released"
    SENT = "sent"
    RECALLING = "recalling"
    AWAITING_ACKNOWLEDGEMENT = "awaiting_acknowledgement"
    ACKNOWLEDGEMENT_FAULTY = "acknowledgement_faulty"
    ACKNOWLEDGED = "acknowledged"
    POSTED = "posted"
    DIFFERING = "differing"
    RECONCILED = "reconciled"
    SETTLED = "settled"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


@struct
class PointsDifference:
    """One line that result, file, acknowledgement and ledger do not agree on; line 0: only the sums."""

    line: int
    kind: str


@struct
class PointsRefusedLine:
    """An accepted line that the customer's ledger did not take."""

    number: int
    code: str


@struct
class PointsJobFault:
    """A fault in a line of an acknowledgement, or a detail of a failure."""

    code: str | None
    line: int | None
    field: str | None
    name: str | None
    value: str | None


@view(
    "read.points_jobs",
    versions="read.points_job_versions",
    prefix="pj",
    scope="org_unit",
    permission="records.read",
    order=("created_at",),
    description="One segmentation result on its way to customers' points.",
)
class PointsJob(Node):
    version: int
    org_unit: str
    status: PointsJobStatus
    name: str
    programme: str
    business_date: date
    sequence: int
    file_name: str
    origin: PointsOrigin  # type: ignore[valid-type]
    business_type: str
    unit_cost: str | None = masked(BUDGET, description="What one point costs, a decimal of the currency.")
    currency: str
    attempt: int
    run_id: strawberry.ID = ref("run_id", "sr", description="The run whose result it is.")
    result_hash: str
    definition_id: strawberry.ID = ref("definition_id", "sd")
    definition_revision: int
    definition_hash: str
    work_order_id: strawberry.ID | None = ref("work_order_id", "wo")
    definition_sql: str | None = computed(
        "(select v.sql from read.segment_definition_versions v where v.id = {row}.definition_id"
        " and v.revision = {row}.definition_revision"
        " order by v.epoch_from desc, v.position_from desc limit 1)",
        description="The SQL in the revision that was run, whatever the definition says now.",
    )
    run: Annotated["SegmentRun", strawberry.lazy("api.segment_runs")] | None = one("run_id")
    definition: Annotated["SegmentDefinition", strawberry.lazy("api.segment_definitions")] | None = one(
        "definition_id"
    )
    work_order: WorkOrder | None = one("work_order_id")
    activity_id: strawberry.ID = ref("activity_id", "act")
    activity_revision: int
    activity: Activity | None = one("activity_id")
    approval_ids: list[strawberry.ID] = ref(
        "approval_ids", "apr", description="Those of definition, work order and activity that it rests on."
    )
    lines: int | None
    points: Points | None
    amount: Money | None = money("amount_minor", "currency", permission=BUDGET)
    consumed: Money | None = money("consumed_minor", "currency", permission=BUDGET)
    bytes: Int64 | None
    sha256: str | None = column(description="Of the whole points file.")
    sending: int = column(description="How often the file went out, from 1.")
    answer_by: datetime | None
    is_overdue: bool = column(description="No acknowledgement that can be believed came in time.")
    answer_sha256: str | None
    accepted: int | None
    rejected: int | None
    accepted_points: Points | None
    rejected_points: Points | None
    posted: int | None
    posted_points: Points | None
    refused: int | None
    refused_lines: list[PointsRefusedLine] = column(description="The first 100 of them.")
    reversed_points: Points = column(description="Of those that were posted, taken back by reversals.")
    refunded: Money | None = money(
        "refunded_minor", "currency", permission=BUDGET, description="What these gave back to the budget."
    )
    differing: int | None
    differences: list[PointsDifference] = column(description="The first 100 of them.")
    failure: str | None = column(
        description="Why it stopped; points_file_taken: it goes on, for its file could not be recalled."
    )
    faults: list[PointsJobFault] | None = masked(
        BUDGET, description="Null for who may not see budgets: among them is what a budget lacked."
    )
    reason: str | None
    confirmation: str | None = column(description="Where the points system says that it took nothing.")
    entries: Connection[Annotated["PointsEntry", strawberry.lazy("api.points_ledgers")]] = many(
        "job_id", description="What it posted."
    )
    budget_movements: Connection[BudgetMovement] = many("reference_id")
    history: Connection[HistoryEntry] = many("stream_id", description="Each step, oldest first.")
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


# --- Mutations ------------------------------------------------------------


@strawberry.input(description="unitCost: what one point costs, a decimal such as 0.002.")
class OpenPointsJobInput:
    run_id: strawberry.ID
    programme: str
    business_type: str
    unit_cost: str
    currency: str = "CNY"


@strawberry.input(description="The points job.")
class PointsJobInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.input(description="The points job, and why.")
class PointsJobReasonInput:
    id: strawberry.ID
    reason: str
    expected_version: int | None = None


@strawberry.input(
    description="The points job, and why. confirmation: where the points system says that it booked nothing"
    " of a file that it has taken, such as the number of its letter. Another person gives it than the"
    " one whose recall found the file taken."
)
class RecallPointsFileInput:
    id: strawberry.ID
    reason: str
    confirmation: str = ""
    expected_version: int | None = None


@strawberry.type
class PointsJobPayload(Payload):
    points_job: PointsJob | None = payload("subject")


async def _on_job(
    info: Info, operation: str, input: Any, use_case: Callable[[Work], UUID]
) -> PointsJobPayload:
    return await execute(info, PointsJobPayload, operation, input, use_case, PROJECTIONS)


@strawberry.type
class PointsJobMutations:
    @strawberry.mutation(description="Open the points job of a succeeded run of a work order; there is one.")
    async def open_points_job(self, info: Info, input: OpenPointsJobInput) -> PointsJobPayload:
        key = key_of("sr", input.run_id)
        terms = PointsTerms(input.programme, input.business_type, input.unit_cost, input.currency)
        return await _on_job(
            info, "openPointsJob", input, lambda work: points_jobs.open_job(work, key, terms)
        )

    @strawberry.mutation(description="Begin a failed job anew, from the count on.")
    async def retry_points_job(self, info: Info, input: PointsJobInput) -> PointsJobPayload:
        key = key_of("pj", input.id)
        return await _on_job(info, "retryPointsJob", input, lambda work: points_jobs.retry(work, key))

    @strawberry.mutation(description="Give a job up before its file is released; its reservation is free.")
    async def withdraw_points_job(self, info: Info, input: PointsJobReasonInput) -> PointsJobPayload:
        key = key_of("pj", input.id)
        return await _on_job(
            info, "withdrawPointsJob", input, lambda work: points_jobs.withdraw(work, key, input.reason)
        )

    @strawberry.mutation(
        description="Hand the same file over once more: what the points system knows is a duplicate to it."
    )
    async def resend_points_file(self, info: Info, input: PointsJobReasonInput) -> PointsJobPayload:
        key = key_of("pj", input.id)
        return await _on_job(
            info, "resendPointsFile", input, lambda work: points_jobs.resend(work, key, input.reason)
        )

    @strawberry.mutation(
        description="Take a file back that is out and not answered. A worker finds out: either the job is"
        " WITHDRAWN and its reservation free, or the points system has taken the file and the job goes on."
    )
    async def recall_points_file(self, info: Info, input: RecallPointsFileInput) -> PointsJobPayload:
        key, given = key_of("pj", input.id), (input.reason, input.confirmation)
        return await _on_job(
            info, "recallPointsFile", input, lambda work: points_jobs.recall(work, key, *given)
        )

    @strawberry.mutation(description="Take what the reconciliation found as it is, for a reason.")
    async def accept_points_job_differences(
        self, info: Info, input: PointsJobReasonInput
    ) -> PointsJobPayload:
        key = key_of("pj", input.id)
        return await _on_job(
            info,
            "acceptPointsJobDifferences",
            input,
            lambda work: points_jobs.accept_differences(work, key, input.reason),
        )
