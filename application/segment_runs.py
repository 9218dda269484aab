"""The use cases of segment runs, and the step that a worker performs.

One run of a definition is live at a time, and one trial: a later request is refused until it is over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from uuid import UUID

from application.access import HEAD_OFFICE, Permission, Principal, queries_customers, units_of
from application.segment_definitions import approved_hash_of, content_of, live_run, query_of, run_slot
from application.shared.engines import (
    Engine,
    MappedField,
    Parameter,
    Query,
    ResultSet,
    RunCancelled,
    RunFailed,
)
from application.shared.engines import FieldFormat as EngineFormat
from application.shared.engines import Mask as EngineMask
from application.shared.handler import Handler, Request
from application.shared.identifiers import uuid7
from application.shared.work import Work
from application.source_grants import granted_tables
from domain.run_parameters import value_of
from domain.segment_contents import MappedColumn, SegmentContent
from domain.segment_definitions import DECIDER as DEFINITION
from domain.segment_definitions import SegmentDefinition, definition_hash
from domain.segment_runs import (
    DECIDER,
    Command,
    RecordCleanUp,
    RecordFailure,
    RecordResult,
    ReportProgress,
    RequestRun,
    ResultColumn,
    RetryRun,
    RunRefusal,
    SegmentRun,
    StartRun,
    Status,
    TerminateRun,
)
from domain.shared.claims import DECIDER as CLAIM
from domain.shared.claims import Claim, Release
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Refused
from domain.work_orders import DECIDER as WORK_ORDER
from domain.work_orders import is_barred

SYSTEM_USER = "system:worker"
POLL_S = 0.5
HIDDEN = "*"
"""Stands in a trial's file for a personal value."""


def request(
    work: Work, definition_id: UUID, parameters: Mapping[str, str], work_order: UUID | None = None
) -> UUID:
    """Queue a run of what is approved; the id of the run. `parameters` are texts in canonical form."""
    definition = _definition(work, definition_id)
    command = RequestRun(
        code="",
        org_unit=definition.org_unit,
        definition=Reference(definition_id, definition.approved_revision or 0),
        content=definition.approved,
        content_hash=definition.approved_hash,
        parameters=parameters,
        is_trial=False,
        by=work.principal.user,
        work_order=work_order,
    )
    return _queue(work, command)


def request_pinned(
    work: Work,
    run_id: UUID,
    pinned: Reference,
    content_hash: str,
    parameters: Mapping[str, str],
    work_order: UUID,
) -> UUID:
    """Queue a run of the revision that the work order was scheduled with, also when a newer one has been
    approved since. Refuse one that was never approved, or not with this hash (empty: any).
    """
    definition = _definition(work, pinned.id)
    approved_hash = approved_hash_of(work.log, pinned)
    if approved_hash is None or content_hash not in ("", approved_hash):
        raise Refused.because(RunRefusal.NOTHING_APPROVED, "definition")
    command = RequestRun(
        code="",
        org_unit=definition.org_unit,
        definition=pinned,
        content=content_of(work.log, pinned),
        content_hash=approved_hash,
        parameters=parameters,
        is_trial=False,
        by=work.principal.user,
        work_order=work_order,
    )
    return _queue(work, command, run_id)


def try_out(work: Work, definition_id: UUID, parameters: Mapping[str, str], row_limit: int) -> UUID:
    """Queue a trial of the newest revision, approved or not; at most `row_limit` rows come of it."""
    definition = _definition(work, definition_id)
    command = RequestRun(
        code="",
        org_unit=definition.org_unit,
        definition=Reference(definition_id, definition.revision),
        content=definition.content,
        content_hash=definition_hash(definition),
        parameters=parameters,
        is_trial=True,
        by=work.principal.user,
        row_limit=row_limit,
    )
    return _queue(work, command)


def terminate(work: Work, run_id: UUID, reason: str) -> UUID:
    """Stop a queued or running run: its worker notices within two seconds."""
    _subject(work, run_id)
    work.decide(DECIDER, run_id, TerminateRun(reason, work.principal.user))
    return run_id


def retry(work: Work, run_id: UUID) -> UUID:
    """Queue a failed run again, with what it was requested with."""
    run = _subject(work, run_id)
    assert run.definition is not None
    other = live_run(work, run.definition.id, run.is_trial)
    if work.decide(DECIDER, run_id, RetryRun(work.principal.user, is_free=other is None)):
        _take_slot(work, run.definition.id, run.is_trial, run_id)
    return run_id


