"""The use cases of group extractions, and the step that a worker performs."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from application import customer_groups
from application.access import HEAD_OFFICE, Permission, Principal, queries_customers
from application.group_memberships import members
from application.group_sql import Extraction
from application.shared.business_time import business_date
from application.shared.engines import Engine, Query, RunFailed
from application.shared.handler import Handler, Request
from application.shared.identifiers import uuid7
from application.shared.work import Work
from domain.customer_groups import DECIDER as GROUP
from domain.group_extractions import (
    DECIDER,
    Command,
    GroupExtraction,
    RecordFailure,
    RecordMembership,
    RequestExtraction,
    StartExtraction,
    Status,
)
from domain.group_memberships import Movement
from domain.run_schedules import DECIDER as SCHEDULE
from domain.run_schedules import GroupTask, RecordRunEnd
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Refused
from domain.timeframes import resolve

SYSTEM_USER = "system:worker"


def request(work: Work, schedule_id: UUID, task: GroupTask, due_at: datetime, previous: UUID | None) -> UUID:
    """Queue the extraction of the group, in the revision that is the newest now; its id."""
    group = work.state(GROUP, task.group)
    day = business_date(due_at, work.zone)
    extraction_id = uuid7()
    command = RequestExtraction(
        org_unit=work.org_unit,
        schedule=schedule_id,
        activity=task.activity,
        group=Reference(task.group, group.revision),
        role=task.role,
        due_at=due_at,
        business_date=day,
        days=resolve(task.timeframe, day),
        previous=previous,
    )
    work.begin(DECIDER, extraction_id, command)
    return extraction_id


# --- The worker's step ------------------------------------------------------


def execute(handler: Handler, engine: Engine, extraction_id: UUID, units: frozenset[str]) -> None:
    """Perform an extraction that is queued, or that a dead worker left running; nothing for any other.

    Repeating it does what is missing: the engine gives a result that is there already, and a report that was
    made is not made again. An exception that is not the engine's own verdict is the broker's to retry.
    """
    worker = _Worker(handler, extraction_id, units)
    attempt = worker.start()
    if attempt is None:
        worker.clean_up(engine)
        return
    report: Command
    try:
        report = worker.extract(engine, attempt)
    except RunFailed as failed:
        report = RecordFailure(attempt, failed.code, failed.values)
    worker.tell(report)


def system_principal(units: frozenset[str]) -> Principal:
    """Who extracts: nobody's roles, all units, and this one permission."""
    allowed = frozenset({Permission.SCHEDULES_PERFORM})
    return Principal(SYSTEM_USER, frozenset(), HEAD_OFFICE, units, system_permissions=allowed)


@dataclass(frozen=True, slots=True)
class _Worker:
    """One delivery of an extraction to a worker. Commands have no keys: a report counts once."""

    handler: Handler
    extraction_id: UUID
    units: frozenset[str]

    def extraction(self) -> GroupExtraction:
        return self.handler.log.load(DECIDER, self.extraction_id).state

    def start(self) -> int | None:
        """The attempt that begins here; None when there is nothing to perform."""
        before = self.extraction().attempt
        self.tell(StartExtraction(before + 1))
        after = self.extraction()
        return before + 1 if (after.status, after.attempt) == (Status.RUNNING, before + 1) else None

    def query(self) -> Query:
        asked = self.extraction().has
        work = self.handler.look(system_principal(self.units))
        extraction = Extraction(asked.business_date, asked.days.data_from, asked.days.data_to)
        return customer_groups.query_of(work, asked.group, self.units, extraction)

    def extract(self, engine: Engine, attempt: int) -> RecordMembership:
        """Who belongs to the group now, against those of the extraction before."""
        result = engine.run(self.extraction_id, self.query(), lambda _: None, lambda: False)
        found = members(engine, self.extraction().has.previous, self.extraction_id)
        counts = Counter(movement for _, movement in found)
        return RecordMembership(
            attempt=attempt,
            joined=counts[Movement.JOINED],
            stayed=counts[Movement.STAYED],
            left=counts[Movement.LEFT],
            content_hash=result.content_hash,
            snapshot=result.snapshot,
        )

    def clean_up(self, engine: Engine) -> None:
        """Of one that has failed remove what attempts have left that were killed: it names customers."""
        if self.extraction().status is Status.FAILED:
            engine.discard(self.extraction_id)

    def tell(self, command: Command) -> None:
        """Report; its schedule learns in the same append when it is over."""

        def use_case(work: Work) -> UUID:
            work.subject(DECIDER, self.extraction_id, lambda state: state.has.org_unit)
            work.decide(DECIDER, self.extraction_id, command)
            after: GroupExtraction = work.state(DECIDER, self.extraction_id)
            if after.status in (Status.SUCCEEDED, Status.FAILED):
                end = RecordRunEnd(self.extraction_id, after.status is Status.SUCCEEDED)
                work.decide(SCHEDULE, after.has.schedule, end)
            return self.extraction_id

        input_ = {"id": str(self.extraction_id)}
        self.handler(Request(system_principal(self.units), "extractGroup", input_), use_case)


# --- Who is in it -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Some of the `total` that are wanted: (place in the whole list from 1, customer, what became of him)."""

    total: int
    rows: tuple[tuple[int, str, Movement], ...]
    has_more: bool


def movements(
    handler: Handler, engine: Engine, principal: Principal, extraction_id: UUID
) -> Iterator[tuple[str, Movement]]:
    """The members of an extraction in sight and those who left with it, by id."""
    extraction = _in_sight(handler, principal, extraction_id)
    return members(engine, extraction.has.previous, extraction_id)


def page(
    handler: Handler,
    engine: Engine,
    principal: Principal,
    extraction_id: UUID,
    wanted: Collection[Movement],
    place: int,
    most: int,
) -> MemberPage:
    """The first of those that are wanted behind the place. The list never changes. Raise RunFailed."""
    extraction = _in_sight(handler, principal, extraction_id)
    told = extraction.membership
    assert told is not None, "it succeeded"
    counts = {Movement.JOINED: told.joined, Movement.STAYED: told.stayed, Movement.LEFT: told.left}
    found = enumerate(members(engine, extraction.has.previous, extraction_id), 1)
    chosen = ((at, customer, what) for at, (customer, what) in found if at > place and what in wanted)
    rows = tuple(islice(chosen, most + 1))
    return MemberPage(sum(counts[each] for each in wanted), rows[:most], len(rows) > most)


def _in_sight(handler: Handler, principal: Principal, extraction_id: UUID) -> GroupExtraction:
    """One that has succeeded, to a principal who sees its unit's customers; else Refused."""
    work = handler.look(principal)
    extraction = work.subject(DECIDER, extraction_id, lambda state: state.has.org_unit, looks_only=True)
    is_seen = queries_customers(principal, extraction.has.org_unit)
    if not is_seen or extraction.status is not Status.SUCCEEDED:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    return extraction
