"""Points files that are not answered as they should be, and points taken back: none twice, none lost."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from application import points_jobs, points_ledgers, points_pipeline
from application.access import Principal
from application.points_copies import CopyLost
from application.points_postings import entry_id
from application.shared.gateways import AcknowledgementInvalid
from domain.budgets import BudgetRefunded, budget_id
from domain.points_job_answers import PointsJobAnswerOverdue
from domain.points_job_recalls import PointsJobRecalled, PointsJobRecallFailed
from domain.points_job_statuses import JobRefusal, Status
from domain.points_ledgers import Holder, LedgerRefusal, ledger_id
from domain.work_order_executions import ExecutionStarted, WorkOrderRetried
from domain.work_order_statuses import Status as OrderStatus
from domain.work_orders import DECIDER as WORK_ORDER
from infrastructure import exchange_folder as exchange
from infrastructure.exchange_folder import Marker
from infrastructure.points_counterpart import Counterpart, Rules
from infrastructure.points_gateway import DirectoryGateway
from tests.application.bank import DAY, LIN, WU, Bank
from tests.application.points_world import PointsWorld, rows
from tests.given import refused


@pytest.fixture
def world(bank: Bank, tmp_path: Path) -> PointsWorld:
    return PointsWorld(bank, tmp_path / "points")


def resend(world: PointsWorld, job: UUID, reason: str = "no answer") -> None:
    world.bank.send(LIN, "resendPointsFile", {}, points_jobs.resend, job, reason)


def recall(world: PointsWorld, job: UUID, confirmation: str = "", by: Principal = LIN) -> None:
    world.bank.send(by, "recallPointsFile", {}, points_jobs.recall, job, "wrong group", confirmation)


def reverse(world: PointsWorld, job: UUID, line: int) -> None:
    customer = f"C{line:08d}"
    ledger = ledger_id(Holder("CC", customer), 2026)
    given = ledger, entry_id(job, line), "wrong customer"
    world.bank.send(LIN, "reversePointsEntry", {}, points_ledgers.reverse, *given)


def is_told_of_silence(world: PointsWorld, job: UUID) -> bool:
    return any(isinstance(event, PointsJobAnswerOverdue) for event in world.bank.events(job))


# --- Overdue --------------------------------------------------------------


@pytest.mark.parametrize("broken", ["nonsense", "cut off", "unreadable"])
def test_a_broken_acknowledgement_is_no_answer_and_becomes_overdue(
    world: PointsWorld, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """PTS-09: past its time somebody is told, and told once."""
    job = world.sent(rows(3))
    world.system.answer(world.name(job))
    sound = world.system.answers[world.name(job)]
    world.system.answers[world.name(job)] = b"nonsense" if broken == "nonsense" else sound[:-20]
    if broken == "unreadable":
        monkeypatch.setattr(type(world.system), "acknowledgement", unreadable)
    look(world, job)
    assert not is_told_of_silence(world, job)
    world.bank.now += DAY
    for _ in range(2):
        look(world, job)
    assert world.job(job).is_overdue
    assert [type(event) for event in world.bank.events(job)].count(PointsJobAnswerOverdue) == 1


def unreadable(*_: object) -> bytes:
    raise AcknowledgementInvalid("not what its marker says")


def look(world: PointsWorld, job: UUID) -> None:
    try:
        assert world.step(job).status is Status.SENT
    except AcknowledgementInvalid:
        assert world.job(job).status is Status.SENT


# --- Sent again -----------------------------------------------------------


@pytest.mark.parametrize("trouble", ["lost", "broken"])
def test_a_file_sent_again_is_answered_and_booked_once(bank: Bank, tmp_path: Path, trouble: str) -> None:
    """PTS-09, PTS-10: at the real folder: the points system knows the duplicate and repeats its answer."""
    exchange.make(tmp_path / "gateway")
    world = PointsWorld(bank, tmp_path / "points", gateway=DirectoryGateway(tmp_path / "gateway"))
    job = world.sent(rows(10))
    rules = Rules(reject_every=4, lose_every=1 if trouble == "lost" else 0)
    with Counterpart(tmp_path / "gateway", rules).at_work() as counterpart:
        counterpart.tick()
        answer = tmp_path / "gateway" / "inbox" / f"{world.name(job)}.ack"
        if trouble == "broken":
            answer.write_bytes(b"nonsense\n")
            answer.with_name(f"{answer.name}.ready").write_bytes(Marker.of(b"nonsense\n").encoded())
        assert world.step(job).status is Status.SENT
        bank.now += DAY
        assert world.step(job).is_overdue
        resend(world, job)
        state = world.step(job)
        assert (state.status, state.is_overdue, state.answer_by) == (Status.SENT, False, bank.now + DAY)
        counterpart.tick()
        assert world.step(job, 4).status is Status.SETTLED
        [taken] = counterpart.known()
        assert (taken.accepted, taken.points) == (8, 4_000)
    assert world.job(job).posted.points == 4_000
    assert [world.ledger(f"C{n:08d}").balance for n in (1, 4)] == [500, 0]


def test_a_resending_killed_anywhere_is_completed_and_puts_no_sound_answer_away(
    bank: Bank, tmp_path: Path
) -> None:
    """PTS-10: the step taken again, before and after the points system has answered."""
    exchange.make(tmp_path / "gateway")
    world = PointsWorld(bank, tmp_path / "points", gateway=DirectoryGateway(tmp_path / "gateway"))
    job = world.sent(rows(3))
    with Counterpart(tmp_path / "gateway").at_work() as counterpart:
        counterpart.tick()
        resend(world, job)
        for _ in range(3):
            points_pipeline.send(world.desk, job)
            counterpart.tick()
        assert len(list((tmp_path / "gateway" / "archive").glob("*.duplicate-*"))) == 0
    assert world.step(job, 4).status is Status.SETTLED


def test_only_what_waits_for_an_answer_is_sent_again_or_recalled(world: PointsWorld) -> None:
    """PTS-09"""
    job = world.opened(rows(2))
    for command in (resend, recall):
        with refused(JobRefusal.NOT_AT_THIS_STEP):
            command(world, job)
    settled = world.settled(rows(2))
    for command in (resend, recall):
        with refused(JobRefusal.NOT_AT_THIS_STEP):
            command(world, settled)


# --- Recalled -------------------------------------------------------------


def test_a_file_that_is_not_taken_is_recalled_and_its_reservation_free(world: PointsWorld) -> None:
    """PTS-10, BUD-04: the work order may be tried again, under another job and file name."""
    activity = world.activity("1000")
    job = world.opened(rows(4), activity)
    world.system.waiting.add(world.name(job))
    world.step(job, 3)
    recall(world, job)
    assert world.step(job).status is Status.WITHDRAWN
    budget = world.budget(activity)
    assert (budget.amounts.free, budget.amounts.reserved, budget.amounts.consumed) == (1_000_00, 0, 0)
    assert isinstance(world.bank.events(job)[-1], PointsJobRecalled)
    order = world.job(job).has.cause.work_order
    assert order is not None
    assert world.bank.log.load(WORK_ORDER, order).state.status is OrderStatus.FAILED
    points_pipeline.recall(world.desk, job)
    assert world.budget(activity).amounts.free == 1_000_00


def test_a_file_that_was_taken_is_given_up_only_when_the_points_system_confirms_that_it_booked_nothing(
    world: PointsWorld,
) -> None:
    """PTS-10: else points might stand there that nobody paid for."""
    job = world.sent(rows(4))
    recall(world, job)
    assert world.step(job).status is Status.SENT
    assert isinstance(world.bank.events(job)[-1], PointsJobRecallFailed)
    assert world.budget_of(job).amounts.reserved == 20_00
    recall(world, job, confirmation="letter 17 of 2 March", by=WU)
    assert world.step(job).status is Status.WITHDRAWN
    assert world.bank.events(job)[-1] == PointsJobRecalled("wrong group", "wu", "letter 17 of 2 March")
    assert world.budget_of(job).amounts.reserved == 0


def test_a_confirmation_is_no_one_persons_word(world: PointsWorld) -> None:
    """PTS-10: recalled by one and found taken since it was last sent; confirmed by another."""
    job = world.sent(rows(2))
    with refused((JobRefusal.RECALL_NOT_TRIED, "confirmation")):
        recall(world, job, "letter 17", by=WU)
    recall(world, job)
    world.step(job)
    with refused((JobRefusal.SECOND_PERSON_NEEDED, "confirmation")):
        recall(world, job, "letter 17")
    resend(world, job)
    world.step(job)
    with refused((JobRefusal.RECALL_NOT_TRIED, "confirmation")):
        recall(world, job, "letter 17", by=WU)
    recall(world, job, by=WU)
    world.step(job)
    world.system.answer(world.name(job))
    recall(world, job, "letter 17")
    assert world.step(job).status is Status.SENT, "its answer says otherwise"
    with refused((JobRefusal.SECOND_PERSON_NEEDED, "confirmation")):
        recall(world, job, "letter 18", by=WU)
    assert world.budget_of(job).amounts.reserved == 10_00


def test_an_answer_that_can_be_believed_counts_more_than_a_confirmation(world: PointsWorld) -> None:
    """PTS-10: what was accepted is posted, whatever a letter says; a broken answer proves nothing."""
    job = world.sent(rows(4))
    recall(world, job)
    world.step(job)
    world.system.answer(world.name(job))
    recall(world, job, confirmation="letter 17", by=WU)
    assert world.step(job).status is Status.SENT
    assert world.step(job, 4).status is Status.SETTLED
    other = world.sent(rows(4, start=10))
    world.system.answers[world.name(other)] = b"nonsense"
    recall(world, other)
    world.step(other)
    recall(world, other, confirmation="letter 18", by=WU)
    assert world.step(other).status is Status.WITHDRAWN


@pytest.mark.parametrize("rejected", [[1], [1, 2]])
def test_no_second_file_goes_out_when_a_file_that_was_given_up_was_booked_after_all(
    world: PointsWorld, rejected: list[int]
) -> None:
    """PTS-10: its answer came late; one that rejects every line holds nothing up."""
    job = world.sent(rows(2))
    recall(world, job)
    world.step(job)
    recall(world, job, "letter 17", by=WU)
    assert world.step(job).status is Status.WITHDRAWN
    cause = world.job(job).has.cause
    run, again = cause.run, uuid4()
    assert cause.work_order is not None
    requested, *rest = world.bank.events(run)
    world.happened("segment_run", requested, *rest, stream=again)
    world.results.found[again] = rows(2)
    world.extend(cause.work_order, WORK_ORDER, WorkOrderRetried("tan"), ExecutionStarted(again, 2))
    second = world.open(again)
    world.step(second, 2)
    world.system.answer(world.name(job), rejected)
    state = world.step(second)
    if len(rejected) == 2:
        assert state.status is Status.SENT
        return
    assert state.status is Status.FAILED
    failed = world.bank.events(second)[-1]
    assert (failed.code, failed.values) == ("former_file_booked", {"found": world.name(job)})
    assert world.name(second) not in world.system.files
    assert world.budget_of(second).amounts.reserved == 0


def test_what_an_overtaken_worker_found_out_ends_no_later_recall(
    world: PointsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PTS-10: he saw no answer; then one came, the recall failed, and the file was recalled anew."""
    job = world.sent(rows(4))
    recall(world, job)
    world.step(job)
    recall(world, job, "letter 17", by=WU)

    def overtaken(*_: object) -> None:
        monkeypatch.undo()
        world.system.answer(world.name(job))
        assert world.step(job).status is Status.SENT
        recall(world, job, by=WU)

    monkeypatch.setattr(type(world.system), "acknowledgement", overtaken)
    assert world.step(job).status is Status.RECALLING
    assert world.budget_of(job).amounts.reserved == 20_00
    assert world.step(job, 5).status is Status.SETTLED


