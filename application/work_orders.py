"""The use cases of work orders: what a content refers to is looked up and kept in use here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from application import catalogues, customer_groups
from application.access import HEAD_OFFICE
from application.activities import Chosen
from application.shared.approvable import Approvable, new_approval, open_approval, void_approval
from application.shared.identifiers import uuid7
from application.shared.work import Work
from domain.activities import DECIDER as ACTIVITY
from domain.activities import Status as ActivityStatus
from domain.activity_plans import Choice
from domain.approvals import Subject
from domain.catalogues import Kind as Catalogue
from domain.segment_definitions import DECIDER as DEFINITION
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import Claim, claim_id
from domain.shared.references import Reference, User
from domain.work_order_contents import (
    ActivityChoice,
    ContentDraft,
    DataTimeframe,
    Kind,
    Priority,
    sound_content,
)
from domain.work_order_executions import (
    DefinitionChoice,
    RecordCompletion,
    RecordExecutionFailure,
    RecordPointsJob,
    RetryWorkOrder,
    ScheduleWorkOrder,
    StartExecution,
)
from domain.work_orders import (
    DECIDER,
    DraftWorkOrder,
    RecordApproval,
    RecordRejection,
    ReviseWorkOrder,
    SubmitWorkOrder,
    WithdrawWorkOrder,
    WorkOrder,
    WorkOrderSubmitted,
    may_be_defined,
    number_text,
    submitted_hash,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ContentEntry:
    """A content as it was typed in; what is missing is None or empty: the requester then is who enters it."""

    name: str = ""
    activity: Chosen | None = None
    customer_group: Chosen | None = None
    segmentation_rules: str = ""
    execution_at: datetime | None = None
    requester: str = ""
    department: Chosen | None = None
    output_fields: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    data_timeframe: DataTimeframe | None = None
    remark: str = ""


def draft(work: Work, kind: Kind, content: ContentEntry) -> UUID:
    """A new work order of the principal's own unit, under the next number of the year."""
    work_order_id = uuid7()
    entered = _looked_up(work, content)
    sound_content(kind, entered)  # What is refused takes no number.
    number = _new_number(work, work_order_id)
    command = DraftWorkOrder(number, kind, work.principal.org_unit, entered, work.principal.user)
    work.begin(DECIDER, work_order_id, command)
    _link(work, work_order_id)
    return work_order_id


def revise(work: Work, work_order_id: UUID, content: ContentEntry) -> UUID:
    """The whole content anew; an approval that is under way is void with the same commit."""
    order = subject(work, work_order_id)
    command = ReviseWorkOrder(_looked_up(work, content), work.principal.user)
    if work.decide(DECIDER, work_order_id, command):
        void_approval(work, order.approval, "subject_revised")
        _link(work, work_order_id)
    return work_order_id


def submit(work: Work, work_order_id: UUID) -> UUID:
    """Open the approval of the current revision."""
    subject(work, work_order_id)
    chosen, level = _choices(work, work_order_id), work.policy.levels_of(DECIDER.stream_type)[0]
    command = SubmitWorkOrder(new_approval(), *chosen, level, work.principal.user)
    for event in work.decide(DECIDER, work_order_id, command):
        assert isinstance(event, WorkOrderSubmitted)
        order = work.state(DECIDER, work_order_id)
        about = Subject(
            kind=DECIDER.stream_type,
            id=work_order_id,
            revision=event.revision,
            content_hash=event.content_hash,
            label=order.number,
            org_unit=order.org_unit,
        )
        open_approval(work, event.approval, about, order.makers)
    return work_order_id


def withdraw(work: Work, work_order_id: UUID) -> UUID:
    """Back to draft; the approval that was asked for is void."""
    order = subject(work, work_order_id)
    work.decide(DECIDER, work_order_id, WithdrawWorkOrder(work.principal.user))
    void_approval(work, order.approval, "subject_withdrawn")
    return work_order_id


def schedule(work: Work, work_order_id: UUID, definition_id: UUID) -> UUID:
    """From its execution time on it is due, with the revision of its definition that is approved now: one
    that is approved later is performed only when it is scheduled anew.
    """
    subject(work, work_order_id)
    chosen = _definition(work, definition_id)
    command = ScheduleWorkOrder(work_order_id, chosen, work.principal.user)
    if work.decide(DECIDER, work_order_id, command):
        _link(work, work_order_id)
    return work_order_id


def retry(work: Work, work_order_id: UUID) -> UUID:
    """What has failed is scheduled again, and due at once."""
    subject(work, work_order_id)
    work.decide(DECIDER, work_order_id, RetryWorkOrder(work.principal.user))
    return work_order_id


# --- For the processes that execute it ------------------------------------


def is_open(work: Work, work_order_id: UUID) -> bool:
    """Whether it exists in the principal's sight and may still get a segment definition."""
    order = work.state(DECIDER, work_order_id)
    return may_be_defined(order) and work.principal.sees(order.org_unit)


def start_execution(work: Work, work_order_id: UUID, run_id: UUID) -> UUID:
    """The run is its execution. Refuse what is not due, and a second run beside the first."""
    subject(work, work_order_id)
    work.decide(DECIDER, work_order_id, StartExecution(run_id, work.now))
    return work_order_id


def record_points_job(work: Work, work_order_id: UUID, job_id: UUID) -> UUID:
    """The job grants what the run has found. Refuse where nothing may go out: then there must be no job."""
    subject(work, work_order_id)
    work.decide(DECIDER, work_order_id, RecordPointsJob(job_id))
    return work_order_id


