"""Segment runs: attempts of workers that may die, and reports that may come late or twice."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from domain.result_retention import (
    KEPT_FOR,
    DeleteResult,
    Retention,
    RetentionRefusal,
    SegmentRunResultDeleted,
)
from domain.run_parameters import ParameterRefusal, RunParameter, value_of
from domain.segment_contents import DeclaredParameter, ParameterType
from domain.segment_runs import (
    ATTEMPTS_EXHAUSTED,
    ATTEMPTS_MAX,
    DECIDER,
    DETAIL_CHARACTERS_MAX,
    REASON_CHARACTERS_MAX,
    RETRIES_MAX,
    TRIAL_ROWS_MAX,
    Command,
    Event,
    HandOverRun,
    RecordCleanUp,
    RecordFailure,
    RecordResult,
    ReportProgress,
    RequestRun,
    ResultColumn,
    RetryRun,
    RunRefusal,
    SegmentRunCleanedUp,
    SegmentRunFailed,
    SegmentRunHandedOver,
    SegmentRunProgressed,
    SegmentRunRequested,
    SegmentRunRetried,
    SegmentRunStarted,
    SegmentRunSucceeded,
    SegmentRunTerminated,
    StartRun,
    Status,
    TerminateRun,
)
from domain.shared.field_rules import FieldRefusal
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal
from tests.domain.examples import CARD_NUMBER
from tests.domain.segments import CONTENT, WORK_ORDER
from tests.given import ExpectedFault, Given, all_pairs, grid, outcome

run = Given(DECIDER)
NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)

DEFINITION = Reference(UUID(int=0x50), 3)
VALUES = {"data_from": "2026-02-01", "data_to": "2026-03-01", "level": "GOLD"}
COLUMNS = (ResultColumn("customer_id", "VARCHAR", False),)
RESULT: dict[str, Any] = {
    "attempt": 1, "rows": 7, "columns": COLUMNS, "bytes": 900, "duration_ms": 40,
    "content_hash": "c" * 64, "snapshot": "S1",
}  # fmt: skip

request = RequestRun("SR-1", "HO", DEFINITION, CONTENT, "h" * 64, VALUES, is_trial=False, by="lin")
requested = SegmentRunRequested(
    code="SR-1",
    org_unit="HO",
    definition=DEFINITION,
    content_hash="h" * 64,
    work_order=None,
    parameters=(
        RunParameter("data_from", ParameterType.DATE, "2026-02-01"),
        RunParameter("data_to", ParameterType.DATE, "2026-03-01"),
        RunParameter("level", ParameterType.TEXT, "GOLD"),
    ),
    is_trial=False,
    row_limit=None,
    retention=Retention.RESULT,
    by="lin",
)
started = SegmentRunStarted(1)
succeeded = SegmentRunSucceeded(**RESULT)
failed = SegmentRunFailed(1, "primary_index_duplicate", {"offenders": "3"})
terminated = SegmentRunTerminated("wrong month", by="lin")

HISTORIES: dict[Status, list[Event]] = {
    Status.UNKNOWN: [],
    Status.QUEUED: [requested],
    Status.RUNNING: [requested, started],
    Status.SUCCEEDED: [requested, started, succeeded],
    Status.FAILED: [requested, started, failed],
    Status.TERMINATED: [requested, started, terminated],
}
COMMANDS: dict[type, Command] = {
    RequestRun: request,
    StartRun: StartRun(2),
    ReportProgress: ReportProgress(1, 30),
    RecordResult: RecordResult(**RESULT),
    RecordFailure: RecordFailure(1, "time_limit"),
    TerminateRun: TerminateRun("wrong month", by="lin"),
    RetryRun: RetryRun(by="lin"),
    RecordCleanUp: RecordCleanUp(1, ("spill",)),
    DeleteResult: DeleteResult(NOON, NOON + KEPT_FOR[Retention.RESULT]),
    HandOverRun: HandOverRun(UUID(int=7)),
}
ANSWERS = grid("""
                unknown              queued                running
RequestRun      SegmentRunRequested  defect                defect
StartRun        not_found            SegmentRunStarted     SegmentRunStarted
ReportProgress  not_found            nothing               SegmentRunProgressed
RecordResult    not_found            nothing               SegmentRunSucceeded
RecordFailure   not_found            nothing               SegmentRunFailed
TerminateRun    not_found            SegmentRunTerminated  SegmentRunTerminated
RetryRun        not_found            nothing               nothing
RecordCleanUp   not_found            SegmentRunCleanedUp   SegmentRunCleanedUp
DeleteResult    not_found            no_result             no_result
HandOverRun     not_found            nothing               nothing

                succeeded            failed                terminated
