"""Catalogues: one tree of named entries, frozen while in use where the kind says so."""

from dataclasses import replace
from typing import Any, get_args
from uuid import UUID

import pytest

from domain.activity_plans import Choice, PlanRefusal
from domain.catalogues import (
    ATTRIBUTE_CHARACTERS_MAX,
    DECIDERS,
    DEPTH_MAX,
    DESCRIPTION_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    RULES,
    SORT_ORDER_MAX,
    AddEntry,
    Ancestor,
    CatalogueRefusal,
    Command,
    Details,
    DisableEntry,
    EnableEntry,
    EntryAdded,
    EntryDisabled,
    EntryEnabled,
    EntryMoved,
    EntryRemoved,
    EntryRevised,
    Event,
    Kind,
    Place,
    RemoveEntry,
    ReviseEntry,
    Status,
)
from domain.reward_details import RewardRefusal
from domain.shared.field_rules import FieldRefusal
from domain.shared.references import Reference, User
from domain.shared.refusal import CommonRefusal
from tests.domain.examples import CARD_NUMBER
from tests.given import ExpectedFault, Given, all_pairs, grid, outcome

activity_type = Given(DECIDERS[Kind.ACTIVITY_TYPE])
cost_type = Given(DECIDERS[Kind.COST_TYPE])

ID = UUID(int=0xE)
CARD_USE = Ancestor(UUID(int=1), "Card use", is_enabled=True)
RETAIL = Ancestor(UUID(int=2), "Retail", is_enabled=True)
ROOT = Place()
UNDER_CARD_USE = Place((CARD_USE,))
UNDER_RETAIL = Place((RETAIL, CARD_USE))
SPRING = User(UUID(int=0xAC), "activity", "SPRING-26")
CHILD = User(UUID(int=0xC), Kind.ACTIVITY_TYPE, "HOTPOT")

DINING = Details("Dining", "Restaurants", 10)
LUNCH = Details("Lunch", "Restaurants", 10)
SMS = Details("SMS fee", attributes={"accounting_subject": "6601", "unit": "CNY"})

added = EntryAdded("DINING", DINING, CARD_USE.id)
cost_added = EntryAdded("SMS", SMS, None)
add = AddEntry(ID, Kind.ACTIVITY_TYPE, "DINING", DINING, UNDER_CARD_USE, is_code_free=True)
add_cost = AddEntry(ID, Kind.COST_TYPE, "SMS", SMS, ROOT, is_code_free=True)
revise = ReviseEntry(ID, Kind.ACTIVITY_TYPE, LUNCH, UNDER_CARD_USE)
revise_cost = ReviseEntry(ID, Kind.COST_TYPE, replace(SMS, name="Text fee"), ROOT)
remove = RemoveEntry(Kind.ACTIVITY_TYPE)

HISTORIES: dict[Status, list[Event]] = {
    Status.UNKNOWN: [],
    Status.ENABLED: [added],
    Status.DISABLED: [added, EntryDisabled()],
    Status.REMOVED: [added, EntryRemoved()],
}
COMMANDS: dict[type, Command] = {
    AddEntry: add,
    ReviseEntry: revise,
    EnableEntry: EnableEntry((CARD_USE,)),
    DisableEntry: DisableEntry(),
    RemoveEntry: remove,
}
ANSWERS = grid("""
                unknown         enabled         disabled        removed
AddEntry        EntryAdded      defect          defect          defect
ReviseEntry     not_found       EntryRevised    EntryRevised    not_found
EnableEntry     not_found       nothing         EntryEnabled    not_found
DisableEntry    not_found       EntryDisabled   nothing         not_found
RemoveEntry     not_found       EntryRemoved    EntryRemoved    nothing
""")


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(("command", "status"), ANSWERS, ids=str)
def test_every_status_answers_every_command(kind: Kind, command: str, status: str) -> None:
    """PAR-03, PAR-04, PAR-05: a repeat is never a second event."""
    [given] = [example for type_, example in COMMANDS.items() if type_.__name__ == command]
    assert outcome(DECIDERS[kind], HISTORIES[Status(status)], given) == ANSWERS[command, status]


