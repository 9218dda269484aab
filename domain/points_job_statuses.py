"""Where a points job stands, in the order of its way, and why it may not go on."""

from enum import StrEnum


class JobRefusal(StrEnum):
    NOT_AT_THIS_STEP = "not_at_this_step"
    ALREADY_RELEASED = "already_released"
    JOB_NOT_FAILED = "job_not_failed"
    NOTHING_TO_ACCEPT = "nothing_to_accept"
    WORK_ORDER_HELD = "work_order_held"
    ACTIVITY_CANCELLED = "activity_cancelled"
    NO_POINTS_FILE = "no_points_file"
    RECALL_NOT_TRIED = "recall_not_tried"
    SECOND_PERSON_NEEDED = "second_person_needed"


class Status(StrEnum):
    UNKNOWN = "unknown"
    OPENED = "opened"
    RESERVED = "reserved"
    FILED = "filed"
    RELEASED = "released"
    SENT = "sent"
    RECALLING = "recalling"
    ACKNOWLEDGED = "acknowledged"
    POSTED = "posted"
    RECONCILED = "reconciled"
    SETTLED = "settled"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


WAY = (
    Status.OPENED,
    Status.RESERVED,
    Status.FILED,
    Status.RELEASED,
    Status.SENT,
    Status.ACKNOWLEDGED,
    Status.POSTED,
    Status.RECONCILED,
    Status.SETTLED,
)
NOT_RELEASED = (Status.OPENED, Status.RESERVED, Status.FILED)
