"""Work-order execution: an order is started at its time, its run executed, and what it found handed on.

The steps may be taken again at any time, and by two workers at once: the states decide what is missing.
"""

from dataclasses import dataclass
from uuid import UUID

from application import activity_figures, points_jobs, segment_runs, work_orders
from application.access import HEAD_OFFICE, Permission, Principal
from application.catalogues import frame_of_revision
from application.points_jobs import PointsTerms
from application.processes.process import Process, Step
from application.segment_definitions import content_of
from application.shared.handler import Handler, Request
from application.shared.identifiers import named_uuid
from application.shared.work import Work
from domain import segment_runs as runs
from domain import work_orders as orders
from domain.activities import DECIDER as ACTIVITY
from domain.activity_figures import CountedRun
from domain.points_job_terms import TermsRefusal
from domain.reward_details import Route
from domain.segment_runs import HandOverRun, SegmentRun
from domain.shared.refusal import Refused
from domain.work_order_contents import Kind as OrderKind
from domain.work_order_statuses import Status, WorkOrderRefusal
from domain.work_orders import WorkOrder

START_WORK_ORDER = "start_work_order"
EXECUTE_RUN = "execute_segment_run"
HAND_RUN_OVER = "hand_over_segment_run"
SYSTEM_USER = "system:worker"

PROGRAMME = "CC"
"""The bank's points programme."""
BUSINESS_TYPE = "CAMPAIGN_REWARD"
NO_POINTS = frozenset(TermsRefusal)
"""Refusals of a points job that stay: what they rest on never changes."""


# --- What is owed ---------------------------------------------------------


def next_step(state: WorkOrder | SegmentRun) -> Step | None:
    """An order that is scheduled is started when it is due; a run is executed, then told to its order.

    A run that a worker has begun is that worker's: another task would begin another attempt beside it.
    """
    if isinstance(state, WorkOrder):
        is_waiting = state.status is Status.SCHEDULED
        return Step(START_WORK_ORDER, state.execution_at) if is_waiting else None
    if state.status is runs.Status.QUEUED:
        return Step(EXECUTE_RUN)
    if state.status is runs.Status.RUNNING:
        return Step(EXECUTE_RUN, is_begun=True)
    is_owed = state.work_order is not None and state.status in runs.OVER and not state.is_handed_over
    return Step(HAND_RUN_OVER) if is_owed else None


PROCESS = Process(
    "work_order_execution",
    {orders.DECIDER.stream_type: orders.DECIDER, runs.DECIDER.stream_type: runs.DECIDER},
    next_step,
)


# --- The steps ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExecutionDesk:
    """What the steps work with: they see every unit, and do what nobody's role allows."""

    handler: Handler
    units: frozenset[str]

    def principal(self) -> Principal:
        allowed = frozenset({Permission.WORK_ORDERS_EXECUTE})
        return Principal(SYSTEM_USER, frozenset(), HEAD_OFFICE, self.units, system_permissions=allowed)

    def start(self, work_order_id: UUID) -> None:
        """Request the run and make it the order's execution, in one append; before its time, nothing.

        Of two that start it at once one wins; the other finds it executing.
        """

        def use_case(work: Work) -> UUID:
            order = work_orders.subject(work, work_order_id)
            due_at = order.execution_at
            if order.status is Status.SCHEDULED and due_at is not None and due_at <= work.now:
                assert order.definition is not None, "what is scheduled has a definition"
                values = _parameters(work, order)
                seen = order.execution.definition_hash
                # Who comes again after a death makes the same run, and so the same job and the same file.
                run_id = named_uuid(work_order_id.bytes, f"run {order.execution.attempts + 1}")
                segment_runs.request_pinned(work, run_id, order.definition, seen, values, work_order_id)
                work_orders.start_execution(work, work_order_id, run_id)
            return work_order_id

        self.handler(Request(self.principal(), "startWorkOrder", {"id": str(work_order_id)}), use_case)

    def hand_over(self, run_id: UUID) -> None:
        """Tell the order what its run came to; a points job is opened when the activity rewards by points.

        The order is completed by the job's settlement then. While a cancellation is pending, it is
        refused: the hand-over waits for the verdict. A result that no points can be made of fails the order.
        """
        request = Request(self.principal(), "completeWorkOrder", {"run": str(run_id)})
        try:
            self.handler(request, lambda work: _hand_over(work, run_id))
        except Refused as no:
            codes = [fault.code for fault in no.faults if fault.code in NO_POINTS]
            if not codes:
                raise
            self.handler(request, lambda work: _hand_over(work, run_id, no_points=codes[0]))


def _hand_over(work: Work, run_id: UUID, no_points: str | None = None) -> UUID:
    """`no_points`: why there can be no points job of the result, however often it is tried."""
    run = work.subject(runs.DECIDER, run_id, lambda state: state.org_unit)
    if run.work_order is None or run.is_handed_over or run.status not in runs.OVER:
        return run_id
    order = work.state(orders.DECIDER, run.work_order)
    if order.status is Status.CANCELLATION_PENDING:
        # Refused, so that the task is tried again soon: the verdict moves the order, not the run, and the
        # watchdog alone would come hours later.
        raise Refused.because(WorkOrderRefusal.WORK_ORDER_NOT_RELEASABLE, status=order.status)
    job = None
    if order.run == run_id and order.status is Status.EXECUTING:
        if no_points is not None:
            work_orders.fail(work, run.work_order, run_id, no_points)
        elif run.status is runs.Status.SUCCEEDED:
            _let_count(work, order, run, run_id)
            job = _points_job(work, order, run_id)
            if job is None:
                work_orders.complete(work, run.work_order, run_id)
        else:
            work_orders.fail(work, run.work_order, run_id, run.failure or run.status)
    work.decide(runs.DECIDER, run_id, HandOverRun(job))
    return run_id


def _let_count(work: Work, order: WorkOrder, run: SegmentRun, run_id: UUID) -> None:
    """Whom the run has found count as qualified; a result that does not tell customers is left out."""
    assert run.definition is not None and run.work_order is not None and order.content is not None  # noqa: PT018
    column = points_jobs.customer_column(content_of(work.log, run.definition))
    if order.kind is OrderKind.ACTIVITY and column is not None:
        counted = CountedRun(run.work_order, run_id, column)
        activity_figures.request_for_run(work, order.content.activity.id, counted)


def _parameters(work: Work, order: WorkOrder) -> dict[str, str]:
    """The standard parameters: the order's timeframe and today where the bank is."""
    assert order.content is not None
    values = {"business_date": work.today.isoformat()}
    days = order.content.data_timeframe
    if days is not None:
        values |= {"data_from": days.data_from.isoformat(), "data_to": days.data_to.isoformat()}
    return values


def _points_job(work: Work, order: WorkOrder, run_id: UUID) -> UUID | None:
    """The job that grants what the run has found; None for an activity that does not reward by points."""
    assert order.content is not None
    plan = work.state(ACTIVITY, order.content.activity.id).plan
    assert plan is not None
    frames = [frame_of_revision(work.log, reward.reward_type) for reward in plan.rewards]
    frame = next((frame for frame in frames if frame.route is Route.POINTS), None)
    if frame is None or order.kind is not OrderKind.ACTIVITY:
        return None
    terms = PointsTerms(PROGRAMME, BUSINESS_TYPE, f"{frame.unit_cost:f}", frame.currency)
    return points_jobs.open_job(work, run_id, terms)
