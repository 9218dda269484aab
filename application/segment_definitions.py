"""The use cases of segment definitions: grants, work order and gate are asked here.

The gate is a function of the segment engine, `Engine.check`; it comes in with each use case.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from uuid import UUID

from application import work_orders
from application.access import CUSTOMER, units_of, visible
from application.shared.approvable import Approvable, new_approval, open_approval, void_approval
from application.shared.engines import GrantedTable, OutputField, Parameter, Query
from application.shared.identifiers import uuid7
from application.shared.records import Log
from application.shared.work import Work
from application.source_grants import granted_references, granted_tables
from domain.approvals import Subject
from domain.run_parameters import parameter_types
from domain.segment_contents import ParameterType, SegmentContent, content_faults
from domain.segment_definitions import (
    DECIDER,
    DefinitionApproved,
    DefinitionDrafted,
    DefinitionKind,
    DefinitionRevised,
    DefinitionSubmitted,
    DeleteDefinition,
    DraftDefinition,
    RecordApproval,
    RecordRejection,
    ReviseDefinition,
    SegmentDefinition,
    SubmitDefinition,
    WithdrawDefinition,
    WorkOrderChoice,
    definition_hash,
)
from domain.segment_runs import DECIDER as RUN
from domain.segment_runs import RunRefusal
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import Claim, Release, claim_id
from domain.shared.references import Reference, User
from domain.shared.refusal import CommonRefusal, Fault, Refused
from domain.source_grants import GrantRefusal

Gate = Callable[[Query], tuple[Fault, ...]]
"""Everything that is wrong with a query, each fault at ("sql",)."""

JUDGED_BY = ("sql", "source", "outputs", "primary_index", "parameters")
"""The parts of a content that the gate needs to be sound."""

EXAMPLES: Mapping[ParameterType, str | int | date] = {
    ParameterType.TEXT: "x",
    ParameterType.INTEGER: 1,
    ParameterType.DATE: date(2026, 1, 1),
}
"""What the gate sees bound while no run has given values."""


def draft(
    work: Work,
    gate: Gate,
    code: str,
    kind: DefinitionKind,
    work_order: UUID | None,
    content: SegmentContent,
    origin: Reference | None = None,
) -> UUID:
    """A new definition of the principal's own unit; `origin` is what its first content is a copy of."""
    definition_id = uuid7()
    claim = claim_id("segment_definition.code", code)
    entered = _entered(content)
    command = DraftDefinition(
        code=code,
        org_unit=work.principal.org_unit,
        kind=kind,
        work_order=_work_order(work, work_order),
        content=entered,
        by=work.principal.user,
        is_code_free=work.state(CLAIM, claim).is_free_for(definition_id),
        gate=_gate_faults(work, gate, work.principal.org_unit, entered),
        origin=origin,
    )
    work.begin(DECIDER, definition_id, command)
    work.decide(CLAIM, claim, Claim(definition_id))
    if work_order is not None:
        user = User(definition_id, "segment_definition", code, work.principal.org_unit)
        work.link(user, [work_order])
    return definition_id


def reuse(
    work: Work, gate: Gate, source_id: UUID, code: str, kind: DefinitionKind, work_order: UUID | None
) -> UUID:
    """A new definition with the approved content of one in sight; it is approved on its own, and from here
    on each is revised for itself. Refuse a source of which nothing is approved.
    """
    source = work.state(DECIDER, source_id)
    if not source.is_known or not work.principal.sees(source.org_unit):
        raise Refused.because(CommonRefusal.NOT_FOUND, "source_definition")
    if source.approved is None or source.approved_revision is None:
        raise Refused.because(RunRefusal.NOTHING_APPROVED, "source_definition")
    origin = Reference(source_id, source.approved_revision)
    return draft(work, gate, code, kind, work_order, source.approved, origin)


def revise(work: Work, gate: Gate, definition_id: UUID, content: SegmentContent) -> UUID:
    """The whole content anew; an approval that is under way is void, what was approved stays in force."""
    definition = _subject(work, definition_id)
    entered = _entered(content)
    faults = _gate_faults(work, gate, definition.org_unit, entered)
    if work.decide(DECIDER, definition_id, ReviseDefinition(entered, work.principal.user, faults)):
        void_approval(work, definition.approval, "subject_revised")
    return definition_id


def submit(work: Work, gate: Gate, definition_id: UUID) -> UUID:
    """Open the approval of the newest revision, after another look at the gate."""
    before = _subject(work, definition_id)
    faults = () if before.content is None else _gate_faults(work, gate, before.org_unit, before.content)
    command = SubmitDefinition(
        approval=new_approval(),
        grants=_grants(work, before),
        by=work.principal.user,
        level=work.policy.levels_of(DECIDER.stream_type)[0],
        work_order=_work_order(work, before.work_order),
        gate=faults,
    )
    for event in work.decide(DECIDER, definition_id, command):
        assert isinstance(event, DefinitionSubmitted)
        definition = work.state(DECIDER, definition_id)
        subject = Subject(
            DECIDER.stream_type,
            definition_id,
            event.revision,
            event.content_hash,
            definition.code,
            definition.org_unit,
        )
        open_approval(work, event.approval, subject, definition.makers)
    return definition_id


