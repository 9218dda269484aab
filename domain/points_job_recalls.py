"""What is taken back of a points job: its file while nobody has answered it, and points that were posted.

A file is recalled at the gateway, which alone knows whether the other side has taken it. One that got lost,
or whose acknowledgement is broken, is sent again under its name: the other side knows a duplicate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never
from uuid import UUID

from domain.points_job_statuses import WAY, JobRefusal, Status
from domain.points_job_terms import Terms, cost_of
from domain.shared.money import Money
from domain.shared.refusal import CommonRefusal, Fault, Refused, refuse_any
from domain.shared.text import name_faults, text_faults

# --- Values ---------------------------------------------------------------

REASON_CHARACTERS_MAX = 1_000
CONFIRMATION_CHARACTERS_MAX = 200
SENDINGS_MAX = 20


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResendFile:
    """Hand the same file over once more: the other side answers it anew, and books nothing twice."""

    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class RecallFile:
    """Take the file back. `confirmation` is where the other side says that it took nothing of a file that it
    has: it comes from a second person, after the first one's recall has failed. `cancellation` is the request
    whose verdict waits for the outcome.
    """

    reason: str
    by: str
    confirmation: str = ""
    cancellation: UUID | None = None


@dataclass(frozen=True, slots=True)
class RecordRecall:
    """`is_back`: the other side has nothing of the file, and never will."""

    is_back: bool


@dataclass(frozen=True, slots=True)
class RecordReversal:
    """`points` of the entry `entry`, which the job had posted, were taken from the customer again."""

    entry: UUID
    points: int


Command = ResendFile | RecallFile | RecordRecall | RecordReversal

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class PointsJobResent:
    """The file is to be handed over for the `sending`th time."""

    sending: int
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class PointsJobRecallBegun:
    reason: str
    by: str
    confirmation: str
    cancellation: UUID | None


@dataclass(frozen=True, slots=True)
class PointsJobRecalled:
    """Nothing was taken: the job comes to nothing. The rest is what the recall was begun with."""

    reason: str
    by: str
    confirmation: str


@dataclass(frozen=True, slots=True)
class PointsJobRecallFailed:
    """The other side has taken `file_name`, or has answered it: the job goes on."""

    file_name: str


@dataclass(frozen=True, slots=True)
class PointsJobPointsReversed:
    """`refund` comes back to the budget: nothing before the settlement, which consumes so much less."""

    entry: UUID
    points: int
    refund: Money


Event = (
    PointsJobResent
    | PointsJobRecallBegun
    | PointsJobRecalled
    | PointsJobRecallFailed
    | PointsJobPointsReversed
)

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recall:
    """`sending` counts how often the file went out, `tries` how often it was recalled; `begun` is the recall
    under way, and `former` the status that it leads back to; `asked_by` is whose recall found the file taken,
    since it was last sent; `reversed_points` were posted and taken back.
    """

    sending: int = 1
    begun: PointsJobRecallBegun | None = None
    former: Status = Status.UNKNOWN
    reversed_points: int = 0
    asked_by: str = ""
    tries: int = 0


def evolve(recall: Recall, status: Status, event: Event) -> tuple[Recall, Status]:
    """The recall and the job's status after the event."""
    match event:
        case PointsJobResent(sending=sending):
            return replace(recall, sending=sending, asked_by=""), Status.RELEASED
        case PointsJobRecallBegun():
            return replace(recall, begun=event, former=status, tries=recall.tries + 1), Status.RECALLING
        case PointsJobRecalled():
            return replace(recall, begun=None), Status.WITHDRAWN
        case PointsJobRecallFailed():
            return replace(recall, begun=None, asked_by=_asked_by(recall)), recall.former
        case PointsJobPointsReversed(points=points):
            return replace(recall, reversed_points=recall.reversed_points + points), status
        case _:
            assert_never(event)


def _asked_by(recall: Recall) -> str:
    """Who confirmed in vain has not asked: the one before him did."""
    return recall.asked_by if recall.begun is None or recall.begun.confirmation else recall.begun.by


# --- Decisions ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What the job tells of itself: `posted` are the points that it has posted so far as it knows."""

    status: Status
    file_name: str
    terms: Terms
    posted: int
    is_reserved: bool


def decide(command: Command, recall: Recall, job: Standing) -> Sequence[Event]:
    match command:
        case ResendFile():
            return _resend(command, recall, job)
        case RecallFile():
            return _recall(command, recall, job)
        case RecordRecall(is_back=is_back):
            if recall.begun is None:
                return []
            if not is_back:
                return [PointsJobRecallFailed(job.file_name)]
            begun = recall.begun
            return [PointsJobRecalled(begun.reason, begun.by, begun.confirmation)]
        case RecordReversal(entry=entry, points=points):
            _require(job, *WAY[WAY.index(Status.ACKNOWLEDGED) :])
            return [PointsJobPointsReversed(entry, points, _refund(points, recall, job))]
        case _:
            assert_never(command)


def _resend(command: ResendFile, recall: Recall, job: Standing) -> Sequence[Event]:
    _require(job, Status.SENT)
    if recall.sending >= SENDINGS_MAX:
        raise Refused.because(CommonRefusal.TOO_MANY, most=SENDINGS_MAX)
    refuse_any(name_faults(command.reason, REASON_CHARACTERS_MAX, "reason"))
    return [PointsJobResent(recall.sending + 1, command.reason, command.by)]


def _recall(command: RecallFile, recall: Recall, job: Standing) -> Sequence[Event]:
    """A confirmation frees the money of a file that may have been booked: no one person's word does that."""
    _require(job, Status.RELEASED, Status.SENT)
    faults: list[Fault] = [*name_faults(command.reason, REASON_CHARACTERS_MAX, "reason")]
    faults += text_faults(command.confirmation, CONFIRMATION_CHARACTERS_MAX, "confirmation")
    refuse_any(faults)
    confirmation = command.confirmation.strip()
    if confirmation and not recall.asked_by:
        raise Refused.because(JobRefusal.RECALL_NOT_TRIED, "confirmation")
    if confirmation and command.by == recall.asked_by:
        raise Refused.because(JobRefusal.SECOND_PERSON_NEEDED, "confirmation", user=recall.asked_by)
    return [PointsJobRecallBegun(command.reason, command.by, confirmation, command.cancellation)]


def _refund(points: int, recall: Recall, job: Standing) -> Money:
    """The difference between two costs that are rounded alike: so all refunds together are what was consumed,
    to the minor unit, and never more. Who has read the ledger before another's reversal, and the job after
    it, is in conflict: to him nothing is left.
    """
    standing = job.posted - recall.reversed_points
    if job.status is not Status.SETTLED or not job.is_reserved:
        return Money(0, job.terms.currency)
    before, after = cost_of(standing, job.terms), cost_of(max(standing - points, 0), job.terms)
    assert before is not None and after is not None, "it is no more than was reserved"  # noqa: PT018
    return Money(before.amount_minor - after.amount_minor, job.terms.currency)


def _require(job: Standing, *allowed: Status) -> None:
    if job.status not in allowed:
        raise Refused.because(JobRefusal.NOT_AT_THIS_STEP, status=job.status)
