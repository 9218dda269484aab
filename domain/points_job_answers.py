"""What comes back of a points file: the acknowledgement, the postings, the reconciliation, step by step."""

from dataclasses import dataclass
from datetime import datetime

from domain.points_files import FileFault
from domain.points_job_terms import RefusedLine
from domain.reconciliation import Reconciliation

# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordAcknowledgement:
    accepted: int
    rejected: int
    accepted_points: int
    rejected_points: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RecordFaultyAcknowledgement:
    faults: tuple[FileFault, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class RecordSilence:
    """No acknowledgement has come by `now`; before its time this changes nothing."""

    now: datetime


@dataclass(frozen=True, slots=True)
class RecordPosting:
    posted: int
    points: int
    refused: int
    refused_lines: tuple[RefusedLine, ...]


@dataclass(frozen=True, slots=True)
class RecordReconciliation:
    found: Reconciliation


@dataclass(frozen=True, slots=True)
class AcceptDifferences:
    """Somebody has looked into what differs and takes it as it is, for a reason."""

    reason: str
    by: str


AnswerCommand = (
    RecordAcknowledgement
    | RecordFaultyAcknowledgement
    | RecordSilence
    | RecordPosting
    | RecordReconciliation
    | AcceptDifferences
)

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class PointsJobAcknowledged:
    accepted: int
    rejected: int
    accepted_points: int
    rejected_points: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PointsJobAcknowledgementFaulted:
    """An acknowledgement came that can't be believed; `faulty` counts its faults, some of which are named."""

    faulty: int
    faults: tuple[FileFault, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class PointsJobAnswerOverdue:
    answer_by: datetime


@dataclass(frozen=True, slots=True)
class PointsJobPosted:
    """`refused` of the accepted lines no ledger took."""

    posted: int
    points: int
    refused: int
    refused_lines: tuple[RefusedLine, ...]


@dataclass(frozen=True, slots=True)
class PointsJobReconciled:
    found: Reconciliation


@dataclass(frozen=True, slots=True)
class PointsJobDiffered:
    found: Reconciliation


@dataclass(frozen=True, slots=True)
class PointsJobDifferencesAccepted:
    reason: str
    by: str


AnswerEvent = (
    PointsJobAcknowledged
    | PointsJobAcknowledgementFaulted
    | PointsJobAnswerOverdue
    | PointsJobPosted
    | PointsJobReconciled
    | PointsJobDiffered
    | PointsJobDifferencesAccepted
)
