"""The only way a command takes: versions, keys, and what is recorded around every event."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest

from application import activities, catalogues
from application.access import Principal
from application.activities import PlanEntry
from application.catalogues import Change
from application.shared.handler import KEY_CHARACTERS_MAX, Handler, Request
from application.shared.records import BANK_WIDE, BEGINNING, Position, Receipt
from application.shared.work import Work
from domain.activities import DECIDER as ACTIVITY
from domain.activities import ActivityLaunched, Status
from domain.catalogues import CatalogueRefusal, Details, Kind
from domain.shared.money import Amount
from domain.shared.refusal import CommonRefusal
from infrastructure.event_log import EventLog
from tests.application.bank import DAY, IN_SHANGHAI, LIN, NOW, WU, Bank, at_once, codes
from tests.given import refused

TYPE, COST = Kind.ACTIVITY_TYPE, Kind.COST_TYPE
CONFLICT = (CommonRefusal.VERSION_CONFLICT, "expected_version")


# --- Versions -------------------------------------------------------------


def test_a_command_upon_the_version_that_was_seen_is_carried_out(bank: Bank) -> None:
    """ES-08"""
    entry = bank.add_type("Dining")
    assert bank.rename(TYPE, entry, "Lunch", expected_version=1).version == 2
    assert bank.rename(TYPE, entry, "Brunch", expected_version=2).version == 3


@pytest.mark.parametrize("expected_version", [0, 1, 3, 99])
def test_a_command_upon_another_version_is_refused_and_told_the_current_one(
    bank: Bank, expected_version: int
) -> None:
    """ES-08"""
    entry = bank.add_type("Dining")
    bank.rename(TYPE, entry, "Lunch")
    for command in (
        lambda: bank.rename(TYPE, entry, "Brunch", expected_version=expected_version),
        lambda: bank.disable(TYPE, entry, expected_version=expected_version),
        lambda: bank.remove(TYPE, entry, expected_version=expected_version),
    ):
        with refused(CONFLICT) as faults:
            command()
        assert faults[0].values == {"version": "2"}


def interrupted(
    attempts: list[int], meanwhile: Callable[[], object], use_case: Callable[[Work], UUID]
) -> Callable[[Work], UUID]:
    """The use case, between whose reading and recording somebody else does something: the first time."""

    def run(work: Work) -> UUID:
        attempts.append(len(attempts) + 1)
        decided = use_case(work)
        if len(attempts) == 1:
            meanwhile()
        return decided

    return run


def test_a_command_without_a_version_is_decided_again_upon_what_is_new(bank: Bank) -> None:
    """ES-08: both changes are kept."""
    entry, attempts = bank.add_type("Dining"), list[int]()
    use_case = interrupted(
        attempts,
        lambda: bank.rename(TYPE, entry, "Lunch", by=WU),
        lambda work: catalogues.revise(work, TYPE, entry, Change(description="mine")),
    )
    bank.handler(Request(LIN, "reviseActivityType", None), use_case)
    assert attempts == [1, 2]
    assert bank.entry(TYPE, entry).details == Details("Lunch", "mine")
    assert bank.entry(TYPE, entry).revision == 3


@pytest.mark.parametrize("moved", ["the entry itself", "its new parent"])
def test_a_command_upon_a_version_that_was_seen_is_never_decided_again(bank: Bank, moved: str) -> None:
    """ES-08: who saw version 1 must look again, whatever has moved; nobody decides for him."""
    entry, parent, attempts = bank.add_type("Dining"), bank.add_type("Card use"), list[int]()
    other = entry if moved == "the entry itself" else parent
    use_case = interrupted(
        attempts,
        lambda: bank.rename(TYPE, other, "Renamed", by=WU),
        lambda work: catalogues.revise(work, TYPE, entry, Change(moves=True, parent=parent)),
    )
    with refused(CONFLICT):
        bank.handler(Request(LIN, "reviseActivityType", None, expected_version=1), use_case)
    assert attempts == [1]
    assert bank.entry(TYPE, entry).parent is None


def test_a_decision_that_rests_on_what_has_passed_is_decided_again(bank: Bank) -> None:
    """PAR-07: the parent is disabled after the child's command read it, before it is recorded."""
    use, attempts = bank.add_type("Card use"), list[int]()
    use_case = interrupted(
        attempts,
        lambda: bank.disable(TYPE, use),
        lambda work: catalogues.add(work, TYPE, "DINING", Details("Dining"), use),
    )
    with refused((CatalogueRefusal.ANCESTOR_DISABLED, "parent")):
        bank.handler(Request(LIN, "addActivityType", None), use_case)
    assert attempts == [1, 2]


