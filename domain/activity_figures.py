"""Figures of an activity: how many customers it speaks to, how many it is for, how many have qualified.

Target: the members of its TARGET groups. Applicable: those of them whom none of the plan's exclusions leaves
out. Qualified: the customers whom the runs of its work orders have found. They are counted, never entered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from domain.shared.decider import Decider
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Refused

# --- Values ---------------------------------------------------------------

ATTEMPTS_MAX = 3
RUNS_MAX = 2_000
COUNTS_KEPT_MAX = 50
DETAIL_CHARACTERS_MAX = 500
ATTEMPTS_EXHAUSTED = "attempts_exhausted"


class Exclusion(StrEnum):
    """Whom an activity is not for, though a target group has him: whose account is overdue, whom another unit
    keeps than the activity's, who has no card that is active.
    """

    OVERDUE = "overdue"
    OTHER_UNIT = "other_unit"
    NO_ACTIVE_CARD = "no_active_card"


class Figure(StrEnum):
    TARGET = "target"
    APPLICABLE = "applicable"
    QUALIFIED = "qualified"


class FiguresRefusal(StrEnum):
    NOTHING_TO_COUNT = "nothing_to_count"
    NOT_COUNTED = "not_counted"


@dataclass(frozen=True, slots=True)
class CountedGroup:
    """A target group in the revision that the plan links, with its data of these days (half-open)."""

    group: Reference
    data_from: date
    data_to: date


@dataclass(frozen=True, slots=True)
class CountedRun:
    """A run that succeeded for a work order of the activity; `column` of its result holds the customers."""

    work_order: UUID
    run: UUID
    column: str


@dataclass(frozen=True, slots=True)
class Basis:
    """What a count rests on: the plan's revision, the day, its groups and exclusions, and the runs so far."""

    revision: int
    org_unit: str
    business_date: date
    groups: tuple[CountedGroup, ...]
    exclusions: tuple[Exclusion, ...]
    runs: tuple[CountedRun, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """None for what could not be asked: target and applicable without target groups, qualified without runs.

    `excluded` are those of the target who are not applicable, each by the first exclusion that he meets.
    `snapshot` is the warehouse's state that target and applicable are of; the hashes are those of the lists.
    """

    target: int | None = None
    applicable: int | None = None
    qualified: int | None = None
    excluded: Mapping[Exclusion, int] = field(default_factory=dict)
    snapshot: str = ""
    target_hash: str = ""
    qualified_hash: str = ""


def figures_id(activity: UUID) -> UUID:
    """The figures of an activity: one stream for all counts."""
    return uuid5(activity, "figures")


def result_id(figures: UUID, number: int, figure: Figure) -> UUID:
    """The result set behind a figure of a count; the applicable are marked in the list of the target."""
    kept = Figure.QUALIFIED if figure is Figure.QUALIFIED else Figure.TARGET
    return uuid5(figures, f"{kept} {number}")


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestCount:
    """Count anew; `run` has succeeded for a work order, and takes the place of that one's former run.

    `has_groups`: the plan links target groups.
    """

    activity: UUID
    org_unit: str
    code: str
    has_groups: bool
    by: str
    run: CountedRun | None = None


@dataclass(frozen=True, slots=True)
class StartCount:
    """A worker takes the newest count. `basis` is as things stand now, without the runs."""

    basis: Basis


@dataclass(frozen=True, slots=True)
class RecordCount:
    number: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class RecordCountFailure:
    number: int
    code: str
    values: Mapping[str, str] = field(default_factory=dict)


Command = RequestCount | StartCount | RecordCount | RecordCountFailure

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class ActivityCountRequested:
    activity: UUID
    org_unit: str
    code: str
    number: int
    run: CountedRun | None
    by: str


@dataclass(frozen=True, slots=True)
class ActivityCountStarted:
    number: int
    attempt: int
    basis: Basis


@dataclass(frozen=True, slots=True)
class ActivityCountSucceeded:
    activity: UUID
    number: int
    basis: Basis
    figures: Figures


@dataclass(frozen=True, slots=True)
class ActivityCountFailed:
    number: int
    code: str
    values: Mapping[str, str]


Event = ActivityCountRequested | ActivityCountStarted | ActivityCountSucceeded | ActivityCountFailed

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ActivityFigures:
    """Counts are numbered from 1. The newest that was `requested`, `started` (on `basis`, at the `attempt`),
    `finished` either way, `counted` with `counts`, the newest fifty by number. `runs` are by work order.
    """

    activity: UUID | None = None
    org_unit: str = ""
    requested: int = 0
    started: int = 0
    attempt: int = 0
    basis: Basis | None = None
    finished: int = 0
    counted: int = 0
    counts: Mapping[int, Figures] = field(default_factory=dict)
    runs: Mapping[UUID, CountedRun] = field(default_factory=dict)

    @property
    def is_owed(self) -> bool:
        """Whether a count waits that no worker has begun."""
        return self.requested > self.started

    @property
    def is_live(self) -> bool:
        """Whether a count is under way."""
        return self.started > self.finished


def evolve(state: ActivityFigures, event: Event) -> ActivityFigures:
    match event:
        case ActivityCountRequested(activity=activity, org_unit=org_unit, number=number, run=run):
            runs = state.runs if run is None else {**state.runs, run.work_order: run}
            return replace(state, activity=activity, org_unit=org_unit, requested=number, runs=runs)
        case ActivityCountStarted(number=number, attempt=attempt, basis=basis):
            return replace(state, started=number, attempt=attempt, basis=basis)
        case ActivityCountSucceeded(number=number, figures=figures):
            kept = {**dict([*state.counts.items()][1 - COUNTS_KEPT_MAX :]), number: figures}
            return replace(state, finished=number, counted=number, counts=kept)
        case ActivityCountFailed(number=number):
            return replace(state, finished=number)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, state: ActivityFigures) -> Sequence[Event]:
    if isinstance(command, RequestCount):
        return _request(command, state)
    if state.activity is None:
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    match command:
        case StartCount(basis=basis):
            return _start(basis, state)
        case RecordCount(number=number, figures=figures):
            assert state.basis is not None, "what was started has a basis"
            is_news = state.finished < number == state.started
            return [ActivityCountSucceeded(state.activity, number, state.basis, figures)] if is_news else []
        case RecordCountFailure(number=number, code=code, values=values):
            is_news = state.finished < number == state.started
            kept = {name: value[:DETAIL_CHARACTERS_MAX] for name, value in values.items()}
            return [ActivityCountFailed(number, code, kept)] if is_news else []
        case _:
            assert_never(command)


