"""Whatever people ask of the use cases, in whatever order: these hold of the log that remains."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.access import Principal
from application.approvals import Seen
from domain.activities import DECIDER as ACTIVITY
from domain.activities import (
    ActivityApproved,
    ActivityLaunched,
    ActivityRevised,
    ActivitySubmitted,
    Status,
)
from domain.approvals import ApprovalPassed, Level
from domain.approvals import Status as ApprovalStatus
from domain.catalogues import Kind
from tests.application.bank import LIN, MAO, NOW, Bank, answered, person
from tests.given import PROPERTY

PEOPLE = [MAO, *(person(name, *MAO.roles) for name in ("nan", "ou", "pan"))]
"""Each holds every role: only the separation of duties stands between them and a plan of their own."""
SCRIPTS = settings(PROPERTY, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""Each script has an activity and a type of its own, so they may share a log."""


@dataclass
class Desk:
    """One activity on its way, and what an approver saw last: maybe long ago.

    Commands go to either of two processes, each with its own memory.
    """

    processes: tuple[Bank, Bank]
    bank: Bank
    type_: UUID
    activity: UUID
    approval: UUID | None = None
    seen: Seen | None = None
    names: int = 0


Step = Callable[[Desk, Principal], object]
Command = tuple[Step, Principal, int]


def take(desk: Desk, command: Command) -> None:
    step, by, process = command
    desk.bank = desk.processes[process]
    answered(lambda: step(desk, by))


def revise(desk: Desk, by: Principal) -> object:
    desk.names += 1
    plan = desk.bank.plan(desk.type_, name=f"Name {desk.names}")
    return desk.bank.revise(desk.activity, plan, by=by)


def submit(desk: Desk, by: Principal) -> object:
    desk.approval = desk.bank.submit(desk.activity, by=by)
    return look(desk, by)


def look(desk: Desk, _: Principal) -> object:
    desk.seen = None if desk.approval is None else desk.bank.seen(desk.approval)
    return desk.seen


def approve(desk: Desk, by: Principal) -> object:
    """The next level, upon what was seen last."""
    if desk.approval is None or desk.seen is None:
        return None
    level = desk.bank.approval(desk.approval).level or Level.TECHNOLOGY
    return desk.bank.approve(desk.approval, by=by, seen=replace(desk.seen, level=level))


def reject(desk: Desk, by: Principal) -> object:
    if desk.approval is None or desk.seen is None:
        return None
    return desk.bank.reject(desk.approval, by=by, seen=desk.seen)


def rename_type(desk: Desk, by: Principal) -> object:
    desk.names += 1
    return desk.bank.rename(Kind.ACTIVITY_TYPE, desk.type_, f"{desk.type_} {desk.names}", by=by)


def withdraw(desk: Desk, by: Principal) -> object:
    return desk.bank.withdraw(desk.activity, by=by)


def launch(desk: Desk, by: Principal) -> object:
    return desk.bank.launch(desk.activity, by=by)


STEPS: list[Step] = [revise, submit, look, reject, rename_type, withdraw, *[launch] * 2, *[approve] * 6]
SCRIPT = st.lists(
    st.tuples(st.sampled_from(STEPS), st.sampled_from(PEOPLE), st.integers(0, 1)), min_size=8, max_size=20
)


@SCRIPTS
@given(script=SCRIPT)
def test_what_is_approved_was_seen_and_passed_by_two_people_who_did_not_ask(
    bank: Bank, script: list[Command]
) -> None:
    """APR-01, APR-02, APR-08, APR-09, APR-11"""
    desk = begin(bank)
    for command in script:
        take(desk, command)
    events = bank.events(desk.activity)
    for end, event in enumerate(events):
        before = ACTIVITY.fold(events[:end])
        if isinstance(event, ActivityApproved):
            prove_approved(bank, desk.activity, event, before.revision)
        if isinstance(event, ActivityLaunched):
            assert before.status is Status.APPROVED
            assert any(
                isinstance(e, ActivityApproved) and e.revision == before.revision for e in events[:end]
            )


@SCRIPTS
@given(script=SCRIPT)
def test_an_activity_is_in_approval_just_while_its_approval_is_pending(
    bank: Bank, script: list[Command]
) -> None:
    """APR-03, APR-09: the two streams never disagree, after any command."""
    desk = begin(bank)
    submitted: set[UUID] = set()
    for command in script:
        take(desk, command)
        activity = bank.activity(desk.activity)
        submitted |= {e.approval for e in bank.events(desk.activity) if isinstance(e, ActivitySubmitted)}
        pending = {id for id in submitted if bank.approval(id).status is ApprovalStatus.PENDING}
        assert pending == ({activity.approval} if activity.status is Status.IN_APPROVAL else set())
        granted = {id for id in submitted if bank.approval(id).status is ApprovalStatus.GRANTED}
        if activity.status in (Status.APPROVED, Status.RUNNING):
            assert activity.approval in granted
    revisions = [event.revision for event in bank.events(desk.activity) if isinstance(event, ActivityRevised)]
    assert revisions == list(range(2, 2 + len(revisions)))


def begin(bank: Bank) -> Desk:
    bank.now = NOW
    type_ = bank.add_type(f"Type {next(bank.numbers)}")
    processes = (bank, bank.another_process())
    desk = Desk(processes, bank, type_, bank.draft(bank.plan(type_)))
    submit(desk, LIN)
    return desk


def prove_approved(bank: Bank, activity: UUID, event: ActivityApproved, revision: int) -> None:
    opened, *later = bank.events(event.approval)
    passed = [e for e in later if isinstance(e, ApprovalPassed)]
    assert opened.subject.id == activity
    assert opened.subject.revision == event.revision == revision
    assert [e.level for e in passed] == [Level.RESEARCH, Level.TECHNOLOGY]
    assert len({opened.by, *(e.by for e in passed)}) == 3
    decisions = [
        r.context.actor for r in bank.log.records(event.approval) if isinstance(r.event, ApprovalPassed)
    ]
    assert decisions == [e.by for e in passed]


def test_the_scripts_reach_approval_and_launch(bank: Bank) -> None:
    """Else the properties above would hold of nothing."""
    reached: set[type] = set()

    @SCRIPTS
    @given(script=SCRIPT)
    def run(script: list[Command]) -> None:
        desk = begin(bank)
        for command in script:
            take(desk, command)
        reached.update(map(type, bank.events(desk.activity)))

    run()
    assert {ActivityApproved, ActivityLaunched, ActivityRevised} <= reached
