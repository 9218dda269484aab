"""Users: who may come in, for which unit, in which roles, and whose rows he sees.

A user is one stream, whose id follows from his name, so a name is never given twice. Passwords and their
hashes are no part of it: they lie in a table of their own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from domain.shared.decider import Decider
from domain.shared.persons import ERASED
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import name_faults

# --- Values ---------------------------------------------------------------

USERS = UUID("6a0f5c1e-8f0b-5b8e-9a55-7c1f8c1d2a40")
"""The namespace of users' ids: for ever."""

USERNAME = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")
USERNAME_CHARACTERS_MAX = 64
NAME_CHARACTERS_MAX = 100
REASON_CHARACTERS_MAX = 500
ROLES_MAX = 20
UNITS_MAX = 1_000


def user_id(username: str) -> UUID:
    return uuid5(USERS, username)


@dataclass(frozen=True, slots=True)
class Profile:
    """Who somebody is and what he may see.

    `data_units` are the units whose customers' data he may query, `activity_units` those whose activities and
    work; None for both means what his unit is given: head office all units, a branch itself.
    """

    name: str
    org_unit: str
    roles: tuple[str, ...]
    data_units: tuple[str, ...] | None = None
    activity_units: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Grantable:
    """What the one who decides may give: the roles there are, and the units that he answers for."""

    roles: frozenset[str]
    units: frozenset[str]


class UserRefusal(StrEnum):
    BAD_USERNAME = "bad_username"
    USERNAME_TAKEN = "username_taken"
    UNKNOWN_ROLE = "unknown_role"
    UNIT_NOT_YOURS = "unit_not_yours"
    OWN_ACCOUNT = "own_account"
    USER_DISABLED = "user_disabled"
    USER_ERASED = "user_erased"


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateUser:
    username: str
    profile: Profile
    grantable: Grantable
    by: str


@dataclass(frozen=True, slots=True)
class ReviseUser:
    """The whole profile: what is not in it is taken."""

    profile: Profile
    grantable: Grantable
    by: str


@dataclass(frozen=True, slots=True)
class DisableUser:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class EnableUser:
    by: str


@dataclass(frozen=True, slots=True)
class LockUser:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class UnlockUser:
    by: str


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """The password becomes a new one that must be changed at the next login; it is not told here."""

    by: str


@dataclass(frozen=True, slots=True)
class EraseUser:
    """What he is called is forgotten; the account is disabled, and stays so for ever."""


Command = (
    CreateUser | ReviseUser | DisableUser | EnableUser | LockUser | UnlockUser | ResetPassword | EraseUser
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class UserCreated:
    username: str
    profile: Profile
    by: str


@dataclass(frozen=True, slots=True)
class UserRevised:
    revision: int
    profile: Profile
    by: str


@dataclass(frozen=True, slots=True)
class UserDisabled:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class UserEnabled:
    by: str


@dataclass(frozen=True, slots=True)
class UserLocked:
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class UserUnlocked:
    """Attempts that failed are forgotten too."""

    by: str


@dataclass(frozen=True, slots=True)
class UserPasswordReset:
    by: str


@dataclass(frozen=True, slots=True)
class UserErased:
    """His key is destroyed: in the events before, his name is empty. The account is closed for good."""


Event = (
    UserCreated
    | UserRevised
    | UserDisabled
    | UserEnabled
    | UserLocked
    | UserUnlocked
    | UserPasswordReset
    | UserErased
)

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    ACTIVE = "active"
    LOCKED = "locked"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class User:
    """Who is not ACTIVE is let in nowhere. One who was disabled comes back as he was: perhaps locked."""

    status: Status = Status.UNKNOWN
    is_locked: bool = False
    revision: int = 0
    username: str = ""
    profile: Profile = Profile("", "", ())
    is_erased: bool = False

    @property
    def org_unit(self) -> str:
        return self.profile.org_unit


def evolve(user: User, event: Event) -> User:
    match event:
        case UserCreated(username=username, profile=profile):
            return User(Status.ACTIVE, False, 1, username, profile)
        case UserRevised(revision=revision, profile=profile):
            return replace(user, revision=revision, profile=profile)
        case UserDisabled():
            return replace(user, status=Status.DISABLED)
        case UserEnabled():
            return replace(user, status=Status.LOCKED if user.is_locked else Status.ACTIVE)
        case UserLocked():
            return replace(user, status=Status.LOCKED, is_locked=True)
        case UserUnlocked():
            status = user.status if user.status is Status.DISABLED else Status.ACTIVE
            return replace(user, status=status, is_locked=False)
        case UserPasswordReset():
            return user
        case UserErased():
            profile = replace(user.profile, name=ERASED)
            return replace(user, status=Status.DISABLED, is_erased=True, profile=profile)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, user: User) -> Sequence[Event]:
    if isinstance(command, CreateUser):
        return _create(command, user)
    _require_known(user)
    if user.is_erased and not isinstance(command, EraseUser):
        raise Refused.because(UserRefusal.USER_ERASED, "id")
    match command:
        case ReviseUser():
            return _revise(command, user)
        case DisableUser(reason=reason, by=by):
            _require_another(user, by)
            refuse_any(name_faults(reason, REASON_CHARACTERS_MAX, "reason"))
            return [] if user.status is Status.DISABLED else [UserDisabled(reason, by)]
        case EnableUser(by=by):
            return [UserEnabled(by)] if user.status is Status.DISABLED else []
        case LockUser(reason=reason, by=by):
            _require_another(user, by)
            refuse_any(name_faults(reason, REASON_CHARACTERS_MAX, "reason"))
            _require_enabled(user)
            return [] if user.is_locked else [UserLocked(reason, by)]
        case UnlockUser(by=by):
            return [UserUnlocked(by)]
        case ResetPassword(by=by):
            _require_enabled(user)
            return [UserPasswordReset(by)]
        case EraseUser():
            return [] if user.is_erased else [UserErased()]
        case _:
            assert_never(command)


