"""Webhook endpoints: approved before anything is sent, and by nothing but what was approved."""

from dataclasses import replace
from typing import get_args
from uuid import UUID

import pytest

from domain.shared.refusal import CommonRefusal
from domain.webhook_contents import (
    TYPES_MAX,
    URL_CHARACTERS_MAX,
    Disclosure,
    EndpointRules,
    WebhookContent,
    WebhookRefusal,
    is_public_address,
    selects,
)
from domain.webhook_endpoints import (
    DECIDER,
    REVISIONS_MAX,
    Command,
    DeleteEndpoint,
    DisableEndpoint,
    DraftEndpoint,
    EnableEndpoint,
    EndOldEndpointSecret,
    Event,
    OldWebhookSecretEnded,
    RecordApproval,
    RecordRejection,
    ReplayEvents,
    ResendDelivery,
    ReviseEndpoint,
    RotateEndpointSecret,
    SubmitEndpoint,
    WebhookEndpointApproved,
    WebhookEndpointDeleted,
    WebhookEndpointDisabled,
    WebhookEndpointDrafted,
    WebhookEndpointEnabled,
    WebhookEndpointRejected,
    WebhookEndpointRevised,
    WebhookEndpointSubmitted,
    WebhookSecretRotated,
    WithdrawEndpoint,
    endpoint_hash,
)
from domain.webhook_statuses import DisablingCause, Status
from tests.domain.examples import APPROVAL, OTHER_APPROVAL
from tests.given import Given, all_pairs, grid, outcome

endpoint = Given(DECIDER)

S1, S2, S3 = (UUID(int=number) for number in (1, 2, 3))
EVENT = UUID(int=0xE)
AFTER = "0" * 24
KNOWN = frozenset({"activity.approved", "activity.drafted", "points_job.posted"})
RULES = EndpointRules(KNOWN, frozenset({Disclosure.BUDGET}))
CONTENT = WebhookContent("Partner", "https://hooks.example.com/cardinal", ("activity.approved",))
OTHER = replace(CONTENT, types=("activity.*",))

drafted = WebhookEndpointDrafted("PARTNER", "SH", CONTENT, S1, by="lin")
HASH = endpoint_hash(DECIDER.fold([drafted]))
submitted = WebhookEndpointSubmitted(1, APPROVAL, HASH, level="research", by="lin")
approved = WebhookEndpointApproved(1, APPROVAL, HASH)
revised = WebhookEndpointRevised(2, OTHER, by="wu")
disabled = WebhookEndpointDisabled(DisablingCause.GONE, "410", "system:webhooks", EVENT)

draft = DraftEndpoint("PARTNER", "SH", CONTENT, S1, RULES, by="lin", is_code_free=True)
revise = ReviseEndpoint(OTHER, RULES, by="wu")
disable = DisableEndpoint(DisablingCause.GONE, "410", "system:webhooks", EVENT)

