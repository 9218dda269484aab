"""The use cases of approvals: a verdict and its effect on the subject are recorded together."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from application import (
    activities,
    cancellations,
    erasures,
    segment_definitions,
    webhook_endpoints,
    work_orders,
)
from application.shared.approvable import Approvable
from application.shared.work import Work
from domain.approvals import (
    DECIDER,
    ApprovalGranted,
    Approve,
    Decision,
    Level,
    Reject,
    Subject,
    subject_of,
)

SUBJECTS: Mapping[str, Approvable] = {
    "activity": activities.APPROVABLE,
    "work_order": work_orders.APPROVABLE,
    "cancellation": cancellations.APPROVABLE,
    "segment_definition": segment_definitions.APPROVABLE,
    "webhook_endpoint": webhook_endpoints.APPROVABLE,
    "erasure": erasures.APPROVABLE,
}
"""Everything that can be approved, by stream type."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the approver had before his eyes: the level he speaks for, the revision and the content's hash."""

    level: Level
    revision: int
    content_hash: str


def approve(work: Work, approval_id: UUID, seen: Seen, comment: str) -> UUID:
    """One level's yes; with the last one the subject is approved."""
    subject = _subject(work, approval_id)
    decision = _decision(work, subject, seen)
    for event in work.decide(DECIDER, approval_id, Approve(decision, comment)):
        if isinstance(event, ApprovalGranted):
            SUBJECTS[subject.kind].grant(work, subject.id, approval_id)
    return approval_id


def reject(work: Work, approval_id: UUID, seen: Seen, reason: str) -> UUID:
    """One level's no, with its reason: the subject goes back to its maker."""
    subject = _subject(work, approval_id)
    work.decide(DECIDER, approval_id, Reject(_decision(work, subject, seen), reason))
    SUBJECTS[subject.kind].reject(work, subject.id, approval_id, seen.level, reason)
    return approval_id


def _subject(work: Work, approval_id: UUID) -> Subject:
    return subject_of(work.subject(DECIDER, approval_id, lambda approval: subject_of(approval).org_unit))


def _decision(work: Work, subject: Subject, seen: Seen) -> Decision:
    return Decision(
        level=seen.level,
        revision=seen.revision,
        content_hash=seen.content_hash,
        hash_now=SUBJECTS[subject.kind].hash_now(work, subject.id),
        may_decide=work.principal.levels,
        now=work.now,
        by=work.principal.user,
    )
