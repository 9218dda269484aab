"""Results that are past their time are deleted: whose they are is asked, each run is told by a command."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from application.segment_runs import system_principal
from application.shared.engines import Engine
from application.shared.handler import Handler, Request
from application.shared.work import Work
from domain.result_retention import DeleteResult
from domain.segment_runs import (
    DECIDER,
    RunRefusal,
    SegmentRunSucceeded,
)
from domain.shared.refusal import Refused

AT_ONCE_MAX = 500

DueIds = Callable[[datetime, int], Sequence[UUID]]
"""Runs whose results are kept no longer than until that time, the longest over first, so many at most."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many results went, which runs declined, with why, and how much of killed processes was swept."""

    told: int
    refused: tuple[tuple[UUID, str], ...]
    swept: int


def delete_due(handler: Handler, engine: Engine, due_ids: DueIds, units: frozenset[str]) -> Deleted:
    """Delete at most 500 results. Coming twice, or too early, changes nothing."""
    refused = []
    due = due_ids(handler.clock(), AT_ONCE_MAX)
    for run_id in due:
        request = Request(system_principal(units), "deleteSegmentResult", {"id": str(run_id)})
        try:
            handler(request, lambda work, run_id=run_id: delete(work, engine, run_id))  # type: ignore[misc]
        except (Refused, OSError) as no:
            refused.append((run_id, str(no)))
    return Deleted(len(due) - len(refused), tuple(refused), engine.sweep())


def delete(work: Work, engine: Engine, run_id: UUID) -> UUID:
    """Delete the rows of a run that is past its time, then note it: who is killed between is asked again.

    Refuse a run without a result, and one that is still kept.
    """
    work.subject(DECIDER, run_id, lambda run: run.org_unit)
    ended_at = next(
        (
            each.recorded_at
            for each in work.log.records(run_id)
            if isinstance(each.event, SegmentRunSucceeded)
        ),
        None,
    )
    if ended_at is None:
        raise Refused.because(RunRefusal.NO_RESULT, status=work.state(DECIDER, run_id).status)
    if work.decide(DECIDER, run_id, DeleteResult(ended_at, work.now)):
        engine.discard(run_id)
    return run_id
