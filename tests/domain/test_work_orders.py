"""Work orders: asked for, approved, executed; and cancelled, or back where they were."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import work_order_executions as executions
from domain.activities import Status as ActivityStatus
from domain.activity_plans import Choice, PlanRefusal
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Refused
from domain.work_order_contents import (
    ActivityChoice,
    Content,
    ContentDraft,
    ContentRefusal,
    DataTimeframe,
    Kind,
    Priority,
)
from domain.work_order_executions import (
    EXECUTIONS_MAX,
    DefinitionChoice,
    ExecutionFailed,
    ExecutionStarted,
    PointsJobLinked,
    RecordCompletion,
    RecordExecutionFailure,
    RecordPointsJob,
    RetryWorkOrder,
    ScheduleWorkOrder,
    StartExecution,
    WorkOrderCompleted,
    WorkOrderRetried,
    WorkOrderScheduled,
)
from domain.work_order_statuses import CANCELLABLE, Status, WorkOrderRefusal
from domain.work_orders import (
    DECIDER,
    REASON_CHARACTERS_MAX,
    Command,
    DraftWorkOrder,
    Event,
    RecordApproval,
    RecordCancellation,
    RecordRejection,
    RequestCancellation,
    RestoreWorkOrder,
    ReviseWorkOrder,
    SubmitWorkOrder,
    WithdrawWorkOrder,
    WorkOrderApproved,
    WorkOrderCancellationRequested,
    WorkOrderCancelled,
    WorkOrderDrafted,
    WorkOrderRejected,
    WorkOrderRestored,
    WorkOrderRevised,
    WorkOrderSubmitted,
    WorkOrderWithdrawn,
    may_be_defined,
    may_release,
    number_text,
    submitted_hash,
)
from tests.given import PROPERTY, Given, all_pairs, grid, outcome, refused

order = Given(DECIDER)

NOW = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
DAY = timedelta(days=1)
ID, ACTIVITY, GROUP, DEPARTMENT, DEFINITION = (UUID(int=n) for n in range(1, 6))
APPROVAL, OTHER_APPROVAL, RUN, OTHER_RUN, JOB, REQUEST, OTHER_REQUEST = (UUID(int=n) for n in range(11, 18))

CONTENT = Content(
    name="Diners of March",
    activity=Reference(ACTIVITY, 2),
    customer_group=Reference(GROUP, 3),
    segmentation_rules="Spent over 500 on dining last month",
    execution_at=NOW + DAY,
    requester="lin",
    department=Reference(DEPARTMENT, 1),
    output_fields=("CUSTOMER", "POINTS"),
    priority=Priority.HIGH,
    data_timeframe=DataTimeframe(date(2026, 2, 1), date(2026, 3, 1)),
    remark="urgent",
)
RUNNING = ActivityChoice(CONTENT.activity, ActivityStatus.RUNNING, None, (GROUP,))
CANCELLED = replace(RUNNING, status=ActivityStatus.CANCELLED)
ENDED = replace(RUNNING, status=ActivityStatus.ENDED)
UNUSED = Choice(CONTENT.customer_group)
IN_USE = Choice(CONTENT.customer_group, is_enabled=True)
OPEN_DEPARTMENT = Choice(CONTENT.department, is_enabled=True)
DRAFT = ContentDraft(
    name=CONTENT.name,
    activity=RUNNING,
    customer_group=IN_USE,
    segmentation_rules=CONTENT.segmentation_rules,
    execution_at=CONTENT.execution_at,
    requester=CONTENT.requester,
    department=OPEN_DEPARTMENT,
    output_fields=CONTENT.output_fields,
    priority=CONTENT.priority,
    data_timeframe=CONTENT.data_timeframe,
    remark=CONTENT.remark,
)
RENAMED, RENAMED_DRAFT = replace(CONTENT, name="Diners"), replace(DRAFT, name="Diners")

drafted = WorkOrderDrafted("WO-2026-000001", Kind.ACTIVITY, "HO", CONTENT, "lin")
HASH = submitted_hash(DECIDER.fold([drafted]), RUNNING, IN_USE, OPEN_DEPARTMENT)
submitted = WorkOrderSubmitted(1, APPROVAL, HASH, "research", "lin")
approved = WorkOrderApproved(1, APPROVAL)
rejected = WorkOrderRejected(1, APPROVAL, "research", "too broad")
scheduled = WorkOrderScheduled(Reference(DEFINITION, 4), "tan")
started = ExecutionStarted(RUN, 1)
completed = WorkOrderCompleted(RUN)
failed = ExecutionFailed(RUN, "timed_out")

TO_APPROVED = (drafted, submitted, approved)
TO_EXECUTING = (*TO_APPROVED, scheduled, started)
UNDER_WAY = WorkOrderCancellationRequested(REQUEST, Status.EXECUTING, "no budget", "lin")

STATUSES: dict[Status, tuple[Event, ...]] = {
    Status.DRAFT: (drafted,),
    Status.IN_APPROVAL: (drafted, submitted),
    Status.APPROVED: TO_APPROVED,
    Status.REJECTED: (drafted, submitted, rejected),
    Status.SCHEDULED: (*TO_APPROVED, scheduled),
    Status.EXECUTING: TO_EXECUTING,
    Status.COMPLETED: (*TO_EXECUTING, completed),
    Status.FAILED: (*TO_EXECUTING, failed),
    Status.CANCELLATION_PENDING: (*TO_EXECUTING, UNDER_WAY),
    Status.CANCELLED: (*TO_EXECUTING, UNDER_WAY, WorkOrderCancelled(REQUEST)),
}
"""A history that leads to each status."""

submit = SubmitWorkOrder(APPROVAL, RUNNING, IN_USE, OPEN_DEPARTMENT, "research", "lin")
schedule = ScheduleWorkOrder(ID, DefinitionChoice(Reference(DEFINITION, 4), True, ID), "tan")
start = StartExecution(RUN, NOW + DAY)
request = RequestCancellation(OTHER_REQUEST, "no budget", "lin")

COMMANDS: dict[type, Command] = {
    type(command): command
    for command in (
        ReviseWorkOrder(RENAMED_DRAFT, "wu"),
        submit,
        WithdrawWorkOrder("lin"),
        RecordApproval(APPROVAL),
        RecordRejection(APPROVAL, "research", "too broad"),
        schedule,
        StartExecution(OTHER_RUN, NOW + DAY),
        RecordPointsJob(JOB),
        RecordCompletion(RUN),
        RecordExecutionFailure(RUN, "timed_out"),
        RetryWorkOrder("lin"),
        request,
        RecordCancellation(REQUEST),
        RestoreWorkOrder(REQUEST),
    )
}

ANSWERS = """
                        draft             in_approval       approved
