"""Service accounts: what a program is given, and its secrets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.service_accounts import (
    DECIDER,
    CreateServiceAccount,
    DisableServiceAccount,
    EnableServiceAccount,
    EndOldSecret,
    GrantableScopes,
    OldServiceSecretEnded,
    ReviseServiceAccount,
    RotateSecret,
    ServiceAccountCreated,
    ServiceAccountDisabled,
    ServiceAccountEnabled,
    ServiceAccountRefusal,
    ServiceAccountRevised,
    ServiceSecretRotated,
    ServiceTerms,
)
from domain.shared.refusal import CommonRefusal
from tests.given import Given

account = Given(DECIDER)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MAY = GrantableScopes(frozenset({"events.read", "schema.read"}), frozenset({"HO", "SH"}))
TERMS = ServiceTerms("Mobile", "SH", ("events.read",), 600, NOW + timedelta(days=90))
S1, S2, S3 = (UUID(int=number) for number in (1, 2, 3))
create = CreateServiceAccount("APP", TERMS, S1, MAY, NOW, "admin")
created = ServiceAccountCreated("APP", TERMS, S1, "admin")
disabled = ServiceAccountDisabled("retired", "admin")


def test_a_program_is_created_once() -> None:
    """INT-08"""
    account.given().when(create).then(created)
    account.given(created).when(create).then_refused((CommonRefusal.CODE_TAKEN, "code"))


def test_all_faults_of_its_terms_are_told() -> None:
    """INT-08, SEC-03"""
    wrong = ServiceTerms("", "BJ", ("events.read", "events.read", "king"), 0, NOW)
    account.given().when(replace(create, code="", terms=wrong)).then_refused(
        (CommonRefusal.REQUIRED, "code"),
        (CommonRefusal.REQUIRED, "name"),
        (ServiceAccountRefusal.SERVICE_UNIT_NOT_YOURS, "org_unit"),
        (CommonRefusal.DUPLICATE, "scopes", 1),
        (ServiceAccountRefusal.UNKNOWN_SCOPE, "scopes", 2),
        (CommonRefusal.OUT_OF_RANGE, "requests_per_minute"),
        (ServiceAccountRefusal.ALREADY_EXPIRED, "expires_at"),
    )
    none = replace(TERMS, scopes=())
    account.given(created).when(ReviseServiceAccount(none, MAY, NOW, "admin")).then_refused(
        (CommonRefusal.REQUIRED, "scopes")
    )


def test_terms_are_revised_as_a_whole() -> None:
    other = replace(TERMS, scopes=("schema.read",), expires_at=None)
    account.given(created).when(ReviseServiceAccount(other, MAY, NOW, "admin")).then(
        ServiceAccountRevised(2, other, "admin")
    )
    account.given(created).when(ReviseServiceAccount(TERMS, MAY, NOW, "admin")).then_nothing()


def test_two_secrets_are_good_at_most() -> None:
    """INT-08"""
    rotated = [ServiceSecretRotated(secret, "admin") for secret in (S2, S3)]
    account.given(created).when(RotateSecret(S2, "admin")).then(rotated[0])
    assert DECIDER.fold([created, rotated[0]]).secrets == (S1, S2)
    assert DECIDER.fold([created, *rotated]).secrets == (S2, S3)
    ended = OldServiceSecretEnded(S1, "admin")
    account.given(created, rotated[0]).when(EndOldSecret("admin")).then(ended)
    assert DECIDER.fold([created, rotated[0], ended]).secrets == (S2,)
    account.given(created).when(EndOldSecret("admin")).then_nothing()


def test_a_disabled_program_gets_no_secret_and_is_not_good() -> None:
    account.given(created).when(DisableServiceAccount("retired", "admin")).then(disabled)
    account.given(created, disabled).when(RotateSecret(S2, "admin")).then_refused(
        (ServiceAccountRefusal.SERVICE_ACCOUNT_DISABLED, "id")
    )
    account.given(created, disabled).when(EnableServiceAccount("admin")).then(ServiceAccountEnabled("admin"))
    assert not DECIDER.fold([created, disabled]).is_good(NOW)


def test_a_program_is_good_until_its_end() -> None:
    """INT-08: the end is not part of it."""
    good = DECIDER.fold([created])
    assert good.is_good(NOW + timedelta(days=90, seconds=-1))
    assert not good.is_good(NOW + timedelta(days=90))


def test_what_is_not_there_is_not_found() -> None:
    for command in (RotateSecret(S2, "a"), EnableServiceAccount("a"), EndOldSecret("a")):
        account.given().when(command).then_refused((CommonRefusal.NOT_FOUND, "id"))
