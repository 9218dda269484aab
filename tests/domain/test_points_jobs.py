"""Points jobs: each step once and in its order, nothing goes out that was held back, all comes to an end."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from domain import points_job_answers as back
from domain import points_job_recalls as recalls
from domain import points_jobs as jobs
from domain.points_files import FileFault, FileRefusal, PointsHeader
from domain.points_job_statuses import JobRefusal, Status
from domain.points_job_terms import Cause, Columns, Failure, Terms, TermsRefusal, cost_of
from domain.points_jobs import DECIDER
from domain.reconciliation import Difference, DifferenceKind, reconcile
from domain.shared.money import Money
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal
from tests.given import Given, all_pairs, grid, outcome

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HASH = "a" * 64
HEADER = PointsHeader("CC", date(2026, 3, 1), 1, UUID(int=1))
CAUSE = Cause(UUID(int=2), HASH, Reference(UUID(int=3), 1), HASH, UUID(int=4), Reference(UUID(int=5), 1), ())
TERMS = Terms("Spring", "REWARD", "0.01", "CNY", Columns("customer", "card", "points"))
EVEN = reconcile([], [], [], 0, 0)
UNEVEN = replace(EVEN, differing=1, differences=(Difference(3, DifferenceKind.NOT_ACKNOWLEDGED),))
FAULT = FileFault(FileRefusal.WRONG_FILE, 1)

OPEN = jobs.OpenJob("HO", HEADER, CAUSE, TERMS, "lin")
WAY: list[Any] = [
    OPEN,
    jobs.RecordReservation(3, 1_500, Money(15_00, "CNY")),
    jobs.RecordFile(3, 1_500, 200, HASH),
    jobs.ReleaseFile(True, False),
    jobs.RecordSending(NOW),
    back.RecordAcknowledgement(2, 1, 1_000, 500, HASH),
    back.RecordPosting(2, 1_000, 0, ()),
    back.RecordReconciliation(EVEN),
    jobs.SettleJob(Money(10_00, "CNY")),
]


def history(*commands: Any) -> list[Any]:
    """What these commands came to, in this order."""
    events: list[Any] = []
    for command in commands:
        events += DECIDER.decide(command, DECIDER.fold(events))
    return events


STATUSES: dict[Status, list[Any]] = {
    **{status: history(*WAY[: place + 1]) for place, status in enumerate(jobs.WAY)},
    Status.UNKNOWN: [],
    Status.FAILED: history(OPEN, jobs.FailJob(Failure.NO_LINES)),
    Status.WITHDRAWN: history(OPEN, jobs.WithdrawJob("dear", "lin")),
    Status.RECALLING: history(*WAY[:5], recalls.RecallFile("dear", "lin")),
}
COMMANDS: dict[type, Any] = {
    **{type(command): command for command in WAY},
    back.RecordFaultyAcknowledgement: back.RecordFaultyAcknowledgement((FAULT,), HASH),
    back.RecordSilence: back.RecordSilence(NOW),
    back.AcceptDifferences: back.AcceptDifferences("asked", "lin"),
    jobs.FailJob: jobs.FailJob(Failure.NO_LINES),
    jobs.RetryJob: jobs.RetryJob("lin"),
    jobs.WithdrawJob: jobs.WithdrawJob("dear", "lin"),
    recalls.ResendFile: recalls.ResendFile("no answer", "lin"),
    recalls.RecallFile: recalls.RecallFile("dear", "lin"),
    recalls.RecordRecall: recalls.RecordRecall(True),
    recalls.RecordReversal: recalls.RecordReversal(UUID(int=9), 500),
}
TABLE = grid("""
                            unknown           opened             reserved           filed              released           sent
