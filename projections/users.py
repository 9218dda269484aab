"""Users as administrators list them: without anything of their passwords."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from application.shared.records import Record
from domain.users import (
    DECIDER,
    Event,
    Profile,
    UserCreated,
    UserDisabled,
    UserEnabled,
    UserErased,
    UserLocked,
    UserPasswordReset,
    UserRevised,
    UserUnlocked,
)
from projections.shared.rows import RowProjection, altered, changed, created, given, own_stream


@dataclass(frozen=True)
class UserRow:
    """`reason` is that of the lock or of the end; units are None where they follow from the user's unit.

    `name` is None once he is erased, which his key may be a moment before the event.
    """

    id: UUID
    version: int
    revision: int
    username: str
    name: str | None
    org_unit: str
    roles: tuple[str, ...]
    data_units: tuple[str, ...] | None
    activity_units: tuple[str, ...] | None
    status: str
    is_locked: bool
    reason: str | None
    password_reset_at: datetime | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    erased_at: datetime | None = None


def project(row: UserRow | None, record: Record[Event]) -> UserRow:
    now = {"version": record.version, **changed(record)}
    match record.event:
        case UserCreated(username=username, profile=profile):
            return UserRow(
                id=record.stream_id,
                revision=1,
                username=username,
                status="active",
                is_locked=False,
                reason=None,
                password_reset_at=None,
                **_profile(profile),
                **created(record),
                **now,
            )
        case UserRevised(revision=revision, profile=profile):
            return altered(given(row), revision=revision, **_profile(profile), **now)
        case UserDisabled(reason=reason):
            return altered(given(row), status="disabled", reason=reason, **now)
        case UserEnabled():
            status = "locked" if given(row).is_locked else "active"
            return altered(given(row), status=status, reason=None, **now)
        case UserLocked(reason=reason):
            return altered(given(row), status="locked", is_locked=True, reason=reason, **now)
        case UserUnlocked():
            is_disabled = given(row).status == "disabled"
            if is_disabled:
                return altered(given(row), is_locked=False, **now)
            return altered(given(row), status="active", is_locked=False, reason=None, **now)
        case UserPasswordReset():
            return altered(given(row), password_reset_at=record.recorded_at, **now)
        case UserErased():
            return altered(given(row), name=None, status="disabled", erased_at=record.recorded_at, **now)
        case _:
            assert_never(record.event)


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name or None,
        "org_unit": profile.org_unit,
        "roles": profile.roles,
        "data_units": profile.data_units,
        "activity_units": profile.activity_units,
    }


USERS = RowProjection(
    name="users",
    table="users",
    versions="user_versions",
    row=UserRow,
    stream_types=frozenset({DECIDER.stream_type}),
    key=own_stream,
    project=project,
)
