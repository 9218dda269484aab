"""How long the result of a segment run is kept, and its end: no result is deleted before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.shared.refusal import Refused


class Retention(StrEnum):
    """How long the result is kept: TRIAL 30 days, RESULT five years after the run."""

    TRIAL = "trial"
    RESULT = "result"


KEPT_FOR: Mapping[Retention, timedelta] = {
    Retention.TRIAL: timedelta(days=30),
    Retention.RESULT: timedelta(days=5 * 366),
}
"""Before that no result is deleted."""


class RetentionRefusal(StrEnum):
    RESULT_KEPT = "result_kept"


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """The result of a run that ended at `ended_at` is past its time."""

    ended_at: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class SegmentRunResultDeleted:
    """The rows are gone, by the rule of their retention; count, hash and all that was told of them stay."""

    retention: Retention


def deleted(command: DeleteResult, retention: Retention) -> Sequence[SegmentRunResultDeleted]:
    """Refuse what is inside its period."""
    kept_until = command.ended_at + KEPT_FOR[retention]
    if command.now < kept_until:
        raise Refused.because(RetentionRefusal.RESULT_KEPT, until=kept_until.isoformat())
    return [SegmentRunResultDeleted(retention)]
