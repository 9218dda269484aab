"""Rows of webhook endpoints: the newest revision, what events are sent by, and why nothing is sent."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain import webhook_endpoints as we
from domain.approvals import TWO_LEVELS, ApprovalOpened, ApprovalPassed, Level, Subject
from domain.webhook_contents import Disclosure, WebhookContent
from domain.webhook_statuses import DisablingCause
from projections.webhook_endpoints import WEBHOOK_ENDPOINTS
from tests.projections.folding import MORNING, History, entries, id_of, row_of

CONTENT = WebhookContent("Partner", "https://a.example.com/", ("activity.*",))
OTHER = replace(CONTENT, url="https://b.example.com/", discloses=(Disclosure.BUDGET,))
APPROVAL = id_of("approval")
SUBJECT = Subject("webhook_endpoint", id_of("endpoint"), 1, "hash", "PARTNER", "SH")
DRAFTED = we.WebhookEndpointDrafted("PARTNER", "SH", CONTENT, id_of("secret"), "lin")
SUBMITTED = we.WebhookEndpointSubmitted(1, APPROVAL, "hash", "research", "lin")
APPROVED = we.WebhookEndpointApproved(1, APPROVAL, "hash")
OPENED = ApprovalOpened(SUBJECT, TWO_LEVELS, MORNING + timedelta(days=14), "lin")
PASSED = ApprovalPassed(SUBJECT, Level.RESEARCH, Level.TECHNOLOGY, "fine", "rao")


def happened(*events: Any) -> History:
    return History().happens("webhook_endpoint", "endpoint", *events)


def row(history: History) -> Any:
    return row_of(WEBHOOK_ENDPOINTS, history, "endpoint")


def test_the_status_tells_whose_word_is_awaited() -> None:
    """APR-04"""
    history = happened(DRAFTED, SUBMITTED).happens("approval", "approval", OPENED)
    assert row(history).status == "pending_research"
    history.happens("approval", "approval", PASSED)
    assert row(history).status == "pending_technology"
    history.happens("webhook_endpoint", "endpoint", APPROVED)
    assert row(history).status == "approved"
    assert (row(history).version, row(history).approved_revision) == (3, 1)


def test_what_events_are_sent_by_stands_beside_a_newer_revision() -> None:
    """INT-10"""
    now = row(happened(DRAFTED, SUBMITTED, APPROVED, we.WebhookEndpointRevised(2, OTHER, "wu")))
    assert (now.status, now.revision, now.url) == ("draft", 2, OTHER.url)
    assert (now.approved_revision, now.approved_url, now.approval_id) == (1, CONTENT.url, None)
    assert now.discloses == ("budget",)


def test_a_rejection_tells_why_until_it_is_submitted_again() -> None:
    """APR-04"""
    rejected = we.WebhookEndpointRejected(1, APPROVAL, "technology", "whose?")
    now = row(happened(DRAFTED, SUBMITTED, rejected))
    assert (now.status, now.reason) == ("technology_rejected", "whose?")
    again = happened(DRAFTED, SUBMITTED, rejected, we.WebhookEndpointRevised(2, OTHER, "lin"), SUBMITTED)
    assert row(again).reason is None


def test_why_nothing_is_sent_stands_there_until_it_is_enabled() -> None:
    """INT-10"""
    gone = we.WebhookEndpointDisabled(DisablingCause.GONE, "HTTP 410", "system:webhooks", id_of("event"))
    stopped = row(happened(DRAFTED, SUBMITTED, APPROVED, gone))
    assert (stopped.disabled_cause, stopped.disabled_reason) == ("gone", "HTTP 410")
    assert stopped.disabled_at == stopped.changed_at
    on = row(happened(DRAFTED, SUBMITTED, APPROVED, gone, we.WebhookEndpointEnabled("lin")))
    assert (on.disabled_cause, on.disabled_at, on.disabled_reason) == (None, None, None)


def test_secrets_are_counted_never_more_than_two() -> None:
    """SEC-07"""
    rotated = we.WebhookSecretRotated(id_of("other"), "lin")
    assert [row(happened(DRAFTED, *[rotated] * times)).secrets for times in range(3)] == [1, 2, 2]
    ended = we.OldWebhookSecretEnded(id_of("secret"), "lin")
    assert row(happened(DRAFTED, rotated, ended)).secrets == 1


def test_what_was_deleted_is_gone_and_its_history_stays() -> None:
    history = happened(DRAFTED, we.WebhookEndpointDeleted("lin"))
    assert row(history) is None
    assert [entry.event_type for entry in entries(history.records)] == [
        "webhook_endpoint.drafted",
        "webhook_endpoint.deleted",
    ]
    assert {entry.org_unit for entry in entries(history.records)} == {"SH"}
