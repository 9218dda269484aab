"""Work orders: numbered, approved, scheduled with a definition of their own, executed once."""

import re
from dataclasses import replace
from functools import partial
from itertools import count
from uuid import UUID, uuid4

import pytest

from application import customer_groups, work_orders
from application.access import Forbidden, Principal
from application.activities import Chosen
from application.shared.work import Work
from domain.activity_plans import PlanRefusal
from domain.approvals import ApprovalRefusal
from domain.approvals import Status as ApprovalStatus
from domain.catalogues import CatalogueRefusal, Kind
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import claim_id
from domain.shared.refusal import CommonRefusal
from domain.work_order_contents import ContentRefusal
from domain.work_order_contents import Kind as WorkOrderKind
from domain.work_order_statuses import Status, WorkOrderRefusal
from tests.application.bank import IN_SHANGHAI, LIN, NOW, RAO, TAN, WU, Bank, at_once, codes
from tests.application.orders import EXECUTOR, SOON, Orders, orders_of
from tests.given import refused


@pytest.fixture
def orders(bank: Bank) -> Orders:
    return orders_of(bank)


# --- Drafting and numbers -------------------------------------------------


def test_a_draft_has_a_number_of_its_year_and_is_its_makers(orders: Orders) -> None:
    """WO-01, WO-02"""
    for kind in WorkOrderKind:
        order = orders.state(orders.draft(kind=kind))
        assert re.fullmatch(r"WO-2026-\d{6}", order.number)
        assert (order.status, order.kind, order.org_unit, order.makers) == (
            Status.DRAFT,
            kind,
            "HO",
            ("lin",),
        )
        assert order.content is not None
        assert order.content.requester == "lin"
    orders.bank.now = NOW.replace(year=2027)
    assert orders.state(orders.draft()).number == "WO-2027-000001"


def test_sixty_four_who_create_at_once_all_get_a_number_of_their_own(orders: Orders) -> None:
    """WO-01: from two processes; nobody is told to try again, and each number is claimed in the log."""
    other = replace(orders, bank=orders.bank.another_process())
    answers = at_once([(orders if n % 2 else other).draft for n in range(64)])
    assert [codes(answer) for answer in answers] == [[]] * 64
    numbers = {orders.state(order).number: order for order in answers if isinstance(order, UUID)}
    assert len(numbers) == 64
    for number, order in numbers.items():
        claim = orders.bank.log.load(CLAIM, claim_id("work_order.number", number)).state
        assert claim.owner == order


def test_what_is_refused_takes_no_number(orders: Orders) -> None:
    """WO-01: gaps come of races alone."""
    first = orders.state(orders.draft()).number
    with refused((CommonRefusal.REQUIRED, "segmentation_rules")):
        orders.draft(orders.content(segmentation_rules=" "))
    assert _count(orders.state(orders.draft()).number) == _count(first) + 1


def test_a_number_that_the_log_knows_is_never_given_again(orders: Orders) -> None:
    """WO-01: even if the series were lost."""
    first = orders.state(orders.draft()).number
    with orders.bank.log.log_recorder.pool.connection() as connection:
        connection.execute("update log.series set last = 1 where name = 'work_order.2026'")
    assert _count(first) == 1
    assert _count(orders.state(orders.draft()).number) == 2
    with orders.bank.log.log_recorder.pool.connection() as connection:
        connection.execute("update log.series set last = 1 where name = 'work_order.2026'")
    assert _count(orders.state(orders.draft()).number) == 3


def _count(number: str) -> int:
    return int(number.rsplit("-", maxsplit=1)[-1])


def test_the_same_key_drafts_one_work_order(orders: Orders) -> None:
    """WO-01"""
    first = orders.draft(key="k1")
    assert orders.draft(key="k1") == first


def test_what_is_chosen_must_be_there_and_in_sight(orders: Orders) -> None:
    """WO-01: a branch sees neither head office's activities nor its groups."""
    nothing = Chosen(uuid4())
    with refused(
        (CommonRefusal.NOT_FOUND, "activity"),
        (CommonRefusal.NOT_FOUND, "customer_group"),
        (CommonRefusal.NOT_FOUND, "department"),
    ):
        orders.draft(orders.content(activity=nothing, customer_group=nothing, department=nothing))
    with refused((CommonRefusal.NOT_FOUND, "activity"), (CommonRefusal.NOT_FOUND, "customer_group")):
        orders.draft(by=IN_SHANGHAI)


def test_who_saw_an_older_revision_is_told_so(orders: Orders) -> None:
    """WO-01"""
    with refused((PlanRefusal.REFERENCE_CHANGED, "activity")):
        orders.draft(orders.content(activity=Chosen(orders.activity, 7)))


