"""Work orders' rows: who is to act, what a pending cancellation hides, how the past is kept."""

from datetime import timedelta
from typing import Any

import pytest

from domain.approvals import TWO_LEVELS, ApprovalGranted, ApprovalOpened, ApprovalPassed, Level, Subject
from domain.cancellations import (
    CancellationApproved,
    CancellationRejected,
    CancellationRequested,
    OrderedWork,
)
from domain.shared.references import Reference
from domain.work_order_contents import Content, Kind
from domain.work_order_executions import (
    ExecutionFailed,
    ExecutionStarted,
    PointsJobLinked,
    WorkOrderCompleted,
    WorkOrderRetried,
    WorkOrderScheduled,
)
from domain.work_order_statuses import Status
from domain.work_orders import (
    WorkOrderApproved,
    WorkOrderCancellationRequested,
    WorkOrderCancelled,
    WorkOrderDrafted,
    WorkOrderRejected,
    WorkOrderRestored,
    WorkOrderRevised,
    WorkOrderSubmitted,
    WorkOrderWithdrawn,
)
from projections.cancellations import CANCELLATIONS
from projections.work_orders import TURNS, WORK_ORDERS, WorkOrderRow
from tests.projections.folding import MORNING, History, id_of, row_of, versions

CONTENT = Content(
    name="Diners",
    activity=Reference(id_of("activity"), 2),
    customer_group=Reference(id_of("group"), 3),
    segmentation_rules="all",
    execution_at=MORNING + timedelta(days=1),
    requester="lin",
    department=Reference(id_of("department"), 1),
)
APPROVAL, RUN, REQUEST = id_of("approval"), id_of("run"), id_of("request")
DRAFTED = WorkOrderDrafted("WO-2026-000001", Kind.ACTIVITY, "HO", CONTENT, "lin")
SUBMITTED = WorkOrderSubmitted(1, APPROVAL, "hash", "research", "lin")
SUBJECT = Subject("work_order", id_of("order"), 1, "hash", "WO-2026-000001", "HO")
OPENED = ApprovalOpened(SUBJECT, TWO_LEVELS, MORNING + timedelta(days=14), "lin")
PASSED = ApprovalPassed(SUBJECT, Level.RESEARCH, Level.TECHNOLOGY, "fine", "rao")
PASSED_LAST = ApprovalPassed(SUBJECT, Level.TECHNOLOGY, None, "", "tan")
APPROVED = WorkOrderApproved(1, APPROVAL)
SCHEDULED = WorkOrderScheduled(Reference(id_of("definition"), 4), "tan")
STARTED = ExecutionStarted(RUN, 1)


def asked(former: Status) -> WorkOrderCancellationRequested:
    return WorkOrderCancellationRequested(REQUEST, former, "no budget", "lin")


def order(*events: Any, history: History | None = None) -> History:
    return (history or History()).happens("work_order", "order", *events)


def approval(history: History, *events: Any) -> History:
    return history.happens("approval", "approval", *events, by="rao")


def row(history: History) -> WorkOrderRow:
    found = row_of(WORK_ORDERS, history, "order")
    assert isinstance(found, WorkOrderRow)
    return found


def stands(history: History) -> tuple[str, str | None, str | None]:
    found = row(history)
    return found.status, found.awaiting, found.next_step


def test_each_step_tells_who_is_to_act_and_since_when() -> None:
    """WO-09"""
    history = order(DRAFTED)
    assert stands(history) == ("draft", "requester", "submit")
    order(SUBMITTED, history=history)
    approval(history, OPENED)
    assert stands(history) == ("pending_research", "research", "decide")
    approval(history, PASSED)
    assert stands(history) == ("pending_technology", "technology", "decide")
    approval(history, PASSED_LAST, ApprovalGranted(SUBJECT))
    order(APPROVED, history=history)
    assert stands(history) == ("approved", "technology", "schedule")
    order(SCHEDULED, STARTED, PointsJobLinked(id_of("job"), RUN), history=history)
    assert stands(history) == ("executing", "system", "finish")
    found = row(history)
    assert (found.run_id, found.executions, found.points_job_id) == (RUN, 1, id_of("job"))
    order(ExecutionFailed(RUN, "timed_out"), history=history)
    assert stands(history) == ("failed", "technology", "retry")
    assert row(history).failure_code == "timed_out"
    order(WorkOrderRetried("lin"), ExecutionStarted(id_of("again"), 2), history=history)
    assert (row(history).failure_code, row(history).points_job_id) == (None, None)
    order(WorkOrderCompleted(id_of("again")), history=history)
    assert stands(history) == ("completed", None, None)
    assert row(history).closed_at == row(history).status_since == history.records[-1].recorded_at


