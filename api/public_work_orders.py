"""Work orders and the requests to cancel them as integrators see them."""

from api.public_mappings import Data, Mapping, mapping, public_id, reference
from domain import cancellations as cr
from domain import work_order_executions as wx
from domain import work_orders as wo
from domain.work_order_contents import Content
from projections.shared.rows import instant_text


def _content(content: Content) -> Data:
    days = content.data_timeframe
    return {
        "name": content.name,
        "activity": reference("activity", content.activity),
        "customerGroup": reference("customer_group", content.customer_group),
        "segmentationRules": content.segmentation_rules,
        "executionAt": instant_text(content.execution_at),
        "requester": content.requester,
        "department": reference("department", content.department),
        "outputFields": list(content.output_fields),
        "priority": content.priority.name,
        "dataTimeframe": days
        and {"dataFrom": days.data_from.isoformat(), "dataTo": days.data_to.isoformat()},
        "remark": content.remark,
    }


WORK_ORDER_MAPPINGS: dict[type, Mapping] = {
    wo.WorkOrderDrafted: mapping(
        "drafted",
        lambda e: {
            "number": e.number,
            "kind": e.kind.name,
            "orgUnit": e.org_unit,
            "content": _content(e.content),
        },
    ),
    wo.WorkOrderRevised: mapping(
        "revised", lambda e: {"revision": e.revision, "content": _content(e.content)}
    ),
    wo.WorkOrderSubmitted: mapping(
        "submitted",
        lambda e: {
            "revision": e.revision,
            "approvalId": public_id("approval", e.approval),
            "contentHash": e.content_hash,
        },
    ),
    wo.WorkOrderWithdrawn: mapping(
        "withdrawn",
        lambda e: {"revision": e.revision, "approvalId": public_id("approval", e.approval)},
    ),
    wo.WorkOrderApproved: mapping(
        "approved",
        lambda e: {"revision": e.revision, "approvalId": public_id("approval", e.approval)},
    ),
    wo.WorkOrderRejected: mapping(
        "rejected",
        lambda e: {
            "revision": e.revision,
            "approvalId": public_id("approval", e.approval),
            "level": e.level.upper(),
            "reason": e.reason,
        },
    ),
    wx.WorkOrderScheduled: mapping(
        "scheduled",
        lambda e: {"definition": reference("segment_definition", e.definition)},
    ),
    wx.ExecutionStarted: mapping(
        "execution_started",
        lambda e: {"runId": public_id("segment_run", e.run), "attempt": e.attempt},
    ),
    wx.PointsJobLinked: mapping(
        "points_job_linked",
        lambda e: {"pointsJobId": public_id("points_job", e.job), "runId": public_id("segment_run", e.run)},
    ),
    wx.WorkOrderCompleted: mapping("completed", lambda e: {"runId": public_id("segment_run", e.run)}),
    wx.ExecutionFailed: mapping(
        "execution_failed", lambda e: {"runId": public_id("segment_run", e.run), "code": e.code}
    ),
    wx.WorkOrderRetried: mapping("retried", lambda _: {}),
    wo.WorkOrderCancellationRequested: mapping(
        "cancellation_requested",
        lambda e: {
            "cancellationId": public_id("cancellation", e.cancellation),
            "formerStatus": e.former.name,
            "reason": e.reason,
        },
    ),
    wo.WorkOrderCancelled: mapping(
        "cancelled", lambda e: {"cancellationId": public_id("cancellation", e.cancellation)}
    ),
    wo.WorkOrderRestored: mapping(
        "restored",
        lambda e: {"cancellationId": public_id("cancellation", e.cancellation), "status": e.status.name},
    ),
    cr.CancellationRequested: mapping(
        "requested",
        lambda e: {
            "workOrderId": public_id("work_order", e.work_order.id),
            "workOrderNumber": e.work_order.number,
            "formerStatus": e.work_order.status.upper(),
            "reason": e.reason,
            "approvalId": public_id("approval", e.approval),
        },
    ),
    cr.CancellationApproved: mapping(
        "approved",
        lambda e: {"workOrderId": public_id("work_order", e.work_order), "by": e.by},
    ),
    cr.CancellationRecallBegun: mapping(
        "recall_begun",
        lambda e: {
            "workOrderId": public_id("work_order", e.work_order),
            "pointsFile": e.file_name,
            "by": e.by,
        },
    ),
    cr.CancellationRefused: mapping(
        "refused",
        lambda e: {
            "workOrderId": public_id("work_order", e.work_order),
            "code": e.code.upper(),
            "pointsFile": e.file_name,
        },
    ),
    cr.CancellationRejected: mapping(
        "rejected",
        lambda e: {
            "workOrderId": public_id("work_order", e.work_order),
            "level": e.level.upper(),
            "reason": e.reason,
            "by": e.by,
        },
    ),
    cr.CancellationWithdrawn: mapping(
        "withdrawn", lambda e: {"workOrderId": public_id("work_order", e.work_order)}
    ),
}