OpenJob                     PointsJobOpened   nothing            nothing            nothing            nothing            nothing
RecordReservation           not_found         PointsJobReserved  nothing            nothing            nothing            nothing
RecordFile                  not_found         not_at_this_step   PointsJobFiled     nothing            nothing            nothing
ReleaseFile                 not_found         not_at_this_step   not_at_this_step   PointsJobReleased  nothing            nothing
RecordSending               not_found         not_at_this_step   not_at_this_step   not_at_this_step   PointsJobSent      nothing
RecordAcknowledgement       not_found         not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step   PointsJobAcknowledged
RecordFaultyAcknowledgement not_found         not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step   PointsJobAcknowledgementFaulted
RecordSilence               nothing           nothing            nothing            nothing            nothing            PointsJobAnswerOverdue
RecordPosting               not_found         not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step
RecordReconciliation        not_found         not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step
AcceptDifferences           not_found         nothing_to_accept  nothing_to_accept  nothing_to_accept  nothing_to_accept  nothing_to_accept
SettleJob                   not_found         not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step
FailJob                     not_found         PointsJobFailed    PointsJobFailed    PointsJobFailed    not_at_this_step   not_at_this_step
RetryJob                    not_found         job_not_failed     job_not_failed     job_not_failed     job_not_failed     job_not_failed
WithdrawJob                 not_found         PointsJobWithdrawn PointsJobWithdrawn PointsJobWithdrawn already_released   already_released
ResendFile                  not_found         not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step   PointsJobResent
RecallFile                  not_found         not_at_this_step   not_at_this_step   not_at_this_step   PointsJobRecallBegun PointsJobRecallBegun
RecordRecall                not_found         nothing            nothing            nothing            nothing            nothing
RecordReversal              not_found         not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step

                            acknowledged      posted             reconciled         settled            failed             withdrawn
OpenJob                     nothing           nothing            nothing            nothing            nothing            nothing
RecordReservation           nothing           nothing            nothing            nothing            not_at_this_step   not_at_this_step
RecordFile                  nothing           nothing            nothing            nothing            not_at_this_step   not_at_this_step
ReleaseFile                 nothing           nothing            nothing            nothing            not_at_this_step   not_at_this_step
RecordSending               nothing           nothing            nothing            nothing            not_at_this_step   not_at_this_step
RecordAcknowledgement       nothing           nothing            nothing            nothing            not_at_this_step   not_at_this_step
RecordFaultyAcknowledgement nothing           nothing            nothing            nothing            not_at_this_step   not_at_this_step
RecordSilence               nothing           nothing            nothing            nothing            nothing            nothing
RecordPosting               PointsJobPosted   nothing            nothing            nothing            not_at_this_step   not_at_this_step
RecordReconciliation        not_at_this_step  PointsJobReconciled nothing           nothing            not_at_this_step   not_at_this_step
AcceptDifferences           nothing_to_accept nothing_to_accept  nothing_to_accept  nothing_to_accept  nothing_to_accept  nothing_to_accept
SettleJob                   not_at_this_step  not_at_this_step   PointsJobSettled   nothing            not_at_this_step   not_at_this_step
FailJob                     not_at_this_step  not_at_this_step   not_at_this_step   not_at_this_step   nothing            not_at_this_step
RetryJob                    job_not_failed    job_not_failed     job_not_failed     job_not_failed     PointsJobRetried   job_not_failed
WithdrawJob                 already_released  already_released   already_released   already_released   PointsJobWithdrawn nothing
ResendFile                  not_at_this_step  not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step
RecallFile                  not_at_this_step  not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step   not_at_this_step
RecordRecall                nothing           nothing            nothing            nothing            nothing            nothing
RecordReversal              PointsJobPointsReversed PointsJobPointsReversed PointsJobPointsReversed PointsJobPointsReversed not_at_this_step not_at_this_step

                            recalling