def _request(command: RequestCount, state: ActivityFigures) -> Sequence[Event]:
    """A count that waits already will see what this one wants to be seen; one with a new run is noted, up to
    2,000 of them.
    """
    run = command.run
    if run is not None and state.runs.get(run.work_order) == run:
        return []
    if run is None and state.is_owed:
        return []
    if run is None and not (command.has_groups or state.runs):
        raise Refused.because(FiguresRefusal.NOTHING_TO_COUNT)
    if run is not None and run.work_order not in state.runs and len(state.runs) >= RUNS_MAX:
        return []
    number = state.requested + 1
    return [ActivityCountRequested(command.activity, command.org_unit, command.code, number, run, command.by)]


def _start(basis: Basis, state: ActivityFigures) -> Sequence[Event]:
    """What a worker that died has begun goes on as it was begun, so that what it has written is of use."""
    if state.is_owed:
        runs = tuple(state.runs[work_order] for work_order in sorted(state.runs))
        return [ActivityCountStarted(state.requested, 1, replace(basis, runs=runs))]
    if not state.is_live:
        return []
    assert state.basis is not None
    if state.attempt >= ATTEMPTS_MAX:
        return [ActivityCountFailed(state.started, ATTEMPTS_EXHAUSTED, {"attempts": str(ATTEMPTS_MAX)})]
    return [ActivityCountStarted(state.started, state.attempt + 1, state.basis)]


DECIDER: Decider[Command, ActivityFigures, Event] = Decider(
    "activity_figures", ActivityFigures(), decide, evolve
)
