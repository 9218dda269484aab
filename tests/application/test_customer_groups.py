"""The use cases of customer groups against the real log; previews by DuckDB over Parquet."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from application import customer_groups
from application.access import Forbidden, Principal
from application.activities import Chosen, GroupLinkEntry, PlanEntry
from application.customer_groups import masked
from application.group_memberships import MembershipChange, membership_change
from application.group_sql import Extraction
from application.shared.records import Receipt
from application.shared.work import UNSEEN, Work
from domain.activity_plans import Choice, GroupRole, PlanRefusal
from domain.approvals import ApprovalRefusal
from domain.catalogues import CatalogueRefusal
from domain.customer_groups import (
    DECIDER,
    CustomerGroup,
    Definition,
    GroupRefusal,
    Purpose,
    Status,
)
from domain.group_rules import Comparison, Condition, Dimension, Rule
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal
from domain.timeframes import Frequency, FrequencyKind, Timeframe, TimeframeKind
from tests.application.bank import ALL_UNITS, DAY, IN_SHANGHAI, LIN, RAO, Bank, at_once, codes
from tests.application.small_warehouse import SmallEngine, customer, write_warehouse
from tests.given import refused


def at_least(age: int) -> Definition:
    rule = Rule(condition=Condition(Dimension.AGE, Comparison.AT_LEAST, (str(age),)))
    return Definition(f"From {age}", rule=rule)


ADULTS, ELDERS = at_least(18), at_least(60)
TODAY = Extraction(date(2024, 3, 31))


def define(
    bank: Bank, definition: Definition = ADULTS, *, code: str = "", by: Principal = LIN, **request: Any
) -> UUID:
    code = code or f"G{next(bank.numbers)}"
    given = (code, Purpose.TARGET, definition)
    return bank.send(by, "defineCustomerGroup", request, customer_groups.define, *given).subject


def revise(
    bank: Bank,
    group: UUID,
    definition: Definition = ELDERS,
    purpose: Purpose | None = None,
    *,
    by: Principal = LIN,
    **request: Any,
) -> Receipt:
    return bank.send(by, "reviseCustomerGroup", request, customer_groups.revise, group, purpose, definition)


def retire(bank: Bank, group: UUID, by: Principal = LIN) -> Receipt:
    return bank.send(by, "retireCustomerGroup", {}, customer_groups.retire, group)


def delete(bank: Bank, group: UUID, by: Principal = LIN) -> Receipt:
    return bank.send(by, "deleteCustomerGroup", {}, customer_groups.delete, group)


def state(bank: Bank, group: UUID) -> CustomerGroup:
    return bank.log.load(DECIDER, group).state


def activity(bank: Bank, *groups: UUID, by: Principal = LIN, code: str | None = None) -> UUID:
    """A draft whose plan links these groups."""
    return bank.draft(linking(bank, *groups), code, by=by)


def linking(bank: Bank, *groups: UUID) -> PlanEntry:
    frequency, timeframe = Frequency(FrequencyKind.DAILY), Timeframe(TimeframeKind.ROLLING, days=30)
    links = (GroupLinkEntry(Chosen(group), GroupRole.TARGET, frequency, timeframe) for group in groups)
    return bank.plan(bank.add_type(f"T{next(bank.numbers)}"), groups=tuple(links))


def test_a_code_is_unique_until_its_group_is_deleted(bank: Bank) -> None:
    """SEG-01"""
    group = define(bank, code="ADULTS")
    with refused((CommonRefusal.CODE_TAKEN, "code")):
        define(bank, code="ADULTS")
    delete(bank, group)
    assert state(bank, define(bank, code="ADULTS")).status is Status.ACTIVE


def test_a_new_revision_leaves_the_old_one_to_those_who_refer_to_it(bank: Bank) -> None:
    """SEG-02: running extractions keep the revision that they refer to."""
    group = define(bank)
    revise(bank, group)
    revise(bank, group, replace(ELDERS, rule=None, members=("C2", "C1")))
    assert customer_groups.definition_of(bank.log, Reference(group, 1)) == ADULTS
    assert customer_groups.definition_of(bank.log, Reference(group, 2)) == ELDERS
    assert customer_groups.definition_of(bank.log, Reference(group, 3)).members == ("C1", "C2")
    for revision in (0, 4):
        with refused((CommonRefusal.NOT_FOUND, "revision")):
            customer_groups.definition_of(bank.log, Reference(group, revision))


def test_a_linked_group_is_neither_retired_nor_deleted_and_the_activity_is_named(bank: Bank) -> None:
    """SEG-03"""
    group = define(bank)
    planned = activity(bank, group)
    named = f"activity {bank.activity(planned).code}"
    for verb in (retire, delete):
        with refused(CatalogueRefusal.IN_USE) as faults:
            verb(bank, group)
        assert faults[0].values == {"users": named}
    revise(bank, group)
    with refused((GroupRefusal.PURPOSE_FIXED, "purpose")) as faults:
        revise(bank, group, purpose=Purpose.REWARDED)
    assert faults[0].values == {"users": named}


@pytest.mark.parametrize("ending", ["ended", "cancelled"])
def test_an_activity_that_is_over_keeps_no_group(bank: Bank, ending: str) -> None:
    """SEG-03: its history stays, and the purpose is still fixed."""
    group = define(bank)
    planned = activity(bank, group)
    bank.running(planned)
    with refused(CatalogueRefusal.IN_USE):
        retire(bank, group)
    if ending == "cancelled":
        bank.cancel(planned)
    else:
        bank.now += 40 * DAY
        bank.end(planned)
    with refused((GroupRefusal.PURPOSE_FIXED, "purpose")):
        revise(bank, group, purpose=Purpose.REWARDED)
    retire(bank, group)
    delete(bank, group)
    assert len(bank.events(group)) == 3


def test_many_activities_that_are_over_do_not_hide_one_that_is_not(bank: Bank) -> None:
    """SEG-03"""
    group = define(bank)
    for number in range(22):
        planned = activity(bank, group, code=f"A-{number:02}")
        if number < 21:
            bank.running(planned)
            bank.cancel(planned)
    with refused(CatalogueRefusal.IN_USE) as faults:
        retire(bank, group)
    assert faults[0].values == {"users": "activity A-21"}
    bank.delete(planned)
    retire(bank, group)


def test_an_unlinked_group_is_deleted_and_its_history_kept(bank: Bank) -> None:
    """SEG-03"""
    group = define(bank)
    delete(bank, group)
    assert [type(event).__name__ for event in bank.events(group)] == [
        "CustomerGroupDefined",
        "CustomerGroupDeleted",
    ]
    with refused((CommonRefusal.NOT_FOUND, "id")):
        revise(bank, group)


def test_of_two_who_link_and_retire_at_once_one_is_declined(bank: Bank) -> None:
    """SEG-03, SEG-06"""
    for _ in range(8):
        group, here = define(bank), bank.another_process()
        plan, planned = linking(bank, group), activity(bank)
        answers = at_once([lambda: here.revise(planned, plan), lambda: retire(bank, group)])  # noqa: B023
        expected = [[], [CatalogueRefusal.IN_USE]], [[PlanRefusal.REFERENCE_DISABLED], []]
        assert [codes(answer) for answer in answers] in expected


def test_another_units_group_is_not_there(bank: Bank) -> None:
    """SEG-01"""
    of_head_office, of_shanghai = define(bank), define(bank, by=IN_SHANGHAI)
    with refused((CommonRefusal.NOT_FOUND, "id")):
        revise(bank, of_head_office, by=IN_SHANGHAI)
    revise(bank, of_shanghai, by=LIN)
    assert state(bank, of_shanghai).org_unit == "SH"


def test_the_name_of_an_activity_out_of_sight_is_hidden(bank: Bank) -> None:
    """SEG-03"""
    group = define(bank, by=IN_SHANGHAI)
    activity(bank, group)
    with refused(CatalogueRefusal.IN_USE) as faults:
        retire(bank, group, by=IN_SHANGHAI)
    assert faults[0].values == {"users": f"activity {UNSEEN}"}


def chosen(bank: Bank, group: UUID, org_unit: str, seen: int | None = None) -> Choice:
    work = Work(bank.log, LIN, bank.now, org_unit=org_unit)
    return customer_groups.choice(work, group, seen)


def test_an_activity_chooses_among_the_groups_of_its_own_unit(bank: Bank) -> None:
    """SEG-06: a branch can't reach customers through a group of head office's, whoever edits its plan."""
    of_head_office, of_shanghai = define(bank), define(bank, by=IN_SHANGHAI)
    assert chosen(bank, of_head_office, "HO") == Choice(
        Reference(of_head_office, 1), is_enabled=True, role=GroupRole.TARGET
    )
    assert chosen(bank, of_shanghai, "HO").reference == Reference(of_shanghai, 1)
    assert chosen(bank, of_shanghai, "SH").reference == Reference(of_shanghai, 1)
    assert chosen(bank, of_head_office, "SH") == Choice(None)
    assert chosen(bank, of_shanghai, "BJ") == Choice(None)
    assert chosen(bank, uuid4(), "HO") == Choice(None)


def test_a_choice_tells_the_revision_and_whether_the_group_is_active(bank: Bank) -> None:
    """SEG-02, SEG-06"""
    group = define(bank)
    revise(bank, group)
    assert [fault.code for fault in chosen(bank, group, "HO", 1).faults()] == [PlanRefusal.REFERENCE_CHANGED]
    retire(bank, group)
    assert [fault.code for fault in chosen(bank, group, "HO").faults()] == [PlanRefusal.REFERENCE_DISABLED]
    delete(bank, group)
    assert chosen(bank, group, "HO") == Choice(None)


def test_a_group_that_is_revised_in_approval_must_be_submitted_anew(bank: Bank) -> None:
    """SEG-02: approvers decide on the revision that they saw."""
    group = define(bank)
    approval = bank.submit(activity(bank, group))
    revise(bank, group)
    with refused(ApprovalRefusal.SUBJECT_MOVED):
        bank.approve(approval, by=RAO)


def test_who_may_not_keep_groups_is_forbidden_to(bank: Bank) -> None:
    """SEG-01"""
    with pytest.raises(Forbidden):
        define(bank, by=RAO)


# --- What a group consists of ---------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> SmallEngine:
    """30 customers of head office from C00000001 on, one in Shanghai, and a child."""
    customers = [customer(number) for number in range(1, 31)]
    customers += [customer(31, org_unit="SH"), customer(32, 2020)]
    return SmallEngine(write_warehouse(tmp_path / "bank", customers, []))


def test_a_preview_counts_what_the_execution_finds(bank: Bank, engine: SmallEngine) -> None:
    """SEG-05: the same number for the same business date; some ids, masked."""
    group = define(bank)
    work = Work(bank.log, LIN, bank.now)
    query = customer_groups.recorded_query(work, group, None, TODAY)
    shown = customer_groups.preview(engine, query)
    run_id = uuid4()
    executed = customer_groups.query_of(work, Reference(group, 1), ALL_UNITS, TODAY)
    assert shown.count == engine.run(run_id, executed, lambda _: None, lambda: False).rows == 31
    assert shown.sample == tuple(f"C*****{number:03}" for number in range(1, 21))
    drafted = customer_groups.draft_query(work, ADULTS.rule, None, TODAY)
    assert customer_groups.preview(engine, drafted) == shown


def test_a_preview_shows_a_revision(bank: Bank, engine: SmallEngine) -> None:
    """SEG-02, SEG-05"""
    group = define(bank)
    revise(bank, group)
    work = Work(bank.log, LIN, bank.now)
    counts = [
        engine.count(customer_groups.recorded_query(work, group, revision, TODAY))
        for revision in (1, 2, None)
    ]
    assert counts == [31, 0, 0]


def test_a_group_reaches_its_units_customers_whoever_asks(bank: Bank, engine: SmallEngine) -> None:
    """SEG-05"""
    group = define(bank, by=IN_SHANGHAI)
    for principal in (LIN, IN_SHANGHAI):
        work = Work(bank.log, principal, bank.now)
        assert engine.count(customer_groups.recorded_query(work, group, None, TODAY)) == 1
    work = Work(bank.log, IN_SHANGHAI, bank.now)
    assert engine.count(customer_groups.draft_query(work, ADULTS.rule, None, TODAY)) == 1
    with refused((CommonRefusal.NOT_FOUND, "id")):
        customer_groups.recorded_query(work, define(bank), 1, TODAY)


@pytest.mark.parametrize(
    ("data_from", "data_to", "fault"),
    [
        (date(2024, 3, 1), None, (CommonRefusal.REQUIRED, "data_to")),
        (None, date(2024, 3, 1), (CommonRefusal.REQUIRED, "data_from")),
        (date(2024, 3, 1), date(2024, 3, 1), (CommonRefusal.END_NOT_AFTER_START, "data_to")),
    ],
)
def test_a_timeframe_has_both_ends_in_order(bank: Bank, data_from: Any, data_to: Any, fault: Any) -> None:
    """SEG-08"""
    work = Work(bank.log, LIN, bank.now)
    extraction = replace(TODAY, data_from=data_from, data_to=data_to)
    with refused(fault):
        customer_groups.draft_query(work, ADULTS.rule, None, extraction)
    with refused(fault):
        customer_groups.recorded_query(work, define(bank), None, extraction)


def test_a_short_id_is_masked_altogether() -> None:
    assert [masked(id_) for id_ in ("C0000001", "C000001", "")] == ["C****001", "*******", ""]


def test_runs_tell_who_joined_and_who_left(tmp_path: Path, bank: Bank) -> None:
    """SEG-09: a customer meets the rule on day 2 only: joined in run 2, left in run 3."""
    work = Work(bank.log, LIN, bank.now)
    query = customer_groups.draft_query(work, ADULTS.rule, None, TODAY)
    days = [[customer(1), customer(2, 2020)], [customer(1), customer(2)], [customer(1), customer(2, 2020)]]
    engine = SmallEngine(tmp_path)
    runs: list[UUID] = []
    for rows in days:
        write_warehouse(tmp_path, rows, [])
        runs.append(uuid4())
        engine.run(runs[-1], query, lambda _: None, lambda: False)
    one, two = "C00000001", "C00000002"
    changes = [
        membership_change(engine, earlier, later) for earlier, later in zip([None, *runs], runs, strict=False)
    ]
    assert changes == [
        MembershipChange((one,), (), 0),
        MembershipChange((two,), (), 1),
        MembershipChange((), (two,), 1),
    ]
    assert [change.count for change in changes] == [1, 2, 1]


def test_a_group_made_to_be_reached_is_not_linked_to_be_awarded(bank: Bank) -> None:
    """SEG-01, SEG-06: the link's role agrees with the group's purpose."""
    group = define(bank)
    plan = linking(bank, group)
    awarded = replace(plan, groups=(replace(plan.groups[0], role=GroupRole.REWARDED),))
    with refused((PlanRefusal.ROLE_NOT_OF_GROUP, "groups", 0, "role")):
        bank.draft(awarded)
    revise(bank, group, purpose=Purpose.REWARDED)
    bank.draft(awarded)
