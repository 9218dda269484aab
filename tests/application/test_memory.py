"""What a process remembers makes it quick, and is never what it decides upon."""

import pytest

from application import catalogues
from application.shared.handler import Handler, Request
from domain.activities import Status
from domain.activity_plans import PlanRefusal
from domain.catalogues import CatalogueRefusal, Kind
from domain.shared.refusal import CommonRefusal
from tests.application.bank import LIN, RAO, TAN, Bank
from tests.application.interruption import Interrupted
from tests.given import refused

TYPE, COST = Kind.ACTIVITY_TYPE, Kind.COST_TYPE


@pytest.fixture
def other(bank: Bank) -> Bank:
    return bank.another_process()


def test_what_another_process_allowed_is_no_longer_refused(bank: Bank, other: Bank) -> None:
    """PAR-02, PAR-07, PAR-17: the no would rest on what has passed."""
    parent = bank.add_type("Card use")
    child = bank.add_type("Dining", parent=parent)
    fee = bank.add_cost_type("SMS", code="SMS")
    bank.disable(TYPE, parent)
    activity = other.draft(other.plan(other.add_type("Other"), fee))
    with refused(CatalogueRefusal.ANCESTOR_DISABLED):
        other.enable(TYPE, child)
    with refused(CatalogueRefusal.IN_USE):
        other.rename(COST, fee, "Text")
    with refused((CommonRefusal.CODE_TAKEN, "code")):
        other.add_cost_type("Letter", code="SMS")
    bank.enable(TYPE, parent)
    bank.delete(activity)
    bank.remove(COST, fee)
    other.enable(TYPE, child)
    other.draft(other.plan(child))
    other.add_cost_type("SMS", code="SMS")


def test_what_another_process_forbade_is_refused(bank: Bank, other: Bank) -> None:
    """PAR-08, PAR-04"""
    parent = other.add_type("Card use")
    child = other.add_type("Dining", parent=parent)
    other.draft(other.plan(child))
    bank.disable(TYPE, parent)
    with refused((PlanRefusal.REFERENCE_DISABLED, "activity_type")):
        other.draft(other.plan(child))
    empty = other.add_type("Travel")
    bank.remove(TYPE, empty)
    with refused((CatalogueRefusal.PARENT_NOT_FOUND, "parent")):
        other.add_type("Hotel", parent=empty)
    with refused((CommonRefusal.NOT_FOUND, "id")):
        other.rename(TYPE, empty, "Flights")


def test_a_command_that_once_changed_nothing_takes_effect_when_it_would_change_something(
    bank: Bank, other: Bank
) -> None:
    """PAR-05: to one process the entry is still enabled, to the bank it is not."""
    entry = other.add_type("Dining")
    other.enable(TYPE, entry)
    bank.disable(TYPE, entry)
    receipt = other.enable(TYPE, entry)
    assert receipt.version == 3
    assert bank.entry(TYPE, entry).is_enabled


def test_an_approval_goes_through_several_processes(bank: Bank, other: Bank) -> None:
    """APR-01, APR-02: submitted in one, decided in two, launched in the first."""
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    approval = bank.submit(activity)
    other.approve(approval, by=RAO)
    bank.approve(approval, by=TAN)
    other.launch(activity)
    bank.pause(activity)
    assert other.activity(activity).status is Status.PAUSED


def test_a_tree_that_was_turned_over_elsewhere_is_no_fault_of_the_house(bank: Bank, other: Bank) -> None:
    """PAR-03: this process remembers A under B, and has just read that B is under A."""
    a, b = bank.add_type("A"), bank.add_type("B")
    bank.move(a, b)
    assert other.entry(TYPE, a).parent == b
    bank.move(a, None)
    bank.move(b, a)
    other.disable(TYPE, b)
    other.enable(TYPE, b)
    other.draft(other.plan(b))


def test_a_tree_that_is_turned_over_between_two_reads_is_no_fault_of_the_house(bank: Bank) -> None:
    """PAR-03: A is read under B; then A becomes a root and B its child; then B is read."""
    a, b = bank.add_type("A"), bank.add_type("B")
    bank.move(a, b)

    def turn_over() -> None:
        bank.move(a, None)
        bank.move(b, a)

    handler = Handler(Interrupted(bank.log, a, turn_over), lambda: bank.now)
    receipt = handler(Request(LIN, "enableActivityType", None), lambda work: catalogues.enable(work, TYPE, a))
    assert receipt.subject == a