HISTORIES: dict[Status, list[Event]] = {
    Status.UNKNOWN: [],
    Status.DRAFT: [drafted],
    Status.IN_APPROVAL: [drafted, submitted],
    Status.APPROVED: [drafted, submitted, approved],
    Status.REJECTED: [drafted, submitted, WebhookEndpointRejected(1, APPROVAL, "research", "whose?")],
    Status.DELETED: [drafted, submitted, approved, WebhookEndpointDeleted(by="lin")],
}
COMMANDS: dict[type, Command] = {
    DraftEndpoint: draft,
    ReviseEndpoint: revise,
    SubmitEndpoint: SubmitEndpoint(APPROVAL, "research", RULES, by="lin"),
    WithdrawEndpoint: WithdrawEndpoint(by="lin"),
    RecordApproval: RecordApproval(APPROVAL),
    RecordRejection: RecordRejection(APPROVAL, "research", "whose?"),
    DisableEndpoint: disable,
    EnableEndpoint: EnableEndpoint(by="lin"),
    RotateEndpointSecret: RotateEndpointSecret(S2, by="lin"),
    EndOldEndpointSecret: EndOldEndpointSecret(by="lin"),
    ReplayEvents: ReplayEvents(AFTER, by="lin"),
    ResendDelivery: ResendDelivery(EVENT, by="lin"),
    DeleteEndpoint: DeleteEndpoint(by="lin"),
}
ANSWERS = grid("""
                      unknown    draft                     in_approval
DraftEndpoint         WebhookEndpointDrafted  defect       defect
ReviseEndpoint        not_found  WebhookEndpointRevised    WebhookEndpointRevised
SubmitEndpoint        not_found  WebhookEndpointSubmitted  nothing
WithdrawEndpoint      not_found  not_in_approval           WebhookEndpointWithdrawn
RecordApproval        not_found  not_in_approval           WebhookEndpointApproved
RecordRejection       not_found  not_in_approval           WebhookEndpointRejected
DisableEndpoint       not_found  WebhookEndpointDisabled   WebhookEndpointDisabled
EnableEndpoint        not_found  endpoint_not_approved     endpoint_not_approved
RotateEndpointSecret  not_found  WebhookSecretRotated      WebhookSecretRotated
EndOldEndpointSecret  not_found  nothing                   nothing
ReplayEvents          not_found  endpoint_not_approved     endpoint_not_approved
ResendDelivery        not_found  endpoint_not_approved     endpoint_not_approved
DeleteEndpoint        not_found  WebhookEndpointDeleted    WebhookEndpointDeleted

                      approved                 rejected                  deleted
DraftEndpoint         defect                   defect                    defect
ReviseEndpoint        WebhookEndpointRevised   WebhookEndpointRevised    not_found
SubmitEndpoint        not_submittable          not_submittable           not_found
WithdrawEndpoint      not_in_approval          not_in_approval           not_found
RecordApproval        not_in_approval          not_in_approval           not_found
RecordRejection       not_in_approval          not_in_approval           not_found
DisableEndpoint       WebhookEndpointDisabled  WebhookEndpointDisabled   not_found
EnableEndpoint        nothing                  endpoint_not_approved     not_found
RotateEndpointSecret  WebhookSecretRotated     WebhookSecretRotated      not_found
EndOldEndpointSecret  nothing                  nothing                   not_found
ReplayEvents          WebhookReplayRequested   endpoint_not_approved     not_found
ResendDelivery        WebhookResendRequested   endpoint_not_approved     not_found
DeleteEndpoint        WebhookEndpointDeleted   WebhookEndpointDeleted    nothing
""")


def test_the_grid_has_every_status_and_command() -> None:
    assert set(ANSWERS) == all_pairs(HISTORIES, COMMANDS)
    assert set(HISTORIES) == set(Status)
    assert set(COMMANDS) == set(get_args(Command))


@pytest.mark.parametrize(("name", "status"), ANSWERS)
def test_what_every_status_answers(name: str, status: str) -> None:
    """INT-10: the state machine of an endpoint."""
    command = next(command for type_, command in COMMANDS.items() if type_.__name__ == name)
    assert outcome(DECIDER, HISTORIES[Status(status)], command) == ANSWERS[name, status]


def test_events_are_sent_by_the_approved_revision_while_a_newer_one_is_judged() -> None:
    """INT-10, APR-04"""
    history = [*HISTORIES[Status.APPROVED], revised]
    state = DECIDER.fold(history)
    assert state.is_sent_to
    assert (state.approved, state.content, state.status) == (CONTENT, OTHER, Status.DRAFT)
    again = [WebhookEndpointSubmitted(2, OTHER_APPROVAL, "2" * 64, "research", "wu")]
    again += [WebhookEndpointApproved(2, OTHER_APPROVAL, "2" * 64)]
    assert DECIDER.fold([*history, *again]).approved == OTHER


@pytest.mark.parametrize("status", set(Status) - {Status.APPROVED})
def test_nothing_is_sent_without_an_approval(status: Status) -> None:
    """INT-10"""
    assert not DECIDER.fold(HISTORIES[status]).is_sent_to


