"""The approval inbox: what is awaited from whom, and every word that was said."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

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
from projections.approval_inbox import APPROVALS, ApprovalRow
from tests.projections.folding import MORNING, History, id_of, row_of

SUBJECT = Subject("activity", id_of("activity"), 4, "hash", "SPRING-26", "SH")
DEADLINE = MORNING + timedelta(days=14)
OPENED = ApprovalOpened(SUBJECT, TWO_LEVELS, DEADLINE, "wu", ("wu", "lin"))
PASSED = ApprovalPassed(SUBJECT, Level.RESEARCH, Level.TECHNOLOGY, "fine", "rao")
PASSED_LAST = ApprovalPassed(SUBJECT, Level.TECHNOLOGY, None, "", "tan")
REJECTED = ApprovalRejected(SUBJECT, Level.TECHNOLOGY, "no capacity", "tan")


def row(*events: Any) -> ApprovalRow:
    found = row_of(APPROVALS, History().happens("approval", "approval", *events, by="wu"), "approval")
    assert isinstance(found, ApprovalRow)
    return found


def test_an_opened_approval_awaits_its_first_level() -> None:
    at = MORNING + timedelta(minutes=1)
    assert row(OPENED) == ApprovalRow(
        id=id_of("approval"),
        version=1,
        subject_kind="activity",
        subject_id=id_of("activity"),
        subject_label="SPRING-26",
        subject_revision=4,
        content_hash="hash",
        org_unit="SH",
        status="pending_research",
        awaiting="research",
        requested_by="wu",
        makers=("wu", "lin"),
        requested_at=at,
        decide_by=DEADLINE,
        decided_by=(),
        decisions=[],
        reason=None,
        closed_at=None,
        changed_at=at,
    )


@pytest.mark.parametrize(
    ("events", "status", "awaiting", "is_closed"),
    [
        ([replace(OPENED, levels=(Level.TECHNOLOGY,))], "pending_technology", "technology", False),
        ([OPENED, PASSED], "pending_technology", "technology", False),
        ([OPENED, PASSED, PASSED_LAST, ApprovalGranted(SUBJECT)], "approved", None, True),
        ([OPENED, PASSED, REJECTED], "technology_rejected", None, True),
        ([OPENED, replace(REJECTED, level=Level.RESEARCH)], "research_rejected", None, True),
        ([OPENED, ApprovalVoided(SUBJECT, "subject_revised")], "voided", None, True),
    ],
)
def test_status_and_who_is_awaited_follow_the_verdicts(
    events: list[Any], status: str, awaiting: str | None, is_closed: bool
) -> None:
    found = row(*events)
    assert (found.status, found.awaiting, found.closed_at is not None) == (status, awaiting, is_closed)
    assert found.changed_at == MORNING + timedelta(minutes=len(events))


def test_every_decision_is_kept_with_who_when_and_what_was_said() -> None:
    """APR-10."""
    found = row(OPENED, PASSED, REJECTED)
    assert found.decided_by == ("rao", "tan")
    assert found.decisions == [
        {
            "level": "research",
            "verdict": "approved",
            "by": "rao",
            "at": "2026-03-01T08:02:00.000000Z",
            "comment": "fine",
            "revision": 4,
        },
        {
            "level": "technology",
            "verdict": "rejected",
            "by": "tan",
            "at": "2026-03-01T08:03:00.000000Z",
            "comment": "no capacity",
            "revision": 4,
        },
    ]
    assert found.reason == "no capacity"


def test_a_void_approval_tells_why_by_a_code() -> None:
    assert row(OPENED, ApprovalVoided(SUBJECT, "subject_withdrawn")).reason == "subject_withdrawn"
