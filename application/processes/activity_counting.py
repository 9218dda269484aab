"""Activity counting: a worker counts what was asked for, over one snapshot and all runs so far.

One that a worker has begun is that worker's: should it die, the broker delivers its task again.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from application import activity_figures
from application.access import HEAD_OFFICE, Permission, Principal
from application.customer_groups import query_of
from application.figures_sql import EXCLUDED_FOR, group_prefix, target_query
from application.group_sql import CUSTOMER_ID, Extraction
from application.processes.process import Process, Step
from application.shared.engines import Engine, Query, RunFailed
from application.shared.handler import Handler, Request
from application.shared.work import Work
from domain.activities import DECIDER as ACTIVITY
from domain.activities import Activity
from domain.activity_figures import (
    DECIDER,
    ActivityFigures,
    Basis,
    Command,
    CountedGroup,
    Exclusion,
    Figure,
    Figures,
    RecordCount,
    RecordCountFailure,
    StartCount,
    result_id,
)
from domain.activity_plans import GroupRole
from domain.shared.refusal import Refused
from domain.timeframes import resolve

COUNT_ACTIVITY = "count_activity"
SYSTEM_USER = "system:worker"
OPERATION = "executeActivityCount"


def next_step(figures: ActivityFigures) -> Step | None:
    """A count is owed until a worker begins it; from then on it is that worker's."""
    if figures.is_owed:
        return Step(COUNT_ACTIVITY)
    return Step(COUNT_ACTIVITY, is_begun=True) if figures.is_live else None


PROCESS = Process("activity_counting", {DECIDER.stream_type: DECIDER}, next_step)


@dataclass(frozen=True, slots=True)
class CountingDesk:
    """What a count works with: it sees every unit, and does what nobody's role allows."""

    handler: Handler
    engine: Engine
    units: frozenset[str]

    def principal(self) -> Principal:
        allowed = frozenset({Permission.FIGURES_COUNT})
        return Principal(SYSTEM_USER, frozenset(), HEAD_OFFICE, self.units, system_permissions=allowed)

    def count(self, figures: UUID) -> None:
        """Perform the newest count, or the one that a dead worker left; nothing when none is owed.

        Repeating it does what is missing: results that are there are kept. What the engine can't do fails
        the count; any other exception is the broker's to retry.
        """
        number = self._start(figures)
        if number is None:
            self._clean_up(figures)
            return
        state = self.handler.log.load(DECIDER, figures).state
        assert state.basis is not None, "what was started has a basis"
        try:
            found = self._figures(figures, number, state.basis)
        except RunFailed as failed:
            self._tell(figures, RecordCountFailure(number, failed.code, failed.values))
        except Refused as refused:
            fault = refused.faults[0]
            self._tell(figures, RecordCountFailure(number, fault.code, fault.values))
        else:
            self._tell(figures, RecordCount(number, found))

    def _start(self, figures: UUID) -> int | None:
        """The number of the count that begins here."""
        begun: list[int] = []

        def use_case(work: Work) -> UUID:
            state = activity_figures.subject(work, figures)
            assert state.activity is not None
            basis = _basis(work, work.state(ACTIVITY, state.activity))
            events = work.decide(DECIDER, figures, StartCount(basis))
            after = work.state(DECIDER, figures)
            begun[:] = [after.started] if events and after.is_live else []
            return figures

        self._handle(figures, use_case)
        return begun[0] if begun else None

    def _clean_up(self, figures: UUID) -> None:
        """Of a count that has failed remove what attempts have left that were killed: it names customers."""
        state = self.handler.log.load(DECIDER, figures).state
        if state.finished > state.counted:
            for figure in (Figure.TARGET, Figure.QUALIFIED):
                self.engine.discard(result_id(figures, state.finished, figure))

    def _tell(self, figures: UUID, command: Command) -> None:
        def use_case(work: Work) -> UUID:
            activity_figures.subject(work, figures)
            work.decide(DECIDER, figures, command)
            return figures

        self._handle(figures, use_case)

    def _handle(self, figures: UUID, use_case: Callable[[Work], UUID]) -> None:
        self.handler(Request(self.principal(), OPERATION, {"id": str(figures)}), use_case)

    def _figures(self, figures: UUID, number: int, basis: Basis) -> Figures:
        target = applicable = qualified = None
        excluded: dict[Exclusion, int] = {}
        snapshot = target_hash = qualified_hash = ""
        if basis.groups:
            run_id = result_id(figures, number, Figure.TARGET)
            result = self.engine.run(run_id, self._target(basis), lambda _: None, lambda: False)
            counted = Counter(reason for (reason,) in self.engine.rows(run_id, (EXCLUDED_FOR,)))
            target, applicable = result.rows, counted.pop(None, 0)
            excluded = {Exclusion(reason): count for reason, count in sorted(counted.items())}
            snapshot, target_hash = result.snapshot, result.content_hash
        if basis.runs:
            run_id = result_id(figures, number, Figure.QUALIFIED)
            parts = [(run.run, run.column) for run in basis.runs]
            result = self.engine.merged(run_id, CUSTOMER_ID, parts)
            qualified, qualified_hash = result.rows, result.content_hash
        return Figures(target, applicable, qualified, excluded, snapshot, target_hash, qualified_hash)

    def _target(self, basis: Basis) -> Query:
        work = Work(self.handler.log, self.principal(), self.handler.clock())
        queries = [
            query_of(
                work,
                each.group,
                self.units,
                Extraction(basis.business_date, each.data_from, each.data_to),
                group_prefix(index),
            )
            for index, each in enumerate(basis.groups)
        ]
        return target_query(queries, basis.exclusions, basis.org_unit)


def _basis(work: Work, activity: Activity) -> Basis:
    plan, today = activity.plan, work.today
    assert plan is not None, "what was asked for has a plan"
    groups = []
    for link in plan.groups:
        if link.role is GroupRole.TARGET:
            days = resolve(link.timeframe, today)
            groups.append(CountedGroup(link.group, days.data_from, days.data_to))
    return Basis(activity.revision, activity.org_unit, today, tuple(groups), plan.exclusions, ())