def _definition(work: Work, definition_id: UUID) -> SegmentDefinition:
    definition = work.subject(DEFINITION, definition_id, lambda known: known.org_unit)
    if not definition.is_known:
        raise Refused.because(CommonRefusal.NOT_FOUND, "definition")
    return definition


def _queue(work: Work, command: RequestRun, run_id: UUID | None = None) -> UUID:
    run_id, definition_id = run_id or uuid7(), command.definition.id
    is_free = live_run(work, definition_id, command.is_trial) is None
    code = f"SR-{run_id.hex[-12:].upper()}"
    work.begin(DECIDER, run_id, replace(command, code=code, is_free=is_free))
    _take_slot(work, definition_id, command.is_trial, run_id)
    return run_id


def _take_slot(work: Work, definition_id: UUID, is_trial: bool, run_id: UUID) -> None:
    """A run that is over keeps the slot until the next one takes it."""
    slot = run_slot(definition_id, is_trial)
    owner = work.state(CLAIM, slot).owner
    if owner is not None and owner != run_id:
        work.decide(CLAIM, slot, Release(owner))
    work.decide(CLAIM, slot, Claim(run_id))


def _subject(work: Work, run_id: UUID) -> SegmentRun:
    return work.subject(DECIDER, run_id, lambda run: run.org_unit)


# --- The worker's step --------------------------------------------------------


def execute(handler: Handler, engine: Engine, run_id: UUID, units: frozenset[str]) -> None:
    """Perform a run that is queued, or that a dead worker left running; nothing for any other.

    Repeating it does what is missing: the engine gives a result that is there already, and a report that
    was made is not made again. After three attempts the run has failed. An exception that is not the
    engine's own verdict is the broker's to retry.
    """
    worker = _Worker(handler, run_id, units)
    attempt = worker.start()
    if attempt is not None:
        try:
            result = engine.run(run_id, worker.query(), worker.progress(attempt), worker.is_over(attempt))
        except RunFailed as failed:
            worker.tell(RecordFailure(attempt, failed.code, failed.values))
        except RunCancelled:
            pass  # terminated, or another attempt has begun
        else:
            worker.tell(_recorded(attempt, result))
    worker.clean_up()


def system_principal(units: frozenset[str]) -> Principal:
    """Who performs runs: nobody's roles, all units, and this one permission."""
    return Principal(
        user=SYSTEM_USER,
        roles=frozenset(),
        org_unit=HEAD_OFFICE,
        units=units,
        system_permissions=frozenset({Permission.SEGMENTS_EXECUTE}),
    )


@dataclass(frozen=True, slots=True)
class _Worker:
    """One delivery of a run to a worker. Commands have no keys: a report is repeated until it counts."""

    handler: Handler
    run_id: UUID
    units: frozenset[str]

    def run(self) -> SegmentRun:
        return self.handler.log.load(DECIDER, self.run_id).state

    def start(self) -> int | None:
        """The attempt that begins here; None when there is nothing to perform."""
        before = self.run().attempt
        started: list[bool] = []

        def use_case(work: Work) -> UUID:
            _subject(work, self.run_id)
            events = work.decide(DECIDER, self.run_id, StartRun(before + 1))
            started[:] = [bool(events) and work.state(DECIDER, self.run_id).status is Status.RUNNING]
            return self.run_id

        self.handle(use_case)
        return before + 1 if started[0] else None

    def tell(self, command: Command) -> None:
        """Report; what comes too late changes nothing."""

        def use_case(work: Work) -> UUID:
            _subject(work, self.run_id)
            work.decide(DECIDER, self.run_id, command)
            return self.run_id

        self.handle(use_case)

    def query(self) -> Query:
        """What the run performs, with the grants as they stand now: what is revoked can't be read."""
        run = self.run()
        assert run.definition is not None
        content = content_of(self.handler.log, run.definition)
        work = self.handler.look(system_principal(self.units))
        granted = granted_tables(work, run.org_unit, content.source)
        bound = (Parameter(each.name, value_of(each)) for each in run.parameters)
        query = query_of(content, bound, granted, units_of(run.org_unit, self.units))
        return query if run.row_limit is None else limited(query, run.row_limit)

    def progress(self, attempt: int) -> Callable[[int], None]:
        told = 0

        def report(percent: int) -> None:
            nonlocal told
            if percent >= told + 10:
                told = percent
                self.tell(ReportProgress(attempt, percent))

        return report

    def is_over(self, attempt: int) -> Callable[[], bool]:
        """Whether this attempt has no business any more; the log is asked twice a second at most."""
        asked, answer = monotonic(), False

        def over() -> bool:
            nonlocal asked, answer
            if not answer and monotonic() - asked >= POLL_S:
                run = self.run()
                answer = run.status is not Status.RUNNING or run.attempt != attempt
                asked = monotonic()
            return answer

        return over

    def clean_up(self) -> None:
        """Note of a run that is over that nothing temporary is left: the engine drops what it makes."""
        run = self.run()
        if not run.is_live and run.attempt > run.cleaned:
            self.tell(RecordCleanUp(run.attempt, TEMPORARY))

    def handle(self, use_case: Callable[[Work], UUID]) -> None:
        input_ = {"id": str(self.run_id)}
        self.handler(Request(system_principal(self.units), "executeSegmentRun", input_), use_case)


