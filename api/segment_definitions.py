"""Segment definitions in GraphQL: governed SQL, its mapping to files, its approval."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from graphql import GraphQLError

from api.approvals import Approval
from api.commands import Payload, execute, key_of
from api.context import Info
from api.history import HistoryEntry
from api.messages import message
from api.planner.views import Connection, Node, column, many, one, payload, ref, struct, view
from api.refusals import require
from application import segment_definitions
from application.access import Permission
from application.segment_definitions import Gate
from application.shared.work import Work
from domain.segment_contents import (
    DeclaredParameter,
    FieldFormat,
    MappedColumn,
    Mask,
    Output,
    ParameterType,
    SegmentContent,
)
from domain.segment_definitions import DefinitionKind

if TYPE_CHECKING:
    from api.run_schedules import RunSchedule
    from api.segment_runs import SegmentRun
    from api.work_orders import WorkOrder

PROJECTIONS = ("segment_definitions", "approvals", "timeline")

strawberry.enum(
    DefinitionKind,
    name="SegmentKind",
    description="Whose definition it is: GENERAL is no work order's, the others are their work order's.",
)
strawberry.enum(ParameterType, name="SegmentParameterType", description="What a parameter's value is.")
strawberry.enum(
    FieldFormat,
    name="FieldFormat",
    description="CENTS writes minor units as they are, YUAN with two decimals; DATE_COMPACT is 20260701.",
)
strawberry.enum(
    Mask,
    name="FieldMask",
    description="BY_CLASS masks personal columns alone; CLEAR shows them and needs an exemption.",
)


@strawberry.enum(description="Where the newest revision is; approvedRevision tells what runs perform.")
class SegmentDefinitionStatus(StrEnum):
    DRAFT = "draft"
    PENDING_RESEARCH = "pending_research"
    PENDING_TECHNOLOGY = "pending_technology"
    RESEARCH_REJECTED = "research_rejected"
    TECHNOLOGY_REJECTED = "technology_rejected"
    APPROVED = "approved"


@struct
class SegmentOutput:
    """A column of the result, classified."""

    name: str
    is_personal: bool


@struct
class SegmentParameter:
    """A named parameter besides data_from, data_to and business_date."""

    name: str
    type: ParameterType


@struct
class CodeTranslation:
    """What is written for a value."""

    value: str
    text: str


@struct
class MappedField:
    """One field of an exported file, in the order of the list; width 0 leaves the length as it is."""

    target: str
    source: str | None
    constant: str | None
    format: FieldFormat
    width: int
    is_zero_padded: bool
    mask: Mask
    translation: list[CodeTranslation]
    exemption: str


@view(
    "read.segment_definitions",
    versions="read.segment_definition_versions",
    prefix="sd",
    scope="org_unit",
    permission="records.read",
    order=("created_at",),
    description="SQL that selects customers, in its newest revision; the approved one stays in force.",
)
class SegmentDefinition(Node):
    version: int
    revision: int
    code: str
    org_unit: str
    kind: DefinitionKind
    work_order_id: strawberry.ID | None = ref("work_order_id", "wo")
    work_order: Annotated["WorkOrder", strawberry.lazy("api.work_orders")] | None = one("work_order_id")
    status: SegmentDefinitionStatus
    name: str
    description: str
    sql: str
    source: str
    primary_index: list[str] = column(description="Columns that are never null and together unique.")
    outputs: list[SegmentOutput]
    parameters: list[SegmentParameter]
    mapping: list[MappedField]
    approved_revision: int | None = column(description="The revision that runs perform; null: none yet.")
    approved_hash: str | None = column(description="What its approvers saw.")
    approved_at: datetime | None
    created_at: datetime
    created_by: str
    submitted_at: datetime | None
    submitted_by: str | None
    reason: str | None
    changed_at: datetime
    changed_by: str
    approval_id: strawberry.ID | None = ref("approval_id", "apr")
    approval: Approval | None = one("approval_id")
    approvals: Connection[Approval] = many(
        "subject_id", description="Every approval that was ever asked for."
    )
    origin_id: strawberry.ID | None = ref("origin_id", "sd")
    origin_revision: int | None = column(description="The revision that it was copied from.")
    origin: Annotated["SegmentDefinition", strawberry.lazy("api.segment_definitions")] | None = one(
        "origin_id"
    )
    copies: Connection[Annotated["SegmentDefinition", strawberry.lazy("api.segment_definitions")]] = many(
        "origin_id", description="Where it is used again: the definitions in sight that are copies of it."
    )
    schedules: Connection[Annotated["RunSchedule", strawberry.lazy("api.run_schedules")]] = many(
        "definition_id", description="The schedule by which it runs; once set it stays to be seen."
    )
    runs: Connection[Annotated["SegmentRun", strawberry.lazy("api.segment_runs")]] = many(
        "definition_id", description="Its runs and trials, the newest first."
    )
    history: Connection[HistoryEntry] = many("stream_id", description="Its own events, oldest first.")
    timeline: Connection[HistoryEntry] = many(
        array="related_ids", description="Its own events, those of its approvals and runs, oldest first."
    )


# --- Inputs and payloads --------------------------------------------------


@strawberry.input(description="isPersonal must be said of every column; left out, it is refused.")
class SegmentOutputInput:
    name: str
    is_personal: bool | None = None


@strawberry.input(description="A parameter besides data_from, data_to and business_date.")
class SegmentParameterInput:
    name: str
    type: ParameterType


@strawberry.input(description="What is written for a value.")
class CodeTranslationInput:
    value: str
    text: str


@strawberry.input(description="Either a source, which is an output, or a constant.")
class MappedFieldInput:
    target: str
    source: str | None = None
    constant: str | None = None
    format: FieldFormat = FieldFormat.TEXT
    width: int = 0
    is_zero_padded: bool = False
    mask: Mask = Mask.BY_CLASS
    translation: list[CodeTranslationInput] = strawberry.field(default_factory=list)
    exemption: str = ""


@strawberry.input(description="The whole content.")
class SegmentContentInput:
    name: str = ""
    description: str = ""
    sql: str = ""
    source: str = ""
    primary_index: list[str] = strawberry.field(default_factory=list)
    outputs: list[SegmentOutputInput] = strawberry.field(default_factory=list)
    parameters: list[SegmentParameterInput] = strawberry.field(default_factory=list)
    mapping: list[MappedFieldInput] = strawberry.field(default_factory=list)


@strawberry.input(description="ACTIVITY and EVALUATION need a work order that is open, GENERAL none.")
class DraftSegmentDefinitionInput(SegmentContentInput):
    code: str = ""
    kind: DefinitionKind = DefinitionKind.GENERAL
    work_order_id: strawberry.ID | None = None


@strawberry.input(
    description="The approved content of sourceId, a definition in sight, for another work order or none."
)
class ReuseSegmentDefinitionInput:
    source_id: strawberry.ID
    code: str = ""
    kind: DefinitionKind = DefinitionKind.GENERAL
    work_order_id: strawberry.ID | None = None


@strawberry.input(description="The whole content anew.")
class ReviseSegmentDefinitionInput(SegmentContentInput):
    id: strawberry.ID = strawberry.ID("")
    expected_version: int | None = None


@strawberry.input(description="One definition, optionally at the version that the caller has seen.")
class SegmentDefinitionInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.type
class SegmentDefinitionPayload(Payload):
    segment_definition: SegmentDefinition | None = payload("subject")


# --- Mutations ------------------------------------------------------------


async def _on_definition(
    info: Info, verb: str, input: Any, use_case: Callable[[Work], UUID]
) -> SegmentDefinitionPayload:
    operation = f"{verb}SegmentDefinition"
    return await execute(info, SegmentDefinitionPayload, operation, input, use_case, PROJECTIONS)


@strawberry.type
class SegmentDefinitionMutations:
    @strawberry.mutation(description="Draft a definition of one's own organisation unit; the gate checks it.")
    async def draft_segment_definition(
        self, info: Info, input: DraftSegmentDefinitionInput
    ) -> SegmentDefinitionPayload:
        gate, content = _gate(info), _content(input)
        work_order = None if input.work_order_id is None else key_of("wo", input.work_order_id)

        def use_case(work: Work) -> UUID:
            return segment_definitions.draft(work, gate, input.code, input.kind, work_order, content)

        return await _on_definition(info, "draft", input, use_case)

    @strawberry.mutation(description="Draft a definition of one's own unit as a copy of an approved one.")
    async def reuse_segment_definition(
        self, info: Info, input: ReuseSegmentDefinitionInput
    ) -> SegmentDefinitionPayload:
        gate, source = _gate(info), key_of("sd", input.source_id)
        order = None if input.work_order_id is None else key_of("wo", input.work_order_id)

        def use_case(work: Work) -> UUID:
            return segment_definitions.reuse(work, gate, source, input.code, input.kind, order)

        return await _on_definition(info, "reuse", input, use_case)

    @strawberry.mutation(
        description="Give the whole content anew. An approval under way is void; what was approved stays in"
        " force until the new revision is approved."
    )
    async def revise_segment_definition(
        self, info: Info, input: ReviseSegmentDefinitionInput
    ) -> SegmentDefinitionPayload:
        gate, key, content = _gate(info), key_of("sd", input.id), _content(input)
        return await _on_definition(
            info, "revise", input, lambda work: segment_definitions.revise(work, gate, key, content)
        )

    @strawberry.mutation(description="Ask for the approval of the newest revision.")
    async def submit_segment_definition(
        self, info: Info, input: SegmentDefinitionInput
    ) -> SegmentDefinitionPayload:
        gate, key = _gate(info), key_of("sd", input.id)
        return await _on_definition(
            info, "submit", input, lambda work: segment_definitions.submit(work, gate, key)
        )

    @strawberry.mutation(description="Take a submission back; its approval is void.")
    async def withdraw_segment_definition(
        self, info: Info, input: SegmentDefinitionInput
    ) -> SegmentDefinitionPayload:
        key = key_of("sd", input.id)
        return await _on_definition(
            info, "withdraw", input, lambda work: segment_definitions.withdraw(work, key)
        )

    @strawberry.mutation(description="Delete a definition that nothing rests on; its history stays.")
    async def delete_segment_definition(
        self, info: Info, input: SegmentDefinitionInput
    ) -> SegmentDefinitionPayload:
        key = key_of("sd", input.id)
        return await _on_definition(info, "delete", input, lambda work: segment_definitions.delete(work, key))


def _gate(info: Info) -> Gate:
    """The engine's check. Raise GraphQLError for who may not define, and where there is no warehouse."""
    context = info.context
    require(Permission.SEGMENTS_DEFINE, context)
    if context.engine is None:
        text = message("unavailable", {}, context.language)
        raise GraphQLError(text, extensions={"code": "UNAVAILABLE"})
    return context.engine.check


def _content(input: SegmentContentInput) -> SegmentContent:
    return SegmentContent(
        name=input.name,
        description=input.description,
        sql=input.sql,
        source=input.source,
        primary_index=tuple(input.primary_index),
        outputs=tuple(Output(each.name, each.is_personal) for each in input.outputs),
        parameters=tuple(DeclaredParameter(each.name, each.type) for each in input.parameters),
        mapping=tuple(
            MappedColumn(
                target=each.target,
                source=each.source,
                constant=each.constant,
                format=each.format,
                width=each.width,
                is_zero_padded=each.is_zero_padded,
                mask=each.mask,
                translation={pair.value: pair.text for pair in each.translation},
                exemption=each.exemption.strip(),
            )
            for each in input.mapping
        ),
    )