ReviseWorkOrder         OrderRevised      OrderRevised      OrderRevised
SubmitWorkOrder         OrderSubmitted    nothing           not_submittable
WithdrawWorkOrder       not_in_approval   OrderWithdrawn    not_in_approval
RecordApproval          not_in_approval   OrderApproved     not_in_approval
RecordRejection         not_in_approval   OrderRejected     not_in_approval
ScheduleWorkOrder       not_approved      not_approved      OrderScheduled
StartExecution          not_scheduled     not_scheduled     not_scheduled
RecordPointsJob         not_releasable    not_releasable    not_releasable
RecordCompletion        not_executing     not_executing     not_executing
RecordExecutionFailure  not_executing     not_executing     not_executing
RetryWorkOrder          not_failed        not_failed        not_failed
RequestCancellation     asked             asked             asked
RecordCancellation      nothing           nothing           nothing
RestoreWorkOrder        nothing           nothing           nothing

                        rejected          scheduled         executing
ReviseWorkOrder         OrderRevised      not_editable      not_editable
SubmitWorkOrder         not_submittable   not_submittable   not_submittable
WithdrawWorkOrder       not_in_approval   not_in_approval   not_in_approval
RecordApproval          not_in_approval   not_in_approval   not_in_approval
RecordRejection         not_in_approval   not_in_approval   not_in_approval
ScheduleWorkOrder       not_approved      nothing           not_approved
StartExecution          not_scheduled     ExecutionStarted  not_scheduled
RecordPointsJob         not_releasable    not_releasable    PointsJobLinked
RecordCompletion        not_executing     not_executing     OrderCompleted
RecordExecutionFailure  not_executing     not_executing     ExecutionFailed
RetryWorkOrder          not_failed        not_failed        not_failed
RequestCancellation     asked             asked             asked
RecordCancellation      nothing           nothing           nothing
RestoreWorkOrder        nothing           nothing           nothing

                        completed         failed            cancellation_pending
