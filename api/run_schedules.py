"""Run schedules in GraphQL: when a definition runs by itself, and when an activity's groups are extracted."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from api.activity_plans import (
    Frequency,
    FrequencyInput,
    Timeframe,
    TimeframeInput,
    frequency_of,
    timeframe_of,
)
from api.commands import Payload, execute, key_of
from api.context import Info
from api.customer_groups import CustomerGroup
from api.history import HistoryEntry
from api.planner.views import Connection, Node, column, many, one, payload, ref, struct, view
from api.segment_definitions import SegmentDefinition
from api.segment_runs import RunParameterInput, SegmentRun
from application import run_schedules
from application.shared.work import Work
from domain.activity_plans import GroupRole
from domain.run_schedules import BlockingStrategy, Status

PROJECTIONS = ("run_schedules", "timeline")

strawberry.enum(
    BlockingStrategy,
    name="BlockingStrategy",
    description="What is done with a time at which the former run still runs: left out, or done afterwards.",
)
RunScheduleStatus = strawberry.enum(
    Status, name="RunScheduleStatus", description="OVER: no time comes any more."
)


@struct
class ScheduledValue:
    """What is bound to a parameter, as canonical text."""

    name: str
    value: str


@view(
    "read.run_schedules",
    versions="read.run_schedule_versions",
    prefix="rs",
    scope="org_unit",
    permission="records.read",
    order=("created_at",),
    description="What is done by itself, again and again: a definition run, or a group extracted.",
)
class RunSchedule(Node):
    version: int
    org_unit: str
    status: Status
    definition_id: strawberry.ID | None = ref("definition_id", "sd")
    definition: SegmentDefinition | None = one("definition_id")
    activity_id: strawberry.ID | None = ref("activity_id", "act")
    customer_group_id: strawberry.ID | None = ref("customer_group_id", "cg")
    customer_group: CustomerGroup | None = one("customer_group_id")
    role: GroupRole | None
    frequency: Frequency
    timeframe: Timeframe | None
    parameters: list[ScheduledValue]
    strategy: BlockingStrategy
    until: datetime | None = column(description="From then on no time comes.")
    next_at: datetime | None
    next_times: list[datetime] = column(description="The next five times.")
    last_due_at: datetime | None = column(description="The last time that was used up.")
    last_run_id: strawberry.ID | None = ref("last_run_id", "sr")
    last_run: SegmentRun | None = one("last_run_id")
    last_extraction_id: strawberry.ID | None = ref("last_extraction_id", "ge")
    left_out: str | None = column(description="Why nothing was done for that time, as a code.")
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    extractions: Connection[
        Annotated["GroupExtraction", strawberry.lazy("api.group_extractions")]  # type: ignore[name-defined]  # noqa: F821
    ] = many("schedule_id", description="What was extracted by it, the latest first.")
    history: Connection[HistoryEntry] = many("stream_id", description="Every event, oldest first.")


@strawberry.input(
    description="When the approved definition runs by itself. business_date is that of the due time,"
    " data_from and data_to those of the timeframe; parameters are the other values."
)
class SetSegmentScheduleInput:
    definition_id: strawberry.ID
    frequency: FrequencyInput
    strategy: BlockingStrategy = BlockingStrategy.DISCARD_LATER
    timeframe: TimeframeInput | None = None
    parameters: list[RunParameterInput] = strawberry.field(default_factory=list)
    expected_version: int | None = None


@strawberry.input(description="The definition that no longer runs by itself.")
class WithdrawSegmentScheduleInput:
    definition_id: strawberry.ID
    expected_version: int | None = None


@strawberry.type
class RunSchedulePayload(Payload):
    run_schedule: RunSchedule | None = payload("subject")


@strawberry.type
class RunScheduleMutations:
    @strawberry.mutation(
        description="Let what is approved of a definition run by itself, in place of a former schedule."
    )
    async def set_segment_schedule(self, info: Info, input: SetSegmentScheduleInput) -> RunSchedulePayload:
        key, frequency = key_of("sd", input.definition_id), frequency_of(input.frequency)
        timeframe = None if input.timeframe is None else timeframe_of(input.timeframe)
        values = {each.name: each.value for each in input.parameters}

        def use_case(work: Work) -> UUID:
            return run_schedules.set_for_definition(work, key, frequency, input.strategy, timeframe, values)

        return await execute(info, RunSchedulePayload, "setSegmentSchedule", input, use_case, PROJECTIONS)

    @strawberry.mutation(description="End a definition's schedule; a run that has begun goes on.")
    async def withdraw_segment_schedule(
        self, info: Info, input: WithdrawSegmentScheduleInput
    ) -> RunSchedulePayload:
        key = key_of("sd", input.definition_id)

        def use_case(work: Work) -> UUID:
            return run_schedules.withdraw_for_definition(work, key)

        return await execute(
            info, RunSchedulePayload, "withdrawSegmentSchedule", input, use_case, PROJECTIONS
        )
