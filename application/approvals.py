"""The use cases of approvals: a verdict and its effect on the subject are recorded together."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from application import activities
from application.shared.approvable import Approvable
from application.shared.work import Work
from domain.approvals import DECIDER, Approval, ApprovalGranted, Approve, Decision, Level, Reject
from domain.shared.refusal import CommonRefusal, Refused

SUBJECTS: Mapping[str, Approvable] = {"activity": activities.APPROVABLE}
"""Everything that can be approved, by stream type."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the approver had before his eyes: the level he speaks for, the revision and the content's hash."""

    level: Level
    revision: int
    content_hash: str


def approve(work: Work, approval_id: UUID, seen: Seen, comment: str) -> UUID:
    """One level's yes; with the last one the subject is approved."""
    approval = _subject(work, approval_id)
    subject = approval.subject
    assert subject is not None
    decision = _decision(work, approval, seen)
    for event in work.decide(DECIDER, approval_id, Approve(decision, comment)):
        if isinstance(event, ApprovalGranted):
            SUBJECTS[subject.kind].grant(work, subject.id, approval_id)
    return approval_id


def reject(work: Work, approval_id: UUID, seen: Seen, reason: str) -> UUID:
    """One level's no, with its reason: the subject goes back to its maker."""
    approval = _subject(work, approval_id)
    subject = approval.subject
    assert subject is not None
    work.decide(DECIDER, approval_id, Reject(_decision(work, approval, seen), reason))
    SUBJECTS[subject.kind].reject(work, subject.id, approval_id, seen.level, reason)
    return approval_id


def _subject(work: Work, approval_id: UUID) -> Approval:
    approval = work.subject(DECIDER, approval_id)
    if approval.subject is None or not work.principal.sees(approval.subject.org_unit):
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    work.org_unit = approval.subject.org_unit
    return approval


def _decision(work: Work, approval: Approval, seen: Seen) -> Decision:
    assert approval.subject is not None
    return Decision(
        level=seen.level,
        revision=seen.revision,
        content_hash=seen.content_hash,
        hash_now=SUBJECTS[approval.subject.kind].hash_now(work, approval.subject.id),
        may_decide=work.principal.levels,
        now=work.now,
        by=work.principal.user,
    )
