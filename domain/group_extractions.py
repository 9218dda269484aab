"""Group extractions: a customer group taken once for an activity, and who joined and who left since the last.

Who belongs to it lies in the result set that has the extraction's id; the log knows how many, and its hash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.activity_plans import GroupRole
from domain.shared.decider import Decider
from domain.shared.references import Reference
from domain.shared.refusal import CommonRefusal, Refused
from domain.timeframes import Days

# --- Values ---------------------------------------------------------------

ATTEMPTS_MAX = 3
ATTEMPTS_EXHAUSTED = "attempts_exhausted"
DETAIL_CHARACTERS_MAX = 500


# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestExtraction:
    """`group` is in the revision that is extracted; `days` are what the timeframe means on the business date;
    `previous` is the extraction that this one is compared with.
    """

    org_unit: str
    schedule: UUID
    activity: UUID
    group: Reference
    role: GroupRole
    due_at: datetime
    business_date: date
    days: Days
    previous: UUID | None


@dataclass(frozen=True, slots=True)
class StartExtraction:
    """A worker takes it, counting attempts from 1; after the last attempt it has failed."""

    attempt: int


@dataclass(frozen=True, slots=True)
class RecordMembership:
    """How many customers are in the group, and how many of them joined, how many left and how many stayed."""

    attempt: int
    joined: int
    stayed: int
    left: int
    content_hash: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class RecordFailure:
    attempt: int
    code: str
    values: Mapping[str, str] = field(default_factory=dict)


Command = RequestExtraction | StartExtraction | RecordMembership | RecordFailure

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class GroupExtractionRequested:
    org_unit: str
    schedule: UUID
    activity: UUID
    group: Reference
    role: GroupRole
    due_at: datetime
    business_date: date
    days: Days
    previous: UUID | None


@dataclass(frozen=True, slots=True)
class GroupExtractionStarted:
    attempt: int


@dataclass(frozen=True, slots=True)
class GroupMembershipRecorded:
    """`members` = `joined` + `stayed`. `content_hash` is that of the members' ids, `snapshot` the
    warehouse's.
    """

    attempt: int
    members: int
    joined: int
    stayed: int
    left: int
    content_hash: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class GroupExtractionFailed:
    attempt: int
    code: str
    values: Mapping[str, str]


Event = GroupExtractionRequested | GroupExtractionStarted | GroupMembershipRecorded | GroupExtractionFailed

# --- State ----------------------------------------------------------------


class Status(StrEnum):
    UNKNOWN = "unknown"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class GroupExtraction:
    status: Status = Status.UNKNOWN
    requested: GroupExtractionRequested | None = None
    attempt: int = 0
    membership: GroupMembershipRecorded | None = None

    @property
    def has(self) -> GroupExtractionRequested:
        """What was requested, of an extraction that exists."""
        assert self.requested is not None
        return self.requested


def evolve(extraction: GroupExtraction, event: Event) -> GroupExtraction:
    match event:
        case GroupExtractionRequested():
            return GroupExtraction(Status.QUEUED, event)
        case GroupExtractionStarted(attempt=attempt):
            return replace(extraction, status=Status.RUNNING, attempt=attempt)
        case GroupMembershipRecorded():
            return replace(extraction, status=Status.SUCCEEDED, membership=event)
        case GroupExtractionFailed():
            return replace(extraction, status=Status.FAILED)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, extraction: GroupExtraction) -> Sequence[Event]:
    if extraction.status is Status.UNKNOWN and not isinstance(command, RequestExtraction):
        raise Refused.because(CommonRefusal.NOT_FOUND, "id")
    match command:
        case RequestExtraction():
            assert extraction.status is Status.UNKNOWN, "the id of a new extraction is new"
            return [_requested(command)]
        case StartExtraction(attempt=attempt):
            return _start(attempt, extraction)
        case RecordMembership():
            return [_recorded(command)] if _is_at(extraction, command.attempt) else []
        case RecordFailure(attempt=attempt, code=code, values=values):
            kept = {name: value[:DETAIL_CHARACTERS_MAX] for name, value in values.items()}
            return [GroupExtractionFailed(attempt, code, kept)] if _is_at(extraction, attempt) else []
        case _:
            assert_never(command)


def _requested(command: RequestExtraction) -> GroupExtractionRequested:
    return GroupExtractionRequested(
        org_unit=command.org_unit,
        schedule=command.schedule,
        activity=command.activity,
        group=command.group,
        role=command.role,
        due_at=command.due_at,
        business_date=command.business_date,
        days=command.days,
        previous=command.previous,
    )


def _start(attempt: int, extraction: GroupExtraction) -> Sequence[Event]:
    """A running extraction that is started again was left by a worker that died."""
    if extraction.status not in (Status.QUEUED, Status.RUNNING) or attempt <= extraction.attempt:
        return []
    if attempt > ATTEMPTS_MAX:
        exhausted = {"attempts": str(ATTEMPTS_MAX)}
        return [GroupExtractionFailed(extraction.attempt, ATTEMPTS_EXHAUSTED, exhausted)]
    return [GroupExtractionStarted(extraction.attempt + 1)]


def _recorded(command: RecordMembership) -> GroupMembershipRecorded:
    return GroupMembershipRecorded(
        attempt=command.attempt,
        members=command.joined + command.stayed,
        joined=command.joined,
        stayed=command.stayed,
        left=command.left,
        content_hash=command.content_hash,
        snapshot=command.snapshot,
    )


# --- Rules ----------------------------------------------------------------


def _is_at(extraction: GroupExtraction, attempt: int) -> bool:
    return extraction.status is Status.RUNNING and extraction.attempt == attempt


DECIDER: Decider[Command, GroupExtraction, Event] = Decider(
    "group_extraction", GroupExtraction(), decide, evolve
)