ReviseWorkOrder         not_editable      not_editable      not_editable
SubmitWorkOrder         not_submittable   not_submittable   not_submittable
WithdrawWorkOrder       not_in_approval   not_in_approval   not_in_approval
RecordApproval          not_in_approval   not_in_approval   not_in_approval
RecordRejection         not_in_approval   not_in_approval   not_in_approval
ScheduleWorkOrder       not_approved      OrderScheduled    not_approved
StartExecution          not_scheduled     not_scheduled     not_scheduled
RecordPointsJob         PointsJobLinked   not_releasable    not_releasable
RecordCompletion        nothing           nothing           OrderCompleted
RecordExecutionFailure  nothing           nothing           ExecutionFailed
RetryWorkOrder          not_failed        OrderRetried      not_failed
RequestCancellation     not_cancellable   asked             cancellation_open
RecordCancellation      nothing           nothing           OrderCancelled
RestoreWorkOrder        nothing           nothing           OrderRestored

                        cancelled
ReviseWorkOrder         not_editable
SubmitWorkOrder         not_submittable
WithdrawWorkOrder       not_in_approval
RecordApproval          not_in_approval
RecordRejection         not_in_approval
ScheduleWorkOrder       not_approved
StartExecution          not_scheduled
RecordPointsJob         not_releasable
RecordCompletion        nothing
RecordExecutionFailure  nothing
RetryWorkOrder          not_failed
RequestCancellation     not_cancellable
RecordCancellation      nothing
RestoreWorkOrder        nothing
"""
"""Without `work_order_`, and `WorkOrder` as `Order`, for brevity."""


def spoken(answer: str) -> str:
    if answer == "WorkOrderCancellationRequested":
        return "asked"
    return answer.removeprefix("work_order_").replace("WorkOrder", "Order")


def test_every_status_answers_every_command_as_the_state_machine_says() -> None:
    """WO-05, WO-08, WO-13: the whole table of statuses and commands."""
    answers = grid(ANSWERS)
    assert set(answers) == all_pairs(STATUSES, COMMANDS)
    assert {*COMMANDS, DraftWorkOrder} == set(get_args(Command))
    found = {
        (kind.__name__, str(status)): spoken(outcome(DECIDER, history, command))
        for kind, command in COMMANDS.items()
        for status, history in STATUSES.items()
    }
    assert found == answers


def test_each_history_leads_to_its_status() -> None:
    assert {status: DECIDER.fold(history).status for status, history in STATUSES.items()} == {
        status: status for status in Status if status is not Status.UNKNOWN
    }


def test_every_command_on_what_is_not_there_is_not_found_or_nothing() -> None:
    for command in COMMANDS.values():
        order.when(command).then_refused((CommonRefusal.NOT_FOUND, "id"))


def test_a_sound_content_is_drafted_as_it_was_given() -> None:
    """WO-01, WO-02"""
    for kind in Kind:
        command = DraftWorkOrder("WO-2026-000001", kind, "HO", DRAFT, "lin")
        order.when(command).then(replace(drafted, kind=kind))


def test_all_that_is_missing_is_named_at_once() -> None:
    """WO-01: missing segment, rules or execution time are faults of their fields."""
    order.when(DraftWorkOrder("WO-2026-000001", Kind.ACTIVITY, "HO", ContentDraft(), "lin")).then_refused(
        *(
            (CommonRefusal.REQUIRED, name)
            for name in (
                "name",
                "activity",
                "customer_group",
                "segmentation_rules",
                "execution_at",
                "requester",
                "department",
            )
        )
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": "x" * 121}, (CommonRefusal.TOO_LONG, "name")),
        ({"remark": "card 4111 1111 1111 1111"}, (CommonRefusal.CARD_NUMBER_IN_TEXT, "remark")),
        ({"segmentation_rules": "x" * 4_001}, (CommonRefusal.TOO_LONG, "segmentation_rules")),
        ({"activity": ActivityChoice(None)}, (CommonRefusal.NOT_FOUND, "activity")),
        ({"activity": replace(RUNNING, revision_seen=1)}, (PlanRefusal.REFERENCE_CHANGED, "activity")),
        ({"activity": CANCELLED}, (ContentRefusal.ACTIVITY_OVER, "activity")),
        ({"activity": ENDED}, (ContentRefusal.ACTIVITY_OVER, "activity")),
        ({"customer_group": UNUSED}, (PlanRefusal.REFERENCE_DISABLED, "customer_group")),
        (
            {"activity": replace(RUNNING, customer_groups=(DEPARTMENT,))},
            (ContentRefusal.GROUP_NOT_LINKED, "customer_group"),
        ),
        ({"department": Choice(None)}, (CommonRefusal.NOT_FOUND, "department")),
        ({"output_fields": ("A", "A")}, (CommonRefusal.DUPLICATE, "output_fields")),
        ({"output_fields": ("A", " ")}, (CommonRefusal.REQUIRED, "output_fields", 1)),
        ({"output_fields": tuple(map(str, range(51)))}, (CommonRefusal.TOO_MANY, "output_fields")),
        (
            {"data_timeframe": DataTimeframe(date(2026, 2, 1), date(2026, 2, 1))},
            (CommonRefusal.END_NOT_AFTER_START, "data_timeframe", "data_to"),
        ),
        (
            {"data_timeframe": DataTimeframe(date(1, 2, 1), date(2026, 2, 1))},
            (CommonRefusal.OUT_OF_RANGE, "data_timeframe", "data_from"),
        ),
        ({"execution_at": datetime(9999, 1, 1, tzinfo=UTC)}, (CommonRefusal.OUT_OF_RANGE, "execution_at")),
        ({"remark": "x" * 1_001}, (CommonRefusal.TOO_LONG, "remark")),
    ],
)  # fmt: skip
def test_each_fault_of_a_content_is_found_in_its_place(
    change: dict[str, object], fault: tuple[object]
) -> None:
    """WO-01"""
    draft = replace(DRAFT, **change)
    command = DraftWorkOrder("WO-2026-000001", Kind.ACTIVITY, "HO", draft, "lin")
    order.when(command).then_refused(fault)  # type: ignore[arg-type]


def test_any_group_will_do_where_the_activity_names_none() -> None:
    """WO-01"""
    free = replace(DRAFT, activity=replace(RUNNING, customer_groups=()))
    order.when(DraftWorkOrder("WO-2026-000001", Kind.ACTIVITY, "HO", free, "lin")).then(drafted)


READY = {
    Kind.ACTIVITY: {ActivityStatus.APPROVED, ActivityStatus.RUNNING},
    Kind.EVALUATION: {
        ActivityStatus.APPROVED,
        ActivityStatus.RUNNING,
        ActivityStatus.PAUSED,
        ActivityStatus.ENDED,
    },
}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("status", [s for s in ActivityStatus if s.value not in ("unknown", "deleted")])
def test_it_is_submitted_only_for_an_activity_that_stands_ready(kind: Kind, status: ActivityStatus) -> None:
    """WO-01, WO-02: what has ended is evaluated, but no longer given customers."""
    command = replace(submit, activity=replace(RUNNING, status=status))
    draft = replace(drafted, kind=kind)
    if status in READY[kind]:
        events = DECIDER.decide(command, DECIDER.fold([draft]))
        assert [type(event) for event in events] == [WorkOrderSubmitted]
    else:
        with refused(*[_not_ready(kind, status)]):
            DECIDER.decide(command, DECIDER.fold([draft]))


def _not_ready(kind: Kind, status: ActivityStatus) -> tuple[ContentRefusal, str]:
    ended = kind is Kind.ACTIVITY and status is ActivityStatus.ENDED
    over = ended or status is ActivityStatus.CANCELLED
    code = ContentRefusal.ACTIVITY_OVER if over else ContentRefusal.ACTIVITY_NOT_READY
    return code, "activity"


def test_what_approvers_see_covers_every_revision_referred_to() -> None:
    """WO-07, APR-05: a newer revision of the activity, group or department gives another hash."""
    state = DECIDER.fold([drafted])
    newer = (
        (replace(RUNNING, reference=Reference(ACTIVITY, 3)), IN_USE, OPEN_DEPARTMENT),
        (RUNNING, Choice(Reference(GROUP, 4), True), OPEN_DEPARTMENT),
        (RUNNING, IN_USE, Choice(Reference(DEPARTMENT, 2), True)),
    )
    assert len({HASH, *(submitted_hash(state, *chosen) for chosen in newer)}) == 4
    renamed = DECIDER.fold([drafted, WorkOrderRevised(2, RENAMED, "wu")])
    assert submitted_hash(renamed, RUNNING, IN_USE, OPEN_DEPARTMENT) != HASH


def test_an_edit_makes_the_next_revision_and_a_repeat_none() -> None:
    """WO-05, WO-07"""
    edit = ReviseWorkOrder(RENAMED_DRAFT, "wu")
    order.given(drafted).when(edit).then(WorkOrderRevised(2, RENAMED, "wu"))
    order.given(drafted, WorkOrderRevised(2, RENAMED, "wu")).when(edit).then_nothing()


def test_after_a_rejection_an_edit_can_be_submitted_anew() -> None:
    """WO-05: version n+1, back to pending."""
    history = (drafted, submitted, rejected, WorkOrderRevised(2, RENAMED, "wu"))
    state = DECIDER.fold(history)
    events = DECIDER.decide(replace(submit, approval=OTHER_APPROVAL), state)
    assert [(type(event), event.revision) for event in events] == [(WorkOrderSubmitted, 2)]  # type: ignore[union-attr]
    assert state.makers == ("lin", "wu")


def test_a_verdict_on_an_earlier_submission_is_refused() -> None:
    history = (
        drafted,
        submitted,
        WorkOrderWithdrawn(1, APPROVAL, "lin"),
        replace(submitted, approval=OTHER_APPROVAL),
    )
    for verdict in (RecordApproval(APPROVAL), RecordRejection(APPROVAL, "research", "no")):
        order.given(*history).when(verdict).then_refused(WorkOrderRefusal.WORK_ORDER_NOT_IN_APPROVAL)


@pytest.mark.parametrize(
    ("chosen", "faults"),
    [
        (DefinitionChoice(None), [(CommonRefusal.NOT_FOUND, "definition")]),
        (
            DefinitionChoice(Reference(DEFINITION, 4), False, ID),
            [(WorkOrderRefusal.DEFINITION_NOT_APPROVED, "definition")],
        ),
        (
            DefinitionChoice(Reference(DEFINITION, 4), True, ACTIVITY),
            [(WorkOrderRefusal.DEFINITION_OF_ANOTHER, "definition")],
        ),
        (
            DefinitionChoice(Reference(DEFINITION, 4), False, None),
            [
                (WorkOrderRefusal.DEFINITION_OF_ANOTHER, "definition"),
                (WorkOrderRefusal.DEFINITION_NOT_APPROVED, "definition"),
            ],
        ),
    ],
)
def test_it_is_scheduled_only_with_an_approved_definition_of_its_own(
    chosen: DefinitionChoice, faults: list[tuple[object, ...]]
) -> None:
    """WO-04: a definition that was made for another work order says nothing about this one."""
    order.given(*TO_APPROVED).when(ScheduleWorkOrder(ID, chosen, "tan")).then_refused(*faults)  # type: ignore[arg-type]


def test_what_waits_is_scheduled_anew_with_a_revision_that_was_approved_since() -> None:
    """LOG-02, WO-04: the revision and what its approvers saw are noted."""
    newer = ScheduleWorkOrder(ID, DefinitionChoice(Reference(DEFINITION, 5), True, ID, "b" * 64), "tan")
    again = order.given(*TO_APPROVED, scheduled).when(newer)
    again.then(WorkOrderScheduled(Reference(DEFINITION, 5), "tan", "b" * 64))


def test_it_starts_when_it_is_due_and_not_before() -> None:
    """WO-01: the execution time is kept."""
    waiting = order.given(*TO_APPROVED, scheduled)
    waiting.when(StartExecution(RUN, NOW + DAY - timedelta(seconds=1))).then_refused(
        WorkOrderRefusal.WORK_ORDER_NOT_DUE
    )
    waiting.when(start).then(started)


def test_it_is_started_once_however_often_the_same_run_comes() -> None:
    """WO-16: a second run beside the first is refused, so nobody can request it."""
    order.given(*TO_EXECUTING).when(start).then_nothing()
    order.given(*TO_EXECUTING).when(StartExecution(OTHER_RUN, NOW + DAY)).then_refused(
        WorkOrderRefusal.WORK_ORDER_NOT_SCHEDULED
    )
    order.given(*TO_EXECUTING, completed).when(start).then_nothing()


def test_a_failed_one_is_tried_again_as_often_as_is_allowed() -> None:
    """WO-05"""
    history: list[Event] = [*TO_APPROVED, scheduled]
    for attempt in range(1, EXECUTIONS_MAX + 1):
        run = UUID(int=100 + attempt)
        history += [ExecutionStarted(run, attempt), ExecutionFailed(run, "timed_out")]
        history += [WorkOrderRetried("lin")] if attempt < EXECUTIONS_MAX else []
    order.given(*history).when(RetryWorkOrder("lin")).then_refused(WorkOrderRefusal.TOO_MANY_EXECUTIONS)
    order.given(*history[:-3]).when(RetryWorkOrder("lin")).then(WorkOrderRetried("lin"))
    order.given(*history[:-2]).when(RetryWorkOrder("lin")).then_nothing()


def test_news_of_an_earlier_run_changes_nothing() -> None:
    again = (*TO_EXECUTING, failed, WorkOrderRetried("lin"), ExecutionStarted(OTHER_RUN, 2))
    order.given(*again).when(RecordCompletion(RUN)).then_nothing()
    order.given(*again).when(RecordExecutionFailure(RUN, "late")).then_nothing()
    order.given(*again).when(RecordCompletion(OTHER_RUN)).then(WorkOrderCompleted(OTHER_RUN))


def test_a_new_run_has_no_points_job_yet() -> None:
    history = (*TO_EXECUTING, PointsJobLinked(JOB, RUN))
    assert DECIDER.fold(history).points_job == JOB
    order.given(*history).when(RecordPointsJob(JOB)).then_nothing()
    again = (*history, failed, WorkOrderRetried("lin"), ExecutionStarted(OTHER_RUN, 2))
    assert DECIDER.fold(again).points_job is None


# --- Cancellation ---------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
def test_a_rejected_or_withdrawn_cancellation_leads_back_exactly(status: Status) -> None:
    """WO-13: over every status; from the others it can't be asked for."""
    before = DECIDER.fold(STATUSES[status])
    if status not in CANCELLABLE:
        with pytest.raises(Refused):
            DECIDER.decide(request, before)
        return
    asked = DECIDER.decide(request, before)
    pending = DECIDER.fold(asked, before)
    assert (pending.status, pending.former) == (Status.CANCELLATION_PENDING, status)
    restored = DECIDER.decide(RestoreWorkOrder(OTHER_REQUEST), pending)
    assert list(restored) == [WorkOrderRestored(OTHER_REQUEST, status)]
    assert DECIDER.fold(restored, pending) == before


