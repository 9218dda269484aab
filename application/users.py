"""The use cases of users: head office keeps all accounts, and who acts for it keeps those of his own unit."""

from uuid import UUID

from application.access import HEAD_OFFICE, Role
from application.shared.work import Work
from domain.users import (
    DECIDER,
    Command,
    CreateUser,
    DisableUser,
    EnableUser,
    Grantable,
    LockUser,
    Profile,
    ResetPassword,
    ReviseUser,
    UnlockUser,
    User,
    user_id,
)


def grantable(work: Work) -> Grantable:
    """All roles, and the units that the principal answers for."""
    principal = work.principal
    units = principal.units if principal.acts_in is None else principal.acts_in
    return Grantable(frozenset(role.value for role in Role), units)


def create(work: Work, username: str, profile: Profile) -> UUID:
    """A user who can't come in before he gets a password."""
    work.org_unit = HEAD_OFFICE
    id_ = user_id(username)
    work.decide(DECIDER, id_, CreateUser(username, profile, grantable(work), work.principal.user))
    return id_


def revise(work: Work, id_: UUID, profile: Profile) -> UUID:
    return _decided(work, id_, ReviseUser(profile, grantable(work), work.principal.user))


def disable(work: Work, id_: UUID, reason: str) -> UUID:
    """From now on nobody is let in by his tokens, whoever issued them."""
    return _decided(work, id_, DisableUser(reason, work.principal.user))


def enable(work: Work, id_: UUID) -> UUID:
    return _decided(work, id_, EnableUser(work.principal.user))


def lock(work: Work, id_: UUID, reason: str) -> UUID:
    return _decided(work, id_, LockUser(reason, work.principal.user))


def unlock(work: Work, id_: UUID) -> UUID:
    return _decided(work, id_, UnlockUser(work.principal.user))


def reset_password(work: Work, id_: UUID) -> UUID:
    return _decided(work, id_, ResetPassword(work.principal.user))


def subject(work: Work, id_: UUID) -> User:
    """The user, of a unit in sight; the work is head office's, for it keeps the accounts."""
    user = work.subject(DECIDER, id_, lambda user: user.org_unit)
    work.org_unit = HEAD_OFFICE
    return user


def _decided(work: Work, id_: UUID, command: Command) -> UUID:
    subject(work, id_)
    work.decide(DECIDER, id_, command)
    return id_
