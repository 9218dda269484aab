"""Revocations: one of a holder moves on, one of a token stands."""

from datetime import UTC, datetime, timedelta

from domain.revocations import DECIDER, Kind, Revoke, TokensRevoked
from domain.shared.refusal import CommonRefusal
from tests.given import Given

revocation = Given(DECIDER)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def test_a_holders_tokens_can_be_revoked_again_later() -> None:
    """SEC-03"""
    first = TokensRevoked(Kind.SUBJECT, "lin", NOW, "lost phone", "admin")
    again = Revoke(Kind.SUBJECT, "lin", "lost it again", LATER, "admin")
    revocation.given().when(Revoke(Kind.SUBJECT, "lin", "lost phone", NOW, "admin")).then(first)
    revocation.given(first).when(again).then(
        TokensRevoked(Kind.SUBJECT, "lin", LATER, "lost it again", "admin")
    )
    assert DECIDER.fold([first]).revoked_at == NOW


def test_a_token_is_revoked_once() -> None:
    """SEC-03"""
    for kind in (Kind.TOKEN, Kind.SESSION):
        before = TokensRevoked(kind, "x", NOW, "lost phone", "admin")
        revocation.given(before).when(Revoke(kind, "x", "again", LATER, "admin")).then_nothing()


def test_value_and_reason_must_be_there() -> None:
    revocation.given().when(Revoke(Kind.TOKEN, " ", "", NOW, "admin")).then_refused(
        (CommonRefusal.REQUIRED, "value"), (CommonRefusal.REQUIRED, "reason")
    )