def test_the_grid_of_catalogues_is_whole() -> None:
    fold = DECIDERS[Kind.ACTIVITY_TYPE].fold
    assert set(COMMANDS) == set(get_args(Command))
    assert {status: fold(history).status for status, history in HISTORIES.items()} == {
        status: status for status in Status
    }
    assert set(ANSWERS) == all_pairs(HISTORIES, COMMANDS)


def test_every_kind_has_its_rules_and_its_own_stream_type() -> None:
    assert set(RULES) == set(DECIDERS) == set(Kind)
    assert {kind: decider.stream_type for kind, decider in DECIDERS.items()} == {
        Kind.ACTIVITY_TYPE: "activity_type",
        Kind.COST_TYPE: "cost_type",
        Kind.ACTIVITY_FORM: "activity_form",
        Kind.DEPARTMENT: "department",
        Kind.REWARD_TYPE: "reward_type",
    }


def test_an_entry_is_added_as_a_root_or_under_a_parent() -> None:
    """PAR-02"""
    activity_type.given().when(add).then(added)
    activity_type.given().when(replace(add, place=ROOT)).then(EntryAdded("DINING", DINING, None))
    activity_type.given().when(replace(add, place=UNDER_RETAIL)).then(EntryAdded("DINING", DINING, RETAIL.id))


def test_a_cost_type_has_its_accounting_subject_and_unit() -> None:
    """PAR-15"""
    cost_type.given().when(add_cost).then(cost_added)


FAULTY: list[tuple[dict[str, Any], ExpectedFault]] = [
    ({"code": ""}, (CommonRefusal.REQUIRED, "code")),
    ({"code": "dining"}, (CommonRefusal.BAD_CODE, "code")),
    ({"is_code_free": False}, (CommonRefusal.CODE_TAKEN, "code")),
    ({"details": replace(DINING, name=" ")}, (CommonRefusal.REQUIRED, "name")),
    ({"details": replace(DINING, name="x" * (NAME_CHARACTERS_MAX + 1))}, (CommonRefusal.TOO_LONG, "name")),
    ({"details": replace(DINING, name="a\u2067b")}, (CommonRefusal.BAD_CHARACTERS, "name")),
    (
        {"details": replace(DINING, description="x" * (DESCRIPTION_CHARACTERS_MAX + 1))},
        (CommonRefusal.TOO_LONG, "description"),
    ),
    (
        {"details": replace(DINING, description=CARD_NUMBER)},
        (CommonRefusal.CARD_NUMBER_IN_TEXT, "description"),
    ),
    ({"details": replace(DINING, sort_order=-1)}, (CommonRefusal.OUT_OF_RANGE, "sort_order")),
    (
        {"details": replace(DINING, sort_order=SORT_ORDER_MAX + 1)},
        (CommonRefusal.OUT_OF_RANGE, "sort_order"),
    ),
    (
        {"details": replace(DINING, attributes={"unit": "CNY"})},
        (CatalogueRefusal.UNKNOWN_ATTRIBUTE, "unit"),
    ),
    ({"place": Place(is_parent_known=False)}, (CatalogueRefusal.PARENT_NOT_FOUND, "parent")),
    ({"place": replace(ROOT, is_name_free=False)}, (CommonRefusal.NAME_TAKEN, "name")),
    (
        {"place": Place((RETAIL, replace(CARD_USE, is_enabled=False)))},
        (CatalogueRefusal.ANCESTOR_DISABLED, "parent"),
    ),
    ({"place": Place((CARD_USE,) * DEPTH_MAX)}, (CatalogueRefusal.TOO_DEEP, "parent")),
]


