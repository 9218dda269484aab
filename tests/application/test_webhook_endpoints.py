"""Use cases of webhook endpoints: approved like everything else, and whose events they get."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from application import approvals, webhook_endpoints
from application.access import Forbidden, Principal, Role
from application.approvals import Seen
from application.shared.records import BANK_WIDE, BEGINNING
from application.shared.webhooks import Delivery
from application.webhook_endpoints import WebhookPolicy, gets, recipient
from domain.approvals import DECIDER as APPROVAL
from domain.approvals import ApprovalRefusal, Level, Status
from domain.shared.refusal import CommonRefusal
from domain.webhook_contents import Disclosure, WebhookContent, WebhookRefusal
from domain.webhook_endpoints import DECIDER, WebhookEndpoint
from domain.webhook_statuses import DisablingCause
from tests.application.bank import ALL_UNITS, IN_SHANGHAI, LIN, RAO, TAN, Bank, person
from tests.given import refused

POLICY = WebhookPolicy(frozenset({"activity.approved", "points_ledger.posted"}))
CONTENT = WebhookContent("Partner", "https://hooks.example.com/", ("activity.*",))
INTEGRATOR = person("ines", Role.INTEGRATOR)


def send(bank: Bank, by: Principal, operation: str, use_case: Callable[..., UUID], *given: Any) -> UUID:
    return bank.send(by, operation, {}, use_case, *given).subject


def drafted(bank: Bank, by: Principal = LIN, content: WebhookContent = CONTENT, code: str = "") -> UUID:
    code = code or f"W-{uuid4().hex[:8].upper()}"
    return send(bank, by, "draftWebhookEndpoint", webhook_endpoints.draft, POLICY, code, content, uuid4())


def submitted(bank: Bank, endpoint: UUID, by: Principal = LIN) -> UUID:
    send(bank, by, "submitWebhookEndpoint", webhook_endpoints.submit, POLICY, endpoint)
    approval = state(bank, endpoint).approval
    assert approval is not None
    return approval


def state(bank: Bank, endpoint: UUID) -> WebhookEndpoint:
    return bank.log.load(DECIDER, endpoint).state


def approve(bank: Bank, approval: UUID, by: Principal, level: Level) -> None:
    subject = bank.log.load(APPROVAL, approval).state.subject
    assert subject is not None
    seen = Seen(level, subject.revision, subject.content_hash)
    send(bank, by, "approve", approvals.approve, approval, seen, "")


def approved(bank: Bank, content: WebhookContent = CONTENT, by: Principal = LIN) -> UUID:
    endpoint = drafted(bank, by, content)
    approval = submitted(bank, endpoint, by)
    approve(bank, approval, RAO, Level.RESEARCH)
    approve(bank, approval, TAN, Level.TECHNOLOGY)
    return endpoint


def test_an_endpoint_is_sent_to_when_both_levels_said_yes(bank: Bank) -> None:
    """INT-10, APR-04"""
    endpoint = drafted(bank)
    approval = submitted(bank, endpoint)
    approve(bank, approval, RAO, Level.RESEARCH)
    assert not state(bank, endpoint).is_sent_to
    approve(bank, approval, TAN, Level.TECHNOLOGY)
    assert state(bank, endpoint).is_sent_to


def test_who_wrote_an_endpoint_does_not_approve_it(bank: Bank) -> None:
    """APR-04: nobody sends events of the bank to himself."""
    both = person("ming", Role.OPERATOR, Role.RESEARCHER)
    approval = submitted(bank, drafted(bank, both), both)
    with refused(ApprovalRefusal.SEPARATION_OF_DUTIES):
        approve(bank, approval, both, Level.RESEARCH)


def test_a_revision_voids_the_approval_under_way_and_leaves_what_is_in_force(bank: Bank) -> None:
    """APR-04, INT-10"""
    endpoint = approved(bank)
    other = WebhookContent("Partner", "https://elsewhere.example.com/", ("activity.*",))
    revise = (webhook_endpoints.revise, POLICY, endpoint)
    send(bank, LIN, "reviseWebhookEndpoint", *revise, other)
    approval = submitted(bank, endpoint)
    send(bank, LIN, "reviseWebhookEndpoint", *revise, CONTENT)
    assert bank.log.load(APPROVAL, approval).state.status is Status.VOIDED
    now = state(bank, endpoint)
    assert (now.approved, now.is_sent_to) == (CONTENT, True)
    again = submitted(bank, endpoint)
    send(bank, LIN, "withdrawWebhookEndpoint", webhook_endpoints.withdraw, endpoint)
    assert bank.log.load(APPROVAL, again).state.status is Status.VOIDED


def test_a_code_is_free_again_when_its_endpoint_is_deleted(bank: Bank) -> None:
    endpoint = drafted(bank, code="PARTNER")
    with refused((CommonRefusal.CODE_TAKEN, "code")):
        drafted(bank, code="PARTNER")
    send(bank, LIN, "deleteWebhookEndpoint", webhook_endpoints.delete, endpoint)
    drafted(bank, code="PARTNER")


def test_nobody_has_sent_what_he_may_not_read(bank: Bank) -> None:
    """SEC-03: an integrator may read events, not customers nor budgets."""
    told = WebhookContent("P", CONTENT.url, ("activity.*",), tuple(Disclosure))
    with refused(
        (WebhookRefusal.DISCLOSURE_NOT_YOURS, "discloses", 0),
        (WebhookRefusal.DISCLOSURE_NOT_YOURS, "discloses", 1),
    ):
        drafted(bank, INTEGRATOR, told)
    drafted(bank, INTEGRATOR)
    drafted(bank, LIN, told)


def test_another_units_endpoint_is_not_seen_nor_changed(bank: Bank) -> None:
    """SEC-03"""
    endpoint = approved(bank)
    for operation, use_case, given in (
        ("disableWebhookEndpoint", webhook_endpoints.disable, ("why",)),
        ("replayWebhookEndpoint", webhook_endpoints.replay, (BEGINNING,)),
        ("rotateWebhookSecret", webhook_endpoints.rotate_secret, (uuid4(),)),
    ):
        with refused((CommonRefusal.NOT_FOUND, "id")):
            send(bank, IN_SHANGHAI, operation, use_case, endpoint, *given)
    with refused((CommonRefusal.NOT_FOUND, "id")):
        resend = webhook_endpoints.resend
        send(bank, IN_SHANGHAI, "resendWebhookDelivery", resend, Delivery(endpoint, uuid4()))


def test_what_was_never_to_be_delivered_is_not_sent(bank: Bank) -> None:
    with refused((CommonRefusal.NOT_FOUND, "id")):
        send(bank, LIN, "resendWebhookDelivery", webhook_endpoints.resend, None)


def test_only_who_delivers_says_that_an_endpoint_is_gone(bank: Bank) -> None:
    """INT-10: said twice, it is recorded once."""
    endpoint, event = approved(bank), uuid4()
    suspend = (webhook_endpoints.suspend, endpoint, DisablingCause.GONE, "HTTP 410", event)
    with pytest.raises(Forbidden):
        send(bank, LIN, "suspendWebhookEndpoint", *suspend)
    system = webhook_endpoints.deliverer(ALL_UNITS)
    send(bank, system, "suspendWebhookEndpoint", *suspend)
    version = bank.log.load(DECIDER, endpoint).version
    send(bank, system, "suspendWebhookEndpoint", *suspend)
    assert bank.log.load(DECIDER, endpoint).version == version
    send(bank, LIN, "enableWebhookEndpoint", webhook_endpoints.enable, endpoint)
    assert state(bank, endpoint).is_sent_to


@pytest.mark.parametrize(
    ("by", "units"), [(LIN, {"HO", "SH", "BJ"}), (IN_SHANGHAI, {"SH"})], ids=["head office", "branch"]
)
def test_an_endpoint_gets_the_events_of_its_unit(bank: Bank, by: Principal, units: set[str]) -> None:
    """SEC-03, INT-10: head office's of all units; what is bank-wide goes to all."""
    reader = recipient(state(bank, approved(bank, by=by)), ALL_UNITS)
    assert {unit for unit in ALL_UNITS if gets(reader, "activity", unit)} == units
    assert {unit for unit in ALL_UNITS if gets(reader, "points_ledger", unit)} == units
    assert gets(reader, "activity_type", BANK_WIDE)
    assert not any(gets(reader, "user", unit) for unit in (*ALL_UNITS, BANK_WIDE))


def test_an_endpoint_that_is_not_approved_or_disabled_gets_nothing(bank: Bank) -> None:
    """INT-10"""
    waiting, stopped = drafted(bank), approved(bank)
    send(bank, LIN, "disableWebhookEndpoint", webhook_endpoints.disable, stopped, "moving")
    for endpoint in (waiting, stopped):
        reader = recipient(state(bank, endpoint), ALL_UNITS)
        assert not any(gets(reader, "activity", unit) for unit in (*ALL_UNITS, BANK_WIDE))
