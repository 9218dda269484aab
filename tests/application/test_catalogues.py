"""The use cases of catalogues against the real log."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from application import catalogues
from application.catalogues import Change
from domain.activity_plans import PlanRefusal
from domain.catalogues import (
    DEPTH_MAX,
    CatalogueRefusal,
    Details,
    EntryAdded,
    EntryDisabled,
    EntryMoved,
    EntryRemoved,
    EntryRevised,
    Kind,
    Status,
)
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import claim_id
from domain.shared.refusal import CommonRefusal
from tests.application.bank import LIN, NOW, SMS_ATTRIBUTES, WU, Bank, answered, codes
from tests.given import refused

TYPE, COST = Kind.ACTIVITY_TYPE, Kind.COST_TYPE


def chain(bank: Bank, name: str, length: int) -> list[UUID]:
    """Activity types each under the one before, the root first."""
    found: list[UUID] = []
    for depth in range(length):
        found.append(bank.add_type(f"{name}{depth}", parent=found[-1] if found else None))
    return found


def is_effective(bank: Bank, type_: UUID) -> bool:
    """Whether a new activity may be of this type."""
    answer = answered(lambda: bank.draft(bank.plan(type_)))
    assert codes(answer) in ([], [PlanRefusal.REFERENCE_DISABLED])
    return codes(answer) == []


def test_an_entry_is_added_where_it_was_asked_for(bank: Bank) -> None:
    """PAR-02, PAR-15"""
    use, dining = chain(bank, "T", 2)
    fee = bank.add_cost_type("SMS fee", code="SMS")
    assert bank.entry(TYPE, use).parent is None
    assert bank.entry(TYPE, dining).parent == use
    assert bank.events(fee) == [EntryAdded("SMS", Details("SMS fee", attributes=SMS_ATTRIBUTES), None)]


@pytest.mark.parametrize("name", ["Dining", "dining", " DINING "])
def test_siblings_differ_by_more_than_case_and_space(bank: Bank, name: str) -> None:
    """PAR-02: the same sibling name is refused and no event is stored."""
    use = bank.add_type("Card use")
    bank.add_type("Dining", parent=use)
    before = bank.count_events()
    with refused((CommonRefusal.NAME_TAKEN, "name")):
        bank.add_type(name, parent=use)
    assert bank.count_events() == before
    bank.add_type(name)
    bank.add_cost_type(name)


def test_a_code_is_unique_within_its_kind(bank: Bank) -> None:
    """PAR-02"""
    bank.add_type("One", code="X")
    with refused((CommonRefusal.CODE_TAKEN, "code")):
        bank.add_type("Two", code="X", parent=bank.add_type("Three"))
    bank.add_cost_type("Two", code="X")


def test_all_faults_are_told_at_once_with_their_places(bank: Bank) -> None:
    """PAR-02, PAR-15"""
    bank.add_cost_type("SMS fee")
    bad = Details("SMS fee", sort_order=-1, attributes={"unit": ""})
    with refused(
        (CommonRefusal.BAD_CODE, "code"),
        (CommonRefusal.OUT_OF_RANGE, "sort_order"),
        (CommonRefusal.REQUIRED, "accounting_subject"),
        (CommonRefusal.REQUIRED, "unit"),
        (CommonRefusal.NAME_TAKEN, "name"),
    ):
        bank.send(LIN, "addCostType", {}, catalogues.add, COST, "?", bad, None)


@pytest.mark.parametrize("parent", ["unknown", "removed", "of another kind"])
def test_a_parent_must_be_there(bank: Bank, parent: str) -> None:
    """PAR-02, PAR-03"""
    removed = bank.add_type("Removed")
    bank.remove(TYPE, removed)
    id = {"unknown": uuid4(), "removed": removed, "of another kind": bank.add_cost_type("SMS")}[parent]
    with refused((CatalogueRefusal.PARENT_NOT_FOUND, "parent")):
        bank.add_type("Child", parent=id)
    with refused((CatalogueRefusal.PARENT_NOT_FOUND, "parent")):
        bank.move(bank.add_type("Other"), id)


def test_a_rename_frees_the_old_name_and_takes_the_new(bank: Bank) -> None:
    """PAR-03"""
    dining = bank.add_type("Dining")
    bank.rename(TYPE, dining, "Lunch")
    with refused((CommonRefusal.NAME_TAKEN, "name")):
        bank.add_type("lunch")
    other = bank.add_type("Dining")
    with refused((CommonRefusal.NAME_TAKEN, "name")):
        bank.rename(TYPE, dining, "Dining")
    bank.rename(TYPE, other, "Brunch")
    bank.rename(TYPE, dining, "DINING")
    bank.rename(TYPE, dining, "Dining")


def test_a_move_frees_the_name_in_the_old_place_and_takes_it_in_the_new(bank: Bank) -> None:
    """PAR-03"""
    use, travel = bank.add_type("Card use"), bank.add_type("Travel")
    hotel = bank.add_type("Hotel", parent=use)
    bank.move(hotel, travel)
    bank.add_type("Hotel", parent=use)
    with refused((CommonRefusal.NAME_TAKEN, "name")):
        bank.move(hotel, use)
    bank.revise_entry(TYPE, hotel, Change(name="Hotels", moves=True, parent=use))
    assert bank.events(hotel)[1:] == [
        EntryMoved(2, travel),
        EntryRevised(3, Details("Hotels")),
        EntryMoved(4, use),
    ]


def test_what_is_not_given_stays(bank: Bank) -> None:
    """PAR-16"""
    fee = bank.add_cost_type("SMS fee")
    bank.revise_entry(COST, fee, Change(description="per message", sort_order=7))
    bank.revise_entry(COST, fee, Change(attributes={"unit": "USD"}))
    attributes = {"accounting_subject": "6601", "unit": "USD"}
    assert bank.entry(COST, fee).details == Details("SMS fee", "per message", 7, attributes)
    with refused((CommonRefusal.REQUIRED, "unit")):
        bank.revise_entry(COST, fee, Change(attributes={"unit": ""}))


def test_a_revision_that_changes_nothing_records_nothing(bank: Bank) -> None:
    """PAR-05: repeating the same command is never a second event."""
    use = bank.add_type("Card use")
    dining = bank.add_type("Dining", parent=use)
    before = bank.count_events()
    receipts = [
        bank.revise_entry(TYPE, dining, Change()),
        bank.rename(TYPE, dining, "Dining"),
        bank.move(dining, use),
        bank.enable(TYPE, dining),
    ]
    assert bank.count_events() == before
    assert {receipt.version for receipt in receipts} == {1}


def test_nothing_moves_under_itself_or_what_lies_below_it(bank: Bank) -> None:
    """PAR-03: moving A under its own grandchild C: refused "cycle"."""
    a, b, c = chain(bank, "T", 3)
    for parent in (a, b, c):
        with refused((CatalogueRefusal.CYCLE, "parent")):
            bank.move(a, parent)
    bank.move(c, None)
    bank.move(a, c)


def test_an_entry_is_removed_when_nothing_hangs_on_it(bank: Bank) -> None:
    """PAR-04: gone, still in history, code and name free again; a repeat changes nothing."""
    a, b, c = chain(bank, "T", 3)
    with refused(CatalogueRefusal.HAS_CHILDREN):
        bank.remove(TYPE, b)
    bank.remove(TYPE, c)
    bank.remove(TYPE, b)
    before = bank.count_events()
    bank.remove(TYPE, b)
    assert bank.count_events() == before
    assert bank.events(c)[-1] == EntryRemoved()
    again = bank.add_type("T1", code=bank.entry(TYPE, b).code, parent=a)
    bank.move(again, None)
    bank.remove(TYPE, a)


def test_a_removed_entry_does_not_exist(bank: Bank) -> None:
    """PAR-04"""
    entry = bank.add_type("Dining")
    bank.remove(TYPE, entry)
    for id in (entry, uuid4()):
        with refused((CommonRefusal.NOT_FOUND, "id")):
            bank.rename(TYPE, id, "Lunch")
        with refused((CommonRefusal.NOT_FOUND, "id")):
            bank.enable(TYPE, id)
        with refused((CommonRefusal.NOT_FOUND, "id")):
            bank.disable(TYPE, id)
        with refused((CommonRefusal.NOT_FOUND, "activity_type")):
            bank.draft(bank.plan(id))
    with refused((CommonRefusal.NOT_FOUND, "id")):
        bank.remove(TYPE, uuid4())


def test_a_type_that_an_activity_uses_is_not_removed(bank: Bank) -> None:
    """PAR-04: refused "in use by X"; renaming it is no harm."""
    dining = bank.add_type("Dining")
    activity = bank.draft(bank.plan(dining), "SPRING-26")
    with refused(CatalogueRefusal.IN_USE) as faults:
        bank.remove(TYPE, dining)
    assert faults[0].values == {"users": "activity SPRING-26"}
    bank.rename(TYPE, dining, "Lunch")
    bank.delete(activity)
    bank.remove(TYPE, dining)


def test_disabling_a_parent_switches_its_descendants_off_and_back(bank: Bank) -> None:
    """PAR-07: each child gets its own former status back; PAR-08: what is off is not chosen."""
    a, b, c = chain(bank, "T", 3)
    bank.disable(TYPE, c)
    assert [is_effective(bank, entry) for entry in (a, b, c)] == [True, True, False]
    bank.disable(TYPE, a)
    assert [is_effective(bank, entry) for entry in (a, b, c)] == [False, False, False]
    with refused(CatalogueRefusal.ANCESTOR_DISABLED) as faults:
        bank.enable(TYPE, c)
    assert faults[0].values == {"ancestor": "T0"}
    with refused((CatalogueRefusal.ANCESTOR_DISABLED, "parent")):
        bank.add_type("New", parent=b)
    bank.enable(TYPE, a)
    assert [is_effective(bank, entry) for entry in (a, b, c)] == [True, True, False]
    bank.enable(TYPE, c)
    assert is_effective(bank, c)


def test_a_tree_is_as_deep_as_its_limit_and_no_deeper(bank: Bank) -> None:
    """PAR-06"""
    entries = chain(bank, "T", DEPTH_MAX)
    with refused((CatalogueRefusal.TOO_DEEP, "parent")):
        bank.add_type("One more", parent=entries[-1])
    bank.disable(TYPE, entries[0])
    assert not is_effective(bank, entries[-1])


def test_a_move_of_a_whole_branch_never_hides_a_disabled_ancestor(bank: Bank) -> None:
    """PAR-06, PAR-07: a branch moved below another is refused as too deep, or switched off with its root."""
    upper, lower = chain(bank, "U", DEPTH_MAX - 10), chain(bank, "L", DEPTH_MAX - 10)
    answer = answered(lambda: bank.move(lower[0], upper[-1]))
    assert codes(answer) in ([], [CatalogueRefusal.TOO_DEEP])
    bank.disable(TYPE, upper[0])
    assert is_effective(bank, lower[-1]) == (codes(answer) != [])


def test_a_cost_type_in_use_is_frozen_until_it_is_let_go(bank: Bank) -> None:
    """PAR-17: attach K to a draft, rename K: refused; remove it from X, rename K: succeeds."""
    dining, fee, gifts = bank.add_type("Dining"), bank.add_cost_type("SMS"), bank.add_cost_type("Gifts")
    activity = bank.draft(bank.plan(dining, fee), "SPRING-26")
    with refused(CatalogueRefusal.IN_USE) as faults:
        bank.rename(COST, fee, "Text")
    assert faults[0].values == {"users": "activity SPRING-26"}
    with refused(CatalogueRefusal.IN_USE):
        bank.remove(COST, fee)
    bank.disable(COST, fee)
    bank.enable(COST, fee)
    bank.revise(activity, bank.plan(dining, gifts))
    bank.rename(COST, fee, "Text")
    with refused(CatalogueRefusal.IN_USE):
        bank.rename(COST, gifts, "Presents")
    bank.delete(activity)
    bank.rename(COST, gifts, "Presents")


@pytest.mark.parametrize("last", ["cancelled", "ended"])
def test_a_cost_type_stays_frozen_when_its_activity_is_over(bank: Bank, last: str) -> None:
    """PAR-18: totals by type are reproducible at any later date."""
    fee = bank.add_cost_type("SMS")
    activity = bank.running(bank.draft(bank.plan(bank.add_type("Dining"), fee)))
    if last == "cancelled":
        bank.cancel(activity)
    else:
        bank.now = bank.plan(fee).ends_at or NOW
        bank.end(activity)
    with refused(CatalogueRefusal.IN_USE):
        bank.rename(COST, fee, "Text")


def test_the_history_of_an_entry_tells_who_when_and_what(bank: Bank) -> None:
    """PAR-25: add, edit, disable, delete: four entries with their makers and times."""
    fee = bank.add_cost_type("SMS", code="SMS")
    bank.rename(COST, fee, "Text", by=WU)
    bank.disable(COST, fee)
    bank.remove(COST, fee, by=WU)
    records = list(bank.log.records(fee))
    details = Details("SMS", attributes=SMS_ATTRIBUTES)
    assert [record.event for record in records] == [
        EntryAdded("SMS", details, None),
        EntryRevised(2, replace(details, name="Text")),
        EntryDisabled(),
        EntryRemoved(),
    ]
    assert [record.context.actor for record in records] == ["lin", "wu", "lin", "wu"]
    assert {record.context.effective_at for record in records} == {NOW}
    assert bank.entry(COST, fee).status is Status.REMOVED


@pytest.mark.parametrize("verb", ["rename", "disable", "remove"])
def test_an_entry_of_one_kind_is_nothing_to_the_commands_of_another(bank: Bank, verb: str) -> None:
    """PAR-17: else a cost type in use could be changed by the rules of activity types."""
    fee = bank.add_cost_type("SMS", code="SMS")
    with refused((CommonRefusal.NOT_FOUND, "id")):
        bank.rename(TYPE, fee, "x") if verb == "rename" else getattr(bank, verb)(TYPE, fee)
    assert bank.version(fee) == 1
    assert bank.log.load(CLAIM, claim_id("cost_type.code", "SMS")).state.owner == fee


def test_a_cost_type_is_no_activity_type_and_the_other_way_round(bank: Bank) -> None:
    """PAR-18: every cost amount carries a cost type."""
    dining, fee = bank.add_type("Dining"), bank.add_cost_type("SMS")
    with refused((CommonRefusal.NOT_FOUND, "activity_type")):
        bank.draft(bank.plan(fee))
    with refused((CommonRefusal.NOT_FOUND, "cost_lines", 0, "cost_type")):
        bank.draft(bank.plan(dining, dining))


@pytest.mark.parametrize("name", ["\ud800", "a\udfffb"])
def test_half_a_character_is_refused_like_any_other_bad_one(bank: Bank, name: str) -> None:
    """JSON can carry such a name; the answer is a refusal and not a fault of the house."""
    with refused((CommonRefusal.BAD_CHARACTERS, "name")):
        bank.add_type(name)
