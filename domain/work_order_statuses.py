"""Where a work order stands, and what may be done with it there."""

from collections.abc import Sequence
from enum import StrEnum

from domain.shared.refusal import CommonRefusal, Refused


class Status(StrEnum):
    UNKNOWN = "unknown"
    DRAFT = "draft"
    IN_APPROVAL = "in_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    SCHEDULED = "scheduled"
    EXECUTING = "executing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLATION_PENDING = "cancellation_pending"
    CANCELLED = "cancelled"


class WorkOrderRefusal(StrEnum):
    WORK_ORDER_NOT_EDITABLE = "work_order_not_editable"
    WORK_ORDER_NOT_SUBMITTABLE = "work_order_not_submittable"
    WORK_ORDER_NOT_IN_APPROVAL = "work_order_not_in_approval"
    WORK_ORDER_NOT_APPROVED = "work_order_not_approved"
    WORK_ORDER_NOT_SCHEDULED = "work_order_not_scheduled"
    WORK_ORDER_NOT_DUE = "work_order_not_due"
    WORK_ORDER_NOT_EXECUTING = "work_order_not_executing"
    WORK_ORDER_NOT_FAILED = "work_order_not_failed"
    WORK_ORDER_NOT_RELEASABLE = "work_order_not_releasable"
    WORK_ORDER_NOT_CANCELLABLE = "work_order_not_cancellable"
    CANCELLATION_OPEN = "cancellation_open"
    TOO_MANY_EXECUTIONS = "too_many_executions"
    DEFINITION_NOT_APPROVED = "definition_not_approved"
    DEFINITION_OF_ANOTHER = "definition_of_another"


EDITABLE = (Status.DRAFT, Status.REJECTED, Status.IN_APPROVAL, Status.APPROVED)
DEFINABLE = (
    Status.DRAFT,
    Status.IN_APPROVAL,
    Status.APPROVED,
    Status.REJECTED,
    Status.SCHEDULED,
    Status.FAILED,
)
"""Where a segment definition may still be made for it."""
CANCELLABLE = (*DEFINABLE, Status.EXECUTING)
"""Where its cancellation may be asked for."""
SCHEDULABLE = (Status.APPROVED, Status.SCHEDULED, Status.FAILED)
"""Where it may get the definition that it is executed with, or another revision of it."""
RELEASABLE = (Status.EXECUTING, Status.COMPLETED)
"""Where what its run has found may go out."""


def require_status(status: Status, allowed: Sequence[Status], code: StrEnum) -> None:
    """Refuse with `code` what is not in one of the `allowed` statuses, and as not found what is not there."""
    if status is Status.UNKNOWN:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    if status not in allowed:
        raise Refused.because(code, status=status)