def test_of_many_edits_of_one_version_one_wins(bank: Bank) -> None:
    """ES-08: parallel edits of version 3: one version 4, the others a conflict."""
    dining = bank.add_type("Dining")
    activity = bank.draft(bank.plan(dining))
    for name in ("Second", "Third"):
        bank.revise(activity, bank.plan(dining, name=name))
    plans = [bank.plan(dining, name=f"Fourth {number}") for number in range(64)]
    calls = [lambda plan=plan: bank.revise(activity, plan, expected_version=3) for plan in plans]
    answers = at_once(calls)
    assert sorted(map(codes, answers)) == [[]] + [[CommonRefusal.VERSION_CONFLICT]] * 63
    assert bank.version(activity) == 4
    [won] = [plan for plan, answer in zip(plans, answers, strict=True) if isinstance(answer, Receipt)]
    assert bank.events(activity)[-1].plan.name == won.name


def test_parallel_commands_without_a_version_all_take_effect(bank: Bank) -> None:
    """ES-08: each is decided anew until it fits."""
    entry = bank.add_type("Dining")
    answers = at_once([lambda n=n: bank.revise_entry(TYPE, entry, Change(sort_order=n)) for n in range(1, 7)])
    assert [codes(answer) for answer in answers] == [[]] * 6
    assert bank.entry(TYPE, entry).revision == 7


# --- Keys -----------------------------------------------------------------


def test_the_same_key_with_the_same_input_is_answered_once(bank: Bank) -> None:
    """The repeat gets the first answer, to the last digit, and nothing is recorded again."""
    plan = bank.plan(bank.add_type("Dining"), bank.add_cost_type("SMS"))
    another_process = bank.another_process()
    first = send_draft(bank, plan)
    before = bank.count_events()
    assert send_draft(bank, plan) == first
    assert send_draft(another_process, plan) == first
    assert bank.count_events() == before


def test_a_key_that_is_a_card_number_is_kept_as_a_hash(bank: Bank) -> None:
    """SEC-02: it answers once all the same."""
    plan, given = bank.plan(bank.add_type("Dining"), bank.add_cost_type("SMS")), {"key": "4111111111111111"}
    first = bank.send(LIN, "draftActivity", given, activities.draft, "SPRING-26", plan)
    assert bank.send(LIN, "draftActivity", given, activities.draft, "SPRING-26", plan) == first
    with bank.log.log_recorder.pool.connection() as connection:
        keys = [key for (key,) in connection.execute("select key from log.commands")]
    assert any("sha256:" in key for key in keys)
    assert not any("4111111111111111" in key for key in keys)


def send_draft(bank: Bank, plan: PlanEntry) -> Receipt:
    return bank.send(LIN, "draftActivity", {"key": "k"}, activities.draft, "SPRING-26", plan)


def test_a_receipt_lies_at_the_last_of_its_events(bank: Bank) -> None:
    """Who waits for the receipt's position sees all that the command did; the repeat's is no other."""
    entry = bank.add_type("Dining")
    change = Change(name="Lunch", moves=True, parent=bank.add_type("Card use"))
    receipt = bank.revise_entry(TYPE, entry, change, key="k")
    assert receipt.version == bank.version(entry) == 3
    assert receipt.position == max(record.position for record in bank.log.follow(BEGINNING, 1_000))
    assert bank.revise_entry(TYPE, entry, change, key="k") == receipt
    # What changes nothing lies where its subject stands.
    assert bank.enable(TYPE, entry).position == list(bank.log.records(entry))[-1].position


def test_the_same_key_with_another_input_is_refused(bank: Bank) -> None:
    entry = bank.add_type("Dining")
    bank.rename(TYPE, entry, "Lunch", key="k")
    with refused(CommonRefusal.KEY_REUSED):
        bank.rename(TYPE, entry, "Brunch", key="k")
    with refused(CommonRefusal.KEY_REUSED):
        bank.rename(TYPE, entry, "Lunch", key="k", expected_version=2)
    assert bank.version(entry) == 2


def test_a_key_belongs_to_its_principal_and_operation(bank: Bank) -> None:
    one, two = bank.add_type("One"), bank.add_type("Two")
    bank.rename(TYPE, one, "First", key="k")
    bank.rename(TYPE, two, "Second", key="k", by=WU)
    bank.disable(TYPE, two, key="k")
    assert bank.entry(TYPE, one).details.name == "First"
    assert bank.entry(TYPE, two).details.name == "Second"
    assert not bank.entry(TYPE, two).is_enabled


