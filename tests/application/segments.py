"""A desk for segments in the small bank: grants, definitions in every state, and the real gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from application import segment_definitions, segment_runs, source_grants
from application.access import Permission, Principal, Role
from application.shared.engines import Query
from application.shared.records import Receipt
from application.shared.work import Work
from domain.segment_contents import MappedColumn, Output, SegmentContent
from domain.segment_definitions import DECIDER as DEFINITION
from domain.segment_definitions import DefinitionKind, SegmentDefinition
from domain.segment_runs import DECIDER as RUN
from domain.segment_runs import SegmentRun
from domain.shared.decider import Decider
from domain.shared.refusal import Fault, Refused
from domain.warehouse_schema import TABLES
from domain.work_order_contents import Content, Kind
from domain.work_orders import DECIDER as WORK_ORDER
from domain.work_orders import WorkOrderDrafted
from infrastructure.sql_gate import examine
from tests.application.bank import LIN, RAO, TAN, Bank, person

ADMIN = person("admin", Role.ADMINISTRATOR)
WORKER_UNITS = frozenset({"HO", "SH", "BJ"})
PROCESS = Principal(
    "system:processes",
    frozenset(),
    "HO",
    WORKER_UNITS,
    system_permissions=frozenset({Permission.SEGMENTS_RUN}),
)

CONTENT = SegmentContent(
    name="Premium",
    description="",
    sql="select customer_id, level from customers where opened_on < :data_to",
    source="bank",
    primary_index=("customer_id",),
    outputs=(Output("customer_id", False), Output("level", False)),
    mapping=(MappedColumn("CUSTNO", "customer_id", width=10), MappedColumn("LEVEL", "level")),
)
VALUES = {"data_to": "2026-03-01"}


def gate(query: Query) -> tuple[Fault, ...]:
    """What the engine's own check does."""
    try:
        examine(query)
    except Refused as refused:
        return refused.faults
    return ()


@dataclass
class Desk:
    """Every verb sends one command."""

    bank: Bank

    def grant(self, table: str = "customers", *columns: str, unit: str = "HO", by: Principal = ADMIN) -> UUID:
        """All columns that are not personal, unless some are named."""
        given = columns or tuple(each.name for each in TABLES[table].columns if not each.is_personal)
        return self.bank.send(by, "grantSource", {}, source_grants.grant, unit, "bank", table, given).subject

    def revoke(self, grant: UUID) -> None:
        self.bank.send(ADMIN, "revokeSource", {}, source_grants.revoke, grant)

    def draft(
        self,
        content: SegmentContent = CONTENT,
        *,
        kind: DefinitionKind = DefinitionKind.GENERAL,
        work_order: UUID | None = None,
        code: str = "",
        by: Principal = LIN,
    ) -> UUID:
        code = code or f"S{next(self.bank.numbers)}"
        given = (code, kind, work_order, content)
        return self.bank.send(
            by,
            "draftSegmentDefinition",
            {},
            lambda work, *_: segment_definitions.draft(work, gate, *given),
            *given,
        ).subject

    def revise(self, id_: UUID, *, by: Principal = LIN, **changes: Any) -> Receipt:
        content = replace(self.definition(id_).content or CONTENT, **changes)

        def use_case(work: Work, *_: Any) -> UUID:
            return segment_definitions.revise(work, gate, id_, content)

        return self.bank.send(by, "reviseSegmentDefinition", {}, use_case, id_, content)

    def submit(self, id_: UUID, *, by: Principal = LIN) -> UUID:
        self.bank.send(
            by,
            "submitSegmentDefinition",
            {},
            lambda work, *_: segment_definitions.submit(work, gate, id_),
            id_,
        )
        approval = self.definition(id_).approval
        assert approval is not None
        return approval

    def withdraw(self, id_: UUID) -> None:
        self.bank.send(LIN, "withdrawSegmentDefinition", {}, segment_definitions.withdraw, id_)

    def delete(self, id_: UUID, *, by: Principal = LIN) -> None:
        self.bank.send(by, "deleteSegmentDefinition", {}, segment_definitions.delete, id_)

    def approve(self, approval: UUID) -> None:
        self.bank.approve(approval, by=RAO)
        self.bank.approve(approval, by=TAN)

    def approved(self, content: SegmentContent = CONTENT, **given: Any) -> UUID:
        id_ = self.draft(content, **given)
        self.approve(self.submit(id_))
        return id_

    def request(
        self,
        id_: UUID,
        values: Mapping[str, str] = VALUES,
        work_order: UUID | None = None,
        *,
        by: Principal = LIN,
    ) -> UUID:
        return self.bank.send(
            by, "requestSegmentRun", {}, segment_runs.request, id_, values, work_order
        ).subject

    def try_out(self, id_: UUID, row_limit: int = 10, values: Mapping[str, str] = VALUES) -> UUID:
        return self.bank.send(
            LIN, "trySegmentDefinition", {}, segment_runs.try_out, id_, values, row_limit
        ).subject

    def terminate(self, run: UUID, reason: str = "wrong month") -> None:
        self.bank.send(LIN, "terminateSegmentRun", {}, segment_runs.terminate, run, reason)

    def retry(self, run: UUID) -> None:
        self.bank.send(LIN, "retrySegmentRun", {}, segment_runs.retry, run)

    def definition(self, id_: UUID) -> SegmentDefinition:
        return self.bank.log.load(DEFINITION, id_).state

    def run(self, id_: UUID) -> SegmentRun:
        return self.bank.log.load(RUN, id_).state

    def work_order(self, content: Content, *more: Any, unit: str = "HO") -> UUID:
        """A work order with this history."""
        id_ = uuid4()
        history: Sequence[Any] = (
            WorkOrderDrafted("WO-2026-000001", Kind.ACTIVITY, unit, content, "lin"),
            *more,
        )
        told: Decider[Any, Any, Any] = Decider(
            WORK_ORDER.stream_type, WORK_ORDER.initial, lambda events, _: events, WORK_ORDER.evolve
        )

        def record(work: Work) -> UUID:
            work.decide(told, id_, history)
            return id_

        self.bank.send(LIN, "draftSegmentDefinition", {}, lambda work, *_: record(work))
        return id_