def test_a_disabled_department_orders_nothing(orders: Orders) -> None:
    """WO-01"""
    orders.bank.disable(Kind.DEPARTMENT, orders.department)
    with refused((PlanRefusal.REFERENCE_DISABLED, "department")):
        orders.draft()


def test_what_it_refers_to_is_in_use_until_it_is_cancelled(orders: Orders) -> None:
    """WO-01, WO-13"""
    order = orders.draft()
    number = orders.state(order).number
    for id in (orders.group, orders.department, orders.activity):
        assert number in [user.label for user in orders.bank.log.users(id)]
    cancellation = orders.request_cancellation(order)
    orders.bank.approve(orders.approval_of(cancellation), by=TAN)
    assert all(
        number not in [u.label for u in orders.bank.log.users(id)] for id in (orders.group, orders.activity)
    )


def test_only_operators_plan_and_only_the_system_executes(orders: Orders) -> None:
    order = orders.scheduled()
    for by in (RAO, TAN):
        with pytest.raises(Forbidden):
            orders.draft(by=by)
    for by in (LIN, TAN, RAO):
        with pytest.raises(Forbidden):
            orders.start(order, uuid4(), by=by)


# --- Approval and revisions -----------------------------------------------


def test_it_is_submitted_only_for_an_activity_that_is_approved_or_runs(orders: Orders) -> None:
    """WO-01"""
    bank = orders.bank
    planned = bank.draft(bank.plan(bank.add_type("Travel")))
    order = orders.draft(orders.content(activity=Chosen(planned)))
    with refused((ContentRefusal.ACTIVITY_NOT_READY, "activity")):
        orders.submit(order)
    bank.approved(planned)
    orders.submit(order)
    assert orders.state(order).status is Status.IN_APPROVAL


def test_two_levels_approve_and_nobody_twice_or_his_own(orders: Orders) -> None:
    """WO-04, APR-01"""
    order = orders.draft()
    approval = orders.submit(order)
    assert orders.bank.approval(approval).levels == ("research", "technology")
    orders.bank.approve(approval, by=RAO)
    assert orders.state(order).status is Status.IN_APPROVAL
    orders.bank.approve(approval, by=TAN)
    assert orders.state(order).status is Status.APPROVED


def test_an_edit_voids_the_approval_that_is_under_way_or_given(orders: Orders) -> None:
    """WO-05"""
    order = orders.draft()
    for number, approve in enumerate((False, True), start=1):
        approval = orders.submit(order)
        if approve:
            orders.approve(approval)
        orders.revise(order, orders.content(name=f"Name {number}"))
        voided = ApprovalStatus.GRANTED if approve else ApprovalStatus.VOIDED
        assert orders.bank.approval(approval).status is voided
        state = orders.state(order)
        assert (state.status, state.revision) == (Status.DRAFT, number + 1)


def test_after_a_rejection_an_edit_is_version_two_and_pending_again(orders: Orders) -> None:
    """WO-05"""
    order = orders.draft()
    orders.bank.reject(orders.submit(order), by=RAO)
    assert orders.state(order).status is Status.REJECTED
    with refused(WorkOrderRefusal.WORK_ORDER_NOT_SUBMITTABLE):
        orders.submit(order)
    orders.revise(order, orders.content(name="Narrower"), by=WU)
    orders.submit(order)
    state = orders.state(order)
    assert (state.status, state.revision, state.makers) == (Status.IN_APPROVAL, 2, ("lin", "wu"))


def test_what_has_moved_since_it_was_submitted_can_not_be_approved(orders: Orders) -> None:
    """WO-07, APR-05: a newer revision of the department is something that the approver has not seen."""
    approval = orders.submit(orders.draft())
    orders.bank.rename(Kind.DEPARTMENT, orders.department, "Retail")
    with refused(ApprovalRefusal.SUBJECT_MOVED):
        orders.bank.approve(approval, by=RAO)


def test_what_is_scheduled_or_executing_is_not_edited(orders: Orders) -> None:
    """WO-05"""
    order = orders.scheduled()
    with refused(WorkOrderRefusal.WORK_ORDER_NOT_EDITABLE):
        orders.revise(order, orders.content(name="Other"))
    order, _ = orders.executing()
    with refused(WorkOrderRefusal.WORK_ORDER_NOT_EDITABLE):
        orders.revise(order, orders.content(name="Other"))


def test_of_an_edit_and_an_approval_at_once_the_approver_saw_what_is_approved(orders: Orders) -> None:
    """WO-05: whoever comes second is declined, so no unseen content is approved."""
    for number in count(1):
        order = orders.draft()
        approval = orders.submit(order)
        orders.bank.approve(approval, by=RAO)
        content = orders.content(name=f"Edit {number}")
        at_once([partial(orders.revise, order, content), partial(orders.bank.approve, approval, by=TAN)])
        state = orders.state(order)
        assert state.status is not Status.APPROVED or state.revision == 1
        if number == 8:
            break


