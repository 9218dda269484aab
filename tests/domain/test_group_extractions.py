"""Group extractions: begun by workers that may die, reported once."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from domain.activity_plans import GroupRole
from domain.group_extractions import (
    ATTEMPTS_EXHAUSTED,
    DECIDER,
    Command,
    Event,
    GroupExtractionFailed,
    GroupExtractionRequested,
    GroupExtractionStarted,
    GroupMembershipRecorded,
    RecordFailure,
    RecordMembership,
    StartExtraction,
    Status,
)
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal
from domain.timeframes import Days
from tests.given import Given

ID = UUID(int=1)
requested = GroupExtractionRequested(
    "HO",
    ID,
    ID,
    Reference(ID, 2),
    GroupRole.TARGET,
    datetime(2026, 3, 1, 18, 30, tzinfo=UTC),
    date(2026, 3, 2),
    Days(date(2026, 2, 1), date(2026, 3, 2)),
    None,
)
started = GroupExtractionStarted(1)
recorded = GroupMembershipRecorded(1, 5, 2, 3, 4, "a" * 64, "s-1")
failed = GroupExtractionFailed(1, "time_limit", {"seconds": "600"})
record = RecordMembership(1, 2, 3, 4, "a" * 64, "s-1")
extraction = Given(DECIDER)

HISTORIES: dict[Status, tuple[Event, ...]] = {
    Status.QUEUED: (requested,),
    Status.RUNNING: (requested, started),
    Status.SUCCEEDED: (requested, started, recorded),
    Status.FAILED: (requested, started, failed),
}


@pytest.mark.parametrize("status", HISTORIES)
def test_only_a_running_extraction_gets_a_result_and_that_once(status: Status) -> None:
    """SEG-09"""
    assert DECIDER.fold(HISTORIES[status]).status is status
    given, is_running = extraction.given(*HISTORIES[status]), status is Status.RUNNING
    given.when(record).then(*[recorded] * is_running)
    given.when(RecordFailure(1, "time_limit", {"seconds": "600"})).then(*[failed] * is_running)
    begun = {Status.QUEUED: [GroupExtractionStarted(1)], Status.RUNNING: []}.get(status, [])
    given.when(StartExtraction(1)).then(*begun)


def test_an_attempt_that_was_overtaken_reports_nothing() -> None:
    """SEG-09: its worker was thought dead."""
    given = extraction.given(requested, started, GroupExtractionStarted(2))
    given.when(record).then_nothing()
    given.when(RecordFailure(1, "time_limit")).then_nothing()


def test_after_three_attempts_it_has_failed() -> None:
    """SEG-07: never stuck."""
    attempts = [GroupExtractionStarted(attempt) for attempt in (1, 2, 3)]
    exhausted = GroupExtractionFailed(3, ATTEMPTS_EXHAUSTED, {"attempts": "3"})
    extraction.given(requested, *attempts).when(StartExtraction(4)).then(exhausted)


@pytest.mark.parametrize("command", [StartExtraction(1), record, RecordFailure(1, "x")])
def test_what_was_never_requested_is_not_found(command: Command) -> None:
    extraction.when(command).then_refused((CommonRefusal.NOT_FOUND, "id"))
