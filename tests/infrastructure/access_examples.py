"""Full examples of the events of users, programs, delegations and revocations."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain import delegations as d
from domain import erasures as e
from domain import revocations as r
from domain import service_accounts as sa
from domain import users as u

NOON = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
SECRET = UUID("0195505a-0000-7000-8000-000000000004")
PROFILE = u.Profile("林 Lin", "SH", ("operator", "auditor"), ("SH",), ("SH", "HO"))
TERMS = sa.ServiceTerms("手机银行 Mobile", "SH", ("events.read", "schema.read"), 600, NOON)

GOLDEN: dict[tuple[str, int], Any] = {
    ("user.created", 1): u.UserCreated("lin", PROFILE, "admin"),
    ("user.revised", 1): u.UserRevised(2, PROFILE, "admin"),
    ("user.created", 2): u.UserCreated("lin", PROFILE, "admin"),
    ("user.revised", 2): u.UserRevised(2, PROFILE, "admin"),
    ("user.erased", 1): u.UserErased(),
    ("erasure.requested", 1): e.ErasureRequested(
        2,
        e.PersonKind.CUSTOMER,
        "C00000001",
        SECRET,
        SECRET,
        "他要求 he asked",
        SECRET,
        "9f86d0",
        "technology",
        "hu",
    ),
    ("erasure.approved", 1): e.ErasureApproved(SECRET, "chen"),
    ("erasure.rejected", 1): e.ErasureRejected(SECRET, "technology", "not he", "chen"),
    ("erasure.withdrawn", 1): e.ErasureWithdrawn("hu"),
    ("erasure.completed", 1): e.ErasureCompleted(12, 3),
    ("user.disabled", 1): u.UserDisabled("离职 has left", "admin"),
    ("user.enabled", 1): u.UserEnabled("admin"),
    ("user.locked", 1): u.UserLocked("lost his badge", "admin"),
    ("user.unlocked", 1): u.UserUnlocked("admin"),
    ("user.password_reset", 1): u.UserPasswordReset("admin"),
    ("service_account.created", 1): sa.ServiceAccountCreated("MOBILE", TERMS, SECRET, "admin"),
    ("service_account.revised", 1): sa.ServiceAccountRevised(2, TERMS, "admin"),
    ("service_account.disabled", 1): sa.ServiceAccountDisabled("retired", "admin"),
    ("service_account.enabled", 1): sa.ServiceAccountEnabled("admin"),
    ("service_account.secret_rotated", 1): sa.ServiceSecretRotated(SECRET, "admin"),
    ("service_account.old_secret_ended", 1): sa.OldServiceSecretEnded(SECRET, "admin"),
    ("delegation.granted", 1): d.WorkDelegated(
        "SH", "analyst", (d.Task.SEGMENTS, d.Task.POINTS), NOON, NOON, "帮忙 help", "hu"
    ),
    ("delegation.ended", 1): d.DelegationEnded(NOON, "done", "hu"),
    ("revocation.made", 1): r.TokensRevoked(r.Kind.SUBJECT, "lin", NOON, "lost phone", "admin"),
}
