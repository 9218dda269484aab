"""Customer groups: defined, revised, retired, deleted."""

from dataclasses import replace
from typing import get_args

import pytest

from domain.catalogues import CatalogueRefusal
from domain.customer_groups import (
    DECIDER,
    MEMBER_FAULTS_MAX,
    MEMBERS_MAX,
    Command,
    CustomerGroupDefined,
    CustomerGroupDeleted,
    CustomerGroupRetired,
    CustomerGroupRevised,
    DefineCustomerGroup,
    Definition,
    DeleteCustomerGroup,
    Event,
    GroupRefusal,
    Purpose,
    RetireCustomerGroup,
    ReviseCustomerGroup,
    Status,
)
from domain.group_rules import (
    SET_MEMBERS_MAX,
    VALUE_CHARACTERS_MAX,
    VALUES_MAX,
    Comparison,
    Condition,
    Dimension,
    Rule,
    RuleRefusal,
)
from domain.shared.content import content_hash
from domain.shared.references import User
from domain.shared.refusal import CommonRefusal
from infrastructure.event_codec import DATA_BYTES_MAX, decode, encode
from tests.domain.examples import CARD_NUMBER, OTHER_APPROVAL
from tests.given import Given, all_pairs, grid, outcome

group = Given(DECIDER)

ADULTS = Definition("Adults", "", Rule(condition=Condition(Dimension.AGE, Comparison.AT_LEAST, ("18",))))
LISTED = Definition("Invited", members=("C00000002", "C00000001"))
SORTED = replace(LISTED, members=("C00000001", "C00000002"))
ACTIVITY = User(OTHER_APPROVAL, "activity", "SPRING-26", "HO")


def hash_of(purpose: Purpose, definition: Definition) -> str:
    return content_hash({"purpose": purpose, "definition": definition})


defined = CustomerGroupDefined(
    "ADULTS", "HO", Purpose.TARGET, ADULTS, hash_of(Purpose.TARGET, ADULTS), by="lin"
)
define = DefineCustomerGroup("ADULTS", "HO", Purpose.TARGET, ADULTS, by="lin", is_code_free=True)
revise = ReviseCustomerGroup(None, LISTED, by="wu")
revised = CustomerGroupRevised(2, Purpose.TARGET, SORTED, hash_of(Purpose.TARGET, SORTED), by="wu")
retired, deleted = CustomerGroupRetired(by="lin"), CustomerGroupDeleted(by="lin")

HISTORIES: dict[Status, list[Event]] = {
    Status.UNKNOWN: [],
    Status.ACTIVE: [defined],
    Status.RETIRED: [defined, retired],
    Status.DELETED: [defined, retired, deleted],
}
COMMANDS: dict[type, Command] = {
    DefineCustomerGroup: define,
    ReviseCustomerGroup: revise,
    RetireCustomerGroup: RetireCustomerGroup(by="lin"),
    DeleteCustomerGroup: DeleteCustomerGroup(by="lin"),
}
ANSWERS = grid("""
                     unknown               active                retired               deleted
DefineCustomerGroup  CustomerGroupDefined  defect                defect                defect
ReviseCustomerGroup  not_found             CustomerGroupRevised  group_retired         not_found
RetireCustomerGroup  not_found             CustomerGroupRetired  nothing               not_found
DeleteCustomerGroup  not_found             CustomerGroupDeleted  CustomerGroupDeleted  nothing
""")


def test_the_grid_is_whole() -> None:
    assert set(ANSWERS) == all_pairs(HISTORIES, COMMANDS)
    assert set(COMMANDS) == set(get_args(Command))
    assert all(DECIDER.fold(history).status is status for status, history in HISTORIES.items())


@pytest.mark.parametrize(("command", "status"), ANSWERS)
def test_every_status_answers_every_command(command: str, status: str) -> None:
    """SEG-02, SEG-03"""
    given = next(one for kind, one in COMMANDS.items() if kind.__name__ == command)
    assert outcome(DECIDER, HISTORIES[Status(status)], given) == ANSWERS[command, status]


@pytest.mark.parametrize("purpose", Purpose)
def test_a_group_of_either_purpose_is_defined(purpose: Purpose) -> None:
    """SEG-01"""
    seen = hash_of(purpose, ADULTS)
    group.when(replace(define, purpose=purpose)).then(
        CustomerGroupDefined("ADULTS", "HO", purpose, ADULTS, seen, by="lin")
    )


def test_all_faults_are_told_at_once() -> None:
    """SEG-01"""
    bad = Definition(" ", CARD_NUMBER, Rule(all_of=()))
    group.when(DefineCustomerGroup("a", "HO", None, bad, "lin", is_code_free=False)).then_refused(
        (CommonRefusal.BAD_CODE, "code"),
        (CommonRefusal.CODE_TAKEN, "code"),
        (CommonRefusal.REQUIRED, "purpose"),
        (CommonRefusal.REQUIRED, "name"),
        (CommonRefusal.CARD_NUMBER_IN_TEXT, "description"),
        (CommonRefusal.REQUIRED, "rule", "all_of"),
    )