def complete(work: Work, work_order_id: UUID, run_id: UUID) -> UUID:
    """The run has done what was ordered. Of an earlier run, or when it is cancelled, it changes nothing."""
    subject(work, work_order_id)
    work.decide(DECIDER, work_order_id, RecordCompletion(run_id))
    return work_order_id


def fail(work: Work, work_order_id: UUID, run_id: UUID, code: str) -> UUID:
    """The run came to nothing; `code` says why. It may be tried again."""
    subject(work, work_order_id)
    work.decide(DECIDER, work_order_id, RecordExecutionFailure(run_id, code))
    return work_order_id


# --- What it refers to ----------------------------------------------------


def subject(work: Work, work_order_id: UUID) -> WorkOrder:
    """The work order that the command is about; refuse what the principal does not see."""
    return work.subject(DECIDER, work_order_id, lambda order: order.org_unit)


def let_go(work: Work, work_order_id: UUID) -> None:
    """What it referred to is no longer in use by it: it was cancelled."""
    work.link(_user(work_order_id, work.state(DECIDER, work_order_id)), [])


def _new_number(work: Work, work_order_id: UUID) -> str:
    """The next of the year (of business time, in UTC). Its claim proves from the log that nobody has it."""
    year = work.now.year
    while True:
        number = number_text(year, work.next_number(f"{DECIDER.stream_type}.{year}"))
        claim = claim_id(f"{DECIDER.stream_type}.number", number)
        if work.state(CLAIM, claim).is_free_for(work_order_id):
            work.decide(CLAIM, claim, Claim(work_order_id))
            return number


def _looked_up(work: Work, content: ContentEntry) -> ContentDraft:
    return ContentDraft(
        name=content.name.strip(),
        activity=_chosen(work, content.activity, _activity),
        customer_group=_chosen(work, content.customer_group, customer_groups.choice),
        segmentation_rules=content.segmentation_rules,
        execution_at=content.execution_at,
        requester=content.requester.strip() or work.principal.user,
        department=_chosen(work, content.department, _department),
        output_fields=tuple(name.strip() for name in content.output_fields),
        priority=content.priority,
        data_timeframe=content.data_timeframe,
        remark=content.remark,
    )


def _chosen(work: Work, chosen: Chosen | None, look_up: Callable[[Work, UUID, int | None], T]) -> T | None:
    return None if chosen is None else look_up(work, chosen.id, chosen.revision_seen)


def _activity(work: Work, activity_id: UUID, revision_seen: int | None = None) -> ActivityChoice:
    """Of the work order's own unit, for head office any: so the answer is the same whoever asks again."""
    activity = work.state(ACTIVITY, activity_id)
    is_known = activity.status not in (ActivityStatus.UNKNOWN, ActivityStatus.DELETED)
    if not is_known or work.org_unit not in (activity.org_unit, HEAD_OFFICE):
        return ActivityChoice(None)
    groups = () if activity.plan is None else tuple(link.group.id for link in activity.plan.groups)
    reference = Reference(activity_id, activity.revision)
    return ActivityChoice(reference, activity.status, revision_seen, groups)


def _department(work: Work, department_id: UUID, revision_seen: int | None = None) -> Choice:
    return catalogues.choice(work, Catalogue.DEPARTMENT, department_id, revision_seen)


def _definition(work: Work, definition_id: UUID) -> DefinitionChoice:
    definition = work.state(DEFINITION, definition_id)
    if not definition.is_known or work.org_unit not in (definition.org_unit, HEAD_OFFICE):
        return DefinitionChoice(None)
    revision = definition.approved_revision
    reference = Reference(definition_id, revision or definition.revision)
    return DefinitionChoice(reference, revision is not None, definition.work_order, definition.approved_hash)


def _link(work: Work, work_order_id: UUID) -> None:
    """What it refers to is in use by it; the definition from the time when it is scheduled with it."""
    order = work.state(DECIDER, work_order_id)
    content, definition = order.content, order.definition
    assert content is not None, "what was drafted has a content"
    used = [content.activity.id, content.customer_group.id, content.department.id]
    used += [] if definition is None else [definition.id]
    work.link(_user(work_order_id, order), used)


def _user(work_order_id: UUID, order: WorkOrder) -> User:
    return User(work_order_id, DECIDER.stream_type, order.number, order.org_unit)


def _choices(work: Work, work_order_id: UUID) -> tuple[ActivityChoice, Choice, Choice]:
    """What the content refers to, as it stands now: activity, customer group, department."""
    content = work.state(DECIDER, work_order_id).content
    if content is None:
        return ActivityChoice(None), Choice(None), Choice(None)
    return (
        _activity(work, content.activity.id),
        customer_groups.choice(work, content.customer_group.id),
        _department(work, content.department.id),
    )


def _hash_now(work: Work, work_order_id: UUID) -> str:
    return submitted_hash(work.state(DECIDER, work_order_id), *_choices(work, work_order_id))


def _grant(work: Work, work_order_id: UUID, approval: UUID) -> None:
    work.decide(DECIDER, work_order_id, RecordApproval(approval))


def _reject(work: Work, work_order_id: UUID, approval: UUID, level: str, reason: str) -> None:
    work.decide(DECIDER, work_order_id, RecordRejection(approval, level, reason))


APPROVABLE = Approvable(_hash_now, _grant, _reject)