def withdraw(work: Work, definition_id: UUID) -> UUID:
    """Back to draft; the approval that was asked for is void."""
    definition = _subject(work, definition_id)
    work.decide(DECIDER, definition_id, WithdrawDefinition(work.principal.user))
    void_approval(work, definition.approval, "subject_withdrawn")
    return definition_id


def delete(work: Work, definition_id: UUID) -> UUID:
    """Gone from lists, with its results and history kept. Refuse while anything rests on it."""
    definition = _subject(work, definition_id)
    live = [run for is_trial in (False, True) if (run := live_run(work, definition_id, is_trial))]
    running = (User(run, "segment_run", work.state(RUN, run).code, definition.org_unit) for run in live)
    users = (*work.users(definition_id), *running)
    if work.decide(DECIDER, definition_id, DeleteDefinition(work.principal.user, users)):
        work.decide(CLAIM, claim_id("segment_definition.code", definition.code), Release(definition_id))
        work.link(User(definition_id, "segment_definition", definition.code), [])
    return definition_id


# --- For runs ---------------------------------------------------------------


def run_slot(definition_id: UUID, is_trial: bool) -> UUID:
    """The claim that the newest run of a definition holds: trials have one of their own."""
    return claim_id("segment_run.trial" if is_trial else "segment_run.live", str(definition_id))


def live_run(work: Work, definition_id: UUID, is_trial: bool) -> UUID | None:
    """The run of the definition that is queued or running, if there is one."""
    newest = work.state(CLAIM, run_slot(definition_id, is_trial)).owner
    return newest if newest is not None and work.state(RUN, newest).is_live else None


def content_of(log: Log, definition: Reference) -> SegmentContent:
    """The content of a revision, whatever has become of the definition since."""
    for record in log.records(definition.id):
        match record.event:
            case DefinitionDrafted(content=content) if definition.revision == 1:
                return content
            case DefinitionRevised(revision=revision, content=content) if revision == definition.revision:
                return content
    raise AssertionError(f"the definition {definition.id} has no revision {definition.revision}")


def approved_hash_of(log: Log, definition: Reference) -> str | None:
    """What the approvers of a revision saw, in force or not; None if nobody approved it."""
    for record in log.records(definition.id):
        match record.event:
            case DefinitionApproved(revision=revision, content_hash=hash_) if revision == definition.revision:
                return hash_
    return None


def query_of(
    content: SegmentContent,
    parameters: Iterable[Parameter],
    granted: tuple[GrantedTable, ...],
    org_units: Iterable[str],
) -> Query:
    """The content as the engine takes it; what is not classified counts as personal."""
    return Query(
        sql=content.sql,
        source=content.source,
        parameters=tuple(parameters),
        primary_index=content.primary_index,
        outputs=tuple(OutputField(each.name, each.is_personal is not False) for each in content.outputs),
        granted=granted,
        org_units=tuple(sorted(org_units)),
    )


# --- What the decisions are told --------------------------------------------


def _subject(work: Work, definition_id: UUID) -> SegmentDefinition:
    return work.subject(DECIDER, definition_id, lambda definition: definition.org_unit)


def _entered(content: SegmentContent) -> SegmentContent:
    sql = content.sql.replace("\r\n", "\n").strip().rstrip(";").rstrip()
    return replace(content, name=content.name.strip(), sql=sql)


def _work_order(work: Work, work_order: UUID | None) -> WorkOrderChoice | None:
    return None if work_order is None else WorkOrderChoice(work_order, work_orders.is_open(work, work_order))


def _gate_faults(work: Work, gate: Gate, org_unit: str, content: SegmentContent) -> tuple[Fault, ...]:
    """Nothing where the gate has nothing to judge by: what is wrong with that is told anyhow."""
    if any(fault.path[0] in JUDGED_BY for fault in content_faults(content)):
        return ()
    granted = granted_tables(work, org_unit, content.source)
    if not granted:
        return (Fault(GrantRefusal.SOURCE_NOT_GRANTED, ("source",), {"source": content.source}),)
    bound = (Parameter(name, EXAMPLES[type_]) for name, type_ in parameter_types(content).items())
    return gate(query_of(content, bound, granted, units_of(org_unit, visible(CUSTOMER, work.principal))))


def _grants(work: Work, definition: SegmentDefinition) -> tuple[Reference, ...]:
    content = definition.content
    if content is None:
        return ()
    return granted_references(work, definition.org_unit, content.source, content.sql)


def _hash_now(work: Work, definition_id: UUID) -> str:
    definition = work.state(DECIDER, definition_id)
    return definition_hash(definition, _grants(work, definition))


def _grant(work: Work, definition_id: UUID, approval: UUID) -> None:
    work.decide(DECIDER, definition_id, RecordApproval(approval))


def _reject(work: Work, definition_id: UUID, approval: UUID, level: str, reason: str) -> None:
    work.decide(DECIDER, definition_id, RecordRejection(approval, level, reason))


APPROVABLE = Approvable(_hash_now, _grant, _reject)
