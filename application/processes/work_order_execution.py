"""Work-order execution: an order is started at its time, its run executed, and what it found handed on."""

from application.processes.process import Process, Step
from domain import segment_runs, work_orders
from domain.segment_runs import SegmentRun
from domain.work_order_statuses import Status as OrderStatus
from domain.work_orders import WorkOrder

START_WORK_ORDER = "start_work_order"
EXECUTE_RUN = "execute_segment_run"
HAND_RUN_OVER = "hand_over_segment_run"


def next_step(state: WorkOrder | SegmentRun) -> Step | None:
    """An order that is scheduled is started when it is due; a run is executed, and told to its order."""
    if isinstance(state, WorkOrder):
        is_waiting = state.status is OrderStatus.SCHEDULED
        return Step(START_WORK_ORDER, state.execution_at) if is_waiting else None
    if state.is_live:
        return Step(EXECUTE_RUN)
    is_owed = state.work_order is not None and state.status in segment_runs.OVER and not state.is_handed_over
    return Step(HAND_RUN_OVER) if is_owed else None


PROCESS = Process(
    "work_order_execution",
    {
        work_orders.DECIDER.stream_type: work_orders.DECIDER,
        segment_runs.DECIDER.stream_type: segment_runs.DECIDER,
    },
    next_step,
)
