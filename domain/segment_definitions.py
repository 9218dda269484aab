"""Segment definitions: the governed SQL that selects customers, revised and approved by two departments.

The approved revision stays in force while a newer one is drafted, judged or rejected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.activities import ActivityRefusal
from domain.catalogues import CatalogueRefusal
from domain.segment_contents import SegmentContent, sound_content
from domain.shared.content import content_hash
from domain.shared.decider import Decider
from domain.shared.references import Reference, User
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import code_faults

# --- Values ---------------------------------------------------------------

REVISIONS_MAX = 1_000


class DefinitionKind(StrEnum):
    """GENERAL belongs to no work order; the other two to a work order of their kind."""

    GENERAL = "general"
    ACTIVITY = "activity"
    EVALUATION = "evaluation"


@dataclass(frozen=True, slots=True)
class WorkOrderChoice:
    """The work order that a definition is made for; `is_open`: it may still get one."""

    id: UUID
    is_open: bool


class DefinitionRefusal(StrEnum):
    WORK_ORDER_NOT_OPEN = "work_order_not_open"
    GENERAL_HAS_NO_WORK_ORDER = "general_has_no_work_order"
    WITHDRAW_FIRST = "withdraw_first"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DraftDefinition:
    """`gate` is what the gate found in the SQL, and whether the unit may use the source at all; `origin` the
    revision whose content this is a copy of.
    """

    code: str
    org_unit: str
    kind: DefinitionKind
    work_order: WorkOrderChoice | None
    content: SegmentContent
    by: str
    is_code_free: bool
    gate: tuple[Fault, ...] = ()
    origin: Reference | None = None


@dataclass(frozen=True, slots=True)
class ReviseDefinition:
    content: SegmentContent
    by: str
    gate: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class SubmitDefinition:
    """Ask for approval, first of `level`. `grants` are those of the tables that the SQL mentions, as they
    stand now; `gate` is what the gate finds in the SQL now.
    """

    approval: UUID
    grants: tuple[Reference, ...]
    by: str
    level: str
    work_order: WorkOrderChoice | None = None
    gate: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class WithdrawDefinition:
    by: str


@dataclass(frozen=True, slots=True)
class RecordApproval:
    approval: UUID


@dataclass(frozen=True, slots=True)
class RecordRejection:
    """`level` is the one that said no."""

    approval: UUID
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeleteDefinition:
    """`users` are the schedules, work orders and live runs that refer to it now."""

    by: str
    users: tuple[User, ...] = ()


Command = (
    DraftDefinition
    | ReviseDefinition
    | SubmitDefinition
    | WithdrawDefinition
    | RecordApproval
    | RecordRejection
    | DeleteDefinition
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class DefinitionDrafted:
    """`origin` is the revision that the content was copied from, None for one that was written anew."""

    code: str
    org_unit: str
    kind: DefinitionKind
    work_order: UUID | None
    content: SegmentContent
    by: str
    origin: Reference | None = None


@dataclass(frozen=True, slots=True)
class DefinitionRevised:
    """The content in its next revision; an approval that was asked for is void from here on."""

    revision: int
    content: SegmentContent
    by: str


@dataclass(frozen=True, slots=True)
class DefinitionSubmitted:
    """`content_hash` covers the content and the granted tables: it is what approvers see.

    `level` is the one that is asked first.
    """

    revision: int
    approval: UUID
    content_hash: str
    grants: tuple[Reference, ...]
    by: str
    level: str


@dataclass(frozen=True, slots=True)
class DefinitionWithdrawn:
    revision: int
    approval: UUID
    by: str


@dataclass(frozen=True, slots=True)
class DefinitionApproved:
    """From here on runs perform this revision."""

    revision: int
    approval: UUID
    content_hash: str


@dataclass(frozen=True, slots=True)
class DefinitionSuperseded:
    """A revision was in force until a newer one, `by_revision`, was approved."""

    revision: int
    by_revision: int


@dataclass(frozen=True, slots=True)
class DefinitionRejected:
    revision: int
    approval: UUID
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class DefinitionDeleted:
    by: str


Event = (
    DefinitionDrafted
    | DefinitionRevised
    | DefinitionSubmitted
    | DefinitionWithdrawn
    | DefinitionApproved
    | DefinitionSuperseded
    | DefinitionRejected
    | DefinitionDeleted
)

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    DRAFT = "draft"
    IN_APPROVAL = "in_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    DELETED = "deleted"


EDITABLE = (Status.DRAFT, Status.REJECTED, Status.IN_APPROVAL, Status.APPROVED)


@dataclass(frozen=True, slots=True)
class SegmentDefinition:
    """`status` and `content` are those of the newest revision; `approved` is what runs perform, in
    `approved_revision` and under `approved_hash`, None as long as nothing was approved.
    """

    status: Status = Status.UNKNOWN
    revision: int = 0
    code: str = ""
    org_unit: str = ""
    kind: DefinitionKind = DefinitionKind.GENERAL
    work_order: UUID | None = None
    content: SegmentContent | None = None
    approval: UUID | None = None
    submitted_hash: str = ""
    approved_revision: int | None = None
    approved: SegmentContent | None = None
    approved_hash: str = ""
    makers: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        return self.status not in (Status.UNKNOWN, Status.DELETED)


def evolve(definition: SegmentDefinition, event: Event) -> SegmentDefinition:
    match event:
        case DefinitionDrafted():
            return SegmentDefinition(
                status=Status.DRAFT,
                revision=1,
                code=event.code,
                org_unit=event.org_unit,
                kind=event.kind,
                work_order=event.work_order,
                content=event.content,
                makers=(event.by,),
            )
        case DefinitionRevised(revision=revision, content=content, by=by):
            makers = definition.makers if by in definition.makers else (*definition.makers, by)
            return replace(
                definition,
                status=Status.DRAFT,
                revision=revision,
                content=content,
                approval=None,
                makers=makers,
            )
        case DefinitionSubmitted(approval=approval, content_hash=hash_):
            return replace(definition, status=Status.IN_APPROVAL, approval=approval, submitted_hash=hash_)
        case DefinitionWithdrawn():
            return replace(definition, status=Status.DRAFT, approval=None)
        case DefinitionApproved(revision=revision, content_hash=hash_):
            return replace(
                definition,
                status=Status.APPROVED,
                approved_revision=revision,
                approved=definition.content,
                approved_hash=hash_,
            )
        case DefinitionSuperseded():
            return definition
        case DefinitionRejected():
            return replace(definition, status=Status.REJECTED, approval=None)
        case DefinitionDeleted():
            return replace(definition, status=Status.DELETED)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, definition: SegmentDefinition) -> Sequence[Event]:
    match command:
        case DraftDefinition():
            return _draft(command, definition)
        case ReviseDefinition():
            return _revise(command, definition)
        case SubmitDefinition():
            return _submit(command, definition)
        case WithdrawDefinition(by=by):
            _require_status(definition, (Status.IN_APPROVAL,), ActivityRefusal.NOT_IN_APPROVAL)
            assert definition.approval is not None
            return [DefinitionWithdrawn(definition.revision, definition.approval, by)]
        case RecordApproval() | RecordRejection():
            return _record_verdict(command, definition)
        case DeleteDefinition():
            return _delete(command, definition)
        case _:
            assert_never(command)


def _draft(command: DraftDefinition, definition: SegmentDefinition) -> Sequence[Event]:
    assert definition.status is Status.UNKNOWN, "the id of a new definition is new"
    faults = [*code_faults(command.code, "code")]
    if not command.is_code_free:
        faults.append(Fault(CommonRefusal.CODE_TAKEN, ("code",), {"code": command.code}))
    faults += _work_order_faults(command.kind, command.work_order)
    content = sound_content(command.content, [*faults, *command.gate])
    work_order = command.work_order.id if command.work_order else None
    return [
        DefinitionDrafted(
            command.code, command.org_unit, command.kind, work_order, content, command.by, command.origin
        )
    ]


def _revise(command: ReviseDefinition, definition: SegmentDefinition) -> Sequence[Event]:
    _require_status(definition, EDITABLE, ActivityRefusal.NOT_EDITABLE)
    faults = [*command.gate]
    if definition.revision >= REVISIONS_MAX:
        faults.append(Fault(CommonRefusal.TOO_MANY, ("id",), {"most": str(REVISIONS_MAX)}))
    content = sound_content(command.content, faults)
    if content == definition.content:
        return []
    return [DefinitionRevised(definition.revision + 1, content, command.by)]


def _submit(command: SubmitDefinition, definition: SegmentDefinition) -> Sequence[Event]:
    if definition.status is Status.IN_APPROVAL:
        return []
    _require_status(definition, (Status.DRAFT,), ActivityRefusal.NOT_SUBMITTABLE)
    faults = [*_work_order_faults(definition.kind, command.work_order), *command.gate]
    refuse_any(faults)
    seen = definition_hash(definition, command.grants)
    return [
        DefinitionSubmitted(
            definition.revision, command.approval, seen, command.grants, command.by, command.level
        )
    ]


def _record_verdict(
    command: RecordApproval | RecordRejection, definition: SegmentDefinition
) -> Sequence[Event]:
    _require_status(definition, (Status.IN_APPROVAL,), ActivityRefusal.NOT_IN_APPROVAL)
    if definition.approval != command.approval:  # it was submitted anew while the verdict was on its way
        raise Refused.because(ActivityRefusal.NOT_IN_APPROVAL, status=definition.status)
    revision, former = definition.revision, definition.approved_revision
    if isinstance(command, RecordRejection):
        return [DefinitionRejected(revision, command.approval, command.level, command.reason)]
    approved = DefinitionApproved(revision, command.approval, definition.submitted_hash)
    return [approved] if former is None else [approved, DefinitionSuperseded(former, revision)]


def _delete(command: DeleteDefinition, definition: SegmentDefinition) -> Sequence[Event]:
    if definition.status is Status.DELETED:
        return []
    deletable = (Status.DRAFT, Status.REJECTED, Status.APPROVED)
    _require_status(definition, deletable, DefinitionRefusal.WITHDRAW_FIRST)
    if command.users:
        named = ", ".join(f"{user.kind} {user.label}" for user in command.users)
        raise Refused.because(CatalogueRefusal.IN_USE, users=named)
    return [DefinitionDeleted(command.by)]


# --- Rules ----------------------------------------------------------------


def definition_hash(definition: SegmentDefinition, grants: Sequence[Reference] = ()) -> str:
    """What an approver sees: the newest revision, and the revision of each grant that its SQL rests on."""
    return content_hash(
        (
            definition.code,
            definition.kind,
            definition.work_order,
            definition.revision,
            definition.content,
            tuple(grants),
        )
    )


def _require_status(definition: SegmentDefinition, allowed: Sequence[Status], code: StrEnum) -> None:
    if not definition.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    if definition.status not in allowed:
        raise Refused.because(code, status=definition.status)


def _work_order_faults(kind: DefinitionKind, work_order: WorkOrderChoice | None) -> list[Fault]:
    at = ("work_order",)
    if kind is DefinitionKind.GENERAL:
        return [Fault(DefinitionRefusal.GENERAL_HAS_NO_WORK_ORDER, at)] if work_order else []
    if work_order is None:
        return [Fault(CommonRefusal.REQUIRED, at)]
    return [] if work_order.is_open else [Fault(DefinitionRefusal.WORK_ORDER_NOT_OPEN, at)]


DECIDER: Decider[Command, SegmentDefinition, Event] = Decider(
    "segment_definition", SegmentDefinition(), decide, evolve
)
