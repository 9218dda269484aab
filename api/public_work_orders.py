"""What integrators see of work orders and of the requests to cancel them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from api.planner.ids import encode
from domain import cancellations as cr
from domain import work_order_executions as wx
from domain import work_orders as wo
from domain.shared.references import Reference
from domain.work_order_contents import Content
from projections.shared.ids import PREFIXES

Data = dict[str, Any]


def _content(content: Content) -> Data:
    days = content.data_timeframe
    return {
        "name": content.name,
        "activity": _reference("activity", content.activity),
        "customerGroup": _reference("customer_group", content.customer_group),
        "segmentationRules": content.segmentation_rules,
        "executionAt": _instant(content.execution_at),
        "requester": content.requester,
        "department": _reference("department", content.department),
        "outputFields": list(content.output_fields),
        "priority": content.priority.name,
        "dataTimeframe": days
        and {"dataFrom": days.data_from.isoformat(), "dataTo": days.data_to.isoformat()},
        "remark": content.remark,
    }


def _id(kind: str, key: UUID) -> str:
    return encode(PREFIXES[kind], key)


def _reference(kind: str, reference: Reference) -> Data:
    return {"id": _id(kind, reference.id), "revision": reference.revision}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


FORMS: Mapping[type, tuple[str, Callable[[Any], Data]]] = {
    wo.WorkOrderDrafted: (
        "drafted",
        lambda e: {
            "number": e.number,
            "kind": e.kind.name,
            "orgUnit": e.org_unit,
            "content": _content(e.content),
        },
    ),
    wo.WorkOrderRevised: ("revised", lambda e: {"revision": e.revision, "content": _content(e.content)}),
    wo.WorkOrderSubmitted: (
        "submitted",
        lambda e: {
            "revision": e.revision,
            "approvalId": _id("approval", e.approval),
            "contentHash": e.content_hash,
        },
    ),
    wo.WorkOrderWithdrawn: (
        "withdrawn",
        lambda e: {"revision": e.revision, "approvalId": _id("approval", e.approval)},
    ),
    wo.WorkOrderApproved: (
        "approved",
        lambda e: {"revision": e.revision, "approvalId": _id("approval", e.approval)},
    ),
    wo.WorkOrderRejected: (
        "rejected",
        lambda e: {
            "revision": e.revision,
            "approvalId": _id("approval", e.approval),
            "level": e.level.upper(),
            "reason": e.reason,
        },
    ),
    wx.WorkOrderScheduled: (
        "scheduled",
        lambda e: {"definition": _reference("segment_definition", e.definition)},
    ),
    wx.ExecutionStarted: (
        "execution_started",
        lambda e: {"runId": _id("segment_run", e.run), "attempt": e.attempt},
    ),
    wx.PointsJobLinked: (
        "points_job_linked",
        lambda e: {"pointsJobId": _id("points_job", e.job), "runId": _id("segment_run", e.run)},
    ),
    wx.WorkOrderCompleted: ("completed", lambda e: {"runId": _id("segment_run", e.run)}),
    wx.ExecutionFailed: ("execution_failed", lambda e: {"runId": _id("segment_run", e.run), "code": e.code}),
    wx.WorkOrderRetried: ("retried", lambda _: {}),
    wo.WorkOrderCancellationRequested: (
        "cancellation_requested",
        lambda e: {
            "cancellationId": _id("cancellation", e.cancellation),
            "formerStatus": e.former.name,
            "reason": e.reason,
        },
    ),
    wo.WorkOrderCancelled: ("cancelled", lambda e: {"cancellationId": _id("cancellation", e.cancellation)}),
    wo.WorkOrderRestored: (
        "restored",
        lambda e: {"cancellationId": _id("cancellation", e.cancellation), "status": e.status.name},
    ),
    cr.CancellationRequested: (
        "requested",
        lambda e: {
            "workOrderId": _id("work_order", e.work_order.id),
            "workOrderNumber": e.work_order.number,
            "formerStatus": e.work_order.status.upper(),
            "reason": e.reason,
            "approvalId": _id("approval", e.approval),
        },
    ),
    cr.CancellationApproved: (
        "approved",
        lambda e: {"workOrderId": _id("work_order", e.work_order), "by": e.by},
    ),
    cr.CancellationRejected: (
        "rejected",
        lambda e: {
            "workOrderId": _id("work_order", e.work_order),
            "level": e.level.upper(),
            "reason": e.reason,
            "by": e.by,
        },
    ),
    cr.CancellationWithdrawn: ("withdrawn", lambda e: {"workOrderId": _id("work_order", e.work_order)}),
}
"""Event to its verb and the data that it shows."""
