"""Rows of definitions, runs and grants: what is in force, what a run has come to, what may be used."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain.approvals import TWO_LEVELS, ApprovalOpened, ApprovalPassed, Level, Subject
from domain.result_retention import Retention
from domain.run_parameters import RunParameter
from domain.segment_contents import MappedColumn, Mask, Output, ParameterType, SegmentContent
from domain.segment_definitions import (
    DefinitionApproved,
    DefinitionDeleted,
    DefinitionDrafted,
    DefinitionKind,
    DefinitionRejected,
    DefinitionRevised,
    DefinitionSubmitted,
    DefinitionSuperseded,
    DefinitionWithdrawn,
)
from domain.segment_runs import (
    ResultColumn,
    SegmentRunCleanedUp,
    SegmentRunFailed,
    SegmentRunProgressed,
    SegmentRunRequested,
    SegmentRunRetried,
    SegmentRunStarted,
    SegmentRunSucceeded,
    SegmentRunTerminated,
)
from domain.shared.references import Reference
from domain.source_grants import SourceGranted, SourceRevoked
from projections.segment_definitions import SEGMENT_DEFINITIONS
from projections.segment_runs import SEGMENT_RUNS
from projections.source_grants import SOURCE_GRANTS
from tests.projections.folding import MORNING, History, entries, id_of, row_of, versions

CONTENT = SegmentContent(
    name="Premium",
    description="",
    sql="select customer_id, mobile from customers",
    source="bank",
    primary_index=("customer_id",),
    outputs=(Output("customer_id", False), Output("mobile", True)),
    mapping=(MappedColumn("M", "mobile", mask=Mask.LAST_FOUR, translation={"b": "2", "a": "1"}),),
)
SECOND = replace(CONTENT, name="Second", mapping=())
APPROVAL, ORDER = id_of("approval"), id_of("order")
SUBJECT = Subject("segment_definition", id_of("definition"), 1, "hash", "PREMIUM", "SH")
DRAFTED = DefinitionDrafted("PREMIUM", "SH", DefinitionKind.ACTIVITY, ORDER, CONTENT, "lin")
SUBMITTED = DefinitionSubmitted(1, APPROVAL, "hash", (), "lin", "research")
APPROVED = DefinitionApproved(1, APPROVAL, "hash")
OPENED = ApprovalOpened(SUBJECT, TWO_LEVELS, MORNING + timedelta(days=14), "lin")
PASSED = ApprovalPassed(SUBJECT, Level.RESEARCH, Level.TECHNOLOGY, "fine", "rao")

REQUESTED = SegmentRunRequested(
    code="SR-1",
    org_unit="SH",
    definition=Reference(id_of("definition"), 2),
    content_hash="hash",
    work_order=ORDER,
    parameters=(RunParameter("data_to", ParameterType.DATE, "2026-03-01"),),
    is_trial=False,
    row_limit=None,
    retention=Retention.RESULT,
    by="lin",
)
SUCCEEDED = SegmentRunSucceeded(1, 7, (ResultColumn("mobile", "VARCHAR", True),), 900, 40, "c" * 64, "S1")


def definition(*events: Any, history: History | None = None) -> History:
    return (history or History()).happens("segment_definition", "definition", *events)


def run(*events: Any) -> Any:
    return row_of(SEGMENT_RUNS, History().happens("segment_run", "run", REQUESTED, *events), "run")


def test_a_definition_awaits_the_level_that_is_asked() -> None:
    """APR-03"""
    history = definition(DRAFTED, SUBMITTED).happens("approval", "approval", OPENED)
    assert row_of(SEGMENT_DEFINITIONS, history, "definition").status == "pending_research"
    row = row_of(SEGMENT_DEFINITIONS, history.happens("approval", "approval", PASSED), "definition")
    assert (row.status, row.version, row.work_order_id) == ("pending_technology", 2, ORDER)
    assert row.mapping[0]["translation"] == [{"value": "a", "text": "1"}, {"value": "b", "text": "2"}]


def test_what_is_in_force_stays_beside_a_newer_revision() -> None:
    """LOG-02"""
    history = definition(DRAFTED, SUBMITTED, APPROVED, DefinitionRevised(2, SECOND, "wu"))
    row = row_of(SEGMENT_DEFINITIONS, history, "definition")
    assert (row.status, row.revision, row.name) == ("draft", 2, "Second")
    assert (row.approved_revision, row.approved_hash) == (1, "hash")
    definition(
        replace(SUBMITTED, revision=2),
        DefinitionRejected(2, APPROVAL, "technology", "slow"),
        history=history,
    )
    row = row_of(SEGMENT_DEFINITIONS, history, "definition")
    assert (row.status, row.reason, row.approved_revision) == ("technology_rejected", "slow", 1)
    definition(
        DefinitionRevised(3, CONTENT, "wu"),
        replace(SUBMITTED, revision=3),
        DefinitionApproved(3, APPROVAL, "third"),
        DefinitionSuperseded(1, 3),
        history=history,
    )
    row = row_of(SEGMENT_DEFINITIONS, history, "definition")
    assert (row.status, row.reason, row.approved_revision, row.approved_hash) == (
        "approved",
        None,
        3,
        "third",
    )
    assert len(versions(SEGMENT_DEFINITIONS, history.records)) == len(history.records)


def test_a_withdrawn_definition_is_a_draft_and_a_deleted_one_is_gone() -> None:
    history = definition(DRAFTED, SUBMITTED, DefinitionWithdrawn(1, APPROVAL, "lin"))
    row = row_of(SEGMENT_DEFINITIONS, history, "definition")
    assert (row.status, row.approval_id, row.submitted_at) == ("draft", None, None)
    assert (
        row_of(SEGMENT_DEFINITIONS, definition(DefinitionDeleted("lin"), history=history), "definition")
        is None
    )


def test_a_run_is_shown_from_the_request_to_the_clean_up() -> None:
    """LOG-10, LOG-11, LOG-17"""
    assert (run().status, run().row_count, run().parameters) == (
        "queued", None, [{"name": "data_to", "type": "date", "value": "2026-03-01"}],
    )  # fmt: skip
    going = run(SegmentRunStarted(1), SegmentRunProgressed(1, 40))
    assert (going.status, going.percent, going.attempt, going.ended_at) == ("running", 40, 1, None)
    over = run(SegmentRunStarted(1), SUCCEEDED, SegmentRunCleanedUp(1, ("spill",)))
    assert (over.status, over.percent, over.row_count, over.byte_count) == ("succeeded", 100, 7, 900)
    assert (over.columns, over.dropped) == (
        [{"name": "mobile", "type": "VARCHAR", "isPersonal": True}],
        ("spill",),
    )
    assert over.ended_at < over.cleaned_up_at


def test_a_failure_is_shown_until_the_run_is_retried() -> None:
    """LOG-06, LOG-17"""
    failed = SegmentRunFailed(1, "primary_index_duplicate", {"offenders": "3"})
    row = run(SegmentRunStarted(1), failed)
    assert (row.status, row.failure) == ("failed", "primary_index_duplicate")
    assert row.failure_values == [{"name": "offenders", "value": "3"}]
    row = run(SegmentRunStarted(1), failed, SegmentRunRetried(1, "lin"))
    assert (row.status, row.failure, row.failure_values, row.ended_at) == ("queued", None, [], None)
    assert run(SegmentRunTerminated("no use", "lin")).reason == "no use"


def test_a_revoked_grant_stays_to_be_seen() -> None:
    """LOG-05"""
    granted = SourceGranted(1, "SH", "bank", "customers", ("level",), "admin")
    history = History().happens("source_grant", "grant", granted, SourceRevoked(2, "admin"))
    row = row_of(SOURCE_GRANTS, history, "grant")
    assert (row.status, row.columns, row.revision, row.org_unit) == ("revoked", (), 2, "SH")
    history.happens("source_grant", "grant", replace(granted, revision=3))
    assert row_of(SOURCE_GRANTS, history, "grant").columns == ("level",)


def test_an_approval_of_a_definition_names_it_by_its_own_kind_of_id() -> None:
    """APR-10"""
    history = definition(DRAFTED, SUBMITTED).happens("approval", "approval", OPENED)
    told = {change["field"]: change["after"] for change in entries(history.records)[-1].changes}
    assert told["subjectId"] == f"sd_{id_of('definition').hex}"
