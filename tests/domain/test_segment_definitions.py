"""Segment definitions: approved revisions stay in force until a newer one is approved."""

from dataclasses import replace
from typing import get_args
from uuid import UUID

import pytest

from domain.catalogues import CatalogueRefusal
from domain.segment_definitions import (
    DECIDER,
    REVISIONS_MAX,
    Command,
    DefinitionApproved,
    DefinitionDeleted,
    DefinitionDrafted,
    DefinitionKind,
    DefinitionRefusal,
    DefinitionRejected,
    DefinitionRevised,
    DefinitionSubmitted,
    DefinitionSuperseded,
    DefinitionWithdrawn,
    DeleteDefinition,
    DraftDefinition,
    Event,
    RecordApproval,
    RecordRejection,
    ReviseDefinition,
    Status,
    SubmitDefinition,
    WithdrawDefinition,
    WorkOrderChoice,
    definition_hash,
)
from domain.shared.references import Reference, User
from domain.shared.refusal import CommonRefusal, Fault
from tests.domain.examples import APPROVAL, OTHER_APPROVAL
from tests.domain.segments import CONTENT, WORK_ORDER
from tests.given import Given, all_pairs, grid, outcome

definition = Given(DECIDER)

GRANTS = (Reference(UUID(int=0x40), 1),)
OTHER = replace(CONTENT, sql=CONTENT.sql + " limit 10")
GATE = (Fault(CommonRefusal.BAD_CHARACTERS, ("sql",), {"line": "3", "column": "7"}),)
OPEN, CLOSED = WorkOrderChoice(WORK_ORDER, is_open=True), WorkOrderChoice(WORK_ORDER, is_open=False)

drafted = DefinitionDrafted("PREMIUM", "HO", DefinitionKind.GENERAL, None, CONTENT, by="lin")
HASH = definition_hash(DECIDER.fold([drafted]), GRANTS)
submitted = DefinitionSubmitted(1, APPROVAL, HASH, GRANTS, by="lin", level="research")
approved = DefinitionApproved(1, APPROVAL, HASH)
rejected = DefinitionRejected(1, APPROVAL, "technology", "too slow")
revised = DefinitionRevised(2, OTHER, by="wu")
submitted_again = DefinitionSubmitted(2, OTHER_APPROVAL, "2" * 64, GRANTS, by="wu", level="research")

draft = DraftDefinition("PREMIUM", "HO", DefinitionKind.GENERAL, None, CONTENT, by="lin", is_code_free=True)
revise = ReviseDefinition(OTHER, by="wu")
submit = SubmitDefinition(APPROVAL, GRANTS, by="lin", level="research")

HISTORIES: dict[Status, list[Event]] = {
    Status.UNKNOWN: [],
    Status.DRAFT: [drafted],
    Status.IN_APPROVAL: [drafted, submitted],
    Status.APPROVED: [drafted, submitted, approved],
    Status.REJECTED: [drafted, submitted, rejected],
    Status.DELETED: [drafted, DefinitionDeleted(by="lin")],
}
COMMANDS: dict[type, Command] = {
    DraftDefinition: draft,
    ReviseDefinition: revise,
    SubmitDefinition: submit,
    WithdrawDefinition: WithdrawDefinition(by="lin"),
    RecordApproval: RecordApproval(APPROVAL),
    RecordRejection: RecordRejection(APPROVAL, "technology", "too slow"),
    DeleteDefinition: DeleteDefinition(by="lin"),
}
ANSWERS = grid("""
                    unknown            draft                in_approval
DraftDefinition     DefinitionDrafted  defect               defect
ReviseDefinition    not_found          DefinitionRevised    DefinitionRevised
SubmitDefinition    not_found          DefinitionSubmitted  nothing
WithdrawDefinition  not_found          not_in_approval      DefinitionWithdrawn
RecordApproval      not_found          not_in_approval      DefinitionApproved
RecordRejection     not_found          not_in_approval      DefinitionRejected
DeleteDefinition    not_found          DefinitionDeleted    withdraw_first

                    approved           rejected             deleted
DraftDefinition     defect             defect               defect
ReviseDefinition    DefinitionRevised  DefinitionRevised    not_found
SubmitDefinition    not_submittable    not_submittable      not_found
WithdrawDefinition  not_in_approval    not_in_approval      not_found
RecordApproval      not_in_approval    not_in_approval      not_found
RecordRejection     not_in_approval    not_in_approval      not_found
DeleteDefinition    DefinitionDeleted  DefinitionDeleted    nothing
""")


def test_the_grid_has_every_status_and_command() -> None:
    assert set(ANSWERS) == all_pairs(HISTORIES, COMMANDS)
    assert set(HISTORIES) == set(Status)
    assert set(COMMANDS) == set(get_args(Command))


@pytest.mark.parametrize(("name", "status"), ANSWERS)
def test_what_every_status_answers(name: str, status: str) -> None:
    """LOG-01, LOG-02, LOG-03: the state machine of a definition."""
    command = next(command for type_, command in COMMANDS.items() if type_.__name__ == name)
    assert outcome(DECIDER, HISTORIES[Status(status)], command) == ANSWERS[name, status]


@pytest.mark.parametrize("kind", [DefinitionKind.ACTIVITY, DefinitionKind.EVALUATION])
def test_a_definition_for_an_open_work_order_is_linked_to_it(kind: DefinitionKind) -> None:
    """LOG-01, LOG-09"""
    definition.given().when(replace(draft, kind=kind, work_order=OPEN)).then(
        replace(drafted, kind=kind, work_order=WORK_ORDER)
    )


