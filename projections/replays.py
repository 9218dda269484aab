"""Replay: one thing's history event by event, each with the state after it and what it changed.

The rows are folded anew from the log by the very functions that keep the read tables, so that an auditor
needs to believe neither the tables nor the timeline.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from application.shared.records import Log, Position, Record
from projections import timeline
from projections.points_ledgers import POINTS_ACCOUNTS, PointsAccountRow
from projections.shared.ids import shown_id
from projections.shared.rows import RowProjection, instant_text
from projections.timeline import TOLD, Told

RECORDS_MAX = 50_000
"""Of one replay: some seconds' work. Ledgers and budgets end with their year, so hardly any has more."""


class HistoryTooLong(Exception):
    """There are more than RECORDS_MAX events."""


def _ledger_unit(row: PointsAccountRow) -> str:
    return row.org_unit


REPLAYED: Mapping[str, Told] = {
    **{told.stream_type: told for told in TOLD},
    "points_ledger": Told(POINTS_ACCOUNTS, "points_ledger", _ledger_unit, lambda _: 1, lambda _: ()),
}
"""How each kind of thing is replayed, by the type of its stream."""


@dataclass(frozen=True, slots=True)
class Instant:
    """A position, a time or the thing's own version; what is said first counts."""

    position: Position | None = None
    time: datetime | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which steps an auditor wants to see; what is empty chooses all. The period is half-open."""

    types: frozenset[str] = frozenset()
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def includes(self, record: Record[Any]) -> bool:
        return (
            (not self.types or record.event_type in self.types)
            and (self.actor is None or record.context.actor == self.actor)
            and (self.since is None or record.recorded_at >= self.since)
            and (self.until is None or record.recorded_at < self.until)
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One event, and the thing's row before and after it; None: it was not there, or is gone.

    `version` is the thing's own: the event may be of another stream, such as its approval's.
    """

    record: Record[Any]
    version: int
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Replay:
    """All steps of one thing, oldest first."""

    told: Told
    steps: Sequence[Step]

    @property
    def org_unit(self) -> str | None:
        """Whose business it is, by its last row; None where that is the whole bank's."""
        for step in reversed(self.steps):
            row = step.before if step.after is None else step.after
            if row is not None:
                return self.told.org_unit(row)
        return None

    def row_at(self, instant: Instant) -> Any:
        """The thing as it stood then; None where it did not."""
        last = self._last(instant)
        return None if last is None else last.after

    def version_at(self, instant: Instant) -> int:
        """0 where it was not there yet."""
        last = self._last(instant)
        return 0 if last is None else last.version

    def _last(self, instant: Instant) -> Step | None:
        return next((step for step in reversed(self.steps) if _by_then(step, instant)), None)

    def state(self, row: Any) -> dict[str, Any] | None:
        """The row as the API speaks of it."""
        return None if row is None else timeline.state(self.told, row)

    def changes(self, before: Any, after: Any) -> list[dict[str, Any]]:
        """{field, before, after} of each that differs."""
        return [] if before is after else timeline.changes(self.told, before, after)


def replay(log: Log, kind: str, key: UUID, most: int | None = RECORDS_MAX) -> Replay:
    """Everything that happened to the thing; no steps for one that there never was.

    Raise KeyError for a kind that is not replayed, HistoryTooLong for more than `most` events.
    """
    told = REPLAYED[kind]
    steps, row, version = list[Step](), None, 0
    for record in records_of(log, told.projection, key, most=most):
        if record.stream_id == key:
            version = record.version
        after = told.projection.project(row, record)
        steps.append(Step(record, version, row, after))
        row = after
    return Replay(told, steps)


def _by_then(step: Step, instant: Instant) -> bool:
    record = step.record
    if instant.position is not None:
        return record.position <= instant.position
    if instant.time is not None:
        return record.recorded_at <= instant.time
    return instant.version is None or step.version <= instant.version


def line(replayed: Replay, step: Step, shown: Callable[[str], bool] = lambda _: True) -> dict[str, Any]:
    """One step as a line of an export: flat JSON, without the fields that are not shown."""
    record, context = step.record, step.record.context
    state = replayed.state(step.after)
    return {
        "position": str(record.position),
        "version": step.version,
        "eventId": str(record.event_id),
        "eventType": record.event_type,
        "subjectId": shown_id(record.stream_type, record.stream_id),
        "recordedAt": instant_text(record.recorded_at),
        "effectiveAt": instant_text(context.effective_at),
        "actor": context.actor,
        "onBehalfOf": context.on_behalf_of,
        "reason": context.reason,
        "commandId": str(context.command_id),
        "changes": [each for each in replayed.changes(step.before, step.after) if shown(each["field"])],
        "state": None if state is None else {name: value for name, value in state.items() if shown(name)},
    }


def records_of(
    log: Log,
    projection: RowProjection[Any],
    key: UUID,
    up_to: Position | None = None,
    most: int | None = None,
) -> Sequence[Record[Any]]:
    """All records that concern one row, from however many streams, up to and with a position, in order.

    Raise HistoryTooLong for more than `most`.
    """
    found: list[Record[Any]] = []
    streams = [key]
    for stream_id in streams:
        for record in _until(log.records(stream_id), up_to):
            if record.stream_type in projection.stream_types and projection.key(record) == key:
                found.append(record)
                if most is not None and len(found) > most:
                    raise HistoryTooLong
                streams += (named for named in projection.sources(record) if named not in streams)
    return sorted(found, key=lambda record: record.position)


def _until(records: Iterator[Record[Any]], up_to: Position | None) -> Iterator[Record[Any]]:
    for record in records:
        if up_to is not None and record.position > up_to:
            return
        yield record
