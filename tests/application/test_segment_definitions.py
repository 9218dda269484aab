"""The use cases of segment definitions and grants against the real log and the real gate."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from application.shared.engines import SqlRefusal
from application.shared.work import Work
from application.source_grants import usable
from domain.approvals import ApprovalOpened, ApprovalRefusal, ApprovalVoided, Level
from domain.approvals import Status as ApprovalStatus
from domain.catalogues import CatalogueRefusal
from domain.segment_contents import Output, SegmentRefusal
from domain.segment_definitions import (
    DECIDER,
    DefinitionApproved,
    DefinitionKind,
    DefinitionRefusal,
    DefinitionSuperseded,
    Status,
)
from domain.shared.references import Reference, User
from domain.shared.refusal import CommonRefusal
from domain.source_grants import GrantRefusal
from domain.work_order_contents import Content, DataTimeframe, Priority
from domain.work_order_statuses import Status as WorkOrderStatus
from domain.work_orders import WorkOrderCancellationRequested, WorkOrderCancelled
from tests.application.bank import IN_SHANGHAI, LIN, RAO, TAN, WU, Bank, at_once, codes
from tests.application.segments import CONTENT, Desk
from tests.given import refused

ACTIVITY, EVALUATION = DefinitionKind.ACTIVITY, DefinitionKind.EVALUATION
WANTED = Content(
    name="Diners of March",
    activity=Reference(UUID(int=1), 1),
    customer_group=Reference(UUID(int=2), 1),
    segmentation_rules="Spent over 500",
    execution_at=datetime(2026, 4, 1, tzinfo=UTC),
    requester="lin",
    department=Reference(UUID(int=3), 1),
    output_fields=("CUSTOMER",),
    priority=Priority.NORMAL,
    data_timeframe=DataTimeframe(date(2026, 2, 1), date(2026, 3, 1)),
    remark="",
)
CANCELLED = (
    WorkOrderCancellationRequested(UUID(int=9), WorkOrderStatus.DRAFT, "no budget", "lin"),
    WorkOrderCancelled(UUID(int=9)),
)


@pytest.fixture
def desk(bank: Bank) -> Desk:
    desk = Desk(bank)
    desk.grant()
    return desk


@pytest.mark.parametrize("kind", [ACTIVITY, EVALUATION])
def test_a_definition_for_an_open_work_order_is_linked_to_it(desk: Desk, kind: DefinitionKind) -> None:
    """LOG-01, LOG-09"""
    order = desk.work_order(WANTED)
    id_ = desk.draft(kind=kind, work_order=order, code="PREMIUM")
    assert (desk.definition(id_).kind, desk.definition(id_).work_order) == (kind, order)
    assert desk.bank.log.users(order) == (User(id_, "segment_definition", "PREMIUM", "HO"),)


def test_a_definition_for_a_cancelled_work_order_is_refused(desk: Desk) -> None:
    """LOG-01: as for one that does not exist, or is out of sight."""
    for order in (desk.work_order(WANTED, *CANCELLED), uuid4()):
        with refused((DefinitionRefusal.WORK_ORDER_NOT_OPEN, "work_order")):
            desk.draft(kind=ACTIVITY, work_order=order)
    desk.grant(unit="SH")
    with refused((DefinitionRefusal.WORK_ORDER_NOT_OPEN, "work_order")):
        desk.draft(kind=ACTIVITY, work_order=desk.work_order(WANTED), by=IN_SHANGHAI)


def test_a_general_definition_needs_no_work_order(desk: Desk) -> None:
    """LOG-09"""
    assert desk.definition(desk.draft()).status is Status.DRAFT


@pytest.mark.parametrize(
    ("sql", "code", "line", "column"),
    [
        ("DROP TABLE customers", SqlRefusal.SQL_NOT_ONE_SELECT, 1, 1),
        ("select customer_id, level\nfrom customers; delete from customers",
         SqlRefusal.SQL_NOT_ONE_SELECT, 2, None),
        ("select customer_id,\n  mobile as level from customers", SqlRefusal.SQL_COLUMN_NOT_GRANTED, 2, 3),
        ("select customer_id, status as level from cards", SqlRefusal.SQL_TABLE_NOT_GRANTED, 1, None),
    ],
)  # fmt: skip
def test_the_gate_refuses_at_the_draft_with_the_place(
    desk: Desk, sql: str, code: SqlRefusal, line: int, column: int | None
) -> None:
    """LOG-04, LOG-05"""
    with refused((code, "sql")) as faults:
        desk.draft(replace(CONTENT, sql=sql))
    assert faults[0].values["line"] == str(line)
    assert column is None or faults[0].values["column"] == str(column)


def test_what_is_wrong_besides_the_sql_is_told_at_once(desk: Desk) -> None:
    """LOG-01, LOG-06, LOG-19: without a primary index, with one that is no output, unclassified: refused."""
    outputs = (*CONTENT.outputs[:1], Output("level", None))
    with refused(
        (CommonRefusal.REQUIRED, "name"),
        (SegmentRefusal.OUTPUT_UNCLASSIFIED, "outputs", 1, "is_personal"),
        (SegmentRefusal.PRIMARY_INDEX_NOT_OUTPUT, "primary_index", 0),
    ):
        desk.draft(replace(CONTENT, name="", outputs=outputs, primary_index=("cust_id",)))
    with refused((CommonRefusal.REQUIRED, "primary_index")):
        desk.draft(replace(CONTENT, primary_index=()))


def test_what_is_made_of_a_personal_column_is_classified_personal(desk: Desk) -> None:
    """LOG-19"""
    desk.grant("customers", "customer_id", "mobile")
    content = replace(CONTENT, sql="select customer_id, substr(mobile, 1, 3) as level from customers")
    with refused((SqlRefusal.SQL_OUTPUT_PERSONAL, "sql")):
        desk.draft(content)
    desk.draft(replace(content, outputs=(CONTENT.outputs[0], Output("level", True))))


def test_a_unit_uses_what_is_granted_to_it_and_nothing_else(desk: Desk) -> None:
    """LOG-05: not offered, and refused."""
    with refused((GrantRefusal.SOURCE_NOT_GRANTED, "source")):
        desk.draft(by=IN_SHANGHAI)
    work = Work(desk.bank.log, IN_SHANGHAI, desk.bank.now)
    assert usable(work, "SH") == []
    grant = desk.grant("customers", "customer_id", "level", "opened_on", unit="SH")
    ((source, (table,)),) = usable(Work(desk.bank.log, IN_SHANGHAI, desk.bank.now), "SH")
    assert (source, table.name) == ("bank", "customers")
    assert set(table.column_names) == {"customer_id", "level", "opened_on"}
    id_ = desk.draft(by=IN_SHANGHAI)
    desk.revoke(grant)
    with refused((GrantRefusal.SOURCE_NOT_GRANTED, "source")):
        desk.submit(id_, by=IN_SHANGHAI)


def test_both_levels_approve_what_they_saw(desk: Desk) -> None:
    """LOG-03, APR-01, APR-02"""
    id_ = desk.draft()
    approval = desk.submit(id_)
    opened = desk.bank.events(approval)[0]
    assert isinstance(opened, ApprovalOpened)
    assert (opened.subject.kind, opened.subject.id, opened.subject.revision) == ("segment_definition", id_, 1)
    with refused(ApprovalRefusal.WRONG_LEVEL):
        desk.bank.approve(approval, by=TAN, seen=desk.bank.seen(approval, Level.TECHNOLOGY))
    desk.approve(approval)
    assert desk.definition(id_).approved == CONTENT


def test_the_maker_does_not_approve_his_own_definition(desk: Desk) -> None:
    """APR-08: nor does who revised it before."""
    id_ = desk.draft(by=TAN)
    desk.revise(id_, name="Other", by=LIN)
    approval = desk.submit(id_)
    desk.bank.approve(approval, by=RAO)
    with refused(ApprovalRefusal.SEPARATION_OF_DUTIES):
        desk.bank.approve(approval, by=TAN)


def test_an_edit_voids_the_approval_and_leaves_what_is_in_force(desk: Desk) -> None:
    """LOG-02, APR-09"""
    id_ = desk.approved()
    desk.revise(id_, name="Second", by=WU)
    approval = desk.submit(id_)
    desk.revise(id_, name="Third", by=WU)
    assert desk.bank.approval(approval).status is ApprovalStatus.VOIDED
    assert desk.bank.events(approval)[-1] == ApprovalVoided(
        desk.bank.events(approval)[0].subject, "subject_revised"
    )
    state = desk.definition(id_)
    assert (state.status, state.revision, state.approved_revision) == (Status.DRAFT, 3, 1)
    assert state.approved == CONTENT
    desk.approve(desk.submit(id_))
    assert [type(event) for event in desk.bank.events(id_)[-2:]] == [DefinitionApproved, DefinitionSuperseded]
    assert desk.definition(id_).approved_revision == 3


def test_a_rejected_revision_changes_nothing_of_what_is_in_force(desk: Desk) -> None:
    """LOG-02, APR-09"""
    id_ = desk.approved()
    desk.revise(id_, name="Second")
    desk.bank.reject(desk.submit(id_), by=RAO, reason="too broad")
    state = desk.definition(id_)
    assert (state.status, state.approved_revision) == (Status.REJECTED, 1)


def test_a_grant_that_changes_under_an_approval_moves_its_subject(desk: Desk) -> None:
    """APR-09, LOG-05: approvers judge the SQL with the columns that it may read."""
    id_ = desk.draft()
    approval = desk.submit(id_)
    desk.bank.approve(approval, by=RAO)
    desk.grant("customers", "customer_id", "level", "opened_on", "mobile")
    with refused(ApprovalRefusal.SUBJECT_MOVED):
        desk.bank.approve(approval, by=TAN)
    desk.withdraw(id_)
    desk.approve(desk.submit(id_))
    assert desk.definition(id_).status is Status.APPROVED


def test_an_unrelated_grant_leaves_an_approval_alone(desk: Desk) -> None:
    """LOG-05"""
    id_ = desk.draft()
    approval = desk.submit(id_)
    desk.grant("cards")
    desk.approve(approval)
    assert desk.definition(id_).status is Status.APPROVED


def test_what_rests_on_a_definition_keeps_it(desk: Desk) -> None:
    """LOG-15: a schedule, a work order that is scheduled on it, a live run."""
    id_ = desk.approved()
    run = desk.request(id_)
    with refused(CatalogueRefusal.IN_USE) as faults:
        desk.delete(id_)
    assert desk.run(run).code in faults[0].values["users"]
    desk.terminate(run)
    order = uuid4()

    def schedule(work: Work, used: list[UUID]) -> UUID:
        work.state(DECIDER, id_)
        work.link(User(order, "work_order", "WO-2026-000007", "HO"), used)
        return id_

    desk.bank.send(LIN, "requestSegmentRun", {}, schedule, [id_])
    with refused(CatalogueRefusal.IN_USE) as faults:
        desk.delete(id_)
    assert faults[0].values["users"] == "work_order WO-2026-000007"
    desk.bank.send(LIN, "requestSegmentRun", {}, schedule, [])
    desk.delete(id_)
    assert desk.definition(id_).status is Status.DELETED
    with refused((CommonRefusal.NOT_FOUND, "definition")):
        desk.request(id_)


def test_a_code_is_free_again_when_its_definition_is_deleted(desk: Desk) -> None:
    id_ = desk.draft(code="PREMIUM")
    with refused((CommonRefusal.CODE_TAKEN, "code")):
        desk.draft(code="PREMIUM")
    desk.delete(id_)
    desk.draft(code="PREMIUM")


def test_a_definition_of_another_unit_is_out_of_sight(desk: Desk) -> None:
    id_ = desk.approved()
    for call in (desk.revise, desk.submit, desk.delete, desk.request):
        with refused((CommonRefusal.NOT_FOUND, "id")):
            call(id_, by=IN_SHANGHAI)


def test_an_edit_and_a_verdict_that_meet_do_not_both_count(desk: Desk) -> None:
    """APR-09: whichever comes second sees the first."""
    for round_ in range(5):
        id_ = desk.draft()
        approval = desk.submit(id_)
        desk.bank.approve(approval, by=RAO)
        seen = desk.bank.seen(approval)
        edit, verdict = at_once(
            [
                lambda id_=id_, n=round_: desk.revise(id_, name=f"Edited {n}"),
                lambda approval=approval, seen=seen: desk.bank.approve(approval, by=TAN, seen=seen),
            ]
        )
        state = desk.definition(id_)
        assert not codes(edit)
        assert (state.status, state.revision) == (Status.DRAFT, 2)
        assert (state.approved_revision is None) == bool(codes(verdict))


def test_grants_are_found_again_and_replaced(desk: Desk) -> None:
    """LOG-05"""
    grant = desk.grant("customers", "level")
    assert desk.grant("customers", "customer_id", "level", "opened_on") == grant
    with refused((GrantRefusal.UNKNOWN_TABLE, "table")):
        desk.grant("salaries", "amount")
    with refused((CommonRefusal.NOT_FOUND, "org_unit")):
        desk.grant(unit="XX")