def test_a_verdict_upon_an_approval_that_is_void_changes_nothing() -> None:
    """APR-04"""
    endpoint.given(drafted, submitted).when(RecordApproval(OTHER_APPROVAL)).then_refused("not_in_approval")


def test_an_approver_sees_every_part_of_the_content() -> None:
    """APR-04: another address, other types or another disclosure is another hash."""
    others = [
        CONTENT,
        replace(CONTENT, name="Other"),
        replace(CONTENT, url="https://other.example.com/"),
        OTHER,
        replace(CONTENT, discloses=(Disclosure.BUDGET,)),
    ]
    states = [DECIDER.fold([replace(drafted, content=content)]) for content in others]
    assert len({endpoint_hash(state) for state in states}) == len(others)


def test_a_disabled_endpoint_is_sent_nothing_until_it_is_enabled() -> None:
    """INT-10: at 410, and when an event failed to the last; doing it twice is doing it once."""
    history = [*HISTORIES[Status.APPROVED], disabled]
    assert not DECIDER.fold(history).is_sent_to
    endpoint.given(*history).when(disable).then_nothing()
    endpoint.given(*history).when(EnableEndpoint("lin")).then(WebhookEndpointEnabled("lin"))
    assert DECIDER.fold([*history, WebhookEndpointEnabled("lin")]).is_sent_to
    endpoint.given(*HISTORIES[Status.APPROVED]).when(
        DisableEndpoint(DisablingCause.BY_HAND, " ", "lin")
    ).then_refused((CommonRefusal.REQUIRED, "reason"))


def test_two_secrets_sign_at_most_and_the_old_one_can_be_ended() -> None:
    """SEC-07"""
    rotated = [WebhookSecretRotated(secret, "lin") for secret in (S2, S3)]
    endpoint.given(drafted).when(RotateEndpointSecret(S2, "lin")).then(rotated[0])
    assert DECIDER.fold([drafted, rotated[0]]).secrets == (S1, S2)
    assert DECIDER.fold([drafted, *rotated]).secrets == (S2, S3)
    ended = OldWebhookSecretEnded(S1, "lin")
    endpoint.given(drafted, rotated[0]).when(EndOldEndpointSecret("lin")).then(ended)
    assert DECIDER.fold([drafted, rotated[0], ended]).secrets == (S2,)


def test_a_draft_tells_all_its_faults_at_once() -> None:
    """INT-10"""
    wrong = WebhookContent(
        "",
        "http://10.0.0.1/",
        ("activity.approved", "activity.approved", "secret.told", "secret.*"),
        (Disclosure.BUDGET, Disclosure.BUDGET, Disclosure.CUSTOMERS),
    )
    endpoint.given().when(replace(draft, code="partner", is_code_free=False, content=wrong)).then_refused(
        (CommonRefusal.BAD_CODE, "code"),
        (CommonRefusal.CODE_TAKEN, "code"),
        (CommonRefusal.REQUIRED, "name"),
        (WebhookRefusal.WEBHOOK_URL_NOT_HTTPS, "url"),
        (WebhookRefusal.PRIVATE_ADDRESS, "url"),
        (CommonRefusal.DUPLICATE, "types", 1),
        (WebhookRefusal.UNKNOWN_EVENT_TYPE, "types", 2),
        (WebhookRefusal.UNKNOWN_EVENT_TYPE, "types", 3),
        (CommonRefusal.DUPLICATE, "discloses", 1),
        (WebhookRefusal.DISCLOSURE_NOT_YOURS, "discloses", 2),
    )