def test_a_group_has_a_rule_or_a_list() -> None:
    """SEG-01"""
    for definition in (replace(ADULTS, rule=None), replace(ADULTS, members=("C00000001",))):
        group.when(replace(define, definition=definition)).then_refused(GroupRefusal.MEMBERSHIP_UNCLEAR)


def test_a_list_is_kept_in_order() -> None:
    """SEG-11: so the same customers are the same group, whatever the order of the file."""
    group.given(defined).when(revise).then(revised)
    group.given(defined, revised).when(replace(revise, definition=SORTED)).then_nothing()


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ("", GroupRefusal.BAD_CUSTOMER_ID),
        ("C 1", GroupRefusal.BAD_CUSTOMER_ID),
        ("C1,C2", GroupRefusal.BAD_CUSTOMER_ID),
        ("C" * 21, GroupRefusal.BAD_CUSTOMER_ID),
        (CARD_NUMBER, CommonRefusal.CARD_NUMBER_IN_TEXT),
        ("C00000001", CommonRefusal.DUPLICATE),
    ],
)
def test_a_bad_id_is_told_at_its_place(member: str, code: object) -> None:
    """SEG-11"""
    definition = replace(LISTED, members=("C00000001", member))
    group.when(replace(define, definition=definition)).then_refused((code, "members", 1))  # type: ignore[arg-type]


def test_of_many_bad_ids_the_first_are_told() -> None:
    definition = replace(LISTED, members=("?",) * 1_000)
    faults = group.when(replace(define, definition=definition)).then_refused(
        *[GroupRefusal.BAD_CUSTOMER_ID] * MEMBER_FAULTS_MAX
    )
    assert [fault.path for fault in faults] == [("members", index) for index in range(MEMBER_FAULTS_MAX)]


def test_a_list_has_somebody_in_it_and_an_end() -> None:
    for members, code in (
        ((), CommonRefusal.REQUIRED),
        (tuple(f"C{n}" for n in range(MEMBERS_MAX + 1)), CommonRefusal.TOO_MANY),
    ):
        definition = replace(LISTED, members=members)
        group.when(replace(define, definition=definition)).then_refused((code, "members"))


def test_the_largest_groups_fit_into_an_event() -> None:
    words = tuple("😀" * (VALUE_CHARACTERS_MAX - 4) + f"{n:04}" for n in range(SET_MEMBERS_MAX))
    cities = Rule(condition=Condition(Dimension.CITY, Comparison.IN, words))
    longest = Definition("😀" * 80, "😀" * 1_000, Rule(any_of=(cities,) * (VALUES_MAX // SET_MEMBERS_MAX)))
    members = tuple(f"{number:_>20}" for number in range(MEMBERS_MAX))
    for definition in (longest, Definition("😀" * 80, "😀" * 1_000, members=members)):
        (event,) = DECIDER.decide(replace(define, definition=definition), DECIDER.initial)
        encoded = encode(event)
        assert len(encoded.data) < DATA_BYTES_MAX
        assert decode(encoded.event_type, encoded.schema_version, encoded.data) == event


def test_a_revision_is_judged_like_the_first_one() -> None:
    """SEG-02"""
    deep = Rule(condition=ADULTS.rule.condition)  # type: ignore[union-attr]
    for _ in range(8):
        deep = Rule(negated=deep)
    command = replace(revise, definition=replace(ADULTS, rule=deep))
    group.given(defined).when(command).then_refused((RuleRefusal.RULE_TOO_DEEP, "rule", *["negated"] * 8))


def test_a_revision_that_changes_nothing_records_nothing() -> None:
    """SEG-02"""
    group.given(defined).when(ReviseCustomerGroup(Purpose.TARGET, ADULTS, by="wu")).then_nothing()


def test_the_purpose_changes_only_while_nobody_refers_to_the_group() -> None:
    """SEG-01"""
    rewarded = ReviseCustomerGroup(Purpose.REWARDED, ADULTS, by="wu")
    seen = hash_of(Purpose.REWARDED, ADULTS)
    group.given(defined).when(rewarded).then(CustomerGroupRevised(2, Purpose.REWARDED, ADULTS, seen, "wu"))
    faults = (
        group.given(defined)
        .when(replace(rewarded, users=(ACTIVITY,)))
        .then_refused((GroupRefusal.PURPOSE_FIXED, "purpose"))
    )
    assert faults[0].values == {"users": "activity SPRING-26"}
    group.given(defined).when(replace(revise, purpose=Purpose.TARGET, users=(ACTIVITY,))).then(revised)


@pytest.mark.parametrize("command", [RetireCustomerGroup, DeleteCustomerGroup])
def test_a_group_that_somebody_needs_stays_and_he_is_named(command: type) -> None:
    """SEG-03"""
    faults = group.given(defined).when(command("lin", (ACTIVITY,))).then_refused(CatalogueRefusal.IN_USE)
    assert faults[0].values == {"users": "activity SPRING-26"}
