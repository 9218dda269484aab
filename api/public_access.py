"""Users, programs, delegations and revocations as integrators see them: who and what, nothing secret."""

from datetime import datetime

from api.public_mappings import Data, Mapping, mapping, public_id
from domain import delegations as d
from domain import erasures as er
from domain import revocations as r
from domain import service_accounts as sa
from domain import users as u


def _profile(profile: u.Profile) -> Data:
    return {
        "name": profile.name or None,  # who was erased has none
        "orgUnit": profile.org_unit,
        "roles": list(profile.roles),
        "dataUnits": None if profile.data_units is None else list(profile.data_units),
        "activityUnits": None if profile.activity_units is None else list(profile.activity_units),
    }


def _terms(terms: sa.ServiceTerms) -> Data:
    return {
        "name": terms.name,
        "orgUnit": terms.org_unit,
        "scopes": list(terms.scopes),
        "requestsPerMinute": terms.requests_per_minute,
        "expiresAt": terms.expires_at and _instant(terms.expires_at),
    }


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


ACCESS_MAPPINGS: dict[type, Mapping] = {
    u.UserCreated: mapping("created", lambda e: {"username": e.username, **_profile(e.profile)}),
    u.UserRevised: mapping("revised", lambda e: {"revision": e.revision, **_profile(e.profile)}),
    u.UserDisabled: mapping("disabled", lambda e: {"reason": e.reason}),
    u.UserEnabled: mapping("enabled", lambda _: {}),
    u.UserLocked: mapping("locked", lambda e: {"reason": e.reason}),
    u.UserUnlocked: mapping("unlocked", lambda _: {}),
    u.UserPasswordReset: mapping("password_reset", lambda _: {}),
    u.UserErased: mapping("erased", lambda _: {}),
    er.ErasureRequested: mapping(
        "requested",
        lambda e: {"kind": e.kind.name, "reason": e.reason, "approvalId": public_id("approval", e.approval)},
    ),
    er.ErasureApproved: mapping("approved", lambda e: {"approvalId": public_id("approval", e.approval)}),
    er.ErasureRejected: mapping(
        "rejected", lambda e: {"approvalId": public_id("approval", e.approval), "reason": e.reason}
    ),
    er.ErasureWithdrawn: mapping("withdrawn", lambda _: {}),
    er.ErasureCompleted: mapping("completed", lambda e: {"rows": e.rows, "files": e.files}),
    sa.ServiceAccountCreated: mapping("created", lambda e: {"code": e.code, **_terms(e.terms)}),
    sa.ServiceAccountRevised: mapping("revised", lambda e: {"revision": e.revision, **_terms(e.terms)}),
    sa.ServiceAccountDisabled: mapping("disabled", lambda e: {"reason": e.reason}),
    sa.ServiceAccountEnabled: mapping("enabled", lambda _: {}),
    sa.ServiceSecretRotated: mapping("secret_rotated", lambda _: {}),
    sa.OldServiceSecretEnded: mapping("old_secret_ended", lambda _: {}),
    d.WorkDelegated: mapping(
        "granted",
        lambda e: {
            "orgUnit": e.org_unit,
            "delegate": e.delegate,
            "tasks": [task.name for task in e.tasks],
            "startsAt": _instant(e.starts_at),
            "endsAt": _instant(e.ends_at),
            "reason": e.reason,
        },
    ),
    d.DelegationEnded: mapping("ended", lambda e: {"endedAt": _instant(e.ended_at), "reason": e.reason}),
    r.TokensRevoked: mapping(
        "made",
        lambda e: {
            "kind": e.kind.name,
            "value": e.value,
            "revokedAt": _instant(e.revoked_at),
            "reason": e.reason,
        },
    ),
}
"""By the class of the stored event."""