OpenJob                     nothing
RecordReservation           not_at_this_step
RecordFile                  not_at_this_step
ReleaseFile                 not_at_this_step
RecordSending               nothing
RecordAcknowledgement       nothing
RecordFaultyAcknowledgement nothing
RecordSilence               nothing
RecordPosting               not_at_this_step
RecordReconciliation        not_at_this_step
AcceptDifferences           nothing_to_accept
SettleJob                   not_at_this_step
FailJob                     not_at_this_step
RetryJob                    job_not_failed
WithdrawJob                 already_released
ResendFile                  not_at_this_step
RecallFile                  not_at_this_step
RecordRecall                PointsJobRecalled
RecordReversal              not_at_this_step
""")  # noqa: E501
job: Given[Any, Any] = Given(DECIDER)


def test_the_table_knows_every_command_and_every_status() -> None:
    assert {type_ for type_ in get_args(jobs.Command) if isinstance(type_, type)} <= set(COMMANDS)
    assert {*get_args(back.AnswerCommand), *get_args(recalls.Command)} <= set(COMMANDS)
    assert set(STATUSES) == set(Status)
    assert set(TABLE) == all_pairs(STATUSES, COMMANDS)


@pytest.mark.parametrize(("command", "status"), TABLE)
def test_every_step_in_every_status(command: str, status: str) -> None:
    """PTS-07: each step is taken once, in this order, and a repeat is no second fact."""
    [given] = [example for type_, example in COMMANDS.items() if type_.__name__ == command]
    assert outcome(DECIDER, STATUSES[Status(status)], given) == TABLE[command, status]


@pytest.mark.parametrize(
    ("held", "code"),
    [
        (jobs.ReleaseFile(False, False), JobRefusal.WORK_ORDER_HELD),
        (jobs.ReleaseFile(True, True), JobRefusal.ACTIVITY_CANCELLED),
    ],
)
def test_what_is_held_back_is_not_released(held: jobs.ReleaseFile, code: JobRefusal) -> None:
    """WO-16"""
    job.given(*STATUSES[Status.FILED]).when(held).then_refused(code)
    job.given(*STATUSES[Status.RELEASED]).when(held).then_nothing()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": ""}, (CommonRefusal.REQUIRED, "name")),
        ({"business_type": "reward"}, (TermsRefusal.BAD_BUSINESS_TYPE, "business_type")),
        ({"unit_cost": "0,002"}, (TermsRefusal.BAD_UNIT_COST, "unit_cost")),
        ({"unit_cost": "-1"}, (TermsRefusal.BAD_UNIT_COST, "unit_cost")),
        ({"unit_cost": "1e9"}, (TermsRefusal.BAD_UNIT_COST, "unit_cost")),
        ({"currency": "XYZ"}, (CommonRefusal.UNKNOWN_CURRENCY, "currency")),
    ],
)
def test_terms_that_are_not_sound_open_no_job(change: dict[str, Any], fault: Any) -> None:
    job.given().when(replace(OPEN, terms=replace(TERMS, **change))).then_refused(fault)


@pytest.mark.parametrize(
    ("points", "unit_cost", "currency", "minor"),
    [
        (1, "0.005", "CNY", 1),
        (1, "0.0049", "CNY", 0),
        (3, "0.005", "CNY", 2),
        (500, "0.002", "CNY", 100),
        (1, "0.5", "JPY", 1),
        (1_400_000_000, "0.002", "CNY", 280_000_000),
    ],
)
def test_the_cost_is_rounded_half_up_to_minor_units(
    points: int, unit_cost: str, currency: str, minor: int
) -> None:
    """BUD-04"""
    terms = replace(TERMS, unit_cost=unit_cost, currency=currency)
    assert cost_of(points, terms) == Money(minor, currency)


def test_a_cost_beyond_all_budgets_is_none() -> None:
    assert cost_of(10**15, replace(TERMS, unit_cost="1000")) is None


def test_an_answer_is_overdue_from_its_time_on_and_told_of_once() -> None:
    """PTS-09"""
    sent = STATUSES[Status.SENT]
    job.given(*sent).when(back.RecordSilence(NOW - timedelta(seconds=1))).then_nothing()
    overdue = back.PointsJobAnswerOverdue(NOW)
    job.given(*sent).when(back.RecordSilence(NOW)).then(overdue)
    job.given(*sent, overdue).when(back.RecordSilence(NOW)).then_nothing()
    late = [*sent, overdue]
    assert outcome(DECIDER, late, WAY[5]) == "PointsJobAcknowledged"


def test_the_same_faulty_acknowledgement_is_told_of_once_and_a_better_one_is_taken() -> None:
    """PTS-10"""
    faulty = back.RecordFaultyAcknowledgement((FAULT,) * 30, HASH)
    [event] = DECIDER.decide(faulty, DECIDER.fold(STATUSES[Status.SENT]))
    assert isinstance(event, back.PointsJobAcknowledgementFaulted)
    assert (event.faulty, len(event.faults)) == (30, jobs.FAULTS_KEPT_MAX)
    seen = [*STATUSES[Status.SENT], event]
    job.given(*seen).when(faulty).then_nothing()
    assert outcome(DECIDER, seen, WAY[5]) == "PointsJobAcknowledged"


def test_differences_stop_the_job_until_somebody_accepts_them() -> None:
    """PTS-10"""
    posted = STATUSES[Status.POSTED]
    job.given(*posted).when(back.RecordReconciliation(UNEVEN)).then(back.PointsJobDiffered(UNEVEN))
    differing = [*posted, back.PointsJobDiffered(UNEVEN)]
    job.given(*differing).when(back.RecordReconciliation(UNEVEN)).then_nothing()
    assert outcome(DECIDER, differing, WAY[8]) == "not_at_this_step"
    job.given(*differing).when(back.AcceptDifferences(" ", "lin")).then_refused(
        (CommonRefusal.REQUIRED, "reason")
    )
    job.given(*differing).when(back.AcceptDifferences("asked", "lin")).then(
        back.PointsJobDifferencesAccepted("asked", "lin")
    )
    job.given(*differing).when(WAY[7]).then(back.PointsJobReconciled(EVEN))


def test_a_retry_begins_anew_under_another_key_of_reservation() -> None:
    """BUD-04"""
    failed = history(*WAY[:2], jobs.FailJob(Failure.RESULT_CHANGED))
    again = DECIDER.fold([*failed, jobs.PointsJobRetried(2, "lin")])
    assert (again.status, again.attempt, again.reserved) == (Status.OPENED, 2, None)
    assert jobs.reservation_key(again) != jobs.reservation_key(DECIDER.fold(failed))


def test_what_costs_nothing_reserves_nothing() -> None:
    free = jobs.RecordReservation(3, 1_500, Money(0, "CNY"))
    job.given(*STATUSES[Status.OPENED]).when(free).then(jobs.PointsJobReserved(3, 1_500, Money(0, "CNY"), ""))


def test_a_file_that_was_taken_goes_on_from_where_it_was() -> None:
    """PTS-10: and one that came back comes to nothing, with what was said for it."""
    for status in (Status.RELEASED, Status.SENT):
        begun = recalls.PointsJobRecallBegun("dear", "lin", "letter 7", None)
        out = [*STATUSES[status], begun]
        failed = recalls.PointsJobRecallFailed(HEADER.file_name)
        job.given(*out).when(recalls.RecordRecall(False)).then(failed)
        assert DECIDER.fold([*out, failed]).status is status
        back_again = recalls.PointsJobRecalled("dear", "lin", "letter 7")
        job.given(*out).when(recalls.RecordRecall(True)).then(back_again)
        job.given(*out, back_again).when(recalls.RecordRecall(True)).then_nothing()


def test_a_recall_and_a_resending_need_reasons() -> None:
    sent = STATUSES[Status.SENT]
    job.given(*sent).when(recalls.ResendFile(" ", "lin")).then_refused((CommonRefusal.REQUIRED, "reason"))
    faulty = recalls.RecallFile("", "lin", "x" * (recalls.CONFIRMATION_CHARACTERS_MAX + 1))
    job.given(*sent).when(faulty).then_refused(
        (CommonRefusal.REQUIRED, "reason"), (CommonRefusal.TOO_LONG, "confirmation")
    )


def test_a_file_sent_again_has_a_new_time_to_be_answered_and_is_sent_so_often() -> None:
    """PTS-09"""
    silent = [*STATUSES[Status.SENT], back.PointsJobAnswerOverdue(NOW)]
    faulted = [*silent, back.PointsJobAcknowledgementFaulted(1, (FAULT,), HASH)]
    again = [*faulted, recalls.PointsJobResent(2, "lost", "lin"), jobs.PointsJobSent(NOW + timedelta(days=1))]
    state = DECIDER.fold(again)
    assert (state.status, state.recall.sending, state.is_overdue, state.seen_faulty) == (
        Status.SENT, 2, False, "",
    )  # fmt: skip
    job.given(*again).when(back.RecordSilence(NOW)).then_nothing()
    most = [*again, recalls.PointsJobResent(recalls.SENDINGS_MAX, "lost", "lin"), jobs.PointsJobSent(NOW)]
    job.given(*most).when(recalls.ResendFile("lost", "lin")).then_refused(CommonRefusal.TOO_MANY)


@pytest.mark.parametrize("unit_cost", ["0.01", "0.002", "0.0333"])
def test_refunds_of_all_reversals_are_what_was_consumed(unit_cost: str) -> None:
    """BUD-04: whatever single points round to, together they are neither more nor less."""
    terms = replace(TERMS, unit_cost=unit_cost)
    way = [replace(OPEN, terms=terms), *WAY[1:]]
    events, consumed = history(*way), cost_of(1_000, terms)
    assert consumed is not None
    given_back = 0
    for entry, points in enumerate([1, 333, 1, 1, 600, 64]):
        [event] = DECIDER.decide(recalls.RecordReversal(UUID(int=entry), points), DECIDER.fold(events))
        events.append(event)
        given_back += event.refund.amount_minor
        assert 0 <= given_back <= consumed.amount_minor
    assert given_back == consumed.amount_minor


def test_a_reversal_before_the_settlement_gives_nothing_back_that_was_not_consumed() -> None:
    """BUD-04: the settlement consumes so much less."""
    for status in (Status.ACKNOWLEDGED, Status.POSTED, Status.RECONCILED):
        reversal = recalls.RecordReversal(UUID(int=9), 500)
        expected = recalls.PointsJobPointsReversed(UUID(int=9), 500, Money(0, "CNY"))
        job.given(*STATUSES[status]).when(reversal).then(expected)