@pytest.mark.parametrize(("changes", "fault"), FAULTY, ids=[".".join(map(str, fault)) for _, fault in FAULTY])
def test_each_fault_of_a_new_entry_is_told_at_its_place(
    changes: dict[str, Any], fault: ExpectedFault
) -> None:
    """PAR-02"""
    activity_type.given().when(replace(add, **changes)).then_refused(fault)


@pytest.mark.parametrize(
    "changes",
    [
        {"details": replace(DINING, name="x" * NAME_CHARACTERS_MAX)},
        {"details": replace(DINING, description="x" * DESCRIPTION_CHARACTERS_MAX)},
        {"details": replace(DINING, sort_order=0)},
        {"details": replace(DINING, sort_order=SORT_ORDER_MAX)},
        {"place": Place((CARD_USE,) * (DEPTH_MAX - 1))},
    ],
)
def test_an_entry_may_go_up_to_each_limit(changes: dict[str, Any]) -> None:
    command = replace(add, **changes)
    activity_type.given().when(command).then(EntryAdded("DINING", command.details, command.place.parent))


def test_all_that_is_wrong_with_a_new_entry_is_said_at_once() -> None:
    """PAR-02, PAR-15"""
    bad = Details(
        "", sort_order=-1, attributes={"unit": "x" * (ATTRIBUTE_CHARACTERS_MAX + 1), "colour": "red"}
    )
    command = AddEntry(ID, Kind.COST_TYPE, "?", bad, replace(UNDER_CARD_USE, is_name_free=False), False)
    cost_type.given().when(command).then_refused(
        (CommonRefusal.BAD_CODE, "code"),
        (CommonRefusal.CODE_TAKEN, "code"),
        (CommonRefusal.REQUIRED, "name"),
        (CommonRefusal.OUT_OF_RANGE, "sort_order"),
        (CatalogueRefusal.UNKNOWN_ATTRIBUTE, "colour"),
        (CommonRefusal.REQUIRED, "accounting_subject"),
        (CommonRefusal.TOO_LONG, "unit"),
        (CatalogueRefusal.NOT_A_TREE, "parent"),
        (CommonRefusal.NAME_TAKEN, "name"),
    )


def test_every_disabled_ancestor_is_named() -> None:
    """PAR-07, PAR-08"""
    off = Place((replace(RETAIL, is_enabled=False), replace(CARD_USE, is_enabled=False)))
    faults = (
        activity_type.given()
        .when(replace(add, place=off))
        .then_refused(CatalogueRefusal.ANCESTOR_DISABLED, CatalogueRefusal.ANCESTOR_DISABLED)
    )
    assert [fault.values["ancestor"] for fault in faults] == ["Retail", "Card use"]


def test_revising_makes_the_next_revision() -> None:
    """PAR-03"""
    activity_type.given(added).when(revise).then(EntryRevised(2, LUNCH))
    activity_type.given(added, EntryRevised(2, LUNCH)).when(replace(revise, details=DINING)).then(
        EntryRevised(3, DINING)
    )


def test_moving_makes_the_next_revision() -> None:
    """PAR-03"""
    activity_type.given(added).when(replace(revise, details=DINING, place=UNDER_RETAIL)).then(
        EntryMoved(2, RETAIL.id)
    )
    activity_type.given(added).when(replace(revise, details=DINING, place=ROOT)).then(EntryMoved(2, None))


def test_revising_and_moving_at_once_are_two_facts() -> None:
    """PAR-25: history tells both, each with its revision."""
    activity_type.given(added).when(replace(revise, place=UNDER_RETAIL)).then(
        EntryRevised(2, LUNCH), EntryMoved(3, RETAIL.id)
    )


def test_a_revision_that_changes_nothing_is_no_fact_even_where_it_would_be_refused() -> None:
    """PAR-17: an entry in use may be saved as it is."""
    activity_type.given(added).when(replace(revise, details=DINING)).then_nothing()
    cost_type.given(cost_added).when(replace(revise_cost, details=SMS, users=(SPRING,))).then_nothing()