def test_nobody_discloses_what_he_may_not_read_also_not_by_submitting() -> None:
    """INT-10, SEC-03: who asks for the approval of another's draft must be permitted too."""
    told = replace(drafted, content=replace(CONTENT, discloses=(Disclosure.BUDGET,)))
    nobody = EndpointRules(KNOWN, frozenset())
    endpoint.given(told).when(SubmitEndpoint(APPROVAL, "research", nobody, "wu")).then_refused(
        (WebhookRefusal.DISCLOSURE_NOT_YOURS, "discloses", 0)
    )


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", CommonRefusal.REQUIRED),
        ("https://" + "a" * URL_CHARACTERS_MAX, CommonRefusal.TOO_LONG),
        ("hooks.example.com", WebhookRefusal.BAD_WEBHOOK_URL),
        ("ftp://hooks.example.com/", WebhookRefusal.BAD_WEBHOOK_URL),
        ("https:///path", WebhookRefusal.BAD_WEBHOOK_URL),
        ("https://user:pass@hooks.example.com/", WebhookRefusal.BAD_WEBHOOK_URL),
        ("https://hooks.example.com/#there", WebhookRefusal.BAD_WEBHOOK_URL),
        ("https://hooks.example.com:0/", WebhookRefusal.BAD_WEBHOOK_URL),
        ("https://hooks.example.com:99999/", WebhookRefusal.BAD_WEBHOOK_URL),
        ("https://hooks.example.com\\@10.0.0.1/", WebhookRefusal.BAD_WEBHOOK_URL),
        ("https://hooks.example.com/\n", WebhookRefusal.BAD_WEBHOOK_URL),
        ("https://银行.example.com/", WebhookRefusal.BAD_WEBHOOK_URL),
        ("http://hooks.example.com/", WebhookRefusal.WEBHOOK_URL_NOT_HTTPS),
        ("https://localhost/", WebhookRefusal.PRIVATE_ADDRESS),
        ("https://cardinal.internal/", WebhookRefusal.PRIVATE_ADDRESS),
        ("https://127.0.0.1/", WebhookRefusal.PRIVATE_ADDRESS),
        ("https://127.1/", WebhookRefusal.PRIVATE_ADDRESS),
        ("https://2130706433/", WebhookRefusal.PRIVATE_ADDRESS),
        ("https://[::1]/", WebhookRefusal.PRIVATE_ADDRESS),
    ],
)
def test_an_address_that_may_not_be_sent_to_is_refused(url: str, code: str) -> None:
    """INT-10: HTTPS to the Internet, and nothing that two readers of the URL could take for two hosts."""
    endpoint.given().when(replace(draft, content=replace(CONTENT, url=url))).then_refused((code, "url"))


def test_plain_and_near_addresses_are_for_development_alone() -> None:
    """INT-10"""
    near = replace(draft, content=replace(CONTENT, url="http://127.0.0.1:8080/"))
    endpoint.given().when(replace(near, rules=replace(RULES, may_be_near=True))).then(
        replace(drafted, content=near.content)
    )


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_a_private_address_is_told_in_every_guise(address: str) -> None:
    """INT-10: private, own, linked, shared, reserved, and IPv4 inside IPv6."""
    assert not is_public_address(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_address_is_one(address: str) -> None:
    """INT-10"""
    assert is_public_address(address)


def test_a_type_is_selected_by_its_name_or_its_kind() -> None:
    """INT-10: filter by type."""
    assert selects(CONTENT, "activity.approved")
    assert not selects(CONTENT, "activity.drafted")
    assert selects(OTHER, "activity.drafted")
    assert not selects(OTHER, "activity_type.added")


def test_limits_hold() -> None:
    """INT-10"""
    many = replace(CONTENT, types=tuple(f"activity.t{number}" for number in range(TYPES_MAX + 1)))
    endpoint.given().when(replace(draft, content=many)).then_refused((CommonRefusal.TOO_MANY, "types"))
    endpoint.given().when(replace(draft, content=replace(CONTENT, types=()))).then_refused(
        (CommonRefusal.REQUIRED, "types")
    )
    last = replace(revised, revision=REVISIONS_MAX)
    endpoint.given(drafted, last).when(replace(revise, content=CONTENT)).then_refused(
        (CommonRefusal.TOO_MANY, "id")
    )


def test_what_is_the_same_is_no_revision() -> None:
    endpoint.given(drafted).when(replace(revise, content=CONTENT)).then_nothing()