RequestRun      defect               defect                defect
StartRun        nothing              nothing               nothing
ReportProgress  nothing              nothing               nothing
RecordResult    nothing              nothing               nothing
RecordFailure   nothing              nothing               nothing
TerminateRun    run_over             run_over              nothing
RetryRun        run_not_failed       SegmentRunRetried     run_not_failed
RecordCleanUp   SegmentRunCleanedUp  SegmentRunCleanedUp   SegmentRunCleanedUp
DeleteResult    SegmentRunResultDeleted  no_result         no_result
HandOverRun     SegmentRunHandedOver  SegmentRunHandedOver  SegmentRunHandedOver
""")


def test_a_run_is_handed_over_once_and_again_after_a_retry() -> None:
    """LOG-17, PTS-07"""
    told = SegmentRunHandedOver(UUID(int=7))
    assert DECIDER.decide(HandOverRun(), DECIDER.fold([requested, started, failed, told])) == []
    again = [requested, started, failed, told, SegmentRunRetried(1, "lin"), SegmentRunStarted(2)]
    over = DECIDER.fold([*again, SegmentRunFailed(2, "time_limit", {})])
    assert DECIDER.decide(HandOverRun(), over) == [SegmentRunHandedOver(None)]


@pytest.mark.parametrize("retention", Retention)
def test_no_result_is_deleted_inside_its_period(retention: Retention) -> None:
    """LOG-10, LOG-11"""
    kept = replace(requested, retention=retention)
    ends = NOON + KEPT_FOR[retention]
    over = [kept, started, succeeded]
    run.given(*over).when(DeleteResult(NOON, ends - timedelta(seconds=1))).then_refused(
        RetentionRefusal.RESULT_KEPT
    )
    run.given(*over).when(DeleteResult(NOON, ends)).then(SegmentRunResultDeleted(retention))
    run.given(*over, SegmentRunResultDeleted(retention)).when(DeleteResult(NOON, ends)).then()


def test_results_are_kept_five_years_and_those_of_trials_thirty_days() -> None:
    """LOG-10: whatever leap years lie between"""
    assert KEPT_FOR[Retention.TRIAL] == timedelta(days=30)
    for year in range(2024, 2030):
        assert date(year, 2, 28) + KEPT_FOR[Retention.RESULT] >= date(year + 5, 2, 28)


def test_the_grid_has_every_status_and_command() -> None:
    assert set(ANSWERS) == all_pairs(HISTORIES, COMMANDS)
    assert set(HISTORIES) == set(Status)
    assert set(COMMANDS) == set(get_args(Command))


@pytest.mark.parametrize(("name", "status"), ANSWERS)
def test_what_every_status_answers(name: str, status: str) -> None:
    """LOG-07, LOG-17: the state machine of a run."""
    command = next(command for type_, command in COMMANDS.items() if type_.__name__ == name)
    assert outcome(DECIDER, HISTORIES[Status(status)], command) == ANSWERS[name, status]


def test_a_run_is_bound_to_the_revision_that_it_performs() -> None:
    """LOG-10"""
    run.given().when(replace(request, work_order=WORK_ORDER)).then(replace(requested, work_order=WORK_ORDER))


def test_nothing_runs_unapproved_but_a_trial() -> None:
    """LOG-03"""
    nothing = replace(request, content=None)
    run.given().when(nothing).then_refused((RunRefusal.NOTHING_APPROVED, "definition"))


@pytest.mark.parametrize("row_limit", [None, 0, TRIAL_ROWS_MAX + 1])
def test_a_trial_has_a_row_limit(row_limit: int | None) -> None:
    """LOG-03: "test run" only with row limit."""
    trial = replace(request, is_trial=True, row_limit=100)
    run.given().when(trial).then(replace(requested, is_trial=True, row_limit=100, retention=Retention.TRIAL))
    run.given().when(replace(trial, row_limit=row_limit)).then_refused(
        (CommonRefusal.OUT_OF_RANGE, "row_limit")
    )


def test_a_second_run_while_one_is_live_is_refused() -> None:
    """LOG-07: the blocking policy discards the later."""
    again = (RunRefusal.RUN_ALREADY_LIVE, "definition")
    run.given().when(replace(request, is_free=False)).then_refused(again)
    run.given(requested, started, failed).when(RetryRun("lin", is_free=False)).then_refused(again)


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"level": "GOLD"}, [(CommonRefusal.REQUIRED, "parameters", "data_from"),
                             (CommonRefusal.REQUIRED, "parameters", "data_to")]),
        ({k: v for k, v in VALUES.items() if k != "level"},
         [(CommonRefusal.REQUIRED, "parameters", "level")]),
        ({**VALUES, "city": "x"}, [(ParameterRefusal.UNKNOWN_PARAMETER, "parameters")]),
        ({**VALUES, "data_from": "20260201"}, [(FieldRefusal.BAD_VALUE, "parameters", "data_from")]),
        ({**VALUES, "data_from": "2026-02-30"}, [(FieldRefusal.BAD_VALUE, "parameters", "data_from")]),
        ({**VALUES, "data_to": "2026-02-01"}, [(CommonRefusal.END_NOT_AFTER_START, "parameters", "data_to")]),
        ({**VALUES, "level": CARD_NUMBER}, [(CommonRefusal.CARD_NUMBER_IN_TEXT, "parameters", "level")]),
        ({**VALUES, "level": "x" * 501}, [(CommonRefusal.TOO_LONG, "parameters", "level")]),
        ({**VALUES, "business_date": "2026-03-01"}, []),
    ],
)  # fmt: skip
def test_a_run_has_all_its_parameters_and_no_others(
    given: dict[str, str], faults: list[ExpectedFault]
) -> None:
    """LOG-04"""
    when = run.given().when(replace(request, parameters=given))
    if faults:
        when.then_refused(*faults)
    else:
        assert len(when.decider.decide(when.command, when.decider.initial)) == 1


@pytest.mark.parametrize("text", ["", "1.5", "١", "9" * 19, "--1"])
def test_an_integer_is_written_plainly(text: str) -> None:
    content = replace(CONTENT, parameters=(DeclaredParameter("level", ParameterType.INTEGER),))
    run.given().when(replace(request, content=content, parameters={**VALUES, "level": text})).then_refused(
        (FieldRefusal.BAD_VALUE, "parameters", "level")
    )


def test_values_are_bound_in_their_type() -> None:
    assert value_of(RunParameter("a", ParameterType.TEXT, "7")) == "7"
    assert value_of(RunParameter("a", ParameterType.INTEGER, "-7")) == -7
    assert value_of(RunParameter("a", ParameterType.DATE, "2026-02-01")) == date(2026, 2, 1)


def test_a_run_that_a_dead_worker_left_is_taken_over_and_fails_after_its_last_attempt() -> None:
    """LOG-17: a worker's crash → the run is retried or FAILED, never stuck RUNNING."""
    history: list[Event] = [requested]
    for attempt in range(1, ATTEMPTS_MAX + 1):
        run.given(*history).when(StartRun(attempt)).then(SegmentRunStarted(attempt))
        history.append(SegmentRunStarted(attempt))
    exhausted = SegmentRunFailed(ATTEMPTS_MAX, ATTEMPTS_EXHAUSTED, {"attempts": str(ATTEMPTS_MAX)})
    run.given(*history).when(StartRun(ATTEMPTS_MAX + 1)).then(exhausted)
    anew = [*history, exhausted, SegmentRunRetried(1, "lin")]
    run.given(*anew).when(StartRun(ATTEMPTS_MAX + 1)).then(SegmentRunStarted(ATTEMPTS_MAX + 1))


