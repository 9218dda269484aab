"""Departments and reward types in use: what they keep, what they refuse, what stays as it was approved."""

from dataclasses import replace
from uuid import UUID

import pytest

from application.activities import Chosen
from application.catalogues import Change
from domain.activity_plans import PlanRefusal
from domain.approvals import ApprovalRefusal
from domain.catalogues import CatalogueRefusal, EntryAdded, EntryRemoved, Kind
from domain.reward_details import Reward, RewardRefusal
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal
from tests.application.bank import RAO, TIMES_POINTS, Bank
from tests.given import refused

COST = Kind.COST_TYPE


def test_a_department_in_use_or_with_children_is_not_removed_and_names_why(bank: Bank) -> None:
    """PAR-12: also a department that only takes part is in use; an empty one goes, its history stays."""
    type_ = bank.furnished().add_type("Dining")
    centre = bank.add_department("Card centre")
    marketing = bank.add_department("Marketing 2", code="MKT", parent=centre)
    partner = bank.add_department("Risk")
    plan = bank.plan(type_, department=Chosen(marketing), co_departments=(Chosen(partner),))
    activity = bank.draft(plan, "SPRING-26")
    for department in (marketing, partner):
        with refused(CatalogueRefusal.IN_USE) as faults:
            bank.remove(Kind.DEPARTMENT, department)
        assert faults[0].values == {"users": "activity SPRING-26"}
    with refused(CatalogueRefusal.HAS_CHILDREN) as faults:
        bank.remove(Kind.DEPARTMENT, centre)
    assert faults[0].values == {"children": "MKT"}
    bank.delete(activity)
    for department in (marketing, partner, centre):
        bank.remove(Kind.DEPARTMENT, department)
    assert [type(event) for event in bank.events(marketing)] == [EntryAdded, EntryRemoved]


def test_a_department_below_a_disabled_one_owns_no_new_activity_and_keeps_its_own(bank: Bank) -> None:
    """PAR-13"""
    type_ = bank.furnished().add_type("Dining")
    centre = bank.add_department("Card centre")
    marketing = bank.add_department("Retention", parent=centre)
    plan = bank.plan(type_, department=Chosen(marketing))
    activity = bank.draft(plan)
    bank.disable(Kind.DEPARTMENT, centre)
    with refused((PlanRefusal.REFERENCE_DISABLED, "department")):
        bank.draft(plan)
    bank.revise(activity, replace(plan, name="Second"))
    assert bank.activity(bank.running(activity)).plan.department == Reference(marketing, 1)  # type: ignore[union-attr]


def test_a_reward_type_keeps_its_cost_type_in_use(bank: Bank) -> None:
    """PAR-20, PAR-17: what a reward costs is booked by a cost type that stays as it is."""
    fee, other = bank.add_cost_type("Points"), bank.add_cost_type("Gifts")
    reward_type = bank.add_reward_type("Points times N", fee)
    with refused(CatalogueRefusal.IN_USE):
        bank.remove(COST, fee)
    attributes = {"cost_type": str(other)}
    bank.revise_entry(Kind.REWARD_TYPE, reward_type, Change(attributes=attributes))
    bank.remove(COST, fee)
    with refused(CatalogueRefusal.IN_USE):
        bank.remove(COST, other)


@pytest.mark.parametrize("cost_type", [str(UUID(int=7)), "POINTS"])
def test_a_reward_type_needs_a_cost_type_that_exists(bank: Bank, cost_type: str) -> None:
    """PAR-20"""
    with refused((CommonRefusal.NOT_FOUND, "cost_type")):
        bank.add(Kind.REWARD_TYPE, "Points", attributes={**TIMES_POINTS, "cost_type": cost_type})


def test_a_disabled_cost_type_is_not_chosen_but_kept(bank: Bank) -> None:
    """PAR-08, PAR-21"""
    fee = bank.add_cost_type("Points")
    reward_type = bank.add_reward_type("Points", fee)
    bank.disable(COST, fee)
    with refused((PlanRefusal.REFERENCE_DISABLED, "cost_type")):
        bank.add_reward_type("Gift", fee)
    bank.revise_entry(Kind.REWARD_TYPE, reward_type, Change(attributes={"maximum": "5"}))
    assert bank.entry(Kind.REWARD_TYPE, reward_type).details.attributes["maximum"] == "5"


def test_a_narrowed_range_holds_for_later_configurations_only(bank: Bank) -> None:
    """PAR-21: 1..10 becomes 1..5: what is approved with eight runs with eight, a new draft is refused."""
    type_, rewards = bank.furnished().add_type("Dining"), (bank.reward("8"),)
    running = bank.draft(bank.plan(type_, rewards=rewards))
    approved = bank.draft(bank.plan(type_, rewards=rewards))
    waiting = bank.draft(bank.plan(type_, rewards=rewards))
    bank.running(running)
    bank.approved(approved)
    bank.revise_entry(Kind.REWARD_TYPE, bank.reward_type(), Change(attributes={"maximum": "5"}))
    above = (RewardRefusal.ABOVE_MAXIMUM, "rewards", 0, "value")
    with refused(above):
        bank.draft(bank.plan(type_, rewards=rewards))
    with refused(above):
        bank.submit(waiting)
    bank.launch(approved)
    for activity in (running, approved):
        plan = bank.activity(activity).plan
        assert plan is not None
        assert plan.rewards == (Reward(Reference(bank.reward_type(), 1), "8"),)


def test_a_disabled_reward_type_is_not_offered_to_new_details(bank: Bank) -> None:
    """PAR-22"""
    type_ = bank.furnished().add_type("Dining")
    bank.disable(Kind.REWARD_TYPE, bank.reward_type())
    with refused((PlanRefusal.REFERENCE_DISABLED, "rewards", 0, "reward_type")):
        bank.draft(bank.plan(type_))
    bank.enable(Kind.REWARD_TYPE, bank.reward_type())
    bank.draft(bank.plan(type_))


def test_an_approval_is_void_when_a_reward_type_or_department_changed_since_it_was_seen(bank: Bank) -> None:
    """APR-09: the hash covers the revision of everything that the plan refers to."""
    type_ = bank.furnished().add_type("Dining")
    for kind, entry in ((Kind.REWARD_TYPE, bank.reward_type()), (Kind.DEPARTMENT, bank.department())):
        approval = bank.submit(bank.draft(bank.plan(type_)))
        bank.rename(kind, entry, f"Renamed {kind}")
        with refused(ApprovalRefusal.SUBJECT_MOVED):
            bank.approve(approval, by=RAO)