# --- Definition and execution ---------------------------------------------


def test_it_is_open_for_definitions_until_it_is_executed_or_cancelled(orders: Orders) -> None:
    """WO-04, LOG-01"""
    order, _ = orders.executing()
    fresh = orders.draft()
    assert (is_open(orders, fresh), is_open(orders, order), is_open(orders, uuid4())) == (True, False, False)
    assert not is_open(orders, fresh, by=IN_SHANGHAI)
    orders.request_cancellation(fresh)
    assert not is_open(orders, fresh)


def is_open(orders: Orders, order: UUID, by: Principal = LIN) -> bool:
    work = Work(orders.bank.log, by, orders.bank.now)
    return work_orders.is_open(work, order)


def test_it_is_scheduled_with_an_approved_definition_of_its_own(orders: Orders) -> None:
    """WO-04"""
    order, other = orders.approved(), orders.approved()
    with refused((CommonRefusal.NOT_FOUND, "definition")):
        orders.schedule(order, uuid4())
    with refused((WorkOrderRefusal.DEFINITION_OF_ANOTHER, "definition")):
        orders.schedule(order, orders.definition(other))
    with refused((WorkOrderRefusal.DEFINITION_OF_ANOTHER, "definition")):
        orders.schedule(order, orders.definition(None))
    with refused((WorkOrderRefusal.DEFINITION_NOT_APPROVED, "definition")):
        orders.schedule(order, orders.definition(order, is_approved=False))
    definition = orders.definition(order)
    orders.schedule(order, definition)
    state = orders.state(order)
    assert state.status is Status.SCHEDULED
    assert state.definition is not None
    assert (state.definition.id, state.definition.revision) == (definition, 1)
    assert orders.state(order).number in [user.label for user in orders.bank.log.users(definition)]


def test_it_is_executed_once_it_is_due_and_ends_as_its_run_does(orders: Orders) -> None:
    """WO-04"""
    order, run = orders.scheduled(), uuid4()
    with refused(WorkOrderRefusal.WORK_ORDER_NOT_DUE):
        orders.start(order, run)
    orders.bank.now = SOON
    orders.start(order, run)
    orders.start(order, run)
    orders.fail(order, run)
    assert orders.state(order).status is Status.FAILED
    orders.retry(order)
    again = uuid4()
    orders.start(order, again)
    orders.complete(order, run)
    assert orders.state(order).status is Status.EXECUTING
    orders.complete(order, again)
    before = orders.bank.version(order)
    orders.complete(order, again)
    assert orders.state(order).status is Status.COMPLETED
    assert orders.bank.version(order) == before


def test_of_two_schedulers_that_come_at_once_one_starts_it(orders: Orders) -> None:
    """WO-16: exactly one run is requested, however often the race is run."""
    other = replace(orders, bank=orders.bank.another_process())
    for _ in range(8):
        order = orders.scheduled()
        orders.bank.now = other.bank.now = SOON
        before = orders.bank.count_events()
        answers = at_once([partial(each.start_with_run, order) for each in (orders, other)])
        assert sorted(codes(answer) for answer in answers) == [[], ["work_order_not_scheduled"]]
        run = next(answer for answer in answers if isinstance(answer, UUID))
        state = orders.state(order)
        assert (state.status, state.run, state.execution.attempts) == (Status.EXECUTING, run, 1)
        assert orders.bank.count_events() == before + 2
        orders.bank.now = other.bank.now = NOW


def test_a_points_job_is_recorded_only_where_something_may_go_out(orders: Orders) -> None:
    """WO-16"""
    order, run = orders.executing()
    job = uuid4()
    record = partial(orders.bank.send, EXECUTOR, "completeWorkOrder", {}, work_orders.record_points_job)
    record(order, job)
    assert orders.state(order).points_job == job
    orders.complete(order, run)
    record(order, job)
    other, _ = orders.executing()
    orders.request_cancellation(other)
    with refused(WorkOrderRefusal.WORK_ORDER_NOT_RELEASABLE):
        record(other, job)


def test_a_group_is_free_again_once_its_work_orders_are_done(orders: Orders) -> None:
    """SEG-03, WO-04"""
    order, run = orders.executing()
    retire = partial(orders.bank.send, LIN, "retireCustomerGroup", {}, customer_groups.retire, orders.group)
    with refused(CatalogueRefusal.IN_USE):
        retire()
    orders.complete(order, run)
    retire()