def test_an_attempt_begins_once() -> None:
    run.given(requested, started).when(StartRun(1)).then_nothing()


@pytest.mark.parametrize("report", [
    ReportProgress(1, 50), RecordResult(**RESULT), RecordFailure(1, "time_limit"),
])  # fmt: skip
def test_a_report_of_an_attempt_that_was_overtaken_changes_nothing(report: Command) -> None:
    """LOG-17"""
    run.given(requested, started, SegmentRunStarted(2)).when(report).then_nothing()


def test_progress_is_told_in_few_events() -> None:
    """LOG-17: at most nine in an attempt."""
    events: list[Event] = [requested, started]
    for percent in range(101):
        events += DECIDER.decide(ReportProgress(1, percent), DECIDER.fold(events))
    told = [event.percent for event in events if isinstance(event, SegmentRunProgressed)]
    assert told == [10, 20, 30, 40, 50, 60, 70, 80, 90]


def test_what_a_failure_says_of_itself_has_a_limit() -> None:
    long = RecordFailure(1, "sql_failed", {"detail": "x" * 9_999})
    run.given(requested, started).when(long).then(
        SegmentRunFailed(1, "sql_failed", {"detail": "x" * DETAIL_CHARACTERS_MAX})
    )


def test_retries_have_a_limit() -> None:
    """LOG-17"""
    history: list[Event] = [requested, started, failed]
    for retry in range(1, RETRIES_MAX + 1):
        history += [SegmentRunRetried(retry, "lin"), SegmentRunStarted(retry + 1), failed]
    run.given(*history).when(RetryRun("lin")).then_refused(RunRefusal.TOO_MANY_RETRIES)


@pytest.mark.parametrize(
    ("reason", "code"),
    [(" ", CommonRefusal.REQUIRED), ("x" * (REASON_CHARACTERS_MAX + 1), CommonRefusal.TOO_LONG)],
)
def test_a_termination_has_its_reason(reason: str, code: CommonRefusal) -> None:
    run.given(requested).when(TerminateRun(reason, "lin")).then_refused((code, "reason"))


def test_an_attempt_is_cleaned_up_once() -> None:
    """LOG-11: also when the run failed."""
    cleaned = SegmentRunCleanedUp(1, ("spill",))
    run.given(requested, started, failed).when(RecordCleanUp(1, ("spill",))).then(cleaned)
    run.given(requested, started, failed, cleaned).when(RecordCleanUp(1, ("spill",))).then_nothing()