@pytest.mark.parametrize("status", [status for status in TURNS if status not in ("completed", "cancelled")])
def test_all_but_what_is_over_awaits_somebody(status: str) -> None:
    """WO-09"""
    assert all(TURNS[status])


def test_a_rejection_gives_its_reason_until_it_is_submitted_again() -> None:
    """WO-05"""
    history = order(DRAFTED, SUBMITTED, WorkOrderRejected(1, APPROVAL, "technology", "too broad"))
    assert (row(history).status, row(history).reason) == ("technology_rejected", "too broad")
    order(WorkOrderRevised(2, CONTENT, "lin"), history=history)
    assert (row(history).status, row(history).reason, row(history).approval_id) == (
        "draft",
        "too broad",
        None,
    )
    order(SUBMITTED, WorkOrderWithdrawn(1, APPROVAL, "lin"), history=history)
    assert (row(history).status, row(history).reason) == ("draft", None)


def test_a_cancellation_that_comes_to_nothing_leads_back_to_the_stage_that_was_shown() -> None:
    """WO-13"""
    history = approval(order(DRAFTED, SUBMITTED), OPENED, PASSED)
    order(asked(Status.IN_APPROVAL), history=history)
    assert stands(history) == ("cancellation_pending", "cancellation_approver", "decide_cancellation")
    assert row(history).former_status == "pending_technology"
    order(WorkOrderRestored(REQUEST, Status.IN_APPROVAL), history=history)
    assert stands(history) == ("pending_technology", "technology", "decide")
    assert row(history).former_status is None


def test_what_happens_under_a_pending_cancellation_shows_once_it_is_over() -> None:
    """WO-13: a level's word, and the end of a run."""
    history = approval(order(DRAFTED, SUBMITTED), OPENED)
    order(asked(Status.IN_APPROVAL), history=history)
    approval(history, PASSED)
    assert (row(history).status, row(history).former_status) == ("cancellation_pending", "pending_technology")
    executing = order(DRAFTED, SUBMITTED, APPROVED, SCHEDULED, STARTED, asked(Status.EXECUTING))
    order(WorkOrderCompleted(RUN), history=executing)
    assert (row(executing).status, row(executing).former_status) == ("cancellation_pending", "completed")
    order(WorkOrderRestored(REQUEST, Status.COMPLETED), history=executing)
    assert stands(executing) == ("completed", None, None)


def test_a_cancelled_work_order_awaits_nobody() -> None:
    """WO-13"""
    history = order(DRAFTED, asked(Status.DRAFT), WorkOrderCancelled(REQUEST))
    assert stands(history) == ("cancelled", None, None)
    assert row(history).closed_at is not None


def test_the_approval_of_something_else_moves_no_work_order() -> None:
    history = order(DRAFTED, SUBMITTED)
    other = Subject("activity", id_of("order"), 1, "hash", "A", "HO")
    approval(history, ApprovalOpened(other, TWO_LEVELS, MORNING, "lin"))
    assert row(history).changed_by == "lin"
    assert len(versions(WORK_ORDERS, history.records)) == 2


def test_a_request_tells_both_persons_times_and_texts() -> None:
    """WO-14, WO-15"""
    work = OrderedWork(id_of("order"), "WO-2026-000001", 1, "draft")
    request = CancellationRequested(work, "HO", "no budget", APPROVAL, "hash", "technology", "lin")
    about = Subject("cancellation", id_of("request"), 1, "hash", "WO-2026-000001", "HO")
    said = ApprovalPassed(about, Level.TECHNOLOGY, None, "agreed", "tan")
    for last, status, reason in (
        (CancellationApproved(work.id, APPROVAL, "tan"), "approved", "agreed"),
        (
            CancellationRejected(work.id, APPROVAL, "technology", "it is needed", "tan"),
            "rejected",
            "it is needed",
        ),
    ):
        history = History().happens("cancellation", "request", request)
        if status == "approved":
            approval(history, said)
        history.happens("cancellation", "request", last, by="tan")
        found = row_of(CANCELLATIONS, history, "request")
        assert (found.status, found.reason, found.decision_reason) == (status, "no budget", reason)
        assert (found.requested_by, found.decided_by, found.awaiting) == ("lin", "tan", None)
        assert found.requested_at < found.decided_at == found.closed_at