@pytest.mark.parametrize("kind", [DefinitionKind.ACTIVITY, DefinitionKind.EVALUATION])
def test_a_definition_needs_a_work_order_that_is_open(kind: DefinitionKind) -> None:
    """LOG-01: for a cancelled one it is refused, at the draft and again when it is submitted."""
    at = "work_order"
    definition.given().when(replace(draft, kind=kind)).then_refused((CommonRefusal.REQUIRED, at))
    closed = (DefinitionRefusal.WORK_ORDER_NOT_OPEN, at)
    definition.given().when(replace(draft, kind=kind, work_order=CLOSED)).then_refused(closed)
    linked = replace(drafted, kind=kind, work_order=WORK_ORDER)
    definition.given(linked).when(replace(submit, work_order=CLOSED)).then_refused(closed)


def test_a_general_definition_belongs_to_no_work_order() -> None:
    """LOG-09"""
    definition.given().when(replace(draft, work_order=OPEN)).then_refused(
        (DefinitionRefusal.GENERAL_HAS_NO_WORK_ORDER, "work_order")
    )


def test_a_draft_tells_all_its_faults_at_once() -> None:
    """LOG-01, LOG-04: without a primary index it is refused, with what the gate found besides."""
    bad = replace(draft, code="", is_code_free=False, content=replace(CONTENT, primary_index=()), gate=GATE)
    definition.given().when(bad).then_refused(
        (CommonRefusal.REQUIRED, "code"),
        (CommonRefusal.CODE_TAKEN, "code"),
        (CommonRefusal.BAD_CHARACTERS, "sql"),
        (CommonRefusal.REQUIRED, "primary_index"),
    )


def test_the_gate_is_asked_at_every_save_and_at_the_submission() -> None:
    """LOG-04"""
    at = (CommonRefusal.BAD_CHARACTERS, "sql")
    definition.given(drafted).when(replace(revise, gate=GATE)).then_refused(at)
    definition.given(drafted).when(replace(submit, gate=GATE)).then_refused(at)


def test_an_edit_after_approval_leaves_the_approved_revision_in_force() -> None:
    """LOG-02: edit approved v1 → v2 draft; runs keep v1."""
    state = DECIDER.fold([drafted, submitted, approved, revised])
    assert (state.status, state.revision, state.content) == (Status.DRAFT, 2, OTHER)
    assert (state.approved_revision, state.approved, state.approved_hash) == (1, CONTENT, HASH)
    state = DECIDER.fold([submitted_again, replace(rejected, revision=2)], state)
    assert (state.status, state.approved_revision, state.approved) == (Status.REJECTED, 1, CONTENT)


def test_a_newer_approved_revision_supersedes_the_one_before() -> None:
    """LOG-02"""
    history = [drafted, submitted, approved, revised, submitted_again]
    events = (DefinitionApproved(2, OTHER_APPROVAL, "2" * 64), DefinitionSuperseded(1, 2))
    definition.given(*history).when(RecordApproval(OTHER_APPROVAL)).then(*events)
    state = DECIDER.fold([*history, *events])
    assert (state.approved_revision, state.approved, state.approved_hash) == (2, OTHER, "2" * 64)


def test_the_same_content_again_is_no_revision() -> None:
    definition.given(drafted, submitted, approved).when(ReviseDefinition(CONTENT, by="wu")).then_nothing()


def test_an_old_verdict_does_not_touch_a_new_submission() -> None:
    """APR-09"""
    history = (
        drafted,
        submitted,
        DefinitionWithdrawn(1, APPROVAL, "lin"),
        replace(submitted, approval=OTHER_APPROVAL),
    )
    definition.given(*history).when(RecordApproval(APPROVAL)).then_refused("not_in_approval")


def test_the_hash_covers_all_that_approvers_judge() -> None:
    """APR-09: content, kind, work order, and the grants that the SQL rests on."""
    state = DECIDER.fold([drafted])
    others = [
        definition_hash(DECIDER.fold([replace(drafted, code="OTHER")]), GRANTS),
        definition_hash(DECIDER.fold([replace(drafted, kind=DefinitionKind.ACTIVITY)]), GRANTS),
        definition_hash(DECIDER.fold([replace(drafted, work_order=WORK_ORDER)]), GRANTS),
        definition_hash(state, (replace(GRANTS[0], revision=2),)),
        *(
            definition_hash(DECIDER.fold([replace(drafted, content=replace(CONTENT, **changed))]), GRANTS)
            for changed in (
                {"sql": "select 1"},
                {"source": "other"},
                {"primary_index": ("mobile",)},
                {"outputs": CONTENT.outputs[:2]},
                {"mapping": CONTENT.mapping[:1]},
                {"parameters": ()},
            )
        ),
    ]
    assert len({HASH, *others}) == len(others) + 1


def test_what_rests_on_a_definition_keeps_it() -> None:
    """LOG-15: delete with a future schedule is refused."""
    user = User(WORK_ORDER, "work_order", "WO-2026-000001")
    definition.given(drafted).when(DeleteDefinition("lin", (user,))).then_refused(CatalogueRefusal.IN_USE)


def test_revisions_have_a_limit() -> None:
    last = replace(revised, revision=REVISIONS_MAX)
    again = ReviseDefinition(replace(OTHER, name="Other"), by="wu")
    definition.given(drafted, last).when(again).then_refused((CommonRefusal.TOO_MANY, "id"))


def test_all_who_wrote_are_makers() -> None:
    """APR-08: none of them may approve it."""
    assert DECIDER.fold([drafted, revised, replace(revised, revision=3)]).makers == ("lin", "wu")