def test_an_overtaken_delivery_does_not_pass_for_the_next_sending(
    world: PointsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PTS-10: nobody would hand the file over anew."""
    job = world.opened(rows(4))
    world.step(job, 2)
    deliver = type(world.system).deliver

    def overtaken(*given: Any) -> None:
        monkeypatch.undo()
        deliver(*given)
        assert world.step(job).status is Status.SENT
        resend(world, job)

    monkeypatch.setattr(type(world.system), "deliver", overtaken)
    assert world.step(job).status is Status.RELEASED
    before = world.system.deliveries
    assert world.step(job).status is Status.SENT
    assert world.system.deliveries == before + 1


# --- Lost copies ----------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 3, 4, 5])
@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_files_lost_from_the_disk_are_made_again_byte_for_byte(
    world: PointsWorld, steps: int, harm: str
) -> None:
    """PTS-04, PTS-07: before the release, before the answer, before posting, before reconciliation."""
    job = world.opened(rows(5))
    world.step(job, min(steps, 3))
    if steps >= 3:
        world.system.answer(world.name(job), rejected=[2])
        world.step(job, steps - 3)
    before = {path.name: path.read_bytes() for path in world.folder.iterdir()}
    for path in world.folder.iterdir():
        path.unlink() if harm == "gone" else path.write_bytes(b"D|1")
    if steps == 2:
        world.step(job)
        world.system.answer(world.name(job), rejected=[2])
    while world.job(job).status is not Status.SETTLED:
        world.step(job)
    after = {path.name: path.read_bytes() for path in world.folder.iterdir()}
    assert before.items() <= after.items()
    assert world.job(job).posted.points == 2_000


def test_a_lost_file_of_a_result_that_has_changed_fails_before_the_release_and_waits_after_it(
    world: PointsWorld,
) -> None:
    """PTS-10"""
    first, second = world.opened(rows(2)), world.sent(rows(2))
    world.step(first, 2)
    world.system.answer(world.name(second))
    for job in (first, second):
        world.results.found[world.job(job).has.cause.run] = rows(2, points=501)
        (world.folder / world.name(job)).unlink()
    assert world.step(first).status is Status.FAILED
    assert world.budget_of(first).amounts.reserved == 0
    with pytest.raises(CopyLost):
        world.step(second)
    assert world.job(second).status is Status.SENT


# --- Points taken back ----------------------------------------------------


def test_a_reversal_gives_its_cost_back_to_the_budget_once(world: PointsWorld) -> None:
    """BUD-04, PTS-12: in the append of the reversal; also when the budget is closed."""
    activity = world.activity("1000")
    job = world.settled(rows(3), activity)
    assert world.budget(activity).amounts.consumed == 15_00
    reverse(world, job, 2)
    budget = world.budget(activity)
    assert (budget.amounts.free, budget.amounts.consumed) == (990_00, 10_00)
    with refused((LedgerRefusal.ALREADY_REVERSED, "id")):
        reverse(world, job, 2)
    records = [*world.bank.log.records(ledger_id(Holder("CC", "C00000002"), 2026))]
    movements = world.bank.log.records(budget_id(activity))
    refunds = [record for record in movements if isinstance(record.event, BudgetRefunded)]
    assert [r.context.command_id for r in refunds] == [records[-1].context.command_id]
    world.bank.cancel(activity)
    reverse(world, job, 1)
    reverse(world, job, 3)
    assert (world.budget(activity).amounts.consumed, world.budget(activity).amounts.total) == (0, 0)


def test_what_is_reversed_before_the_settlement_is_not_consumed(world: PointsWorld) -> None:
    """BUD-04"""
    activity = world.activity("1000")
    job = world.sent(rows(3), activity)
    world.system.answer(world.name(job))
    world.step(job, 2)
    reverse(world, job, 1)
    assert world.step(job, 2).status is Status.SETTLED
    assert world.budget(activity).amounts.consumed == 10_00
    reverse(world, job, 2)
    assert (world.budget(activity).amounts.free, world.budget(activity).amounts.consumed) == (995_00, 5_00)