def test_a_run_that_ends_under_a_pending_cancellation_is_not_forgotten() -> None:
    """WO-13, WO-16: a rejection then leads to what the run came to, for that is a fact."""
    for end, event, status in (
        (RecordCompletion(RUN), completed, Status.COMPLETED),
        (RecordExecutionFailure(RUN, "timed_out"), failed, Status.FAILED),
    ):
        pending = order.given(*STATUSES[Status.CANCELLATION_PENDING])
        pending.when(end).then(event)
        ended = order.given(*STATUSES[Status.CANCELLATION_PENDING], event)
        assert DECIDER.fold(ended.history).status is Status.CANCELLATION_PENDING
        ended.when(RestoreWorkOrder(REQUEST)).then(WorkOrderRestored(REQUEST, status))
        ended.when(end).then_nothing()


def test_one_request_is_open_at_a_time() -> None:
    """WO-08"""
    pending = order.given(*STATUSES[Status.CANCELLATION_PENDING])
    pending.when(request).then_refused(WorkOrderRefusal.CANCELLATION_OPEN)
    pending.when(replace(request, cancellation=REQUEST)).then_nothing()
    pending.when(RecordCancellation(OTHER_REQUEST)).then_nothing()
    pending.when(RestoreWorkOrder(OTHER_REQUEST)).then_nothing()


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("", CommonRefusal.REQUIRED),
        ("  ", CommonRefusal.REQUIRED),
        ("x" * (REASON_CHARACTERS_MAX + 1), CommonRefusal.TOO_LONG),
    ],
)
def test_a_cancellation_needs_a_reason(reason: str, code: CommonRefusal) -> None:
    """WO-08"""
    order.given(drafted).when(replace(request, reason=reason)).then_refused((code, "reason"))


