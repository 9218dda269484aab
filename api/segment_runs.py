"""Segment runs in GraphQL: requested, followed, stopped, retried; the figures of each result."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import strawberry

from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.planner.values import Int64
from api.planner.views import Connection, Node, column, many, one, payload, ref, struct, view
from api.segment_definitions import SegmentDefinition
from application import segment_runs
from application.shared.engines import RunFailure
from application.shared.work import Work
from domain.result_retention import Retention
from domain.segment_contents import ParameterType
from domain.segment_runs import (
    ATTEMPTS_EXHAUSTED,
)

PROJECTIONS = ("segment_runs", "timeline")

strawberry.enum(
    Retention,
    name="RetentionClass",
    description="How long the result is kept: TRIAL 30 days, RESULT five years after the run.",
)
SegmentRunFailure = StrEnum(  # type: ignore[misc]
    "SegmentRunFailure",
    {**{code.name: code.value for code in RunFailure}, ATTEMPTS_EXHAUSTED.upper(): ATTEMPTS_EXHAUSTED},
)
SegmentRunFailure.__doc__ = "Why a run gave no result."
strawberry.enum(SegmentRunFailure, description="Why a run gave no result.")


@strawberry.enum(description="How far a run is; the last three are its ends.")
class SegmentRunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TERMINATED = "terminated"


@struct
class RunParameterValue:
    """What was bound to a parameter, as canonical text: 12, 2026-03-01."""

    name: str
    type: ParameterType
    value: str


@struct
class ResultColumn:
    """A column of the result; the type is the engine's name of it."""

    name: str
    type: str
    is_personal: bool


@struct
class FailureValue:
    """One thing that is known about a failure, such as the count of offending rows."""

    name: str
    value: str


@view(
    "read.segment_runs",
    versions="read.segment_run_versions",
    prefix="sr",
    scope="org_unit",
    permission="records.read",
    order=("requested_at desc",),
    description="One execution of one revision of a definition. Its result is never overwritten.",
)
class SegmentRun(Node):
    version: int
    code: str
    org_unit: str
    status: SegmentRunStatus
    definition_id: strawberry.ID = ref("definition_id", "sd")
    definition: SegmentDefinition | None = one("definition_id")
    definition_revision: int = column(description="The revision that is performed.")
    definition_hash: str = column(description="What approvers saw of it; for a trial, what was drafted.")
    work_order_id: strawberry.ID | None = ref("work_order_id", "wo")
    parameters: list[RunParameterValue]
    is_trial: bool
    row_limit: int | None
    retention: Retention
    attempt: int = column(description="How often a worker has begun it.")
    percent: int
    row_count: Int64 | None
    byte_count: Int64 | None
    duration_ms: Int64 | None
    columns: list[ResultColumn]
    content_hash: str | None = column(description="SHA-256 of the result's rows.")
    snapshot: str | None = column(description="The state of the warehouse that the result is of.")
    failure: SegmentRunFailure | None
    failure_values: list[FailureValue]
    reason: str | None = column(description="Why it was terminated.")
    dropped: list[str] = column(description="What was temporary and is dropped; the result never is.")
    cleaned_up_at: datetime | None
    kept_until: datetime | None = column(description="Before that nobody deletes the result.")
    result_deleted_at: datetime | None = column(
        description="When the rows were deleted, being past their time; the figures stay."
    )
    requested_at: datetime
    requested_by: str
    started_at: datetime | None
    ended_at: datetime | None
    changed_at: datetime
    changed_by: str
    history: Connection[HistoryEntry] = many("stream_id", description="Every event, oldest first.")


# --- Inputs and payloads --------------------------------------------------


@strawberry.input(description="The value in its canonical text: 12, 2026-03-01.")
class RunParameterInput:
    name: str
    value: str


@strawberry.input(description="Run what is approved, now.")
class RequestSegmentRunInput:
    definition_id: strawberry.ID
    parameters: list[RunParameterInput] = strawberry.field(default_factory=list)
    expected_version: int | None = None


@strawberry.input(description="Try the newest revision, approved or not; at most 1,000 rows come of it.")
class TrySegmentDefinitionInput:
    definition_id: strawberry.ID
    row_limit: int = 100
    parameters: list[RunParameterInput] = strawberry.field(default_factory=list)
    expected_version: int | None = None


@strawberry.input(description="The run.")
class SegmentRunInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.input(description="The run, and why it is stopped.")
class TerminateSegmentRunInput:
    id: strawberry.ID
    reason: str
    expected_version: int | None = None


@strawberry.type
class SegmentRunPayload(Payload):
    segment_run: SegmentRun | None = payload("subject")


# --- Mutations ------------------------------------------------------------


async def _on_run(
    info: Info, operation: str, input: Any, use_case: Callable[[Work], UUID]
) -> SegmentRunPayload:
    return await execute(info, SegmentRunPayload, operation, input, use_case, PROJECTIONS)


@strawberry.type
class SegmentRunMutations:
    @strawberry.mutation(
        description="Queue a run of the approved revision; refused while another run of it is live."
    )
    async def request_segment_run(self, info: Info, input: RequestSegmentRunInput) -> SegmentRunPayload:
        key, values = key_of("sd", input.definition_id), _values(input.parameters)
        return await _on_run(
            info, "requestSegmentRun", input, lambda work: segment_runs.request(work, key, values)
        )

    @strawberry.mutation(description="Queue a trial of the newest revision, with a row limit.")
    async def try_segment_definition(self, info: Info, input: TrySegmentDefinitionInput) -> SegmentRunPayload:
        key, values = key_of("sd", input.definition_id), _values(input.parameters)
        return await _on_run(
            info,
            "trySegmentDefinition",
            input,
            lambda work: segment_runs.try_out(work, key, values, input.row_limit),
        )

    @strawberry.mutation(description="Stop a queued or running run, with a reason.")
    async def terminate_segment_run(self, info: Info, input: TerminateSegmentRunInput) -> SegmentRunPayload:
        key = key_of("sr", input.id)
        return await _on_run(
            info,
            "terminateSegmentRun",
            input,
            lambda work: segment_runs.terminate(work, key, input.reason),
        )

    @strawberry.mutation(description="Queue a failed run again.")
    async def retry_segment_run(self, info: Info, input: SegmentRunInput) -> SegmentRunPayload:
        key = key_of("sr", input.id)
        return await _on_run(info, "retrySegmentRun", input, lambda work: segment_runs.retry(work, key))


def _values(parameters: list[RunParameterInput]) -> dict[str, str]:
    return {each.name: each.value for each in parameters}