@pytest.mark.parametrize(
    "place",
    [Place((Ancestor(ID, "Dining", True),)), Place((RETAIL, Ancestor(ID, "Dining", True), CARD_USE))],
    ids=["under itself", "under its grandchild"],
)
def test_a_move_never_makes_a_cycle(place: Place) -> None:
    """PAR-03: moving A under its own grandchild is refused."""
    activity_type.given(added).when(replace(revise, details=DINING, place=place)).then_refused(
        (CatalogueRefusal.CYCLE, "parent")
    )


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (Place(is_parent_known=False), CatalogueRefusal.PARENT_NOT_FOUND),
        (Place((replace(RETAIL, is_enabled=False),)), CatalogueRefusal.ANCESTOR_DISABLED),
        (Place((RETAIL, *(CARD_USE,) * (DEPTH_MAX - 1))), CatalogueRefusal.TOO_DEEP),
    ],
)
def test_nothing_moves_to_where_it_cannot_be(place: Place, code: CatalogueRefusal) -> None:
    """PAR-03, PAR-07"""
    activity_type.given(added).when(replace(revise, details=DINING, place=place)).then_refused(
        (code, "parent")
    )


def test_nothing_moves_to_where_its_name_is_taken() -> None:
    """PAR-02: unique among siblings, also of the new place."""
    place = replace(UNDER_RETAIL, is_name_free=False)
    activity_type.given(added).when(replace(revise, details=DINING, place=place)).then_refused(
        (CommonRefusal.NAME_TAKEN, "name")
    )


def test_an_entry_under_a_disabled_parent_can_still_be_edited_in_place() -> None:
    """PAR-07: the linkage is about being effective, not about being described."""
    off = Place((replace(CARD_USE, is_enabled=False),))
    activity_type.given(added).when(replace(revise, place=off)).then(EntryRevised(2, LUNCH))


def test_a_cost_type_has_no_parent() -> None:
    cost_type.given(cost_added).when(replace(revise_cost, place=UNDER_CARD_USE)).then_refused(
        (CatalogueRefusal.NOT_A_TREE, "parent")
    )


def test_a_cost_type_in_use_cannot_be_modified_and_tells_by_whom_it_is_used() -> None:
    """PAR-17: rename K: refused "in use (activity X)"."""
    in_use = replace(revise_cost, users=(SPRING,))
    [fault] = cost_type.given(cost_added).when(in_use).then_refused(CatalogueRefusal.IN_USE)
    assert fault.values == {"users": "activity SPRING-26"}
    for details in (
        replace(SMS, description="x"),
        replace(SMS, sort_order=1),
        replace(SMS, attributes={"accounting_subject": "6602", "unit": "CNY"}),
    ):
        cost_type.given(cost_added).when(replace(in_use, details=details)).then_refused(
            CatalogueRefusal.IN_USE
        )


def test_an_unused_cost_type_can_be_modified() -> None:
    """PAR-16"""
    cost_type.given(cost_added).when(revise_cost).then(EntryRevised(2, replace(SMS, name="Text fee")))


def test_a_disabled_cost_type_in_use_is_frozen_too() -> None:
    """PAR-17"""
    cost_type.given(cost_added, EntryDisabled()).when(replace(revise_cost, users=(SPRING,))).then_refused(
        CatalogueRefusal.IN_USE
    )


def test_an_activity_type_in_use_can_be_renamed() -> None:
    """PAR-03: activities that use it show the new name."""
    activity_type.given(added).when(replace(revise, users=(SPRING, CHILD))).then(EntryRevised(2, LUNCH))


