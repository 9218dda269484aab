"""The use cases of erasures: asked for by one, allowed by another, then done by a worker."""

from uuid import UUID

from application.access import HEAD_OFFICE
from application.shared.approvable import Approvable, new_approval, open_approval, void_approval
from application.shared.key_keepers import PersonKeeper
from application.shared.work import Work
from domain.approvals import Level, Subject
from domain.erasures import (
    DECIDER,
    ApproveErasure,
    CompleteErasure,
    Erasure,
    ErasureRequested,
    PersonKind,
    RejectErasure,
    RequestErasure,
    WithdrawErasure,
    erasure_id,
)
from domain.shared.refusal import CommonRefusal, Refused
from domain.users import DECIDER as USER
from domain.users import EraseUser, Status, user_id


def request(work: Work, keeper: PersonKeeper, kind: PersonKind, person: str, reason: str) -> UUID:
    """Ask that a person be erased: a customer by his number, a disabled user by his account's name."""
    work.org_unit, user, may_go = HEAD_OFFICE, None, True
    if kind is PersonKind.USER:
        user = user_id(person)
        status = work.state(USER, user).status
        if status is Status.UNKNOWN:
            raise Refused.because(CommonRefusal.NOT_FOUND, "person")
        may_go = status is Status.DISABLED
    key = keeper.key_id(kind.value, person if user is None else str(user))
    command = RequestErasure(
        kind=kind,
        person=person,
        key=key,
        user=user,
        reason=reason,
        approval=new_approval(),
        level=work.policy.levels_of(DECIDER.stream_type)[0],
        by=work.principal.user,
        may_go=may_go,
    )
    id_ = erasure_id(key)
    for event in work.decide(DECIDER, id_, command):
        assert isinstance(event, ErasureRequested)
        about = Subject(DECIDER.stream_type, id_, event.revision, event.content_hash, kind.value, HEAD_OFFICE)
        open_approval(work, event.approval, about, (command.by,))
    return id_


def withdraw(work: Work, id_: UUID) -> UUID:
    """Taken back by who asked, before anybody decided."""
    erasure = _subject(work, id_)
    if work.decide(DECIDER, id_, WithdrawErasure(work.principal.user)):
        void_approval(work, erasure.approval, "subject_withdrawn")
    return id_


def complete(work: Work, id_: UUID, rows: int, files: int) -> UUID:
    """For who has done it. A user's account learns of it in the same append."""
    erasure = _subject(work, id_)
    if work.decide(DECIDER, id_, CompleteErasure(rows, files)) and erasure.user is not None:
        work.decide(USER, erasure.user, EraseUser())
    return id_


def _subject(work: Work, id_: UUID) -> Erasure:
    return work.subject(DECIDER, id_, lambda _: HEAD_OFFICE)


def _grant(work: Work, id_: UUID, approval: UUID) -> None:
    work.decide(DECIDER, id_, ApproveErasure(approval, work.principal.user))


def _reject(work: Work, id_: UUID, approval: UUID, level: Level, reason: str) -> None:
    work.decide(DECIDER, id_, RejectErasure(approval, level, reason, work.principal.user))


def _hash_now(work: Work, id_: UUID) -> str:
    """A request never changes."""
    return work.state(DECIDER, id_).content_hash


APPROVABLE = Approvable(_hash_now, _grant, _reject)