def test_a_refusal_is_not_kept_under_its_key(bank: Bank) -> None:
    """The same command may succeed later, when what stood against it is gone."""
    dining = bank.add_type("Dining")
    activity = bank.draft(bank.plan(dining))
    with refused(CatalogueRefusal.IN_USE):
        bank.remove(TYPE, dining, key="k")
    bank.delete(activity)
    assert bank.remove(TYPE, dining, key="k") == bank.remove(TYPE, dining, key="k")


def test_a_command_that_changed_nothing_is_answered_under_its_key_too(bank: Bank) -> None:
    entry = bank.add_type("Dining")
    first = bank.enable(TYPE, entry, key="k")
    bank.disable(TYPE, entry)
    assert bank.enable(TYPE, entry, key="k") == first
    assert not bank.entry(TYPE, entry).is_enabled


def test_a_command_that_was_answered_while_it_was_decided_gets_that_answer(bank: Bank) -> None:
    """Its twin got the code in between, so it would be refused; but to the sender they are one command."""
    plan = bank.plan(bank.add_type("Dining"))
    another_process = bank.another_process()
    receipts: list[Receipt] = []

    def use_case(work: Work) -> UUID:
        receipts.append(send_draft(another_process, plan))
        return activities.draft(work, "SPRING-26", plan)

    request = Request(LIN, "draftActivity", ("SPRING-26", plan), key="k")
    assert {bank.handler(request, use_case)} == set(receipts)


def test_one_key_sent_by_many_at_once_has_one_effect(bank: Bank) -> None:
    """32 threads, as after a lost connection: one activity, one receipt for all."""
    plan = bank.plan(bank.add_type("Dining"))
    before = bank.count_events()
    answers = at_once([lambda: send_draft(bank, plan)] * 32)
    assert len(set(answers)) == 1
    assert isinstance(answers[0], Receipt)
    assert bank.count_events() == before + 2


def test_one_key_sent_with_two_inputs_at_once_has_one_effect(bank: Bank) -> None:
    entries = [bank.add_type(f"T{number}") for number in range(2)]
    calls = [lambda n=n: bank.rename(TYPE, entries[n % 2], f"N{n % 2}", key="k") for n in range(32)]
    answers = at_once(calls)
    assert sorted(bank.version(entry) for entry in entries) == [1, 2]
    assert {str(codes(answer)) for answer in answers} == {"[]", "['key_reused']"}


