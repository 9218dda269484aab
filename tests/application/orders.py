"""What tests of work orders need of a bank: a running activity, a group, a department, definitions, runs."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from application import cancellations, customer_groups, work_orders
from application.access import Permission, Principal
from application.activities import Chosen
from application.shared.identifiers import uuid7
from application.shared.records import Receipt
from application.shared.work import Work
from application.work_orders import ContentEntry
from domain.approvals import DECIDER as APPROVAL
from domain.cancellations import DECIDER as CANCELLATION
from domain.cancellations import Cancellation
from domain.customer_groups import Definition, Purpose
from domain.group_rules import Comparison, Condition, Dimension, Rule
from domain.segment_contents import Output, SegmentContent
from domain.segment_definitions import DECIDER as DEFINITION
from domain.segment_definitions import (
    DefinitionKind,
    DraftDefinition,
    RecordApproval,
    SubmitDefinition,
    WorkOrderChoice,
)
from domain.segment_runs import DECIDER as RUN
from domain.segment_runs import RecordResult, RequestRun, ResultColumn, SegmentRun, StartRun
from domain.shared.references import Reference
from domain.work_order_contents import Kind
from domain.work_orders import DECIDER, WorkOrder
from tests.application.bank import ALL_UNITS, LIN, NOW, RAO, TAN, Bank

SOON = NOW + timedelta(hours=2)
EXECUTOR = Principal(
    "system:scheduler",
    frozenset(),
    "HO",
    ALL_UNITS,
    system_permissions=frozenset({Permission.WORK_ORDERS_EXECUTE}),
)
ADULTS = Definition("Adults", rule=Rule(condition=Condition(Dimension.AGE, Comparison.AT_LEAST, ("18",))))
SEGMENT = SegmentContent(
    name="Diners",
    description="",
    sql="select customer_id from customers",
    source="bank",
    primary_index=("customer_id",),
    outputs=(Output("customer_id", False),),
)


@dataclass
class Orders:
    """Work orders of one bank; `activity` runs, and `group` and `department` can be chosen."""

    bank: Bank
    activity: UUID
    group: UUID
    department: UUID

    def content(self, **changes: Any) -> ContentEntry:
        """A sound content, due in two hours."""
        content = ContentEntry(
            name="Diners of March",
            activity=Chosen(self.activity),
            customer_group=Chosen(self.group),
            segmentation_rules="Spent over 500 on dining last month",
            execution_at=SOON,
            department=Chosen(self.department),
            output_fields=("CUSTOMER", "POINTS"),
        )
        return replace(content, **changes)

    def draft(
        self,
        content: ContentEntry | None = None,
        kind: Kind = Kind.ACTIVITY,
        *,
        by: Principal = LIN,
        **request: Any,
    ) -> UUID:
        given = kind, content or self.content()
        return self.bank.send(by, "draftWorkOrder", request, work_orders.draft, *given).subject

    def revise(self, order: UUID, content: ContentEntry, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.bank.send(by, "reviseWorkOrder", request, work_orders.revise, order, content)

    def submit(self, order: UUID, *, by: Principal = LIN, **request: Any) -> UUID:
        """The approval that was opened."""
        self.bank.send(by, "submitWorkOrder", request, work_orders.submit, order)
        approval = self.state(order).approval
        assert approval is not None
        return approval

    def withdraw(self, order: UUID, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.bank.send(by, "withdrawWorkOrder", request, work_orders.withdraw, order)

    def schedule(self, order: UUID, definition: UUID, *, by: Principal = TAN, **request: Any) -> Receipt:
        return self.bank.send(by, "scheduleWorkOrder", request, work_orders.schedule, order, definition)

    def retry(self, order: UUID, *, by: Principal = TAN, **request: Any) -> Receipt:
        return self.bank.send(by, "retryWorkOrder", request, work_orders.retry, order)

    def start(self, order: UUID, run: UUID, *, by: Principal = EXECUTOR, **request: Any) -> Receipt:
        return self.bank.send(by, "startWorkOrder", request, work_orders.start_execution, order, run)

    def complete(self, order: UUID, run: UUID, *, by: Principal = EXECUTOR, **request: Any) -> Receipt:
        return self.bank.send(by, "completeWorkOrder", request, work_orders.complete, order, run)

    def fail(
        self, order: UUID, run: UUID, code: str = "timed_out", *, by: Principal = EXECUTOR, **request: Any
    ) -> Receipt:
        return self.bank.send(by, "failWorkOrder", request, work_orders.fail, order, run, code)

    def request_cancellation(
        self, order: UUID, reason: str = "no budget", *, by: Principal = LIN, **request: Any
    ) -> UUID:
        return self.bank.send(
            by, "requestCancellation", request, cancellations.request, order, reason
        ).subject

    def withdraw_cancellation(self, cancellation: UUID, *, by: Principal = LIN, **request: Any) -> Receipt:
        return self.bank.send(by, "withdrawCancellation", request, cancellations.withdraw, cancellation)

    # --- What came of it ---

    def state(self, order: UUID) -> WorkOrder:
        return self.bank.log.load(DECIDER, order).state

    def cancellation(self, id: UUID) -> Cancellation:
        return self.bank.log.load(CANCELLATION, id).state

    def run(self, id: UUID) -> SegmentRun:
        return self.bank.log.load(RUN, id).state

    def approval_of(self, cancellation: UUID) -> UUID:
        approval = self.cancellation(cancellation).approval
        assert approval is not None
        return approval

    # --- Ready-made ---

    def approved(self, **changes: Any) -> UUID:
        order = self.draft(self.content(**changes))
        self.approve(self.submit(order))
        return order

    def approve(self, approval: UUID) -> None:
        """At every level that is awaited."""
        while (level := self.bank.log.load(APPROVAL, approval).state.level) is not None:
            self.bank.approve(approval, by=RAO if level == "research" else TAN)

    def definition(self, order: UUID | None, *, is_approved: bool = True, org_unit: str = "HO") -> UUID:
        """Made for the work order, or for none; by the domain's commands alone, for the gate is no matter."""
        definition_id, approval = uuid7(), uuid7()
        kind = DefinitionKind.GENERAL if order is None else DefinitionKind.ACTIVITY
        chosen = None if order is None else WorkOrderChoice(order, is_open=True)

        def make(work: Work) -> UUID:
            code = f"D{next(self.bank.numbers)}"
            work.begin(
                DEFINITION,
                definition_id,
                DraftDefinition(code, org_unit, kind, chosen, SEGMENT, "mao", is_code_free=True),
            )
            if is_approved:
                command = SubmitDefinition(approval, (), "mao", "research", chosen)
                work.decide(DEFINITION, definition_id, command)
                work.decide(DEFINITION, definition_id, RecordApproval(approval))
            return definition_id

        return self.bank.send(LIN, "draftSegmentDefinition", {}, make).subject

    def scheduled(self, **changes: Any) -> UUID:
        order = self.approved(**changes)
        self.schedule(order, self.definition(order))
        return order

    def executing(self, **changes: Any) -> tuple[UUID, UUID]:
        """The work order, and its run, which is queued."""
        order = self.scheduled(**changes)
        self.bank.now = max(self.bank.now, SOON)
        run = self.start_with_run(order)
        return order, run

    def start_with_run(self, order: UUID) -> UUID:
        """As the process does it: the run is requested and started upon in one command."""
        run_id = uuid7()
        self.bank.send(EXECUTOR, "startWorkOrder", {}, self.starting(run_id), order)
        return run_id

    def starting(self, run_id: UUID) -> Any:
        def use_case(work: Work, order: UUID) -> UUID:
            definition = self.state(order).definition
            assert definition is not None
            work.begin(RUN, run_id, _run_of(definition, order))
            return work_orders.start_execution(work, order, run_id)

        return use_case

    def succeed(self, run: UUID) -> None:
        """As its worker reports it, with one row."""

        def report(work: Work, run_id: UUID) -> UUID:
            work.decide(RUN, run_id, StartRun(1))
            column = ResultColumn("customer_id", "VARCHAR", False)
            result = RecordResult(1, 1, (column,), 100, 5, "0" * 64, "snapshot-1")
            work.decide(RUN, run_id, result)
            return run_id

        self.bank.send(EXECUTOR, "completeWorkOrder", {}, report, run)


def _run_of(definition: Reference, order: UUID) -> RequestRun:
    return RequestRun(
        code="",
        org_unit="HO",
        definition=definition,
        content=SEGMENT,
        content_hash="0" * 64,
        parameters={},
        is_trial=False,
        by="system:scheduler",
        work_order=order,
    )


def orders_of(bank: Bank) -> Orders:
    """With a running activity of head office, and a group and a department to choose."""
    activity = bank.running(bank.draft(bank.plan(bank.add_type(f"T{next(bank.numbers)}"))))
    given = f"G{next(bank.numbers)}", Purpose.TARGET, ADULTS
    group = bank.send(LIN, "defineCustomerGroup", {}, customer_groups.define, *given).subject
    return Orders(bank, activity, group, bank.department())