def test_nothing_goes_out_once_a_cancellation_is_asked_for() -> None:
    """WO-16: only of what is executing or completed may results be released."""
    open_now = {status for status, history in STATUSES.items() if may_release(DECIDER.fold(history))}
    assert open_now == {Status.EXECUTING, Status.COMPLETED}
    for last in (completed, failed):
        assert not may_release(DECIDER.fold((*STATUSES[Status.CANCELLATION_PENDING], last)))


def test_a_definition_may_be_made_until_it_is_executed_or_cancelled() -> None:
    """WO-04, LOG-01"""
    closed = {status for status, history in STATUSES.items() if not may_be_defined(DECIDER.fold(history))}
    assert closed == {Status.EXECUTING, Status.COMPLETED, Status.CANCELLATION_PENDING, Status.CANCELLED}
    assert not may_be_defined(DECIDER.initial)


SCRIPT = st.lists(
    st.sampled_from(
        [
            *(command for command in COMMANDS.values()),
            start,
            RequestCancellation(REQUEST, "no budget", "lin"),
            RecordCancellation(OTHER_REQUEST),
            RestoreWorkOrder(OTHER_REQUEST),
        ]
    ),
    max_size=30,
)


@PROPERTY
@given(SCRIPT)
def test_whatever_is_commanded_the_invariants_hold(script: list[Command]) -> None:
    """WO-13, WO-16: cancelled is the end; a pending request keeps a status to return to; runs count up."""
    state, was_cancelled = DECIDER.fold([drafted]), False
    for command in script:
        try:
            events = DECIDER.decide(command, state)
        except Refused:
            continue
        for event in events:
            state = DECIDER.evolve(state, event)
        was_cancelled |= state.status is Status.CANCELLED
        assert (state.status is Status.CANCELLED) == was_cancelled
        assert not (was_cancelled and may_release(state))
        if state.status is Status.CANCELLATION_PENDING:
            assert state.former in (*CANCELLABLE, Status.COMPLETED)
            assert state.cancellation is not None
        assert (state.run is None) == (state.execution.attempts == 0)


def test_a_number_has_its_year_and_six_digits() -> None:
    """WO-01"""
    assert number_text(2026, 1) == "WO-2026-000001"
    assert number_text(2026, 999_999) == "WO-2026-999999"
    with pytest.raises(AssertionError):
        number_text(2026, 1_000_000)


def test_executions_evolve_alone_as_within_a_work_order() -> None:
    """The sub-state that work orders embed is a decider's own state: attempts follow the events."""
    state = executions.Execution()
    for event in (scheduled, started, PointsJobLinked(JOB, RUN), failed, WorkOrderRetried("lin")):
        state = executions.evolve(state, event)
    assert state == executions.Execution(scheduled.definition, RUN, 1, JOB)
