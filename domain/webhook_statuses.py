"""Where a webhook endpoint is, and why nothing is sent to it."""

from enum import StrEnum


class Status(StrEnum):
    UNKNOWN = "unknown"
    DRAFT = "draft"
    IN_APPROVAL = "in_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    DELETED = "deleted"


EDITABLE = (Status.DRAFT, Status.REJECTED, Status.IN_APPROVAL, Status.APPROVED)


class DisablingCause(StrEnum):
    """BY_HAND: somebody's word; GONE: the address answered 410; EXHAUSTED: an event failed at every time that
    it was tried.
    """

    BY_HAND = "by_hand"
    GONE = "gone"
    EXHAUSTED = "exhausted"
