"""Activities' rows: the combined status, the plan in columns, what an approval may and may not touch."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.activities import (
    ActivityApproved,
    ActivityCancelled,
    ActivityDeleted,
    ActivityDrafted,
    ActivityEnded,
    ActivityLaunched,
    ActivityPaused,
    ActivityRejected,
    ActivityResumed,
    ActivityRevised,
    ActivitySubmitted,
    ActivityWithdrawn,
)
from domain.activity_plans import Channel, CostLine, Plan
from domain.approvals import (
    TWO_LEVELS,
    ApprovalGranted,
    ApprovalOpened,
    ApprovalPassed,
    ApprovalRejected,
    ApprovalVoided,
    Level,
    Subject,
)
from domain.shared.money import Money
from domain.shared.period import Period
from domain.shared.references import Reference
from projections.activities import ACTIVITIES, ActivityRow
from tests.projections.folding import MORNING, History, columns, id_of, row_of, versions

DAY = timedelta(days=1)
PLAN = Plan(
    name="Spring dining",
    description="Ten per cent back",
    activity_type=Reference(id_of("dining"), 3),
    period=Period(MORNING, MORNING + 30 * DAY),
    registration=None,
    award=Period(MORNING + 31 * DAY, MORNING + 40 * DAY),
    channels=(Channel.SMS, Channel.APP),
    budget=Money(100_000, "CNY"),
    cost_lines=(
        CostLine(Reference(id_of("sms"), 1), Money(2_500, "CNY"), "one each"),
        CostLine(Reference(id_of("gifts"), 2), Money(40_000, "CNY")),
    ),
)
REVISED = replace(PLAN, name="Summer dining", registration=Period(MORNING - DAY, MORNING), award=None)
DRAFTED = ActivityDrafted("SPRING-26", "SH", PLAN, "lin")
APPROVAL = id_of("approval")
SUBJECT = Subject("activity", id_of("activity"), 1, "hash", "SPRING-26", "SH")
SUBMITTED = ActivitySubmitted(1, APPROVAL, "hash", "wu", "research")
OPENED = ApprovalOpened(SUBJECT, TWO_LEVELS, MORNING + 14 * DAY, "wu")
PASSED = ApprovalPassed(SUBJECT, Level.RESEARCH, Level.TECHNOLOGY, "fine", "rao")
PASSED_LAST = ApprovalPassed(SUBJECT, Level.TECHNOLOGY, None, "", "tan")
GRANTED = ApprovalGranted(SUBJECT)


def activity(*events: Any, history: History | None = None, by: str = "lin") -> History:
    return (history or History()).happens("activity", "activity", *events, by=by)


def approval(history: History, *events: Any, by: str = "rao") -> History:
    return history.happens("approval", "approval", *events, by=by)


def submitted() -> History:
    return approval(activity(DRAFTED, SUBMITTED), OPENED, by="wu")


def approved() -> History:
    history = approval(submitted(), PASSED, PASSED_LAST, GRANTED)
    return activity(ActivityApproved(1, APPROVAL), history=history, by="tan")


def row(history: History) -> ActivityRow:
    found = row_of(ACTIVITIES, history, "activity")
    assert isinstance(found, ActivityRow)
    return found


def test_a_draft_has_its_whole_plan_in_columns() -> None:
    assert row(activity(DRAFTED)) == ActivityRow(
        id=id_of("activity"),
        version=1,
        revision=1,
        code="SPRING-26",
        org_unit="SH",
        status="draft",
        name="Spring dining",
        description="Ten per cent back",
        activity_type_id=id_of("dining"),
        activity_type_revision=3,
        starts_at=MORNING,
        ends_at=MORNING + 30 * DAY,
        registration_starts_at=None,
        registration_ends_at=None,
        award_starts_at=MORNING + 31 * DAY,
        award_ends_at=MORNING + 40 * DAY,
        form_id=None,
        form_revision=None,
        form_values=[],
        channels=("sms", "app"),
        budget_minor=100_000,
        cost_total_minor=42_500,
        currency="CNY",
        cost_lines=[
            {
                "cost_type_id": str(id_of("sms")),
                "cost_type_revision": 1,
                "amount_minor": 2_500,
                "currency": "CNY",
                "remark": "one each",
            },
            {
                "cost_type_id": str(id_of("gifts")),
                "cost_type_revision": 2,
                "amount_minor": 40_000,
                "currency": "CNY",
                "remark": "",
            },
        ],
        approval_id=None,
        created_at=MORNING + timedelta(minutes=1),
        created_by="lin",
        submitted_at=None,
        submitted_by=None,
        approved_at=None,
        reason=None,
        changed_at=MORNING + timedelta(minutes=1),
        changed_by="lin",
    )


def test_a_revision_replaces_the_plan_and_keeps_who_created_it() -> None:
    found = row(activity(ActivityRevised(2, REVISED, "wu"), history=activity(DRAFTED), by="wu"))
    assert (found.version, found.revision, found.name) == (2, 2, "Summer dining")
    assert (found.registration_starts_at, found.award_starts_at) == (MORNING - DAY, None)
    assert (found.created_by, found.changed_by) == ("lin", "wu")
    assert found.changed_at - found.created_at == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("history", "status"),
    [
        (activity(DRAFTED), "draft"),
        (submitted(), "pending_research"),
        (approval(submitted(), PASSED), "pending_technology"),
        (approval(submitted(), PASSED, PASSED_LAST, GRANTED), "pending_technology"),
        (approved(), "approved"),
        (activity(ActivityRejected(1, APPROVAL, "research", "no"), history=submitted()), "research_rejected"),
        (
            activity(
                ActivityRejected(1, APPROVAL, "technology", "no"),
                history=approval(submitted(), PASSED, ApprovalRejected(SUBJECT, Level.TECHNOLOGY, "no", "t")),
            ),
            "technology_rejected",
        ),
        (activity(ActivityWithdrawn(1, APPROVAL, "wu"), history=submitted()), "draft"),
        (activity(ActivityRevised(2, REVISED, "wu"), history=submitted()), "draft"),
        (activity(ActivityRevised(2, REVISED, "wu"), history=approved()), "draft"),
        (activity(ActivityLaunched("wu"), history=approved()), "running"),
        (activity(ActivityLaunched("wu"), ActivityPaused("p", "wu"), history=approved()), "paused"),
        (
            activity(
                ActivityLaunched("wu"), ActivityPaused("p", "wu"), ActivityResumed("wu"), history=approved()
            ),
            "running",
        ),
        (activity(ActivityLaunched("wu"), ActivityEnded(), history=approved()), "ended"),
        (activity(ActivityCancelled("c", "wu"), history=approved()), "cancelled"),
    ],
)
def test_the_status_tells_the_stage_of_the_approval_too(history: History, status: str) -> None:
    assert row(history).status == status


def test_the_first_level_is_the_one_that_the_approval_was_opened_with() -> None:
    opened = replace(OPENED, levels=(Level.TECHNOLOGY,))
    assert row(approval(activity(DRAFTED, SUBMITTED), opened)).status == "pending_technology"


def test_an_approval_that_is_not_the_current_one_touches_nothing() -> None:
    """A withdrawn approval may still be told of: it must not bring the activity back to pending."""
    withdrawn = activity(ActivityWithdrawn(1, APPROVAL, "wu"), history=submitted())
    before = row(withdrawn)
    assert row(approval(withdrawn, ApprovalVoided(SUBJECT, "subject_withdrawn"), PASSED)) == before
    again = activity(ActivitySubmitted(1, id_of("second"), "hash", "wu", "research"), history=withdrawn)
    assert row(approval(again, PASSED)).status == "pending_research"
    second = again.happens("approval", "second", OPENED)
    assert row(second).status == "pending_research"
    assert row(approval(second, PASSED)).status == "pending_research"


def test_an_approval_of_something_else_concerns_no_activity() -> None:
    other = replace(SUBJECT, kind="work_order")
    history = approval(activity(DRAFTED), replace(OPENED, subject=other))
    assert ACTIVITIES.key(history.records[-1]) is None


def test_an_approval_moves_the_status_and_who_changed_it_but_not_the_version() -> None:
    found = row(approval(submitted(), PASSED, by="rao"))
    assert (found.version, found.changed_by) == (2, "rao")
    assert found.changed_at == MORNING + timedelta(minutes=4)


def test_submission_and_approval_leave_when_and_by_whom_and_a_revision_takes_it_back() -> None:
    found = row(approved())
    assert (found.submitted_at, found.submitted_by) == (MORNING + timedelta(minutes=2), "wu")
    assert (found.approved_at, found.approval_id) == (MORNING + timedelta(minutes=7), APPROVAL)
    revised = row(activity(ActivityRevised(2, REVISED, "wu"), history=approved()))
    assert (revised.submitted_at, revised.submitted_by) == (None, None)
    assert (revised.approved_at, revised.approval_id) == (None, None)


def test_a_rejection_names_its_approval_and_its_reason_until_it_is_submitted_again() -> None:
    rejected = activity(ActivityRejected(1, APPROVAL, "research", "too dear"), history=submitted())
    assert (row(rejected).approval_id, row(rejected).reason) == (APPROVAL, "too dear")
    activity(ActivityRevised(2, REVISED, "wu"), history=rejected)
    assert (row(rejected).approval_id, row(rejected).reason) == (None, "too dear")
    activity(ActivitySubmitted(2, id_of("second"), "hash", "wu", "research"), history=rejected)
    assert (row(rejected).approval_id, row(rejected).reason) == (id_of("second"), None)


def test_the_reason_of_a_pause_is_gone_when_it_resumes_and_that_of_a_cancellation_stays() -> None:
    history = activity(ActivityLaunched("wu"), ActivityPaused("stock", "wu"), history=approved())
    assert row(history).reason == "stock"
    assert row(activity(ActivityResumed("wu"), history=history)).reason is None
    assert row(activity(ActivityCancelled("budget", "wu"), history=history)).reason == "budget"


def test_a_deleted_activity_has_no_row_but_all_its_versions() -> None:
    history = activity(DRAFTED, ActivityRevised(2, REVISED, "wu"), ActivityDeleted("wu"))
    assert row_of(ACTIVITIES, history, "activity") is None
    found = versions(ACTIVITIES, history.records)
    assert columns([version.row for version in found], "revision") == [1, 2]
    assert found[-1].until == history.records[-1].position


def test_a_row_is_found_from_its_approvals_by_the_submissions() -> None:
    history = activity(
        ActivitySubmitted(1, id_of("second"), "hash", "wu", "research"),
        history=activity(ActivityWithdrawn(1, APPROVAL, "wu"), history=submitted()),
    )
    named = [id_ for record in history.records for id_ in ACTIVITIES.sources(record)]
    assert named == [APPROVAL, id_of("second")]


def test_an_event_of_an_activity_that_is_not_there_is_a_defect() -> None:
    with pytest.raises(AssertionError):
        row_of(ACTIVITIES, activity(ActivityLaunched("wu")), "activity")