def _create(command: CreateUser, user: User) -> Sequence[Event]:
    faults = [*_profile_faults(command.profile, command.grantable)]
    if len(command.username) > USERNAME_CHARACTERS_MAX or not USERNAME.fullmatch(command.username):
        faults.append(Fault(UserRefusal.BAD_USERNAME, ("username",), {"most": str(USERNAME_CHARACTERS_MAX)}))
    elif user.status is not Status.UNKNOWN:
        faults.append(Fault(UserRefusal.USERNAME_TAKEN, ("username",), {"username": command.username}))
    refuse_any(faults)
    return [UserCreated(command.username, command.profile, command.by)]


def _revise(command: ReviseUser, user: User) -> Sequence[Event]:
    if command.profile == user.profile:
        return []
    _require_another(user, command.by)
    refuse_any(_profile_faults(command.profile, command.grantable))
    return [UserRevised(user.revision + 1, command.profile, command.by)]


# --- Rules ----------------------------------------------------------------


def _profile_faults(profile: Profile, grantable: Grantable) -> Iterator[Fault]:
    yield from name_faults(profile.name, NAME_CHARACTERS_MAX, "name")
    if profile.org_unit not in grantable.units:
        yield Fault(UserRefusal.UNIT_NOT_YOURS, ("org_unit",), {"unit": profile.org_unit})
    if not profile.roles:
        yield Fault(CommonRefusal.REQUIRED, ("roles",))
    if len(profile.roles) > ROLES_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("roles",), {"most": str(ROLES_MAX)})
        return
    for index, role in enumerate(profile.roles):
        if role not in grantable.roles:
            yield Fault(UserRefusal.UNKNOWN_ROLE, ("roles", index), {"role": role})
        elif role in profile.roles[:index]:
            yield Fault(CommonRefusal.DUPLICATE, ("roles", index))
    for field, units in (("data_units", profile.data_units), ("activity_units", profile.activity_units)):
        if units is not None and len(units) > UNITS_MAX:
            yield Fault(CommonRefusal.TOO_MANY, (field,), {"most": str(UNITS_MAX)})
        elif units is not None:
            yield from _unit_faults(units, grantable, field)


def _unit_faults(units: Sequence[str], grantable: Grantable, field: str) -> Iterator[Fault]:
    """A unit that there is not and one that he who decides does not answer for are the same to him."""
    for index, unit in enumerate(units):
        if unit not in grantable.units:
            yield Fault(UserRefusal.UNIT_NOT_YOURS, (field, index), {"unit": unit})
        elif unit in units[:index]:
            yield Fault(CommonRefusal.DUPLICATE, (field, index))


def _require_known(user: User) -> None:
    if user.status is Status.UNKNOWN:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")


def _require_another(user: User, by: str) -> None:
    """Nobody gives himself rights, and nobody shuts himself out."""
    if user.username == by:
        raise Refused.because(UserRefusal.OWN_ACCOUNT, "id")


def _require_enabled(user: User) -> None:
    if user.status is Status.DISABLED:
        raise Refused.because(UserRefusal.USER_DISABLED, "id")


DECIDER: Decider[Command, User, Event] = Decider("user", User(), decide, evolve)