TEMPORARY = ("result in the making", "spilled rows")
"""What an attempt makes besides the result set."""


def limited(query: Query, rows: int) -> Query:
    """The query, of whose result only the first rows in primary-index order come."""
    columns = ", ".join(f'"{output.name}"' for output in query.outputs)
    order = ", ".join(f'"{name}"' for name in query.primary_index)
    sql = f"select {columns} from ({query.sql}\n) as trial order by {order} limit {rows}"
    return replace(query, sql=sql)


def _recorded(attempt: int, result: ResultSet) -> RecordResult:
    return RecordResult(
        attempt=attempt,
        rows=result.rows,
        columns=tuple(ResultColumn(each.name, each.type, each.is_personal) for each in result.columns),
        bytes=result.bytes,
        duration_ms=result.duration_ms,
        content_hash=result.content_hash,
        snapshot=result.snapshot,
    )


# --- Results as files ---------------------------------------------------------


def mapping_for_export(handler: Handler, principal: Principal, run_id: UUID) -> tuple[MappedField, ...]:
    """The fields of the run's file: its revision's mapping, or every output under its own name.

    Refuse a run that the principal does not see, one without a result, and one of a work order whose
    cancellation is asked for or granted.
    """
    run = require_result(handler.look(principal), run_id)
    assert run.definition is not None
    return mapped_fields(content_of(handler.log, run.definition), is_approved=not run.is_trial)


def require_result(work: Work, run_id: UUID) -> SegmentRun:
    """The run, of which a file may leave; refusals as above. Within a command this holds until the append."""
    run = work.subject(DECIDER, run_id, lambda run: run.org_unit, looks_only=True)
    if not queries_customers(work.principal, run.org_unit):
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    if run.status is not Status.SUCCEEDED:
        raise Refused.because(RunRefusal.NO_RESULT, status=run.status)
    if run.work_order is not None and is_barred(order := work.state(WORK_ORDER, run.work_order)):
        raise Refused.because(RunRefusal.NO_RESULT, status=order.status)
    return run


def mapped_fields(content: SegmentContent, is_approved: bool) -> tuple[MappedField, ...]:
    """What is shown of a personal column holds once it is approved: in a trial's file it is hidden, for
    nobody has seen yet what the SQL moves into the part that a mask leaves.
    """
    own = tuple(MappedColumn(output.name, output.name) for output in content.outputs)
    hidden = (
        () if is_approved else {output.name for output in content.outputs if output.is_personal is not False}
    )
    return tuple(_mapped(each, each.source in hidden) for each in content.mapping or own)


def _mapped(column: MappedColumn, is_hidden: bool) -> MappedField:
    if is_hidden:  # not even its length is told
        return MappedField(column.target, constant=HIDDEN, width=column.width)
    return MappedField(
        target=column.target,
        source=column.source,
        constant=column.constant,
        format=EngineFormat(column.format.value),
        width=column.width,
        is_zero_padded=column.is_zero_padded,
        mask=EngineMask(column.mask.value),
        translation=column.translation,
    )
