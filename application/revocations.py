"""The use case of revocations: tokens that are good no more, in every process within a minute."""

from uuid import UUID

from application.access import HEAD_OFFICE
from application.shared.work import Work
from domain.revocations import DECIDER, Kind, Revoke, revocation_id
from domain.shared.refusal import CommonRefusal, Refused
from domain.users import DECIDER as USER
from domain.users import user_id


def revoke(work: Work, kind: Kind, value: str, reason: str) -> UUID:
    """Whose tokens they are need not be known here: an external issuer's subjects can be revoked too.

    Who answers for his unit only can revoke what its users hold: a token's id tells nothing of the unit.
    """
    if not work.principal.changes(HEAD_OFFICE):
        user = work.state(USER, user_id(value)) if kind is Kind.SUBJECT else None
        if user is None or not work.principal.changes(user.org_unit):
            raise Refused.because(CommonRefusal.NOT_FOUND, "value")
    work.org_unit = HEAD_OFFICE
    id_ = revocation_id(kind, value)
    work.decide(DECIDER, id_, Revoke(kind, value, reason, work.now, work.principal.user))
    return id_