def test_a_lost_connection_never_gives_one_command_the_answer_of_another(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first is cut off before its commit, its key arrives with another input and is answered."""
    mine, other = bank.add_type("Mine"), bank.add_type("Other")
    send = bank.log.log_recorder.append
    another_process = bank.another_process()
    cut_off = iter([True])

    def append(request: str) -> Position:
        if next(cut_off, False):
            another_process.rename(TYPE, other, "Second", key="k")
            raise psycopg.OperationalError("the connection is lost")
        return send(request)

    monkeypatch.setattr(bank.log.log_recorder, "append", append)
    with refused(CommonRefusal.KEY_REUSED):
        bank.rename(TYPE, mine, "First", key="k")
    assert bank.entry(TYPE, mine).details.name == "Mine"


@pytest.mark.parametrize("key", ["", "x" * (KEY_CHARACTERS_MAX + 1), "a\nb", "a\x00", "钥匙", "\x7f"])
def test_a_key_is_short_and_printable(bank: Bank, key: str) -> None:
    with refused(CommonRefusal.BAD_KEY):
        bank.add_type("Dining", key=key)
    bank.add_type("Dining", key="x" * KEY_CHARACTERS_MAX)


def test_inputs_of_every_plain_kind_can_be_told_apart(bank: Bank) -> None:
    """Amounts and ids are input too; a repeat differs from a change by a cent."""
    dining, fee = bank.add_type("Dining"), bank.add_cost_type("SMS")
    plan = bank.plan(dining, fee)
    dearer = replace(plan, budget=Amount(Decimal("1000.01"), "CNY"))
    activity = bank.draft(plan, key="k")
    bank.revise(activity, dearer, key="k")
    bank.revise(activity, dearer, key="k")
    with refused(CommonRefusal.KEY_REUSED):
        bank.revise(activity, plan, key="k")


def test_an_input_that_no_file_could_hold_is_refused_and_no_fault_of_the_house(bank: Bank) -> None:
    """JSON may carry half a character: it is refused like every bad character."""
    dining = bank.add_type("Dining")
    activity = bank.running(bank.draft(bank.plan(dining)))
    with refused((CommonRefusal.BAD_CHARACTERS, "reason")):
        bank.pause(activity, "\ud800")


# --- What is recorded -----------------------------------------------------


def test_every_record_tells_who_for_whom_when_why_and_after_what(bank: Bank) -> None:
    """ES-02: no event lacks any of these."""
    deputy = Principal("lin", LIN.roles, "HO", LIN.units, on_behalf_of="wu")
    activity = bank.draft(bank.plan(bank.add_type("Dining")))
    bank.approved(activity)
    conversation, cause = uuid4(), uuid4()
    bank.now = NOW + DAY
    started = datetime.now(UTC)
    bank.launch(
        activity,
        by=deputy,
        correlation_id=conversation,
        causation_id=cause,
        reason="call from the branch",
    )
    record = list(bank.log.records(activity))[-1]
    assert record.event == ActivityLaunched("lin")
    assert (record.event_type, record.schema_version) == ("activity.launched", 1)
    assert (record.stream_id, record.stream_type, record.version) == (activity, "activity", 4)
    context = record.context
    assert (context.actor, context.on_behalf_of, context.org_unit) == ("lin", "wu", "HO")
    assert (context.correlation_id, context.causation_id) == (conversation, cause)
    assert context.effective_at == NOW + DAY
    assert context.reason == "call from the branch"
    assert abs(record.recorded_at - started) < timedelta(minutes=5)


def test_an_event_belongs_to_the_unit_whose_business_it_is(bank: Bank) -> None:
    """SEC-03, ES-02: who sees the row sees its events; catalogues belong to the whole bank."""
    dining = bank.add_type("Dining")
    bank.rename(TYPE, dining, "Lunch")
    activity = bank.draft(bank.plan(dining), by=IN_SHANGHAI)
    approval = bank.approved(activity)
    bank.launch(activity)

    def units(stream: UUID) -> set[str]:
        return {record.context.org_unit for record in bank.log.records(stream)}

    assert (units(dining), units(activity), units(approval)) == ({BANK_WIDE}, {"SH"}, {"SH"})


def test_a_persons_command_begins_a_conversation(bank: Bank) -> None:
    """ES-02"""
    entry = bank.add_type("Dining")
    bank.rename(TYPE, entry, "Lunch")
    contexts = [record.context for record in bank.log.records(entry)]
    assert all(context.correlation_id == context.command_id for context in contexts)
    assert all(context.causation_id is None for context in contexts)
    assert len({context.command_id for context in contexts}) == 2


def test_business_time_moves_and_recorded_time_does_not(bank: Bank) -> None:
    """ES-02: a test moves the one clock and never the other."""
    bank.now = datetime(2031, 1, 1, tzinfo=UTC)
    entry = bank.add_type("Dining")
    [record] = bank.log.records(entry)
    assert record.context.effective_at == bank.now
    assert record.recorded_at < bank.now


def test_state_comes_from_events_alone(bank: Bank) -> None:
    """ES-01: another process, with nothing in memory, finds the same state and version."""
    activity = bank.running(bank.draft(bank.plan(bank.add_type("Dining"), bank.add_cost_type("SMS"))))
    bank.pause(activity)
    fresh = EventLog(bank.log.log_recorder.pool).load(ACTIVITY, activity)
    assert fresh == bank.log.load(ACTIVITY, activity)
    assert fresh.state == ACTIVITY.fold(bank.events(activity))
    assert (fresh.version, fresh.state.status) == (5, Status.PAUSED)


def test_the_state_as_of_any_version_is_told(bank: Bank) -> None:
    """ES-03"""
    activity = bank.running(bank.draft(bank.plan(bank.add_type("Dining"))))
    as_of = [
        ACTIVITY.fold(record.event for record in bank.log.records(activity, up_to=version)).status
        for version in range(5)
    ]
    assert as_of == [Status.UNKNOWN, Status.DRAFT, Status.IN_APPROVAL, Status.APPROVED, Status.RUNNING]


def test_business_time_is_asked_anew_for_every_command(bank: Bank) -> None:
    handler = Handler(bank.log)
    entry = handler(
        Request(LIN, "addActivityType", None),
        lambda work: catalogues.add(work, TYPE, "X", Details("X"), None),
    ).subject
    [record] = bank.log.records(entry)
    assert abs(record.context.effective_at - record.recorded_at) < timedelta(minutes=5)
