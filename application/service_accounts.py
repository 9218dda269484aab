"""The use cases of service accounts: what a program may do, and the secrets by which it is known."""

from uuid import UUID

from application.access import GRANTABLE, HEAD_OFFICE
from application.shared.work import Work
from domain.service_accounts import (
    DECIDER,
    Command,
    CreateServiceAccount,
    DisableServiceAccount,
    EnableServiceAccount,
    EndOldSecret,
    GrantableScopes,
    ReviseServiceAccount,
    RotateSecret,
    ServiceTerms,
    service_account_id,
)


def grantable(work: Work) -> GrantableScopes:
    principal = work.principal
    units = principal.units if principal.acts_in is None else principal.acts_in
    return GrantableScopes(frozenset(permission.value for permission in GRANTABLE), units)


def create(work: Work, code: str, terms: ServiceTerms, secret: UUID) -> UUID:
    work.org_unit = HEAD_OFFICE
    id_, by = service_account_id(code), work.principal.user
    work.decide(DECIDER, id_, CreateServiceAccount(code, terms, secret, grantable(work), work.now, by))
    return id_


def revise(work: Work, id_: UUID, terms: ServiceTerms) -> UUID:
    return _decided(work, id_, ReviseServiceAccount(terms, grantable(work), work.now, work.principal.user))


def disable(work: Work, id_: UUID, reason: str) -> UUID:
    return _decided(work, id_, DisableServiceAccount(reason, work.principal.user))


def enable(work: Work, id_: UUID) -> UUID:
    return _decided(work, id_, EnableServiceAccount(work.principal.user))


def rotate_secret(work: Work, id_: UUID, secret: UUID) -> UUID:
    return _decided(work, id_, RotateSecret(secret, work.principal.user))


def end_old_secret(work: Work, id_: UUID) -> UUID:
    return _decided(work, id_, EndOldSecret(work.principal.user))


def _decided(work: Work, id_: UUID, command: Command) -> UUID:
    work.subject(DECIDER, id_, lambda account: account.org_unit)
    work.org_unit = HEAD_OFFICE
    work.decide(DECIDER, id_, command)
    return id_
