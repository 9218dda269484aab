"""Downloads: who took which list out of the platform, when, and where to. Kept for audits, never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from domain.shared.decider import Decider
from domain.shared.refusal import refuse_any
from domain.shared.text import name_faults, text_faults

# --- Values ---------------------------------------------------------------

SUBJECT_CHARACTERS_MAX = 80
FILTER_CHARACTERS_MAX = 10_000
ADDRESS_CHARACTERS_MAX = 64

# --- Commands -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordDownload:
    """`filter` is what the user asked for, as JSON, empty for everything; `address` the network's."""

    subject: str
    filter: str
    rows: int
    address: str
    org_unit: str
    by: str


Command = RecordDownload

# --- Events ---------------------------------------------------------------
# These names and fields are the storage format: add fields with defaults, never rename, never remove.


@dataclass(frozen=True, slots=True)
class DownloadRecorded:
    subject: str
    filter: str
    rows: int
    address: str
    org_unit: str
    by: str


Event = DownloadRecorded

# --- State ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Download:
    is_recorded: bool = False


def evolve(download: Download, event: Event) -> Download:  # noqa: ARG001
    match event:
        case DownloadRecorded():
            return Download(is_recorded=True)
        case _:
            assert_never(event)


# --- Decisions ------------------------------------------------------------


def decide(command: Command, download: Download) -> Sequence[Event]:
    match command:
        case RecordDownload():
            return _record(command, download)
        case _:
            assert_never(command)


def _record(command: RecordDownload, download: Download) -> Sequence[Event]:
    assert not download.is_recorded, "the id of a new download is new"
    assert command.rows >= 0
    faults = [*name_faults(command.subject, SUBJECT_CHARACTERS_MAX, "subject")]
    faults += text_faults(command.filter, FILTER_CHARACTERS_MAX, "filter")
    faults += text_faults(command.address, ADDRESS_CHARACTERS_MAX, "address")
    refuse_any(faults)
    return [
        DownloadRecorded(
            command.subject, command.filter, command.rows, command.address, command.org_unit, command.by
        )
    ]


DECIDER: Decider[Command, Download, Event] = Decider("download", Download(), decide, evolve)