def test_an_entry_with_children_is_not_removed() -> None:
    """PAR-04: refused "has children", named."""
    [fault] = (
        activity_type.given(added)
        .when(replace(remove, users=(SPRING, CHILD)))
        .then_refused(CatalogueRefusal.HAS_CHILDREN)
    )
    assert fault.values == {"children": "HOTPOT"}


def test_an_entry_in_use_is_not_removed() -> None:
    """PAR-04, PAR-17: refused "in use by X"."""
    [fault] = (
        activity_type.given(added)
        .when(replace(remove, users=(SPRING,)))
        .then_refused(CatalogueRefusal.IN_USE)
    )
    assert fault.values == {"users": "activity SPRING-26"}
    cost_type.given(cost_added).when(RemoveEntry(Kind.COST_TYPE, (SPRING,))).then_refused(
        CatalogueRefusal.IN_USE
    )


@pytest.mark.parametrize("history", [[added], [added, EntryDisabled()]], ids=["enabled", "disabled"])
def test_nothing_is_enabled_under_a_disabled_ancestor(history: list[Event]) -> None:
    """PAR-07: refused "ancestor A disabled"."""
    command = EnableEntry((RETAIL, replace(CARD_USE, is_enabled=False)))
    [fault] = activity_type.given(*history).when(command).then_refused(CatalogueRefusal.ANCESTOR_DISABLED)
    assert fault.values == {"ancestor": "Card use"}


def test_an_entry_keeps_its_own_status_whatever_happens_above() -> None:
    """PAR-07: re-enabling the parent gives each child back its former status, for it never lost it."""
    fold = DECIDERS[Kind.ACTIVITY_TYPE].fold
    assert fold([added, EntryDisabled(), EntryMoved(2, RETAIL.id)]).status is Status.DISABLED
    assert fold([added, EntryDisabled(), EntryEnabled(), EntryRevised(2, LUNCH)]).status is Status.ENABLED


# --- Departments ----------------------------------------------------------

department = Given(DECIDERS[Kind.DEPARTMENT])
RETENTION = Details("Retention", attributes={"contact": "Li, ext. 12", "role": "business"})
add_department = AddEntry(ID, Kind.DEPARTMENT, "RETENTION", RETENTION, UNDER_CARD_USE, is_code_free=True)
department_added = EntryAdded("RETENTION", RETENTION, CARD_USE.id)


def test_a_department_stands_in_a_tree_with_contact_and_role() -> None:
    """PAR-10, PAR-11"""
    department.given().when(add_department).then(department_added)
    renamed = replace(RETENTION, name="Loyalty", attributes={"role": "research"})
    command = ReviseEntry(ID, Kind.DEPARTMENT, renamed, UNDER_RETAIL)
    department.given(department_added).when(command).then(EntryRevised(2, renamed), EntryMoved(3, RETAIL.id))


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ({}, (CommonRefusal.REQUIRED, "role")),
        ({"role": "BUSINESS"}, (FieldRefusal.NOT_A_CHOICE, "role")),
        ({"role": "sales"}, (FieldRefusal.NOT_A_CHOICE, "role")),
        ({"role": "business", "contact": "x" * 121}, (CommonRefusal.TOO_LONG, "contact")),
        ({"role": "business", "contact": " " * 121}, (CommonRefusal.TOO_LONG, "contact")),
    ],
)
def test_each_unsound_attribute_of_a_department_has_one_fault(
    attributes: dict[str, str], fault: ExpectedFault
) -> None:
    """PAR-11"""
    details = replace(RETENTION, attributes=attributes)
    department.given().when(replace(add_department, details=details)).then_refused(fault)


def test_a_department_with_children_or_activities_is_not_removed() -> None:
    """PAR-12: the refusal names them."""
    given = department.given(department_added)
    child = User(UUID(int=0xD), Kind.DEPARTMENT, "LOYALTY")
    [fault] = given.when(RemoveEntry(Kind.DEPARTMENT, (child, SPRING))).then_refused(
        CatalogueRefusal.HAS_CHILDREN
    )
    assert fault.values == {"children": "LOYALTY"}
    [fault] = given.when(RemoveEntry(Kind.DEPARTMENT, (SPRING,))).then_refused(CatalogueRefusal.IN_USE)
    assert fault.values == {"users": "activity SPRING-26"}
    given.when(RemoveEntry(Kind.DEPARTMENT)).then(EntryRemoved())


# --- Reward types ---------------------------------------------------------

reward_type = Given(DECIDERS[Kind.REWARD_TYPE])
FRAME = {
    "unit": "times", "minimum": "1", "maximum": "10", "route": "points", "cost_type": str(ID),
    "unit_cost": "0.002", "currency": "CNY",
}  # fmt: skip
TIMES_POINTS = Details("Points times N", attributes=FRAME)


def with_rule(**rules: str) -> Details:
    return replace(TIMES_POINTS, attributes={**FRAME, **rules})


POINTS_COST = Choice(Reference(UUID(int=0x20), 1), is_enabled=True)
add_reward = AddEntry(ID, Kind.REWARD_TYPE, "POINTS-N", TIMES_POINTS, ROOT, True, POINTS_COST)
reward_added = EntryAdded("POINTS-N", TIMES_POINTS, None)


def test_a_reward_type_is_added_with_its_frame() -> None:
    """PAR-20: points times N, 1 to 10."""
    reward_type.given().when(add_reward).then(reward_added)


@pytest.mark.parametrize("name", FRAME)
def test_each_missing_rule_of_a_reward_type_has_one_fault(name: str) -> None:
    """PAR-20: missing unit is refused; the caps alone may be left out."""
    details = replace(TIMES_POINTS, attributes={key: text for key, text in FRAME.items() if key != name})
    reward_type.given().when(replace(add_reward, details=details)).then_refused(
        (CommonRefusal.REQUIRED, name)
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"details": with_rule(minimum="11")}, (RewardRefusal.MINIMUM_ABOVE_MAXIMUM, "minimum")),
        ({"details": with_rule(route="pigeon")}, (FieldRefusal.NOT_A_CHOICE, "route")),
        ({"details": with_rule(colour="red")}, (CatalogueRefusal.UNKNOWN_ATTRIBUTE, "colour")),
        ({"cost_type": Choice(None)}, (CommonRefusal.NOT_FOUND, "cost_type")),
        (
            {"cost_type": replace(POINTS_COST, is_enabled=False)},
            (PlanRefusal.REFERENCE_DISABLED, "cost_type"),
        ),
        ({"place": UNDER_CARD_USE}, (CatalogueRefusal.NOT_A_TREE, "parent")),
    ],
)
def test_each_unsound_rule_of_a_reward_type_has_one_fault(
    changes: dict[str, Any], fault: ExpectedFault
) -> None:
    """PAR-20"""
    reward_type.given().when(replace(add_reward, **changes)).then_refused(fault)


def test_the_digits_of_a_cost_types_id_are_no_card_number() -> None:
    """PAR-20: an id may hold sixteen digits that pass the Luhn check."""
    details = with_rule(cost_type=f"{CARD_NUMBER[:8]}-{CARD_NUMBER[8:]}")
    reward_type.given().when(replace(add_reward, details=details)).then(
        replace(reward_added, details=details)
    )


def test_a_reward_type_in_use_is_revised_but_never_removed() -> None:
    """PAR-21, PAR-22"""
    narrowed = with_rule(maximum="5")
    given = reward_type.given(reward_added)
    given.when(ReviseEntry(ID, Kind.REWARD_TYPE, narrowed, ROOT, (SPRING,))).then(EntryRevised(2, narrowed))
    given.when(RemoveEntry(Kind.REWARD_TYPE)).then_refused(CatalogueRefusal.NOT_REMOVABLE)
    given.when(DisableEntry()).then(EntryDisabled())
